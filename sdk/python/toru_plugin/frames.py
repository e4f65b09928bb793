"""Framing: a length, then JSON or raw bytes.

Runs on: any thread; no I/O of its own.

    frame   = u32be length, payload
    payload = JSON object (its first byte is ``{``)
            | 0x01, flags (1 end, 2 text), 0x00 0x00, u32be id, bytes
"""

from __future__ import annotations

import json
import struct
from typing import Any, NamedTuple, Union

from .errors import FrameError

MAX_JSON_BYTES_V1 = 16 * 1024 * 1024
MAX_JSON_BYTES_V2 = 1024 * 1024
MAX_DATA_BYTES = 64 * 1024
FLAG_END = 1
FLAG_TEXT = 2

_LENGTH = struct.Struct("!I")
_DATA_HEAD = struct.Struct("!BBHI")
_JSON_START = ord("{")
_DATA_START = 1


class Data(NamedTuple):
    """Raw bytes of one stream."""

    id: int
    flags: int
    payload: bytes


Message = dict[str, Any]
Frame = Union[Message, Data]


def encode(message: Message, max_bytes: int) -> bytes:
    """Return the frame of a JSON object.

    Raises:
        ValueError: it is over ``max_bytes``, or holds NaN or an infinity.
        TypeError: it holds something that JSON has no form for.
    """
    text = json.dumps(message, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    try:
        payload = text.encode("utf-8")
    except UnicodeEncodeError:  # a lone surrogate has a form in JSON, but none in UTF-8
        payload = json.dumps(message, separators=(",", ":"), allow_nan=False).encode("ascii")
    if len(payload) > max_bytes:
        raise ValueError(f"a message of {len(payload)} bytes is over the limit of {max_bytes}")
    return _LENGTH.pack(len(payload)) + payload


def encode_data(stream_id: int, data: bytes | memoryview, flags: int = 0) -> bytes:
    """Return the frame of raw bytes."""
    head = _DATA_HEAD.pack(_DATA_START, flags, 0, stream_id)
    return b"".join((_LENGTH.pack(len(head) + len(data)), head, data))


class FrameDecoder:
    """Cuts a byte stream into frames; a length is checked before its payload is waited for.

    Attributes:
        max_json_bytes: the largest JSON payload; may be changed between two ``feed`` calls.
    """

    def __init__(self, max_json_bytes: int = MAX_JSON_BYTES_V1) -> None:
        self.max_json_bytes = max_json_bytes
        self._buffer = bytearray()

    @property
    def pending(self) -> bool:
        """Whether a frame has begun and is not whole."""
        return bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        self._buffer += data

    def next(self) -> Frame | None:
        """Return the next whole frame, or None until there are more bytes.

        Raises:
            FrameError: the stream is broken.
        """
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        end = _LENGTH.size + length
        self._check(length)
        if len(self._buffer) < end:
            return None
        payload = bytes(self._buffer[_LENGTH.size : end])
        del self._buffer[:end]
        return _message(payload) if payload[0] == _JSON_START else _data(payload)

    def _check(self, length: int) -> None:
        data_limit = MAX_DATA_BYTES + _DATA_HEAD.size
        if length < 2:
            raise FrameError("BAD_FRAME", f"a frame cannot have a length of {length} bytes")
        if length > max(self.max_json_bytes, data_limit):
            raise FrameError("TOO_LARGE", f"a frame of {length} bytes is over the limit")
        if len(self._buffer) == _LENGTH.size:
            return
        first = self._buffer[_LENGTH.size]
        if first not in (_JSON_START, _DATA_START):
            raise FrameError("BAD_FRAME", f"a frame cannot start with the byte 0x{first:02x}")
        if length > (self.max_json_bytes if first == _JSON_START else data_limit):
            raise FrameError("TOO_LARGE", f"a frame of {length} bytes is over the limit")
        if first == _DATA_START and length < _DATA_HEAD.size:
            raise FrameError("BAD_FRAME", "a data frame has no whole head")


def _data(payload: bytes) -> Data:
    _, flags, reserved, stream_id = _DATA_HEAD.unpack_from(payload)
    if reserved:
        raise FrameError("BAD_FRAME", "the reserved bytes of a data frame are not zero")
    return Data(stream_id, flags, payload[_DATA_HEAD.size :])


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_parse = json.JSONDecoder(parse_constant=_refuse_constant).decode


def _message(payload: bytes) -> Message:
    try:
        message: Message = _parse(payload.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FrameError("BAD_FRAME", f"a frame is not JSON: {error}") from None
    return message
