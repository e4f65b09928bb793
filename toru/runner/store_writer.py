"""Writes a run's output: appended bytes, an index of who wrote them when, a cap on both.

Runs on: the runner's only thread. Readers in other processes may read meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

from toru.clock import monotonic
from toru.runner.store_format import (
    HEADER_BYTES,
    INDEX_NAME,
    LOG_NAME,
    LOST,
    RECORD,
    Header,
    record_capacity,
)

MIN_LIMIT_BYTES = 2
_RECORD_SPAN_US = 50_000
_RETRY_S = 1.0
_RESERVE_AHEAD_BYTES = 256 * 1024
_HEAD_SLOTS_KEPT_BACK = 16
_CREATE = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC


class OutputWriter:
    """Appends to ``output.log`` and ``output.idx`` of one directory.

    Storage that refuses (a full disk, an I/O error) never raises here after the start: the bytes
    count, their range is recorded as lost, and a second later it is tried again.

    Args:
        directory: the run's folder; it must exist.
        limit_bytes: the most bytes kept: the first half, then a ring of the last half.

    Raises:
        OSError: the files cannot be made.
        ValueError: a limit below 2 bytes.
    """

    def __init__(self, directory: Path | str, limit_bytes: int) -> None:
        if limit_bytes < MIN_LIMIT_BYTES:
            raise ValueError(f"An output limit of {limit_bytes} bytes keeps nothing.")
        half = limit_bytes // 2
        capacity = record_capacity(half)
        self._header = Header(half, capacity, capacity)
        self._retry_at: float | None = None
        self._log = os.open(Path(directory, LOG_NAME), _CREATE, 0o600)
        self._index = -1
        try:
            self._index = os.open(Path(directory, INDEX_NAME), _CREATE, 0o600)
            os.pwrite(self._index, self._header.pack(), 0)
        except BaseException:
            self._close_files()
            raise

    @property
    def size(self) -> int:
        """Every byte ever appended, kept or not."""
        return self._header.size

    @property
    def lost_bytes(self) -> int:
        """The bytes that the storage refused."""
        return self._header.lost_bytes

    def append(self, stream: int, data: memoryview) -> None:
        """Append what came from ``stream`` (``STDOUT`` or ``STDERR``) and publish it."""
        room = self._header.half - self._header.size
        if 0 < room < len(data):
            self._append_part(stream, data[:room])
            data = data[room:]
        if len(data):
            self._append_part(stream, data)
        self._publish()

    def _append_part(self, stream: int, data: memoryview) -> None:
        """Append bytes that are all of the head or all of the tail."""
        header, end = self._header, self._header.size + len(data)
        try:
            self._begin_record(stream)
            self._reserve(end)
            self._write(data)
            self._retry_at = None
        except OSError:
            self._retry_at = self._retry_at or monotonic() + _RETRY_S
        if header.size < end:
            header.lost_bytes += end - header.size
            header.size = end

    def _begin_record(self, stream: int) -> None:
        """Make sure that the open record is one that the next bytes belong to.

        Raises:
            OSError: the record before could not be written, or it is too early to try again.
        """
        header = self._header
        self._wait_for_retry()
        now_us = time.time_ns() // 1000
        whole = header.open_end == header.size > header.open_start
        if whole and (header.open_start < header.half) == (header.size < header.half):
            if header.open_stream == stream and 0 <= now_us - header.open_time_us < _RECORD_SPAN_US:
                return
            if header.open_stream != LOST and self._head_is_scarce():
                return
        self._close_record()
        header.open_start = header.open_end = header.size
        header.open_stream, header.open_time_us = stream, now_us

    def _wait_for_retry(self) -> None:
        if self._retry_at is None:
            return
        if monotonic() < self._retry_at:
            raise BlockingIOError
        self._retry_at = None
        if self._header.size < self._header.half and self._free_head_slots() < 4:
            raise BlockingIOError

    def _free_head_slots(self) -> int:
        return self._header.head_capacity - self._header.head_records

    def _head_is_scarce(self) -> bool:
        """Whether the head must name mixed output after its first byte to save records."""
        in_head = self._header.size < self._header.half
        return in_head and self._free_head_slots() <= _HEAD_SLOTS_KEPT_BACK

    def _close_record(self) -> None:
        """Write the open record, and one for what was lost after it.

        Raises:
            OSError: from the storage; what was written counts, the rest can be tried again.
        """
        header = self._header
        if header.open_end > header.open_start:
            self._push(header.open_start, header.open_end, header.open_stream)
            header.open_start, header.open_stream = header.open_end, LOST
        if header.open_start < header.half < header.size:
            self._push(header.open_start, header.half, LOST)
            header.open_start = header.open_end = header.half
        if header.open_start < header.size:
            self._push(header.open_start, header.size, LOST)
            header.open_start = header.open_end = header.size

    def _push(self, start: int, end: int, stream: int) -> None:
        header = self._header
        in_head = start < header.half
        index = header.head_records + (0 if in_head else header.tail_records)
        position = HEADER_BYTES + index * RECORD.size if in_head else header.record_position(index)
        record = RECORD.pack(start, header.open_time_us, (end - start) << 8 | stream)
        os.pwrite(self._index, record, position)
        if in_head:
            header.head_records += 1
        else:
            header.tail_records += 1

    def _reserve(self, end: int) -> None:
        """Publish what will be overwritten before it is, some way ahead to do it seldom.

        Raises:
            OSError: it could not be published, so nothing may be overwritten.
        """
        header = self._header
        if end <= max(2 * header.half, header.reserved):
            return
        header.reserved = end + min(header.half // 16, _RESERVE_AHEAD_BYTES)
        os.pwrite(self._index, header.pack(), 0)

    def _write(self, data: memoryview) -> None:
        """Write bytes at the end, moving ``size`` along.

        Raises:
            OSError: from the storage; ``size`` tells how far it came.
        """
        header = self._header
        passed_over = len(data) - header.half
        if passed_over > 0:
            header.size += passed_over
            data = data[passed_over:]
        while len(data):
            position = header.physical(header.size)
            room = len(data) if header.size < header.half else 2 * header.half - position
            count = os.pwrite(self._log, data[:room], position)
            header.size += count
            header.open_end = header.size
            data = data[count:]

    def _publish(self) -> None:
        """Show readers the present state; a refusal is made good by the next time."""
        with contextlib.suppress(OSError):
            os.pwrite(self._index, self._header.pack(), 0)

    def close(self) -> None:
        """Publish the end and close the files; twice does no harm."""
        if self._log < 0:
            return
        self._header.reserved = self._header.size
        self._header.finished = 1
        self._publish()
        self._close_files()

    def _close_files(self) -> None:
        for descriptor in (self._log, self._index):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._index = -1
