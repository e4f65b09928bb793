"""Lines of logs: always one line of one JSON object, whatever a plugin writes."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from toru.actors.messages.logs import LEVELS, LogLine
from toru.domain.log_lines import (
    CUT,
    LINE_LIMIT_BYTES,
    LineSplitter,
    encode_line,
    fields_of,
    line_from_plugin,
)

NOW = "2026-11-22T14:01:30.123Z"


def read(text: bytes, pid: int | None = 7) -> LogLine:
    return line_from_plugin(text, "clock", pid, NOW)


def shown(text: bytes) -> dict[str, Any]:
    line = encode_line(read(text))
    assert line.endswith(b"\n")
    assert len(line.decode().splitlines()) == 1
    found: dict[str, Any] = json.loads(line)
    return found


def test_any_text_is_the_message_at_level_info() -> None:
    assert shown(b"Listening on \x1b[32m/run/x\x1b[0m\r\tok\0") == {
        "timestamp": NOW,
        "level": "info",
        "plugin": "clock",
        "message": "Listening on \x1b[32m/run/x\x1b[0m\r\tok\0",
        "pid": 7,
    }


def test_a_json_object_keeps_its_fields_in_one_order() -> None:
    line = encode_line(
        read(
            b'{"port":80,"message":"up","level":"WARNING","timestamp":"2026-01-01T02:00:00+02:00"}'
        )
    )
    assert line == (
        b'{"timestamp":"2026-01-01T00:00:00.000Z","level":"warn","plugin":"clock",'
        b'"message":"up","pid":7,"port":80}\n'
    )


@pytest.mark.parametrize(
    ("text", "level", "message", "timestamp"),
    [
        (b'{"level":30,"time":1767225600000,"msg":"pino"}', "info", "pino", "2026-01-01T00"),
        (b'{"level":60,"time":1767225600000,"msg":"pino"}', "error", "pino", "2026-01-01T00"),
        (b'{"severity":"CRITICAL","event":"structlog"}', "error", "structlog", NOW),
        (
            b'{"level":"error","ts":1767225600.5,"msg":"zap"}',
            "error",
            "zap",
            "2026-01-01T00:00:00.5",
        ),
        (b'{"level":"TRACE","fields":{"message":"tracing"}}', "trace", "tracing", NOW),
        (b'{"level":"odd","timestamp":"noon"}', "info", "", NOW),
        (b'{"level":[1],"time":true,"message":null}', "info", "", NOW),
        (b'{"message":{"a":1},"time":1e300}', "info", '{"a":1}', NOW),
    ],
)
def test_the_names_of_other_logging_libraries_are_understood(
    text: bytes, level: str, message: str, timestamp: str
) -> None:
    line = read(text)
    assert (line.level, line.message) == (level, message)
    assert line.timestamp.startswith(timestamp)


def test_fields_that_would_replace_what_is_known_stay_under_another_name() -> None:
    found = shown(b'{"plugin":"other","pid":1,"message":"m","error":{"code":5},"fields":{"x":1}}')
    assert found["plugin"] == "clock"
    assert found["pid"] == 7
    assert found["error"] == '{"code":5}'
    assert (found["plugin_"], found["pid_"], found["fields"]) == ("other", 1, {"x": 1})
    assert read(b'{"pid":1}', None).pid == 1


@pytest.mark.parametrize(
    "text",
    [b"[1]", b'{"a":1', b'{"a":NaN}', b'{"a":"\xff"}', b'{"a":' * 100_000, b'{"a":1e999}', b"{}x"],
)
def test_what_is_no_json_object_is_text(text: bytes) -> None:
    assert read(text).message == text.decode("utf-8", "replace")
    assert read(text).fields == {}


odd_texts = st.text(st.characters(codec=None)).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)


@given(st.binary(max_size=200) | odd_texts)
@example(b'{"message":"\\ud800 \\u2028 \\u009b"}')
def test_any_bytes_become_one_line_of_json(text: bytes) -> None:
    found = shown(text)
    assert list(found)[:4] == ["timestamp", "level", "plugin", "message"]
    assert found["level"] in LEVELS
    assert (found["plugin"], found["pid"]) == ("clock", 7)


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)
names = st.sampled_from(["message", "msg", "level", "time", "error", "pid", "fields", "plugin"])


@given(st.dictionaries(names | st.text(max_size=5), json_values, max_size=6))
def test_a_line_that_is_read_back_is_the_same_line(fields: dict[str, Any]) -> None:
    line = read(json.dumps(fields).encode())
    again = line_from_plugin(encode_line(line), "clock", 7, "another time")
    assert fields_of(again) == fields_of(line)


@pytest.mark.parametrize("text", ["x", "\x1b", "é", '"', "\udc80"])
def test_a_line_that_is_too_long_is_cut_with_a_mark(text: str) -> None:
    long = text * 1_000_000
    line = encode_line(LogLine(NOW, "error", "clock", long, long, 7, {"more": long[:70_000]}))
    assert 0.8 * LINE_LIMIT_BYTES < len(line) <= LINE_LIMIT_BYTES
    found = json.loads(line)
    assert found["message"].endswith(text + CUT)
    assert found["error"].endswith(text + CUT)
    assert (found["level"], found["pid"]) == ("error", 7)


def test_fields_that_are_too_long_go_before_the_message_does() -> None:
    line = LogLine(NOW, "info", "clock", "hello", fields={"more": "x" * LINE_LIMIT_BYTES})
    assert json.loads(encode_line(line))["message"] == "hello" + CUT


def test_fields_that_json_has_no_form_for_do_not_stop_the_line() -> None:
    nested: dict[str, Any] = {}
    for _ in range(100_000):
        nested = {"a": nested}
    try:
        line = LogLine(NOW, "info", "clock", "hello", fields=nested)
        assert json.loads(encode_line(line))["message"] == "hello" + CUT
    finally:
        while nested:  # taken apart here, because the interpreter would do it by recursion
            nested = nested.pop("a")


def test_a_number_that_json_does_not_know_makes_no_line_that_is_no_json() -> None:
    line = encode_line(LogLine(NOW, "info", "clock", "hello", fields={"x": float("nan")}))
    assert json.loads(line, parse_constant=pytest.fail)["message"] == "hello" + CUT


def split(data: bytes, cuts: list[int], limit: int = 100) -> list[bytes]:
    splitter = LineSplitter(limit)
    edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    lines = []
    for start, end in pairwise(edges):
        lines += splitter.feed(data[start:end])
    return lines + splitter.end()


@given(st.lists(st.binary(min_size=1, max_size=30)), st.lists(st.integers(0, 500)))
def test_the_lines_are_the_same_wherever_the_stream_is_cut(
    parts: list[bytes], cuts: list[int]
) -> None:
    data = b"\n".join(parts)
    whole = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    assert split(data, cuts) == [line for line in whole if line]


@given(st.integers(1, 400), st.lists(st.integers(0, 500)))
def test_a_long_line_is_cut_at_the_limit_wherever_the_stream_is(
    length: int, cuts: list[int]
) -> None:
    data = b"x" * length + b"\nnext"
    mark = CUT.encode()
    first = b"x" * length if length <= 100 else b"x" * 100 + mark
    assert split(data, cuts) == [first, b"next"]


def test_a_flood_without_newlines_is_held_to_its_limit_and_told_at_once() -> None:
    splitter = LineSplitter()
    told = [line for _ in range(100) for line in splitter.feed(b"x" * 65_536)]
    assert [len(line) for line in told] == [LINE_LIMIT_BYTES + len(CUT.encode())]
    assert splitter.left_out_bytes == 99 * 65_536
    assert splitter.feed(b"end\nnext\n") == [b"next"]


def test_after_a_gap_the_next_whole_line_is_the_first() -> None:
    splitter = LineSplitter()
    splitter.feed(b"one\nhalf a li")
    splitter.resync()
    assert splitter.feed(b"f another\nwhole\n") == [b"whole"]
