"""What of a request's headers a plugin sees, and what of its answer's headers the browser."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.plugin_headers import (
    Header,
    answer_headers,
    body_allowed,
    header_fault,
    request_headers,
)

ADDED = (
    ("X-Toru-User", "ann"),
    ("X-Toru-Role", "admin"),
    ("X-Forwarded-For", "10.0.0.7"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "hub.example"),
)


def to_plugin(*headers: Header, user: str = "ann") -> tuple[Header, ...]:
    return request_headers(
        headers,
        user=user,
        role="admin",
        client_address="10.0.0.7",
        scheme="https",
        host="hub.example",
    )


def test_ordinary_headers_reach_the_plugin_and_who_it_is_for_is_added() -> None:
    kept = (("Host", "hub.example"), ("Accept", "a"), ("accept", "b"), ("X-Custom", "c"))
    assert to_plugin(*kept) == kept + ADDED


@pytest.mark.parametrize(
    "name",
    [
        *("Cookie", "COOKIE", "Authorization", "Proxy-Authorization", "X-Toru-User", "x-toru-role"),
        *("X-Toru-Anything", "X_Toru_User", "x-toru_role", "X-Forwarded-For", "X_Forwarded_Proto"),
        *("Forwarded", "X-Real-IP", "CF-Connecting-IP", "Connection", "Keep-Alive", "TE"),
        *("Transfer-Encoding", "Upgrade", "Proxy-Connection", "Content-Length", "Expect"),
        *("Accept-Encoding", "Trailer"),
    ],
)
def test_secrets_claims_and_headers_of_one_hop_do_not_reach_the_plugin(name: str) -> None:
    assert to_plugin((name, "evil")) == ADDED


def test_headers_that_connection_names_are_of_one_hop() -> None:
    headers = (("connection", "close, X-One"), ("Connection", "x-two"), ("X-One", "1"))
    assert to_plugin(*headers, ("X-TWO", "2"), ("X-Three", "3")) == (("X-Three", "3"), *ADDED)
    assert answer_headers([*headers, ("X-Three", "3")]) == (("X-Three", "3"),)


@pytest.mark.parametrize(
    ("user", "sent"),
    [
        ("a b<c>", "a b<c>"),
        ("Jürgen", "J%C3%BCrgen"),
        ("a\r\nX-Toru-Role: admin", "a%0D%0AX-Toru-Role: admin"),
        ("100%", "100%25"),
        ("a\x7f", "a%7F"),
    ],
)
def test_a_user_name_cannot_become_another_header(user: str, sent: str) -> None:
    assert dict(to_plugin(user=user))["X-Toru-User"] == sent
    assert header_fault(to_plugin(user=user)) is None


def test_without_a_host_there_is_none_to_forward() -> None:
    found = request_headers([], user="a", role="client", client_address="", scheme="http", host="")
    assert "X-Forwarded-Host" not in dict(found)


@pytest.mark.parametrize(
    "name",
    [
        *("Set-Cookie", "SET-COOKIE", "Set_Cookie", "Set-Cookie2", "Strict-Transport-Security"),
        *("Content-Security-Policy", "Clear-Site-Data", "Content-Length", "Transfer-Encoding"),
        *("WWW-Authenticate", "Proxy-Authenticate", "Access-Control-Allow-Origin", "X-Toru-Role"),
        *("Cross-Origin-Opener-Policy", "Service-Worker-Allowed", "X-Frame-Options", "Server"),
    ],
)
def test_what_would_act_on_the_hub_does_not_reach_the_browser(name: str) -> None:
    assert answer_headers([(name, "x"), ("Content-Type", "text/css")]) == (
        ("Content-Type", "text/css"),
    )


def test_other_headers_of_an_answer_are_kept_with_their_repetitions() -> None:
    headers = (("Content-Type", "a"), ("Link", "<a>"), ("Link", "<b>"), ("Location", "/x"))
    assert answer_headers(headers) == headers


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("", "x"),
        ("A B", "x"),
        ("A:", "x"),
        ("Ä", "x"),
        ("A\r\nB", "x"),
        ("A", "x\r\nSet-Cookie: a"),
        ("A", "x\n"),
        ("A", "\0"),
        ("A", "\x1b"),
        ("A", "€"),
        ("A" * 65_537, ""),
        ("A", "x" * 65_537),
    ],
)
def test_headers_that_no_message_may_have_are_refused(name: str, value: str) -> None:
    assert header_fault([("Fine", "yes"), (name, value)])


def test_too_many_headers_are_refused() -> None:
    assert header_fault([("A", "")] * 201) == "There are too many headers."
    assert header_fault([("A", "\t ~é")] * 200) is None


@pytest.mark.parametrize(
    ("status", "method", "allowed"),
    [
        (200, "GET", True),
        (200, "HEAD", False),
        (204, "GET", False),
        (304, "GET", False),
        (205, "POST", False),
        (100, "GET", False),
        (404, "DELETE", True),
    ],
)
def test_some_answers_have_no_body(status: int, method: str, allowed: bool) -> None:
    assert body_allowed(status, method) is allowed


@given(st.lists(st.tuples(st.text(max_size=20), st.text(max_size=20)), max_size=8))
def test_whatever_is_sent_nobody_else_says_who_the_user_is(headers: list[Header]) -> None:
    found = to_plugin(*headers, ("X-Toru-User", "root"))
    assert [value for name, value in found if name.lower() == "x-toru-user"] == ["ann"]
