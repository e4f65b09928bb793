"""What the LogSinks are told, and what the LogReader is asked.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from toru.actors.runtime import Message

Level = Literal["trace", "debug", "info", "warn", "error"]
LEVELS: tuple[Level, ...] = ("trace", "debug", "info", "warn", "error")
"""The levels, the least important first."""


class LogLine(msgspec.Struct, frozen=True):
    """One line of a log.

    Attributes:
        timestamp: RFC 3339 UTC text with milliseconds.
        level: how important it is.
        plugin: the id of the plugin that it is of or about.
        message: what it says; any text.
        error: what went wrong, where the message alone does not say it.
        pid: the process that wrote it.
        fields: what else it has; written after the others, which it cannot replace.
    """

    timestamp: str
    level: Level
    plugin: str
    message: str
    error: str | None = None
    pid: int | None = None
    fields: dict[str, Any] = {}


class LogLines(Message[None], frozen=True):
    """Append lines; answered when they are in the file or counted as lost."""

    lines: tuple[LogLine, ...]


class LogOutput(Message[None], frozen=True):
    """Append what a plugin's process wrote: bytes as they came, cut anywhere.

    They are parted into lines on the sink's thread.

    Attributes:
        data: the bytes, at most 64 KiB.
        stream: ``stdout`` or ``stderr``.
        pid: the process.
        ended: whether the stream is over, so that a line without an end is complete.
        secrets: what the lines must not say.
    """

    data: bytes
    stream: Literal["stdout", "stderr"]
    pid: int | None
    ended: bool = False
    secrets: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"LogOutput({len(self.data)} bytes of {self.stream})"


class LogPage(msgspec.Struct, frozen=True):
    """Lines of a log, the newest first, as JSON objects."""

    logs: list[dict[str, Any]]
    page: int
    page_size: int


class ReadLogPage(Message[LogPage], frozen=True):
    """Read one page of a log, from its end.

    BadRequest: the plugin's id, the page or its size is none.

    Attributes:
        plugin: whose log; None is the supervisor's.
        page: 0 is the newest.
        page_size: 1 to 1,000 lines.
        level: that level and above.
        sought: only lines that say this, in capitals or not; all when it is empty.
    """

    plugin: str | None
    page: int = 0
    page_size: int = 100
    level: Level = "info"
    sought: str = ""
