"""Answers that are files: in pieces, whole or a part, or not at all when the browser has them.

Runs on: made on any thread; files are read on the threads of streams.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from . import assets
from .errors import HttpError, PluginError
from .headers import HeaderSource
from .messages import Request, Response

PIECE_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})", re.ASCII)


class FilePart:
    """A part of a file; iterating reads it in pieces.

    Args:
        source: the file's path, or the file, open; then it is closed at the end.
        start: the first byte's offset.
        size: how many bytes.
    """

    def __init__(self, source: Path | BinaryIO, start: int, size: int) -> None:
        self._source = source
        self.start = start
        self.size = size

    def close(self) -> None:
        """Close the file, if it was given open."""
        if not isinstance(self._source, Path):
            self._source.close()

    def __iter__(self) -> Iterator[bytes]:
        source = self._source
        with source.open("rb") if isinstance(source, Path) else source as file:
            file.seek(self.start)
            left = self.size
            while left:
                piece = file.read(min(PIECE_BYTES, left))
                if not piece:
                    raise PluginError(f"{file.name} has become shorter while it was sent")
                left -= len(piece)
                yield piece


class FileResponse(Response):
    """See `Response.file`."""

    def __init__(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        root: str | os.PathLike[str] | None,
        filename: str | None,
        content_type: str | None,
        headers: HeaderSource,
    ) -> None:
        found, status = _find(path, root)
        name = filename or (found.name if isinstance(found, Path) else "")
        kind = content_type or assets.content_type(name)
        self._size = status.st_size
        self._modified_s = int(status.st_mtime)
        self._part = FilePart(found, 0, self._size)
        super().__init__(200, headers, stream=self._part, content_type=kind)
        self._tag = self._default("ETag", f'"{status.st_mtime_ns:x}-{self._size:x}"')
        self._default("Last-Modified", formatdate(self._modified_s, usegmt=True))
        self.set_header("Accept-Ranges", "bytes")
        self.set_header("Content-Length", str(self._size))
        if filename is not None:
            name = quote(filename.encode("utf-8", "replace"), safe="")
            self.set_header("Content-Disposition", f"attachment; filename*=UTF-8''{name}")

    def _default(self, name: str, value: str) -> str:
        if name not in self.headers:
            self.set_header(name, value)
        return self.headers[name]

    def suit(self, request: Request) -> None:
        """Become 304, or 206 with the part that was asked for (RFC 9110, 13 and 14)."""
        if request.method not in ("GET", "HEAD") or self.status != 200:
            return
        if self._is_known(request):
            self.status, self.stream = 304, None
            return
        asked = _RANGE.fullmatch(request.headers.get("Range", "").strip())
        if asked is not None and request.method == "GET" and self._is_current(request):
            self._cut(asked[1], asked[2])

    def _is_known(self, request: Request) -> bool:
        tags = request.headers.get("If-None-Match")
        if tags is not None:
            known = [tag.strip() for tag in tags.split(",")]
            return "*" in known or self._tag in [tag.removeprefix("W/") for tag in known]
        since = _moment(request.headers.get("If-Modified-Since", ""))
        return since is not None and self._modified_s <= since

    def _is_current(self, request: Request) -> bool:
        """Return whether the parts that the browser has are of this same file."""
        having = request.headers.get("If-Range")
        return having is None or having in (self._tag, self.headers["Last-Modified"])

    def _cut(self, first: str, last: str) -> None:
        if not first and not last:
            return
        if first:
            start, end = int(first), min(int(last), self._size - 1) if last else self._size - 1
            if last and int(last) < start:
                return
        else:
            start, end = max(0, self._size - int(last)), self._size - 1
        if start > end:
            self._refuse_range()
            return
        self._part.start, self._part.size = start, end - start + 1
        self.status = 206
        self.set_header("Content-Range", f"bytes {start}-{end}/{self._size}")
        self.set_header("Content-Length", str(self._part.size))

    def _refuse_range(self) -> None:
        self.status, self.stream = 416, None
        self.set_header("Content-Range", f"bytes */{self._size}")
        self.set_header("Content-Length", "0")


def _find(
    path: str | os.PathLike[str] | BinaryIO, root: str | os.PathLike[str] | None
) -> tuple[Path | BinaryIO, os.stat_result]:
    if not isinstance(path, (str, os.PathLike)):
        return path, os.fstat(path.fileno())
    try:
        found = Path(path) if root is None else (Path(root) / path).resolve()
        status = found.stat()
    except (OSError, ValueError, RuntimeError):
        raise _missing() from None
    is_inside = root is None or found.is_relative_to(Path(root).resolve())
    if not is_inside or not stat.S_ISREG(status.st_mode):
        raise _missing()
    return found, status


def _missing() -> HttpError:
    return HttpError(404, "There is no such file.", "not_found")


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
