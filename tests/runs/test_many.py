"""A thousand runs asked for at once, and the history that is kept of them."""

from __future__ import annotations

from pathlib import Path

from tests.support import load
from tests.support.hub import HubProcess, wait_until


def test_a_thousand_runs_asked_for_at_once_all_end_and_leave_nothing(own_hub: HubProcess) -> None:
    hub = own_hub
    hub.run(hub.script("warm.sh", "echo warm\n"))
    runner = load.runner_pid(hub)
    pids = hub.pid, runner
    hub.script("quick.sh", "echo $TORU_RUN_ID\n")
    with hub.websocket() as socket:
        for _ in range(1000):
            socket.send({"type": "run", "script": "quick.sh"})
        outputs: dict[str, str] = {}
        ended = refused = 0
        while ended + refused < 1000:
            message = socket.read(60)
            if message["type"] == "stdout":
                outputs[message["task_id"]] = message["data"]
            ended += message["type"] == "exit"
            refused += message["type"] == "error"
    before = load.memory_bytes(*pids)
    assert refused == 0
    assert outputs == {task_id: f"{task_id}\n" for task_id in outputs}
    assert len(outputs) == 1000
    for pid in pids:
        wait_until(
            lambda pid=pid: len(list(Path(f"/proc/{pid}/fd").iterdir())) < 60,
            what="few descriptors",
        )
    assert list((hub.data_dir / "runner" / "live").iterdir()) == []
    assert hub.get("/api/history?limit=1000&state=running") == []
    assert load.memory_bytes(*pids) <= before + 8 * load.MIB


def test_runs_beyond_the_history_that_is_kept_are_removed_with_their_output(
    own_hub: HubProcess,
) -> None:
    hub = own_hub
    hub.script("old.sh", "echo old\n")
    for _ in range(5):
        hub.run("old.sh")
    runs = hub.data_dir / "runs"
    assert len(list(runs.iterdir())) == 5
    newest = [row["id"] for row in hub.get("/api/history")][:2]
    changed = hub.http("PUT", "/api/settings/history_max_runs", {"value": "2"})
    assert changed.status == 200
    wait_until(lambda: len(hub.get("/api/history")) == 2, what="the removal of three runs")
    assert [row["id"] for row in hub.get("/api/history")] == newest
    wait_until(
        lambda: sorted(path.name for path in runs.iterdir()) == sorted(newest),
        what="the removal of their output",
    )


def test_a_deleted_run_is_gone_with_its_output_and_a_running_one_stays(
    own_hub: HubProcess,
) -> None:
    hub = own_hub
    hub.script("gone.sh", "echo gone\n")
    hub.script("stays.sh", "echo stays\nsleep 600\n")
    hub.run("gone.sh")
    task_id = hub.get("/api/history")[0]["id"]
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "stays.sh"})
        running = socket.read_until("stdout")["task_id"]
    assert hub.http("DELETE", f"/api/tasks/{running}").status == 409
    assert hub.http("DELETE", f"/api/tasks/{task_id}").status == 200
    assert hub.http("GET", f"/api/tasks/{task_id}").status == 404
    assert hub.http("DELETE", f"/api/tasks/{task_id}").status == 404
    assert not (hub.data_dir / "runs" / task_id).exists()
    assert hub.get(f"/api/tasks/{running}")["state"] == "running"
