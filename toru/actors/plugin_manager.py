"""The plugin manager: which plugins there are, which of them have a place, and who serves what.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import msgspec

from toru.actors.messages.auth import Session
from toru.actors.messages.hub import Publish
from toru.actors.messages.plugins import (
    DescribePlugin,
    DisablePlugin,
    EnablePlugin,
    Forward,
    FoundFile,
    GetBundle,
    GetPlugin,
    ListPlugins,
    LoadBundle,
    LoadEnabled,
    LookAtFolder,
    MarkBroken,
    MarkRemoved,
    PluginAnswer,
    PluginChanged,
    PluginDisposed,
    PluginFigures,
    PluginKv,
    PluginPlan,
    PluginRequest,
    PluginView,
    Probe,
    Replace,
    RestartPlugin,
    ScanFolder,
    StopPlugin,
)
from toru.actors.messages.runner import CancelRun, ForgetRun, RunnerConnected
from toru.actors.plugin import RUN_PREFIX, Plugin, PluginServices
from toru.actors.plugin_calls import PluginCalls
from toru.actors.plugin_prober import RUN_PREFIX as PROBE_PREFIX
from toru.actors.runtime import (
    ActorContext,
    Address,
    Children,
    ChildSpec,
    LoopActor,
    Message,
    Restart,
)
from toru.domain.plugin_metadata import BrokenPlugin, PluginMetadata
from toru.domain.plugin_routes import Registration, RouteTable, assign, find_by_id
from toru.errors import Conflict, NotFound, ToruError, Unavailable

logger = logging.getLogger("toru.plugins")

LOOK_INTERVAL_S = 1.0
STOP_S = 25.0
"""What a plugin's whole stop may take: 10 s to drain, 5 s after shutdown, 5 s after SIGTERM."""


class _Known(msgspec.Struct, frozen=True):
    """A file that has been looked at: its metadata, or why there are none."""

    file: FoundFile
    metadata: PluginMetadata | None = None
    reason: str = ""


