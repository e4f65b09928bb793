"""The output store, in one process and between two.

Runs on: pytest; files in tmp_path.
"""

from __future__ import annotations

import errno
import os
import random
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from toru.runner import store_writer
from toru.runner.store import STDERR, STDOUT, Gap, OutputReader, OutputWriter, Piece
from toru.runner.store_format import HEADER_BYTES, RECORD, Header

CHUNKS = st.lists(st.tuples(st.sampled_from([STDOUT, STDERR]), st.integers(1, 300)), max_size=60)


def write(writer: OutputWriter, stream: int, data: bytes) -> None:
    writer.append(stream, memoryview(data))


def read_all(reader: OutputReader, limit: int = 1 << 20) -> list[Piece | Gap]:
    found: list[Piece | Gap] = []
    offset = 0
    while True:
        part = reader.read(offset, limit)
        if part.next_offset == offset:
            return found
        found += part.pieces
        offset = part.next_offset


def check_against(model: bytes, streams: bytes, pieces: list[Piece | Gap]) -> int:
    """Check that the pieces tile the model with its bytes and streams; return the bytes missing."""
    position = missing = 0
    for piece in pieces:
        assert piece.start == position
        if isinstance(piece, Gap):
            missing += piece.end - piece.start
        else:
            assert piece.data == model[piece.start : piece.end]
            assert set(streams[piece.start : piece.end]) == {piece.stream}
        assert piece.end > piece.start
        position = piece.end
    assert position == len(model)
    return missing


@given(chunks=CHUNKS, limit=st.integers(2, 4000), read=st.integers(1, 500))
@settings(max_examples=150, deadline=None)
def test_every_byte_is_read_back_with_its_stream_or_lies_in_a_gap(
    tmp_path_factory: pytest.TempPathFactory,
    chunks: list[tuple[int, int]],
    limit: int,
    read: int,
) -> None:
    directory = tmp_path_factory.mktemp("run")
    writer = OutputWriter(directory, limit)
    generator = random.Random(1)
    model, streams = b"", b""
    with OutputReader(directory) as reader:
        for stream, length in chunks:
            data = generator.randbytes(length)
            write(writer, stream, data)
            model += data
            streams += bytes([stream]) * length
            assert reader.size == len(model)
        writer.close()
        missing = check_against(model, streams, read_all(reader, read))
        half = limit // 2
        assert missing == max(0, len(model) - 2 * half)
        assert reader.gap == ((half, len(model) - half) if missing else None)
        assert (directory / "output.log").stat().st_size <= limit


def test_plain_output_is_one_piece_and_one_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = OutputWriter(tmp_path, 1 << 24)
    for number in range(1000):
        write(writer, STDOUT, b"%1023d\n" % number)
    with OutputReader(tmp_path) as reader:
        counted = []
        pread = os.pread
        monkeypatch.setattr(os, "pread", lambda fd, n, at: counted.append(n) or pread(fd, n, at))
        part = reader.read(100_000, 256 * 1024)
    assert [len(piece.data) for piece in part.pieces if isinstance(piece, Piece)] == [256 * 1024]
    assert part.next_offset == 100_000 + 256 * 1024
    assert [n for n in counted if n > 16_384] == [256 * 1024]
    assert len(counted) < 20
    writer.close()


def test_reading_past_the_end_gives_the_end(tmp_path: Path) -> None:
    writer = OutputWriter(tmp_path, 1000)
    write(writer, STDOUT, b"hello")
    with OutputReader(tmp_path) as reader:
        assert reader.read(5, 10) == ((), 5, 5)
        assert reader.read(500, 10) == ((), 5, 5)
        assert reader.tail(3).pieces[0][:3] == (STDOUT, 2, b"llo")
        with pytest.raises(ValueError):
            reader.read(-1, 10)
        with pytest.raises(ValueError):
            reader.read(0, 0)
    writer.close()
    writer.close()


def test_the_time_of_a_piece_is_when_its_first_byte_came(tmp_path: Path) -> None:
    before = time.time()
    writer = OutputWriter(tmp_path, 1000)
    write(writer, STDOUT, b"a")
    write(writer, STDERR, b"b")
    writer.close()
    with OutputReader(tmp_path) as reader:
        times = [piece.time for piece in reader.read(0, 10).pieces if isinstance(piece, Piece)]
    assert before - 0.001 <= times[0] <= times[1] <= time.time()


