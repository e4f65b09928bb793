"""Plugins that strangers wrote from the contract's page work as they are: protocol version 1.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import json
import re
import shutil
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import wait_until
from tests.support.outsiders import lifecycle, outsider
from tests.support.plugin_files import Plugins, at_once, is_alive

FRAME_LIMIT = 16 * 1024 * 1024
KINDS = {
    "python-threads-flat": ("python", "flat", "threads"),
    "python-threads-nested": ("python", "nested", "threads"),
    "python-alone-flat": ("python", "flat", "alone"),
    "python-once-nested": ("python", "nested", "once"),
    "node-flat": ("node", "flat", ""),
    "node-nested": ("node", "nested", ""),
    "perl-flat": ("perl", "flat", ""),
    "perl-nested": ("perl", "nested", ""),
}
THREADED = ["python-threads-flat", "python-threads-nested"]
ALONE = ["python-alone-flat", "python-once-nested", "perl-nested"]

TEXTS = {
    "ascii": "hello",
    "german": "Grüße, Straße",
    "many scripts": "Ω Привет 你好 שלום 🎉 👩‍👩‍👧",
    "the last character": "\U0010ffff\ufffd\ufffe",
    "line ends": "a\r\nb\rc\n\n\u2028\u2029",
    "json": '{"status": 500, "headers": {}, "body": "\\u0000 \\" \\\\"}',
    "a frame": '\x00\x00\x00\x02{}\x01\x00\x00\x00\x7f{"type":"http"}',
    "all low characters": "".join(map(chr, range(0x100))),
    "looks like gzip": "\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "looks like a picture": "\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR",
    "long": "ß" * 200_000,
}


def can_run(plugin_id: str) -> bool:
    """Return whether the plugin's interpreter is on this machine."""
    language = KINDS[plugin_id][0]
    return language == "python" or shutil.which(language) is not None


@pytest.fixture(scope="module")
def running(plugins: Plugins) -> Plugins:
    """All the plugins that can run here."""
    present = [plugin_id for plugin_id in KINDS if can_run(plugin_id)]
    for plugin_id in present:
        plugins.write(plugin_id, outsider(plugin_id, *KINDS[plugin_id]))
    plugins.put("bad-kv-flat", "bad-kv-nested")
    plugins.ready(*present, "bad-kv-flat", "bad-kv-nested")
    return plugins


@pytest.fixture(params=KINDS)
def plugin_id(request: pytest.FixtureRequest, running: Plugins) -> str:
    """Each plugin, one after the other."""
    chosen = str(request.param)
    if not can_run(chosen):
        pytest.skip(f"{KINDS[chosen][0]} is not on this machine")
    return chosen


def is_time(text: str) -> bool:
    """Return whether a text is an RFC 3339 time in UTC."""
    return re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", text) is not None


def test_what_the_metadata_say_is_shown(running: Plugins, plugin_id: str) -> None:
    view = running.view(plugin_id)
    assert view["name"] == f"Outsider {plugin_id}"
    assert (view["version"], view["author"], view["icon"]) == ("0.1", "A. Stranger", "\U0001f50c")
    assert (view["route"], view["protocol"]) == (f"/{plugin_id}", 1)
    assert (view["enabled"], view["running"], view["health"]) == (True, True, "healthy")


def test_the_first_message_is_init_with_its_fields(running: Plugins, plugin_id: str) -> None:
    found = wait_until(lambda: lifecycle(running, plugin_id, "init"), what="the first message")
    assert len(found) == 1
    assert found[0]["type"] == "lifecycle"
    assert is_time(found[0]["timestamp"])
    payload = found[0]["payload"]
    assert set(payload) == {"type", "action", "instance_id", "plugin_socket", "log_path"}
    assert payload["type"] == "lifecycle"
    assert uuid.UUID(payload["instance_id"]).version == 4
    assert payload["instance_id"] in running.hub.http("GET", "/api/settings").body.decode()
    assert Path(payload["plugin_socket"]).samefile(running.view(plugin_id)["socket_path"])
    log_path = running.hub.folder / "logs" / "plugins" / f"{plugin_id}.log"
    assert payload["log_path"] == str(log_path)
    assert log_path.is_file()


