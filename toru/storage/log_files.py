"""The log files of plugins and their supervisor: where they are, and reading them from the end.

A page is read backwards in blocks until it is full, so the newest lines of a large log cost no more
than those of a small one. Lines that `toru.domain.log_lines` wrote have their level at a fixed
place, so that those of a lower level are passed over without being parsed.

Runs on: the thread of `LogReader`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from toru.actors.messages.logs import LEVELS, Level
from toru.clock import format_time
from toru.domain.log_lines import CUT, fields_of, line_from_fields, line_from_plugin, says
from toru.errors import BadRequest

SUPERVISOR_LOG = "plugin-supervisor.log"
BLOCK_BYTES = 256 * 1024
LONGEST_LINE_BYTES = 256 * 1024
"""Of a longer line, which Toru does not write, only so much of its beginning is read."""

_PLUGIN_ID = re.compile(r"[A-Za-z0-9-]{1,200}")
_TIMESTAMP_BYTES = len(format_time(0))
_LEVEL_AT = len('{"timestamp":"') + _TIMESTAMP_BYTES
_LEVEL_END = _LEVEL_AT + len('","level":"info"')
_PLACES: dict[bytes, Level] = {
    f'","level":"{level}"'[: _LEVEL_END - _LEVEL_AT].encode(): level for level in LEVELS
}

Line = dict[str, Any]

_decoder = msgspec.json.Decoder(dict[str, Any])


@dataclass(frozen=True)
class _File:
    descriptor: int
    status: os.stat_result
    is_written: bool


def plugin_log(log_dir: Path, plugin: str) -> Path:
    """Return the path of a plugin's log.

    Raises:
        BadRequest: this is no id of a plugin.
    """
    if not _PLUGIN_ID.fullmatch(plugin):
        raise BadRequest("The id of a plugin has letters, digits and hyphens.")
    return log_dir / "plugins" / f"{plugin}.log"


def supervisor_log(log_dir: Path) -> Path:
    """Return the path of the supervisor's log."""
    return log_dir / SUPERVISOR_LOG


def page(
    paths: list[Path],
    number: int,
    size: int,
    level: Level = "trace",
    plugin: str = "",
    sought: str = "",
) -> list[Line]:
    """Return one page of lines, the newest first.

    Args:
        paths: the log's files, the newest first; those that are not there are passed over.
        number: 0 is the newest page.
        size: lines on a page.
        level: that level and above.
        plugin: the plugin that lines are of which do not say it.
        sought: only lines that say this, as `says` has it; all when it is empty.

    Raises:
        OSError: a file is there and cannot be read.
    """
    if sought:
        found = _saying(paths, level, plugin, sought)
        return list(islice(found, number * size, (number + 1) * size))
    wanted = islice(_matching(paths, level, plugin), number * size, (number + 1) * size)
    return [_read(*line, plugin) for line in wanted]


def _saying(paths: list[Path], level: Level, plugin: str, sought: str) -> Iterator[Line]:
    """Yield the lines that say what is sought; most others are passed over without being parsed."""
    is_plain = sought.isascii() and sought.isprintable() and not set('"\\=') & set(sought)
    raw = sought.lower().encode() if is_plain else b""
    for line, written_at in _matching(paths, level, plugin):
        if raw in line.lower():
            fields = _read(line, written_at, plugin)
            if says(fields, sought):
                yield fields


def _matching(paths: list[Path], level: Level, plugin: str) -> Iterator[tuple[bytes, str]]:
    """Yield the lines of a level and above, the newest first, each with a time that it is before.

    Of a line as Toru writes them only the place of the level is looked at.
    """
    lowest = LEVELS.index(level)
    passed = frozenset(place for place, name in _PLACES.items() if LEVELS.index(name) < lowest)
    with ExitStack() as stack:
        for file in _opened(paths, stack):
            written_at = format_time(file.status.st_mtime)
            for lines in _backwards(file):
                for line in lines:
                    place = line[_LEVEL_AT:_LEVEL_END]
                    if not line or place in passed:
                        continue
                    if place in _PLACES or _rank(line, written_at, plugin) >= lowest:
                        yield line, written_at


def _rank(line: bytes, written_at: str, plugin: str) -> int:
    return LEVELS.index(_read(line, written_at, plugin)["level"])


def _read(line: bytes, written_at: str, plugin: str) -> Line:
    """Return a line as an object; what is no line of Toru's becomes one as a plugin's would."""
    try:
        found = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return fields_of(line_from_plugin(line, plugin, None, written_at))
    whose = found.get("plugin")
    whose = whose if isinstance(whose, str) else plugin
    return fields_of(line_from_fields(found, whose, None, written_at))


def _opened(paths: list[Path], stack: ExitStack) -> list[_File]:
    """Open all files first; one that is renamed meanwhile is not taken twice."""
    files: dict[tuple[int, int], _File] = {}
    for number, path in enumerate(paths):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        stack.callback(os.close, descriptor)
        status = os.fstat(descriptor)
        file = _File(descriptor, status, is_written=number == 0)
        files.setdefault((status.st_dev, status.st_ino), file)
    return list(files.values())


def _backwards(file: _File) -> Iterator[list[bytes]]:
    """Yield the lines of a file, the newest first, a block's at a time.

    What stands behind the last newline of a file that is still written is no line yet.
    """
    position = file.status.st_size
    behind = b""  # the beginning of the line that goes on behind the block
    unfinished = file.is_written
    while position > 0:
        start = max(0, position - BLOCK_BYTES)
        behind, *lines = (os.pread(file.descriptor, position - start, start) + behind).split(b"\n")
        position = start
        if lines and unfinished:
            lines.pop()
            unfinished = False
        if len(behind) > LONGEST_LINE_BYTES:
            behind = behind[:LONGEST_LINE_BYTES] + CUT.encode()
        lines.reverse()
        yield lines
    if not unfinished:
        yield [behind]
