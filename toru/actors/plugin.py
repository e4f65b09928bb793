"""One plugin: its process, its socket, and what passes over it.

Runs on: the event loop. What is to be done is decided in ``toru.domain.plugin_lifecycle``; this
actor does it and tells what came of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from toru.actors.messages.hub import Push
from toru.actors.messages.monitor import LookAtProcess
from toru.actors.messages.plugin_install import AdoptPlugin, RetirePlugin, StartStatusSaid
from toru.actors.messages.plugin_settings import (
    Applied,
    ChangePluginSettings,
    PluginSettingsChanged,
    ReadPluginSettings,
)
from toru.actors.messages.plugins import (
    CloseSocket,
    DescribePlugin,
    DisablePlugin,
    EnablePlugin,
    Forward,
    GiveUpForward,
    MarkBroken,
    MarkRemoved,
    NoteBundle,
    NoteBundleAnswer,
    OpenSocket,
    PluginChanged,
    PluginDisposed,
    PluginPlan,
    PluginView,
    ReadBody,
    ReadSocket,
    Replace,
    RestartPlugin,
    RunsKnown,
    StopPlugin,
    WriteBody,
    WriteSocket,
)
from toru.actors.messages.runner import (
    ExitReport,
    RunExited,
    RunOutput,
    RunProgress,
    RunStage,
    RunStarted,
    RunStatus,
)
from toru.actors.messages.tasks import TaskReplaced
from toru.actors.plugin_calls import PluginCalls
from toru.actors.plugin_figures import Figures
from toru.actors.plugin_forwards import ForwardMessage, Forwards
from toru.actors.plugin_link import LinkBroken, LinkContext, PluginLink
from toru.actors.plugin_link_v1 import LinkV1
from toru.actors.plugin_link_v2 import LinkV2
from toru.actors.plugin_output import PluginOutput, Stream
from toru.actors.plugin_page import PluginPage
from toru.actors.plugin_places import actor_name
from toru.actors.plugin_process import PluginProcess, SpawnFailed
from toru.actors.plugin_records import PluginRecords
from toru.actors.plugin_runs import runs_of, tag_of
from toru.actors.plugin_services import PluginServices
from toru.actors.plugin_settings import PluginSettings
from toru.actors.plugin_subscriptions import PluginSubscriptions
from toru.actors.runtime import ActorContext, LoopActor, Message
from toru.clock import monotonic
from toru.domain import plugin_life as life
from toru.domain.plugin_failures import HEALTHY_S
from toru.domain.plugin_life import PluginState, request_error
from toru.domain.plugin_lifecycle import decide
from toru.domain.plugin_metadata import BrokenPlugin
from toru.errors import ToruError, Unavailable

_JITTER = 0.2


class _LifeTimer(Message[None], frozen=True):
    """A timer of the lifecycle has run down."""

    kind: life.TimerKind
    serial: int


class Plugin(LoopActor):
    """The actor of one plugin; `StopPlugin` stops the plugin in order, the actor's stop does not.

    After a crash of the actor the process of its predecessor is ended first.
    """

    mailbox_limit = 5_000

    def __init__(
        self,
        context: ActorContext,
        plan: PluginPlan,
        services: PluginServices,
        figures: Figures,
    ) -> None:
        super().__init__(context)
        self._services = services
        self._metadata = plan.metadata
        self._file = plan.file
        self._leftovers = plan.leftovers
        self._state = PluginState(
            enabled=plan.enabled,
            protocol=max(plan.metadata.protocols),
            trial=plan.role == "trial",
            removed=plan.role == "retired",
        )
        self._settings = PluginSettings(plan.metadata.id, plan.metadata.settings, services)
        self._subscriptions = PluginSubscriptions(context.name, services.hub)
        self._calls = PluginCalls(
            plan.metadata.id,
            services,
            self._settings,
            self._settings_changed,
            self._subscriptions,
        )
        self._figures = figures
        self._output = PluginOutput(services.log_sink(plan.metadata.id), self._settings)
        self._page = PluginPage(plan.has_bundle)
        self._process = PluginProcess(plan.metadata.id, context.name, services)
        self._link: PluginLink | None = None
        self._opening: asyncio.Task[None] | None = None
        self._forwards = Forwards(self._figures)
        self._records = PluginRecords(plan.metadata.id, services, self._settings)
        self._gone = asyncio.Event()

    @property
    def _id(self) -> str:
        return self._metadata.id

    async def on_start(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Begin the plugin's life, after what an earlier hub or actor has left of it."""
        self.background(self._records.keep())
        with contextlib.suppress(ToruError):  # they are asked for again before it is started
            await self._settings.load()
        if self.context.meter.restarts:
            found = await runs_of(self._services.runner, self._id)
            self._leftovers = tuple(filter(self._is_nobody_elses, found))
        self._apply(life.Boot(leftover=await self._process.take_over(self._leftovers)))

    def _is_nobody_elses(self, run_id: str) -> bool:
        """Return whether a run is of this actor's predecessor, or of an earlier hub."""
        name = actor_name(tag_of(run_id))
        return name == self.context.name or self.context.system.directory.entry(name) is None

    def on_stop(self) -> None:
        """Let go of the connections."""
        self._close_link()
        self._calls.close()

    def on_failure(self, *_exc_info: Any) -> None:
        """Answer everybody who waits; the process is ended by the next actor of this name."""
        self._close_link()
        self._calls.close()
        self._records.refuse_all(Unavailable("The plugin's supervision had to start anew."))

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message."""
        match message:
            case (
                Forward()
                | WriteBody()
                | ReadBody()
                | GiveUpForward()
                | OpenSocket()
                | WriteSocket()
                | ReadSocket()
                | CloseSocket()
            ):
                return self._forward(message)
            case RunOutput(id=run_id, data=data, is_stderr=is_stderr):
                if run_id == self._process.run_id:
                    stream: Stream = "stderr" if is_stderr else "stdout"
                    self._output.take(data, stream, self._state.pid)
            case RunStarted(id=run_id, pid=pid):
                if run_id == self._process.run_id:
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
            case ReadPluginSettings():
                return self._settings.view()
            case ChangePluginSettings():
                return self._change_settings(message)
            case Replace(metadata=metadata, file=file):
                self._replace(metadata, file)
            case NoteBundle(is_there=is_there):
                self._page.note_file(is_there)
                self._tell_manager()
            case NoteBundleAnswer(was_served=was_served):
                self._page.note_answer(was_served)
                self._tell_manager()
            case MarkBroken(reason=reason):
                self._apply(life.BrokenFound(reason))
            case MarkRemoved():
                self._apply(life.Removed())
            case AdoptPlugin(metadata=metadata, file=file):
                self._metadata, self._file = metadata, file
                self._apply(life.Adopted())
                self.background(self._renew_settings())
            case RetirePlugin():
                self._apply(life.Superseded())
            case StopPlugin():
                return self._stop_plugin()
            case Push(frame=frame):
                self._pass_event(frame)
            case RunProgress() | RunStage() | TaskReplaced():
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
            case life.AwaitQuiet(spawn):
                self.background(self._await_quiet(spawn))
            case life.SendGoaway():
                self.background(self._say_goaway(self._state.spawn))
            case life.SendShutdown():
                self.background(self._say_shutdown(self._state.spawn))
            case life.Terminate():
                self.background(self._process.signal(signal.SIGTERM))
            case life.Kill():
                self.background(self._process.kill())
            case life.ArmTimer(kind, delay_s, serial):
                self.timers.after(("life", kind), delay_s, _LifeTimer(kind, serial))
            case life.CancelTimer(kind):
                self.timers.cancel(("life", kind))
            case life.FailWaiting(sentence):
                if self._link is not None:
                    self._link.fail(sentence)
            case life.RecordEvent() | life.PersistEnabled() | life.Answer():
                self._records.add(instruction)
            case life.LogLine(level, text):
                about = f"Version {self._metadata.version}: " if self._state.trial else ""
                self._records.log(level, about + text, self._state.pid)
            case life.TellManager():
                self._tell_manager()
            case life.Dispose():
                self._process.leave()
                self._services.manager.tell(PluginDisposed(self._id, self.context.name))

    def _tell_manager(self) -> None:
        self._services.manager.tell(PluginChanged(self._view(None), self.context.name))

    async def _wish(self, event: Callable[[str], life.Event]) -> None:
        with self._records.asked(self._state.enabled) as (token, answered):
            self._apply(event(token))
            await answered

    async def _stop_plugin(self) -> None:
        if self._link is not None:
            self._link.fail("The hub is being stopped.")  # the web has waited for them already
        self._apply(life.Shutdown())
        await self._gone.wait()
        await self._records.written()

    def _replace(self, metadata: Any, file: Any) -> None:
        is_same = file.signature == self._file.signature and metadata == self._metadata
        self._metadata, self._file = metadata, file
        if is_same and not self._state.removed and self._state.broken is None:
            return
        self._settings.declare(metadata.settings)
        self._page.note_other_binary()
        self._apply(life.BinaryChanged(max(metadata.protocols)))

    # The process

    async def _spawn(self, spawn: int, protocol: int) -> None:
        try:
            await self._settings.prepare()
        except ToruError as error:
            self._apply(life.SpawnRefused(spawn, error.sentence))
            return
        for name, why in self._settings.unusable.items():
            text = f"What is stored for its setting {name} is not allowed any more: {why}"
            self._records.log("warning", text, None)
        try:
            pid = await self._process.spawn(self._file, protocol)
        except BrokenPlugin as error:
            self._apply(life.BrokenFound(error.sentence))
            self._apply(life.SpawnRefused(spawn, error.sentence))
        except SpawnFailed as error:
            self._apply(life.SpawnRefused(spawn, error.sentence))
        else:
            self._apply(life.Spawned(spawn, pid))  # unless `RunStarted` has said so

    def _take_exit(self, report: ExitReport) -> None:
        if not self._process.note_exit(report.id):
            return
        self._output.end(self._state.pid)
        self._apply(life.Exited(self._state.spawn, report.code, self._output.last_words))
        self.background(self._process.forget(report.id))

    async def _compare(self, runs: tuple[RunStatus, ...]) -> None:
        """Hear what has become of the process while the runner was not there."""
        strangers = self._process.strangers(runs)
        report = self._process.fate(runs, was_there=self._state.process == "alive")
        if report is not None:
            self._take_exit(report)
        for run_id in strangers:
            await self._process.end(run_id)

    # The socket

    async def _connect(self, spawn: int, protocol: int) -> None:
        link = self._make_link(spawn, protocol)
        self._link = link
        try:
            await link.open()
        except LinkBroken as error:
            self._apply(life.ConnectionLost(spawn, error.sentence))
        else:
            self._page.note_features(link.features)
            self._apply(life.BecameReady(spawn))

    def _make_link(self, spawn: int, protocol: int) -> PluginLink:
        services = self._services
        context = LinkContext(
            plugin_id=self._id,
            pid=self._state.pid or 0,
            instance=self._process.instance,
            instance_id=services.instance_id,
            socket_path=self._process.socket_path,
            socket_address=self._process.socket_address,
            log_path=services.log_dir / "plugins" / f"{self._id}.log",
            data_dir=self._process.data_folder,
            kv=self._calls.keys.kv,
            call=self._calls.call,
            config=lambda: self._settings.config,
            lost=lambda sentence: self._apply(life.ConnectionLost(spawn, sentence)),
            extended=lambda extend_s: self._apply(life.StartExtended(spawn, extend_s)),
            pings=lambda misses: self._apply(
                life.PingMissed(spawn) if misses else life.Healthy(spawn)
            ),
            degraded=lambda degraded, text: self._apply(life.HealthReported(spawn, degraded, text)),
            busy=lambda text: self._services.manager.tell(StartStatusSaid(self.context.name, text)),
        )
        return LinkV1(context) if protocol == 1 else LinkV2(context, health=self._metadata.health)

    def _pass_event(self, frame: bytes) -> None:
        event = self._subscriptions.heard(frame)
        if event is not None and isinstance(self._link, LinkV2):
            self._link.tell_event(event)

    def _close_link(self) -> None:
        self._subscriptions.clear()
        if self._opening is not None:
            self._opening.cancel()
            self._opening = None
        link, self._link = self._link, None
        if link is not None:
            link.close()

    async def _await_quiet(self, spawn: int) -> None:
        await self._forwards.quiet(self._link)
        self._apply(life.Quiet(spawn))

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
        task.add_done_callback(lambda _: work.close())  # of one that is cancelled before it began
        self.background(_wait_for(task))
        return task

    # The settings

    async def _change_settings(self, asked: ChangePluginSettings) -> PluginSettingsChanged:
        is_news = await self._settings.change(asked.values)
        if is_news:
            text = f"Its settings were changed by {asked.user}."
            self._records.log("info", text, self._state.pid)
        applied: Applied = "unchanged"
        if is_news or self._state.phase == "broken":
            applied = self._settings_changed(may_restart=True)
        return await self._settings.after_change(applied)

    async def _renew_settings(self) -> None:
        """Have the plugin know what was changed of its settings while it was on trial."""
        with contextlib.suppress(ToruError):
            if await self._settings.reload():
                self._settings_changed(may_restart=True)

    def _settings_changed(self, *, may_restart: bool) -> Applied:
        """Have the plugin know its settings: told while it runs, or by a fresh process."""
        state = self._state
        self._tell_manager()
        if state.takes_requests and self._link is not None and self._link.tell_config():
            return "live"
        rests = not state.enabled or state.removed or state.shutting_down
        if rests or state.broken is not None:
            return "start"
        if may_restart:
            self._apply(life.Restart(""))
        return "restart"

    # Requests

    def _forward(self, message: ForwardMessage) -> Any:
        if isinstance(message, Forward | OpenSocket):
            refusal = request_error(self._state)
            if refusal is not None:
                raise refusal
        return self._forwards.handle(message, self._link)

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
        pin = self._file.pin
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
            reason=self._settings.hide(state.reason or state.broken or "") or None,
            degraded=state.degraded,
            file=self._file.name,
            protocol=state.speaks if state.process == "alive" else state.protocol,
            pid=state.pid,
            socket_path=str(self._process.socket_path),
            has_page=self._page.exists,
            figures=self._figures.view(
                process,
                restarts=state.restarts,
                uptime_s=None if since is None else monotonic() - since,
            ),
            sandboxed=metadata.sandbox,
            has_settings=self._settings.exist,
            needs_settings=self._settings.exist
            and (self._settings.lacking or (state.phase == "broken" and state.broken is None)),
            sha256=None if pin is None else pin.sha256,
            installed_at=None if pin is None else pin.installed_at,
            previous_version=None if pin is None else pin.previous_version,
        )


async def _wait_for(task: Awaitable[None]) -> None:
    await task
