"""Users over HTTP.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest

from tests.support.hub import Answer, HubProcess

PASSWORD = "Client-pass-1"


def create(hub: HubProcess, username: str, **fields: Any) -> Answer:
    return hub.http("POST", "/api/users", {"username": username, "password": PASSWORD, **fields})


def names(hub: HubProcess) -> list[str]:
    return [user["username"] for user in hub.get("/api/users")]


def test_a_user_is_made_shown_changed_and_removed(hub: HubProcess) -> None:
    made = create(hub, "anna", display_name="Anna A.")
    assert made.status == 200
    user = made.json
    assert set(user) == {"id", "username", "display_name", "role", "is_active", "created_at"}
    assert (user["username"], user["display_name"], user["role"]) == ("anna", "Anna A.", "client")
    assert user["is_active"] is True
    assert user["created_at"].endswith("Z")
    path = f"/api/users/{user['id']}"
    assert hub.get(path) == user
    assert user in hub.get("/api/users")
    changed = hub.http("PUT", path, {"display_name": "Anne", "is_active": False})
    assert changed.json == {**user, "display_name": "Anne", "is_active": False}
    assert hub.get(path) == changed.json
    assert hub.http("PUT", path, {}).json == changed.json
    gone = hub.http("DELETE", path)
    assert (gone.status, gone.json) == (200, {"success": True})
    assert hub.http("GET", path).status == 404
    assert hub.http("DELETE", path).status == 404


def test_without_a_display_name_the_user_name_is_shown(hub: HubProcess) -> None:
    assert create(hub, "plain").json["display_name"] == "plain"


@pytest.mark.parametrize("name", ["admin", "ADMIN", "taken"])
def test_a_name_that_is_taken_is_a_conflict(hub: HubProcess, name: str) -> None:
    create(hub, "taken")
    before = names(hub)
    answer = create(hub, name)
    assert answer.status == 409
    assert answer.json["error"].endswith(".")
    assert names(hub) == before


def test_two_who_want_the_same_name_at_once_are_one_user(hub: HubProcess) -> None:
    with ThreadPoolExecutor(8) as pool:
        statuses = sorted(each.status for each in pool.map(lambda _: create(hub, "race"), range(8)))
    assert statuses == [200] + [409] * 7
    assert names(hub).count("race") == 1


@pytest.mark.parametrize(
    "body",
    [
        {"username": "x1"},
        {"username": "x1", "password": "weak"},
        {"username": "x1", "password": "x" * 2000},
        {"username": "", "password": PASSWORD},
        {"username": "x" * 65, "password": PASSWORD},
        {"username": "a\nb", "password": PASSWORD},
        {"username": "a\0b", "password": PASSWORD},
        {"username": " x1", "password": PASSWORD},
        {"username": "x1", "password": PASSWORD, "display_name": ""},
        {"username": "x1", "password": PASSWORD, "role": "root"},
        {"username": "x1", "password": PASSWORD, "is_active": True},
        {"username": 1, "password": PASSWORD},
        ["x1", PASSWORD],
    ],
)
def test_bad_users_are_refused_with_a_sentence_and_change_nothing(
    hub: HubProcess, body: Any
) -> None:
    before = names(hub)
    answer = hub.http("POST", "/api/users", body)
    assert answer.status == 400
    assert answer.json["error"].endswith(".")
    assert PASSWORD not in answer.json["error"]
    assert names(hub) == before


def test_a_name_with_markup_stays_as_it_is_and_is_only_ever_json(hub: HubProcess) -> None:
    name = '<img src=x onerror="alert(1)">'
    assert create(hub, name).json["username"] == name
    answer = hub.http("GET", "/api/users")
    assert answer.headers["Content-Type"] == "application/json; charset=utf-8"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert name in names(hub)


@pytest.mark.parametrize("user_id", ["0", "999999999999999999"])
def test_a_user_who_is_not_there_cannot_be_changed(hub: HubProcess, user_id: str) -> None:
    for method, path, body in [
        ("GET", "", None),
        ("PUT", "", {"display_name": "X"}),
        ("DELETE", "", None),
        ("PUT", "/password", {"password": PASSWORD}),
    ]:
        answer = hub.http(method, f"/api/users/{user_id}{path}", body)
        assert (answer.status, answer.json["code"]) == (404, "not_found")


@pytest.mark.parametrize("user_id", ["-1", "1.0", "x", "9" * 19, "1e3", "%31x", "٣"])
def test_an_id_that_is_no_number_is_not_found(hub: HubProcess, user_id: str) -> None:
    assert hub.http("GET", f"/api/users/{quote(user_id, safe='%')}").status == 404


def test_a_second_admin_may_do_what_the_first_may(hub: HubProcess) -> None:
    create(hub, "second", role="admin")
    own = hub.cookie
    cookie = hub.log_in("second", PASSWORD)
    hub.cookie = own
    users = hub.get("/api/users", cookie=cookie)
    second = next(user["id"] for user in users if user["username"] == "second")
    assert hub.http("PUT", f"/api/users/{second}", {"role": "client"}).status == 200
    assert hub.http("GET", "/api/users", cookie=cookie).status == 401


def test_a_reset_password_works_and_the_old_one_does_not(hub: HubProcess) -> None:
    user = create(hub, "reset").json
    path = f"/api/users/{user['id']}/password"
    assert hub.http("PUT", path, {"password": "weak"}).status == 400
    assert hub.http("PUT", path, {"password": "Another-pass-2"}).json == {"success": True}
    login = {"username": "reset", "password": PASSWORD}
    assert hub.http("POST", "/api/auth/login", login, cookie="").status == 401
    login["password"] = "Another-pass-2"
    assert hub.http("POST", "/api/auth/login", login, cookie="").status == 200