def test_where_nothing_was_written_there_is_no_output(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        OutputReader(tmp_path)
    with pytest.raises(FileNotFoundError):
        OutputWriter(tmp_path / "none", 1000)
    with pytest.raises(ValueError):
        OutputWriter(tmp_path, 1)


def test_a_download_says_what_is_missing(tmp_path: Path) -> None:
    writer = OutputWriter(tmp_path, 20)
    write(writer, STDOUT, b"0123456789" * 5)
    writer.close()
    with OutputReader(tmp_path) as reader:
        text = b"".join(reader.raw())
        assert b"".join(reader.raw(3, 4)) == b"3456"
    marker = b"\n[toru: 30 bytes of output are missing here]\n"
    assert text == b"0123456789" + marker + b"0123456789"


def test_the_index_is_bounded_and_drops_no_byte(tmp_path: Path) -> None:
    limit = 64 * 1024
    writer = OutputWriter(tmp_path, limit)
    model = bytearray()
    for number in range(60_000):
        data = b"%d" % (number % 10)
        write(writer, STDERR if number % 2 else STDOUT, data)
        model += data
    writer.close()
    assert (tmp_path / "output.idx").stat().st_size <= 128 + 24 * 2 * 512
    with OutputReader(tmp_path) as reader:
        pieces = read_all(reader)
        assert reader.gap is None
    assert b"".join(piece.data for piece in pieces if isinstance(piece, Piece)) == model
    assert [piece[:3] for piece in pieces[:2]] == [(STDOUT, 0, b"0"), (STDERR, 1, b"1")]
    assert pieces[-1][:2] == (STDERR, len(model) - 1), "the newest keep their stream"


def test_an_index_of_a_million_records_is_opened_and_searched_at_once(tmp_path: Path) -> None:
    half, count = 1 << 26, 1_000_000
    header = Header(half, 1 << 20, 256)
    header.size = header.open_start = header.open_end = 40 * count
    header.head_records = count
    with (tmp_path / "output.log").open("wb") as file:
        file.truncate(header.size)
    records = [RECORD.pack(40 * n, n * 10**6, 40 << 8 | 1 + n % 2) for n in range(count)]
    (tmp_path / "output.idx").write_bytes(
        header.pack().ljust(HEADER_BYTES, b"\0") + b"".join(records)
    )
    begun = time.perf_counter()
    with OutputReader(tmp_path) as reader:
        for number in (0, 1, 777_777, count - 1):
            piece = reader.read(40 * number + 5, 10).pieces[0]
            assert piece[:2] == (1 + number % 2, 40 * number + 5)
            assert isinstance(piece, Piece)
            assert piece.time == number
        part = reader.read(0, 1 << 20)
        assert part.pieces
        assert reader.read(part.next_offset, 100).pieces[0].start == part.next_offset
    assert time.perf_counter() - begun < 0.5


@pytest.mark.parametrize("damage", [b"", b"x" * 500, None])
def test_a_ruined_index_still_shows_the_bytes(tmp_path: Path, damage: bytes | None) -> None:
    writer = OutputWriter(tmp_path, 1000)
    write(writer, STDERR, b"precious")
    writer.close()
    if damage is None:
        (tmp_path / "output.idx").unlink()
    else:
        (tmp_path / "output.idx").write_bytes(damage)
    with OutputReader(tmp_path) as reader:
        assert [piece[:3] for piece in reader.read(0, 100).pieces] == [(STDOUT, 0, b"precious")]


def test_a_log_that_lost_its_end_shows_a_gap(tmp_path: Path) -> None:
    writer = OutputWriter(tmp_path, 1000)
    write(writer, STDOUT, b"0123456789")
    writer.close()
    os.truncate(tmp_path / "output.log", 4)
    with OutputReader(tmp_path) as reader:
        pieces = reader.read(0, 100).pieces
    assert [tuple(piece)[:3] for piece in pieces] == [(STDOUT, 0, b"0123"), (4, 10)]


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """A storage that refuses whatever is beyond so many bytes of a file (EFBIG)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    # Python ignores SIGXFSZ already, so that the write fails instead.
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_storage_that_refuses_makes_a_gap_and_is_tried_again(
    tmp_path: Path, small_files: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr(store_writer, "monotonic", lambda: now)
    writer = OutputWriter(tmp_path, 1 << 20)
    small_files(1000)
    write(writer, STDOUT, b"a" * 1500)
    write(writer, STDERR, b"b" * 500)
    small_files(resource.RLIM_INFINITY)
    write(writer, STDERR, b"c" * 100)
    assert writer.lost_bytes == 1100, "it is too early to try again"
    now += 2
    with OutputReader(tmp_path) as reader:
        expected = [(STDOUT, 0, b"a" * 1000), (1000, 2100)]
        assert [tuple(piece)[:3] for piece in reader.read(0, 9999).pieces] == expected
        write(writer, STDERR, b"d" * 10)
        writer.close()
        expected.append((STDERR, 2100, b"d" * 10))
        assert [tuple(piece)[:3] for piece in reader.read(0, 9999).pieces] == expected
        assert (reader.size, reader.lost_bytes) == (2110, 1100)
        assert b"[toru: 1100 bytes" in b"".join(reader.raw())


@example(parts=[(1, 304, False), (1, 200, True), (1, 1, False)], limit=504)
@given(
    parts=st.lists(st.tuples(st.integers(1, 2), st.integers(1, 200), st.booleans()), max_size=40),
    limit=st.integers(2, 3000),
)
@settings(max_examples=100, deadline=None)
def test_storage_that_refuses_now_and_then_never_shows_wrong_bytes(
    tmp_path_factory: pytest.TempPathFactory, parts: list[tuple[int, int, bool]], limit: int
) -> None:
    directory = tmp_path_factory.mktemp("run")
    writer = OutputWriter(directory, limit)
    model, streams, lost = b"", b"", 0
    generator = random.Random(2)
    refusing = False
    pwrite = os.pwrite

    def refuse(descriptor: int, data: bytes, at: int) -> int:
        if refusing:
            raise OSError(errno.ENOSPC, "full")
        return pwrite(descriptor, data, at)

    with (
        mock.patch.object(os, "pwrite", refuse),
        mock.patch.object(store_writer, "_RETRY_S", 0),
        OutputReader(directory) as reader,
    ):
        for stream, length, refusing in parts:
            data = generator.randbytes(length)
            write(writer, stream, data)
            lost += length if refusing else 0
            model += data
            streams += bytes([stream]) * length
        refusing = False
        writer.close()
        missing = check_against(model, streams, read_all(reader, 500))
        assert reader.lost_bytes == lost
        assert missing <= lost + max(0, len(model) - 2 * (limit // 2))


def numbered(start: int, end: int) -> bytes:
    """Return the bytes of an endless text whose every 8 bytes tell their offset."""
    first, last = start // 8, end // 8 + 1
    text = b"".join(b"%07d\n" % (n % 10**7) for n in range(first, last))
    return text[start - first * 8 : end - first * 8]


WRITE_FOR_EVER = """
import sys; sys.path.append(sys.argv[1])
from toru.runner.store_writer import OutputWriter
writer = OutputWriter(sys.argv[2], 1 << 18)
print(flush=True)
n = 0
while True:
    size = 1 + n * 7919 % 4000
    data = b"".join(b"%07d%c" % (k % 10**7, 10) for k in range(n, n + size))
    stream = 1 + n % 2
    writer.append(stream, memoryview(data))
    n += size
"""


@pytest.mark.parametrize("limit", [1000, 100_000])
def test_a_reader_beside_a_fast_writer_never_sees_wrong_bytes(tmp_path: Path, limit: int) -> None:
    root = str(Path(store_writer.__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-c", WRITE_FOR_EVER, root, str(tmp_path)],
        stdout=subprocess.PIPE,
    )
    gaps = pieces = 0
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with OutputReader(tmp_path) as reader:
            while reader.size < 1 << 19:  # so that the first read meets what is overwritten
                time.sleep(0.001)
            end, offset = time.monotonic() + 1.5, 0
            while time.monotonic() < end:
                part = reader.read(offset, limit)
                position = offset
                for piece in part.pieces:
                    assert piece.start == position
                    position = piece.end
                    if isinstance(piece, Gap):
                        gaps += 1
                        continue
                    pieces += 1
                    assert piece.data == numbered(piece.start, piece.end)
                assert position == part.next_offset
                offset = part.next_offset
            process.kill()
            process.wait()
            assert not reader.finished
            size = reader.size
            found = read_all(reader)
            assert found[-1].end == size
            for piece in found:
                if isinstance(piece, Piece):
                    assert piece.data == numbered(piece.start, piece.end)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
    assert pieces > 10
    assert gaps > 0
