"""The rules for names and passwords.

Runs on: the test's thread.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.passwords import (
    check_display_name,
    check_password,
    check_username,
    same_name,
)
from toru.errors import BadRequest


@pytest.mark.parametrize("password", ["Abcdef1!", "Ab1 efgh", "Äbcdefg1€", "Aa1!" * 256])
def test_a_password_with_all_four_kinds_is_taken(password: str) -> None:
    check_password(password)


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("", "8 to 1,024"),
        ("Abcde1!", "8 to 1,024"),
        ("Aa1!" * 256 + "x", "8 to 1,024"),
        ("abcdefg1!", "an upper-case letter"),
        ("ABCDEFG1!", "a lower-case letter"),
        ("Abcdefgh!", "a digit"),
        ("Abcdefgh1", "a special character"),
        ("aaaaaaaa", "an upper-case letter and a digit and a special character"),
    ],
)
def test_a_plain_password_is_refused_with_what_it_lacks(password: str, sentence: str) -> None:
    with pytest.raises(BadRequest, match=sentence):
        check_password(password)


@given(st.text(max_size=40))
def test_a_refusal_never_shows_the_password(password: str) -> None:
    marked = f"s3cret-{password}"
    try:
        check_password(marked)
    except BadRequest as refusal:
        assert marked not in refusal.sentence


@pytest.mark.parametrize("name", ["a", "anna", "a b", "<script>", "Ünal", "名前", "x" * 64])
def test_a_name_that_can_be_read_is_taken(name: str) -> None:
    check_username(name)
    check_display_name(name)


@pytest.mark.parametrize(
    "name",
    ["", " ", " a", "a ", "x" * 101, "a\nb", "a\0b", "\x1b[31m", "a\u202eb", "a\u200bb", "\ud800"],
)
def test_a_name_that_deceives_the_eye_is_refused(name: str) -> None:
    with pytest.raises(BadRequest):
        check_username(name)
    with pytest.raises(BadRequest):
        check_display_name(name)


def test_names_that_differ_in_case_only_are_the_same() -> None:
    assert same_name("Admin", "aDMIN")
    assert not same_name("admin", "admin2")
