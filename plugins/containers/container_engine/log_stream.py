"""The log of a container, followed: the engine's stream taken apart into lines.

Runs on: the loop, with the engine read on threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

from toru_plugin import HttpError, ServerEvent

from .connection import Engine, EngineError, Finder, UnixConnection, open_answer
from .containers import inspect, time_key

MAX_LINES = 1000
MAX_FOLLOWERS = 16
MAX_TEXT = 8192
HEADER_BYTES = 8
PIECE_BYTES = 64 * 1024
_SOURCES = {1: "stdout", 2: "stderr"}
_ESCAPES = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(\x07|\x1b\\)|.)")


class BadStream(EngineError):
    """What came is no stream of a log."""


class LogDecoder:
    """Makes lines of the engine's bytes.

    Without a terminal the stream is frames of ``source, 0, 0, 0, length (4 bytes, big-endian)`` and
    so many bytes (Docker Engine API, "Stream format"); with one it is the bytes alone.

    Args:
        tty: whether the container has a terminal.
    """

    def __init__(self, *, tty: bool) -> None:
        self._tty = tty
        self._rest = b""
        self._lines = dict.fromkeys(_SOURCES.values(), b"")

    def feed(self, data: bytes) -> list[tuple[str, str]]:
        """Return the lines that are whole now, each with its source.

        Raises:
            BadStream: the bytes are no frames.
        """
        if self._tty:
            return self._take("stdout", data)
        self._rest += data
        found: list[tuple[str, str]] = []
        while len(self._rest) >= HEADER_BYTES:
            source, reserved = self._rest[0], self._rest[1:4]
            size = int.from_bytes(self._rest[4:HEADER_BYTES], "big")
            if source > 2 or reserved != b"\0\0\0":
                raise BadStream("The engine sent something that is no log.")
            if len(self._rest) < HEADER_BYTES + size:
                break
            content = self._rest[HEADER_BYTES : HEADER_BYTES + size]
            self._rest = self._rest[HEADER_BYTES + size :]
            found += self._take(_SOURCES.get(source, "stdout"), content)
        return found

    def finish(self) -> list[tuple[str, str]]:
        """Return what was left without an end of line."""
        return [(source, _text(rest)) for source, rest in self._lines.items() if rest]

    def _take(self, source: str, data: bytes) -> list[tuple[str, str]]:
        *whole, rest = (self._lines[source] + data).split(b"\n")
        if len(rest) > PIECE_BYTES:
            whole, rest = [*whole, rest], b""
        self._lines[source] = rest
        return [(source, _text(line)) for line in whole]


def split_time(text: str) -> tuple[str | None, str]:
    """Return the time before a line, and the line."""
    stamp, _, rest = text.partition(" ")
    return (stamp, rest) if time_key(stamp) is not None else (None, text)


class Place:
    """How far into a log somebody is: a line's time, and how many lines of that time there were.

    Times alone are not enough: Podman tells whole seconds.

    Args:
        text: what `step` has returned for the last line that is known.
    """

    def __init__(self, text: str | None) -> None:
        stamp, _, count = (text or "").partition("#")
        self.key = time_key(stamp)
        self._to_skip = int(count) if count.isascii() and count.isdecimal() else 0
        self._known = self.key
        self._count = 0

    def step(self, stamp: str | None) -> tuple[bool, str | None]:
        """Go to the next line; return whether it is new, and what stands for the place now."""
        key = time_key(stamp)
        if key is None:
            return True, None
        self._count = self._count + 1 if key == self.key else 1
        self.key = key
        if self._known is not None and key == self._known and self._to_skip:
            self._to_skip -= 1
            return False, None
        is_new = self._known is None or key >= self._known
        return is_new, f"{stamp}#{self._count}"


class Followers:
    """The logs that are being followed; each holds a thread, so there are only so many.

    Args:
        finder: knows the engine.
    """

    def __init__(self, finder: Finder) -> None:
        self._finder = finder
        self._threads = ThreadPoolExecutor(MAX_FOLLOWERS, "log")
        self._count = 0

    def check(self) -> None:
        """Raise 503 when there are too many."""
        if self._count >= MAX_FOLLOWERS:
            raise HttpError(503, "Too many people watch logs at the moment.", "busy")

    async def follow(self, name: str, lines: int, after: str | None) -> AsyncIterator[ServerEvent]:
        """Yield a container's last lines and all that follow, until nobody reads any more.

        Args:
            name: its name or id.
            lines: how many of the last ones at first.
            after: the id of the last line that is known; then only later ones.
        """
        self._count += 1
        opening = asyncio.get_running_loop().run_in_executor(
            self._threads, self._open, name, lines, after
        )
        try:
            try:
                _, answer, decoder = await asyncio.shield(opening)
                yield ServerEvent({}, event="open")
                async for event in _events(self._threads, answer, decoder, Place(after)):
                    yield event
                sentence = "The container has ended, or its log has."
            except EngineError as error:
                sentence = str(error)
            yield ServerEvent({"sentence": sentence}, event="problem")
        finally:
            self._count -= 1
            opening.add_done_callback(_close_opened)

    def _open(
        self, name: str, lines: int, after: str | None
    ) -> tuple[UnixConnection, http.client.HTTPResponse, LogDecoder]:
        engine: Engine = self._finder.find()
        config = inspect(engine, name).get("Config") or {}
        query = {"follow": "true", "stdout": "true", "stderr": "true", "timestamps": "true"}
        known = Place(after).key
        query |= {"tail": str(lines)} if known is None else {"since": f"{known[0]}.{known[1]:09}"}
        path = f"/containers/{quote(name, safe='')}/logs"
        connection, answer = open_answer(engine, "GET", path, query)
        if connection.wire is not None:
            connection.wire.settimeout(None)  # a container may be silent for as long as it likes
        return connection, answer, LogDecoder(tty=bool(config.get("Tty")))


async def _events(
    threads: ThreadPoolExecutor,
    answer: http.client.HTTPResponse,
    decoder: LogDecoder,
    place: Place,
) -> AsyncIterator[ServerEvent]:
    loop = asyncio.get_running_loop()
    while True:
        data = await loop.run_in_executor(threads, _read, answer)
        for source, text in decoder.feed(data) if data else decoder.finish():
            stamp, rest = split_time(text)
            is_new, here = place.step(stamp)
            if is_new:
                yield ServerEvent(_line(source, time_key(stamp), rest), event="line", id=here)
        if not data:
            return


def _read(answer: http.client.HTTPResponse) -> bytes:
    try:
        return answer.read1(PIECE_BYTES)
    except (OSError, ValueError, http.client.HTTPException):
        return b""


def _line(source: str, key: tuple[int, int] | None, text: str) -> dict[str, Any]:
    when = None if key is None else key[0] * 1000 + key[1] // 1_000_000
    return {"time_ms": when, "text": text, "source": source}


def _text(line: bytes) -> str:
    text = line.rstrip(b"\r").decode("utf-8", "replace")
    return _ESCAPES.sub("", text)[:MAX_TEXT]


def _close_opened(opening: asyncio.Future[Any]) -> None:
    """Close what was opened; the thread that waits for its bytes comes back at once."""
    if opening.cancelled() or opening.exception() is not None:
        return
    connection, answer, _ = opening.result()
    with contextlib.suppress(OSError):  # the engine was first
        connection.wire.shutdown(socket.SHUT_RDWR)
    answer.close()
    connection.close()
