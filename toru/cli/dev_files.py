"""The files that an author works on, and the log that grows meanwhile: seen by looking again.

Runs on: any thread; looking is quick.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

_LEFT_OUT_FOLDERS = {"__pycache__", "node_modules", "tests", "target"}
_LEFT_OUT_SUFFIXES = {".pyc", ".swp", ".tmp"}
_READ_BYTES = 256 * 1024

Look = dict[str, tuple[int, int, int, int]]
"""By a file's name: what changes when it is saved."""


def look(source: Path) -> Look:
    """Return the files of a folder, or the one file, as they are now.

    Left out is what no build takes or what builds make: hidden files, ``tests``, ``node_modules``,
    ``target``, bytecode and drafts of editors.
    """
    if not source.is_dir():
        return _signature(source, source.name)
    found: Look = {}
    for folder, folders, files in os.walk(source):
        folders[:] = [name for name in folders if not _is_hidden(name, _LEFT_OUT_FOLDERS)]
        for name in files:
            path = Path(folder, name)
            if not _is_hidden(name, set()) and path.suffix not in _LEFT_OUT_SUFFIXES:
                found |= _signature(path, str(path.relative_to(source)))
    return found


def changes(before: Look, after: Look) -> list[str]:
    """Return the names of the files that came, went or were saved."""
    names = before.keys() | after.keys()
    return sorted(name for name in names if before.get(name) != after.get(name))


def _is_hidden(name: str, left_out: set[str]) -> bool:
    return name.startswith(".") or name.endswith("~") or name in left_out


def _signature(path: Path, name: str) -> Look:
    try:
        found = path.stat()
    except OSError:
        return {}
    return {name: (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode)}


class GrowingFile:
    """The whole lines of a file that grows, also when it is rotated by a rename.

    Args:
        path: the file; it may come later.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: BinaryIO | None = None
        self._part = b""

    def read(self) -> list[bytes]:
        """Return the lines that have come since the last call."""
        lines: list[bytes] = []
        while True:
            if self._file is None:
                try:
                    self._file = self._path.open("rb")
                except OSError:
                    return lines
            lines += self._rest(self._file)
            if self._is_current(self._file):
                return lines
            lines += self._rest(self._file)
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _rest(self, file: BinaryIO) -> list[bytes]:
        data = bytearray(self._part)
        while piece := file.read(_READ_BYTES):
            data += piece
        *whole, self._part = bytes(data).split(b"\n")
        return whole

    def _is_current(self, file: BinaryIO) -> bool:
        try:
            return os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except OSError:
            return True  # between two names of a rotation; the next call sees it
