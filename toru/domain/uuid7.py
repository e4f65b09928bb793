"""UUIDs of version 7 (RFC 9562, section 5.7): they sort as they were made.

Runs on: any thread.
"""

from __future__ import annotations

import secrets
import threading
import time
import uuid

_lock = threading.Lock()
_last = 0


def uuid7() -> str:
    """Return a new UUIDv7; of two made by this process the later one sorts behind the earlier.

    48 bits of milliseconds, then 12 bits of a fraction of the millisecond (method 3 of
    section 6.2), moved on by one where the clock stood still or went back.
    """
    global _last  # noqa: PLW0603 - the order is one of the process
    with _lock:
        milliseconds, rest = divmod(time.time_ns(), 1_000_000)
        stamp = max(_last + 1, milliseconds << 12 | (rest << 12) // 1_000_000)
        _last = stamp
    value = (stamp >> 12) << 80 | 0x7 << 76 | (stamp & 0xFFF) << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    return str(uuid.UUID(int=value))
