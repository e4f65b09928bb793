"""The plugin manager: which plugins there are, which of them have a place, and who serves what.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
from collections.abc import Coroutine
from typing import Any, Literal

import msgspec

from toru.actors.messages.auth import Session
from toru.actors.messages.plugin_install import (
    AdoptPlugin,
    GetInstall,
    InstallPlugin,
    InstallState,
    RecoverInstalls,
    RetirePlugin,
    RollBackPlugin,
    StartStatusSaid,
)
from toru.actors.messages.plugin_settings import ChangePluginSettings, ReadPluginSettings
from toru.actors.messages.plugin_storage import KvList, KvPage
from toru.actors.messages.plugins import (
    DescribePlugin,
    DisablePlugin,
    EnablePlugin,
    FolderContent,
    ForceSandbox,
    FoundFile,
    GetBundle,
    GetPlugin,
    ListPluginKv,
    ListPlugins,
    LoadBundle,
    LoadEnabled,
    LoadSandboxForced,
    LookAtFolder,
    MarkBroken,
    MarkRemoved,
    NoteBundle,
    NoteBundleAnswer,
    PluginChanged,
    PluginDisposed,
    PluginKv,
    PluginPlan,
    PluginView,
    Replace,
    RestartPlugin,
    RunsKnown,
    ScanFolder,
    SetSandboxForced,
    StopPlugin,
)
from toru.actors.messages.runner import (
    ListRunIds,
    RunExited,
    RunnerConnected,
    RunStatus,
)
from toru.actors.plugin import Plugin
from toru.actors.plugin_answers import whole_answer
from toru.actors.plugin_calls import PluginKeys
from toru.actors.plugin_figures import Figures
from toru.actors.plugin_files import PROBE_S, PluginFiles
from toru.actors.plugin_installer import PluginInstaller
from toru.actors.plugin_page import bundle_request
from toru.actors.plugin_places import PluginPlaces, actor_name, tag_of_actor
from toru.actors.plugin_prober import RUN_PREFIX as PROBE_PREFIX
from toru.actors.plugin_runs import RUN_PREFIX, end_run, plugin_of, runs_of, tag_of
from toru.actors.plugin_services import PluginServices
from toru.actors.plugin_sockets import forget
from toru.actors.plugin_views import broken_view, publish, view_for
from toru.actors.runtime import (
    ActorContext,
    Address,
    Children,
    ChildSpec,
    LoopActor,
    Message,
    Restart,
)
from toru.domain.plugin_metadata import PluginMetadata
from toru.errors import Conflict, NotFound, ToruError, Unavailable

logger = logging.getLogger("toru.plugins")

LOOK_INTERVAL_S = 1.0
_RUNNER_PAUSE_S = 1.0
DISCOVERY_S = 5.0
"""So long after its start at most, questions wait until the files that were there are known."""
STOP_S = 25.0
"""What a plugin's whole stop may take: 10 s to drain, 5 s after shutdown, 5 s after SIGTERM."""


