"""What a client may not do: run, see, attach to or cancel what is not its own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.support.hub import HubProcess
from tests.support.websocket import Closed


class _People:
    """A hub with two clients and a script that a quick action names."""

    def __init__(self, hub: HubProcess) -> None:
        self.hub = hub
        self.anna = hub.add_client("anna")
        self.bert = hub.add_client("bert")
        hub.script("offered.sh", "echo offered\nsleep 600\n")
        hub.script("secret.sh", "echo secret\nsleep 600\n")
        body = {"name": "Offered", "script_path": "offered.sh"}
        self.action = hub.http("POST", "/api/quick-actions", body).json["id"]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_People]:
    """The hub and its people."""
    with HubProcess(tmp_path_factory.mktemp("hub")) as hub:
        yield _People(hub)


def test_a_client_runs_only_what_a_quick_action_names(people: _People) -> None:
    hub = people.hub
    with hub.websocket(cookie=people.anna) as socket:
        socket.send({"type": "run", "script": "secret.sh"})
        assert "quick action" in socket.read()["data"]
        socket.send({"type": "run", "script": "../offered.sh"})
        assert socket.read()["type"] == "error"
        socket.send({"type": "run", "script": "offered.sh"})
        assert socket.read_until("stdout")["data"] == "offered\n"
    refused = hub.http("POST", "/api/tasks", {"script": "secret.sh"}, cookie=people.anna)
    assert (refused.status, refused.json["code"]) == (403, "forbidden")
    assert {row["script_name"] for row in hub.get("/api/history")} == {"offered.sh"}


def test_a_client_sees_attaches_to_and_cancels_only_its_own(people: _People) -> None:
    hub = people.hub
    execute = f"/api/quick-actions/{people.action}/execute"
    annas = hub.http("POST", execute, cookie=people.anna).json["task_id"]
    admins = hub.http("POST", "/api/tasks", {"script": "secret.sh"}).json["task_id"]
    for task_id in (annas, admins):
        path = f"/api/tasks/{task_id}"
        for method, route in (
            ("GET", path),
            ("GET", f"{path}/output"),
            ("GET", f"{path}/output?format=raw"),
            ("POST", f"{path}/cancel"),
            ("DELETE", path),
        ):
            answer = hub.http(method, route, cookie=people.bert)
            assert answer.status == 404, (method, route, answer)
        with hub.websocket(cookie=people.bert) as socket:
            for message in ("attach", "cancel"):
                socket.send({"type": message, "task_id": task_id})
                error = socket.read()
                assert (error["type"], error["task_id"]) == ("error", task_id)
        assert hub.get(path)["state"] == "running"
    assert annas not in {row["id"] for row in hub.get("/api/history", cookie=people.bert)}
    assert {row["id"] for row in hub.get("/api/history", cookie=people.anna)} >= {annas}
    own = hub.get(f"/api/tasks/{annas}", cookie=people.anna)
    assert own["username"] == "anna"
    assert hub.http("POST", f"/api/tasks/{annas}/cancel", cookie=people.anna).status == 200


def test_a_client_hears_only_of_its_own_runs(people: _People) -> None:
    hub = people.hub
    hub.script("brief.sh", "echo brief\n")
    body = {"name": "Brief", "script_path": "brief.sh"}
    action = hub.http("POST", "/api/quick-actions", body).json["id"]
    with hub.websocket(cookie=people.bert) as socket:
        socket.send({"type": "subscribe", "topics": ["actors"]})
        assert socket.read()["type"] == "error"
        socket.send({"type": "subscribe", "topics": ["tasks"]})
        socket.send({"type": "ping"})
        assert socket.read()["type"] == "pong"
        hub.run("brief.sh")
        hub.http("POST", f"/api/quick-actions/{action}/execute", cookie=people.anna)
        own = hub.http("POST", f"/api/quick-actions/{action}/execute", cookie=people.bert)
        seen = set()
        while True:
            event = socket.read_until("event")
            seen.add(event["data"]["id"])
            if event["data"]["state"] == "finished":
                break
    assert seen == {own.json["task_id"]}


@pytest.mark.parametrize("end", ["disable", "delete", "password"])
def test_a_user_is_thrown_out_within_a_second(people: _People, end: str) -> None:
    hub = people.hub
    name = f"carla-{end}"
    cookie = hub.add_client(name)
    user_id = next(user["id"] for user in hub.get("/api/users") if user["username"] == name)
    with hub.websocket(cookie=cookie) as socket:
        socket.send({"type": "ping"})
        assert socket.read()["type"] == "pong"
        began = time.monotonic()
        match end:
            case "disable":
                answer = hub.http("PUT", f"/api/users/{user_id}", {"is_active": False})
            case "delete":
                answer = hub.http("DELETE", f"/api/users/{user_id}")
            case _:
                body = {"password": "Another-pass-2"}
                answer = hub.http("PUT", f"/api/users/{user_id}/password", body)
        assert answer.status == 200, answer
        answered = time.monotonic()
        assert socket.read_until("error")["data"].startswith("Your session has ended")
        with pytest.raises(Closed) as closed:
            socket.read()
    assert closed.value.code == 4401
    assert time.monotonic() - answered < 1, time.monotonic() - began
    assert hub.http("GET", "/api/history", cookie=cookie).status == 401