@pytest.mark.parametrize("prefix", ["/api/plugins/", "/api/plugins/route/"])
def test_a_request_is_the_documented_message(running: Plugins, plugin_id: str, prefix: str) -> None:
    rest = "/message/a%20b/%3F/%C3%A4?q=1&q=2&empty=&e=%20+"
    headers = {"X-Own": "Straße".encode().decode("latin-1"), "Accept": "text/x-any"}
    path = f"{prefix}{plugin_id}{rest}"
    answer = running.hub.http("PUT", path, "Grüße".encode(), headers=headers)
    assert answer.status == 200, answer
    message = answer.json
    assert set(message) == {"type", "timestamp", "request_id", "payload"}
    assert message["type"] == "http"
    assert is_time(message["timestamp"])
    payload = message["payload"]
    assert set(payload) == {"type", "request_id", "payload"}
    assert payload["type"] == "http"
    assert payload["request_id"] == message["request_id"]
    request = payload["payload"]
    assert set(request) == {"method", "path", "headers", "body"}
    assert (request["method"], request["path"], request["body"]) == ("PUT", rest, "Grüße")
    assert all(isinstance(value, str) for value in request["headers"].values())
    assert request["headers"]["Accept"] == "text/x-any"
    assert (request["headers"]["X-Toru-User"], request["headers"]["X-Toru-Role"]) == (
        "admin",
        "admin",
    )
    assert "cookie" not in {name.lower() for name in request["headers"]}


def test_every_request_has_an_id_of_its_own(running: Plugins, plugin_id: str) -> None:
    answers = [running.ask(plugin_id, "/message").json for _ in range(5)]
    assert len({answer["request_id"] for answer in answers}) == 5


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_all_methods_arrive_with_a_body_and_without(
    running: Plugins, plugin_id: str, method: str
) -> None:
    for body in (None, b"text"):
        answer = running.ask(plugin_id, "/message", method, body=body)
        request = answer.json["payload"]["payload"]
        assert request["method"] == method
        assert request["path"] == "/message"
        assert request["body"] == (None if body is None else "text")


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_any_text_comes_back_as_it_was(running: Plugins, plugin_id: str, text: str) -> None:
    answer = running.ask(plugin_id, "/body", "POST", body=text.encode())
    assert (answer.status, answer.body) == (200, text.encode())


def test_a_null_body_is_an_empty_one(running: Plugins, plugin_id: str) -> None:
    answer = running.ask(plugin_id, "/body")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize("status", [200, 201, 204, 299, 302, 404, 418, 500, 599])
def test_the_status_and_the_headers_are_the_plugins(
    running: Plugins, plugin_id: str, status: int
) -> None:
    answer = running.ask(plugin_id, f"/status/{status}")
    assert (answer.status, answer.body) == (status, b"")
    assert answer.headers["X-Outsider"] == "yes"


@pytest.mark.parametrize("variant", ["bare", "extra", "chatter"])
def test_answers_need_no_id_and_may_have_more_fields_and_other_messages_before(
    running: Plugins, plugin_id: str, variant: str
) -> None:
    for _ in range(3):
        answer = running.ask(plugin_id, f"/{variant}/x?y")
        assert (answer.status, answer.body) == (200, variant.encode())
        assert answer.headers["Content-Type"] == "text/plain"


def test_a_body_that_is_not_utf_8_is_415_and_hurts_nobody(running: Plugins, plugin_id: str) -> None:
    for body in (b"\xff\xfe", b"abc\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\xc3"):
        answer = running.ask(plugin_id, "/body", "POST", body=body)
        assert answer.status == 415, answer
        assert answer.json["error"].endswith(".")
    assert running.ask(plugin_id, "/body", "POST", body=b"\xc3\xa4").body == b"\xc3\xa4"


@pytest.mark.parametrize("write", [str.lower, str.title, str.upper], ids=["get", "Get", "GET"])
def test_kv_is_asked_over_the_cores_connection_in_any_case(
    running: Plugins, plugin_id: str, write: Any
) -> None:
    def kv(action: str, *rest: str) -> str | None:
        message = running.ask(plugin_id, "/".join(["/kv", write(action), *rest])).json
        assert message["type"] == "kv"
        value: str | None = message["payload"]["value"]
        return value

    assert kv("get", "colour") is None
    assert kv("set", "colour", "red") == "red"
    assert kv("get", "colour") == "red"
    assert running.kv(plugin_id, "get", "colour").json == {"value": "red"}
    assert running.kv(plugin_id, "set", "colour", "blau, grün").json == {"value": "blau, grün"}
    assert kv("get", "colour") == "blau, grün"
    assert kv("delete", "colour") is None
    assert kv("get", "colour") is None
    assert running.kv(plugin_id, "get", "colour").json == {"value": None}