class PluginManager(LoopActor):
    """Watches the plugins folder, and supervises one `Plugin` actor a plugin.

    A slow probe of a file holds up its own plugin only.
    """

    mailbox_limit = 20_000

    def __init__(
        self,
        context: ActorContext,
        services: PluginServices,
        prober: Address,
        places: PluginPlaces,
    ) -> None:
        super().__init__(context)
        self._services = services
        self._folder = services.folder
        self._look_s = LOOK_INTERVAL_S if services.look_s is None else services.look_s
        self._files = PluginFiles(services.store, prober)
        self._places = places
        self._children = Children(context.system, context.name, self._plugin_gone)
        self._installer = PluginInstaller(self, self._files, services, prober)
        self._actors: dict[str, str] = {}  # who serves as each plugin; others are on their way
        self._leaving: set[str] = set()  # actors of which nothing is left but themselves
        self._figures: dict[str, Figures] = {}
        self._enabled: dict[str, bool] = {}
        self._sandbox_forced: frozenset[str] = frozenset()
        self._views: dict[str, PluginView] = {}
        self._displaced: dict[str, str] = {}  # those with an actor, but without a place
        self._bundles: frozenset[str] = frozenset()
        self._leftovers: dict[str, list[str]] = {}
        self._discovered = asyncio.Event()
        self._discovery_deadline = context.system.loop.time() + DISCOVERY_S

    def on_start(self) -> None:
        """Begin; nothing is known until the runner has said what earlier hubs have left."""
        self.background(self._begin())
        self.background(self._end_discovery())

    async def on_stop(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Stop all plugins, side by side."""
        self.timers.cancel("look")
        self._installer.close()
        await asyncio.gather(*map(self._stop_plugin, self._children.names()))
        await asyncio.to_thread(forget, self._services.socket_dir)

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message."""
        match message:
            case ListPlugins(session=session):
                return self._list(session)
            case GetPlugin(id=plugin_id, session=session):
                return self._get(plugin_id, session)
            case EnablePlugin(id=plugin_id) | DisablePlugin(id=plugin_id):
                return self._pass_on(plugin_id, message)
            case RestartPlugin(id=plugin_id):
                return self._pass_on(plugin_id, message)
            case ReadPluginSettings(id=plugin_id) | ChangePluginSettings(id=plugin_id):
                return self._ask_of_settings(plugin_id, message)
            case PluginKv():
                return self._kv(message)
            case ListPluginKv():
                return self._list_kv(message)
            case ForceSandbox(id=plugin_id, forced=forced):
                return self._force_sandbox(plugin_id, forced)
            case GetBundle(id=plugin_id, session=session):
                return self._bundle(plugin_id, session)
            case PluginChanged(view=own_view, actor=name):
                if self._actors.get(own_view.id) == name:
                    view = self._with_sandbox(own_view)
                    self._views[view.id] = view
                    publish(self._services.hub, "plugin", view)
            case PluginDisposed(id=plugin_id, actor=name):
                return self._dispose(plugin_id, name)
            case InstallPlugin(sha256=sha256):
                return self._install(sha256, None)
            case RollBackPlugin(id=plugin_id):
                return self._install(None, plugin_id)
            case GetInstall(id=install_id):
                return self._installer.state(install_id)
            case StartStatusSaid(actor=name, text=text):
                self._installer.note_status(name, text)
            case LookAtFolder():
                return self._look()
            case RunnerConnected(runs=runs):
                self._share(runs)
            case RunExited():
                return None  # of a run that is being ended: `end_run` has seen it
            case _:
                return super().on_receive(message)
        return None

    async def _stop_plugin(self, name: str) -> None:
        try:
            await self.context.system.address(name).ask(StopPlugin(), deadline_s=STOP_S)
        except ToruError as error:
            if name in self._children and name not in self._leaving:
                logger.warning("%s is not stopped in order: %s", name, error.sentence)
            await self._children.stop(name)
            await self._end_runs_of(name)
        else:
            await self._children.stop(name)

    async def _end_runs_of(self, name: str) -> None:
        tag = tag_of_actor(name)
        with contextlib.suppress(ToruError):
            for run_id in await runs_of(self._services.runner, tag.partition("_")[0]):
                if tag_of(run_id) == tag:
                    await self._end_run(run_id)

    # The runner

    async def _begin(self) -> None:
        """Note what an earlier hub or manager has left, and look for plugins."""
        for run_id in await self._runs_left():
            if run_id.startswith(RUN_PREFIX):
                self._leftovers.setdefault(plugin_of(run_id), []).append(run_id)
            elif run_id.startswith(PROBE_PREFIX):
                await self._end_run(run_id)
        with contextlib.suppress(ToruError):
            await self._services.store.ask(RecoverInstalls(), deadline_s=PROBE_S)
        await self._look()
        await self._end_unclaimed()

    async def _end_unclaimed(self) -> None:
        """End what is left of plugins that are not there any more, once all files are known."""
        if self._files.is_probing:
            return
        self._discovered.set()
        unclaimed = [run_id for ids in self._leftovers.values() for run_id in ids]
        self._leftovers.clear()
        for run_id in unclaimed:
            await self._end_run(run_id)

    async def _runs_left(self) -> list[str]:
        while True:
            try:
                return await self._services.runner.ask(ListRunIds(""), deadline_s=30.0)
            except ToruError as error:
                logger.warning("Plugins wait for the runner: %s", error.sentence)
                await asyncio.sleep(_RUNNER_PAUSE_S)

    def _share(self, runs: tuple[RunStatus, ...]) -> None:
        """Tell each plugin which runs of it there are."""
        by_plugin: dict[str, list[RunStatus]] = {}
        for status in runs:
            if status.id.startswith(RUN_PREFIX):
                by_plugin.setdefault(plugin_of(status.id), []).append(status)
        for name in self._children.names():
            known = by_plugin.get(tag_of_actor(name).partition("_")[0], [])
            with contextlib.suppress(Unavailable):
                self.context.system.address(name).tell(RunsKnown(tuple(known)))

    async def _end_run(self, run_id: str) -> None:
        await end_run(self._services.runner, run_id, self.context.name)

    # The folder

    async def _look(self) -> None:
        changes = self._installer.changes
        try:
            content = await self._folder.ask(ScanFolder())
            if changes == self._installer.changes:  # else it may be older than the change
                self._take_note(content)
        except ToruError as error:
            logger.warning("%s", error.sentence)
        finally:
            self.timers.after("look", self._look_s, LookAtFolder())

    def _take_note(self, content: FolderContent) -> None:
        self._note_bundles(content.bundles)
        news, is_gone = self._files.take_note(content.files)
        for file in news:
            self.background(self._find_out(file))
        if is_gone:
            self._place()

    def _note_bundles(self, bundles: frozenset[str]) -> None:
        """Tell the plugins whose bundle's file has come or gone."""
        changed, self._bundles = bundles ^ self._bundles, bundles
        for plugin_id in changed & self._files.placed.keys():
            with contextlib.suppress(Unavailable):  # one that is being replaced asks for its plan
                self._plugin(plugin_id).tell(NoteBundle(plugin_id in bundles))

    async def _find_out(self, file: FoundFile) -> None:
        await self._probe_and_place(file)
        await self._end_unclaimed()

    async def _probe_and_place(self, file: FoundFile) -> None:
        known = await self._files.probe(file)
        with contextlib.suppress(ToruError):
            self._enabled = await self._folder.ask(LoadEnabled())
            self._sandbox_forced = await self._folder.ask(LoadSandboxForced())
        if self._files.learn(file, known):
            self._place()

    def _place(self) -> None:
        """Give each plugin its place, and tell the actors what has changed for them."""
        before = self._files.placed
        placed = self._files.place()
        for each in placed:
            self._put(each.id, each.file_name)
            self._displaced.pop(each.id, None)
        self._places.assign(((each.route, each.id) for each in placed), self._actors)
        for plugin_id in before.keys() - self._files.placed.keys():
            self._displaced[plugin_id] = before[plugin_id]
        for plugin_id, file_name in self._displaced.items():
            self._take_away(plugin_id, file_name)
        publish(self._services.hub, "plugins", None)

    def _put(self, plugin_id: str, file_name: str) -> None:
        """Start the actor of a plugin, or tell it that its file is another one."""
        if plugin_id in self._actors:
            file, metadata = self._usable(file_name)
            with contextlib.suppress(Unavailable):  # one that is being replaced asks for its plan
                self._plugin(plugin_id).tell(Replace(metadata, file))
            return
        name = self._actors[plugin_id] = self.free_name(plugin_id)
        self._start(name, plugin_id)

    def _start(self, name: str, plugin_id: str) -> None:
        args = (plugin_id,)
        self._children.start(
            ChildSpec(name, self._make_plugin, args=args, restart=Restart.TRANSIENT)
        )

    def _make_plugin(self, context: ActorContext, plugin_id: str) -> Plugin:
        """Make an actor of a plugin, also after a crash: with what is known at that moment."""
        figures = self._figures.setdefault(plugin_id, Figures())
        plan = self._plan(context.name, plugin_id, is_first=not context.meter.restarts)
        return Plugin(context, plan, self._services, figures)

    def _plan(self, name: str, plugin_id: str, *, is_first: bool) -> PluginPlan:
        trial = self._installer.on_trial(name)
        if trial is not None:
            role: Literal["trial", "retired"] = "trial" if is_first else "retired"
            has_bundle = plugin_id in self._bundles
            return PluginPlan(*trial, enabled=True, has_bundle=has_bundle, role=role)
        file, metadata = self._usable(self._files.placed[plugin_id])
        return PluginPlan(
            metadata,
            file,
            enabled=self._is_enabled(plugin_id),
            has_bundle=plugin_id in self._bundles,
            leftovers=tuple(self._leftovers.pop(plugin_id, ())),
            role="serves" if self._actors.get(plugin_id) == name else "retired",
        )

    def _usable(self, file_name: str) -> tuple[FoundFile, PluginMetadata]:
        found = self._files.usable(file_name)
        assert found is not None
        return found

    def _is_enabled(self, plugin_id: str) -> bool:
        view = self._views.get(plugin_id)
        return self._enabled.get(plugin_id, True) if view is None else view.enabled

    def _take_away(self, plugin_id: str, file_name: str) -> None:
        fault = self._files.fault(file_name)
        is_there = file_name in self._files.known
        message = MarkBroken(fault) if is_there and fault else MarkRemoved()
        with contextlib.suppress(Unavailable):
            self._plugin(plugin_id).tell(message)

    async def _dispose(self, plugin_id: str, name: str) -> None:
        if self._actors.get(plugin_id) != name:
            await self._leave(name)  # a version that has retired, or was tried in vain
            return
        if plugin_id in self._files.placed:
            return  # its file has come back meanwhile, and the actor was told
        del self._actors[plugin_id]
        for book in (self._figures, self._displaced, self._views):
            book.pop(plugin_id, None)
        await self._leave(name)
        publish(self._services.hub, "plugins", None)

    async def _leave(self, name: str) -> None:
        self._leaving.add(name)
        await self._children.stop(name)
        self._leaving.discard(name)

    def _plugin_gone(self, name: str, error: BaseException | None) -> None:
        if error is not None:
            logger.error("The actor %s is given up: %s", name, error)

    # What the installer needs

    async def _install(self, sha256: str | None, plugin_id: str | None) -> InstallState:
        await self._discovery()
        if sha256 is not None:
            return self._installer.install(sha256)
        assert plugin_id is not None
        return self._installer.roll_back(plugin_id)

    def in_background(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something that nobody waits for."""
        self.background(work)

    def serves(self, plugin_id: str) -> bool:
        """Return whether a plugin's process is there, as far as is known."""
        view = self._views.get(plugin_id)
        return view is not None and view.running

    async def is_enabled(self, plugin_id: str) -> bool:
        """Return whether a plugin is to run, after all that was wished before."""
        if plugin_id in self._actors:
            with contextlib.suppress(ToruError):
                return (await self._describe(plugin_id)).enabled
            return self._is_enabled(plugin_id)
        with contextlib.suppress(ToruError):
            self._enabled = await self._folder.ask(LoadEnabled())
        return self._enabled.get(plugin_id, True)

    def free_name(self, plugin_id: str) -> str:
        """Return a name for one more actor of a plugin."""
        names = (actor_name(plugin_id, number) for number in itertools.count(1))
        return next(name for name in names if name not in self._children)

    def start_trial(self, name: str, plugin_id: str) -> Address:
        """Start the actor of a version that is on trial."""
        self._start(name, plugin_id)
        return self.context.system.address(name)

    def actor(self, name: str) -> Address:
        """Return an actor of a plugin."""
        return self.context.system.address(name)

    def take_over(
        self, plugin_id: str, file: FoundFile, metadata: PluginMetadata, name: str | None
    ) -> None:
        """Let another version have a plugin's place, from the next message on.

        Args:
            plugin_id: the plugin.
            file: its file, which is that of the new version already.
            metadata: of the new version.
            name: the actor of the new version; None when none was started.
        """
        self._files.put(file, metadata)
        before = self._actors.get(plugin_id)
        if name is not None:
            self._actors[plugin_id] = name
            with contextlib.suppress(Unavailable):  # one that is being replaced asks for its plan
                self._plugin(plugin_id).tell(AdoptPlugin(metadata, file))
        self._place()
        if name is not None and before is not None:
            with contextlib.suppress(Unavailable):
                self.context.system.address(before).tell(RetirePlugin())

    # What the web asks

    async def _discovery(self) -> None:
        """Wait until the files that were there at the start are known, or it takes too long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(self._discovery_deadline):
                await self._discovered.wait()

    async def _end_discovery(self) -> None:
        await self._discovery()
        self._places.are_known = True

    async def _list(self, session: Session) -> list[PluginView]:
        await self._discovery()
        found = await asyncio.gather(*map(self._describe_anyhow, list(self._actors)))
        views = [view_for(session, view) for view in found if view is not None]
        if session.is_admin:
            shown = {view.file for view in views}
            views += [view for view in self._broken() if view.file not in shown]
        return sorted(views, key=lambda view: (view.name.lower(), view.id))

    async def _get(self, plugin_id: str, session: Session) -> PluginView:
        await self._discovery()
        if plugin_id in self._actors:
            found = await self._describe_anyhow(plugin_id)
            if found is not None:
                return view_for(session, found)
        for view in self._broken():
            if view.id == plugin_id and session.is_admin:
                return view
        raise NotFound("There is no such plugin.")

    async def _describe(self, plugin_id: str) -> PluginView:
        view = await self._plugin(plugin_id).ask(DescribePlugin(), deadline_s=2.0)
        return self._with_sandbox(view)

    async def _describe_anyhow(self, plugin_id: str) -> PluginView | None:
        """Return what the actor says, or what it last said when it cannot say anything now."""
        try:
            return await self._describe(plugin_id)
        except ToruError:
            return self._views.get(plugin_id)

    async def _pass_on(self, plugin_id: str, message: Message[None]) -> None:
        await self._discovery()
        await self._installer.settled(plugin_id)
        if plugin_id not in self._actors:
            await self._try_broken(plugin_id, message)
        await self._plugin(plugin_id).ask(message, deadline_s=700.0)

    async def _ask_of_settings(self, plugin_id: str, message: Message[Any]) -> Any:
        await self._discovery()
        await self._installer.settled(plugin_id)
        if plugin_id not in self._actors:
            raise NotFound("There is no such plugin, or it cannot be used.")
        return await self._plugin(plugin_id).ask(message, deadline_s=30.0)

    async def _try_broken(self, plugin_id: str, message: Message[None]) -> None:
        """Look once more at a broken file when somebody wants it to run; refuse all else."""
        broken = next((view for view in self._broken() if view.id == plugin_id), None)
        if broken is None:
            raise NotFound("There is no such plugin.")
        known = self._files.known[broken.file]
        if known.metadata is None and not isinstance(message, DisablePlugin):
            self._files.expect(known.file)
            await self._probe_and_place(known.file)
        if plugin_id not in self._actors:
            reason = self._files.fault(broken.file) or broken.reason
            raise Conflict(f"The plugin is broken: {reason}", code="broken_plugin")

    async def _force_sandbox(self, plugin_id: str, forced: bool) -> None:
        await self._discovery()
        known = self._files.placed.keys() | {view.id for view in self._broken()}
        if plugin_id not in known:
            raise NotFound("There is no such plugin.")
        await self._folder.ask(SetSandboxForced(plugin_id, forced))
        others = self._sandbox_forced - {plugin_id}
        self._sandbox_forced = others | {plugin_id} if forced else others
        if plugin_id in self._files.placed:
            with contextlib.suppress(ToruError):
                self._views[plugin_id] = await self._describe(plugin_id)
                publish(self._services.hub, "plugin", self._views[plugin_id])

    def _with_sandbox(self, view: PluginView) -> PluginView:
        """Return what a plugin says of itself, with what the admin wants of its page."""
        forced = view.id in self._sandbox_forced
        return msgspec.structs.replace(
            view, sandboxed=view.sandboxed or forced, sandbox_forced=forced
        )

    async def _list_kv(self, wanted: ListPluginKv) -> KvPage:
        await self._check_enabled(wanted.id)
        question = KvList(wanted.id, wanted.prefix, wanted.cursor, wanted.limit)
        return await self._services.db_reader.ask(question)

    async def _check_enabled(self, plugin_id: str) -> None:
        await self._discovery()
        if plugin_id not in self._files.placed or not self._is_enabled(plugin_id):
            raise NotFound("There is no such plugin, or it is disabled.")

    async def _kv(self, wanted: PluginKv) -> str | None:
        await self._check_enabled(wanted.id)
        keys = PluginKeys(wanted.id, self._services)
        return await keys.kv(wanted.action, wanted.key, wanted.value)

    async def _bundle(self, plugin_id: str, session: Session) -> bytes:
        view = await self._get(plugin_id, session)
        if not view.enabled or view.state == "broken":
            raise NotFound("This plugin is disabled.", code="plugin_disabled")
        bundle = await self._folder.ask(LoadBundle(plugin_id))
        if bundle is not None:
            return bundle
        number = self._places.next_request_id()
        request = bundle_request(session.username, session.role, number)
        plugin = self._plugin(plugin_id)
        answer = await whole_answer(plugin, request)
        if answer.status in (200, 404):
            plugin.tell(NoteBundleAnswer(answer.status == 200))
        if answer.status != 200:
            raise NotFound("The plugin has no bundle.", code="no_bundle")
        return answer.body or b""

    def _broken(self) -> list[PluginView]:
        """Return views of the files that have no place."""
        return [broken_view(known, fault) for known, fault in self._files.broken()]

    def _plugin(self, plugin_id: str) -> Address:
        return self.context.system.address(self._actors[plugin_id])
