"""Raw output as WebSocket frames: no character is torn, no byte is lost."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.output_frames import complete_length, encode_gap, encode_output


@pytest.mark.parametrize("character", ["a", "é", "€", "😀"])
def test_a_character_that_is_not_whole_stays_for_later(character: str) -> None:
    encoded = character.encode()
    for cut in range(1, len(encoded)):
        assert complete_length(b"x" + encoded[:cut]) == 1
    assert complete_length(b"x" + encoded) == 1 + len(encoded)


@pytest.mark.parametrize(
    "data", [b"", b"\xff", b"\x80\x80\x80\x80", b"a\xc0", b"\xf8\x80\x80", b"\0"]
)
def test_bytes_that_can_never_become_a_character_are_not_held_back(data: bytes) -> None:
    assert complete_length(data) == len(data)


@given(st.text(max_size=200), st.data())
def test_text_cut_anywhere_comes_out_whole(text: str, data: st.DataObject) -> None:
    encoded = text.encode("utf-8", "replace")
    cuts = sorted(data.draw(st.lists(st.integers(0, len(encoded)), max_size=10)))
    shown, held, start = "", b"", 0
    for cut in [*cuts, len(encoded)]:
        chunk = held + encoded[start:cut]
        length = complete_length(chunk)
        message = json.loads(encode_output("id", 1, 0, chunk[:length]))
        shown += message["data"]
        held, start = chunk[length:], cut
    assert held == b""
    assert shown == encoded.decode()


@given(st.binary(max_size=300))
def test_at_most_three_bytes_are_held_back(data: bytes) -> None:
    assert len(data) - 3 <= complete_length(data) <= len(data)


def test_a_frame_says_where_the_next_one_begins() -> None:
    frame = json.loads(encode_output("a-run", 2, 100, "é\0\x1b".encode()))
    assert frame == {"type": "stderr", "task_id": "a-run", "data": "é\0\x1b", "offset": 104}


def test_invalid_bytes_are_replaced_and_counted_as_they_are() -> None:
    frame = json.loads(encode_output("a-run", 1, 0, b"a\xffb"))
    assert frame["data"] == "a\N{REPLACEMENT CHARACTER}b"
    assert frame["offset"] == 3


def test_a_gap_names_what_is_missing() -> None:
    frame = json.loads(encode_gap("a-run", 10, 20))
    assert frame == {"type": "gap", "task_id": "a-run", "from": 10, "to": 20}
