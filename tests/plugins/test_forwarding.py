"""Requests forwarded to plugins: both routes, headers, bodies, limits, many at once.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import json
import socket
import statistics
import struct
import threading
import time
from pathlib import Path

import pytest

from tests.support import raw_http
from tests.support.hub import wait_until
from tests.support.plugin_files import Plugins, at_once, say

BOTH = ["bad-echo", "bad-echo-v2"]


@pytest.fixture(scope="module")
def running(plugins: Plugins) -> Plugins:
    """Plugins of both protocols that answer with what they saw, and some that are slow."""
    plugins.put(*BOTH, "bad-headers", "bad-headers-v2", "bad-slow-30", "bad-slow-30-v2")
    plugins.put("bad-sequential-0.2", "bad-patient-30-v2", "quick-v1", "quick-v2")
    plugins.ready(*BOTH, "bad-headers", "bad-headers-v2", "bad-slow-30", "bad-slow-30-v2")
    plugins.ready("bad-sequential-0-2", "bad-patient-30-v2", "quick-v1", "quick-v2")
    return plugins


def seen_path(seen: dict[str, str | None]) -> str:
    """Return the path with its query, which version 2 has apart."""
    return f"{seen['path']}?{seen['query']}" if seen["query"] else f"{seen['path']}"


@pytest.mark.parametrize("plugin_id", BOTH)
@pytest.mark.parametrize("form", ["/api/plugins/{}", "/api/plugins/route/{}"])
def test_path_and_query_reach_the_plugin_as_they_were_sent(
    running: Plugins, plugin_id: str, form: str
) -> None:
    for rest in ["/a/b", "/a%20b%2Fc?x=1&x=2&y=%C3%A9+z", "/ok/?a?b", "/", "/a;b=c,d@e:f", "/kvx"]:
        answer = running.hub.http("GET", form.format(plugin_id) + rest)
        assert answer.status == 200, answer
        assert seen_path(answer.json) == rest
    assert running.hub.http("GET", f"/api/plugins/route/{plugin_id}").json["path"] == "/"


@pytest.mark.parametrize("plugin_id", BOTH)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_is_forwarded_with_its_body(
    running: Plugins, plugin_id: str, method: str
) -> None:
    body = None if method == "GET" else "Grüße\x01\n".encode()
    answer = running.ask(plugin_id, "/x", method, body=body)
    assert answer.status == 200
    assert answer.json["method"] == method
    assert answer.json["body"] == (None if body is None else body.decode())


@pytest.mark.parametrize("plugin_id", BOTH)
def test_head_is_answered_with_the_length_and_without_the_body(
    running: Plugins, plugin_id: str
) -> None:
    request = raw_http.request(
        "HEAD", f"/api/plugins/{plugin_id}/x", f"Cookie: {running.hub.cookie}"
    )
    answer = raw_http.exchange(running.hub.port, request)
    assert answer.status == 200
    assert answer.body == b""
    assert int(answer.headers["content-length"]) > 100


@pytest.mark.parametrize("plugin_id", BOTH)
def test_the_plugin_gets_no_secret_and_nobody_can_pose_as_another(
    running: Plugins, plugin_id: str
) -> None:
    sent = {
        "Authorization": "Bearer secret",
        "X-Toru-User": "root",
        "X-Toru-Role": "admin",
        "x_toru_user": "root",
        "X-Toru-Whatever": "1",
        "Connection": "keep-alive, X-Drop",
        "X-Drop": "1",
        "TE": "trailers",
        "Proxy-Authorization": "secret",
        "X-Forwarded-For": "1.2.3.4",
        "X-Kept": "yes",
        "Accept": "text/plain",
    }
    cookie = running.hub.add_client(f"poser-{plugin_id}")
    answer = running.ask(plugin_id, "/x", headers=sent, cookie=cookie)
    headers = answer.json["headers"]
    pairs = headers.items() if isinstance(headers, dict) else [tuple(pair) for pair in headers]
    seen = {name.lower(): value for name, value in pairs}
    assert seen["x-toru-user"] == f"poser-{plugin_id}"
    assert seen["x-toru-role"] == "client"
    assert (seen["x-kept"], seen["accept"]) == ("yes", "text/plain")
    assert seen["x-forwarded-for"] == "127.0.0.1"
    gone = {"cookie", "authorization", "x_toru_user", "x-toru-whatever", "connection", "x-drop"}
    assert not seen.keys() & {*gone, "te", "proxy-authorization", "content-length", "host2"}
    assert "secret" not in json.dumps(answer.json)
    if answer.json["user"] is not None:
        assert (answer.json["user"], answer.json["role"]) == (f"poser-{plugin_id}", "client")


@pytest.mark.parametrize("plugin_id", ["bad-headers", "bad-headers-v2"])
def test_the_plugin_cannot_set_cookies_or_break_the_connection(
    running: Plugins, plugin_id: str
) -> None:
    answer = running.ask(plugin_id, "/x")
    assert (answer.status, answer.json) == (200, {"kept": True})
    lowered = {name.lower(): value for name, value in answer.headers.items()}
    assert lowered["x-kept"] == "yes"
    assert lowered["content-length"] == str(len(answer.body))
    for name in ("set-cookie", "x-hop", "keep-alive", "transfer-encoding", "x-toru-user"):
        assert name not in lowered
    assert lowered["x-content-type-options"] == "nosniff"


def test_a_body_that_is_not_text_is_415(running: Plugins) -> None:
    for plugin_id in BOTH:
        answer = running.ask(plugin_id, "/x", "POST", body=b"\xff\xfe\x00")
        assert answer.status == 415
        assert answer.json["error"].endswith(".")


def test_a_body_over_the_limit_is_413(running: Plugins) -> None:
    large = b"x" * (900 * 1024)
    for plugin_id in BOTH:
        answer = running.ask(plugin_id, "/x", "POST", body=large)
        assert len(answer.json["body"]) == len(large)
    assert running.ask("bad-echo-v2", "/x", "POST", body=b"x" * (1 << 20)).status == 413
    assert len(running.ask("bad-echo", "/x", "POST", body=b"x" * (4 << 20)).json["body"]) == 4 << 20
    for plugin_id in BOTH:
        body = b"x" * ((16 << 20) + 1)
        cookie = f"Cookie: {running.hub.cookie}"
        request = raw_http.request("POST", f"/api/plugins/{plugin_id}/x", cookie, body=body)
        assert raw_http.exchange(running.hub.port, request).status == 413
        assert running.ask(plugin_id).status == 200


def test_a_binary_answer_of_version_2_arrives_as_it_was_sent(running: Plugins) -> None:
    running.write("binary", Path("tests/plugins/binary_plugin.py").read_bytes())
    running.ready("binary")
    for size in (0, 1, 65536, 3_000_000):
        answer = running.ask("binary", f"/{size}")
        assert answer.status == 200
        assert answer.body == bytes(range(256)) * (size // 256) + bytes(range(size % 256))
        assert answer.headers["Content-Type"] == "application/octet-stream"


def test_requests_without_a_session_do_not_reach_the_plugin(running: Plugins) -> None:
    assert running.ask("bad-echo", "/x", cookie="").status == 401
    foreign = {"Origin": "https://evil.example"}
    assert running.ask("bad-echo", "/x", "POST", body=b"1", headers=foreign).status == 403


@pytest.mark.parametrize(
    "path", ["/a/../b", "/%2e%2e/b", "/a/%252e%252e/b", "/a\\b", "/a%00b", "//host/a", "/./a"]
)
def test_path_tricks_are_refused(running: Plugins, path: str) -> None:
    for prefix in ("/api/plugins/bad-echo", "/api/plugins/route/bad-echo"):
        request = raw_http.request("GET", prefix + path, f"Cookie: {running.hub.cookie}")
        assert raw_http.exchange(running.hub.port, request).status in (400, 404)


def test_a_plugin_that_is_starting_is_503_with_a_time_to_come_again(plugins: Plugins) -> None:
    plugins.put("bad-late-socket-1")
    plugins.wait("bad-late-socket-1", "starting")
    answer = plugins.ask("bad-late-socket-1")
    assert (answer.status, answer.json["code"]) == (503, "plugin_starting")
    assert answer.headers["Retry-After"] == "1"
    plugins.ready("bad-late-socket-1")
    assert plugins.ask("bad-late-socket-1").status == 200


@pytest.mark.parametrize("plugin_id", ["quick-v1", "quick-v2", "bad-echo-v2"])
def test_two_hundred_requests_at_once(running: Plugins, plugin_id: str) -> None:
    answers = at_once([lambda: running.ask(plugin_id, "/x")] * 200)
    statuses = {answer.status for answer in answers}
    assert statuses <= {200, 503}, statuses
    assert sum(answer.status == 200 for answer in answers) >= 128
    assert running.ask(plugin_id).status == 200


def test_more_than_a_plugin_can_have_open_is_503(running: Plugins) -> None:
    requests = [hold(running, "bad-patient-30-v2") for _ in range(128)]
    try:
        busy = {"statuses": set[int]()}

        def refused() -> bool:
            answer = running.ask("bad-patient-30-v2", "/x", timeout_s=1)
            busy["statuses"].add(answer.status)
            return answer.status == 503

        wait_until(lambda: attempt(refused), what="the refusal")
        assert running.ask("bad-echo-v2").status == 200
    finally:
        for connection in requests:
            connection.close()
    # Those who left have given their places back.
    wait_until(lambda: attempt(lambda: running.ask("bad-patient-30-v2").status == 200), what="room")


def attempt(condition: object) -> bool:
    try:
        return bool(condition())  # type: ignore[operator]
    except TimeoutError:
        return False


def hold(plugins: Plugins, plugin_id: str, path: str = "/wait") -> socket.socket:
    """Send a request and do not wait for the answer."""
    connection = socket.create_connection(("127.0.0.1", plugins.hub.port), timeout=40)
    connection.sendall(
        raw_http.request("GET", f"/api/plugins/{plugin_id}{path}", f"Cookie: {plugins.hub.cookie}")
    )
    return connection


@pytest.mark.parametrize("plugin_id", ["bad-slow-30", "bad-slow-30-v2"])
def test_a_client_that_leaves_ends_its_request(running: Plugins, plugin_id: str) -> None:
    before = running.view(plugin_id)["figures"]
    connections = [hold(running, plugin_id) for _ in range(64)]
    time.sleep(0.3)  # until all are with the plugin, which tells nobody
    for connection in connections:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
    # Version 2 has 64 places: one that was not given back would keep this one waiting.
    assert running.ask(plugin_id, timeout_s=8).status == 200
    after = running.view(plugin_id)["figures"]
    assert after["errors"] == before["errors"]
    assert wait_until(lambda: running.wish(plugin_id, "restart").status == 200, timeout_s=8)


@pytest.mark.parametrize("slow", ["bad-sequential-0-2", "bad-slow-30", "bad-patient-30-v2"])
def test_a_slow_plugin_delays_no_other(running: Plugins, slow: str) -> None:
    alone = quantiles(running)
    stop = threading.Event()
    held = [hold(running, slow) for _ in range(15)]
    try:
        beside = quantiles(running)
    finally:
        stop.set()
        for connection in held:
            connection.close()
    say(f"p50, p99 alone {alone}, beside {slow} {beside}")
    assert beside[0] <= alone[0] * 2 + 0.005
    assert beside[1] <= alone[1] * 3 + 0.030


def quantiles(plugins: Plugins, count: int = 200) -> tuple[float, float]:
    """Return the median and the 99th of 100 times of requests to a fast plugin, in seconds."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        assert plugins.ask("quick-v2").status == 200
        taken.append(time.perf_counter() - began)
    return statistics.median(taken), sorted(taken)[int(count * 0.99)]


def test_figures_count_requests_errors_and_times(running: Plugins) -> None:
    before = running.view("quick-v1")["figures"]
    for _ in range(5):
        running.ask("quick-v1")
    after = running.view("quick-v1")["figures"]
    assert after["requests"] == before["requests"] + 5
    assert 0 < after["latency_p50_ms"] <= after["latency_p99_ms"]
    assert after["memory_bytes"] > 1_000_000
    assert after["uptime_s"] > 0
