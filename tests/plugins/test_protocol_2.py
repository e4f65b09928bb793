"""Protocol version 2, with a plugin in plain sockets: negotiation, calls and their limits.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import json
import time
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import wait_until
from tests.support.plugin_files import Plugins, is_alive
from toru.clock import parse_time

SOURCE = Path("tests/plugins/v2_plugin.py").read_bytes()
BACKOFF = "0.1"


@pytest.fixture(scope="module")
def running(plugins: Plugins) -> Plugins:
    """Two copies of the plugin."""
    plugins.write("caller", SOURCE)
    plugins.write("other", SOURCE)
    plugins.ready("caller", "other")
    return plugins


def call(plugins: Plugins, *calls: tuple[str, dict[str, Any]], by: str = "caller") -> list[Any]:
    """Have the plugin make these calls at once, and return its answers."""
    answer = plugins.ask(by, "/call", "POST", body=json.dumps(calls).encode())
    assert answer.status == 200, answer
    found: list[Any] = answer.json
    return found


def one(plugins: Plugins, method: str, by: str = "caller", **params: Any) -> Any:
    """Have the plugin make one call."""
    return call(plugins, (method, params), by=by)[0]


def test_hello_and_init_say_what_the_protocol_says(running: Plugins) -> None:
    said = running.ask("caller", "/hello?a=1").json
    hello, init, environ = said["hello"], said["init"], said["environ"]
    assert hello["protocols"] == [2]
    assert hello["instance"] == environ["TORU_INSTANCE"] == str(uuid.UUID(hello["instance"]))
    assert environ["TORU_PROTOCOLS"] == "1,2"
    assert environ["TORU_PLUGIN_SOCKET"] == running.view("caller")["socket_path"]
    assert "ADMIN_PASSWORD" not in environ
    assert {"http", "kv", "log", "event", "task", "config"} <= set(hello["features"])
    assert hello["limits"]["json_bytes"] == 1024 * 1024
    assert uuid.UUID(init["instance_id"]).version == 4
    assert init["deadline_ms"] == 30_000
    assert Path(init["data_dir"]).is_dir()
    assert Path(init["data_dir"]).stat().st_mode & 0o077 == 0
    request = said["request"]
    assert (request["method"], request["path"], request["query"]) == ("GET", "/hello", "a=1")
    assert (request["user"], request["role"], request["body"]) == ("admin", "admin", "none")
    assert request["id"] % 2 == 1
    assert request["deadline_ms"] == 30_000


def test_the_smaller_limit_counts(running: Plugins) -> None:
    assert running.ask("caller", "/x", "POST", body=b"x" * 510_000).status == 413
    assert running.ask("caller", "/x", "POST", body=b"x" * 400_000).status == 200


def test_a_plugin_keeps_keys_with_versions(running: Plugins) -> None:
    assert one(running, "kv.get", key="a") == {"value": None, "version": 0}
    first = one(running, "kv.set", key="a", value="1")["version"]
    assert one(running, "kv.get", key="a") == {"value": "1", "version": first}
    assert one(running, "kv.get", key="a", by="other")["value"] is None
    conflict = one(running, "kv.set", key="a", value="2", if_version=first + 1)
    assert conflict["code"] == "CONFLICT"
    assert one(running, "kv.get", key="a")["value"] == "1"
    second = one(running, "kv.set", key="a", value="2", if_version=first)["version"]
    assert second > first
    assert running.kv("caller", "get", "a").json == {"value": "2"}
    assert one(running, "kv.delete", key="a") == {"deleted": True}
    assert one(running, "kv.delete", key="a") == {"deleted": False}


def test_keys_can_expire(running: Plugins) -> None:
    one(running, "kv.set", key="short", value="1", ttl_s=0.4)
    assert one(running, "kv.get", key="short")["value"] == "1"
    wait_until(
        lambda: one(running, "kv.get", key="short")["value"] is None, timeout_s=5, what="the end"
    )


def test_keys_are_listed_by_prefix_page_by_page(running: Plugins) -> None:
    changes = [{"action": "set", "key": f"p/{n:02}", "value": str(n)} for n in range(25)]
    assert len(one(running, "kv.batch", changes=changes)["versions"]) == 25
    page = one(running, "kv.list", prefix="p/", limit=10)
    assert [entry["key"] for entry in page["entries"]] == [f"p/{n:02}" for n in range(10)]
    page = one(running, "kv.list", prefix="p/", limit=1000, cursor=page["cursor"])
    assert len(page["entries"]) == 15
    assert page["cursor"] is None


def test_a_batch_is_done_as_a_whole_or_not_at_all(running: Plugins) -> None:
    one(running, "kv.set", key="kept", value="1")
    changes = [
        {"action": "delete", "key": "kept"},
        {"action": "set", "key": "k" * 300, "value": "too long"},
    ]
    assert "error" in one(running, "kv.batch", changes=changes)
    assert one(running, "kv.get", key="kept")["value"] == "1"
    many = [{"action": "set", "key": f"m{n}", "value": ""} for n in range(101)]
    assert "error" in one(running, "kv.batch", changes=many)
    assert one(running, "kv.get", key="m0")["value"] is None


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("kv.get", {}),
        ("kv.get", {"key": 1}),
        ("kv.get", {"key": ""}),
        ("kv.get", {"key": "a", "plugin": "other"}),
        ("kv.set", {"key": "a"}),
        ("kv.set", {"key": "a", "value": "x" * 262_145}),
        ("kv.set", {"key": "a", "value": "x", "ttl_s": -1}),
        ("kv.list", {"limit": 0}),
        ("kv.list", {"limit": 100_000}),
        ("kv.batch", {"changes": [{"action": "dance", "key": "a"}]}),
        ("log", {}),
        ("log", {"message": "x", "level": "shouting"}),
        ("event.emit", {}),
        ("task.run", {"script": "../etc/passwd"}),
        ("task.run", {"script": "no-such.sh"}),
        ("task.cancel", {"task_id": "nonsense"}),
        ("plugins.disable", {"id": "other"}),
    ],
)
def test_a_wrong_call_gets_an_error_and_the_connection_stays(
    running: Plugins, method: str, params: dict[str, Any]
) -> None:
    pid = running.view("caller")["pid"]
    error = one(running, method, **params)
    assert error["code"] in ("DENIED", "INTERNAL", "CONFLICT", "TOO_LARGE"), error
    assert error["message"]
    assert error["code"] != "INTERNAL", error
    assert running.view("caller")["pid"] == pid


def test_more_than_two_hundred_calls_a_second_are_refused(running: Plugins) -> None:
    began = time.monotonic()
    codes: list[str] = []
    while time.monotonic() - began < 0.8 and len(codes) < 2000:
        answers = call(running, *[("config.get", {})] * 16)
        codes += [answer.get("code", "ok") for answer in answers]
    assert codes.count("ok") <= 400
    if len(codes) > 420:
        assert "BUSY" in codes
    time.sleep(1.1)  # the window of the limit
    assert one(running, "config.get") == {}


def test_more_calls_than_agreed_are_refused_one_by_one(running: Plugins) -> None:
    time.sleep(1.1)  # the window of the limit
    answers = call(running, *[("kv.set", {"key": f"c{n}", "value": "v"}) for n in range(40)])
    codes = [answer.get("code", "ok") for answer in answers]
    assert set(codes) == {"ok", "BUSY"}
    assert codes[:16] == ["ok"] * 16
    busy = next(answer for answer in answers if answer.get("code") == "BUSY")
    assert busy["retryable"] is True


def test_log_and_emitted_events_reach_those_who_watch(running: Plugins) -> None:
    with running.hub.websocket() as client:
        client.send({"type": "subscribe", "topics": ["plugins"]})
        client.send({"type": "ping"})
        client.read_until("pong")
        one(running, "log", message="hello\nworld", level="warn", fields={"n": 7})
        one(running, "event.emit", name="door", data={"open": True})
        seen: dict[str, Any] = {}
        while not {"log", "emitted"} <= seen.keys():
            data = client.read_until("event")["data"]
            seen[data["type"]] = data
    assert parse_time(seen["emitted"].pop("timestamp")) <= time.time() + 1
    assert seen["emitted"] == {
        "type": "emitted", "plugin": "caller", "name": "door", "data": {"open": True}, "number": 1,
    }  # fmt: skip
    assert seen["log"]["line"]["message"] == "hello\nworld"
    line = running.logs("caller", "warn")[0]
    assert (line["message"], line["level"], line["n"]) == ("hello\nworld", "warn", 7)
    assert line["plugin"] == "caller"


def test_a_plugin_may_run_and_cancel_scripts(running: Plugins) -> None:
    running.hub.script("greet.sh", 'echo "hi from $0"\n')
    running.hub.script("nap.sh", "sleep 60\n")
    task_id = one(running, "task.run", script="greet.sh")["task_id"]
    wait_until(lambda: running.hub.get(f"/api/tasks/{task_id}")["exit_code"] == 0, what="the run")
    napping = one(running, "task.run", script="nap.sh")["task_id"]
    assert one(running, "task.cancel", task_id=napping) is None
    wait_until(
        lambda: running.hub.get(f"/api/tasks/{napping}")["state"] == "cancelled", what="the end"
    )


def test_a_plugin_may_ask_to_be_restarted(running: Plugins) -> None:
    pid = running.view("other")["pid"]
    assert running.ask("other", "/goaway").status == 200
    wait_until(lambda: running.view("other")["pid"] not in (pid, None), what="the restart")
    running.ready("other")
    assert not is_alive(pid)


def test_the_hub_says_goaway_before_shutdown(running: Plugins) -> None:
    assert running.wish("other", "restart").status == 200
    details = running.events("other")[-2]
    assert (details["event_type"], '"exit_code": 0' in details["details"]) == ("stopped", True)


@pytest.mark.parametrize("mode", ["hello-instance", "hello-version"])
def test_a_wrong_answer_to_hello_is_refused(running: Plugins, mode: str) -> None:
    plugin_id = f"bad-{mode}-v2"
    running.put(plugin_id)
    wait_until(lambda: running.events(plugin_id), what="the refusal")
    wanted = {"hello-instance": "wrong instance", "hello-version": "protocol 3"}[mode]
    assert wanted in running.events(plugin_id)[0]["details"]
    assert running.event_types(plugin_id)[0] == "crashed"
    assert running.wish(plugin_id, "disable").status == 200
