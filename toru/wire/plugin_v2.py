"""The plugin protocol, version 2: its messages.

Runs on: any thread; pure. What they mean on a connection is in ``toru.wire.plugin_session``.

JSON frames are at most 1 MiB, data frames carry at most 64 KiB. ``id`` is a uint32, odd from the
core and even from the plugin; 0 is the connection itself.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from toru.domain.plugin_headers import Header
from toru.wire.frames import encode_payload
from toru.wire.plugin_http import ProtocolFault

PROTOCOL = 2
MAX_JSON_BYTES = 1024 * 1024
MAX_DATA_BYTES = 64 * 1024
MAX_ERROR_CHARS = 4096
MAX_REQUEST_ID_CHARS = 64
LAST_ID = 2**32 - 1
WS_GOING_AWAY = 1001

Id = Annotated[int, msgspec.Meta(ge=0, le=LAST_ID)]
Count = Annotated[int, msgspec.Meta(ge=0)]
BodyKind = Literal["none", "inline", "stream"]
ErrorCode = Literal[
    "BAD_FRAME",
    "TOO_LARGE",
    "FLOW",
    "UNKNOWN_TYPE",
    "NOT_READY",
    "BUSY",
    "DEADLINE",
    "CANCELLED",
    "DENIED",
    "CONFLICT",
    "INTERNAL",
]
ENDING_CODES = frozenset({"BAD_FRAME", "TOO_LARGE", "FLOW"})
"""Errors after which the connection is closed."""


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What every message is: an object with a type; fields that nobody knows are left out."""


class Hello(Message, frozen=True, tag="hello"):
    protocols: tuple[int, ...]
    instance: str
    features: tuple[str, ...] = ()
    limits: dict[str, int] = {}


class HelloOk(Message, frozen=True, tag="hello_ok"):
    protocol: int
    instance: str
    features: tuple[str, ...] = ()
    limits: dict[str, Any] = {}
    sdk: Any = None


class Init(Message, frozen=True, tag="init"):
    instance_id: str
    config: dict[str, Any]
    data_dir: str
    log_path: str
    deadline_ms: int = 30_000


class Config(Message, frozen=True, tag="config"):
    """All settings of the plugin, after they were changed."""

    config: dict[str, Any]


class Ready(Message, frozen=True, tag="ready"):
    pass


class Status(Message, frozen=True, tag="status"):
    text: str = ""
    extend_ms: Count = 0


class Http(Message, frozen=True, tag="http"):
    id: Id
    method: str
    path: str
    query: str
    headers: tuple[Header, ...]
    user: str
    role: str
    deadline_ms: int
    body: BodyKind
    text: str | msgspec.UnsetType = msgspec.UNSET
    request_id: str | msgspec.UnsetType = msgspec.UNSET


class HttpHead(Message, frozen=True, tag="http_head"):
    id: Id
    status: int
    headers: tuple[Header, ...] = ()
    body: BodyKind = "none"
    text: str | None = None


class Cancel(Message, frozen=True, tag="cancel"):
    id: Id
    reason: str = ""


class Window(Message, frozen=True, tag="window"):
    id: Id
    add: Count


class WsOpen(Message, frozen=True, tag="ws_open"):
    id: Id
    path: str
    headers: tuple[Header, ...]
    user: str
    role: str
    query: str = ""


class WsAccept(Message, frozen=True, tag="ws_accept"):
    id: Id


class WsClose(Message, frozen=True, tag="ws_close"):
    id: Id
    code: int = 1000


class Call(Message, frozen=True, tag="call"):
    id: Id
    method: str
    params: dict[str, Any] = {}
    deadline_ms: Count = 5000


class Result(Message, frozen=True, tag="result"):
    id: Id
    value: Any = None


class Error(Message, frozen=True, tag="error"):
    code: str
    id: Id = 0
    message: str = ""
    retryable: bool = False


class Ping(Message, frozen=True, tag="ping"):
    n: int = 0


class Pong(Message, frozen=True, tag="pong"):
    n: int = 0


class Goaway(Message, frozen=True, tag="goaway"):
    last_id: Id = 0


class Shutdown(Message, frozen=True, tag="shutdown"):
    pass


class Health(Message, frozen=True, tag="health"):
    """The question (only ``id``), and an answer (``ok``, and why not)."""

    id: Id = 0
    ok: bool | msgspec.UnsetType = msgspec.UNSET
    text: str | msgspec.UnsetType = msgspec.UNSET


class Event(Message, frozen=True, tag="event"):
    name: str
    data: Any = None
    timestamp: str = ""
    dropped: int | msgspec.UnsetType = msgspec.UNSET


_KINDS: tuple[type[Message], ...] = (
    *(Hello, HelloOk, Init, Ready, Status, Http, HttpHead, Cancel, Window, WsOpen, WsAccept),
    *(WsClose, Call, Result, Error, Ping, Pong, Goaway, Shutdown, Health, Event, Config),
)
_BY_TAG = {str(kind.__struct_config__.tag): kind for kind in _KINDS}


def encode(message: Message, *, limit_bytes: int = MAX_JSON_BYTES) -> bytes:
    """Return the frame of a message.

    Raises:
        ValueError: it is over ``limit_bytes``.
    """
    return encode_payload(msgspec.json.encode(message), limit_bytes=limit_bytes)


def decode(frame: dict[str, object]) -> Message | None:
    """Return a JSON frame as its message; None when its type is unknown.

    Raises:
        ProtocolFault: it has no type, or a field is missing or wrong.
    """
    tag = frame.get("type")
    if not isinstance(tag, str):
        raise ProtocolFault("A message has no type.")
    kind = _BY_TAG.get(tag)
    if kind is None:
        return None
    try:
        return msgspec.convert(frame, kind)
    except msgspec.ValidationError as error:
        raise ProtocolFault(f'A message "{tag}" is wrong: {str(error)[:200]}.') from None
