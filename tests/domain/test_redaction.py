"""Secrets are taken out of texts: pure."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.actors.messages.logs import LogLine
from toru.domain.redaction import MASK, Redactor

KEY = "-----BEGIN KEY-----\nMIIEvQIBADANBg\nkqhkiG9w0BAQEF\n-----END KEY-----\n"


def test_secrets_are_found_as_they_are_and_as_they_are_written_elsewhere() -> None:
    secret = 'p@ss "wörd"/\\'
    redactor = Redactor([secret])
    forms = (secret, json.dumps(secret), quote(secret), quote(secret, safe=""), repr(secret))
    for form in forms[:2] + forms[3:]:
        assert secret.strip("\\") not in redactor.text(f"<{form}>")
        assert MASK in redactor.text(f"<{form}>")
    assert redactor.text("nothing here") == "nothing here"


def test_short_secrets_are_left_alone_and_longer_ones_win() -> None:
    assert Redactor(["abc"]).text("abc") == "abc"
    assert Redactor([]).text("abc") == "abc"
    assert Redactor(["abcd", "abcdefgh"]).text("abcdefgh abcd") == f"{MASK} {MASK}"


def test_a_secret_of_several_lines_is_found_line_by_line() -> None:
    redactor = Redactor([KEY])
    assert redactor.text("MIIEvQIBADANBg") == MASK
    assert redactor.text("-----BEGIN KEY-----") == "-----BEGIN KEY-----"


def test_a_text_that_begins_within_a_secret_keeps_nothing_of_it() -> None:
    redactor = Redactor(["0123456789"])
    assert redactor.end_of_text("456789 and 0123456789") == f"{MASK} and {MASK}"
    assert redactor.end_of_text("789 is too little") == "789 is too little"
    long = Redactor(["".join(chr(0x100 + number % 5000) for number in range(200_000))])
    begun = time.process_time()
    assert long.end_of_text("".join(chr(0x100 + number) for number in range(9, 4105))) == MASK
    assert long.end_of_text("q" * 4096) == "q" * 4096
    assert time.process_time() - begun < 2


def test_lines_of_logs_lose_them_everywhere() -> None:
    line = LogLine("t", "info", "a", "x 12345", "12345", 1, {"12345": [{"a": "12345"}, 1, None]})
    assert Redactor(["12345"]).line(line) == LogLine(
        "t", "info", "a", f"x {MASK}", MASK, 1, {MASK: [{"a": MASK}, 1, None]}
    )
    deep: object = "12345"
    for _ in range(500):
        deep = [deep]
    assert "12345" not in json.dumps(Redactor(["12345"]).value(deep))


@given(st.text(min_size=4), st.text(), st.text())
def test_no_text_keeps_a_secret(secret: str, before: str, after: str) -> None:
    found = Redactor([secret]).text(before + secret + after)
    if secret not in MASK and not set(MASK) & set(secret):
        assert secret not in found.replace(MASK, "\0\0") or "\0" in secret


@pytest.mark.parametrize("count", [1, 100])
def test_many_secrets_cost_little(count: int) -> None:
    secrets = [f"secret-{number:04}" for number in range(count)]
    begun = time.process_time()
    redactor = Redactor([*secrets, "\n".join(f"line {number:08}" for number in range(10_000))])
    assert time.process_time() - begun < 1
    text = "a plain line of a log that has no secret in it at all " * 20
    begun = time.process_time()
    for _ in range(200):
        redactor.text(text)
    assert time.process_time() - begun < 5
