"""One run: its life, its output and those who watch it.

Runs on: the event loop. Reads of output are short (one ``pread`` of fresh bytes, which the page
cache holds), so they are done here rather than on a thread: measured in ``docs/architecture.md``.
"""

from __future__ import annotations

import contextlib
import logging
from pathlib import Path
from typing import Any

import msgspec

from toru.actors.messages.hub import Publish
from toru.actors.messages.runner import (
    CancelRun,
    ExitReport,
    FollowRun,
    ForgetRun,
    RunExited,
    RunProgress,
    RunStage,
    RunStarted,
    RunStatus,
    SpawnRun,
)
from toru.actors.messages.storage import FinishRun, GetRun, MarkRunStarted, Run
from toru.actors.messages.tasks import (
    Admit,
    Cancel,
    Describe,
    LingerOver,
    ReadFrames,
    ReadStretch,
    Recheck,
    RetryCancel,
    RetryRecord,
    TaskEnded,
    TaskGrew,
    TaskIdle,
    TaskNotice,
    TaskPlan,
    TaskReplaced,
    Unview,
    View,
)
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.actors.task_output import TaskOutput
from toru.clock import utc_now
from toru.domain import task_lifecycle as life
from toru.domain.run_view import view_of
from toru.errors import Conflict, ToruError, Unavailable
from toru.runner.records import read_exit

logger = logging.getLogger("toru.task")

LINGER_S = 30.0
"""How long the actor of an ended run stays when nobody looks at it."""

_RETRY_S = 2.0
_encode = msgspec.json.encode


class TaskServices(msgspec.Struct, frozen=True):
    """Whom a run's actor talks to, and where the runs are."""

    runs_dir: Path
    runner: Address
    db_writer: Address
    db_reader: Address
    hub: Address
    task_manager: Address


