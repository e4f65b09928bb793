"""The routes of the quick actions, on a real hub.

Runs on: pytest's main thread, against a hub in a process of its own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.hub import Answer, HubProcess
from tests.support.web import finish, serving


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub for all tests of this file."""
    with serving(tmp_path_factory.mktemp("actions")) as hub:
        hub.script("a.sh", "echo a\n")
        hub.script("b.sh", "echo b\n")
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubProcess) -> str:
    """The cookie of a user of role client."""
    return hub.add_client("paul")


@pytest.fixture(autouse=True)
def no_action_is_left(hub: HubProcess) -> Iterator[None]:
    """Remove the actions that a test made."""
    yield
    for action in hub.get("/api/quick-actions"):
        assert hub.http("DELETE", f"/api/quick-actions/{action['id']}").json == {"success": True}


def add(hub: HubProcess, name: str, script: str, **more: Any) -> dict[str, Any]:
    """Add a quick action and return it."""
    answer = hub.http("POST", "/api/quick-actions", {"name": name, "script_path": script, **more})
    assert answer.status == 200, answer
    action: dict[str, Any] = answer.json
    return action


def test_an_action_is_added_listed_changed_and_removed(hub: HubProcess, client: str) -> None:
    second = add(hub, "Second <b>", "a.sh", display_order=2)
    first = add(hub, "First", "b.sh", icon="star", display_order=1)
    assert first == {
        "id": first["id"],
        "name": "First",
        "script_path": "b.sh",
        "icon": "star",
        "display_order": 1,
        "confirm": False,
    }
    assert second["icon"] is None
    assert hub.get("/api/quick-actions") == [first, second]
    assert hub.get("/api/quick-actions", cookie=client) == [first, second]
    path = f"/api/quick-actions/{first['id']}"
    changed = hub.http("PUT", path, {"name": "Last", "icon": None, "display_order": 9})
    assert changed.json == {**first, "name": "Last", "icon": None, "display_order": 9}
    assert hub.get("/api/quick-actions") == [second, changed.json]
    assert hub.http("DELETE", path).json == {"success": True}
    for again in (hub.http("DELETE", path), hub.http("PUT", path, {"name": "x"})):
        assert again.status == 404
    assert hub.get("/api/quick-actions") == [second]


def test_whether_an_action_asks_first_is_kept_and_left_alone_by_older_programs(
    hub: HubProcess,
) -> None:
    made = add(hub, "one", "a.sh", confirm=True)
    path = f"/api/quick-actions/{made['id']}"
    assert made["confirm"] is True
    assert hub.http("PUT", path, {"name": "two"}).json == {**made, "name": "two"}
    assert hub.http("PUT", path, {"confirm": False}).json["confirm"] is False
    assert hub.get("/api/quick-actions")[0]["confirm"] is False


def test_an_action_without_an_order_goes_to_the_end(hub: HubProcess) -> None:
    add(hub, "one", "a.sh", display_order=7)
    assert add(hub, "two", "a.sh")["display_order"] == 8


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "", "script_path": "a.sh"}, 400),
        ({"name": "x" * 101, "script_path": "a.sh"}, 400),
        ({"name": "a\nb", "script_path": "a.sh"}, 400),
        ({"name": "a", "script_path": "../a.sh"}, 400),
        ({"name": "a", "script_path": "/bin/sh"}, 400),
        ({"name": "a", "script_path": "gone.sh"}, 404),
        ({"name": "a"}, 400),
        ({"name": 1, "script_path": "a.sh"}, 400),
        ({"name": "a", "script_path": "a.sh", "icon": "i" * 65}, 400),
        ({"name": "a", "script_path": "a.sh", "icon": 5}, 400),
        ({"name": "a", "script_path": "a.sh", "display_order": "1"}, 400),
        ({"name": "a", "script_path": "a.sh", "display_order": 2**40}, 400),
        ({"name": "a", "script_path": "a.sh", "confirm": 1}, 400),
        ({"name": "a", "script_path": "a.sh", "id": 5}, 400),
        ([], 400),
        (None, 400),
    ],
)
def test_a_bad_action_is_refused_and_nothing_is_added(
    hub: HubProcess, body: object, status: int
) -> None:
    answer = hub.http("POST", "/api/quick-actions", body)
    assert answer.status == status, answer
    assert answer.json["error"].endswith(".")
    assert hub.get("/api/quick-actions") == []


@pytest.mark.parametrize("number", ["0", "999999999999999999", "x", "-1", "1.5", "%20"])
def test_an_id_that_names_nothing_is_not_found(hub: HubProcess, number: str) -> None:
    path = f"/api/quick-actions/{number}"
    assert hub.http("PUT", path, {"name": "x"}).status == 404
    assert hub.http("DELETE", path).status == 404
    assert hub.http("POST", f"{path}/execute").status == 404


def test_only_the_admin_changes_actions(hub: HubProcess, client: str) -> None:
    made = add(hub, "one", "a.sh")
    path = f"/api/quick-actions/{made['id']}"

    def attempts(cookie: str) -> list[Answer]:
        body = {"name": "x", "script_path": "b.sh"}
        return [
            hub.http("POST", "/api/quick-actions", body, cookie=cookie),
            hub.http("PUT", path, body, cookie=cookie),
            hub.http("DELETE", path, cookie=cookie),
        ]

    assert [answer.status for answer in attempts(client)] == [403, 403, 403]
    assert [answer.status for answer in attempts("")] == [401, 401, 401]
    assert hub.http("POST", f"{path}/execute", cookie="").status == 401
    assert hub.get("/api/quick-actions") == [made]


def test_executing_runs_the_script_for_whoever_asked(hub: HubProcess, client: str) -> None:
    made = add(hub, "one", "a.sh")
    answer = hub.http("POST", f"/api/quick-actions/{made['id']}/execute", cookie=client)
    assert answer.status == 200, answer
    run = finish(hub, answer.json["task_id"])
    assert (run["state"], run["output"]) == ("finished", "a\n")
    assert (run["username"], run["trigger"]) == ("paul", "quick_action")


def test_a_client_runs_only_what_an_action_names_now(hub: HubProcess, client: str) -> None:
    made = add(hub, "one", "a.sh")
    body = {"script": "a.sh"}
    assert hub.http("POST", "/api/tasks", body, cookie=client).status == 200
    assert hub.http("POST", "/api/tasks", {"script": "b.sh"}, cookie=client).status == 403
    # A script that is not named looks the same whether or not it exists.
    assert hub.http("POST", "/api/tasks", {"script": "no.sh"}, cookie=client).status == 403
    hub.http("PUT", f"/api/quick-actions/{made['id']}", {"script_path": "b.sh"})
    assert hub.http("POST", "/api/tasks", body, cookie=client).status == 403


def test_an_action_whose_script_is_gone_says_so(hub: HubProcess) -> None:
    hub.script("gone.sh", "echo\n")
    made = add(hub, "one", "gone.sh")
    (hub.scripts_dir / "gone.sh").unlink()
    answer = hub.http("POST", f"/api/quick-actions/{made['id']}/execute")
    assert (answer.status, answer.json["code"]) == (404, "script_not_found")
