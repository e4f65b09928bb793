"""The reasons that people read beside a broken plugin."""

from __future__ import annotations

import errno
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.plugin_metadata import BrokenPlugin
from toru.domain.plugin_probe import (
    FileFacts,
    ProbeOutcome,
    check_file,
    exit_words,
    last_words,
    read_probe,
    refused_spawn,
    unreadable,
)

GOOD = b'{"id":"a","name":"A","version":"1","route":"/a"}'


def elf(machine: int, *, big: bool = False) -> bytes:
    order = ">" if big else "<"
    ident = b"\x7fELF" + bytes([2, 2 if big else 1, 1]) + bytes(9)
    return ident + struct.pack(order + "HH", 2, machine) + bytes(100)


def refused(code: str, head: bytes) -> str:
    return refused_spawn(code, "The runner said so.", head, "x86_64").sentence


def failed(outcome: ProbeOutcome, head: bytes = b"") -> str:
    with pytest.raises(BrokenPlugin) as caught:
        read_probe(outcome, head)
    return caught.value.sentence


def test_a_probe_that_exits_with_zero_gives_its_metadata() -> None:
    assert read_probe(ProbeOutcome(0, GOOD, b"a warning")).id == "a"


def test_a_probe_that_fails_shows_the_last_lines_of_stderr() -> None:
    stderr = b"".join(b"line %d\n" % number for number in range(9)) + b"\n\x1b[31mno \xff module\n"
    found = failed(ProbeOutcome(3, GOOD, stderr))
    assert found.startswith("Run with --metadata, it exited with code 3. The end of its stderr: ")
    assert "line 5 | line 6 | line 7 | line 8 | [31mno \ufffd module" in found
    assert "line 4" not in found
    assert found.isprintable()


@pytest.mark.parametrize(
    ("outcome", "words"),
    [
        (ProbeOutcome(None, timed_out=True), "within 5 seconds"),
        (ProbeOutcome(-9, GOOD, timed_out=True), "within 5 seconds"),
        (ProbeOutcome(None, GOOD, b"waiting for x", timed_out=True), "stderr: waiting for x"),
        (ProbeOutcome(None, overflowed=True), "more than 64 KiB"),
        (ProbeOutcome(0, b"x" * 65_537), "more than 64 KiB"),
        (ProbeOutcome(-11, GOOD), "was ended by SIGSEGV"),
        (ProbeOutcome(0, b"nonsense"), "no JSON object"),
    ],
)
def test_a_probe_that_went_wrong_is_explained(outcome: ProbeOutcome, words: str) -> None:
    assert words in failed(outcome)


def test_an_interpreter_that_env_cannot_find_is_named() -> None:
    outcome = ProbeOutcome(127, b"", b"env: 'deno': No such file or directory\n")
    assert '"deno" is not installed' in failed(outcome, b"#!/usr/bin/env -S deno run\n...")
    assert "CRLF" in failed(outcome, b"#!/usr/bin/env deno\r\n...")
    assert "exited with code 127" in failed(outcome, b"#!/bin/sh\nfoo")
    assert "exited with code 127" in failed(outcome, elf(62))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (elf(183), "a program for aarch64, and this machine is x86_64"),
        (elf(22, big=True), "a program for s390x"),
        (elf(9999), "machine number 9999"),
        (elf(62), "damaged"),
        (b"\x7fELF\x02", "only the beginning"),
        (b"MZ\x90\0", "Windows"),
        (b"\xcf\xfa\xed\xfe\0", "macOS"),
        (b"PK\x03\x04abc", "zip archive"),
        (b"print('hello')\n", 'no "#!" line'),
        (b"\xef\xbb\xbf#!/bin/sh\n", "nothing before it"),
        (b"\0\1\2\3", "no format"),
        (b"", "no format"),
        (b"#!/opt/thing\n", 'interpreter that its "#!" line names'),
        (b"#!/bin/sh\r\n", "CRLF"),
    ],
)
def test_a_format_that_cannot_be_executed_is_explained(head: bytes, words: str) -> None:
    assert words in refused("exec_format", head)


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (b"#!/opt/ruby/bin/ruby -w\nputs 1", '"/opt/ruby/bin/ruby" is missing'),
        (b"#! /opt/x\n", '"/opt/x" is missing'),
        (b"#!/bin/sh\r\necho", "CRLF"),
        (b"#!\n", "names no interpreter"),
        (elf(62), "program loader"),
        (b"?", "The runner said so."),
    ],
)
def test_a_missing_interpreter_is_named(head: bytes, words: str) -> None:
    assert words in refused("missing_interpreter", head)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("not_executable", "chmod +x"),
        ("busy", "being written"),
        ("no_such_program", "went away"),
        ("too_many_processes", "The runner said so."),
    ],
)
def test_other_refusals_of_a_spawn_are_explained(code: str, words: str) -> None:
    assert words in refused(code, b"")


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (FileFacts("file", True, 10, escapes=True), "out of the plugins folder"),
        (FileFacts("missing", False, 0), "leads nowhere"),
        (FileFacts("folder", True, 10), "a folder"),
        (FileFacts("other", True, 10), "no regular file"),
        (FileFacts("file", True, 0), "empty"),
        (FileFacts("file", False, 10), "chmod +x"),
    ],
)
def test_a_file_that_need_not_be_run_is_refused(facts: FileFacts, words: str) -> None:
    with pytest.raises(BrokenPlugin, match=words.replace("+", r"\+")):
        check_file(facts)


def test_an_executable_file_may_be_run() -> None:
    check_file(FileFacts("file", True, 10))


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.EACCES, "may not read"),
        (errno.ELOOP, "back to itself"),
        (errno.ENOENT, "went away"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_a_file_that_cannot_be_looked_at_is_explained(number: int, words: str) -> None:
    assert words in unreadable(number).sentence


def test_endings_are_put_in_words() -> None:
    assert exit_words(None) == "ended, and nobody knows how"
    assert exit_words(0) == "exited with code 0"
    assert exit_words(-9) == "was ended by SIGKILL"
    assert exit_words(-99) == "was ended by signal 99"


@given(head=st.binary(max_size=80), stderr=st.binary(max_size=300), code=st.integers(-70, 255))
def test_every_reason_is_one_printable_line(head: bytes, stderr: bytes, code: int) -> None:
    for word in ("exec_format", "missing_interpreter"):
        assert refused(word, head).isprintable()
    assert last_words(stderr).isprintable()
    assert len(last_words(stderr)) < 700
    if code:
        assert failed(ProbeOutcome(code, b"", stderr), head).isprintable()
