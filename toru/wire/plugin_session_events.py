"""What a session of the plugin protocol, version 2, tells the core, and what it sends.

Runs on: any thread; pure.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from toru.wire import plugin_v2 as v2
from toru.wire.plugin_http import HttpAnswer

_FAILURE_STATUS = {"BUSY": 503, "NOT_READY": 503, "DEADLINE": 504}


class HelloAccepted(msgspec.Struct, frozen=True):
    """Both speak version 2; now ``init`` is to be sent.

    Attributes:
        features: those that both have.
        sdk: what the plugin says that it is made with.
    """

    features: tuple[str, ...]
    sdk: Any


class BecameReady(msgspec.Struct, frozen=True):
    """The plugin takes requests."""


class StartStatus(msgspec.Struct, frozen=True):
    """What the plugin is busy with before it is ready, and how much longer it asks for."""

    text: str
    extend_s: float


class Answered(msgspec.Struct, frozen=True):
    """A request has its answer; where that has no body, pieces of it follow as `BodyCame`."""

    id: int
    answer: HttpAnswer


class BodyCame(msgspec.Struct, frozen=True):
    """A piece of an answer's body; `Session.take` is to be called when it has been passed on."""

    id: int
    data: bytes
    end: bool


class MayWrite(msgspec.Struct, frozen=True):
    """More may be sent of a body or message of which `Session.write` did not take all."""

    id: int


class SocketOpened(msgspec.Struct, frozen=True):
    """The plugin has taken a WebSocket."""

    id: int


class SocketCame(msgspec.Struct, frozen=True):
    """A fragment of a message on a WebSocket; ``end``: its last. `Session.take` as for bodies."""

    id: int
    data: bytes
    text: bool
    end: bool


class SocketClosed(msgspec.Struct, frozen=True):
    """The plugin has closed a WebSocket."""

    id: int
    code: int


class Failed(msgspec.Struct, frozen=True):
    """A request has no answer, or not all of its body; a WebSocket was refused, or is lost.

    Attributes:
        id: the request.
        code: a code of the protocol's errors, or ``BAD_ANSWER``.
        sentence: for whoever asked.
        retryable: asking again may help.
    """

    id: int
    code: str
    sentence: str
    retryable: bool = False

    @property
    def status(self) -> int:
        """The HTTP status: 502, 503 or 504."""
        return _FAILURE_STATUS.get(self.code, 502)


class Called(msgspec.Struct, frozen=True):
    """The plugin calls; to be answered by `Session.answer_call` or `Session.refuse_call`."""

    id: int
    method: str
    params: dict[str, Any]
    deadline_s: float


class CallEnded(msgspec.Struct, frozen=True):
    """A call needs no answer any more: it was cancelled, or its deadline has passed."""

    id: int
    reason: Literal["cancelled", "deadline"]


class HealthAnswered(msgspec.Struct, frozen=True):
    """The plugin's own opinion of its health."""

    ok: bool
    text: str


class PingMissed(msgspec.Struct, frozen=True):
    """A ping had no answer in time."""


class Alive(msgspec.Struct, frozen=True):
    """After missed pings there is a sign of life."""


class PeerError(msgspec.Struct, frozen=True):
    """An error that belongs to nothing that is open; worth a line in the log."""

    code: str
    sentence: str


class GoingAway(msgspec.Struct, frozen=True):
    """The plugin wants to be restarted, and takes no new requests."""


class Drained(msgspec.Struct, frozen=True):
    """After `Session.goaway`: nothing is open any more."""


SessionEvent = (
    HelloAccepted
    | BecameReady
    | StartStatus
    | Answered
    | BodyCame
    | MayWrite
    | SocketOpened
    | SocketCame
    | SocketClosed
    | Failed
    | Called
    | CallEnded
    | HealthAnswered
    | PingMissed
    | Alive
    | PeerError
    | GoingAway
    | Drained
)


def was_busy(code: str) -> bool:
    """Return whether asking again may help after an error of that code."""
    return code in _FAILURE_STATUS


class Outbox:
    """What one connection has to say: events to the core, bytes to the plugin.

    Attributes:
        events: those since the last `take_events`.
        limit_bytes: of a JSON frame.
    """

    def __init__(self, limit_bytes: int = v2.MAX_JSON_BYTES) -> None:
        self.events: list[SessionEvent] = []
        self.limit_bytes = limit_bytes
        self._bytes = bytearray()

    def tell(self, event: SessionEvent) -> None:
        """Tell the core."""
        self.events.append(event)

    def take_events(self) -> list[SessionEvent]:
        """Return the events, once."""
        events, self.events = self.events, []
        return events

    def take_bytes(self) -> bytes:
        """Return the bytes to send, once."""
        data = bytes(self._bytes)
        self._bytes.clear()
        return data

    def encode(self, message: v2.Message) -> bytes:
        """Return the frame of a message.

        Raises:
            ValueError: it is over the limit.
        """
        return v2.encode(message, limit_bytes=self.limit_bytes)

    def send(self, message: v2.Message) -> None:
        """Send a message.

        Raises:
            ValueError: it is over the limit.
        """
        self._bytes += self.encode(message)

    def send_frame(self, frame: bytes) -> None:
        """Send what `encode` has made."""
        self._bytes += frame

    def send_error(
        self, code: v2.ErrorCode, sentence: str, about: int = 0, *, retryable: bool = False
    ) -> None:
        """Send an error about an id, or about the connection."""
        text = sentence[: v2.MAX_ERROR_CHARS]
        self.send(v2.Error(id=about, code=code, message=text, retryable=retryable))
