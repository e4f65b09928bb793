"""What tests of the routes share: a hub for a whole module, and waiting for a run's end.

Runs on: the test's thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.hub import HubProcess, wait_until

OPEN = ("queued", "running")


@contextmanager
def serving(folder: Path, **environment: str) -> Iterator[HubProcess]:
    """Have a hub for the block; fail when its log has a traceback or an error after it."""
    with HubProcess(folder, **environment) as hub:
        yield hub
    complaints = [line for line in hub.log.splitlines() if " ERROR " in line or "Trace" in line]
    assert not complaints, hub.log


def start(hub: HubProcess, script: str, *, cookie: str | None = None, **args: str) -> str:
    """Start a run over HTTP and return its id."""
    answer = hub.http("POST", "/api/tasks", {"script": script, "args": args}, cookie=cookie)
    assert answer.status == 200, answer
    task_id: str = answer.json["task_id"]
    return task_id


def finish(hub: HubProcess, task_id: str) -> dict[str, Any]:
    """Wait for the end of a run and return it."""

    def ended() -> dict[str, Any] | None:
        run: dict[str, Any] = hub.get(f"/api/tasks/{task_id}")
        return None if run["state"] in OPEN else run

    run: dict[str, Any] = wait_until(ended, what=f"the end of {task_id}")
    return run


def run_script(hub: HubProcess, script: str, **args: str) -> dict[str, Any]:
    """Run a script to its end and return the run."""
    return finish(hub, start(hub, script, **args))
