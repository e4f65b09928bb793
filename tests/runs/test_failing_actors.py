"""Actors that fail in mid-run: they are replaced, and no run notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tornado.ioloop import IOLoop

from tests.conftest import Expectation
from tests.support.hub import HubProcess
from tests.support.hub_actors import hub_actors
from toru.actors.messages.auth import Session
from toru.actors.messages.tasks import GetTask, ReadOutput, StartTask
from toru.actors.runtime import ActorSystem
from toru.errors import ActorCrashed

ADMIN = Session("s", None, "admin", "Administrator", "admin", "2099-01-01T00:00:00.000Z")
ExpectLog = Callable[..., Expectation]


@asynccontextmanager
async def actors_of(folder: Path) -> AsyncIterator[ActorSystem]:
    """Start the actors of a hub, and end its runner afterwards."""
    hub = HubProcess(folder)
    try:
        async with hub_actors(hub.env()) as system:
            yield system
    finally:
        hub.end_runner()


async def _start(system: ActorSystem, name: str) -> str:
    started = await system.address("task_manager").ask(StartTask(name, ADMIN))
    return started.task_id


async def _ended(system: ActorSystem, task_id: str) -> Any:
    while True:
        run = await system.address("task_manager").ask(GetTask(task_id, ADMIN))
        if run.state not in ("queued", "running"):
            return run
        await asyncio.sleep(0.02)


async def _replaced(system: ActorSystem, name: str, times: int = 1) -> None:
    def restarts() -> int:
        entry = system.directory.entry(name)
        return 0 if entry is None or entry.state != "running" else entry.meter.restarts

    while restarts() < times:
        await asyncio.sleep(0.01)


async def _poison(system: ActorSystem) -> None:
    """Send the task manager a message whose session is none, which nothing in it expects."""
    poisoned = StartTask("x.sh", None)  # type: ignore[arg-type]
    with pytest.raises(ActorCrashed, match="failed while"):
        await system.address("task_manager").ask(poisoned)


@pytest.mark.gen_test
@pytest.mark.usefixtures("io_loop")
async def test_a_failing_task_manager_comes_back_with_its_runs(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    async with actors_of(tmp_path) as system:
        gate = tmp_path / "gate"
        script = tmp_path / "scripts" / "long.sh"
        script.write_text(f'echo one\nwhile [ ! -e "{gate}" ]; do sleep 0.02; done\necho two\n')
        task_id = await _start(system, "long.sh")
        with expect_log("task_manager crashed"):
            await _poison(system)
            await _replaced(system, "task_manager")
        gate.touch()
        run = await asyncio.wait_for(_ended(system, task_id), 10)
        assert (run.state, run.output) == ("finished", "one\ntwo\n")
        again = await _start(system, "long.sh")
        assert (await asyncio.wait_for(_ended(system, again), 10)).state == "finished"


@pytest.mark.gen_test
async def test_a_run_that_ends_while_its_manager_is_replaced_ends_as_it_did(
    tmp_path: Path, expect_log: ExpectLog, io_loop: IOLoop
) -> None:
    async with actors_of(tmp_path) as system:
        (tmp_path / "scripts" / "short.sh").write_text("sleep 0.05\nexit 9\n")
        tasks = [await _start(system, "short.sh") for _ in range(8)]
        with expect_log("task_manager crashed"):
            await _poison(system)
        for task_id in tasks:
            await _replaced(system, "task_manager")
            run = await asyncio.wait_for(_ended(system, task_id), 10)
            assert (run.state, run.exit_code) == ("failed", 9)


@pytest.mark.gen_test
async def test_a_failing_run_actor_is_replaced_and_reads_on(
    tmp_path: Path, expect_log: ExpectLog, io_loop: IOLoop
) -> None:
    async with actors_of(tmp_path) as system:
        gate = tmp_path / "gate"
        script = tmp_path / "scripts" / "long.sh"
        script.write_text(f'echo one\nwhile [ ! -e "{gate}" ]; do sleep 0.02; done\necho two\n')
        task_id = await _start(system, "long.sh")
        output = ReadOutput(task_id, ADMIN)
        while not (await system.address("task_manager").ask(output)).data:
            await asyncio.sleep(0.01)
        name = f"task/{task_id}"
        with expect_log(f"{name} crashed"):
            broken = ReadOutput(task_id, ADMIN, offset=None)  # type: ignore[arg-type]
            with pytest.raises(ActorCrashed, match="failed while"):
                await system.address("task_manager").ask(broken)
            await _replaced(system, name)
        gate.touch()
        run = await asyncio.wait_for(_ended(system, task_id), 10)
        assert (run.state, run.output) == ("finished", "one\ntwo\n")
