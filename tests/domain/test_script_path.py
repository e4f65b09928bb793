"""Which names are a script's, and which command runs one.

Runs on: pytest's main thread.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.script_path import (
    check_name,
    command_for,
    interpreter_line,
    interpreter_path,
    is_script_name,
)
from toru.errors import BadRequest, Unavailable

SHELLS = {"sh": "/bin/sh", "bash": "/bin/bash"}


@pytest.mark.parametrize(
    "name",
    ["a.sh", "a b.bash", "über.sh", "x.y.sh", "a'\"$(x).sh", "バックアップ.sh", "a" * 252 + ".sh"],
)
def test_a_plain_file_name_with_a_scripts_suffix_is_taken(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../a.sh",
        "/etc/a.sh",
        "sub/a.sh",
        "..\\a.sh",
        "a\0.sh",
        "a\n.sh",
        "a\r.sh",
        "a\x1b[2J.sh",
        "a\u2028.sh",
        "a\u202ehs.sh",
        "\udcff.sh",
        "-rf.sh",
        "a" * 253 + ".sh",
        "ä" * 127 + ".sh",
        "a" * 5000 + ".sh",
        "a",
        "a.py",
        "a.SH",
        ".sh",
        ".bash",
        "a.sh ",
    ],
)
def test_any_other_name_is_refused_with_one_short_sentence(name: str) -> None:
    with pytest.raises(BadRequest) as refusal:
        check_name(name)
    assert refusal.value.sentence.endswith(".")
    assert len(refusal.value.sentence) < 120
    assert not is_script_name(name)


@given(st.text())
def test_a_name_that_is_taken_never_leads_elsewhere(name: str) -> None:
    if is_script_name(name):
        assert "/" not in name
        assert not name.startswith("-")
        assert name.encode().decode() == name


@pytest.mark.parametrize(
    ("head", "line"),
    [
        (b"", None),
        (b"echo hi\n", None),
        (b"#!/bin/sh\n", "/bin/sh"),
        (b"#! /usr/bin/env python3 -u\necho\r\n", "/usr/bin/env python3 -u"),
        (b"#!/bin/sh", "/bin/sh"),
        (b"#!\n", ""),
    ],
)
def test_the_interpreter_line_is_read(head: bytes, line: str | None) -> None:
    assert interpreter_line(head) == line


@pytest.mark.parametrize("head", [b"#!/bin/sh\r\necho hi\r\n", b"#!/usr/bin/env bash\r\n"])
def test_windows_line_ends_in_the_interpreter_line_are_named(head: bytes) -> None:
    with pytest.raises(BadRequest, match="Windows line ends"):
        interpreter_line(head)


def test_only_an_absolute_interpreter_has_a_path() -> None:
    assert interpreter_path("/bin/sh -e") == "/bin/sh"
    assert interpreter_path("python3") is None
    assert interpreter_path("") is None
    assert interpreter_path(None) is None


@pytest.mark.parametrize(
    ("name", "runs_itself", "argv"),
    [
        ("a.sh", False, ("/bin/sh", "/s/a.sh")),
        ("a.bash", False, ("/bin/bash", "/s/a.bash")),
        ("a.sh", True, ("/s/a.sh",)),
        ("a.bash", True, ("/s/a.bash",)),
    ],
)
def test_the_suffix_chooses_the_shell_unless_the_script_runs_itself(
    name: str, runs_itself: bool, argv: tuple[str, ...]
) -> None:
    assert command_for(name, f"/s/{name}", runs_itself=runs_itself, shells=SHELLS) == argv


def test_a_shell_that_is_not_installed_is_named() -> None:
    with pytest.raises(Unavailable, match="needs bash"):
        command_for("a.bash", "/s/a.bash", runs_itself=False, shells={"sh": "/bin/sh"})
