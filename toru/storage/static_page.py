"""The dashboard's page as it is sent: every file that it names by its version, all known in time.

A browser keeps a file whose address names its version for ever, and asks for the page alone. The
import map gives each module its version wherever another one imports it (HTML, "Import maps"),
and a link for each module that the page needs at once lets the browser fetch them side by side
instead of finding one only inside of the other.

Runs on: anywhere; it does no input or output.
"""

from __future__ import annotations

import hashlib
import json
import posixpath
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

_IMPORT_MAP = re.compile(
    rb"(?P<open><script\s+type=\"importmap\"\s*>)(?P<map>.*?)(?P<close></script>)", re.DOTALL
)
_ENTRY = re.compile(rb"<script\s+type=\"module\"\s+src=\"(?P<path>/[^\"?]+)\"")
_REFERENCE = re.compile(rb"(?P<name>\s(?:src|href)=\")(?P<path>/[^\"?]+)(?=\")")
_STATIC_IMPORT = re.compile(
    r"(?:^|[;}])\s*(?:import|export)\b\s*(?:[\w$*{},\s]+?\bfrom\b\s*|[\w$*{},\s]*\}\s*from\s*)?"
    r"[\"'](?P<specifier>[^\"'\n]+)[\"']",
    re.MULTILINE,
)
_DIGEST_LENGTH = 16


class Version(msgspec.Struct, frozen=True):
    """What the page has to know of a file.

    Attributes:
        digest: names this version of it.
        imports: what a module imports before it runs, as it is written there.
    """

    digest: str
    imports: tuple[str, ...] = ()


def digest_of(content: bytes) -> str:
    """Return the name of this version of a file."""
    return hashlib.sha256(content).hexdigest()[:_DIGEST_LENGTH]


def version_of(path: str, content: bytes) -> Version:
    """Return what the page has to know of the file at a URL path."""
    if not path.endswith(".js"):
        return Version(digest_of(content))
    found = _STATIC_IMPORT.finditer(content.decode("utf-8", "replace"))
    return Version(digest_of(content), tuple(match["specifier"] for match in found))


def compose(page: bytes, versions: Mapping[str, Version]) -> bytes:
    """Return the page with the version of every file that it names, or that its modules import.

    Args:
        page: as it is written; its import map names what the modules import by bare names.
        versions: of all files by their URL paths.

    A page without an import map, or with one that is no JSON, gets versions in its own references
    only.
    """
    found = _IMPORT_MAP.search(page)
    written = _read_map(found["map"]) if found else None
    if found is None or written is None:
        return _with_versions(page, versions)
    bare = {str(name): str(path) for name, path in written.items()}
    entries = [match["path"].decode() for match in _ENTRY.finditer(page)]
    links = _links(needed_at_once(entries, bare, versions), versions)
    before, after = page[: found.start()], page[found.end() :]
    mapped = _map_of(bare, versions)
    return b"".join(
        [
            _with_versions(before, versions),
            found["open"] + mapped + found["close"] + links,
            _with_versions(after, versions),
        ]
    )


def needed_at_once(
    entries: Iterable[str], bare: Mapping[str, str], versions: Mapping[str, Version]
) -> list[str]:
    """Return the modules that must be there before the first of the page's own code runs.

    Args:
        entries: the URL paths of the modules that the page starts with.
        bare: the URL path of each bare name.
        versions: of all files by their URL paths.
    """
    needed: dict[str, None] = {}
    waiting = list(entries)
    while waiting:
        path = waiting.pop(0)
        if path in needed or path not in versions:
            continue
        needed[path] = None
        waiting += [_resolve(specifier, path, bare) for specifier in versions[path].imports]
    return list(needed)


def _resolve(specifier: str, base: str, bare: Mapping[str, str]) -> str:
    if specifier in bare:
        return bare[specifier]
    return posixpath.normpath(posixpath.join(posixpath.dirname(base), specifier))


def _read_map(text: bytes) -> dict[str, Any] | None:
    try:
        imports = json.loads(text)["imports"]
    except (ValueError, KeyError, TypeError):
        return None
    return imports if isinstance(imports, dict) else None


def _map_of(bare: Mapping[str, str], versions: Mapping[str, Version]) -> bytes:
    modules = sorted(path for path in versions if path.endswith(".js"))
    imports = {name: _versioned(path, versions) for name, path in bare.items()}
    imports |= {path: _versioned(path, versions) for path in modules}
    return json.dumps({"imports": imports}, separators=(",", ":")).encode()


def _links(paths: Iterable[str], versions: Mapping[str, Version]) -> bytes:
    tags = [f'\n    <link rel="modulepreload" href="{_versioned(p, versions)}" />' for p in paths]
    return "".join(tags).encode()


def _with_versions(text: bytes, versions: Mapping[str, Version]) -> bytes:
    return _REFERENCE.sub(
        lambda found: found["name"] + _versioned(found["path"].decode(), versions).encode(), text
    )


def _versioned(path: str, versions: Mapping[str, Version]) -> str:
    version = versions.get(path)
    return f"{path}?v={version.digest}" if version else path
