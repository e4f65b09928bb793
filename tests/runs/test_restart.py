"""The hub goes away and comes back; the runs do not notice."""

from __future__ import annotations

import os
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.websocket import Closed
from toru.clock import parse_time

COUNTER = """#!/bin/bash
i=0
while [ $i -lt {count} ]; do echo "line $i"; i=$((i+1)); sleep {pause}; done
echo done > "{mark}"
exit 42
"""


def _start_counter(hub: HubProcess, count: int, pause: float) -> tuple[str, str, int, Path]:
    """Run a counter, read some of it, and return its id, what was read, and up to where."""
    mark = hub.folder / "mark"
    hub.script("counter.bash", COUNTER.format(count=count, pause=pause, mark=mark))
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "counter.bash"})
        task_id = socket.read_until("started")["task_id"]
        read, offset = "", 0
        while read.count("\n") < 20:
            message = socket.read_until("stdout")
            read, offset = read + message["data"], message["offset"]
    return task_id, read, offset, mark


def _counted(count: int) -> str:
    return "".join(f"line {number}\n" for number in range(count))


def test_a_run_survives_the_death_of_the_hub_with_every_line_once(own_hub: HubProcess) -> None:
    hub = own_hub
    count, pause = 300, 0.02  # a counter of some six seconds: the hub is back in two
    task_id, read, offset, _ = _start_counter(hub, count, pause)
    hub.kill()
    hub.start()
    hub.log_in()
    assert hub.get(f"/api/tasks/{task_id}")["state"] == "running"
    with hub.websocket() as socket:
        socket.send({"type": "attach", "task_id": task_id, "offset": offset})
        rest, end = socket.read_run(timeout_s=60)
    assert read + rest == _counted(count)
    assert end == {"type": "exit", "task_id": task_id, "code": 42}
    row = hub.get(f"/api/tasks/{task_id}")
    assert (row["state"], row["exit_code"]) == ("failed", 42)
    assert abs(parse_time(row["finished_at"]) - time.time()) < 5


def test_a_run_that_ended_while_no_hub_was_there_has_its_code_and_its_time(
    own_hub: HubProcess,
) -> None:
    hub = own_hub
    count = 150
    task_id, read, offset, mark = _start_counter(hub, count, 0.01)
    hub.kill()
    wait_until(mark.exists, what="the end of the script")
    ended_at = mark.stat().st_mtime
    assert _stored_state(hub, task_id) == "running"
    time.sleep(1.5)  # so that a wrong time would show
    hub.start()
    hub.log_in()
    with hub.websocket() as socket:
        socket.send({"type": "attach", "task_id": task_id, "offset": offset})
        rest, end = socket.read_run()
    assert read + rest == _counted(count)
    assert end["code"] == 42
    row = wait_until(lambda: _ended(hub, task_id), what="the recorded end")
    assert abs(parse_time(row["finished_at"]) - ended_at) < 0.5
    assert row["output"].endswith(f"line {count - 1}\n")


def _stored_state(hub: HubProcess, task_id: str) -> str:
    with sqlite3.connect(hub.data_dir / "steering.db") as database:
        row = database.execute("select state from task_history where id = ?", (task_id,))
        return str(row.fetchone()[0])


def _ended(hub: HubProcess, task_id: str) -> dict[str, object] | None:
    row: dict[str, object] = hub.get(f"/api/tasks/{task_id}")
    return row if row["state"] != "running" else None


def test_a_regular_stop_leaves_the_runs_alone_and_exits_with_0(own_hub: HubProcess) -> None:
    hub = own_hub
    task_id, read, offset, _ = _start_counter(hub, 200, 0.01)
    assert hub.stop() == 0
    hub.start()
    hub.log_in()
    with hub.websocket() as socket:
        socket.send({"type": "attach", "task_id": task_id, "offset": offset})
        rest, end = socket.read_run()
    assert read + rest == _counted(200)
    assert end["code"] == 42


def test_a_stop_tells_the_websockets_that_the_hub_goes_away(own_hub: HubProcess) -> None:
    with own_hub.websocket() as socket:
        socket.send({"type": "ping"})
        assert socket.read()["type"] == "pong"
        assert own_hub.stop() == 0
        with pytest.raises(Closed) as closed:
            socket.read()
    assert closed.value.code == 1001


def test_waiting_runs_survive_a_restart_and_are_run_once(own_hub: HubProcess) -> None:
    hub = own_hub
    hub.http("PUT", "/api/settings/max_concurrent_tasks", {"value": "1"})
    marks = hub.folder / "marks"
    hub.script("once.sh", f'echo x >> "{marks}"\nsleep 0.3\n')
    with hub.websocket() as socket:
        for _ in range(5):
            socket.send({"type": "run", "script": "once.sh"})
        for _ in range(5):
            socket.read_until("started", "queued")
    hub.kill()
    hub.start()
    hub.log_in()
    wait_until(
        lambda: {row["state"] for row in hub.get("/api/history")} == {"finished"},
        what="the end of all runs",
    )
    assert len(hub.get("/api/history")) == 5
    assert marks.read_text() == "x\n" * 5


def test_a_run_whose_runner_was_killed_is_interrupted_and_the_next_one_works(
    own_hub: HubProcess,
) -> None:
    hub = own_hub
    pid_file = hub.folder / "pid"
    hub.script("victim.sh", f'echo $$ > "{pid_file}"\necho begun\nsleep 600\n')
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "victim.sh"})
        task_id = socket.read_until("stdout")["task_id"]
        victim = int(pid_file.read_text())
        runner = int(Path(f"/proc/{victim}/stat").read_text().rpartition(")")[2].split()[1])
        os.kill(runner, signal.SIGKILL)
        _, end = socket.read_run()
    assert end["type"] in ("exit", "error"), end
    row = wait_until(lambda: _ended(hub, task_id), what="the end of the run")
    assert row["state"] == "interrupted"
    assert row["output"] == "begun\n"
    wait_until(lambda: not Path(f"/proc/{victim}").exists(), what="the end of the process")
    hub.script("next.sh", "echo next\n")
    assert hub.run("next.sh")[0] == "next\n"
