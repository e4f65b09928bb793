"""What a script's header says, read from its bytes.

Runs on: pytest's main thread.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.script_header import HEADER_BYTES, MAX_PARAMETERS, Parameter, parse_header


def test_a_description_and_parameters_are_read_from_the_comments_at_the_top() -> None:
    header = parse_header(
        b"#!/bin/sh\n"
        b"# Description: Restart a service\n"
        b"#\n"
        b"# Parameter: SERVICE =nginx Name of the unit\n"
        b"# Parameter: LINES=50\n"
        b'# parameter: greeting ="hello you" What to say\n'
        b"# Parameter: EMPTY= Nothing by default\n"
        b"# Parameter: PLAIN\n"
        b"echo hi\n"
    )
    assert header.description == "Restart a service"
    assert header.parameters == (
        Parameter("SERVICE", "nginx", "Name of the unit"),
        Parameter("LINES", "50", ""),
        Parameter("greeting", "hello you", "What to say"),
        Parameter("EMPTY", "", "Nothing by default"),
        Parameter("PLAIN", None, ""),
    )


def test_the_first_comment_with_words_describes_a_script_without_a_description() -> None:
    head = b"#!/bin/bash\n###########\n# shellcheck disable=SC2086\n# Back up the photos\n# More\n"
    assert parse_header(head).description == "Back up the photos"


def test_a_description_wins_over_an_earlier_comment() -> None:
    assert parse_header(b"# Words\n# Description: The point\n").description == "The point"


def test_comments_after_the_first_line_of_code_are_not_the_header() -> None:
    header = parse_header(b"#!/bin/sh\necho hi\n# Description: late\n# Parameter: LATE\n")
    assert header.description == ""
    assert header.parameters == ()


def test_blank_lines_do_not_end_the_header() -> None:
    assert parse_header(b"\n\n# A\n\n# Parameter: X\n").parameters == (Parameter("X"),)


@pytest.mark.parametrize("name", [b"1X", b"a-b", b"A;rm", b"", b"$X", b"X" * 65, "Ä".encode()])
def test_a_parameter_whose_name_is_no_variable_name_is_not_declared(name: bytes) -> None:
    assert parse_header(b"# Parameter: " + name + b"\n").parameters == ()


def test_of_names_that_differ_only_in_case_the_first_counts() -> None:
    header = parse_header(b"# Parameter: Level =1\n# Parameter: LEVEL =2\n")
    assert header.parameters == (Parameter("Level", "1"),)


def test_control_characters_in_texts_and_defaults_become_spaces() -> None:
    header = parse_header(b"# Description: a\x1b[31mred\n# Parameter: X =a\x00b text\x07\n")
    assert header.description == "a [31mred"
    assert header.parameters[0].default is not None
    assert "\0" not in header.parameters[0].default
    assert "\x07" not in header.parameters[0].description


def test_more_parameters_than_the_limit_are_left_out() -> None:
    head = b"".join(b"# Parameter: P%d\n" % number for number in range(MAX_PARAMETERS + 10))
    assert len(parse_header(head).parameters) == MAX_PARAMETERS


def test_windows_line_ends_and_a_byte_order_mark_do_not_hide_the_header() -> None:
    assert parse_header(b"\xef\xbb\xbf# Hello\r\n# Parameter: A\r\n").parameters == (
        Parameter("A"),
    )


@given(st.binary(max_size=2000) | st.text(max_size=500).map(lambda text: f"# {text}".encode()))
def test_no_bytes_make_the_parser_fail(head: bytes) -> None:
    header = parse_header(head[:HEADER_BYTES])
    assert len(header.description) <= 300
    for parameter in header.parameters:
        assert parameter.name.isidentifier()
        assert "\0" not in (parameter.default or "")
