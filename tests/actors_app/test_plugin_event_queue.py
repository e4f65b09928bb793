"""Events for a plugin that reads slowly, or not at all."""

from __future__ import annotations

import msgspec

from toru.actors.plugin_event_queue import QUEUE_BYTES, EventQueue
from toru.domain.plugin_topics import CoreEvent


class Reader:
    """A plugin: what it was sent, and how much of it it has not read."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, int]] = []
        self.unread = 0
        self.limit = 1 << 20
        self.queue = EventQueue(self.send, lambda: self.unread)

    def send(self, event: CoreEvent, dropped: int) -> None:
        """Take an event, which stays unread."""
        size = memoryview(event.data).nbytes
        if size > self.limit:
            raise ValueError("too large")
        self.sent.append((event.name, dropped))
        self.unread += size

    def add(self, name: str, size: int = 10) -> None:
        """Tell it an event."""
        data = msgspec.Raw(b'"' + b"x" * (size - 2) + b'"')
        self.queue.add(CoreEvent(name, data, "2026-11-22T20:00:00.000Z"))


def test_events_go_at_once_while_they_are_read() -> None:
    reader = Reader()
    for name in "abc":
        reader.add(name)
    assert reader.sent == [("a", 0), ("b", 0), ("c", 0)]


def test_who_does_not_read_is_sent_little_and_loses_the_oldest() -> None:
    reader = Reader()
    for number in range(100):
        reader.add(str(number), 60_000)
    sent = len(reader.sent)
    assert 1 <= sent <= 3
    while len(reader.sent) < 20 and reader.sent[-1][0] != "99":
        reader.unread = 0
        reader.queue.go_on()
    rest = reader.sent[sent:]
    kept = QUEUE_BYTES // 60_200
    assert rest[0] == (str(100 - kept), 100 - kept - sent)
    assert [name for name, _ in rest] == [str(n) for n in range(100 - kept, 100)]
    assert {dropped for _, dropped in rest[1:]} == {0}


def test_an_event_that_is_too_large_for_the_plugin_is_left_out_and_counted() -> None:
    reader = Reader()
    reader.limit = 100
    reader.add("large", 200)
    reader.add("small")
    assert reader.sent == [("small", 1)]
