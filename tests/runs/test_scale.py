"""Many runs, much output, slow viewers: nothing grows, nothing stands still."""

from __future__ import annotations

import shutil
import statistics
from pathlib import Path

import psutil

from tests.support import load
from tests.support.hub import HubProcess, wait_until


def _descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def _zombies(parent: int) -> list[int]:
    children = psutil.Process(parent).children(recursive=True)
    return [child.pid for child in children if child.status() == psutil.STATUS_ZOMBIE]


def test_200_runs_at_once_all_end_without_zombies_and_with_flat_descriptors(
    own_hub: HubProcess,
) -> None:
    hub = own_hub
    hub.run(hub.script("warm.sh", "echo warm\n"))
    runner = load.runner_pid(hub)
    before = _descriptors(hub.pid), _descriptors(runner)
    threads = psutil.Process(hub.pid).num_threads()
    result = load.many_runs(hub, 200)
    assert list(result.codes.values()) == [0] * 200
    assert list(result.outputs.values()) == ["one\ntwo\n"] * 200
    assert _zombies(runner) == []
    assert psutil.Process(hub.pid).num_threads() <= threads + 2
    wait_until(
        lambda: _descriptors(hub.pid) <= before[0] + 8 and _descriptors(runner) <= before[1] + 2,
        timeout_s=60,
        what="the descriptors of before",
    )
    assert result.together_s <= 1.5 * result.alone_s


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


def test_three_million_lines_reach_a_client_whole_and_within_the_budget(
    own_hub: HubProcess,
) -> None:
    own_hub.script("seq.sh", f"seq {load.LINES}\n")
    output, end = own_hub.run("seq.sh", timeout_s=60)
    assert end["code"] == 0
    assert output == "".join(f"{number}\n" for number in range(1, load.LINES + 1))
    pairs = [(load.lines_to_one_client(own_hub), load.bare_copy_s()) for _ in range(3)]
    assert {ours.next_offset for ours, _ in pairs} == {load.LINES_BYTES}
    assert min(ours.seconds / bare_s for ours, bare_s in pairs) <= 5


def test_a_viewer_that_stops_reading_costs_no_memory_and_delays_nobody(tmp_path: Path) -> None:
    size = 512 * load.MIB
    lags_s = []
    for attempt in range(3):
        with HubProcess(tmp_path / str(attempt)) as hub:
            kept = {"value": str(2 * size)}
            assert hub.http("PUT", "/api/settings/max_output_bytes", kept).status == 200
            hub.run(hub.script("warm.sh", "echo warm\n"))
            result = load.pour(hub, size, viewers=2, stalled=1)
        for viewer in result.viewers:
            assert (viewer.ended, viewer.gaps, viewer.next_offset) == (True, 0, size)
        assert result.growth_bytes < 64 * load.MIB
        # What the machine adds for a process that only sleeps is not the loop's doing.
        lags_s.append(result.lag_p99_s - result.machine_lag_p99_s)
        shutil.rmtree(tmp_path / str(attempt))
    assert statistics.median(lags_s) <= 0.020


def test_fifty_viewers_all_come_to_the_end(own_hub: HubProcess) -> None:
    result = load.pour(own_hub, 256 * load.MIB, viewers=50)
    for viewer in result.viewers:
        assert viewer.ended
        assert viewer.gaps or viewer.next_offset == 256 * load.MIB
    assert result.growth_bytes < 64 * load.MIB


def test_output_over_the_cap_is_a_marked_gap_and_the_script_is_not_held_up(
    own_hub: HubProcess,
) -> None:
    hub, size, kept = own_hub, 64 * load.MIB, 4 * load.MIB
    assert hub.http("PUT", "/api/settings/max_output_bytes", {"value": str(kept)}).status == 200
    hub.script("much.sh", f"yes {'x' * 99} | head -c {size}\n")
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "much.sh"})
        task_id = socket.read_until("exit", timeout_s=60)["task_id"]
        socket.send({"type": "attach", "task_id": task_id})
        position, received, gaps = 0, 0, []
        while (message := socket.read())["type"] != "exit":
            if message["type"] == "gap":
                assert message["from"] == position
                gaps.append((message["from"], message["to"]))
                position = message["to"]
            else:
                received += len(message["data"])
                position += len(message["data"])
                assert message["offset"] == position
    assert position == size
    assert gaps == [(kept // 2, size - kept // 2)]
    assert received == kept
    raw = hub.http("GET", f"/api/tasks/{task_id}/output?format=raw").body
    assert b"bytes of output are missing here" in raw
    directory = hub.data_dir / "runs" / task_id
    assert sum(path.stat().st_blocks * 512 for path in directory.iterdir()) < 2 * kept
