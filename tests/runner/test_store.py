"""The output store, in one process and between two.

Runs on: pytest; files in tmp_path.
"""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toru.runner.store import STDERR, STDOUT, Gap, OutputReader, OutputWriter, Piece

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
