"""The task manager: who may run what, how many at once, and what became of the runs of before.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import uuid
from collections import OrderedDict
from pathlib import Path
from typing import Any

from toru.actors.messages.auth import Session
from toru.actors.messages.quick_actions import IsNamedByQuickAction
from toru.actors.messages.runner import (
    CancelRun,
    DescribeRuns,
    ForgetRun,
    RunnerConnected,
    RunStatus,
)
from toru.actors.messages.scripts import ResolvedScript, ResolveScript
from toru.actors.messages.settings import GetInForce, SettingsChanged
from toru.actors.messages.storage import (
    DeleteRun,
    GetRun,
    InsertRun,
    ListOpenRuns,
    ListRunNames,
    ListRuns,
    ListRunsToRetire,
    Run,
    RunNames,
    RunState,
)
from toru.actors.messages.tasks import (
    Admit,
    AttachTask,
    Cancel,
    CancelTask,
    DeleteTask,
    Describe,
    GetTask,
    Housekeeping,
    ListTaskNames,
    ListTasks,
    Output,
    ReadOutput,
    ReadStretch,
    Recheck,
    StartTask,
    TaskEnded,
    TaskIdle,
    TaskPlan,
    TaskStarted,
)
from toru.actors.runtime import (
    ActorContext,
    Address,
    Children,
    ChildSpec,
    LoopActor,
    Message,
    Restart,
)
from toru.actors.task import Task, TaskServices
from toru.clock import format_time, parse_time, utc_now
from toru.domain.permissions import owns
from toru.domain.script_environment import clean_environment, environment_for
from toru.domain.uuid7 import uuid7
from toru.errors import Conflict, DeadlineExceeded, Forbidden, MailboxFull, NotFound, ToruError

logger = logging.getLogger("toru.task_manager")

HOUSEKEEPING_S = 3600.0
_SETTLE_S = 1.0
"""Settings often change together; the history is looked at once they have."""

_OPEN = ("queued", "running")
_DAY_S = 86_400


class TaskManager(LoopActor):
    """Starts, queues and finds runs; supervises one `Task` actor a run.

    At its start the rows that are still open get their actors back; each then ends as it really
    ended, as soon as the runner says which runs it holds.
    """

    mailbox_limit = 20_000

    def __init__(
        self,
        context: ActorContext,
        services: TaskServices,
        scripts: Address,
        quick_actions: Address,
        settings: Address,
    ) -> None:
        super().__init__(context)
        self._services = services
        self._scripts = scripts
        self._quick_actions = quick_actions
        self._settings_actor = settings
        self._children = Children(context.system, context.name, self._task_gone)
        self._queue: OrderedDict[str, None] = OrderedDict()
        self._running: set[str] = set()
        self._accepting = 0

    async def on_start(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Give the open runs of before their actors back."""
        self._settings = await self._settings_actor.ask(GetInForce())
        for run in await self._services.db_reader.ask(ListOpenRuns()):
            if run.state == "running":
                self._start_actor(self._bare_plan(run))
                self._running.add(run.id)
            else:
                await self._take_up_queued(run)
        self.timers.after("housekeeping", 60.0, Housekeeping())
        if self.context.meter.restarts:  # the runner told its runs to the actor before this one
            self.background(self._catch_up())

    async def _catch_up(self) -> None:
        with contextlib.suppress(ToruError):
            await self._reconcile(await self._services.runner.ask(DescribeRuns()))

    async def on_stop(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Stop the actors of the runs; the runs themselves go on in the runner."""
        await self._children.stop_all()

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message."""
        match message:
            case StartTask():
                return self._start(message)
            case CancelTask(task_id=task_id, session=session):
                return self._cancel(task_id, session)
            case GetTask(task_id=task_id, session=session):
                return self._get(task_id, session)
            case ListTasks():
                return self._list(message)
            case ListTaskNames(session=session):
                return self._list_names(session)
            case DeleteTask(task_id=task_id, session=session):
                return self._delete(task_id, session)
            case ReadOutput():
                return self._read_output(message)
            case AttachTask(task_id=task_id, session=session):
                return self._attach(task_id, session)
            case TaskEnded(task_id=task_id):
                self._free(task_id)
            case TaskIdle(task_id=task_id):
                return self._children.stop(_name(task_id))
            case RunnerConnected(runs=runs):
                return self._reconcile(runs)
            case SettingsChanged():
                return self._read_settings()
            case Housekeeping():
                return self._keep_house()
            case _:
                return super().on_receive(message)
        return None

    # Starting

    async def _start(self, message: StartTask) -> TaskStarted:
        self._check_room()
        self._accepting += 1
        try:
            await self._check_may_run(message.script, message.session)
            script = await self._scripts.ask(ResolveScript(message.script))
            run = _new_run(message, script.name)
            plan = self._plan(run, script)
            await self._insert(run)
            self._start_actor(plan)
            self._queue[run.id] = None
        finally:
            self._accepting -= 1
        self._admit()
        return TaskStarted(run.id, waiting=run.id in self._queue)

    async def _insert(self, run: Run) -> None:
        try:
            await self._services.db_writer.ask(InsertRun(run))
        except DeadlineExceeded:
            self._services.db_writer.tell(DeleteRun(run.id))  # it was refused, so it must not be
            raise

    def _check_room(self) -> None:
        waiting = len(self._queue) + self._accepting
        free = max(0, self._settings.max_concurrent_tasks - len(self._running))
        if waiting >= self._settings.max_queued_tasks + free:
            raise MailboxFull(f"{waiting} runs wait already; try again when some have ended.")

    async def _check_may_run(self, script: str, session: Session) -> None:
        if session.is_admin:
            return
        if not await self._quick_actions.ask(IsNamedByQuickAction(script)):
            raise Forbidden("You may only run scripts that a quick action names.")

    def _plan(self, run: Run, script: ResolvedScript) -> TaskPlan:
        settings = self._settings
        environment = clean_environment(os.environ)
        return TaskPlan(
            run=run,
            argv=script.argv,
            cwd=script.cwd,
            env=environment | environment_for(script.parameters, run.args),
            output_limit_bytes=settings.max_output_bytes,
            cancel_grace_s=settings.cancel_grace_s,
            leftovers=settings.leftover_policy,
            time_limit_s=settings.run_time_limit_s or None,
        )

    def _bare_plan(self, run: Run) -> TaskPlan:
        """Return the plan of a run that is not to be started by us."""
        return TaskPlan(run=run, cancel_grace_s=self._settings.cancel_grace_s)

    def _start_actor(self, plan: TaskPlan) -> Address:
        spec = ChildSpec(
            _name(plan.run.id), Task, args=(plan, self._services), restart=Restart.TRANSIENT
        )
        return self._children.start(spec)

    def _admit(self) -> None:
        while self._queue and len(self._running) < self._settings.max_concurrent_tasks:
            task_id, _ = self._queue.popitem(last=False)
            self._running.add(task_id)
            self._task(task_id).tell(Admit())

    def _free(self, task_id: str) -> None:
        self._queue.pop(task_id, None)
        self._running.discard(task_id)
        self._admit()

    def _task_gone(self, name: str, error: BaseException | None) -> None:
        """A run's actor is given up: its slot is free, and the row ends at the next start."""
        if error is not None:
            self._free(name.removeprefix("task/"))

    # Looking

    async def _find(self, task_id: str, session: Session) -> Run:
        """Return the row of a run that the session may see, live or from the database.

        Raises:
            NotFound: there is none; what is another user's looks the same.
        """
        run: Run | None
        if _name(task_id) in self._children:
            run = await self._task(task_id).ask(Describe())
        else:
            run = await self._services.db_reader.ask(GetRun(task_id))
        if run is None or not owns(session, run.user_id):
            raise NotFound("There is no such run.")
        return run

    async def _get(self, task_id: str, session: Session) -> Run:
        return await self._find(task_id, session)

    async def _list(self, message: ListTasks) -> list[Run]:
        return await self._services.db_reader.ask(
            ListRuns(
                limit=message.limit,
                before=message.before,
                user_id=message.session.user_id,
                own_only=not message.session.is_admin,
                state=message.state,
                script=message.script,
                username=message.username,
                query=message.query,
                with_output=message.with_output,
                after=message.after,
                until=message.until,
            )
        )

    async def _list_names(self, session: Session) -> RunNames:
        question = ListRunNames(session.user_id, own_only=not session.is_admin)
        return await self._services.db_reader.ask(question)

    async def _attach(self, task_id: str, session: Session) -> None:
        await self._reach(task_id, session)

    async def _reach(self, task_id: str, session: Session) -> Address:
        """Return the actor of a run; one that ended long ago gets an actor again."""
        run = await self._find(task_id, session)
        if _name(task_id) not in self._children:
            self._start_actor(self._bare_plan(run))
        return self._task(task_id)

    async def _read_output(self, message: ReadOutput) -> Output:
        task = await self._reach(message.task_id, message.session)
        return await task.ask(ReadStretch(message.offset, message.limit_bytes))

    # Ending

    async def _cancel(self, task_id: str, session: Session) -> RunState:
        run = await self._find(task_id, session)
        if run.state not in _OPEN:
            raise Conflict(f"The run has ended already: it is {run.state}.")
        return await self._task(task_id).ask(Cancel())

    async def _delete(self, task_id: str, session: Session) -> None:
        run = await self._find(task_id, session)
        if run.state in _OPEN:
            raise Conflict("The run has not ended; cancel it first.")
        await self._remove(task_id)

    async def _remove(self, task_id: str) -> None:
        await self._services.db_writer.ask(DeleteRun(task_id))
        await self._children.stop(_name(task_id))
        directory = self._services.runs_dir / task_id
        await asyncio.to_thread(_remove_directory, directory)

    async def _keep_house(self) -> None:
        self.timers.after("housekeeping", HOUSEKEEPING_S, Housekeeping())
        settings = self._settings
        days, keep = settings.history_retention_days, settings.history_max_runs
        before = format_time(parse_time(utc_now()) - days * _DAY_S) if days else None
        for task_id in await self._services.db_reader.ask(ListRunsToRetire(before, keep or None)):
            await self._remove(task_id)

    # After a start, and whenever the runner is there again

    async def _take_up_queued(self, run: Run) -> None:
        try:
            script = await self._scripts.ask(ResolveScript(run.script_name))
            plan = self._plan(run, script)
        except ToruError as error:
            logger.warning("The waiting run of %s cannot start: %s", run.script_name, error)
            plan = self._bare_plan(run)
        self._start_actor(plan)
        self._queue[run.id] = None

    async def _reconcile(self, runs: tuple[RunStatus, ...]) -> None:
        """Tell every run's actor what the runner knows of it; end what nobody knows."""
        by_id = {status.id: status for status in runs}
        for name in self._children.names():
            task_id = name.removeprefix("task/")
            status = by_id.pop(task_id, None)
            if status is not None and self._queue.pop(task_id, False) is None:
                self._running.add(task_id)
            with contextlib.suppress(ToruError):
                self._task(task_id).tell(Recheck(status))
        for status in by_id.values():
            if _is_task_id(status.id):
                await self._settle_stranger(status)
        self._admit()

    async def _settle_stranger(self, status: RunStatus) -> None:
        """A run that no open row speaks of: its end is recorded already, or its row is gone."""
        if status.exit is None:
            logger.warning("The runner holds run %s, which no row speaks of; ending it.", status.id)
            await self._services.runner.ask(CancelRun(status.id, self._settings.cancel_grace_s))
        else:
            await self._services.runner.ask(ForgetRun(status.id))

    async def _read_settings(self) -> None:
        self._settings = await self._settings_actor.ask(GetInForce())
        self._admit()
        self.timers.after("housekeeping", _SETTLE_S, Housekeeping())

    def _task(self, task_id: str) -> Address:
        return self.context.system.address(_name(task_id))


def _name(task_id: str) -> str:
    return f"task/{task_id}"


def _new_run(message: StartTask, script_name: str) -> Run:
    session = message.session
    return Run(
        id=uuid7(),
        script_name=script_name,
        state="queued",
        user_id=session.user_id,
        username=session.username,
        trigger=message.trigger,
        created_at=utc_now(),
        args=dict(message.args),
    )


def _is_task_id(run_id: str) -> bool:
    try:
        return str(uuid.UUID(run_id)) == run_id
    except ValueError:
        return False


def _remove_directory(directory: Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)
