"""Framing for the runner's and the plugins' sockets: a length, then JSON or raw bytes.

Runs on: any thread; no I/O of its own, standard library only, because the runner uses it too.

    frame   = u32be length, payload
    payload = JSON object (its first byte is ``{``)
            | 0x01, flags (1 end, 2 text), 0x00 0x00, u32be id, bytes
"""

from __future__ import annotations

import json
import struct

MAX_JSON_BYTES = 16 * 1024 * 1024
MAX_DATA_BYTES = 64 * 1024
FLAG_END = 1
FLAG_TEXT = 2

_LENGTH = struct.Struct("!I")
_DATA_HEAD = struct.Struct("!BBHI")
_DATA_FRAME = struct.Struct("!IBBHI")
_JSON_START = ord("{")
_DATA_START = 1


class DataFrame:
    """Raw bytes of one stream.

    Attributes:
        id: the stream, an unsigned 32-bit number.
        payload: the bytes, possibly none.
        flags: ``FLAG_END``, ``FLAG_TEXT`` or both; unknown bits are kept.
    """

    __slots__ = ("flags", "id", "payload")

    def __init__(self, id: int, payload: bytes, flags: int = 0) -> None:  # noqa: A002 - wire name
        self.id = id
        self.payload = payload
        self.flags = flags

    @property
    def end(self) -> bool:
        """Whether the stream ends with this frame."""
        return bool(self.flags & FLAG_END)

    @property
    def text(self) -> bool:
        """Whether the text flag is set."""
        return bool(self.flags & FLAG_TEXT)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, DataFrame):
            return NotImplemented
        return (self.id, self.flags, self.payload) == (other.id, other.flags, other.payload)

    def __hash__(self) -> int:
        return hash((self.id, self.flags, self.payload))

    def __repr__(self) -> str:
        return f"DataFrame(id={self.id}, flags={self.flags}, {len(self.payload)} bytes)"


Frame = dict[str, object] | DataFrame


class FrameError(ValueError):
    """The peer broke the framing; nothing after this point can be understood.

    Attributes:
        frames: the whole frames that came before the fault in the same ``feed``.
    """

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.frames: list[Frame] = []


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


_json = json.JSONDecoder(parse_constant=_refuse_constant)
_encode_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


def encode_json(message: dict[str, object], *, limit_bytes: int = MAX_JSON_BYTES) -> bytes:
    """Return the frame of a JSON object.

    Text is escaped to ASCII, so file names that are not UTF-8 (lone surrogates) survive.

    Raises:
        ValueError: the payload is over ``limit_bytes``, or holds NaN or an infinity.
    """
    return encode_payload(_encode_json(message).encode("ascii"), limit_bytes=limit_bytes)


def encode_payload(payload: bytes, *, limit_bytes: int = MAX_JSON_BYTES) -> bytes:
    """Return the frame of a JSON object that is encoded already, as UTF-8.

    Raises:
        ValueError: the payload is over ``limit_bytes``.
    """
    if len(payload) > limit_bytes:
        raise ValueError(f"A message of {len(payload)} bytes is over the limit of {limit_bytes}.")
    return _LENGTH.pack(len(payload)) + payload


def encode_data(
    stream_id: int, data: bytes, flags: int = 0, *, limit_bytes: int = MAX_DATA_BYTES
) -> bytes:
    """Return the frame of raw bytes.

    Raises:
        ValueError: ``data`` is over ``limit_bytes``; or an id or flags out of their range.
    """
    if len(data) > limit_bytes:
        raise ValueError(f"A data frame of {len(data)} bytes is over the limit of {limit_bytes}.")
    try:
        head = _DATA_FRAME.pack(_DATA_HEAD.size + len(data), _DATA_START, flags, 0, stream_id)
    except struct.error as error:
        raise ValueError(f"Not a data frame: {error}.") from None
    return head + data


class FrameDecoder:
    """Cuts a byte stream into frames; the cost is linear, however small the pieces are.

    A length is checked as soon as it is known, before its payload is waited for. After a
    ``FrameError`` the decoder refuses everything.

    Args:
        max_json_bytes: the largest payload of a JSON frame.
        max_data_bytes: the most bytes that a data frame may carry after its head.
    """

    def __init__(
        self, *, max_json_bytes: int = MAX_JSON_BYTES, max_data_bytes: int = MAX_DATA_BYTES
    ) -> None:
        self._max_json = max_json_bytes
        self._max_data = max_data_bytes + _DATA_HEAD.size
        self._buffer = bytearray()
        self._needed = _LENGTH.size
        self._error: str | None = None

    @property
    def pending_bytes(self) -> int:
        """The bytes of a frame that has begun and is not whole; 0 between frames."""
        return len(self._buffer)

    @property
    def needed_bytes(self) -> int:
        """The bytes still missing before the decoder can go on."""
        return self._needed - len(self._buffer)

    def feed(self, data: bytes | bytearray | memoryview) -> list[Frame]:
        """Take the next bytes of the stream and return the frames that they complete.

        Raises:
            FrameError: the stream is broken; its ``frames`` are those before the fault.
        """
        if self._error is not None:
            raise FrameError(self._error)
        self._buffer += data
        frames: list[Frame] = []
        if len(self._buffer) < self._needed:
            return frames
        try:
            self._cut(frames)
        except FrameError as error:
            self._error = str(error)
            self._buffer.clear()
            error.frames = frames
            raise
        return frames

    def _cut(self, frames: list[Frame]) -> None:
        """Move every whole frame from the buffer to ``frames``."""
        buffer, position = self._buffer, 0
        while True:
            wanted = self._wanted(position)
            if len(buffer) - position < wanted:
                break
            if wanted > _LENGTH.size + 1:
                with memoryview(buffer)[position + _LENGTH.size : position + wanted] as payload:
                    frames.append(self._frame(payload))
                position += wanted
        del buffer[:position]
        self._needed = wanted

    def _wanted(self, position: int) -> int:
        """Return how many bytes from ``position`` on allow the next step."""
        have = len(self._buffer) - position
        if have < _LENGTH.size:
            return _LENGTH.size
        (length,) = _LENGTH.unpack_from(self._buffer, position)
        if not 2 <= length <= max(self._max_json, self._max_data):
            raise FrameError(f"A frame cannot have a length of {length} bytes.")
        if have == _LENGTH.size:
            return _LENGTH.size + 1
        self._check_kind(self._buffer[position + _LENGTH.size], length)
        return int(_LENGTH.size + length)

    def _check_kind(self, first: int, length: int) -> None:
        if first == _JSON_START:
            limit = self._max_json
        elif first == _DATA_START:
            limit = self._max_data
            if length < _DATA_HEAD.size:
                raise FrameError(f"A data frame of {length} bytes has no whole head.")
        else:
            raise FrameError(f"A frame cannot start with the byte 0x{first:02x}.")
        if length > limit:
            raise FrameError(f"A frame of {length} bytes is over the limit of {limit}.")

    def _frame(self, payload: memoryview) -> Frame:
        if payload[0] == _JSON_START:
            return _parse_object(bytes(payload))
        _, flags, reserved, stream_id = _DATA_HEAD.unpack_from(payload)
        if reserved:
            raise FrameError("The reserved bytes of a data frame are not zero.")
        return DataFrame(stream_id, bytes(payload[_DATA_HEAD.size :]), flags)


def _parse_object(payload: bytes) -> dict[str, object]:
    try:
        message: dict[str, object] = _json.decode(payload.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise FrameError(f"A frame is not JSON: {error}.") from None
    return message
