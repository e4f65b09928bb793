"""Which versions of plugins were installed: what is written down, and what is decided by it.

Runs on: any thread; pure. Files and processes are somebody else's part.

A change of versions is written down before it is made: ``next`` names what is coming. Then the file
is replaced at once as a whole, and last the change is noted as done. Whoever is interrupted leaves
the old file or the new one, and `recovered` says which by the file's checksum.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

import msgspec

from toru.domain.plugin_metadata import BrokenPlugin, PluginMetadata
from toru.domain.plugin_routes import Registration
from toru.errors import BadRequest, Conflict, NotFound

SUFFIX = ".binary"

_SHA256 = re.compile(r"[0-9a-f]{64}")
_SHOWN_CHARS = 12


class Version(msgspec.Struct, frozen=True):
    """A version of a plugin, of which there is a copy.

    Attributes:
        sha256: of the file, in hex.
        version: what its metadata say.
        installed_at: RFC 3339 UTC; None of a file that somebody put there by hand.
    """

    sha256: str
    version: str
    installed_at: str | None = None


class Installed(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is written down of one plugin.

    Attributes:
        file: the name of its file.
        current: the version that its file must have; None when it has none yet, or was put there
            by hand.
        previous: the version before, which a rollback brings back.
        next: the version that is about to take the place of the present one.
        replaces: what ``previous`` is to be then.
    """

    file: str
    current: Version | None = None
    previous: Version | None = None
    next: Version | None = None
    replaces: Version | None = None


Book = Mapping[str, Installed]
"""What is written down, by the plugins' ids."""


class Pin(msgspec.Struct, frozen=True):
    """What an installed file is held to.

    Attributes:
        sha256: the checksum that it must have.
        installed_at: RFC 3339 UTC.
        previous_version: what a rollback brings back; None when there is nothing.
    """

    sha256: str
    installed_at: str | None = None
    previous_version: str | None = None


def checked_sha256(text: str) -> str:
    """Return a checksum in its plain form. BadRequest when it is none."""
    plain = text.strip().lower()
    if not _SHA256.fullmatch(plain):
        raise BadRequest("A SHA-256 checksum has 64 digits from 0 to 9 and a to f.")
    return plain


def chosen_file(
    metadata: PluginMetadata, known: Iterable[Registration], book: Book, broken: Iterable[str] = ()
) -> str:
    """Return the name of the file that a plugin gets: its present one, or one after its id.

    Args:
        metadata: of the plugin that is to be installed.
        known: the plugins that are there.
        book: what was installed.
        broken: the names of files that are no plugins that can be used; they may be replaced.

    Raises:
        Conflict: its id, route or file is another's.
    """
    every = sorted(known, key=lambda one: one.file_name)
    own = next((one for one in every if one.id == metadata.id), None)
    noted = book.get(metadata.id)
    if own is not None:
        file = own.file_name
    else:
        file = noted.file if noted is not None else f"{metadata.id}{SUFFIX}"
    for one in every:
        if one.file_name != file:
            _check_apart(metadata, one)
        elif one.id != metadata.id:
            raise Conflict(
                f'{file} is there already, and is the plugin "{one.id}"; remove it first.',
                code="plugin_collides",
            )
    for other_id, entry in book.items():
        if entry.file == file and other_id != metadata.id and file not in broken:
            raise Conflict(
                f'{file} was installed as the plugin "{other_id}"; remove that first.',
                code="plugin_collides",
            )
    return file


def _check_apart(metadata: PluginMetadata, other: Registration) -> None:
    for what, own, taken in (
        ("id", metadata.id.lower(), other.id.lower()),
        ("route", metadata.route, other.route),
    ):
        if own == taken:
            shown = metadata.id if what == "id" else metadata.route
            raise Conflict(
                f'Its {what} "{shown}" is already that of {other.file_name}; change one of them.',
                code="plugin_collides",
            )


def begun(
    book: Book, plugin_id: str, file: str, coming: Version, present: Version | None
) -> dict[str, Installed]:
    """Return the book with a change noted as coming.

    Args:
        book: as it is.
        plugin_id: the plugin.
        file: the name of its file.
        coming: the version to come.
        present: the version whose file is there, also when it was put there by hand.
    """
    entry = book.get(plugin_id, Installed(file))
    if present is not None and present.sha256 == coming.sha256:
        present = entry.previous
    return {
        **book,
        plugin_id: msgspec.structs.replace(entry, file=file, next=coming, replaces=present),
    }


def done(book: Book, plugin_id: str) -> dict[str, Installed]:
    """Return the book with the change that was coming noted as done."""
    entry = book[plugin_id]
    return {**book, plugin_id: Installed(entry.file, entry.next, entry.replaces)}


def withdrawn(book: Book, plugin_id: str) -> dict[str, Installed]:
    """Return the book without the change that was coming."""
    entry = book[plugin_id]
    rest = {key: value for key, value in book.items() if key != plugin_id}
    if entry.current is None:
        return rest
    return {**rest, plugin_id: Installed(entry.file, entry.current, entry.previous)}


def recovered(book: Book, found: Mapping[str, str | None]) -> dict[str, Installed]:
    """Return the book after changes that were interrupted.

    Args:
        book: as it was left.
        found: the checksums of the files that are there, by name.
    """
    every = dict(book)
    for plugin_id, entry in book.items():
        if entry.next is None:
            continue
        is_there = found.get(entry.file) == entry.next.sha256
        every = done(every, plugin_id) if is_there else withdrawn(every, plugin_id)
    return every


def kept_versions(book: Book) -> set[str]:
    """Return the checksums of the versions of which a copy is kept."""
    versions = (
        version
        for entry in book.values()
        for version in (entry.current, entry.previous, entry.next, entry.replaces)
    )
    return {version.sha256 for version in versions if version is not None}


def entry_of(book: Book, file: str) -> Installed | None:
    """Return what is written down of a file; None when it was not installed."""
    return next((entry for entry in book.values() if entry.file == file), None)


def pin_of(entry: Installed, sha256: str) -> Pin | None:
    """Return what a file is held to; None when it was put there by hand and is to be replaced.

    Args:
        entry: what is written down of the file.
        sha256: the checksum that it has.

    Raises:
        BrokenPlugin: it is not what was installed.
    """
    if entry.next is not None and entry.next.sha256 == sha256:
        before = entry.replaces.version if entry.replaces is not None else None
        return Pin(sha256, entry.next.installed_at, before)
    if entry.current is None:
        return None
    check_pinned(entry.current.sha256, sha256)
    before = entry.previous.version if entry.previous is not None else None
    return Pin(sha256, entry.current.installed_at, before)


def check_pinned(wanted: str, found: str) -> None:
    """Refuse a file whose checksum is not the pinned one. BrokenPlugin."""
    if wanted != found:
        raise BrokenPlugin(
            f"Its file is not the one that was installed: its SHA-256 begins with "
            f"{found[:_SHOWN_CHARS]}, not with {wanted[:_SHOWN_CHARS]}. Install the file that you "
            "want with: toru plugin install FILE."
        )


def version_before(book: Book, plugin_id: str) -> tuple[str, Version]:
    """Return the file of a plugin and the version that a rollback brings back.

    Raises:
        NotFound: there is none.
    """
    entry = book.get(plugin_id)
    if entry is None:
        raise NotFound(
            f'The plugin "{plugin_id}" was not installed with `toru plugin install`, so no version '
            "before it is kept."
        )
    if entry.previous is None:
        raise NotFound(f'No version before the present one is kept of the plugin "{plugin_id}".')
    return entry.file, entry.previous
