"""Raw output into WebSocket text frames, without tearing a character that two chunks share.

Runs on: any thread; pure.
"""

from __future__ import annotations

import msgspec

_MAX_TAIL = 3


class OutputMessage(msgspec.Struct, frozen=True):
    """A chunk of output as the contract has it; ``offset`` is where the next one begins."""

    type: str
    task_id: str
    data: str
    offset: int


class GapMessage(msgspec.Struct, frozen=True, rename={"start": "from", "end": "to"}):
    """Bytes ``start`` to ``end`` of the output are not there any more."""

    task_id: str
    start: int
    end: int
    type: str = "gap"


_encoder = msgspec.json.Encoder()
_STREAM_TYPES = {1: "stdout", 2: "stderr"}


def complete_length(data: bytes) -> int:
    """Return how many bytes of ``data`` can be decoded now.

    Up to three bytes at the end stay for later when they begin a UTF-8 character (RFC 3629)
    that is not whole yet.
    """
    for back in range(1, min(_MAX_TAIL, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:  # a continuation byte: its lead is further back
            continue
        return len(data) - back if _sequence_length(byte) > back else len(data)
    return len(data)


def encode_output(task_id: str, stream: int, start: int, data: bytes) -> bytes:
    """Return the frame for ``data`` of ``stream`` (1 or 2) that begins at offset ``start``."""
    text = data.decode("utf-8", "replace")
    message = OutputMessage(_STREAM_TYPES.get(stream, "stdout"), task_id, text, start + len(data))
    return _encoder.encode(message)


def encode_gap(task_id: str, start: int, end: int) -> bytes:
    """Return the frame that marks missing bytes."""
    return _encoder.encode(GapMessage(task_id, start, end))


def _sequence_length(lead: int) -> int:
    if lead < 0xC2 or lead > 0xF4:
        return 1
    if lead < 0xE0:
        return 2
    return 3 if lead < 0xF0 else 4
