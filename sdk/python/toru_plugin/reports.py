"""What a plugin tells the core without waiting for an answer: log lines, events.

Runs on: any thread of the plugin.
"""

from __future__ import annotations

import json
import sys
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .plugin import Plugin

MAX_MESSAGE_CHARS = 64 * 1024
LEVELS = ("debug", "info", "warn", "error")


def utc_now() -> str:
    """Return the time as RFC 3339 UTC with milliseconds."""
    now = datetime.now(timezone.utc)
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"


def write_line(level: str, message: str, fields: dict[str, Any]) -> None:
    """Write a log line to stderr, where the core collects it too."""
    record = {"timestamp": utc_now(), "level": level, "message": message}
    text = json.dumps({**fields, **record}, default=str)
    try:
        sys.stderr.write(text + "\n")
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody reads it any more; a log line must not end the plugin
        pass


class Log:
    """``plugin.log``: lines in the plugin's log, which the dashboard shows.

    Never waits and never fails. More fields are given as keywords::

        plugin.log.info("backup done", files=12)
    """

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def debug(self, message: str, **fields: Any) -> None:
        """Say what helps to find a fault."""
        self._write("debug", message, fields)

    def info(self, message: str, **fields: Any) -> None:
        """Say what happens."""
        self._write("info", message, fields)

    def warning(self, message: str, **fields: Any) -> None:
        """Say what should be looked at."""
        self._write("warn", message, fields)

    def error(self, message: str, **fields: Any) -> None:
        """Say what went wrong."""
        self._write("error", message, fields)

    def _write(self, level: str, message: str, fields: dict[str, Any]) -> None:
        self._plugin._write_log(level, str(message)[:MAX_MESSAGE_CHARS], fields)


class Events:
    """``plugin.events``: events that the core tells live to the plugin's page; none is stored."""

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def emit(self, name: str, data: Any = None) -> Any:
        """Tell the core of an event.

        Awaited on the loop, simply called elsewhere. With protocol 1, which has no events, it
        becomes a line in the log.

        Args:
            name: what happened.
            data: anything that has a form in JSON.

        Raises:
            CallError: the core refused it.
        """
        return self._plugin.call("event.emit", {"name": name, "data": data}, lambda _: None)
