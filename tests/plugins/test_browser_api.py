"""What plugins' pages ask of the hub: their keys page by page, live events, and the sandbox.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import Answer, HubProcess, wait_until
from tests.support.plugin_files import QUICK, Plugins
from tests.support.websocket import WebSocket

SOURCE = Path("tests/plugins/v2_plugin.py").read_bytes()


@pytest.fixture(scope="module")
def running(plugins: Plugins) -> Plugins:
    """Two plugins that make calls, and one that wants a sandbox."""
    plugins.write("one", SOURCE)
    plugins.write("two", SOURCE)
    plugins.write("quick-shy-v2", QUICK.replace('"protocols"', '"sandbox": True, "protocols"'))
    plugins.ready("one", "two", "quick-shy-v2")
    return plugins


def call(plugins: Plugins, *calls: tuple[str, dict[str, Any]], by: str = "one") -> list[Any]:
    """Have a plugin make these calls at once, and return its answers."""
    answer = plugins.ask(by, "/call", "POST", body=json.dumps(calls).encode())
    assert answer.status == 200, answer
    found: list[Any] = answer.json
    return found


def kv(plugins: Plugins, by: str = "one", cookie: str | None = None, **wish: Any) -> Answer:
    """Ask for something of a plugin's keys, as a browser does."""
    return plugins.hub.http("POST", f"/api/plugins/{by}/kv", wish, cookie=cookie)


def subscribed(hub: HubProcess, *topics: str, cookie: str | None = None) -> WebSocket:
    """Open a WebSocket whose subscriptions are in force."""
    client = hub.websocket(cookie=cookie)
    client.send({"type": "subscribe", "topics": topics})
    client.send({"type": "ping"})
    client.read_until("pong")
    return client


# Keys


def test_a_browser_lists_keys_page_by_page(running: Plugins) -> None:
    changes = [{"action": "set", "key": f"p/{n:02}", "value": str(n)} for n in range(25)]
    call(running, ("kv.batch", {"changes": changes}))
    client = running.hub.add_client("reader")
    first = kv(running, action="list", prefix="p/", limit=10, cookie=client).json
    assert [(each["key"], each["value"]) for each in first["entries"]] == [
        (f"p/{n:02}", str(n)) for n in range(10)
    ]
    assert set(first) == {"entries", "cursor"}
    rest = kv(running, action="list", prefix="p/", limit=1000, cursor=first["cursor"]).json
    assert [each["key"] for each in rest["entries"]] == [f"p/{n:02}" for n in range(10, 25)]
    assert rest["cursor"] is None
    assert kv(running, "two", action="list").json == {"entries": [], "cursor": None}
    assert len(kv(running, action="list").json["entries"]) == 25


@pytest.mark.parametrize(
    "wish",
    [
        {"action": "list", "limit": 0},
        {"action": "list", "limit": 1001},
        {"action": "list", "prefix": 1},
        {"action": "list", "plugin": "two"},
        {"action": "get"},
        {"action": "set", "value": "x"},
        {"action": "delete", "prefix": "p/"},
    ],
)
def test_a_wrong_wish_for_keys_is_400_with_a_sentence(
    running: Plugins, wish: dict[str, Any]
) -> None:
    answer = kv(running, **wish)
    assert answer.status == 400
    assert answer.json["error"].endswith(".")


def test_keys_of_no_plugin_are_404(running: Plugins) -> None:
    assert kv(running, "nobody", action="list").status == 404


# Events


def test_what_a_plugin_emits_reaches_those_who_want_that_plugin_and_no_others(
    running: Plugins,
) -> None:
    hub, user = running.hub, running.hub.add_client("watcher")
    with (
        subscribed(hub, "plugin-emitted/one", cookie=user) as own,
        subscribed(hub, "plugins") as whole,
        subscribed(hub, "plugin-states", "plugin-emitted/two") as others,
    ):
        call(running, ("event.emit", {"name": "door", "data": {"open": True}}))
        call(running, ("event.emit", {"name": "light"}), by="two")
        message = own.read_until("event")
        assert message["topic"] == "plugin-emitted/one"
        door = message["data"]
        assert (door["plugin"], door["name"], door["data"]) == ("one", "door", {"open": True})
        names = [whole.read_until("event") for _ in range(2)]
        assert [(each["topic"], each["data"]["name"]) for each in names] == [
            ("plugins", "door"),
            ("plugins", "light"),
        ]
        light = others.read_until("event")
        assert light["topic"] == "plugin-emitted/two"
        assert (light["data"]["name"], light["data"]["data"]) == ("light", None)


@pytest.mark.parametrize("topic", ["plugin-emitted/", "plugin-emitted/a_b", "plugin-emitted", "x"])
def test_a_topic_that_cannot_be_is_refused(running: Plugins, topic: str) -> None:
    with running.hub.websocket() as client:
        client.send({"type": "subscribe", "topics": [topic]})
        assert client.read_until("error")["data"]


def test_a_connection_has_64_topics_at_most(running: Plugins) -> None:
    with running.hub.websocket() as client:
        for begin in range(0, 64, 16):
            topics = [f"plugin-emitted/p{n}" for n in range(begin, begin + 16)]
            client.send({"type": "subscribe", "topics": topics})
        client.send({"type": "subscribe", "topics": ["plugin-emitted/p1"]})
        client.send({"type": "ping"})
        assert client.read()["type"] == "pong"
        client.send({"type": "subscribe", "topics": ["tasks"]})
        assert "64 topics" in client.read_until("error")["data"]


