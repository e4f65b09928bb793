"""One plugin: its process, its socket, and what passes over it.

Runs on: the event loop. What is to be done is decided in ``toru.domain.plugin_lifecycle``; this
actor does it and tells what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import os
import random
import signal
import uuid
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

from toru.actors.messages.hub import Publish
from toru.actors.messages.logs import Level, LogLine, LogLines
from toru.actors.messages.monitor import LookAtProcess
from toru.actors.messages.plugin_storage import InsertPluginEvent
from toru.actors.messages.plugins import (
    DescribePlugin,
    DisablePlugin,
    EnablePlugin,
    Forward,
    GiveUpForward,
    MarkBroken,
    MarkRemoved,
    NoteBundle,
    PluginAnswer,
    PluginChanged,
    PluginDisposed,
    PluginPlan,
    PluginRequest,
    PluginView,
    Replace,
    RestartPlugin,
    RunsKnown,
    SetEnabled,
    StopPlugin,
)
from toru.actors.messages.runner import (
    CancelRun,
    ExitReport,
    FollowRun,
    ForgetRun,
    RunExited,
    RunOutput,
    RunProgress,
    RunStage,
    RunStarted,
    RunStatus,
    SignalRun,
    SpawnRun,
)
from toru.actors.plugin_calls import PluginCalls
from toru.actors.plugin_figures import Figures
from toru.actors.plugin_link import LinkBroken, LinkContext, PluginLink
from toru.actors.plugin_link_v1 import LinkV1
from toru.actors.plugin_link_v2 import LinkV2
from toru.actors.plugin_output import PluginOutput, Stream
from toru.actors.plugin_page import PluginPage
from toru.actors.plugin_runs import RUN_PREFIX, end_run, runs_of
from toru.actors.plugin_sockets import prepare
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.clock import monotonic, utc_now
from toru.domain import plugin_life as life
from toru.domain.plugin_life import PluginState, refusal_error, request_error
from toru.domain.plugin_lifecycle import HEALTHY_S, decide
from toru.domain.script_environment import clean_environment
from toru.domain.uuid7 import uuid7
from toru.errors import ToruError, Unavailable

logger = logging.getLogger("toru.plugins")

OUTPUT_BYTES_PER_S = 4 * 1024 * 1024
"""About 15,000 lines; to write more would take time that the whole hub shares."""

HUB_GONE_S = 10.0
"""No plugin outlives a hub that has been gone for so long."""

DRAIN_S = 0.5
"""Whatever a plugin leaves behind may hold its pipes open, and up its end, for so long."""

WAITING_LIMIT = 256
"""Requests that one plugin may have open; one more is refused with 503."""

_JITTER = 0.2


class PluginServices(msgspec.Struct, frozen=True):
    """Whom plugins' actors talk to, and what they are told of this hub.

    Attributes:
        log_sink: returns the address of the sink of a plugin's log, which it starts if need be.
        backoff: a factor for the pauses before a plugin is started again; None for pauses that
            vary by 20 %, so that plugins that fell together rise apart.
        healthy_s: seconds of good health after which a plugin's failures are forgotten; None
            is `HEALTHY_S`.
        look_s: seconds between two looks at the folder; None is 1.
    """

    runner: Address
    folder: Address
    db_writer: Address
    db_reader: Address
    hub: Address
    tasks: Address
    manager: Address
    monitor: Address
    supervisor_log: Address
    log_sink: Callable[[str], Address]
    socket_dir: Path
    data_dir: Path
    log_dir: Path
    instance_id: str
    backoff: float | None = None
    healthy_s: float | None = None
    look_s: float | None = None


class _LifeTimer(Message[None], frozen=True):
    """A timer of the lifecycle has run down."""

    kind: life.TimerKind
    serial: int


class Plugin(LoopActor):
    """The actor of one plugin; `StopPlugin` stops the plugin in order, the actor's stop does not.

    After a crash of the actor the process of its predecessor is ended first.
    """

    mailbox_limit = 5_000

    def __init__(self, context: ActorContext, plan: PluginPlan, services: PluginServices) -> None:
        super().__init__(context)
        self._services = services
        self._metadata = plan.metadata
        self._file = plan.file
        self._leftovers = plan.leftovers
        self._state = PluginState(enabled=plan.enabled, protocol=max(plan.metadata.protocols))
        self._calls = PluginCalls(plan.metadata.id, services)
        self._figures = Figures()
        self._output = PluginOutput(services.log_sink(plan.metadata.id))
        self._page = PluginPage(plan.has_bundle, self._in_background, self._tell_manager)
        self._run_id: str | None = None
        self._instance = ""
        self._link: PluginLink | None = None
        self._opening: asyncio.Task[None] | None = None
        self._forwards: dict[asyncio.Future[PluginAnswer], int] = {}
        self._socket_address = ""
        self._asks: dict[str, asyncio.Future[None]] = {}
        self._records: asyncio.Queue[Coroutine[Any, Any, None]] = asyncio.Queue()
        self._persist_error: ToruError | None = None
        self._gone = asyncio.Event()

    @property
    def _id(self) -> str:
        return self._metadata.id

    @property
    def _socket_path(self) -> Path:
        return self._services.socket_dir / f"{self._id}.sock"

    @property
    def _data_folder(self) -> Path:
        return self._services.data_dir / "plugins" / self._id

    async def on_start(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Begin the plugin's life, after what an earlier hub or actor has left of it."""
        self.background(self._keep_records())
        if self.context.meter.restarts:
            self._leftovers = tuple(await runs_of(self._services.runner, self._id))
        for run_id in self._leftovers[1:]:
            await self._end_run(run_id)
        leftover = bool(self._leftovers) and await self._follow(self._leftovers[0])
        self._apply(life.Boot(leftover=leftover))

    def on_stop(self) -> None:
        """Let go of the connections."""
        self._close_link()

    def on_failure(self, *_exc_info: Any) -> None:
        """Answer everybody who waits; the process is ended by the next actor of this name."""
        self._close_link()
        for future in self._asks.values():
            if not future.done():
                future.set_exception(Unavailable("The plugin's supervision had to start anew."))

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message."""
        match message:
            case Forward(request=request):
                return self._forward(request)
            case GiveUpForward(id=request_id):
                self._give_up(request_id)
            case RunOutput(id=run_id, data=data, is_stderr=is_stderr):
                if run_id == self._run_id:
                    stream: Stream = "stderr" if is_stderr else "stdout"
                    self._output.take(data, stream, self._state.pid)
            case RunStarted(id=run_id, pid=pid):
                if run_id == self._run_id:
                    self._apply(life.Spawned(self._state.spawn, pid))
            case RunExited(report=report):
                self._take_exit(report)
            case RunsKnown(runs=runs):
                return self._compare(runs)
            case _LifeTimer(kind=kind, serial=serial):
                self._apply(life.TimerFired(kind, serial))
            case EnablePlugin():
                return self._wish(life.Enable)
            case DisablePlugin():
                return self._wish(life.Disable)
            case RestartPlugin():
                return self._wish(life.Restart)
            case DescribePlugin():
                return self._describe()
            case Replace(metadata=metadata, file=file):
                self._replace(metadata, file)
            case NoteBundle(is_there=is_there):
                self._page.note_file(is_there)
            case MarkBroken(reason=reason):
                self._apply(life.BrokenFound(reason))
            case MarkRemoved():
                self._apply(life.Removed())
            case StopPlugin():
                return self._stop_plugin()
            case RunProgress() | RunStage():
                return None
            case _:
                return super().on_receive(message)
        return None

    # The life

    def _apply(self, event: life.Event) -> None:
        factor = self._services.backoff
        if factor is None:
            factor = 1.0 + random.uniform(-_JITTER, _JITTER)  # noqa: S311 - spreads, no secret
        healthy_s = self._services.healthy_s
        if healthy_s is None:
            healthy_s = HEALTHY_S
        self._state, instructions = decide(self._state, event, monotonic(), factor, healthy_s)
        for instruction in instructions:
            self._do(instruction)
        if self._state.is_gone:
            self._gone.set()
        else:
            self._gone.clear()

    def _do(self, instruction: life.Instruction) -> None:
        match instruction:
            case life.Spawn(spawn, protocol):
                self._output.begin()
                self.background(self._spawn(spawn, protocol))
            case life.Connect(spawn, protocol):
                self._opening = self._in_background(self._connect(spawn, protocol))
            case life.Disconnect():
                self._close_link()
            case life.SendGoaway():
                self._page.stop_asking()
                self.background(self._say_goaway(self._state.spawn))
            case life.SendShutdown():
                self._page.stop_asking()
                self.background(self._say_shutdown(self._state.spawn))
            case life.Terminate():
                self.background(self._signal(signal.SIGTERM))
            case life.Kill():
                self.background(self._kill())
            case life.ArmTimer(kind, delay_s, serial):
                self.timers.after(("life", kind), delay_s, _LifeTimer(kind, serial))
            case life.CancelTimer(kind):
                self.timers.cancel(("life", kind))
            case life.FailWaiting(sentence):
                self._page.note_failure()
                if self._link is not None:
                    self._link.fail(sentence)
            case life.RecordEvent(event_type, details):
                self._records.put_nowait(self._record(event_type, details))
            case life.PersistEnabled(enabled):
                self._records.put_nowait(self._persist(enabled))
            case life.Answer(ask, refusal):
                self._records.put_nowait(self._answer(ask.token, refusal))
            case life.LogLine(level, text):
                self._write_log(level, text)
            case life.TellManager():
                self._tell_manager()
            case life.Dispose():
                self._services.manager.tell(PluginDisposed(self._id))

    def _tell_manager(self) -> None:
        self._services.manager.tell(PluginChanged(self._view(None)))

    async def _wish(self, event: Callable[[str], life.Event]) -> None:
        token = uuid7()
        future = self._asks[token] = self.context.system.loop.create_future()
        try:
            if self._persist_error is not None:
                self._records.put_nowait(self._persist(self._state.enabled))
            self._apply(event(token))
            await future
        finally:
            del self._asks[token]

    async def _stop_plugin(self) -> None:
        if self._link is not None:
            self._link.fail("The hub is being stopped.")  # the web has waited for them already
        self._apply(life.Shutdown())
        await self._gone.wait()
        await self._records.join()

    def _replace(self, metadata: Any, file: Any) -> None:
        is_same = file.signature == self._file.signature and metadata == self._metadata
        if is_same and not self._state.removed and self._state.broken is None:
            return
        self._metadata, self._file = metadata, file
        self._page.note_other_binary()
        self._apply(life.BinaryChanged(max(metadata.protocols)))

    # What is written down, in the order in which it happened

    async def _keep_records(self) -> None:
        while True:
            work = await self._records.get()
            try:
                await work
            finally:
                self._records.task_done()

    async def _record(self, event_type: str, details: dict[str, Any]) -> None:
        text = json.dumps(details) if details else None
        message = InsertPluginEvent(self._id, event_type, text, utc_now())
        try:
            row = await self._services.db_writer.ask(message)
        except ToruError as error:
            logger.error("The event %s of %s is not stored: %s", event_type, self._id, error)
            return
        self._publish({"type": "event", "plugin": self._id, "event": row})

    async def _persist(self, enabled: bool) -> None:
        try:
            await self._services.folder.ask(SetEnabled(self._id, enabled))
        except ToruError as error:
            self._persist_error = error
            self._write_log("error", error.sentence)
        else:
            self._persist_error = None

    async def _answer(self, token: str, refusal: life.Refusal | None) -> None:
        future = self._asks.get(token)
        if future is None or future.done():
            return
        if refusal is not None:
            future.set_exception(refusal_error(refusal))
        elif self._persist_error is not None:
            future.set_exception(self._persist_error)
        else:
            future.set_result(None)

    def _write_log(self, level: str, text: str) -> None:
        level_of_log: Level = "warn" if level == "warning" else level  # type: ignore[assignment]
        line = LogLine(utc_now(), level_of_log, self._id, text, pid=self._state.pid)
        with contextlib.suppress(Unavailable):
            self._services.supervisor_log.tell(LogLines((line,)))

    # The process

    async def _spawn(self, spawn: int, protocol: int) -> None:
        run_id = self._run_id = f"{RUN_PREFIX}{self._id}.{uuid7()}"
        self._instance = str(uuid.uuid4())
        try:
            self._socket_address = await asyncio.to_thread(self._make_room)
            message = self._spawn_message(run_id, protocol)
            spawned = await self._services.runner.ask(message, deadline_s=30.0)
        except ToruError as error:
            self._apply(life.SpawnRefused(spawn, error.sentence))
        except OSError as error:
            sentence = f"A folder of it cannot be used: {error.strerror or error}."
            self._apply(life.SpawnRefused(spawn, sentence))
        else:
            self._apply(life.Spawned(spawn, spawned.pid))  # unless `RunStarted` has said so

    def _make_room(self) -> str:
        self._data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return prepare(self._socket_path)

    def _spawn_message(self, run_id: str, protocol: int) -> SpawnRun:
        environment = clean_environment(os.environ) | {"TORU_PLUGIN_SOCKET": self._socket_address}
        if protocol > 1:
            environment |= {"TORU_PROTOCOLS": "1,2", "TORU_INSTANCE": self._instance}
        return SpawnRun(
            id=run_id,
            owner=self.context.name,
            argv=(self._file.path,),
            cwd=str(Path(self._file.path).parent),
            env=environment,
            directory=None,
            output_limit_bytes=None,
            hub_gone_s=HUB_GONE_S,
            drain_s=DRAIN_S,
            relay_bytes_per_s=OUTPUT_BYTES_PER_S,
        )

    def _take_exit(self, report: ExitReport) -> None:
        if report.id != self._run_id:
            return
        self._run_id = None
        self._output.end(self._state.pid)
        self._apply(life.Exited(self._state.spawn, report.code, self._output.last_words))
        self.background(self._forget(report.id))

    async def _forget(self, run_id: str) -> None:
        with contextlib.suppress(ToruError):
            await self._services.runner.ask(ForgetRun(run_id))

    async def _signal(self, number: int) -> None:
        if self._run_id is not None:
            with contextlib.suppress(ToruError):
                await self._services.runner.ask(SignalRun(self._run_id, number))

    async def _kill(self) -> None:
        if self._run_id is not None:
            with contextlib.suppress(ToruError):
                await self._services.runner.ask(CancelRun(self._run_id, 0.0))

    async def _follow(self, run_id: str) -> bool:
        """Take a run over; return whether it still goes on."""
        status = await self._services.runner.ask(FollowRun(run_id, self.context.name))
        if status is None or status.exit is not None:
            await self._forget(run_id)
            return False
        self._run_id = run_id
        return True

    async def _end_run(self, run_id: str) -> None:
        await end_run(self._services.runner, run_id, self.context.name)

    async def _compare(self, runs: tuple[RunStatus, ...]) -> None:
        """Hear what has become of the process while the runner was not there."""
        own, stranger_ids = None, []
        for status in runs:
            if status.id == self._run_id:
                own = status
            elif status.id not in self._leftovers:
                stranger_ids.append(status.id)
        if own is not None and own.exit is not None:
            self._take_exit(own.exit)
        elif own is None and self._run_id is not None and self._state.process == "alive":
            self._take_exit(ExitReport(self._run_id, None, "", utc_now(), reason="interrupted"))
        for run_id in stranger_ids:
            await self._end_run(run_id)

    # The socket

    async def _connect(self, spawn: int, protocol: int) -> None:
        link = self._make_link(spawn, protocol)
        self._link = link
        try:
            await link.open()
        except LinkBroken as error:
            self._apply(life.ConnectionLost(spawn, error.sentence))
        else:
            self._apply(life.BecameReady(spawn))
            if self._link is link and self._state.takes_requests:
                self._page.ask(link)

    def _make_link(self, spawn: int, protocol: int) -> PluginLink:
        services = self._services
        context = LinkContext(
            plugin_id=self._id,
            pid=self._state.pid or 0,
            instance=self._instance,
            instance_id=services.instance_id,
            socket_path=self._socket_path,
            socket_address=self._socket_address,
            log_path=services.log_dir / "plugins" / f"{self._id}.log",
            data_dir=self._data_folder,
            kv=self._calls.kv,
            call=self._calls.call,
            lost=lambda sentence: self._apply(life.ConnectionLost(spawn, sentence)),
            extended=lambda extend_s: self._apply(life.StartExtended(spawn, extend_s)),
            pings=lambda misses: self._apply(
                life.PingMissed(spawn) if misses else life.Healthy(spawn)
            ),
            degraded=lambda degraded, text: self._apply(life.HealthReported(spawn, degraded, text)),
        )
        return LinkV1(context) if protocol == 1 else LinkV2(context, health=self._metadata.health)

    def _close_link(self) -> None:
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        link, self._link = self._link, None
        self._page.note_failure()
        if link is not None:
            link.close()

    async def _say_goaway(self, spawn: int) -> None:
        if self._link is not None:
            await self._link.goaway()
        self._apply(life.Drained(spawn))

    async def _say_shutdown(self, spawn: int) -> None:
        try:
            if self._link is None:
                raise LinkBroken("It is not connected.")
            await self._link.shutdown()
        except LinkBroken:
            self._apply(life.ShutdownUnsent(spawn))

    def _in_background(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        async def run() -> None:
            with contextlib.suppress(asyncio.CancelledError):
                await work

        task = self.context.system.loop.create_task(run())
        self.background(_wait_for(task))
        return task

    # Requests

    def _forward(self, request: PluginRequest) -> asyncio.Future[PluginAnswer]:
        refusal = request_error(self._state)
        if refusal is not None:
            raise refusal
        if self._link is None or len(self._forwards) >= WAITING_LIMIT:
            self._figures.failed()
            raise Unavailable("The plugin has too many requests open.", code="plugin_busy")
        try:
            future = self._link.forward(request)
        except ToruError as error:
            if error.status >= 500:
                self._figures.failed()
            raise
        self._forwards[future] = request.id
        future.add_done_callback(functools.partial(self._forwarded, monotonic()))
        return future

    def _forwarded(self, began: float, future: asyncio.Future[PluginAnswer]) -> None:
        del self._forwards[future]
        if future.cancelled():
            return
        error = future.exception()
        if error is None:
            self._figures.answered(monotonic() - began)
        elif not isinstance(error, ToruError) or error.status >= 500:
            self._figures.failed()

    def _give_up(self, request_id: int) -> None:
        for future, known_id in self._forwards.items():
            if known_id == request_id:
                future.cancel()
                return

    async def _describe(self) -> PluginView:
        pid = self._state.pid
        figures = None
        if pid is not None:
            with contextlib.suppress(ToruError):
                figures = await self._services.monitor.ask(LookAtProcess(pid), deadline_s=1.0)
        return self._view(figures)

    def _view(self, process: Any) -> PluginView:
        state, metadata = self._state, self._metadata
        since = state.healthy_since
        return PluginView(
            id=metadata.id,
            name=metadata.name,
            version=metadata.version,
            author=metadata.author,
            icon=metadata.icon,
            route=metadata.route,
            enabled=state.enabled,
            running=state.process == "alive",
            health=state.health,
            state=state.phase,
            reason=state.reason or state.broken,
            degraded=state.degraded,
            file=self._file.name,
            protocol=state.speaks if state.process == "alive" else state.protocol,
            pid=state.pid,
            socket_path=str(self._socket_path),
            has_page=self._page.exists,
            figures=self._figures.view(
                process,
                restarts=state.restarts,
                uptime_s=None if since is None else monotonic() - since,
            ),
        )

    def _publish(self, data: dict[str, Any]) -> None:
        with contextlib.suppress(Unavailable):
            event = msgspec.Raw(msgspec.json.encode(data))
            self._services.hub.tell(Publish("plugin-states", event, admin_only=True))


async def _wait_for(task: Awaitable[None]) -> None:
    await task
