"""The files of the plugins folder: what has been found out of each, and which may have a place.

Runs on: the event loop, owned by the plugin manager.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable

import msgspec

from toru.actors.messages.plugin_install import FindPin
from toru.actors.messages.plugins import FoundFile, Probe
from toru.actors.runtime import Address
from toru.domain.plugin_metadata import BrokenPlugin, PluginMetadata
from toru.domain.plugin_probe import BEING_WRITTEN
from toru.domain.plugin_routes import Registration, assign
from toru.errors import ToruError

logger = logging.getLogger("toru.plugins")

PROBE_S = 300.0
"""How long a probe may take with all those before it: four at a time, some seconds each."""


class KnownFile(msgspec.Struct, frozen=True):
    """A file that has been looked at: its metadata, or why there are none."""

    file: FoundFile
    metadata: PluginMetadata | None = None
    reason: str = ""


class PluginFiles:
    """What is known of each file.

    A file is probed when it is first seen, and again when it has changed and then stayed the same
    until the next look, so that one that is still being copied is not called broken.

    Attributes:
        known: by the name of the file.
        placed: the name of the file by the id of the plugin that it has a place as.
    """

    def __init__(self, store: Address, prober: Address) -> None:
        """Create it.

        Args:
            store: knows what an installed file is held to.
            prober: runs files with ``--metadata``.
        """
        self.known: dict[str, KnownFile] = {}
        self.placed: dict[str, str] = {}
        self._store = store
        self._prober = prober
        self._probing: dict[str, tuple[int, ...]] = {}
        self._seen: dict[str, tuple[int, ...]] | None = None
        self._collisions: dict[str, str] = {}

    @property
    def is_probing(self) -> bool:
        """Whether something is being found out."""
        return bool(self._probing)

    def take_note(self, files: Iterable[FoundFile]) -> tuple[list[FoundFile], bool]:
        """Take a look at the folder; return what is to be probed, and whether a file is gone."""
        found = {file.name: file for file in files}
        news = [file for file in found.values() if self._is_news(file)]
        self._seen = {name: file.signature for name, file in found.items()}
        gone = self.known.keys() - found.keys()
        for name in gone:
            del self.known[name]
        for file in news:
            self.expect(file)
        return news, bool(gone)

    def expect(self, file: FoundFile) -> None:
        """Note that a file is about to be probed."""
        self._probing[file.name] = file.signature

    async def probe(self, file: FoundFile) -> KnownFile | None:
        """Return what a file is; None when that cannot be found out now."""
        try:
            file = await self._store.ask(FindPin(file), deadline_s=PROBE_S)
            return KnownFile(file, await self._prober.ask(Probe(file), deadline_s=PROBE_S))
        except BrokenPlugin as error:
            if error.code == BEING_WRITTEN:
                return None
            logger.warning("The plugin %s is broken: %s", file.name, error.sentence)
            return KnownFile(file, reason=error.sentence)
        except ToruError as error:
            logger.warning("The plugin %s could not be looked at: %s", file.name, error.sentence)
            return None

    def learn(self, file: FoundFile, known: KnownFile | None) -> bool:
        """Take what a probe that was expected has found; return whether it is news."""
        if self._probing.get(file.name) != file.signature:
            return False  # it has changed once more meanwhile
        del self._probing[file.name]
        if known is None or (self._seen or {}).get(file.name) != file.signature:
            return False  # it is looked at again, or gone
        self.known[file.name] = known
        return True

    def put(self, file: FoundFile, metadata: PluginMetadata) -> None:
        """Know a file that was put there by an install, and need not be probed again."""
        self._probing.pop(file.name, None)
        self.known[file.name] = KnownFile(file, metadata)
        if self._seen is not None:
            self._seen[file.name] = file.signature

    def place(self) -> list[Registration]:
        """Give each plugin its id and route, and return those that have them."""
        placed, collisions = assign(Registration(*each) for each in self.registrations())
        for collision in collisions:
            if self._collisions.get(collision.file_name) != collision.reason:
                logger.warning("The plugin %s: %s", collision.file_name, collision.reason)
        self._collisions = {each.file_name: each.reason for each in collisions}
        self.placed = {each.id: each.file_name for each in placed}
        return placed

    def usable(self, name: str) -> tuple[FoundFile, PluginMetadata] | None:
        """Return a file as it is known, and its metadata; None where there are none."""
        known = self.known.get(name)
        if known is None or known.metadata is None:
            return None
        return known.file, known.metadata

    def registrations(self) -> tuple[tuple[str, str, str], ...]:
        """Return file name, id and route of every plugin that has metadata."""
        return tuple(
            (name, known.metadata.id, known.metadata.route)
            for name, known in self.known.items()
            if known.metadata is not None
        )

    def unusable(self) -> tuple[str, ...]:
        """Return the names of the files that have none."""
        return tuple(name for name, known in self.known.items() if known.metadata is None)

    def fault(self, name: str) -> str:
        """Return why a file has no place; empty when it has one, or is not there."""
        known = self.known.get(name)
        return self._collisions.get(name) or (known.reason if known else "")

    def broken(self) -> list[tuple[KnownFile, str]]:
        """Return the files that have no place, and why."""
        return [(known, fault) for name, known in self.known.items() if (fault := self.fault(name))]

    def _is_news(self, file: FoundFile) -> bool:
        known = self.known.get(file.name)
        if known is not None and known.file.signature == file.signature:
            return False
        if self._probing.get(file.name) == file.signature:
            return False
        return self._seen is None or self._seen.get(file.name) == file.signature
