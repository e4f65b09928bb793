"""Every route, method and role, read from the live router.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import re
import sqlite3
from typing import NamedTuple, get_args

import pytest
from tornado.websocket import WebSocketHandler

from tests.support.hub import Answer, HubProcess
from toru.domain.permissions import Access
from toru.web.app import collect_routes
from toru.web.base import Method, Route
from toru.web.openapi import METHODS, operation_of

ROUTES = collect_routes()
HARMLESS = {"": "no-such-thing", "int": "999999999", "path": "no/such/thing"}
CASES = [
    pytest.param(route, method, id=f"{method} {route.path}")
    for route in ROUTES
    for method in sorted(route.handler.roles)
]
NOBODY = ["no session", "unknown token", "malformed token", "expired", "disabled", "logged out"]


class Cookies(NamedTuple):
    """A cookie for each kind of visitor."""

    by_role: dict[str, str]


@pytest.fixture(scope="module")
def cookies(hub: HubProcess) -> Cookies:
    """Make a visitor of each kind; the expired one is as a hub finds it that was off for a week."""
    disabled = hub.add_client("disabled")
    expired = hub.add_client("expired")
    hub.add_client("client")
    logged_out = hub.add_client("left")
    hub.http("POST", "/api/auth/logout", cookie=logged_out)
    users = {user["username"]: user["id"] for user in hub.get("/api/users")}
    hub.http("PUT", f"/api/users/{users['disabled']}", {"is_active": False})
    hub.stop()
    with sqlite3.connect(hub.data_dir / "steering.db") as database:
        past = "2020-01-01T00:00:00.000Z"
        database.execute("update sessions set expires_at = ? where username = 'expired'", (past,))
    database.close()
    hub.start()
    return Cookies(
        {
            "no session": "",
            "unknown token": "session_id=" + "x" * 43,
            "malformed token": 'session_id="a b; c\\"',
            "expired": expired,
            "disabled": disabled,
            "logged out": logged_out,
        }
    )


def target(route: Route) -> str:
    return re.sub(r"\{\w+(?::(\w+))?\}", lambda found: HARMLESS[found[1] or ""], route.path)


def call(hub: HubProcess, route: Route, method: str, cookie: str) -> Answer:
    body: dict[str, str] | None = {} if method in {"POST", "PUT", "PATCH"} else None
    return hub.http(method, target(route), body, cookie=cookie)


def check_shape(answer: Answer, route: Route, method: str) -> None:
    """A refusal is a sentence and a code; a success is JSON, unless it is declared otherwise."""
    assert answer.status < 500, answer
    if answer.status >= 400:
        assert isinstance(answer.json["error"], str), answer
        assert answer.json["error"].endswith(".")
        assert re.fullmatch(r"[a-z_]+", answer.json["code"])
        return
    described = operation_of(route.handler, method)
    assert described is not None
    if described.answer is not bytes:
        assert answer.json is not None, answer


def test_the_router_serves_the_routes_of_the_contract() -> None:
    paths = {re.sub(r"\{.*?\}", "{}", route.path) for route in ROUTES}
    assert paths >= {
        "/api/auth/login", "/api/auth/logout", "/api/auth/me", "/api/auth/login-history",
        "/api/health", "/api/users", "/api/users/{}", "/api/users/{}/password",
        "/api/me/password", "/api/openapi.json",
    }  # fmt: skip


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_route_declares_a_role_for_each_method_that_it_has(route: Route) -> None:
    declared = route.handler.roles
    assert declared, "It declares no role at all."
    assert set(declared) <= {*METHODS, "HEAD"} <= set(get_args(Method))
    assert set(declared.values()) <= set(get_args(Access))
    unimplemented = {name for name in METHODS if not _implements(route.handler, name)}
    implemented = set(METHODS) - unimplemented
    assert implemented == set(declared) - {"HEAD"}


def _implements(handler: type, method: str) -> bool:
    found = getattr(handler, method.lower())
    return getattr(found, "__name__", "") != "_unimplemented_method"


@pytest.mark.parametrize("visitor", NOBODY)
@pytest.mark.parametrize(("route", "method"), CASES)
def test_without_a_live_session_only_open_routes_answer(
    hub: HubProcess, cookies: Cookies, route: Route, method: str, visitor: str
) -> None:
    answer = call(hub, route, method, cookies.by_role[visitor])
    check_shape(answer, route, method)
    if route.handler.roles[method] == "anon":
        assert answer.status not in (401, 403)
    else:
        assert answer.status == 401
        assert answer.json["code"] == "unauthorized"


@pytest.mark.parametrize(("route", "method"), CASES)
def test_a_client_is_kept_from_what_is_the_admins(
    hub: HubProcess, cookies: Cookies, route: Route, method: str
) -> None:
    del cookies
    answer = call(hub, route, method, live_cookie(hub, "client", "Client-pass-1"))
    check_shape(answer, route, method)
    if route.handler.roles[method] == "admin":
        assert answer.status == 403
        assert answer.json["code"] == "forbidden"
    else:
        assert answer.status not in (401, 403)


@pytest.mark.parametrize(("route", "method"), CASES)
def test_the_admin_may_use_everything(
    hub: HubProcess, cookies: Cookies, route: Route, method: str
) -> None:
    del cookies
    answer = call(hub, route, method, live_cookie(hub, "admin"))
    check_shape(answer, route, method)
    assert answer.status not in (401, 403)


@pytest.mark.parametrize("method", [*METHODS, "TRACE", "BREW"])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_a_method_that_a_route_has_not_is_refused_with_those_it_has(
    hub: HubProcess, route: Route, method: str
) -> None:
    if method in route.handler.roles:
        return
    answer = hub.http(method, target(route), b"{}")
    assert answer.status == 405
    assert answer.json["code"] == "method_not_allowed"
    if method in METHODS:
        assert set(route.handler.roles) <= set(answer.headers["Allow"].split(", "))


@pytest.mark.parametrize("signed_in", [False, True])
@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_head_answers_as_get_does_without_the_body(
    hub: HubProcess, route: Route, signed_in: bool
) -> None:
    if "GET" not in route.handler.roles or issubclass(route.handler, WebSocketHandler):
        return
    cookie = live_cookie(hub, "admin") if signed_in else ""
    get, head = (hub.http(method, target(route), cookie=cookie) for method in ("GET", "HEAD"))
    assert head.status == get.status
    assert head.headers["Content-Type"] == get.headers["Content-Type"]
    assert head.body == b""


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.path)
def test_options_invites_no_other_site(hub: HubProcess, route: Route) -> None:
    answer = hub.http(
        "OPTIONS", target(route), cookie="", headers={"Origin": "https://evil.example"}
    )
    assert answer.status == 200
    assert not [name for name in answer.headers if name.lower().startswith("access-control")]


_LIVE: dict[tuple[int, str], str] = {}


def live_cookie(hub: HubProcess, username: str, password: str | None = None) -> str:
    """Return a cookie that lives; a case before may have logged it out."""
    key = (hub.port, username)
    if key in _LIVE and hub.get("/api/auth/me", cookie=_LIVE[key])["authenticated"]:
        return _LIVE[key]
    own = hub.cookie
    _LIVE[key] = hub.log_in(username, password) if password else hub.log_in(username)
    hub.cookie = own
    return _LIVE[key]
