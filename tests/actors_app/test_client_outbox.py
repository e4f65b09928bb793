"""What one connection is sent of events while it reads slowly, or not at all.

Runs on: the test's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from toru.actors.client_outbox import (
    HELD_EVENTS_BYTES,
    UNSENT_LIMIT_BYTES,
    Events,
    Outbox,
)


class SlowReader:
    """A connection whose other end reads when it is told to."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self._unread: list[asyncio.Future[None]] = []

    def send(self, frame: bytes) -> asyncio.Future[None]:
        """Take a frame that nobody reads yet."""
        self.frames.append(frame)
        self._unread.append(asyncio.get_running_loop().create_future())
        return self._unread[-1]

    def close(self, code: int, reason: str) -> None:
        """Nothing here closes it."""
        raise AssertionError((code, reason))

    async def read(self) -> None:
        """Read all that came, and let whoever waits for that go on."""
        unread, self._unread = self._unread, []
        for flushed in unread:
            flushed.set_result(None)
        for _ in range(5):
            await asyncio.sleep(0)


class Stage:
    """Events for a slow reader."""

    def __init__(self) -> None:
        self.reader = SlowReader()
        self.outbox = Outbox(self.reader, on_broken=lambda: None)
        self.events = Events(self.outbox, self._begin)
        self._tasks: list[asyncio.Task[None]] = []

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    def fill(self) -> None:
        """Send as much as may wait."""
        self.outbox.send(b"x" * UNSENT_LIMIT_BYTES)


@pytest.mark.gen_test
async def test_events_go_at_once_while_there_is_room() -> None:
    stage = Stage()
    stage.events.send(b"one")
    assert stage.reader.frames == [b"one"]


@pytest.mark.gen_test
async def test_events_for_a_full_connection_wait_and_come_in_their_order() -> None:
    stage = Stage()
    stage.fill()
    stage.events.send(b"one")
    stage.events.send(b"two")
    assert len(stage.reader.frames) == 1
    await stage.reader.read()
    assert stage.reader.frames[1:] == [b"one", b"two"]
    stage.events.send(b"three")
    assert stage.reader.frames[3:] == [b"three"]


@pytest.mark.gen_test
async def test_of_too_many_events_the_oldest_are_left_out_and_that_is_said() -> None:
    stage = Stage()
    stage.fill()
    size = HELD_EVENTS_BYTES // 4
    for letter in b"abcdef":
        stage.events.send(bytes([letter]) * size)
    await stage.reader.read()
    said, *kept = stage.reader.frames[1:]
    assert said == b'{"type":"missed"}'
    assert [frame[:1] for frame in kept] == [b"c", b"d", b"e", b"f"]
    stage.fill()
    stage.events.send(b"later")
    await stage.reader.read()
    assert stage.reader.frames[-1] == b"later", "what was said once is not said again"
    assert stage.reader.frames.count(said) == 1
