"""What both versions of the plugin protocol have in common: faults, and the answer to a request.

Runs on: any thread; pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Literal

import msgspec

from toru.domain.plugin_headers import Header, header_fault
from toru.errors import ToruError

FaultCode = Literal["BAD_FRAME", "TOO_LARGE", "FLOW", "DEADLINE"]


class ProtocolFault(ToruError):
    """A plugin does not speak the protocol; the connection it came on cannot be used any more.

    Attributes:
        wire_code: the code of the ``error`` message that says so in version 2; None where the
            plugin need not be told.
    """

    status: ClassVar[int] = 502
    default_code: ClassVar[str] = "plugin_protocol"

    def __init__(self, sentence: str, wire_code: FaultCode | None = "BAD_FRAME") -> None:
        super().__init__(sentence)
        self.wire_code = wire_code


class BadAnswer(ProtocolFault):
    """An answer cannot be passed on; where requests share a connection, that goes on."""

    default_code: ClassVar[str] = "plugin_answer"


class BodyNotText(ToruError):
    """A request's body is not UTF-8, and the plugin can be sent text only."""

    status: ClassVar[int] = 415
    default_code: ClassVar[str] = "body_not_text"


class HttpRequest(msgspec.Struct, frozen=True):
    """A request for a plugin, or a WebSocket that is to be opened.

    Attributes:
        method: the HTTP method.
        path: ``/<rest>``, raw, without the query.
        query: raw, without the question mark.
        headers: those that the plugin may see.
        body: the whole body, empty for none; None when it follows in pieces.
        user: the name of the session's user.
        role: of the session.
    """

    method: str
    path: str
    query: str
    headers: tuple[Header, ...]
    body: bytes | None
    user: str
    role: str


class HttpAnswer(msgspec.Struct, frozen=True):
    """A plugin's answer: a status from 100 to 599, headers that a message may have, the body.

    The body is None when it follows in pieces.
    """

    status: int
    headers: tuple[Header, ...]
    body: bytes | None


def text_of(body: bytes) -> str:
    """Return a request's body as text.

    Raises:
        BodyNotText: it is not UTF-8.
    """
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise BodyNotText("This plugin takes only bodies of text (UTF-8).") from None


def checked_answer(
    status: object, headers: Iterable[Header], body: str | bytes | None
) -> HttpAnswer:
    """Return an answer that may be passed on.

    Raises:
        BadAnswer: it may not.
    """
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
        raise BadAnswer(f"The plugin answered with the status {_short(status)}, which is none.")
    kept = tuple(headers)
    fault = header_fault(kept)
    if fault is not None:
        raise BadAnswer(f"The plugin's answer cannot be passed on. {fault}")
    if body is None or isinstance(body, bytes):
        return HttpAnswer(status, kept, body)
    try:
        return HttpAnswer(status, kept, body.encode("utf-8"))
    except UnicodeEncodeError:
        raise BadAnswer("The plugin's answer has a body with half a character.") from None


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else text[:39] + "…"
