"""The requests of one connection: which are under way, which wait for their turn, which are over.

Runs on: any thread; pure. Moments are monotonic seconds.
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple

from toru.errors import Unavailable
from toru.wire.plugin_v2 import LAST_ID

MAX_OPEN = 64
MAX_WAITING = 64
MAX_LASTING = 1024
"""Event streams and WebSockets, which last as long as somebody watches, and so do not count."""
CANCEL_S = 5.0
"""How long a cancelled request still counts as open, while the plugin ends it."""


class TooManyRequests(Unavailable):
    """As many requests wait for the plugin as may; to be answered with ``Retry-After``."""

    default_code = "plugin_busy"


class Piece(NamedTuple):
    """A piece of a request's body or of a WebSocket's message.

    Attributes:
        data: its bytes.
        end: whether the body or the message ends with it.
        text: whether the message is text.
    """

    data: bytes
    end: bool
    text: bool


class Stream:
    """One request that has no whole answer, or a WebSocket.

    Attributes:
        id: its id on the connection.
        frame: what is to be sent while it waits; empty afterwards.
        deadline: when its head, or the next piece of its body, must be there; may be infinite.
        head_s: seconds that the head may take once the request is whole.
        is_socket: whether it is a WebSocket.
        begun: whether its head is there, or the WebSocket was taken.
        lasts: whether it is an event stream, or a WebSocket that was taken.
        sends: whether more of the request's body is to come.
        pending: what could not be sent for want of credit.
        credit: bytes of data that may be sent.
        received_bytes: of data frames.
        granted_bytes: credit that the plugin has for them.
        taken_bytes: of those received, what was passed on.
    """

    __slots__ = (
        "begun",
        "credit",
        "deadline",
        "frame",
        "granted_bytes",
        "head_s",
        "id",
        "is_socket",
        "lasts",
        "pending",
        "received_bytes",
        "sends",
        "taken_bytes",
    )

    def __init__(
        self,
        stream_id: int,
        frame: bytes,
        *,
        deadline: float,
        head_s: float,
        credit: int,
        sends: bool,
        is_socket: bool,
    ) -> None:
        self.id = stream_id
        self.frame = frame
        self.deadline = deadline
        self.head_s = head_s
        self.is_socket = is_socket
        self.begun = False
        self.lasts = False
        self.sends = sends
        self.pending: Piece | None = None
        self.credit = credit
        self.received_bytes = 0
        self.granted_bytes = credit
        self.taken_bytes = 0

    @property
    def untaken_bytes(self) -> int:
        """What was received and not passed on."""
        return self.received_bytes - self.taken_bytes


class StreamBook:
    """The requests of one connection, at most `MAX_OPEN` under way and `MAX_WAITING` waiting."""

    def __init__(self) -> None:
        self.max_open = MAX_OPEN
        self.open: dict[int, Stream] = {}
        self.lasting: dict[int, Stream] = {}
        self.waiting: OrderedDict[int, Stream] = OrderedDict()
        self._cancelled: dict[int, float] = {}
        self._next_id = 1

    @property
    def last_id(self) -> int:
        """The highest id that was given out; 0 before the first."""
        return self._next_id - 2 if self._next_id > 1 else 0

    @property
    def is_full(self) -> bool:
        """Whether no further request may even wait."""
        return len(self.waiting) >= MAX_WAITING and not self._has_room()

    def new_id(self) -> int:
        """Return an id that was never used on this connection.

        Raises:
            Unavailable: there is none left; the connection has to be made anew.
        """
        if self._next_id > LAST_ID:
            raise Unavailable("The connection to the plugin is worn out; it is made anew.")
        self._next_id += 2
        return self._next_id - 2

    def was_used(self, stream_id: int) -> bool:
        """Return whether the core has used an id."""
        return stream_id % 2 == 1 and stream_id < self._next_id

    def add(self, stream: Stream) -> None:
        """Let a request wait; `release` says when it is its turn."""
        self.waiting[stream.id] = stream

    def release(self) -> list[Stream]:
        """Return the requests that are to be sent now."""
        released: list[Stream] = []
        while self.waiting and self._has_room():
            stream_id, stream = self.waiting.popitem(last=False)
            self.open[stream_id] = stream
            released.append(stream)
        return released

    def find(self, stream_id: int) -> Stream | None:
        """Return a request that is under way."""
        return self.open.get(stream_id) or self.lasting.get(stream_id)

    def under_way(self) -> Iterator[Stream]:
        """Return all requests that are under way."""
        return itertools.chain(self.open.values(), self.lasting.values())

    def let_last(self, stream: Stream) -> bool:
        """Count a request no more, because it lasts; return False when too many do."""
        if len(self.lasting) >= MAX_LASTING:
            return False
        self.lasting[stream.id] = self.open.pop(stream.id)
        stream.lasts = True
        return True

    def finish(self, stream_id: int) -> None:
        """Forget a request that has its answer, or never gets one."""
        self.open.pop(stream_id, None)
        self.lasting.pop(stream_id, None)
        self.waiting.pop(stream_id, None)
        self._cancelled.pop(stream_id, None)

    def cancel(self, stream_id: int, now: float) -> bool:
        """Give a request up; return whether the plugin has to be told."""
        if self.waiting.pop(stream_id, None) is not None:
            return False
        if self.lasting.pop(stream_id, None) is not None:
            return True
        if self.open.pop(stream_id, None) is None:
            return False
        self._cancelled[stream_id] = now + CANCEL_S
        return True

    def forget_cancelled(self, now: float) -> None:
        """No longer wait for cancelled requests that the plugin should have ended."""
        for stream_id in [one for one, until in self._cancelled.items() if until <= now]:
            del self._cancelled[stream_id]

    def late(self, now: float) -> list[int]:
        """Return the requests whose deadline has passed."""
        every = (*self.under_way(), *self.waiting.values())
        return [stream.id for stream in every if stream.deadline <= now]

    def _has_room(self) -> bool:
        return len(self.open) + len(self._cancelled) < self.max_open