class PluginManager(LoopActor):
    """Watches the plugins folder, and supervises one `Plugin` actor a plugin.

    A file is probed when it is first seen, and again when it has changed and then stayed the
    same for a second, so that one that is still being copied is not called broken.
    """

    mailbox_limit = 20_000

    def __init__(self, context: ActorContext, services: PluginServices, prober: Address) -> None:
        super().__init__(context)
        self._services = services
        self._folder = services.folder
        self._prober = prober
        self._children = Children(context.system, context.name, self._plugin_gone)
        self._enabled: dict[str, bool] = {}
        self._known: dict[str, _Known] = {}
        self._placed: dict[str, str] = {}
        self._collisions: dict[str, str] = {}
        self._seen: dict[str, tuple[int, ...]] = {}
        self._routes = RouteTable()
        self._leftovers: dict[str, list[str]] = {}
        self._runner_was_there = False

    async def on_stop(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Stop all plugins, side by side."""
        self.timers.cancel("look")
        await asyncio.gather(*map(self._stop_plugin, self._children.names()))

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message."""
        match message:
            case Forward(request=request):
                return self._forward(request)
            case ListPlugins(session=session):
                return self._list(session)
            case GetPlugin(id=plugin_id, session=session):
                return self._get(plugin_id, session)
            case EnablePlugin(id=plugin_id) | DisablePlugin(id=plugin_id):
                return self._pass_on(plugin_id, message)
            case RestartPlugin(id=plugin_id):
                return self._pass_on(plugin_id, message)
            case PluginKv():
                return self._kv(message)
            case GetBundle(id=plugin_id, session=session):
                return self._bundle(plugin_id, session)
            case PluginChanged(view=view):
                self._publish("plugin", view)
            case PluginDisposed(id=plugin_id):
                return self._dispose(plugin_id)
            case LookAtFolder():
                return self._look()
            case RunnerConnected(runs=runs):
                return self._runner_connected([status.id for status in runs])
            case _:
                return super().on_receive(message)
        return None

    async def _stop_plugin(self, name: str) -> None:
        try:
            await self.context.system.address(name).ask(StopPlugin(), deadline_s=STOP_S)
        except ToruError as error:
            logger.error("%s could not be stopped in order: %s", name, error.sentence)
        await self._children.stop(name)

    # The folder

    async def _runner_connected(self, run_ids: list[str]) -> None:
        """Begin; what an earlier hub has left in the runner is ended by whom it belongs to."""
        if self._runner_was_there:
            return
        self._runner_was_there = True
        for run_id in run_ids:
            if run_id.startswith(RUN_PREFIX):
                plugin_id = run_id.removeprefix(RUN_PREFIX).rpartition(".")[0]
                self._leftovers.setdefault(plugin_id, []).append(run_id)
            elif run_id.startswith(PROBE_PREFIX):
                await self._end_run(run_id)
        await self._look()
        for run_id in [run_id for ids in self._leftovers.values() for run_id in ids]:
            await self._end_run(run_id)  # of a plugin whose file is gone

    async def _end_run(self, run_id: str) -> None:
        with contextlib.suppress(ToruError):
            await self._services.runner.ask(CancelRun(run_id, 0.0))
            await self._services.runner.ask(ForgetRun(run_id))

    async def _look(self) -> None:
        try:
            files = await self._folder.ask(ScanFolder())
        except Unavailable as error:
            logger.warning("%s", error.sentence)
        else:
            await self._take_note(files)
        self.timers.after("look", LOOK_INTERVAL_S, LookAtFolder())

    async def _take_note(self, files: list[FoundFile]) -> None:
        names = {file.name for file in files}
        gone = [name for name in self._known if name not in names]
        settled = [file for file in files if self._is_news(file)]
        self._seen = {file.name: file.signature for file in files}
        if not gone and not settled:
            return
        for name in gone:
            del self._known[name]
        for known in await asyncio.gather(*map(self._probe, settled)):
            self._known[known.file.name] = known
        self._enabled = await self._folder.ask(LoadEnabled())
        self._place()

    def _is_news(self, file: FoundFile) -> bool:
        known = self._known.get(file.name)
        if known is not None and known.file.signature == file.signature:
            return False
        first_look = not self._seen and not self._known
        return first_look or self._seen.get(file.name) == file.signature

    async def _probe(self, file: FoundFile) -> _Known:
        try:
            metadata = await self._prober.ask(Probe(file), deadline_s=120.0)
        except BrokenPlugin as error:
            logger.warning("The plugin %s is broken: %s", file.name, error.sentence)
            return _Known(file, reason=error.sentence)
        except ToruError as error:
            logger.warning("The plugin %s could not be looked at: %s", file.name, error.sentence)
            return _Known(file, reason=error.sentence)
        return _Known(file, metadata)

    def _place(self) -> None:
        """Give each plugin its id and route, and tell the actors what has changed for them."""
        sound = {name: known for name, known in self._known.items() if known.metadata is not None}
        placed, collisions = assign(
            Registration(name, known.metadata.id, known.metadata.route)
            for name, known in sound.items()
            if known.metadata is not None
        )
        for collision in collisions:
            if self._collisions.get(collision.file_name) != collision.reason:
                logger.warning("The plugin %s: %s", collision.file_name, collision.reason)
        self._collisions = {each.file_name: each.reason for each in collisions}
        before = self._placed
        self._placed = {each.id: each.file_name for each in placed}
        self._routes = RouteTable((each.route, each.id) for each in placed)
        for plugin_id, file_name in self._placed.items():
            self._put(plugin_id, sound[file_name])
        for plugin_id in before.keys() - self._placed.keys():
            self._take_away(plugin_id, before[plugin_id])
        self._publish("plugins", None)

    def _put(self, plugin_id: str, known: _Known) -> None:
        """Start the actor of a plugin, or tell it that its file is another one."""
        metadata = known.metadata
        assert metadata is not None
        if _name(plugin_id) in self._children:
            self._plugin(plugin_id).tell(Replace(metadata, known.file))
            return
        plan = PluginPlan(
            metadata,
            known.file,
            enabled=self._enabled.get(plugin_id, True),
            leftovers=tuple(self._leftovers.pop(plugin_id, ())),
        )
        self._children.start(
            ChildSpec(
                _name(plugin_id),
                Plugin,
                args=(plan, self._services),
                restart=Restart.TRANSIENT,
            )
        )

    def _take_away(self, plugin_id: str, file_name: str) -> None:
        known = self._known.get(file_name)
        reason = self._collisions.get(file_name) or (known.reason if known else "")
        message = MarkBroken(reason) if known is not None and reason else MarkRemoved()
        with contextlib.suppress(Unavailable):
            self._plugin(plugin_id).tell(message)

    async def _dispose(self, plugin_id: str) -> None:
        await self._children.stop(_name(plugin_id))
        self._publish("plugins", None)

    def _plugin_gone(self, name: str, error: BaseException | None) -> None:
        if error is not None:
            logger.error("The actor %s is given up: %s", name, error)

    # What the web asks

    async def _forward(self, request: PluginRequest) -> PluginAnswer:
        target = self._routes.find(request.target) or find_by_id(request.target)
        if target is None or target.plugin_id not in self._placed:
            raise NotFound("There is no plugin at this path.")
        inner = msgspec.structs.replace(request, target=target.path)
        return await self._plugin(target.plugin_id).ask(Forward(inner), deadline_s=60.0)

    async def _list(self, session: Session) -> list[PluginView]:
        ids = [name.removeprefix("plugin/") for name in self._children.names()]
        found = await asyncio.gather(*map(self._describe, ids), return_exceptions=True)
        views = [_for(session, view) for view in found if isinstance(view, PluginView)]
        if session.is_admin:
            shown = {view.file for view in views}
            views += [view for view in self._broken() if view.file not in shown]
        return sorted(views, key=lambda view: (view.name.lower(), view.id))

    async def _get(self, plugin_id: str, session: Session) -> PluginView:
        if _name(plugin_id) in self._children:
            return _for(session, await self._describe(plugin_id))
        for view in self._broken():
            if view.id == plugin_id and session.is_admin:
                return view
        raise NotFound("There is no such plugin.")

    async def _describe(self, plugin_id: str) -> PluginView:
        return await self._plugin(plugin_id).ask(DescribePlugin(), deadline_s=2.0)

    async def _pass_on(self, plugin_id: str, message: Message[None]) -> None:
        if _name(plugin_id) not in self._children:
            await self._refuse_wish(plugin_id)
        await self._plugin(plugin_id).ask(message, deadline_s=700.0)

    async def _refuse_wish(self, plugin_id: str) -> None:
        for view in self._broken():
            if view.id == plugin_id:
                raise Conflict(f"The plugin is broken: {view.reason}", code="broken_plugin")
        raise NotFound("There is no such plugin.")

    async def _kv(self, wanted: PluginKv) -> str | None:
        if wanted.id not in self._placed or not self._enabled.get(wanted.id, True):
            raise NotFound("There is no such plugin, or it is disabled.")
        calls = PluginCalls(wanted.id, self._services)
        return await calls.kv(wanted.action, wanted.key, wanted.value)

    async def _bundle(self, plugin_id: str, session: Session) -> bytes:
        view = await self._get(plugin_id, session)
        if not view.enabled or view.state == "broken":
            raise NotFound("This plugin is disabled.", code="plugin_disabled")
        bundle = await self._folder.ask(LoadBundle(plugin_id))
        if bundle is not None:
            return bundle
        request = PluginRequest(
            "GET", "/bundle.js", (), b"", user=session.username, role=session.role
        )
        answer = await self._plugin(plugin_id).ask(Forward(request), deadline_s=60.0)
        if answer.status != 200:
            raise NotFound("The plugin has no bundle.", code="no_bundle")
        return answer.body

    def _broken(self) -> list[PluginView]:
        """Return views of the files that have no place."""
        views = []
        for name, known in self._known.items():
            reason = self._collisions.get(name) or known.reason
            if reason:
                views.append(_broken_view(known, reason))
        return views

    def _publish(self, kind: str, view: PluginView | None) -> None:
        """Tell the subscribers of the topic ``plugins``; pids and paths are for admins."""
        data = msgspec.Raw(msgspec.json.encode({"type": kind, "plugin": _plain(view)}))
        with contextlib.suppress(Unavailable):
            self._services.hub.tell(Publish("plugins", data))

    def _plugin(self, plugin_id: str) -> Address:
        return self.context.system.address(_name(plugin_id))


def _name(plugin_id: str) -> str:
    return f"plugin/{plugin_id}"


def _for(session: Session, view: PluginView) -> PluginView:
    return view if session.is_admin else _without_secrets(view)


def _without_secrets(view: PluginView) -> PluginView:
    return msgspec.structs.replace(view, pid=None, socket_path=None)


def _plain(view: PluginView | None) -> PluginView | None:
    return None if view is None else _without_secrets(view)


def _broken_view(known: _Known, reason: str) -> PluginView:
    metadata = known.metadata
    stem = known.file.name.removesuffix(".binary")
    return PluginView(
        id=stem if metadata is None else metadata.id,
        name=stem if metadata is None else metadata.name,
        version="" if metadata is None else metadata.version,
        author=None if metadata is None else metadata.author,
        icon=None if metadata is None else metadata.icon,
        route=None if metadata is None else metadata.route,
        enabled=False,
        running=False,
        health="unhealthy",
        state="broken",
        reason=reason,
        degraded=False,
        file=known.file.name,
        protocol=None,
        pid=None,
        socket_path=None,
        figures=PluginFigures(),
    )