class Task(LoopActor):
    """The actor of one run, live or ended.

    Stopping it leaves the run alone: the runner holds it, and the next actor of its name finds
    it again.
    """

    mailbox_limit = 10_000

    def __init__(self, context: ActorContext, plan: TaskPlan, services: TaskServices) -> None:
        super().__init__(context)
        self._plan = plan
        self._services = services
        self._run = plan.run
        self._state = _state_of(plan.run)
        self._viewers: set[str] = set()
        self._output = TaskOutput(services.runs_dir / plan.run.id, plan.run.id)
        self._unrecorded: FinishRun | None = None
        self._end_frames: tuple[bytes, ...] | None = None
        self._stage: TaskNotice | None = None

    @property
    def _id(self) -> str:
        return self._plan.run.id

    async def on_start(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Take up where an earlier actor of this run has left off."""
        if self.context.meter.restarts:
            row = await self._services.db_reader.ask(GetRun(self._id))
            self._run = row or self._run
            self._state = _state_of(self._run)
            self._recheck(await self._services.runner.ask(FollowRun(self._id, self.context.name)))
            self._services.hub.tell(TaskReplaced(self._id))
        if self._state.phase == "running":
            self._output.look()
        if self._state.phase == "ended":
            self._output.finish(self._run.output_size)
            self._end_frames = _end_frames(self._run)
            self._linger()

    def on_stop(self) -> None:
        """Close the output."""
        self._output.close()

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message."""
        match message:
            case RunStarted(started_at=at):
                self._apply(life.Started(at))
            case RunProgress(size=size):
                self._grow(size)
            case ReadFrames(offset=offset):
                return self._output.frames(offset, viewers=len(self._viewers))
            case ReadStretch(offset=offset, limit_bytes=limit_bytes):
                return self._output.stretch(offset, limit_bytes)
            case View(client=client):
                self._viewers.add(client)
                self._tell_viewer(client, self._growth())
                if self._stage is not None:
                    self._tell_viewer(client, self._stage)
            case Unview(client=client):
                self._viewers.discard(client)
                self._linger()
            case Admit():
                self._apply(life.Admitted())
            case Cancel():
                return self._cancel()
            case RunExited(report=report):
                self._exited(report)
            case RunStage(stage=stage):
                self._stage = TaskNotice(
                    self._id, _cancelling(self._id, stage, self._plan.cancel_grace_s)
                )
                self._tell_viewers(self._stage)
            case Recheck(status=status):
                return self._recheck_and_follow(status)
            case Describe():
                return msgspec.structs.replace(self._run, output_size=self._size())
            case RetryRecord():
                return self._record_end()
            case RetryCancel():
                return self._ask_for_end() if self._state.phase == "cancelling" else None
            case LingerOver():
                self._linger_over()
            case _:
                return super().on_receive(message)
        return None

    # The life

    def _apply(self, event: life.Event) -> None:
        self._state, instructions = life.decide(self._state, event)
        for instruction in instructions:
            match instruction:
                case life.Spawn():
                    self.background(self._spawn())
                case life.RecordStart(at):
                    self._started(at)
                case life.AskForEnd():
                    self.background(self._ask_for_end())
                case life.RecordEnd(ending, at, code, detail):
                    self._ended(ending, at, code, detail)

    def _cancel(self) -> str:
        if self._state.phase == "ended":
            raise Conflict(f"The run has ended already: it is {self._run.state}.")
        self._apply(life.CancelAsked(utc_now()))
        return self._run.state

    async def _spawn(self) -> None:
        plan = self._plan
        directory = str(self._services.runs_dir / self._id)
        message = SpawnRun(
            id=self._id,
            owner=self.context.name,
            argv=plan.argv,
            cwd=plan.cwd,
            env=plan.env,
            directory=directory,
            output_limit_bytes=plan.output_limit_bytes,
            leftovers=plan.leftovers,
            time_limit_s=plan.time_limit_s,
        )
        try:
            await self._services.runner.ask(message, deadline_s=30.0)
        except ToruError as error:
            if error.code == "already_ran":  # by an earlier hub, which told nobody
                self._look_on_disk()
            else:
                self._apply(life.Refused(utc_now(), error.sentence))

    def _started(self, at: str) -> None:
        self._run = msgspec.structs.replace(self._run, state="running", started_at=at)
        self._tell_viewers(self._growth())
        self._publish()
        self.background(self._record_start(at))

    async def _record_start(self, at: str) -> None:
        try:
            await self._services.db_writer.ask(MarkRunStarted(self._id, at))
        except ToruError as error:
            logger.warning("The start of run %s is not written down: %s", self._id, error)

    async def _ask_for_end(self) -> None:
        try:
            await self._services.runner.ask(CancelRun(self._id, self._plan.cancel_grace_s))
        except ToruError as error:
            logger.warning("The end of run %s could not be asked for: %s", self._id, error)
            self.timers.after("cancel", _RETRY_S, RetryCancel())

    def _exited(self, report: ExitReport) -> None:
        if self._state.phase == "ended":
            return
        self._output.finish(report.size)
        self._run = msgspec.structs.replace(
            self._run,
            started_at=self._run.started_at or report.started_at,
            output_size=report.size,
            cpu_s=report.cpu_s,
            max_rss_bytes=report.max_rss_bytes,
        )
        left = [item for item in report.leftovers if not item.ended]
        if left:
            names = ", ".join(f"{item.name} ({item.pid})" for item in left)
            self._run = msgspec.structs.replace(self._run, detail=f"Still running: {names}.")
        self._apply(life.Exited(report.finished_at, report.code, report.reason))

    def _ended(self, ending: life.Ending, at: str, code: int | None, detail: str | None) -> None:
        size = self._size()
        self._output.finish(size)
        self._run = msgspec.structs.replace(
            self._run,
            state=ending,
            finished_at=at,
            exit_code=code,
            output_size=size,
            output=self._output.tail_text(),
            detail=detail or self._run.detail,
        )
        run = self._run
        self._unrecorded = FinishRun(
            id=run.id,
            state=run.state,
            finished_at=at,
            exit_code=code,
            output=run.output,
            output_size=size,
            cpu_s=run.cpu_s,
            max_rss_bytes=run.max_rss_bytes,
            detail=run.detail,
        )
        self.background(self._record_end())

    async def _record_end(self) -> None:
        """Write the end down, then tell the viewers; a failed write is tried again for ever."""
        row = self._unrecorded
        if row is None:
            return
        try:
            await self._services.db_writer.ask(row)
        except ToruError as error:
            logger.warning("The end of run %s is not written down yet: %s", self._id, error)
            self.timers.after("record", _RETRY_S, RetryRecord())
        else:
            self._unrecorded = None
            await self._forget_in_runner()
        self._tell_end()

    async def _forget_in_runner(self) -> None:
        with contextlib.suppress(ToruError):  # after a reconnection the task manager sees to it
            await self._services.runner.ask(ForgetRun(self._id))

    def _tell_end(self) -> None:
        if self._end_frames is not None:
            return
        self._end_frames = _end_frames(self._run)
        self._stage = None
        self._tell_viewers(self._growth())
        self._publish()
        self._services.task_manager.tell(TaskEnded(self._id))
        self._linger()

    # What the runner knows

    async def _recheck_and_follow(self, status: RunStatus | None) -> None:
        if status is not None:
            status = await self._services.runner.ask(FollowRun(self._id, self.context.name))
        self._recheck(status)

    def _recheck(self, status: RunStatus | None) -> None:
        """Make this run's state what the runner, or the disk, says it is."""
        if self._state.phase == "ended":
            if status is not None and self._unrecorded is None:
                self.background(self._forget_in_runner())
            return
        if status is not None:
            self._apply(life.Started(status.started_at))
            self._grow(status.size)
            if status.exit is not None:
                self._exited(status.exit)
            elif self._state.phase == "cancelling":
                self.background(self._ask_for_end())
        elif self._state.phase in ("running", "cancelling"):
            self._look_on_disk()

    def _look_on_disk(self) -> None:
        report = read_exit(self._services.runs_dir / self._id)
        if report is not None:
            self._exited(msgspec.convert(report, ExitReport))
        else:
            self._apply(life.Lost(utc_now(), "Nobody was there to see how it ended."))

    # The viewers

    def _size(self) -> int:
        return max(self._output.size, self._run.output_size)

    def _growth(self) -> TaskGrew:
        started = self._run.started_at is not None
        return TaskGrew(self._id, started, self._size(), self._end_frames)

    def _grow(self, size: int) -> None:
        if self._output.grow(size):
            self._tell_viewers(self._growth())

    def _tell_viewers(self, message: Message[None]) -> None:
        for client in tuple(self._viewers):
            self._tell_viewer(client, message)

    def _tell_viewer(self, client: str, message: Message[None]) -> None:
        try:
            self.context.system.address(client).tell(message)
        except Unavailable:
            self._viewers.discard(client)

    def _publish(self) -> None:
        data = msgspec.Raw(_encode(view_of(msgspec.structs.replace(self._run, output=""))))
        self._services.hub.tell(Publish("tasks", data, owner_id=self._run.user_id, owned=True))

    def _linger(self) -> None:
        if self._end_frames is not None and not self._viewers:
            self._output.close()
            self.timers.after("linger", LINGER_S, LingerOver())

    def _linger_over(self) -> None:
        if not self._viewers and self._unrecorded is None:
            self._services.task_manager.tell(TaskIdle(self._id))


def _state_of(run: Run) -> life.TaskState:
    match run.state:
        case "queued":
            return life.TaskState("queued")
        case "running":
            return life.TaskState("running")
        case _:
            return life.ENDED


def _end_frames(run: Run) -> tuple[bytes, ...]:
    """Return the frames that close a viewer's stream."""
    if run.state == "cancelled":
        return (_encode({"type": "cancelled", "task_id": run.id}),)
    ending = _encode({"type": "exit", "task_id": run.id, "code": run.exit_code})
    if run.detail is None:
        return (ending,)
    return (_encode({"type": "error", "task_id": run.id, "data": run.detail}), ending)


def _cancelling(task_id: str, stage: str, grace_s: float) -> bytes:
    message = {"type": "cancelling", "task_id": task_id, "stage": stage, "grace_s": grace_s}
    return _encode(message)
