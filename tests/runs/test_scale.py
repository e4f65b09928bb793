"""Many runs, much output, slow viewers: nothing grows, nothing stands still."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import psutil
import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.websocket import Closed

MIB = 1024**2


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _runner_pid(hub: HubProcess) -> int:
    for process in psutil.process_iter(["pid", "cmdline"]):
        cmdline = process.info["cmdline"] or []
        if "toru.runner.main" in " ".join(cmdline) and str(hub.data_dir) in cmdline:
            return int(process.info["pid"])
    raise AssertionError("no runner")


def _memory(*pids: int) -> int:
    return sum(psutil.Process(pid).memory_info().rss for pid in pids)


def _zombies(parent: int) -> list[int]:
    children = psutil.Process(parent).children(recursive=True)
    return [child.pid for child in children if child.status() == psutil.STATUS_ZOMBIE]


def test_200_runs_at_once_all_end_without_zombies_and_with_flat_descriptors(
    own_hub: HubProcess,
) -> None:
    hub = own_hub
    assert hub.http("PUT", "/api/settings/max_concurrent_tasks", {"value": "200"}).status == 200
    hub.script("nap.sh", "echo one\nsleep 2\necho two\n")
    began = time.monotonic()
    assert hub.run("nap.sh")[0] == "one\ntwo\n"
    alone_s = time.monotonic() - began
    runner = _runner_pid(hub)
    before = _descriptors(hub.pid), _descriptors(runner)
    threads = psutil.Process(hub.pid).num_threads()
    with hub.websocket() as socket:
        began = time.monotonic()
        for _ in range(200):
            socket.send({"type": "run", "script": "nap.sh"})
        ended: dict[str, int] = {}
        output: dict[str, str] = {}
        while len(ended) < 200:
            message = socket.read()
            assert message["type"] != "error", message
            if message["type"] == "stdout":
                output[message["task_id"]] = output.get(message["task_id"], "") + message["data"]
            elif message["type"] == "exit":
                ended[message["task_id"]] = message["code"]
        took_s = time.monotonic() - began
    assert set(ended.values()) == {0}
    assert set(output.values()) == {"one\ntwo\n"}
    print(f"one run {alone_s:.2f} s, 200 runs {took_s:.2f} s, ratio {took_s / alone_s:.2f}")
    assert took_s < 1.5 * alone_s
    assert _zombies(runner) == []
    assert psutil.Process(hub.pid).num_threads() <= threads + 2
    wait_until(
        lambda: _descriptors(hub.pid) <= before[0] + 8 and _descriptors(runner) <= before[1] + 2,
        timeout_s=60,
        what="the descriptors of before",
    )


def test_more_runs_than_may_go_on_wait_and_all_end(own_hub: HubProcess) -> None:
    hub = own_hub
    assert hub.http("PUT", "/api/settings/max_concurrent_tasks", {"value": "4"}).status == 200
    running = hub.folder / "running"
    running.mkdir()
    hub.script(
        "counted.bash",
        f'touch "{running}/$$"\nls "{running}" | wc -l\nsleep 0.1\nrm "{running}/$$"\n',
    )
    with hub.websocket() as socket:
        for _ in range(40):
            socket.send({"type": "run", "script": "counted.bash"})
        most = ended = 0
        while ended < 40:
            message = socket.read()
            if message["type"] == "stdout":
                most = max(most, int(message["data"]))
            ended += message["type"] == "exit"
    assert 2 <= most <= 4


def test_three_million_lines_reach_a_client_whole(own_hub: HubProcess) -> None:
    own_hub.script("seq.sh", "seq 3000000\n")
    began = time.monotonic()
    with own_hub.websocket() as socket:
        socket.send({"type": "run", "script": "seq.sh"})
        output, end = socket.read_run(timeout_s=60)
    print(f"3,000,000 lines in {time.monotonic() - began:.2f} s")
    assert end["code"] == 0
    assert len(output) == 22_888_896
    assert output.endswith("\n2999999\n3000000\n")
    assert output.count("\n") == 3_000_000


class _Viewer(threading.Thread):
    """Reads a run to its end and counts the bytes; remembers what went wrong."""

    def __init__(self, hub: HubProcess, task_id: str) -> None:
        super().__init__(daemon=True)
        self.socket = hub.websocket()
        self.socket.send({"type": "attach", "task_id": task_id})
        self.next_offset = 0
        self.received = 0
        self.gaps = 0
        self.ended = False

    def run(self) -> None:
        """Read until the end."""
        while not self.ended:
            payload = self.socket.read_payload(120)
            if payload.startswith(b'{"type":"exit"'):
                self.ended = True
            elif payload.startswith(b'{"type":"stdout"'):
                self.received += payload.count(b"x")
                self.next_offset = int(payload.rpartition(b":")[2].rstrip(b"}"))
            else:
                self.gaps += 1


@pytest.mark.parametrize("size_mib", [1024])
def test_a_viewer_that_stops_reading_costs_no_memory_and_delays_nobody(
    own_hub: HubProcess, size_mib: int
) -> None:
    hub = own_hub
    kept = str(2 * size_mib * MIB)
    assert hub.http("PUT", "/api/settings/max_output_bytes", {"value": kept}).status == 200
    gate = hub.folder / "gate"
    line = "x" * 99
    hub.script(
        "pours.sh",
        f'while [ ! -e "{gate}" ]; do sleep 0.02; done\nyes {line} | head -c {size_mib * MIB}\n',
    )
    hub.run(hub.script("warm.sh", "echo warm\n"))
    runner = _runner_pid(hub)
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "pours.sh"})
        task_id = socket.read_until("started")["task_id"]
        socket.send({"type": "detach", "task_id": task_id})
        readers = [_Viewer(hub, task_id), _Viewer(hub, task_id)]
        stalled = _Viewer(hub, task_id)  # its thread is never started: it never reads
        for reader in readers:
            reader.start()
        before = _memory(hub.pid, runner)
        most = before
        slowest = 0.0
        began = time.monotonic()
        gate.touch()
        while any(reader.is_alive() for reader in readers):
            asked = time.monotonic()
            assert hub.get("/api/health") == {"status": "ok"}
            slowest = max(slowest, time.monotonic() - asked)
            most = max(most, _memory(hub.pid, runner))
            time.sleep(0.05)
            assert time.monotonic() - began < 240
        took_s = time.monotonic() - began
    growth = (most - before) / MIB
    lag = _loop_lag(hub)
    print(
        f"{size_mib} MiB to two viewers in {took_s:.1f} s, growth {growth:.1f} MiB, "
        f"slowest answer {slowest * 1000:.0f} ms, loop lag p99 {lag * 1000:.1f} ms"
    )
    for reader in readers:
        assert (reader.ended, reader.gaps) == (True, 0)
        assert reader.next_offset == size_mib * MIB
        # each line of 100 bytes has 99 that are counted; the last one may be cut
        assert reader.received >= size_mib * MIB // 100 * 99
    assert growth < 64
    assert lag <= 0.020
    stalled.socket.close()
    with pytest.raises((Closed, OSError)):
        stalled.socket.read()


def _loop_lag(hub: HubProcess) -> float:
    """Return the p99 of the event loop's lag in seconds since the start, as the hub measures it."""
    text = hub.http("GET", "/api/metrics").body.decode()
    for line in text.splitlines():
        if line.startswith('toru_event_loop_lag_seconds{quantile="0.99"}'):
            return float(line.split()[-1])
    raise AssertionError("no figure of the loop's lag")
