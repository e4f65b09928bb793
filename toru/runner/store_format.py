"""The bytes of ``output.idx``: one header, then the records of the head and of the tail.

Runs on: any thread; no I/O of its own.

A run's output has logical offsets that count every byte ever written. With ``half`` the half of
the limit, ``output.log`` holds ``[0, half)`` at the same physical offset, and after it a ring of
``half`` bytes that holds the newest: logical ``x`` is at ``half + (x - half) % half``. A record
says of which stream a range is and when its first byte came; ranges follow each other without
a hole, and none crosses ``half``. Records are a list for the head, and after it a ring for the
tail. The newest record is open, and lives in the header until the next one begins.

Writer and readers share no lock. Before the writer overwrites anything it publishes how far it
will go (``reserved``; for records ``tail_records`` and ``RECORDS_IN_FLIGHT`` more); a reader looks
at the header again after it has read, and throws away what may have been overwritten meanwhile.
"""

from __future__ import annotations

import struct
import zlib

LOG_NAME = "output.log"
INDEX_NAME = "output.idx"

LOST, STDOUT, STDERR = 0, 1, 2

MAGIC = b"TORUIDX1"
HEADER_BYTES = 128
RECORDS_IN_FLIGHT = 2
RECORD = struct.Struct("<QQQ")
_HEADER = struct.Struct("<8s13Q")
_CHECKSUM = struct.Struct("<I")
_FIELDS = (
    "half",
    "head_capacity",
    "tail_capacity",
    "size",
    "reserved",
    "head_records",
    "tail_records",
    "open_start",
    "open_end",
    "open_time_us",
    "open_stream",
    "lost_bytes",
    "finished",
)


class Header:
    """What the writer publishes; the format above says what the fields mean.

    Attributes:
        half: the bytes of the head, and of the tail's ring.
        head_capacity: the most records that the head's list takes.
        tail_capacity: the slots of the tail's ring of records.
        size: every byte ever written, kept or not.
        reserved: the logical end of what is, or may be being, overwritten.
        head_records: closed records of the head.
        tail_records: closed records of the tail ever; the ring holds the newest.
        open_start: where the open record begins.
        open_end: where it ends; from there to ``size`` the bytes are lost.
        open_time_us: when its first byte came, microseconds since the epoch.
        open_stream: ``STDOUT``, ``STDERR`` or ``LOST``.
        lost_bytes: the bytes that could not be written, in all.
        finished: 1 when the writer closed in order.
    """

    __slots__ = _FIELDS

    half: int
    head_capacity: int
    tail_capacity: int
    size: int
    reserved: int
    head_records: int
    tail_records: int
    open_start: int
    open_end: int
    open_time_us: int
    open_stream: int
    lost_bytes: int
    finished: int

    def __init__(self, half: int, head_capacity: int, tail_capacity: int) -> None:
        for field in _FIELDS:
            setattr(self, field, 0)
        self.half, self.head_capacity, self.tail_capacity = half, head_capacity, tail_capacity

    def pack(self) -> bytes:
        """Return the header's bytes, with their checksum."""
        body = _HEADER.pack(
            MAGIC,
            self.half,
            self.head_capacity,
            self.tail_capacity,
            self.size,
            self.reserved,
            self.head_records,
            self.tail_records,
            self.open_start,
            self.open_end,
            self.open_time_us,
            self.open_stream,
            self.lost_bytes,
            self.finished,
        )
        return body + _CHECKSUM.pack(zlib.crc32(body))

    @classmethod
    def unpack(cls, data: bytes) -> Header | None:
        """Return the header in ``data``, or None when it is torn, short or of another format."""
        if len(data) < _HEADER.size + _CHECKSUM.size:
            return None
        body = data[: _HEADER.size]
        (checksum,) = _CHECKSUM.unpack_from(data, _HEADER.size)
        magic, *values = _HEADER.unpack(body)
        if magic != MAGIC or checksum != zlib.crc32(body):
            return None
        header = cls(*values[:3])
        for field, value in zip(_FIELDS, values, strict=True):
            setattr(header, field, value)
        return header

    @property
    def first_tail_record(self) -> int:
        """The first record of the tail that is safely in the ring, counted from the head's."""
        overwritten = self.tail_records + RECORDS_IN_FLIGHT - self.tail_capacity
        return self.head_records + max(0, overwritten)

    @property
    def tail_start(self) -> int:
        """The first offset of the tail that is safely there; only for ``size`` over ``half``."""
        return max(self.half, max(self.reserved, self.size) - self.half)

    def physical(self, offset: int) -> int:
        """Return where in ``output.log`` the byte at the logical ``offset`` is."""
        if offset < self.half:
            return offset
        return self.half + (offset - self.half) % self.half

    def record_position(self, index: int) -> int:
        """Return where in ``output.idx`` a record is; those of the tail count on from the head."""
        if index >= self.head_records:
            index = self.head_records + (index - self.head_records) % self.tail_capacity
        return HEADER_BYTES + index * RECORD.size


def record_capacity(half: int) -> int:
    """Return how many records each half may have, so that the index stays below the log."""
    return min(max(half // 64, 256), 1 << 19)
