"""Pages of logs, read from the end: the newest first, that level and above, over rotated files.

Runs on: the test's main thread; real files.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from toru.actors.messages.logs import LEVELS, Level, LogLine
from toru.domain.log_lines import encode_line
from toru.errors import BadRequest
from toru.json_lines import JsonLinesFile, files_of
from toru.storage import log_files
from toru.storage.log_files import page, plugin_log

NOW = "2026-11-22T14:01:30.123Z"


def line(number: int, level: Level = "info", pad: str = "") -> bytes:
    return encode_line(LogLine(NOW, level, "clock", f"line {number}{pad}", pid=7))


def messages(lines: list[dict[str, Any]]) -> list[str]:
    return [found["message"] for found in lines]


def test_pages_are_the_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "clock.log"
    path.write_bytes(b"".join(line(number) for number in range(25)))
    assert messages(page([path], 0, 10)) == [f"line {number}" for number in range(24, 14, -1)]
    assert messages(page([path], 2, 10)) == [f"line {number}" for number in range(4, -1, -1)]
    assert page([path], 3, 10) == []
    (newest,) = page([path], 0, 1)
    assert newest == {
        "timestamp": NOW,
        "level": "info",
        "plugin": "clock",
        "message": "line 24",
        "pid": 7,
    }


def test_a_log_that_is_not_there_or_empty_has_no_lines(tmp_path: Path) -> None:
    assert page(files_of(tmp_path / "clock.log"), 0, 10) == []
    (tmp_path / "clock.log").touch()
    assert page(files_of(tmp_path / "clock.log"), 0, 10) == []


def test_a_page_goes_over_rotated_files(tmp_path: Path) -> None:
    path = tmp_path / "clock.log"
    file = JsonLinesFile(path, lambda _: b"", rotate_bytes=1000)
    for number in range(40):
        file.write(line(number))
    file.close()
    assert files_of(path)[3].exists()
    found = messages(page(files_of(path), 0, 100))
    assert found == [f"line {number}" for number in range(39, 39 - len(found), -1)]
    assert len(found) == 40
    assert messages(page(files_of(path), 3, 7)) == found[21:28]


@pytest.mark.parametrize("level", LEVELS)
def test_only_that_level_and_above(tmp_path: Path, level: Level) -> None:
    path = tmp_path / "clock.log"
    path.write_bytes(b"".join(line(n, LEVELS[n % 5]) for n in range(50)))
    found = page([path], 0, 100, level)
    wanted = [n for n in range(49, -1, -1) if n % 5 >= LEVELS.index(level)]
    assert messages(found) == [f"line {n}" for n in wanted]
    assert {shown["level"] for shown in found} == set(LEVELS[LEVELS.index(level) :])


def test_what_toru_did_not_write_is_shown_too(tmp_path: Path) -> None:
    path = tmp_path / "clock.log"
    path.write_bytes(
        b"plain \xff text\n"
        b'{"level": "ERROR", "msg": "spaced", "more": 1}\n'
        b'{"timestamp":"2026-01-01T00:00:00Z","level":"WARN","message":"short","plugin":5}\n'
        b"\n"
        b'{"timestamp":"2026-11-22T14:01:30.123Z","level":"error","plugin":"clock","mess\n'
        + line(1)
    )
    os.utime(path, (1767225600, 1767225600))
    found = page([path], 0, 10, "trace", "clock")
    assert messages(found) == [
        "line 1",
        '{"timestamp":"2026-11-22T14:01:30.123Z","level":"error","plugin":"clock","mess',
        "short",
        "spaced",
        "plain \ufffd text",
    ]
    assert [shown["level"] for shown in found] == ["info", "info", "warn", "error", "info"]
    assert {shown["plugin"] for shown in found} == {"clock"}
    assert found[3]["more"] == 1
    assert found[4]["timestamp"] == "2026-01-01T00:00:00.000Z"
    assert messages(page([path], 0, 10, "warn"))[-2:] == ["short", "spaced"]


def test_what_is_still_being_written_is_no_line_yet(tmp_path: Path) -> None:
    path = tmp_path / "clock.log"
    path.write_bytes(line(0) + line(1)[:-5])
    older = tmp_path / "clock.log.1"
    older.write_bytes(line(2)[:-1])
    assert messages(page([path, older], 0, 10)) == ["line 0", "line 2"]
    path.write_bytes(b"x" * 1_000_000)
    assert messages(page([path], 0, 10)) == []


def test_a_file_that_is_renamed_while_they_are_opened_is_read_once(tmp_path: Path) -> None:
    path = tmp_path / "clock.log"
    path.write_bytes(line(0))
    os.link(path, tmp_path / "clock.log.1")
    assert len(page(files_of(path), 0, 10)) == 1


def test_a_foreign_line_of_many_megabytes_takes_no_more_memory_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "clock.log"
    path.write_bytes(line(0) + b"begin" + b"x" * 5_000_000 + b"\n" + line(1))
    newest, large, oldest = page([path], 0, 10)
    assert (newest["message"], oldest["message"]) == ("line 1", "line 0")
    assert large["message"].startswith("beginxxx")
    assert len(large["message"]) < 2 * log_files.BLOCK_BYTES


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(st.sampled_from(LEVELS), st.integers(0, 300)), max_size=60),
    st.integers(1, 700),
    st.integers(1, 20),
    st.sampled_from(LEVELS),
    st.integers(1, 3),
)
def test_pages_put_together_are_the_log_whatever_the_size_of_blocks(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[tuple[Level, int]],
    block: int,
    size: int,
    level: Level,
    parts: int,
) -> None:
    folder = tmp_path_factory.mktemp("pages")
    paths = files_of(folder / "clock.log", parts)
    encoded = [line(n, level_n, "é" * pad) for n, (level_n, pad) in enumerate(lines)]
    share = len(encoded) // parts + 1
    for number, path in enumerate(reversed(paths[:parts])):
        path.write_bytes(b"".join(encoded[number * share : (number + 1) * share]))
    usual, log_files.BLOCK_BYTES = log_files.BLOCK_BYTES, block
    try:
        found: list[dict[str, Any]] = []
        number = 0
        while more := page(paths, number, size, level):
            found += more
            number += 1
    finally:
        log_files.BLOCK_BYTES = usual
    wanted = [json.loads(text) for text in reversed(encoded)]
    lowest = LEVELS.index(level)
    assert found == [shown for shown in wanted if LEVELS.index(shown["level"]) >= lowest]


def test_the_newest_page_of_a_large_log_costs_what_that_of_a_small_one_does(tmp_path: Path) -> None:
    """A gigabyte of holes stands before the lines: nothing of it may be read."""
    small, large = tmp_path / "small.log", tmp_path / "large.log"
    lines = b"".join(line(number) for number in range(2000))
    small.write_bytes(lines)
    with large.open("wb") as file:
        file.seek(1_000_000_000)
        file.write(b"\n" + lines)

    def cost_s(path: Path) -> float:
        began = time.perf_counter()
        assert len(page([path], 0, 100, "info")) == 100
        return time.perf_counter() - began

    best = min(cost_s(large) for _ in range(5))
    assert best < max(0.05, 5 * min(cost_s(small) for _ in range(5)))


def test_a_rare_level_is_found_at_the_other_end_of_the_log(tmp_path: Path) -> None:
    path = tmp_path / "clock.log"
    usual = b"".join(line(number) for number in range(1000))
    path.write_bytes(line(0, "error") + usual * 100 + line(1, "warn"))
    found = page([path], 0, 10, "warn")
    assert [shown["level"] for shown in found] == ["warn", "error"]


def sought(path: Path, text: str) -> list[str]:
    return messages(page([path], 0, 10, "info", "clock", text))


def test_lines_are_found_by_what_they_say(tmp_path: Path) -> None:
    path = tmp_path / "clock.log"
    said = [
        LogLine(NOW, "info", "clock", "Gate opened"),
        LogLine(NOW, "debug", "clock", "gate: checked"),
        LogLine(NOW, "warn", "clock", 'The pump\tis "dry"', error="no Wasserstand gemäß Gate"),
        LogLine(NOW, "info", "clock", "pressed", pid=77, fields={"count": 12, "who": "Ärmel"}),
    ]
    path.write_bytes(b"".join(map(encode_line, said)))
    assert sought(path, "gate") == ['The pump\tis "dry"', "Gate opened"]
    assert (
        sought(path, "GEMÄß") == sought(path, '"dry') == sought(path, "\tis") == [said[2].message]
    )
    assert sought(path, "COUNT=12") == sought(path, "ärmel") == ["pressed"]
    # What every line has is no find: the id of the plugin, the names of the fields, the process.
    assert not any(sought(path, text) for text in ("clock", "message", "77", "2026", "warn"))
    assert len(sought(path, "")) == 3


def test_a_rare_word_is_found_at_the_other_end_of_a_large_log_in_pages(tmp_path: Path) -> None:
    path = tmp_path / "clock.log"
    common = b"".join(line(number) for number in range(200_000))
    path.write_bytes(line(-1, pad=" rare") + line(-2, pad=" rare") + common)
    began = time.perf_counter()
    assert messages(page([path], 0, 1, sought="RARE")) == ["line -2 rare"]
    assert messages(page([path], 1, 1, sought="RARE")) == ["line -1 rare"]
    assert time.perf_counter() - began < 5


@pytest.mark.parametrize("plugin", ["", "../x", "a/b", "a.b", "a\0", "ü", "a b", "x" * 201, "a\n"])
def test_a_name_that_is_no_id_has_no_log(tmp_path: Path, plugin: str) -> None:
    with pytest.raises(BadRequest):
        plugin_log(tmp_path, plugin)
