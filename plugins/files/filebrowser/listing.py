"""What is in a folder, a page at a time.

Names on disk are bytes, and not always text: an entry's ``key`` is its name percent-encoded, which
is what requests have in their ``path``; its ``name`` is for people.

Runs on: any thread.
"""

from __future__ import annotations

import os
import stat
import time
from typing import Any
from urllib.parse import quote

from .errors import told
from .tree import TEMPORARY, opened_folder

PAGE_SIZE = 200
MAX_PAGE_SIZE = 1000
SORTS = ("name", "size", "modified")


def list_folder(
    root: str, names: list[str], *, sort: str, descending: bool, offset: int, limit: int
) -> dict[str, Any]:
    """Return a page of a folder's entries, folders first.

    Args:
        root: the root's path.
        names: the folder, from there.
        sort: one of `SORTS`.
        descending: the other way round; folders stay first.
        offset: how many entries come before the page.
        limit: how many are on it.

    Raises:
        HttpError: there is no such folder.
    """
    with opened_folder(root, names) as folder, told(), os.scandir(folder) as found:
        every = [entry for entry in found if not entry.name.startswith(TEMPORARY)]
        every.sort(key=_by_name, reverse=descending)
        if sort != "name":
            by = {"size": _by_size, "modified": _by_time}[sort]
            every.sort(key=by, reverse=descending)
        every.sort(key=lambda entry: not _is_folder(entry))
        page = [_entry(entry) for entry in every[offset : offset + limit]]
    entries = [entry for entry in page if entry is not None]
    return {"entries": entries, "total": len(every), "offset": offset, "limit": limit}


def key_of(name: str) -> str:
    """Return a name percent-encoded, whichever bytes it is made of."""
    return quote(os.fsencode(name), safe="")


def shown(name: str) -> str:
    """Return a name as text; bytes that are none become question marks in diamonds."""
    return os.fsencode(name).decode("utf-8", "replace")


def entry_of(name: str, status: os.stat_result) -> dict[str, Any]:
    """Return what is said of a file or folder."""
    return {
        "name": shown(name),
        "key": key_of(name),
        "kind": _kind(status.st_mode),
        "size": status.st_size if stat.S_ISREG(status.st_mode) else None,
        "modified": _moment(status.st_mtime),
    }


def _moment(seconds: float) -> str | None:
    """Return a moment as RFC 3339 UTC; None for one that no calendar has."""
    try:
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
    except (OverflowError, ValueError, OSError):
        return None


def _entry(entry: os.DirEntry[str]) -> dict[str, Any] | None:
    status = _status(entry)
    return None if status is None else entry_of(entry.name, status)


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return its status; None when it is gone meanwhile."""
    try:
        return entry.stat(follow_symlinks=False)
    except OSError:
        return None


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "folder"
    if stat.S_ISREG(mode):
        return "file"
    return "link" if stat.S_ISLNK(mode) else "other"


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:
        return False


def _by_name(entry: os.DirEntry[str]) -> tuple[str, str]:
    return entry.name.casefold(), entry.name


def _by_size(entry: os.DirEntry[str]) -> int:
    status = _status(entry)
    return 0 if status is None or not stat.S_ISREG(status.st_mode) else status.st_size


def _by_time(entry: os.DirEntry[str]) -> float:
    status = _status(entry)
    return 0 if status is None else status.st_mtime
