"""Protocol version 1, with plugins written from the contract alone, and keys of both sides.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.plugins.contract_plugins import plain
from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import Plugins

SHAPES = ["flat", "nested"]


@pytest.fixture(scope="module")
def running(plugins: Plugins) -> Plugins:
    """The plain plugins, and some that write kv in other ways."""
    for shape in SHAPES:
        plugins.write(shape, plain(f"plain-{shape}", shape))
    plugins.put("bad-kv", "bad-kv-title", "bad-kv-upper", "bad-kv-flat", "bad-kv-nested")
    plugins.ready("plain-flat", "plain-nested")
    plugins.ready("bad-kv", "bad-kv-title", "bad-kv-upper", "bad-kv-flat", "bad-kv-nested")
    return plugins


@pytest.mark.parametrize("shape", SHAPES)
def test_a_plugin_written_from_the_contract_alone_is_served(running: Plugins, shape: str) -> None:
    plugin_id = f"plain-{shape}"
    answer = running.ask(plugin_id, "/a/b%20c?x=1&y=%2F", "POST", body=b'{"caf\xc3\xa9": 1}')
    assert answer.status == 201
    assert (answer.headers["Content-Type"], answer.headers["X-Own"]) == ("application/json", "yes")
    assert answer.json["method"] == "POST"
    assert answer.json["path"] == "/a/b%20c?x=1&y=%2F"
    assert answer.json["body"] == '{"café": 1}'
    assert answer.json["headers"]["X-Toru-User"] == "admin"
    init = answer.json["init"]
    assert init["plugin_socket"] == running.view(plugin_id)["socket_path"]
    assert uuid.UUID(init["instance_id"]).version == 4
    assert Path(init["log_path"]).parent == running.hub.folder / "logs" / "plugins"
    assert running.ask(plugin_id, "/x").json["body"] is None


@pytest.mark.parametrize("shape", SHAPES)
def test_it_keeps_a_counter_in_kv_over_its_own_connection(running: Plugins, shape: str) -> None:
    plugin_id = f"plain-{shape}"
    for number, action in enumerate(["get", "Get", "GET"], start=1):
        answer = running.ask(plugin_id, f"/count?{action}")
        assert (answer.status, answer.body) == (201, str(number).encode())
    assert running.kv(plugin_id, "get", "count").json == {"value": "3"}
    assert running.kv(plugin_id, "set", "count", "41").json == {"value": "41"}
    assert running.ask(plugin_id, "/count").body == b"42"
    assert running.wish(plugin_id, "restart").status == 200
    assert running.ask(plugin_id, "/count").body == b"43"


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_told_to_leave_and_its_last_words_are_logged(running: Plugins, shape: str) -> None:
    plugin_id = f"plain-{shape}"
    assert running.wish(plugin_id, "disable").status == 200
    assert running.events(plugin_id)[-1]["event_type"] == "stopped"
    assert '"exit_code": 0' in running.events(plugin_id)[-1]["details"]
    wait_until(lambda: running.logs(plugin_id)[0]["message"] == "bye", what="the log line")
    assert running.wish(plugin_id, "enable").status == 200


@pytest.mark.parametrize("mode", ["kv", "kv-title", "kv-upper", "kv-flat", "kv-nested"])
def test_kv_is_taken_in_any_case_and_shape(running: Plugins, mode: str) -> None:
    plugin_id = f"bad-{mode}"
    assert running.ask(plugin_id, "/get/k").json == {"value": None}
    assert running.ask(plugin_id, "/set/k/v").json == {"value": "v"}
    assert running.ask(plugin_id, "/get/k").json == {"value": "v"}
    assert running.kv(plugin_id, "get", "k").json == {"value": "v"}
    assert running.ask(plugin_id, "/delete/k").json == {"value": None}
    assert running.ask(plugin_id, "/get/k").json == {"value": None}


def test_no_plugin_sees_the_keys_of_another(running: Plugins) -> None:
    assert running.kv("bad-kv", "set", "mine", "1").status == 200
    assert running.ask("bad-kv-flat", "/get/mine").json == {"value": None}
    assert running.kv("bad-kv-flat", "get", "mine").json == {"value": None}
    assert running.ask("bad-kv-flat", "/delete/mine").json == {"value": None}
    assert running.ask("bad-kv", "/get/mine").json == {"value": "1"}


def test_keys_and_values_have_limits_and_over_them_nothing_changes(running: Plugins) -> None:
    assert running.kv("bad-kv", "set", "k" * 256, "v").status == 200
    assert running.kv("bad-kv", "set", "ö" * 128, "v").status == 200
    for key in ("", "k" * 257, "ö" * 129):
        answer = running.kv("bad-kv", "set", key, "v")
        assert answer.status in (400, 413), answer
        assert answer.json["error"].endswith(".")
    assert running.kv("bad-kv", "set", "big", "x" * 256 * 1024).status == 200
    answer = running.kv("bad-kv", "set", "big", "y" * (256 * 1024 + 1))
    assert answer.status == 413, answer
    assert running.kv("bad-kv", "get", "big").json["value"] == "x" * 256 * 1024
    refused = running.ask("bad-kv", f"/set/{'k' * 300}/v").json
    assert refused["value"] is None
    assert refused["error"].endswith(".")


def test_all_keys_of_a_plugin_together_have_a_limit(running: Plugins) -> None:
    value = "x" * 256 * 1024
    statuses = []
    for number in range(260):
        statuses.append(running.kv("bad-kv-title", "set", f"k{number:03}", value).status)
        if statuses[-1] != 200:
            break
    assert statuses[-1] in (409, 413, 507)
    assert 250 <= len(statuses) <= 257  # 64 MiB
    assert running.kv("bad-kv-title", "get", f"k{len(statuses) - 1:03}").json == {"value": None}
    assert running.kv("bad-kv-title", "set", "k000", "small").status == 200
    assert running.kv("bad-kv-upper", "set", "a", "b").status == 200


@pytest.mark.parametrize(
    "body",
    [
        {"action": "list", "key": "a"},
        {"action": "GET", "key": "a"},
        {"action": "get"},
        {"action": "get", "key": 1},
        {"action": "set", "key": "a"},
        {"action": "set", "key": "a", "value": 1},
        {"action": "get", "key": "a", "plugin": "other"},
    ],
)
def test_a_browser_that_asks_for_kv_wrongly_is_told_so(
    running: Plugins, body: dict[str, object]
) -> None:
    answer = running.hub.http("POST", "/api/plugins/bad-kv/kv", body)
    assert answer.status == 400
    assert answer.json["error"].endswith(".")


def test_a_client_may_use_kv_and_forwarded_routes(running: Plugins, hub: HubProcess) -> None:
    cookie = hub.add_client("user")
    body = {"action": "set", "key": "from-client", "value": "1"}
    assert hub.http("POST", "/api/plugins/bad-kv/kv", body, cookie=cookie).json == {"value": "1"}
    seen = running.ask("plain-flat", "/x", cookie=cookie).json
    assert seen["headers"]["X-Toru-User"] == "user"
    assert seen["headers"]["X-Toru-Role"] == "client"
