"""Reads a run's output at any offset: while it is written, after its end, after a crash.

Runs on: any thread, one reader object on one thread at a time; it blocks on files only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from toru.runner.store_format import (
    HEADER_BYTES,
    INDEX_NAME,
    LOG_NAME,
    LOST,
    RECORD,
    STDOUT,
    Header,
)

_TORN_READS = 50
_OVERTAKEN_READS = 3
_RECORDS_A_READ = 512
_RECORDS_A_SLICE = 16_384
_PIECES_A_SLICE = 4_096
_RAW_CHUNK_BYTES = 256 * 1024
_NOTHING_READ = 1 << 63


class Piece(NamedTuple):
    """Bytes of one stream that follow each other.

    Attributes:
        stream: ``STDOUT`` or ``STDERR``.
        start: the logical offset of the first byte.
        data: the bytes, at least one.
        time: when the first of the record's bytes came, seconds since the epoch; 0 when unknown.
    """

    stream: int
    start: int
    data: bytes
    time: float

    @property
    def end(self) -> int:
        """The logical offset after the last byte."""
        return self.start + len(self.data)


class Gap(NamedTuple):
    """A range that was written and is not there any more, or never could be stored."""

    start: int
    end: int


class Slice(NamedTuple):
    """What ``OutputReader.read`` found.

    Attributes:
        pieces: without a hole from the asked offset to ``next_offset``.
        next_offset: where to read on.
        size: all bytes written when the reader looked.
    """

    pieces: tuple[Piece | Gap, ...]
    next_offset: int
    size: int


class _Record(NamedTuple):
    start: int
    end: int
    stream: int
    time: float


_Ranges = Callable[[Header, int, int], list[_Record]]
"""Tells the ranges that make up some kept bytes, or the first of them."""


class _OvertakenError(Exception):
    """The writer overwrote what was being read."""


class OutputReader:
    """Reads ``output.log`` and ``output.idx`` of one directory; ``close`` it, or use ``with``.

    Opening costs the same however long the output is.

    Raises:
        FileNotFoundError: no output was ever written there.
        OSError: the files cannot be opened.
    """

    def __init__(self, directory: Path | str) -> None:
        self._lowest_offset = self._lowest_record = _NOTHING_READ
        self._index = -1
        self._log = os.open(Path(directory, LOG_NAME), os.O_RDONLY | os.O_CLOEXEC)
        try:
            self._index = os.open(Path(directory, INDEX_NAME), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            pass  # the bytes are there and can be shown, as all from stdout
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> OutputReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; twice does no harm."""
        for descriptor in (self._log, self._index):
            if descriptor >= 0:
                os.close(descriptor)
        self._log = self._index = -1

    @property
    def size(self) -> int:
        """Every byte ever written, kept or not."""
        return self._header().size

    @property
    def finished(self) -> bool:
        """Whether the writer closed in order: nothing will be added."""
        return bool(self._header().finished)

    @property
    def lost_bytes(self) -> int:
        """The bytes that the storage refused (a full disk), in all."""
        return self._header().lost_bytes

    @property
    def gap(self) -> tuple[int, int] | None:
        """The range between head and tail that the cap has dropped, or None."""
        header = self._header()
        if header.size <= header.half or header.tail_start == header.half:
            return None
        return header.half, header.tail_start

    def read(self, offset: int, limit_bytes: int) -> Slice:
        """Return at most ``limit_bytes`` of output from ``offset`` on; what is missing is marked.

        An ``offset`` past the end gives no pieces and the end as ``next_offset``.

        Raises:
            ValueError: a negative offset or a limit below 1.
        """
        return self._read_steadily(offset, limit_bytes, self._streams)

    def read_records(self, offset: int, limit_bytes: int) -> Slice:
        """Return what ``read`` does, a piece a record: with the time of each.

        A gap is told whole: it may begin before ``offset``, and end behind the limit.

        Raises:
            ValueError: a negative offset or a limit below 1.
        """
        return self._read_steadily(offset, limit_bytes, self._single_records)

    def read_plain(self, offset: int, limit_bytes: int) -> Slice:
        """Return what ``read`` does, with no regard to streams and times: in few pieces.

        Raises:
            ValueError: a negative offset or a limit below 1.
        """
        return self._read_steadily(offset, limit_bytes, self._plain)

    def _read_steadily(self, offset: int, limit_bytes: int, ranges: _Ranges) -> Slice:
        if offset < 0 or limit_bytes < 1:
            raise ValueError(f"Cannot read {limit_bytes} bytes from offset {offset}.")
        header = self._header()
        for _ in range(_OVERTAKEN_READS):
            try:
                return self._read(header, offset, limit_bytes, ranges)
            except _OvertakenError:
                header = self._header()
        # The writer is faster than this reader: jump to where it will not be soon.
        header.reserved = max(header.reserved, header.size) + header.half // 2
        header.reserved = min(header.reserved, header.size + header.half)
        try:
            return self._read(header, offset, limit_bytes, ranges)
        except _OvertakenError:
            return Slice((), min(offset, header.size), header.size)

    def tail(self, limit_bytes: int) -> Slice:
        """Return the last ``limit_bytes`` of output, read in one go."""
        return self.read(max(0, self.size - limit_bytes), limit_bytes)

    def raw(self, offset: int = 0, limit_bytes: int | None = None) -> Iterator[bytes]:
        """Yield the output of both streams as it came, with a line of text for what is missing.

        Ends at the size that the output has when the call is made, or after ``limit_bytes`` of
        output; marker lines do not count.
        """
        end = self.size if limit_bytes is None else min(self.size, offset + limit_bytes)
        while offset < end:
            part = self.read(offset, min(_RAW_CHUNK_BYTES, end - offset))
            if part.next_offset <= offset:
                return
            for piece in part.pieces:
                yield piece.data if isinstance(piece, Piece) else missing_marker(piece)
            offset = part.next_offset

    def _header(self) -> Header:
        for _ in range(_TORN_READS if self._index >= 0 else 0):
            header = Header.unpack(os.pread(self._index, HEADER_BYTES, 0))
            if header is not None:
                return header
        return self._header_without_index()

    def _header_without_index(self) -> Header:
        """Return a header for an index that a power failure ruined: plain bytes, times unknown."""
        size = os.fstat(self._log).st_size
        header = Header(half=max(size, 1), head_capacity=0, tail_capacity=1)
        header.size = header.open_end = size
        header.open_stream = STDOUT
        return header

    def _read(self, header: Header, offset: int, limit_bytes: int, ranges: _Ranges) -> Slice:
        pieces: list[Piece | Gap] = []
        left, size = limit_bytes, header.size
        self._lowest_offset = self._lowest_record = _NOTHING_READ
        while offset < size and left > 0 and len(pieces) < _PIECES_A_SLICE:
            if offset >= header.half and offset < header.tail_start:
                whole = ranges == self._single_records
                start = header.half if whole else offset
                pieces.append(Gap(start, min(header.tail_start, size)))
                offset = pieces[-1].end
                continue
            border = header.half if offset < header.half else size
            found = self._read_kept(header, offset, min(offset + left, border), ranges)
            pieces += found
            left -= found[-1].end - offset
            offset = found[-1].end
        self._check_not_overtaken()
        return Slice(tuple(pieces), min(offset, size), size)

    def _check_not_overtaken(self) -> None:
        """Raise when something of the rings that was just read may have been overwritten."""
        if min(self._lowest_offset, self._lowest_record) == _NOTHING_READ:
            return
        now = self._header()
        data_overwritten = self._lowest_offset < now.tail_start
        if data_overwritten or self._lowest_record < now.first_tail_record:
            raise _OvertakenError

    def _read_kept(
        self, header: Header, start: int, end: int, ranges: _Ranges
    ) -> list[Piece | Gap]:
        """Read a range that is kept and does not cross ``half``; at least one piece of it."""
        runs = ranges(header, start, end)
        # What is lost may never have been written, so that the file ends there: no read across it.
        lost = any(run.stream == LOST for run in runs)
        data = b"" if lost else self._data(header, start, runs[-1].end)
        pieces: list[Piece | Gap] = []
        for run in runs:
            if run.stream == LOST:
                pieces.append(Gap(run.start, run.end))
                continue
            if lost:
                part = self._data(header, run.start, run.end)
            else:
                part = data[run.start - start : run.end - start] if len(runs) > 1 else data
            if part:
                pieces.append(Piece(run.stream, run.start, part, run.time))
            if len(part) < run.end - run.start:
                pieces.append(Gap(run.start + len(part), run.end))
        return pieces

    def _data(self, header: Header, start: int, end: int) -> bytes:
        """Return the stored bytes of a range; fewer when a crash has cut the file."""
        position = header.physical(start)
        room = end - start
        if start >= header.half:
            self._lowest_offset = min(self._lowest_offset, start)
            room = min(room, 2 * header.half - position)
        data = os.pread(self._log, room, position)
        if room < end - start and len(data) == room:
            data += os.pread(self._log, end - start - room, header.half)
        return data

    def _plain(self, header: Header, start: int, end: int) -> list[_Record]:
        """Return one range; only where bytes may be lost is it worth a look at the index."""
        if header.lost_bytes:
            return self._streams(header, start, end)
        return [_Record(start, end, STDOUT, 0.0)]

    def _single_records(self, header: Header, start: int, end: int) -> list[_Record]:
        """Return the records that make up ``[start, end)``, or its beginning; a lost one whole."""
        return self._streams(header, start, end, merge=False)

    def _streams(
        self, header: Header, start: int, end: int, *, merge: bool = True
    ) -> list[_Record]:
        """Return the ranges of one stream each that make up ``[start, end)``, or its beginning."""
        merged: list[_Record] = []
        position = start
        for count, record in enumerate(self._records(header, start)):
            if position >= end or count >= _RECORDS_A_SLICE or len(merged) >= _PIECES_A_SLICE:
                break
            if record.end <= position:
                continue
            if record.start > position:  # its record is overwritten already: say stdout
                unknown = _Record(position, min(record.start, end), STDOUT, 0.0)
                merged.append(unknown)
                position = unknown.end
                if position >= end:
                    break
            part = _Record(position, min(record.end, end), record.stream, record.time)
            if not merge and part.stream == LOST:
                part = record
            elif merge and merged and merged[-1].stream == part.stream:
                part = merged.pop()._replace(end=part.end)
            merged.append(part)
            position = part.end
        return merged or [_Record(start, end, STDOUT, 0.0)]

    def _records(self, header: Header, offset: int) -> Iterator[_Record]:
        """Yield the records from the one that holds ``offset`` on, the open one last."""
        total = header.head_records + header.tail_records
        in_head = offset < header.half
        index = self._find(header, offset)
        stop = header.head_records if in_head else total
        while index < stop:
            batch = self._load(header, index, min(_RECORDS_A_READ, stop - index))
            if not batch:
                return
            yield from batch
            index += len(batch)
        yield from _open_records(header)

    def _find(self, header: Header, offset: int) -> int:
        """Return the index of the last closed record that starts at or before ``offset``."""
        if offset < header.half:
            low, high = 0, header.head_records
        else:
            low = header.first_tail_record
            high = header.head_records + header.tail_records
        first = low
        while low < high:
            middle = (low + high) // 2
            found = self._load(header, middle, 1)
            if found and found[0].start <= offset:
                low = middle + 1
            else:
                high = middle
        return max(first, low - 1)

    def _load(self, header: Header, index: int, count: int) -> list[_Record]:
        """Read up to ``count`` records from ``index`` on in one call, to the ring's end at most."""
        if index >= header.head_records:
            self._lowest_record = min(self._lowest_record, index)
            slot = (index - header.head_records) % header.tail_capacity
            count = min(count, header.tail_capacity - slot)
        data = os.pread(self._index, count * RECORD.size, header.record_position(index))
        whole = len(data) - len(data) % RECORD.size
        return [
            _Record(start, start + (packed >> 8), packed & 0xFF, time_us / 1e6)
            for start, time_us, packed in RECORD.iter_unpack(data[:whole])
        ]


def _open_records(header: Header) -> Iterator[_Record]:
    """Yield what the header itself says of the newest bytes."""
    if header.open_end > header.open_start:
        time_s = header.open_time_us / 1e6
        yield _Record(header.open_start, header.open_end, header.open_stream, time_s)
    if header.size > header.open_end:
        yield _Record(header.open_end, header.size, LOST, 0.0)


def missing_marker(gap: Gap) -> bytes:
    """Return the line of text that stands for missing output."""
    return f"\n[toru: {gap.end - gap.start} bytes of output are missing here]\n".encode()
