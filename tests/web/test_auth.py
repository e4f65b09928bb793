"""Logging in over HTTP, as clients in the field speak it.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import http.client
import json
import sqlite3
import statistics
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import ADMIN_PASSWORD, Answer, HubProcess
from tests.support.raw_http import exchange, request
from tests.support.websocket import Closed

ADMIN = {"id": None, "username": "admin", "display_name": "Administrator", "role": "admin"}


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[HubProcess]:
    """Return a hub of the test's own, for what leaves lockouts behind."""
    with HubProcess(tmp_path, TRUST_PROXY="127.0.0.1") as running:
        yield running


def log_in(hub: HubProcess, username: str, password: str, address: str = "192.0.2.1") -> Answer:
    return hub.http(
        "POST",
        "/api/auth/login",
        {"username": username, "password": password},
        cookie="",
        headers={"X-Forwarded-For": address},
        timeout_s=90.0,
    )


def test_a_login_answers_as_the_contract_says(hub: HubProcess) -> None:
    answer = log_in(hub, "admin", ADMIN_PASSWORD)
    assert answer.status == 200
    assert answer.json == {"success": True, "user": ADMIN, "error": None}
    name, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert name.startswith("session_id=")
    fixed = {each for each in attributes if not each.lower().startswith("expires=")}
    assert fixed == {"HttpOnly", "SameSite=Strict", "Path=/", "Max-Age=604800"}
    assert answer.headers["Cache-Control"] == "no-store"


def test_a_client_logs_in_with_its_id(hub: HubProcess) -> None:
    cookie = hub.add_client("anna")
    me = hub.get("/api/auth/me", cookie=cookie)
    user = hub.get("/api/users")[0]
    assert me == {
        "authenticated": True,
        "user": {"id": user["id"], "username": "anna", "display_name": "Anna", "role": "client"},
    }


def test_me_and_logout_answer_without_a_session_too(hub: HubProcess) -> None:
    for cookie in ("", "session_id=unknown", "session_id="):
        assert hub.get("/api/auth/me", cookie=cookie) == {"authenticated": False, "user": None}
        answer = hub.http("POST", "/api/auth/logout", cookie=cookie)
        assert (answer.status, answer.json) == (200, {"success": True})


def test_a_logout_ends_the_session_and_takes_the_cookie_back(hub: HubProcess) -> None:
    own = hub.cookie
    cookie = hub.log_in()
    hub.cookie = own
    answer = hub.http("POST", "/api/auth/logout", cookie=cookie)
    assert answer.json == {"success": True}
    assert answer.headers["Set-Cookie"].startswith('session_id="";')
    assert hub.http("GET", "/api/users", cookie=cookie).status == 401
    assert hub.http("GET", "/api/users").status == 200


def test_every_failed_login_looks_the_same(fresh: HubProcess) -> None:
    fresh.add_client("anna")
    fresh.add_client("bert")
    anna = next(user for user in fresh.get("/api/users") if user["username"] == "anna")
    fresh.http("PUT", f"/api/users/{anna['id']}", {"is_active": False})
    answers = [
        log_in(fresh, "nobody", "Client-pass-1"),
        log_in(fresh, "bert", "Wrong-pass-9"),
        log_in(fresh, "anna", "Client-pass-1"),
        log_in(fresh, "admin", "Wrong-pass-9"),
    ]
    assert {answer.status for answer in answers} == {401}
    assert len({answer.body for answer in answers}) == 1
    refused = answers[0].json
    assert (refused["success"], refused["user"]) == (False, None)
    assert refused["error"].endswith(".")
    assert all("Set-Cookie" not in answer.headers for answer in answers)
    dated = [{k: v for k, v in answer.headers.items() if k != "Date"} for answer in answers]
    assert all(each == dated[0] for each in dated)


def test_every_failed_login_takes_the_same_time(fresh: HubProcess) -> None:
    fresh.add_client("anna")
    fresh.add_client("bert")
    anna = next(user for user in fresh.get("/api/users") if user["username"] == "anna")
    fresh.http("PUT", f"/api/users/{anna['id']}", {"is_active": False})
    cases = [
        ("nobody", "Client-pass-1"),
        ("bert", "Wrong-pass-9"),
        ("anna", "Client-pass-1"),
        ("admin", "Wrong-pass-9"),
    ]
    took: dict[str, list[float]] = {username: [] for username, _ in cases}
    for number in range(12):
        for username, password in cases:
            began = time.perf_counter()
            assert log_in(fresh, username, password, f"192.0.2.{number}").status == 401
            took[username].append(time.perf_counter() - began)
    quickest = {username: min(times) for username, times in took.items()}
    assert max(quickest.values()) < 2 * min(quickest.values()), quickest


