"""The dashboard's files, found by an index, so that no request's path ever names a file.

Runs on: `StaticFiles.find` on the event loop; reading and packing on a thread of asyncio's pool.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from toru import clock
from toru.storage.static_page import Version, compose, digest_of, version_of

INDEX_PATH = "/index.html"

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".ico": "image/x-icon",
    ".woff2": "font/woff2",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
}
"""What is served, by the end of its name; any other file in the folder is not."""

LOOK_AGAIN_S = 0.5
"""How long the index is believed before the folder is looked at again."""

_PACKABLE = ("text/", "image/svg", "application/")
_WORTH_PACKING_BYTES = 1024
_SKIPPED = {"node_modules", "LICENSES"}
_INLINE_SCRIPT = re.compile(
    rb"<script(?P<attributes>(?:\s[^>]*)?)>(?P<text>.*?)</script>", re.DOTALL | re.IGNORECASE
)

_NAMED_BY_PAGES = (".js", ".css", ".svg", ".png", ".webmanifest")

_Stamp = tuple[int, int]


class StaticFile(msgspec.Struct, frozen=True):
    """One file as it is sent.

    Attributes:
        digest: of the content; names this version of it.
        packed: the content with gzip, where that is worthwhile.
        script_hashes: ``sha256-…`` of the inline scripts of a page, for its content policy.
    """

    content_type: str
    content: bytes
    digest: str
    packed: bytes | None
    script_hashes: tuple[str, ...]

    @property
    def is_page(self) -> bool:
        """Whether it is HTML."""
        return self.content_type.startswith("text/html")


class _Survey(msgspec.Struct, frozen=True):
    """What was found when the folder was looked at.

    Attributes:
        stamps: when each file was written, and its size.
        versions: of the files that the page may name, with the stamps that they were read at.
        page: the page as it is sent, if there is one.
    """

    stamps: dict[str, _Stamp] = {}
    versions: dict[str, tuple[_Stamp, Version]] = {}
    page: StaticFile | None = None


class StaticFiles:
    """The files under one folder; what changes on the disk is noticed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._survey = _Survey()
        self._files: dict[str, tuple[_Stamp, StaticFile]] = {}
        self._looked_at = -LOOK_AGAIN_S
        self._reading = asyncio.Lock()

    async def find(self, path: str) -> StaticFile | None:
        """Return the file that a URL path such as ``/app.js`` names, if there is one."""
        if clock.monotonic() - self._looked_at >= LOOK_AGAIN_S:
            async with self._reading:
                await self._look()
        if path == INDEX_PATH:
            return self._survey.page
        stamp = self._survey.stamps.get(path)
        if stamp is None:
            return None
        known = self._files.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        async with self._reading:
            return await self._read(path, stamp)

    async def _look(self) -> None:
        if clock.monotonic() - self._looked_at < LOOK_AGAIN_S:
            return
        self._survey = await asyncio.to_thread(_look_at, self._root, self._survey)
        self._looked_at = clock.monotonic()

    async def _read(self, path: str, stamp: _Stamp) -> StaticFile | None:
        known = self._files.get(path)
        if known is not None and known[0] == stamp:
            return known[1]
        try:
            loaded = await asyncio.to_thread(_load, self._root / path.removeprefix("/"))
        except OSError:
            return None
        self._files[path] = (stamp, loaded)
        return loaded


def _look_at(root: Path, before: _Survey) -> _Survey:
    stamps = _index(root)
    if stamps == before.stamps:
        return before
    versions = dict(_versions(root, stamps, before.versions))
    try:
        written = (root / INDEX_PATH.removeprefix("/")).read_bytes()
    except OSError:
        return _Survey(stamps, versions)
    page = compose(written, {path: version for path, (_, version) in versions.items()})
    return _Survey(stamps, versions, _prepare(page, TYPES[".html"]))


def _versions(
    root: Path, stamps: dict[str, _Stamp], before: dict[str, tuple[_Stamp, Version]]
) -> Iterator[tuple[str, tuple[_Stamp, Version]]]:
    for path, stamp in stamps.items():
        known = before.get(path)
        if known is not None and known[0] == stamp:
            yield path, known
        elif path.endswith(_NAMED_BY_PAGES):
            with contextlib.suppress(OSError):
                content = (root / path.removeprefix("/")).read_bytes()
                yield path, (stamp, version_of(path, content))


def _index(root: Path) -> dict[str, _Stamp]:
    return dict(_entries(root, "/"))


def _entries(folder: Path, prefix: str) -> Iterator[tuple[str, _Stamp]]:
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _SKIPPED:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _entries(Path(entry.path), f"{prefix}{entry.name}/")
        elif entry.is_file(follow_symlinks=False) and Path(entry.name).suffix in TYPES:
            found = entry.stat(follow_symlinks=False)
            yield f"{prefix}{entry.name}", (found.st_mtime_ns, found.st_size)


def _load(path: Path) -> StaticFile:
    return _prepare(path.read_bytes(), TYPES[path.suffix])


def _prepare(content: bytes, content_type: str) -> StaticFile:
    packed = None
    if len(content) >= _WORTH_PACKING_BYTES and content_type.startswith(_PACKABLE):
        smaller = gzip.compress(content, 9, mtime=0)
        packed = smaller if len(smaller) < len(content) * 0.9 else None
    is_page = content_type == TYPES[".html"]
    return StaticFile(
        content_type=content_type,
        content=content,
        digest=digest_of(content),
        packed=packed,
        script_hashes=_script_hashes(content) if is_page else (),
    )


def _script_hashes(page: bytes) -> tuple[str, ...]:
    """Return the hashes of the import maps of a page; no other inline script is ever allowed."""
    return tuple(
        "sha256-" + base64.b64encode(hashlib.sha256(found["text"]).digest()).decode()
        for found in _INLINE_SCRIPT.finditer(page)
        if b"importmap" in found["attributes"] and b"src=" not in found["attributes"]
    )
