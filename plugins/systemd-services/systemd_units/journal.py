"""The journal of a service: its last lines, and what comes after them.

Runs on: the loop.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from toru_plugin import HttpError, ServerEvent

from .commands import NoSystemd, end, start

MAX_LINES = 1000
MAX_FOLLOWERS = 16
MAX_TEXT = 8192
_CURSOR = re.compile(r"[a-z]=[A-Za-z0-9=;_-]{1,512}")
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|.)")
_REFUSED = re.compile(r"insufficient permissions|Permission denied", re.IGNORECASE)
NOT_ALLOWED = (
    "The user that Toru runs as may not read this journal. "
    "Members of the group systemd-journal may."
)


class Followers:
    """The journals that are being followed; each costs a process, so there are only so many."""

    def __init__(self) -> None:
        self._count = 0

    def check(self) -> None:
        """Raise 503 when there are too many."""
        if self._count >= MAX_FOLLOWERS:
            raise HttpError(503, "Too many people watch logs at the moment.", "busy")

    async def follow(
        self, scope: str, name: str, lines: int, after: str | None
    ) -> AsyncIterator[ServerEvent]:
        """Yield a service's last lines and all that follow, until nobody reads any more.

        Args:
            scope: ``system`` or ``user``.
            name: the service.
            lines: how many of the last ones at first.
            after: the cursor of the last line that is known; then only later ones.
        """
        self._count += 1
        try:
            async for event in _follow(scope, name, lines, after):
                yield event
        finally:
            self._count -= 1


def command(scope: str, name: str, lines: int, after: str | None) -> list[str]:
    """Return the command that prints a service's journal and then waits for more."""
    unit = f"--user-unit={name}" if scope == "user" else f"--unit={name}"
    known = after is not None and _CURSOR.fullmatch(after)
    begin = f"--after-cursor={after}" if known else f"--lines={lines}"
    return ["journalctl", "--no-pager", "--output=json", "--follow", unit, begin]


async def _follow(
    scope: str, name: str, lines: int, after: str | None
) -> AsyncIterator[ServerEvent]:
    try:
        process = await start(*command(scope, name, lines, after))
    except NoSystemd as error:
        yield ServerEvent({"sentence": str(error)}, event="problem")
        return
    assert process.stdout is not None and process.stderr is not None
    words = asyncio.ensure_future(_tail(process.stderr))
    try:
        yield ServerEvent({}, event="open")
        while True:
            try:
                raw = await process.stdout.readline()
            except ValueError:  # longer than the reader takes; it has skipped it
                continue
            if not raw:
                break
            line = parse_line(raw)
            if line is not None:
                cursor = line.pop("cursor")
                yield ServerEvent(line, event="line", id=cursor)
        said = await words
        yield ServerEvent({"sentence": _why_ended(said)}, event="problem")
    finally:
        words.cancel()
        await asyncio.gather(words, return_exceptions=True)
        await end(process)


def parse_line(raw: bytes) -> dict[str, Any] | None:
    """Return a line of ``journalctl --output=json``; None for what is none."""
    try:
        entry = json.loads(raw)
        when_us = int(entry["__REALTIME_TIMESTAMP"])
    except (ValueError, KeyError, TypeError):
        return None
    priority = str(entry.get("PRIORITY", "6"))
    return {
        "time_ms": when_us // 1000,
        "text": _text(entry.get("MESSAGE")),
        "level": int(priority) if priority in "01234567" and len(priority) == 1 else 6,
        "from": _text(entry.get("SYSLOG_IDENTIFIER")),
        "cursor": entry.get("__CURSOR"),
    }


def _text(value: Any) -> str:
    """Return a field: bytes that are no UTF-8 are told as numbers, very long ones as null."""
    if isinstance(value, list):
        if value and all(isinstance(item, int) for item in value):
            value = bytes(item & 255 for item in value).decode("utf-8", "replace")
        else:
            value = " ".join(str(item) for item in value)
    text = "(too long to be shown)" if value is None else str(value)
    return _ESCAPES.sub("", text)[:MAX_TEXT]


async def _tail(stream: asyncio.StreamReader) -> str:
    """Read what a command complains about, to its end, and return the last of it."""
    kept = b""
    while True:
        piece = await stream.read(4096)
        if not piece:
            return kept.decode("utf-8", "replace")
        kept = (kept + piece)[-4096:]


def _why_ended(said: str) -> str:
    if _REFUSED.search(said):
        return NOT_ALLOWED
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if any("No journal files were found" in line for line in lines):
        return "There is no journal on this machine."
    return f"The journal has ended: {lines[-1]}" if lines else "The journal has ended."