def test_three_failures_lock_and_the_lock_survives_a_restart(fresh: HubProcess) -> None:
    with ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda n: log_in(fresh, "admin", f"no-{n}"), range(200)))
    assert Counter(answer.status for answer in answers) == {401: 3, 429: 197}
    locked = next(answer for answer in answers if answer.status == 429)
    assert (locked.json["success"], locked.json["user"]) == (False, None)
    assert 50 <= locked.json["locked_until"] <= 60
    assert int(locked.headers["Retry-After"]) == locked.json["locked_until"]
    fresh.kill()
    fresh.start()
    again = log_in(fresh, "admin", ADMIN_PASSWORD)
    assert again.status == 429
    assert 1 <= again.json["locked_until"] <= 60
    assert log_in(fresh, "admin", ADMIN_PASSWORD, "192.0.2.2").status == 200
    assert fresh.http("GET", "/api/users").status == 200


def test_the_history_shows_every_attempt_to_the_admin(fresh: HubProcess) -> None:
    log_in(fresh, "<b>nobody</b>\r\n\x1b[31m", "x", "192.0.2.50")
    newest = fresh.get("/api/auth/login-history")[0]
    assert set(newest) == {
        "id", "username", "ip_address", "success", "failure_reason", "attempted_at",
    }  # fmt: skip
    assert newest["username"] == "<b>nobody</b>\r\n\x1b[31m"
    assert (newest["ip_address"], newest["success"]) == ("192.0.2.50", False)
    assert newest["failure_reason"] == "unknown user"
    assert "\x1b" not in fresh.log
    lines = (fresh.folder / "logs" / "toru.log").read_bytes().splitlines()
    assert all(isinstance(json.loads(line), dict) for line in lines)


def test_the_attempts_of_a_day_are_counted_by_how_they_ended(fresh: HubProcess) -> None:
    before = fresh.get("/api/auth/login-history/summary")
    assert (before["failures"], before["locked"], before["addresses"]) == (0, 0, 0)
    for address in ("192.0.2.61", "192.0.2.62"):
        for _ in range(4):
            log_in(fresh, "admin", "wrong", address)
    after = fresh.get("/api/auth/login-history/summary")
    assert (after["failures"], after["locked"], after["addresses"]) == (6, 2, 2)
    assert after["successes"] == before["successes"] >= 1
    failed = fresh.get("/api/auth/login-history?failed=1")
    assert [attempt["success"] for attempt in failed] == [False] * 8
    assert len(fresh.get("/api/auth/login-history")) == 8 + after["successes"]
    assert fresh.http("GET", "/api/auth/login-history?failed=yes").status == 400


def test_a_megabyte_of_password_is_refused_unhashed(hub: HubProcess) -> None:
    before = hashed(hub)
    answers = [log_in(hub, "admin", "x" * size) for size in (1025, 12_000, 20_000, 1_000_000)]
    assert [answer.status for answer in answers] == [400, 400, 413, 413]
    assert hashed(hub) == before


def hashed(hub: HubProcess) -> int:
    actors = hub.get("/api/actors")
    rows = actors if isinstance(actors, list) else actors["actors"]
    return sum(row["handled"] for row in rows if row["name"].startswith("password_hasher"))


def test_two_hundred_logins_at_once_leave_the_rest_responsive(fresh: HubProcess) -> None:
    stop = threading.Event()
    waits: list[float] = []

    def look() -> None:
        while not stop.wait(0.02):  # the interval of the looks: without it they take a core
            began = time.perf_counter()
            assert fresh.http("GET", "/api/health", cookie="").status == 200
            assert fresh.http("GET", "/api/auth/me").json["authenticated"]
            waits.append(time.perf_counter() - began)

    watcher = threading.Thread(target=look)
    watcher.start()
    with ThreadPoolExecutor(200) as pool:
        attempts = [pool.submit(log_in, fresh, f"user-{n}", "Wrong-pass-9") for n in range(200)]
        statuses = Counter(attempt.result().status for attempt in attempts)
    stop.set()
    watcher.join()
    assert statuses == {401: 200}
    assert len(waits) > 20
    assert statistics.median(waits) < 0.25, sorted(waits)[-5:]
    assert max(waits) < 5.0  # one after the other they would stand still for longer


