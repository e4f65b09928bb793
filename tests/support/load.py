"""Loads on a real hub, each with the bare thing it is compared to; tests assert, bench/ prints.

Runs on: the thread that uses it; every load is bounded in count and in time.
"""

from __future__ import annotations

import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import NamedTuple

import psutil

from tests.support.hub import HubProcess
from tests.support.websocket import WebSocket

MIB = 1024**2
LINES = 3_000_000
LINES_BYTES = 22_888_896

_LAG_PROGRAM = """
import select, sys, time
late = []
due = time.monotonic() + 0.02
while not select.select([sys.stdin], [], [], max(0.0, due - time.monotonic()))[0]:
    late.append(time.monotonic() - due)
    due = time.monotonic() + 0.02
late.sort()
print(late[min(int(0.99 * len(late)), len(late) - 1)] if late else 0.0)
"""


class MachineLag:
    """How late a process that does nothing is woken: what the machine itself adds to any lag."""

    def __enter__(self) -> MachineLag:
        self._process = subprocess.Popen(
            [sys.executable, "-S", "-c", _LAG_PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.p99_s = 0.0
        return self

    def __exit__(self, *_: object) -> None:
        text, _stderr = self._process.communicate("\n", timeout=10)
        self.p99_s = float(text)


def runner_pid(hub: HubProcess) -> int:
    """Return the process of the hub's runner."""
    for process in psutil.process_iter(["pid", "cmdline"]):
        cmdline = process.info["cmdline"] or []
        if str(hub.data_dir) in cmdline and any("toru.runner.main" in part for part in cmdline):
            return int(process.info["pid"])
    raise AssertionError("The hub has no runner.")


def memory_bytes(*pids: int) -> int:
    """Return the resident memory of processes together."""
    return sum(psutil.Process(pid).memory_info().rss for pid in pids)


def loop_lag_s(hub: HubProcess, quantile: str = "0.99") -> float:
    """Return the lag of the hub's event loop over the last five minutes, as it measures it."""
    start = f'toru_event_loop_lag_seconds{{quantile="{quantile}"}}'
    for line in hub.http("GET", "/api/metrics").body.decode().splitlines():
        if line.startswith(start):
            return float(line.split()[-1])
    raise AssertionError("The metrics have no lag of the event loop.")


def bare_copy_s() -> float:
    """Return the seconds that a bare loop takes from ``seq``'s pipe to a socket that is read."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        reader = threading.Thread(target=_swallow, args=(server.getsockname(),))
        began = time.perf_counter()
        reader.start()
        connection, _ = server.accept()
        with connection, subprocess.Popen(["seq", str(LINES)], stdout=subprocess.PIPE) as seq:
            assert seq.stdout is not None
            while data := os.read(seq.stdout.fileno(), 65536):
                connection.sendall(data)
        reader.join()
        return time.perf_counter() - began


def _swallow(address: tuple[str, int]) -> None:
    with socket.create_connection(address) as connection:
        while connection.recv(1 << 20):
            pass


class Lines(NamedTuple):
    """One client that was sent three million lines."""

    seconds: float
    frames: int
    next_offset: int


def lines_to_one_client(hub: HubProcess) -> Lines:
    """Run ``seq 3000000`` and read its frames to the end without looking into them."""
    hub.script("lines.sh", f"seq {LINES}\n")
    frames = next_offset = 0
    with hub.websocket() as client:
        began = time.perf_counter()
        client.send({"type": "run", "script": "lines.sh"})
        while not (payload := client.read_payload(60)).startswith(b'{"type":"exit"'):
            if payload.startswith(b'{"type":"stdout"'):
                frames += 1
                next_offset = _next_offset(payload)
        return Lines(time.perf_counter() - began, frames, next_offset)


def _next_offset(payload: bytes) -> int:
    return int(payload.rpartition(b":")[2].rstrip(b"}"))


class FirstByte(NamedTuple):
    """Median seconds from asking for ``echo hi`` to its first byte, ours and a bare Popen's."""

    toru_s: float
    bare_s: float


def first_byte(hub: HubProcess, repeats: int = 100) -> FirstByte:
    """Measure both in turn, so that both see the same machine."""
    hub.script("echo.sh", "echo hi\n")
    ours: list[float] = []
    bare: list[float] = []
    with hub.websocket() as client:
        for _ in range(repeats):
            began = time.perf_counter()
            client.send({"type": "run", "script": "echo.sh"})
            client.read_until("stdout")
            ours.append(time.perf_counter() - began)
            client.read_until("exit")
            bare.append(_bare_first_byte_s(hub.scripts_dir / "echo.sh"))
    return FirstByte(statistics.median(ours), statistics.median(bare))


def _bare_first_byte_s(script: Path) -> float:
    began = time.perf_counter()
    with subprocess.Popen(["sh", str(script)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        return time.perf_counter() - began


class ManyRuns(NamedTuple):
    """Many runs at once against one: seconds, exit codes and outputs by run."""

    alone_s: float
    together_s: float
    codes: dict[str, int]
    outputs: dict[str, str]


def many_runs(hub: HubProcess, count: int = 200) -> ManyRuns:
    """Run ``echo; sleep 2; echo`` alone, then ``count`` times at once."""
    changed = hub.http("PUT", "/api/settings/max_concurrent_tasks", {"value": str(count)})
    assert changed.status == 200, changed
    hub.script("nap.sh", "echo one\nsleep 2\necho two\n")
    with hub.websocket() as client:
        alone = _run_naps(client, 1)
        together = _run_naps(client, count)
    return together._replace(alone_s=alone.together_s)


def _run_naps(client: WebSocket, count: int) -> ManyRuns:
    codes: dict[str, int] = {}
    outputs: dict[str, str] = {}
    began = time.monotonic()
    for _ in range(count):
        client.send({"type": "run", "script": "nap.sh"})
    while len(codes) < count:
        message = client.read()
        task_id = message.get("task_id", "")
        match message["type"]:
            case "stdout":
                outputs[task_id] = outputs.get(task_id, "") + message["data"]
            case "exit":
                codes[task_id] = message["code"]
            case "error":
                raise AssertionError(message)
    return ManyRuns(0.0, time.monotonic() - began, codes, outputs)


class Viewer(threading.Thread):
    """Watches a run from its first byte; until it is started as a thread it reads nothing."""

    def __init__(self, hub: HubProcess, task_id: str) -> None:
        super().__init__(daemon=True)
        self.socket = hub.websocket()
        self.socket.send({"type": "attach", "task_id": task_id})
        self.next_offset = 0
        self.frames = 0
        self.gaps = 0
        self.ended = False

    def run(self) -> None:
        """Read until the end of the run."""
        while not self.ended:
            payload = self.socket.read_payload(120)
            if payload.startswith(b'{"type":"stdout"'):
                self.frames += 1
                self.next_offset = _next_offset(payload)
            elif payload.startswith(b'{"type":"gap"'):
                self.gaps += 1
            elif payload.startswith(b'{"type":"exit"'):
                self.ended = True


class Pour(NamedTuple):
    """Much output to several viewers."""

    seconds: float
    growth_bytes: int
    lag_p99_s: float
    machine_lag_p99_s: float
    slowest_answer_s: float
    viewers: list[Viewer]


def pour(hub: HubProcess, size_bytes: int, *, viewers: int, stalled: int = 0) -> Pour:
    """Pour output to viewers, and to some that never read; watch memory and the loop meanwhile."""
    gate = hub.folder / "pour.gate"
    gate.unlink(missing_ok=True)
    hub.script(
        "pour.sh",
        f'while [ ! -e "{gate}" ]; do sleep 0.02; done\nyes {"x" * 99} | head -c {size_bytes}\n',
    )
    with hub.websocket() as client:
        client.send({"type": "run", "script": "pour.sh"})
        task_id = client.read_until("started")["task_id"]
    watching = [Viewer(hub, task_id) for _ in range(viewers)]
    others = [Viewer(hub, task_id) for _ in range(stalled)]
    try:
        with MachineLag() as machine:
            result = _watch_pour(hub, gate, watching)
        return result._replace(machine_lag_p99_s=machine.p99_s)
    finally:
        for viewer in watching + others:
            viewer.socket.close()


def _watch_pour(hub: HubProcess, gate: Path, viewers: list[Viewer]) -> Pour:
    pids = hub.pid, runner_pid(hub)
    before = most = memory_bytes(*pids)
    slowest_s = 0.0
    for viewer in viewers:
        viewer.start()
    began = time.monotonic()
    gate.touch()
    while any(viewer.is_alive() for viewer in viewers):
        asked = time.monotonic()
        assert hub.get("/api/health") == {"status": "ok"}
        slowest_s = max(slowest_s, time.monotonic() - asked)
        most = max(most, memory_bytes(*pids))
        assert asked - began < 300, "The viewers did not come to an end."
        time.sleep(0.05)  # the interval of the samples
    seconds = time.monotonic() - began
    return Pour(seconds, most - before, loop_lag_s(hub), 0.0, slowest_s, viewers)
