"""JSON lines: an object as one line, and the append-only file of them that rotates by rename.

Runs on: any thread; a file on one thread at a time.
"""

from __future__ import annotations

import errno
import json
import os
import stat
from collections.abc import Callable
from pathlib import Path

ROTATE_BYTES = 10_000_000
KEPT_FILES = 5

# C0, DEL and C1 steer terminals; the Unicode separators and direction marks end or turn lines.
UNSAFE = (
    *range(0x20),
    *range(0x7F, 0xA0),
    *range(0x2028, 0x202F),
    *range(0x2066, 0x206A),
    *range(0xD800, 0xE000),
)
"""The code points that no line may hold as they are."""

_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in UNSAFE}

LossLine = Callable[[int], bytes]


def json_line(fields: dict[str, object]) -> bytes:
    """Return one JSON object as one line of UTF-8, newline included, safe to show in a terminal.

    Raises:
        ValueError: a number is none that JSON knows.
        TypeError: a key is no text.
        RecursionError: it is nested too deeply.
    """
    text = json.dumps(
        fields, ensure_ascii=False, separators=(",", ":"), default=str, allow_nan=False
    )
    return text.translate(_JSON_ESCAPES).encode() + b"\n"


class JsonLinesFile:
    """An append-only file of lines that is rotated by rename, so that followers lose nothing.

    What cannot be written (a full disk, a folder that is gone) is counted, and the count is
    written as soon as writing works again. A file that was removed or renamed by another program
    is made anew.

    Runs on: one thread at a time.

    Attributes:
        path: the file; older ones are ``path.1`` (newest) to ``path.<kept>``.
        lost: lines that could not be written, and whose count is still to be written.
        error: why the last write did not work as it should; None when it did.
    """

    def __init__(
        self,
        path: Path,
        loss_line: LossLine,
        *,
        rotate_bytes: int = ROTATE_BYTES,
        kept: int = KEPT_FILES,
    ) -> None:
        """Create it; the file is opened by the first write, or by `open`.

        Args:
            path: where the file is to be.
            loss_line: makes the line that says how many lines could not be written.
            rotate_bytes: the size that a file has at most, unless one line alone is larger.
            kept: how many older files stay.
        """
        self.path = path
        self.lost = 0
        self.error: OSError | None = None
        self._loss_line = loss_line
        self._rotate_bytes = rotate_bytes
        self._kept = kept
        self._file = -1
        self._identity = (0, 0)
        self._size = 0
        self._regular = True
        self._mid_line = False

    def open(self) -> None:
        """Open the file, and make it and its folder where they are missing.

        Raises:
            OSError: that cannot be done.
        """
        self.path.parent.mkdir(0o750, parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o640)
        status = os.fstat(self._file)
        self._identity = (status.st_dev, status.st_ino)
        self._regular = stat.S_ISREG(status.st_mode)  # what is not, a pipe, is never rotated
        self._size = status.st_size if self._regular else 0
        # A line that a kill or a full disk has cut is ended first, so that it spoils only itself.
        self._mid_line = self._size > 0 and os.pread(self._file, 1, self._size - 1) != b"\n"

    def write(self, lines: bytes) -> None:
        """Append whole lines, each with its newline, by one write; never raises for a disk's sake.

        Lines that do not fit into the file any more go to a new one.
        """
        self.error = None
        try:
            self._prepare()
            while lines:
                end = self._end_of_fitting(lines)
                lines = lines[self._append(lines[:end]) :]
        except OSError as error:
            self.lost += lines.count(b"\n")
            self.error = error

    def close(self) -> None:
        """Close the file; safe to call twice. A later write opens it again."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _prepare(self) -> None:
        if self._file >= 0 and not self._is_in_place():
            self.close()
        if self._file < 0:
            self.open()
        if self._mid_line:
            self._append(b"\n")
        if self.lost:
            line = self._loss_line(self.lost)
            if self._append(line[: self._end_of_fitting(line)]) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            self.lost = 0

    def _is_in_place(self) -> bool:
        try:
            status = self.path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if self._regular:
            self._size = status.st_size  # another program may have cut it
        return (status.st_dev, status.st_ino) == self._identity

    def _append(self, lines: bytes) -> int:
        """Write once, and return how many bytes of it are in the file."""
        written = os.write(self._file, lines)
        self._size += written if self._regular else 0
        self._mid_line = lines[written - 1 : written] != b"\n"
        return written

    def _end_of_fitting(self, lines: bytes) -> int:
        """Return how much of ``lines`` goes into this file, after a rotation if need be."""
        if self._mid_line:  # what a short write has begun is ended where it began
            return lines.index(b"\n") + 1
        if self._size + len(lines) <= self._rotate_bytes:
            return len(lines)
        end = lines.rfind(b"\n", 0, max(0, self._rotate_bytes - self._size)) + 1
        if end == 0 and self._size > 0:
            if not self._rotate():
                return len(lines)
            end = lines.rfind(b"\n", 0, self._rotate_bytes) + 1
        return end or lines.index(b"\n") + 1

    def _rotate(self) -> bool:
        """Begin a new file; where names cannot be changed, the old one goes on, and False is it."""
        try:
            for number in range(self._first_free() - 1, 0, -1):
                self._older(number).replace(self._older(number + 1))
            self.path.replace(self._older(1))
        except OSError as error:
            self.error = error
            return False
        self.close()
        self.open()
        return True

    def _first_free(self) -> int:
        """Return the first number that no file has, so that a rotation cut short shifts no more."""
        for number in range(1, self._kept):
            if not self._older(number).exists():
                return number
        return self._kept

    def _older(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")


def files_of(path: Path, kept: int = KEPT_FILES) -> list[Path]:
    """Return a log's files that may be there, the newest first."""
    return [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, kept + 1))]
