"""The framing, cut at every place and fed with nonsense.

Runs on: pytest; no I/O.
"""

from __future__ import annotations

import itertools
import json
import os
import struct
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.wire.frames import (
    FLAG_END,
    FLAG_TEXT,
    MAX_DATA_BYTES,
    DataFrame,
    Frame,
    FrameDecoder,
    FrameError,
    encode_data,
    encode_json,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
OBJECTS = st.dictionaries(st.text(), VALUES, max_size=4)
DATA = st.builds(DataFrame, st.integers(0, 2**32 - 1), st.binary(max_size=300), st.integers(0, 255))
FRAMES = st.lists(OBJECTS | DATA, max_size=8)
LIMITS = {"max_json_bytes": 4096, "max_data_bytes": 512}


def encode(frame: Frame) -> bytes:
    if isinstance(frame, DataFrame):
        return encode_data(frame.id, frame.payload, frame.flags)
    return encode_json(frame)


def feed_in_pieces(decoder: FrameDecoder, data: bytes, cuts: list[int]) -> list[Frame | str]:
    """Return what comes out, an error as its sentence."""
    found: list[Frame | str] = []
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    try:
        for start, end in itertools.pairwise(edges):
            found += decoder.feed(data[start:end])
    except FrameError as error:
        found += error.frames
        found.append(str(error))
    return found


@given(frames=FRAMES, cuts=st.lists(st.integers(0, 10_000), max_size=20))
def test_frames_come_out_as_they_went_in_however_they_are_cut(
    frames: list[Frame], cuts: list[int]
) -> None:
    decoder = FrameDecoder()
    assert feed_in_pieces(decoder, b"".join(map(encode, frames)), cuts) == frames
    assert decoder.pending_bytes == 0
    assert decoder.needed_bytes == 4


def test_every_single_cut_of_a_stream_gives_the_same_frames() -> None:
    frames: list[Frame] = [
        {"a": 1},
        DataFrame(7, b"", FLAG_END),
        {},
        DataFrame(8, b"xy", FLAG_TEXT),
    ]
    data = b"".join(map(encode, frames))
    for cut in range(len(data) + 1):
        assert feed_in_pieces(FrameDecoder(), data, [cut]) == frames
    assert feed_in_pieces(FrameDecoder(), data, list(range(len(data)))) == frames


@given(frames=FRAMES, nonsense=st.binary(max_size=40), cuts=st.lists(st.integers(0, 10_000)))
def test_nonsense_gives_the_same_frames_and_fault_however_it_is_cut(
    frames: list[Frame], nonsense: bytes, cuts: list[int]
) -> None:
    data = b"".join(map(encode, frames)) + nonsense
    whole = feed_in_pieces(FrameDecoder(**LIMITS), data, [])
    assert feed_in_pieces(FrameDecoder(**LIMITS), data, cuts) == whole


@given(nonsense=st.binary(max_size=200))
def test_nonsense_raises_nothing_but_frame_errors(nonsense: bytes) -> None:
    feed_in_pieces(FrameDecoder(**LIMITS), nonsense, [])


@pytest.mark.parametrize("length", [0, 1, 4097, 2**24, 2**31, 2**32 - 1])
def test_a_length_out_of_range_is_refused_before_its_payload_comes(length: int) -> None:
    with pytest.raises(FrameError, match="length"):
        FrameDecoder(**LIMITS).feed(struct.pack("!I", length))


def test_a_large_length_within_the_limit_allocates_nothing() -> None:
    decoder = FrameDecoder()
    tracemalloc.start()
    try:
        decoder.feed(struct.pack("!I", 2**24) + b"{")
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()
    assert (decoder.pending_bytes, decoder.needed_bytes) == (5, 2**24 - 1)


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (b"[1]", "start with the byte 0x5b"),
        (b" {}", "start with the byte 0x20"),
        (b"\x00\x00", "start with the byte 0x00"),
        (b"{]", "not JSON"),
        (b'{"a":NaN}', "not JSON"),
        (b'{"a":-Infinity}', "not JSON"),
        (b'{"a":"\xff"}', "not JSON"),
        (b"{}{}", "not JSON"),
        (b'{"a":' + b"[" * 4000, "not JSON"),
        (b'{"a":' + b"9" * 4080 + b"}", "not JSON|"),
        (b"\x01\0\0", "no whole head"),
        (b"\x01\0\0\1\0\0\0\1", "reserved"),
        (b"\x01" + bytes(7) + bytes(513), "over the limit of 520"),
    ],
)
def test_a_payload_that_is_not_a_frame_is_refused(payload: bytes, words: str) -> None:
    decoder = FrameDecoder(**LIMITS)
    data = struct.pack("!I", len(payload)) + payload
    try:
        decoder.feed(data)
    except FrameError as error:
        assert words.split("|", maxsplit=1)[0] in str(error)
        with pytest.raises(FrameError):
            decoder.feed(encode_json({}))
    else:
        assert words.endswith("|")


def test_json_nested_deeper_than_the_stack_is_refused() -> None:
    payload = b'{"a":' + b"[" * 500_000 + b"]" * 500_000 + b"}"
    with pytest.raises(FrameError):
        FrameDecoder().feed(struct.pack("!I", len(payload)) + payload)


def test_half_a_frame_can_be_seen_so_that_it_can_be_timed_out() -> None:
    decoder = FrameDecoder()
    assert decoder.feed(encode_json({"a": 1}) + b"\0\0") == [{"a": 1}]
    assert (decoder.pending_bytes, decoder.needed_bytes) == (2, 2)


def test_what_is_too_large_is_not_encoded() -> None:
    with pytest.raises(ValueError, match="limit"):
        encode_data(1, bytes(MAX_DATA_BYTES + 1))
    with pytest.raises(ValueError, match="limit"):
        encode_json({"a": "x" * 100}, limit_bytes=100)
    with pytest.raises(ValueError, match="Not a data frame"):
        encode_data(2**32, b"")
    with pytest.raises(ValueError):
        encode_json({"a": float("nan")})


def test_file_names_that_are_not_utf8_survive() -> None:
    name = os.fsdecode(b"\xff.sh")
    assert FrameDecoder().feed(encode_json({"name": name})) == [{"name": name}]


def test_the_wire_is_as_documented() -> None:
    assert encode_json({"a": "ä"}) == b'\0\0\0\x0e{"a":"\\u00e4"}'
    assert encode_data(258, b"hi", 3) == b"\0\0\0\x0a\x01\x03\0\0\0\0\1\2hi"
    assert json.loads(encode_json({"a": "ä"})[4:]) == {"a": "ä"}


def seconds_to_feed(size: int, piece: int) -> float:
    payload = b'{"a":"' + b"x" * size + b'"}'
    data = struct.pack("!I", len(payload)) + payload
    decoder, best = FrameDecoder(), 1e9
    for _ in range(3):
        begun = time.perf_counter()
        for start in range(0, len(data), piece):
            decoder.feed(data[start : start + piece])
        best = min(best, time.perf_counter() - begun)
    return best


def test_a_frame_in_small_pieces_costs_time_in_proportion_to_its_size() -> None:
    assert seconds_to_feed(8_000_000, 64) < 8 * 4 * seconds_to_feed(1_000_000, 64)


def test_many_small_frames_in_one_piece_cost_time_in_proportion_to_their_number() -> None:
    def seconds(count: int) -> float:
        data = encode_json({"type": "ping"}) * count
        begun = time.perf_counter()
        assert len(FrameDecoder().feed(data)) == count
        return time.perf_counter() - begun

    few = min(seconds(5_000) for _ in range(3))
    assert seconds(40_000) < 8 * 4 * few
