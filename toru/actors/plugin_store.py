"""The store of versions: what was installed, kept and pinned in the plugins folder.

Runs on: a thread of its own, because checksums of large files take a while.
"""

from __future__ import annotations

import contextlib
import logging
import os
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from toru.actors.messages.plugin_install import (
    BeginInstall,
    BeginRollback,
    ChooseFile,
    EndInstall,
    FindPin,
    KeepVersion,
    PutInPlace,
    RecoverInstalls,
)
from toru.actors.messages.plugins import FoundFile
from toru.actors.plugin_folder import look_at
from toru.actors.runtime import ActorContext, Message, ThreadActor
from toru.clock import utc_now
from toru.domain import plugin_install
from toru.domain.plugin_install import Pin, Version
from toru.domain.plugin_routes import Registration
from toru.errors import Conflict, ToruError, Unavailable
from toru.storage.plugin_versions import PluginVersions, sha256_of

logger = logging.getLogger("toru.plugins")


class PluginStore(ThreadActor):
    """Changes versions, one at a time, under a lock that other processes see."""

    mailbox_limit: ClassVar[int] = 500

    def __init__(self, context: ActorContext, folder: Path) -> None:
        super().__init__(context)
        self._versions = PluginVersions(folder)
        self._lock: int | None = None
        self._offered: str | None = None

    def on_stop(self) -> None:
        """Let go of the lock."""
        self._unlock()

    def on_failure(self, *_exc_info: Any) -> None:
        """Let go of the lock."""
        self._unlock()

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message."""
        try:
            return self._handle(message)
        except OSError as error:
            reason = error.strerror or error
            raise Unavailable(f"The plugins folder cannot be used: {reason}.") from None

    def _handle(self, message: Message[Any]) -> Any:
        match message:
            case FindPin(file=file):
                return self._find_pin(file)
            case BeginInstall(sha256=sha256):
                self._begin()
                self._offered = sha256
                return look_at(self._versions.staged(sha256), self._versions.folder)
            case BeginRollback(id=plugin_id):
                self._begin()
                return self._version_before(plugin_id)
            case ChooseFile():
                return self._choose_file(message)
            case KeepVersion(sha256=sha256, name=name):
                self._versions.keep(self._versions.staged(sha256), sha256, name)
                return self._candidate(sha256, name)
            case PutInPlace():
                return self._put_in_place(message)
            case EndInstall():
                self._end()
            case RecoverInstalls():
                self._recover()
            case _:
                return super().on_receive(message)
        return None

    def _find_pin(self, file: FoundFile) -> FoundFile:
        pin = None if file.trouble is not None else self._versions.pin(file.name)
        if pin is None:
            return file
        kept = self._versions.kept(pin.sha256, file.name)
        return msgspec.structs.replace(file, pin=pin, kept=str(kept) if kept.exists() else None)

    def _begin(self) -> None:
        self._unlock()
        self._lock = self._versions.lock()
        self._versions.recover()

    def _end(self) -> None:
        try:
            if self._offered is not None:
                self._versions.unstage(self._offered)
                self._offered = None
            if self._lock is not None:
                self._versions.tidy(self._versions.book())
        finally:
            self._unlock()

    def _unlock(self) -> None:
        lock, self._lock = self._lock, None
        if lock is not None:
            os.close(lock)

    def _recover(self) -> None:
        self._unlock()
        if not self._versions.are_any:
            return
        with contextlib.suppress(Conflict):  # somebody who installs just now does it himself
            try:
                with self._versions.locked():
                    self._versions.recover()
            except (OSError, ToruError) as error:
                if isinstance(error, Conflict):
                    raise
                logger.warning("What was installed of plugins cannot be looked after: %s", error)

    def _version_before(self, plugin_id: str) -> FoundFile:
        name, version = plugin_install.version_before(self._versions.book(), plugin_id)
        path = self._versions.kept(version.sha256, name)
        plugin_install.check_pinned(version.sha256, sha256_of(path))
        return self._candidate(version.sha256, name)

    def _candidate(self, sha256: str, name: str) -> FoundFile:
        kept = self._versions.kept(sha256, name)
        found = look_at(kept, self._versions.folder)
        path = str(self._versions.folder / name)
        return msgspec.structs.replace(found, path=path, kept=str(kept), pin=Pin(sha256))

    def _choose_file(self, wanted: ChooseFile) -> str:
        known = (Registration(*one) for one in wanted.known)
        book = self._versions.book()
        return plugin_install.chosen_file(wanted.metadata, known, book, wanted.broken)

    def _put_in_place(self, wanted: PutInPlace) -> FoundFile:
        coming = Version(wanted.sha256, wanted.version, utc_now())
        self._versions.put_in_place(wanted.id, wanted.name, coming, wanted.present_version)
        return self._find_pin(look_at(self._versions.folder / wanted.name, self._versions.folder))