def test_a_session_that_ends_elsewhere_is_refused_and_its_websocket_closed_within_a_second(
    hub: HubProcess,
) -> None:
    ends: dict[str, Callable[[int], Answer]] = {
        "ends-1": lambda user: hub.http("PUT", f"/api/users/{user}", {"is_active": False}),
        "ends-2": lambda user: hub.http("DELETE", f"/api/users/{user}"),
        "ends-3": lambda user: hub.http(
            "PUT", f"/api/users/{user}/password", {"password": "Another-pass-2"}
        ),
    }
    for name, end in ends.items():
        cookie = hub.add_client(name)
        user = next(each["id"] for each in hub.get("/api/users") if each["username"] == name)
        with hub.websocket(cookie=cookie) as viewer:
            viewer.send({"type": "ping"})
            assert viewer.read()["type"] == "pong"
            assert end(user).json is not None
            began = time.monotonic()
            assert hub.http("GET", "/api/resources", cookie=cookie).status == 401
            with pytest.raises(Closed) as closed:
                while True:
                    viewer.read()
            assert closed.value.code == 4401
            assert time.monotonic() - began < 1.0


def test_ones_own_password(hub: HubProcess) -> None:
    mine = hub.add_client("own")
    own = hub.cookie
    other = hub.log_in("own", "Client-pass-1")
    hub.cookie = own

    def change(body: Any, cookie: str) -> Answer:
        return hub.http("PUT", "/api/me/password", body, cookie=cookie)

    good = {"current_password": "Client-pass-1", "new_password": "Another-pass-2"}
    assert change(good | {"current_password": "Wrong-pass-9"}, mine).status == 400
    assert change(good | {"new_password": "weak"}, mine).status == 400
    assert change(good, own).status == 400
    assert hub.get("/api/auth/me", cookie=other)["authenticated"]
    done = change(good, mine)
    assert (done.status, done.json) == (200, {"success": True})
    assert hub.get("/api/auth/me", cookie=mine)["authenticated"]
    assert not hub.get("/api/auth/me", cookie=other)["authenticated"]
    assert log_in(hub, "own", "Client-pass-1").status == 401
    assert log_in(hub, "own", "Another-pass-2").status == 200


def test_no_token_and_no_password_is_ever_written_down(hub: HubProcess) -> None:
    token = hub.cookie.partition("=")[2]
    exchange(hub.port, request("GET", f"/api/users?x={'q' * 8}", f"Cookie: {hub.cookie}"))
    files = [path for path in hub.folder.rglob("*") if path.is_file()]
    assert files
    for path in files:
        content = path.read_bytes()
        assert token.encode() not in content, path
        assert ADMIN_PASSWORD.encode() not in content, path
    assert b"argon2" not in hub.http("GET", "/api/settings").body
    assert b"argon2" not in hub.http("GET", "/api/users").body


def test_logins_are_durable_when_they_are_answered(fresh: HubProcess) -> None:
    cookies = [fresh.log_in() for _ in range(5)]
    fresh.kill()
    fresh.start()
    assert all(fresh.get("/api/auth/me", cookie=cookie)["authenticated"] for cookie in cookies)
    fresh.http("POST", "/api/auth/logout", cookie=cookies[0])
    fresh.kill()
    fresh.start()
    living = [fresh.get("/api/auth/me", cookie=cookie)["authenticated"] for cookie in cookies]
    assert living == [False, True, True, True, True]


def test_a_locked_database_is_no_reason_to_stand_still(fresh: HubProcess) -> None:
    with sqlite3.connect(fresh.data_dir / "steering.db", isolation_level=None) as other:
        other.execute("begin immediate")
        with ThreadPoolExecutor(1) as pool:
            login = pool.submit(log_in, fresh, "admin", ADMIN_PASSWORD)
            for _ in range(20):
                began = time.perf_counter()
                assert fresh.get("/api/auth/me")["authenticated"]
                assert time.perf_counter() - began < 1.0
            other.execute("rollback")
            assert login.result().status == 200
    other.close()


def test_keep_alive_serves_many_requests_on_one_connection(hub: HubProcess) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=10)
    connection.connect()
    first = connection.sock
    for path in ("/api/health", "/api/nothing", "/", "/api/auth/me", "/%2e%2e/x", "/api/health"):
        connection.request("GET", path, headers={"Cookie": hub.cookie})
        connection.getresponse().read()
        assert connection.sock is first
    connection.close()
