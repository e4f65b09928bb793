"""Installs: another version of a plugin is started beside the one that serves, and takes its place.

Runs on: the event loop, owned by the plugin manager.

Until the new version is ready nothing changes for the one that serves. Then the file is put in
place (``toru.storage.plugin_versions``), and in the same turn of the loop the next request goes to
the new process, while the old one answers what it has and ends. Whatever fails before that leaves
all as it was.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Mapping
from typing import Any, Literal, Protocol

import msgspec

from toru.actors.messages.hub import Publish
from toru.actors.messages.logs import Level, LogLine, LogLines
from toru.actors.messages.plugin_install import (
    BeginInstall,
    BeginRollback,
    ChooseFile,
    EndInstall,
    InstallState,
    KeepVersion,
    Outcome,
    PutInPlace,
    RetirePlugin,
)
from toru.actors.messages.plugin_storage import InsertPluginEvent
from toru.actors.messages.plugins import EnablePlugin, FoundFile, Probe
from toru.actors.plugin_files import PROBE_S, PluginFiles
from toru.actors.plugin_services import PluginServices
from toru.actors.runtime import Address
from toru.clock import utc_now
from toru.domain.plugin_metadata import PluginMetadata
from toru.domain.uuid7 import uuid7
from toru.errors import Conflict, NotFound, ToruError, Unavailable

STORE_S = 300.0
"""What the store may take, which reads whole files."""
READY_S = 700.0
"""A start may be put off for ten minutes."""
KEPT = 50
"""Installs that can still be asked for."""

_WHAT_REMAINS: Mapping[str, str] = {
    "disabled": " It is disabled, and runs once it is enabled.",
    "needs_configuration": " It runs once it has the settings that it needs.",
}

Trial = tuple[PluginMetadata, FoundFile]


class Host(Protocol):
    """What the installer needs of the plugin manager."""

    def in_background(self, work: Coroutine[Any, Any, None]) -> None: ...

    async def is_enabled(self, plugin_id: str) -> bool: ...

    def serves(self, plugin_id: str) -> bool: ...

    def free_name(self, plugin_id: str) -> str: ...

    def start_trial(self, name: str, plugin_id: str) -> Address: ...

    def actor(self, name: str) -> Address: ...

    def take_over(
        self, plugin_id: str, file: FoundFile, metadata: PluginMetadata, name: str | None
    ) -> None: ...


class PluginInstaller:
    """Installs versions of plugins, one after the other.

    Args:
        host: the plugin manager.
        files: what is known of the files in the folder.
        services: the store, the hub, the logs.
        prober: runs files with ``--metadata``.

    Attributes:
        changes: how often a file in the folder was replaced by this.
    """

    def __init__(
        self, host: Host, files: PluginFiles, services: PluginServices, prober: Address
    ) -> None:
        self.changes = 0
        self._host = host
        self._files = files
        self._services = services
        self._prober = prober
        self._states: dict[str, InstallState] = {}
        self._present: InstallState | None = None
        self._trials: dict[str, Trial] = {}
        self._closed = False
        self._swapping: str | None = None
        self._swapped = asyncio.Event()
        self._swapped.set()

    # What the manager asks

    def install(self, sha256: str) -> InstallState:
        """Begin to install the file that is offered under a checksum. Conflict."""
        return self._begin("install", BeginInstall(sha256))

    def roll_back(self, plugin_id: str) -> InstallState:
        """Begin to bring back the version before of a plugin. Conflict."""
        return self._begin("rollback", BeginRollback(plugin_id))

    def state(self, install_id: str) -> InstallState:
        """Return how far an install is. NotFound."""
        try:
            return self._states[install_id]
        except KeyError:
            raise NotFound("There is no such install, or it was long ago.") from None

    def on_trial(self, name: str) -> Trial | None:
        """Return what an actor is made of when it is that of a version on trial."""
        return self._trials.get(name)

    def note_status(self, name: str, text: str) -> None:
        """Take note of what a version on trial says that it is busy with."""
        if name in self._trials:
            self._note(step=text)

    async def settled(self, plugin_id: str) -> None:
        """Return when it is clear which version of a plugin a wish is for."""
        if self._swapping == plugin_id:
            await self._swapped.wait()

    def close(self) -> None:
        """Start nothing any more: the hub is being stopped."""
        self._closed = True

    # An install

    def _begin(
        self, kind: Literal["install", "rollback"], first: BeginInstall | BeginRollback
    ) -> InstallState:
        if self._present is not None:
            raise Conflict(
                "Another plugin is being installed just now; try again when that is over.",
                code="install_under_way",
            )
        begun = InstallState(uuid7(), kind, "running", "Looking at the file.", utc_now())
        self._present = begun
        self._states = dict(list(self._states.items())[1 - KEPT :])
        self._states[begun.id] = begun
        self._host.in_background(self._run(first))
        return begun

    def _note(self, **changes: Any) -> None:
        assert self._present is not None
        self._present = msgspec.structs.replace(self._present, **changes)
        self._states[self._present.id] = self._present

    async def _run(self, first: BeginInstall | BeginRollback) -> None:
        end: Mapping[str, Any]
        try:
            end = await self._install(first)
        except ToruError as error:
            end = await self._failed(error.sentence)
        with contextlib.suppress(ToruError):
            await self._services.store.ask(EndInstall(), deadline_s=STORE_S)
        self._note(**end)  # whoever reads that may begin the next
        self._present = None

    async def _install(self, first: BeginInstall | BeginRollback) -> Mapping[str, Any]:
        """Do all of it, and return how it has ended."""
        found = await self._services.store.ask(first, deadline_s=STORE_S)
        metadata = await self._prober.ask(Probe(found), deadline_s=PROBE_S)
        sha256 = first.sha256 if isinstance(first, BeginInstall) else _pinned(found)
        self._note(plugin=metadata.id, version=metadata.version, sha256=sha256)
        name = await self._choose(metadata)
        if isinstance(first, BeginRollback) and (metadata.id, name) != (first.id, found.name):
            raise Conflict(f'The version before is another plugin, "{metadata.id}".')
        known = self._files.usable(name)
        before = known[1].version if known is not None else None
        self._note(file=name, previous_version=before)
        if known is not None and known[0].pin is not None and known[0].pin.sha256 == sha256:
            return _done("unchanged", f"Version {metadata.version} is what is installed already.")
        if isinstance(first, BeginInstall):
            found = await self._services.store.ask(KeepVersion(sha256, name), deadline_s=STORE_S)
        outcome = await self._try_and_place(found, metadata, before)
        return await self._record(metadata, before, outcome)

    async def _choose(self, metadata: PluginMetadata) -> str:
        wanted = ChooseFile(metadata, self._files.registrations(), self._files.unusable())
        return await self._services.store.ask(wanted, deadline_s=STORE_S)

    async def _try_and_place(
        self, file: FoundFile, metadata: PluginMetadata, before: str | None
    ) -> Outcome:
        """Let the version take the plugin's place, and return what has come of it."""
        name, lacks = None, False
        if await self._host.is_enabled(metadata.id):
            try:
                name = await self._try(file, metadata, before)
            except ToruError as error:
                lacks = error.code == "needs_configuration"
                if not lacks or self._host.serves(metadata.id):
                    raise
        try:
            runs = await self._swap(file, metadata, before, name)
            return "started" if runs else "needs_configuration" if lacks else "disabled"
        finally:
            if name is not None and self._trials.pop(name, None) is not None:
                self._retire(name)

    async def _try(self, file: FoundFile, metadata: PluginMetadata, before: str | None) -> str:
        """Start the version and return the name of its actor once it is ready."""
        beside = f" beside {before}" if before else ""
        self._note(step=f"Starting version {metadata.version}{beside}.")
        self._check_open()
        name = self._host.free_name(metadata.id)
        self._trials[name] = (metadata, file)
        try:
            actor = self._host.start_trial(name, metadata.id)
            await actor.ask(EnablePlugin(metadata.id), deadline_s=READY_S)
        except BaseException:
            if self._trials.pop(name, None) is not None:
                self._retire(name)
            raise
        return name

    async def _swap(
        self, file: FoundFile, metadata: PluginMetadata, before: str | None, name: str | None
    ) -> bool:
        """Put the file in place, and let the next request go to the new version."""
        self._note(step="Putting it in place.")
        self._check_open()
        self._swapping = metadata.id
        self._swapped.clear()
        try:
            is_enabled = await self._host.is_enabled(metadata.id)
            await self._choose(metadata)  # what it collides with may have come meanwhile
            assert file.pin is not None
            wanted = PutInPlace(
                metadata.id, file.name, file.pin.sha256, metadata.version, before or ""
            )
            placed = await self._services.store.ask(wanted, deadline_s=STORE_S)
            self.changes += 1
            serves = name if is_enabled else None
            if serves is not None:
                del self._trials[serves]
            self._host.take_over(metadata.id, placed, metadata, serves)
        finally:
            self._swapping = None
            self._swapped.set()
        return serves is not None

    def _check_open(self) -> None:
        if self._closed:
            raise Unavailable("The hub is being stopped.", code="shutting_down")

    def _retire(self, name: str) -> None:
        with contextlib.suppress(Unavailable):
            self._host.actor(name).tell(RetirePlugin())

    # What is told of it

    async def _record(
        self, metadata: PluginMetadata, before: str | None, outcome: Outcome
    ) -> Mapping[str, Any]:
        assert self._present is not None
        is_rollback = self._present.kind == "rollback"
        what = "rolled back to" if is_rollback else "installed as"
        instead = f" in place of {before}" if before else ""
        sentence = f"It is {what} version {metadata.version}{instead}."
        details = {
            "version": metadata.version,
            "previous_version": before,
            "sha256": self._present.sha256,
        }
        await self._store_event("rolled_back" if is_rollback else "installed", details)
        self._log("info", metadata.id, sentence)
        return _done(outcome, f"{sentence}{_WHAT_REMAINS.get(outcome, '')}")

    async def _failed(self, sentence: str) -> Mapping[str, Any]:
        assert self._present is not None
        plugin_id = self._present.plugin
        if plugin_id is not None:
            version = self._present.version
            self._log("warn", plugin_id, f"Version {version} is not installed: {sentence}")
            details = {"version": version, "sha256": self._present.sha256, "reason": sentence}
            await self._store_event("install_failed", details)
        return {"state": "failed", "step": "It is not installed.", "error": sentence}

    async def _store_event(self, event_type: str, details: dict[str, Any]) -> None:
        assert self._present is not None
        plugin_id = self._present.plugin or ""
        text = msgspec.json.encode(details).decode()
        try:
            message = InsertPluginEvent(plugin_id, event_type, text, utc_now())
            row = await self._services.db_writer.ask(message)
        except ToruError as error:
            self._log("error", plugin_id, f"An event is not stored: {error.sentence}")
            return
        data = msgspec.json.encode({"type": "event", "plugin": plugin_id, "event": row})
        with contextlib.suppress(Unavailable):
            told = Publish("plugin-states", msgspec.Raw(data), admin_only=True)
            self._services.hub.tell(told)

    def _log(self, level: Level, plugin_id: str, text: str) -> None:
        with contextlib.suppress(Unavailable):
            line = LogLine(utc_now(), level, plugin_id, text)
            self._services.supervisor_log.tell(LogLines((line,)))


def _done(outcome: Outcome, step: str) -> Mapping[str, Any]:
    return {"state": "done", "outcome": outcome, "step": step}


def _pinned(file: FoundFile) -> str:
    assert file.pin is not None
    return file.pin.sha256