def test_kv_may_be_asked_twice_on_one_connection(running: Plugins, plugin_id: str) -> None:
    assert [running.ask(plugin_id, "/count").body for _ in range(3)] == [b"1", b"2", b"3"]
    assert running.kv(plugin_id, "get", "count").json == {"value": "3"}


@pytest.mark.parametrize("shape", ["flat", "nested"])
def test_kv_needs_only_one_of_its_two_shapes(running: Plugins, shape: str) -> None:
    plugin_id = f"bad-kv-{shape}"
    assert running.ask(plugin_id, "/get/k").json == {"value": None}
    assert running.ask(plugin_id, "/set/k/v").json == {"value": "v"}
    assert running.ask(plugin_id, "/get/k").json == {"value": "v"}
    assert running.kv(plugin_id, "get", "k").json == {"value": "v"}
    assert running.ask(plugin_id, "/delete/k").json == {"value": None}
    assert running.ask(plugin_id, "/get/k").json == {"value": None}


@pytest.mark.parametrize("action", ["list", "getset", "set", "delete-all"])
def test_a_kv_that_is_wrong_is_answered_with_null_and_a_sentence(
    running: Plugins, action: str
) -> None:
    answer = running.ask("python-threads-flat", f"/kv/{action}/key")
    payload = answer.json["payload"]
    assert payload["value"] is None
    assert payload["error"].endswith(".")


@pytest.mark.parametrize("threaded", THREADED)
def test_many_requests_at_once_get_each_its_own_answer(running: Plugins, threaded: str) -> None:
    def ask(number: int) -> bytes:
        return running.ask(threaded, "/body", "POST", body=b"number %d" % number).body

    answers = at_once([lambda number=number: ask(number) for number in range(100)])
    assert answers == [b"number %d" % number for number in range(100)]


@pytest.mark.parametrize("threaded", THREADED)
def test_slow_requests_of_a_threaded_plugin_are_served_side_by_side(
    running: Plugins, threaded: str
) -> None:
    began = time.monotonic()
    answers = at_once([lambda: running.ask(threaded, "/sleep/0.5").status] * 20)
    assert answers == [200] * 20
    assert time.monotonic() - began < 5  # one after the other would be 10 s


@pytest.mark.parametrize("alone", ALONE)
def test_a_plugin_with_one_connection_at_a_time_answers_all_in_turn(
    running: Plugins, alone: str
) -> None:
    if not can_run(alone):
        pytest.skip("its interpreter is not on this machine")

    def ask(number: int) -> bytes:
        return running.ask(alone, "/body", "POST", body=b"number %d" % number).body

    answers = at_once([lambda number=number: ask(number) for number in range(40)])
    assert answers == [b"number %d" % number for number in range(40)]


def latencies_ms(plugins: Plugins, plugin_id: str, count: int = 60) -> list[float]:
    """Return how long requests took, one after the other, in milliseconds."""
    found = []
    for _ in range(count):
        began = time.perf_counter()
        assert plugins.ask(plugin_id, "/body").status == 200
        found.append((time.perf_counter() - began) * 1000)
    return found


@pytest.mark.parametrize("alone", ALONE)
def test_one_that_is_busy_with_its_only_connection_delays_nobody_else(
    running: Plugins, alone: str
) -> None:
    if not can_run(alone):
        pytest.skip("its interpreter is not on this machine")
    fast = "python-threads-flat"
    before = statistics.median(latencies_ms(running, fast))
    with ThreadPoolExecutor(7) as pool:
        slow = [pool.submit(running.ask, alone, "/sleep/0.2") for _ in range(7)]
        wait_until(slow[0].running, what="the first slow request")
        during: list[float] = []
        while sum(future.done() for future in slow) < 4:
            during += latencies_ms(running, fast, 5)
        assert not all(future.done() for future in slow)
        assert [future.result().status for future in slow] == [200] * 7
    assert len(during) >= 20
    assert statistics.median(during) < 3 * before + 10
    assert statistics.quantiles(during, n=10)[-1] < 150  # one slow answer alone takes 200