def test_an_event_is_at_most_64_kib_and_has_a_name(running: Plugins) -> None:
    large, fits, nameless, long = call(
        running,
        ("event.emit", {"name": "large", "data": "x" * 65_535}),
        ("event.emit", {"name": "fits", "data": "x" * 65_534}),
        ("event.emit", {"name": ""}),
        ("event.emit", {"name": "n" * 129}),
    )
    assert "64 KiB" in large["message"]
    assert fits is None
    assert nameless["error"] == long["error"] == "DENIED"


def test_a_plugin_that_floods_loses_the_oldest_and_watchers_know_how_many(
    running: Plugins,
) -> None:
    with subscribed(running.hub, "plugin-emitted/two") as client:
        sent = 0
        for _ in range(4):  # of more than 1 MiB at once the first are left out
            emits = [
                ("event.emit", {"name": str(sent + n), "data": "x" * 60_000}) for n in range(8)
            ]
            assert call(running, *emits, by="two") == [None] * 8
            sent += 8
        call(running, ("event.emit", {"name": "last"}), by="two")
        heard = [client.read_until("event")["data"]]
        while heard[-1]["name"] != "last":
            heard.append(client.read_until("event")["data"])
    numbers = [each["number"] for each in heard]
    assert numbers == sorted(numbers)
    assert numbers[-1] - numbers[0] == sent
    assert len(heard) <= sent + 1
    names = [int(each["name"]) for each in heard[:-1]]
    assert [number - numbers[0] for number in numbers[:-1]] == names


# The sandbox


def sandbox(view: dict[str, Any]) -> tuple[bool, bool]:
    """Return whether a plugin's page is in a sandbox, and whether an admin wants that."""
    return view["sandboxed"], view["sandbox_forced"]


def test_a_plugin_asks_for_a_sandbox_and_an_admin_forces_one(running: Plugins) -> None:
    hub = running.hub
    assert sandbox(running.view("one")) == (False, False)
    assert sandbox(running.view("quick-shy-v2")) == (True, False)
    with subscribed(hub, "plugin-states") as client:
        for forced in (True, False, True):
            answer = hub.http("PUT", "/api/plugins/one/sandbox", {"forced": forced})
            assert (answer.status, answer.json) == (200, {"success": True})
            assert sandbox(running.view("one")) == (forced, forced)
            assert sandbox(running.all()["one"]) == (forced, forced)
            assert sandbox(client.read_until("event")["data"]["plugin"]) == (forced, forced)
    config = json.loads((running.folder / ".metadata" / "config.json").read_text())
    assert config["sandboxed"] == {"one": True}
    assert running.wish("one", "restart").status == 200
    assert sandbox(running.view("one")) == (True, True)
    hub.kill()
    hub.start()
    running.ready("one", "quick-shy-v2")
    assert sandbox(running.view("one")) == (True, True)
    assert sandbox(running.view("quick-shy-v2")) == (True, False)
    assert hub.http("PUT", "/api/plugins/one/sandbox", {"forced": False}).status == 200
    assert sandbox(running.view("one")) == (False, False)


def test_only_an_admin_forces_a_sandbox_and_only_for_a_plugin_that_is_there(
    running: Plugins,
) -> None:
    hub, user = running.hub, running.hub.add_client("guest")
    path = "/api/plugins/one/sandbox"
    assert hub.http("PUT", path, {"forced": True}, cookie=user).status == 403
    assert hub.http("PUT", path, {"forced": "yes"}).status == 400
    assert hub.http("PUT", "/api/plugins/nobody/sandbox", {"forced": True}).status == 404
    assert sandbox(running.view("one")) == (False, False)


def test_the_setting_survives_what_else_stands_in_the_file(running: Plugins) -> None:
    path = running.folder / ".metadata" / "config.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text('{"plugins": {}, "sandboxed": "nonsense", "other": 1}')
    assert running.hub.http("PUT", "/api/plugins/two/sandbox", {"forced": True}).status == 200
    assert json.loads(path.read_text()) == {
        "plugins": {},
        "sandboxed": {"two": True},
        "other": 1,
    }
    wait_until(lambda: sandbox(running.view("two")) == (True, True), what="the sandbox")


def test_the_document_of_the_sandbox_reaches_nothing_and_only_the_dashboard_frames_it(
    hub: HubProcess,
) -> None:
    answer = hub.http("GET", "/plugin-frame", cookie="")
    assert answer.status == 200
    policy = {
        rule.partition(" ")[0]: rule.partition(" ")[2]
        for rule in answer.headers["Content-Security-Policy"].split("; ")
    }
    assert policy["default-src"] == policy["connect-src"] == policy["form-action"] == "'none'"
    assert policy["frame-ancestors"] == "'self'"
    assert policy["sandbox"] == "allow-scripts allow-forms allow-downloads"
    assert policy["script-src"].endswith(" blob:")
    assert policy["script-src"].startswith("'sha256-")
    assert answer.headers["X-Frame-Options"] == "SAMEORIGIN"
    assert "Set-Cookie" not in answer.headers
    assert answer.body.count(b"<script>") == answer.body.count(b"</script>") == 1
    for path in ("/", "/sandbox/frame.js", "/api/health"):
        assert hub.http("GET", path).headers["X-Frame-Options"] == "DENY"
