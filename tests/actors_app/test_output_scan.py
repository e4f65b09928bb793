"""Searches through outputs on disk, against the naive search through all of it."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from toru import clock
from toru.actors.messages.outputs import Match, Matches, Sought
from toru.actors.output_scan import BLOCK_BYTES, search
from toru.domain.output_search import Needle, Visible, as_line
from toru.runner.store import STDERR, STDOUT, OutputReader, OutputWriter

MIB = 1024**2


def store(folder: Path, *parts: tuple[int, bytes], limit_bytes: int = 64 * MIB) -> Path:
    folder.mkdir(exist_ok=True)
    writer = OutputWriter(folder, limit_bytes)
    for stream, data in parts:
        writer.append(stream, memoryview(data))
    writer.close()
    return folder


def walk(folder: Path, sought: Sought, block_bytes: int = BLOCK_BYTES) -> Iterator[Match]:
    """Yield all matches, over as many calls as it takes; each call begins one block only."""
    start = sought.start
    while True:
        with OutputReader(folder) as reader:
            part = Sought(sought.text, sought.match_case, start, sought.backward, sought.limit)
            found: Matches = search(reader, part, 0.0, block_bytes)
        yield from found.matches
        if found.next_offset is None:
            return
        assert found.next_offset != start
        start = found.next_offset


def offsets(
    folder: Path, text: str, block_bytes: int = BLOCK_BYTES, **options: object
) -> list[int]:
    sought = Sought(text, **options)  # type: ignore[arg-type]  # options of Sought
    return [match.offset for match in walk(folder, sought, block_bytes)]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    data=st.text(alphabet="abAB\n é", max_size=3000),
    text=st.text(alphabet="abAé", min_size=1, max_size=3),
    block=st.integers(300, 700),
    limit=st.integers(1, 5),
)
def test_a_search_finds_what_a_search_through_the_whole_finds(
    tmp_path: Path, data: str, text: str, block: int, limit: int
) -> None:
    raw = data.encode()
    folder = store(tmp_path, (STDOUT, raw[: len(raw) // 3]), (STDERR, raw[len(raw) // 3 :]))
    pattern = re.escape(text)
    # The offsets in bytes: case-insensitive, as `re` understands it on text.
    wanted = [
        len(data[: found.start()].encode()) for found in re.finditer(pattern, data, re.IGNORECASE)
    ]
    assert offsets(folder, text, block, limit=limit) == wanted
    exact = [len(data[: found.start()].encode()) for found in re.finditer(pattern, data)]
    assert offsets(folder, text, block, match_case=True) == exact
    if len(text) == 1:  # longer ones may overlap themselves, and then differ from the other end
        assert offsets(folder, text, block, backward=True) == wanted[::-1]


def test_a_match_on_two_blocks_is_found_once_from_both_sides(tmp_path: Path) -> None:
    for place in range(BLOCK_BYTES - 8, BLOCK_BYTES + 9):
        data = b"." * place + b"needle" + b"." * BLOCK_BYTES
        folder = store(tmp_path, (STDOUT, data))
        assert offsets(folder, "needle") == [place]
        assert offsets(folder, "NEEDLE", backward=True) == [place]


def test_colours_within_a_word_do_not_hide_it(tmp_path: Path) -> None:
    data = b"\x1b[1mok\x1b[0m pass\x1b[31med\x1b[0m\n" * 3
    folder = store(tmp_path, (STDOUT, data))
    one = len(data) // 3
    found = list(walk(folder, Sought("OK passed")))
    assert [match.offset for match in found] == [4, one + 4, 2 * one + 4]
    first = found[0]
    assert data[first.offset :][: first.length] == b"ok\x1b[0m pass\x1b[31med"
    assert (first.before, first.text, first.after) == ("", "ok passed", "")
    assert offsets(folder, "ok passed", backward=True) == [2 * one + 4, one + 4, 4]
    assert offsets(folder, "31m") == []


@pytest.mark.parametrize("block_bytes", range(330, 345))
def test_an_escape_sequence_on_two_blocks_stays_unseen(tmp_path: Path, block_bytes: int) -> None:
    data = (b"\x1b[38;5;208mx\x1b[0m" * 200) + b"\n"
    folder = store(tmp_path, (STDOUT, data))
    assert len(offsets(folder, "x", block_bytes)) == 200
    assert offsets(folder, "8m", block_bytes) == []
    assert offsets(folder, "8m", block_bytes, backward=True) == []


def test_a_search_goes_over_what_the_cap_has_dropped(tmp_path: Path) -> None:
    lines = [b"%06d marker\n" % number for number in range(200_000)]
    data = b"".join(lines)
    parts = [(STDOUT, data[at : at + 65_536]) for at in range(0, len(data), 65_536)]
    folder = store(tmp_path, *parts, limit_bytes=MIB)
    kept = offsets(folder, "marker", limit=10**6)
    with OutputReader(folder) as reader:
        gap = reader.gap
        assert gap is not None
    assert len(kept) == pytest.approx(MIB / len(lines[0]), rel=0.3)
    assert not any(gap[0] <= offset < gap[1] for offset in kept)
    assert kept == offsets(folder, "marker", limit=10**6, backward=True)[::-1]
    assert next(walk(folder, Sought("marker", start=gap[0] + 5))).offset >= gap[1]
    assert next(walk(folder, Sought("marker", start=gap[1] - 5, backward=True))).offset < gap[0]
    # The two edges of the gap do not make one text.
    joined = data[gap[0] - 3 : gap[0]] + data[gap[1] : gap[1] + 3]
    assert gap[0] - 3 not in offsets(folder, joined.decode().replace("\n", ""), match_case=True)


def test_the_line_of_a_match_is_shown_without_what_steers_terminals(tmp_path: Path) -> None:
    data = b"first\nsome \x1b[31mred\x00 text\x07 here\r\nlast\n"
    (match,) = walk(store(tmp_path, (STDOUT, data)), Sought("text"))
    assert (match.before, match.text, match.after) == ("some red� ", "text", "� here")
    long = b"a" * 100_000 + b"needle" + b"b" * 100_000
    (match,) = walk(store(tmp_path, (STDOUT, long)), Sought("needle"))
    assert len(match.before) < 200
    assert len(match.after) < 300


def test_bytes_that_are_no_text_are_searched_around(tmp_path: Path) -> None:
    data = b"\xff\xfe\x00" * 100_000 + "grüße".encode() + b"\xe2\x82"
    folder = store(tmp_path, (STDOUT, data))
    assert offsets(folder, "GRÜSSE") == []
    assert offsets(folder, "GRÜße") == [300_000]
    assert offsets(folder, "grÜße", match_case=True) == []


def test_a_search_past_the_end_or_before_the_beginning_finds_nothing(tmp_path: Path) -> None:
    folder = store(tmp_path, (STDOUT, b"abc"))
    assert offsets(folder, "a", start=99) == []
    assert offsets(folder, "a", start=0, backward=True) == []
    assert offsets(folder, "c", start=99, backward=True) == [2]
    assert offsets(store(tmp_path / "empty"), "a") == []


def test_200_mb_are_searched_in_short_calls_and_little_memory(tmp_path: Path) -> None:
    block = b"".join(b"%0199d\n" % number for number in range(5000))
    folder = store(tmp_path, limit_bytes=400 * MIB)
    writer = OutputWriter(folder, 400 * MIB)
    for _ in range(200):
        writer.append(STDOUT, memoryview(block))
    writer.append(STDOUT, memoryview(b"the needle\n"))
    writer.close()
    calls = []
    start: int | None = None
    tracemalloc.start()
    try:
        while True:
            begun = time.perf_counter()
            with OutputReader(folder) as reader:
                found = search(reader, Sought("NEEDLE", start=start), clock.monotonic() + 0.2)
            calls.append(time.perf_counter() - begun)
            start = found.next_offset
            if start is None:
                break
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert [match.offset for match in found.matches] == [200_000_000 + 4]
    assert peak < 8 * MIB
    assert max(calls) < 1.0
    assert sum(calls) < 10.0


def test_no_text_makes_a_search_slow(tmp_path: Path) -> None:
    hostile = [b"a" * 200_000, b"\x1b]" * 100_000, b"\x1b[" * 100_000, b"\x1b]" + b"x" * 200_000]
    for data in hostile:
        begun = time.perf_counter()
        Visible(data)
        list(Needle("a" * 255 + "é", match_case=False).forward(data))
        list(Needle("a" * 255 + "b", match_case=False).backward(data))
        assert time.perf_counter() - begun < 2.0
    assert as_line(b"\x1b]0;title\x07shown") == "shown"