@pytest.mark.parametrize("threaded", THREADED)
def test_a_frame_of_16_mib_is_taken_and_a_longer_one_is_502(
    running: Plugins, threaded: str
) -> None:
    answer = running.ask(threaded, f"/frame/{FRAME_LIMIT}")
    assert answer.status == 200
    assert FRAME_LIMIT - 1000 < len(answer.body) < FRAME_LIMIT
    assert set(answer.body) == {ord("x")}
    answer = running.ask(threaded, f"/frame/{FRAME_LIMIT + 1}")
    assert answer.status == 502
    assert answer.json["error"].endswith(".")
    assert running.ask(threaded, "/body", "POST", body=b"x").body == b"x"


@pytest.mark.parametrize("plugin_id", ["python-threads-flat", "python-once-nested", "node-nested"])
def test_requests_of_many_megabytes_arrive_and_too_large_ones_are_413(
    running: Plugins, plugin_id: str
) -> None:
    if not can_run(plugin_id):
        pytest.skip("its interpreter is not on this machine")
    is_nested = KINDS[plugin_id][1] == "nested"  # escaped twice, much text is too long to answer
    body = ("0123456789" if is_nested else "ä€𝄞x").encode() * (15 * 1024 * 1024 // 10)
    assert running.ask(plugin_id, "/body", "POST", body=body).body == body
    for refused in (b"x" * FRAME_LIMIT, b'"' * (FRAME_LIMIT // 2)):
        answer = running.ask(plugin_id, "/body", "POST", body=refused)
        assert answer.status == 413, answer.status
        assert answer.json["error"].endswith(".")
    assert running.ask(plugin_id, "/body", "POST", body=b"x").body == b"x"


def test_shutdown_is_said_at_the_stop_and_the_plugin_leaves_by_itself(
    running: Plugins, plugin_id: str
) -> None:
    pid = running.view(plugin_id)["pid"]
    assert not lifecycle(running, plugin_id, "shutdown")
    began = time.monotonic()
    assert running.wish(plugin_id, "disable").json == {"success": True}
    assert time.monotonic() - began < 4  # SIGTERM would come after five
    assert not is_alive(pid)
    last = running.events(plugin_id)[-1]
    assert last["event_type"] == "stopped"
    assert json.loads(last["details"])["exit_code"] == 0
    heard = wait_until(lambda: lifecycle(running, plugin_id, "shutdown"), what="the message")
    assert len(heard) == 1
    assert heard[0]["type"] == "lifecycle"
    assert is_time(heard[0]["timestamp"])
    assert heard[0]["payload"]["type"] == "lifecycle"
    assert running.ask(plugin_id, "/body").status == 404


def test_it_is_started_again_and_told_its_init_again(running: Plugins, plugin_id: str) -> None:
    assert running.wish(plugin_id, "enable").json == {"success": True}
    assert running.ask(plugin_id, "/body", "POST", body=b"again").body == b"again"
    heard = wait_until(
        lambda: (found := lifecycle(running, plugin_id, "init"))[1:] and found,
        what="the second init",
    )
    assert heard[0]["payload"] == heard[1]["payload"]
    assert running.ask(plugin_id, "/count").body == b"4"


@pytest.mark.parametrize("way", ["threads", "alone"])
def test_kv_may_be_asked_over_the_connections_of_init_and_shutdown(
    running: Plugins, way: str
) -> None:
    plugin_id = f"memory-{way}"
    running.write(plugin_id, outsider(plugin_id, "python", "flat", way))
    running.ready(plugin_id)
    past = "init;"
    wait_until(
        lambda: running.kv(plugin_id, "get", "past").json == {"value": past}, what="the first past"
    )
    assert running.ask(plugin_id, "/body", "POST", body=b"x").body == b"x"
    assert running.wish(plugin_id, "restart").status == 200
    past = "init;shutdown;init;"
    wait_until(
        lambda: running.kv(plugin_id, "get", "past").json == {"value": past}, what="the whole past"
    )
    assert running.ask(plugin_id, "/body", "POST", body=b"x").body == b"x"
    stopped = [event for event in running.events(plugin_id) if event["event_type"] == "stopped"]
    assert [json.loads(event["details"])["exit_code"] for event in stopped] == [0]
