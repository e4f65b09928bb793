"""The routes of the settings, on a real hub.

Runs on: pytest's main thread, against a hub in a process of its own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

import toru
from tests.support.hub import HubProcess
from tests.support.web import run_script, serving


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub for all tests of this file."""
    with serving(tmp_path_factory.mktemp("settings")) as hub:
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubProcess) -> str:
    """The cookie of a user of role client."""
    return hub.add_client("paul")


def in_force(hub: HubProcess) -> dict[str, str]:
    """Return the settings by key."""
    return {row["key"]: row["value"] for row in hub.get("/api/settings")["settings"]}


def test_every_setting_is_listed_with_what_it_does(hub: HubProcess) -> None:
    rows = {row["key"]: row for row in hub.get("/api/settings")["settings"]}
    assert rows["max_concurrent_tasks"] == {
        "key": "max_concurrent_tasks",
        "value": "16",
        "default": "16",
        "description": "How many runs go on at one time; more of them wait.",
        "read_only": False,
    }
    assert rows["scripts_dir"]["value"] == str(hub.scripts_dir)
    assert rows["instance_id"]["read_only"]


def test_a_change_is_answered_and_in_force(hub: HubProcess) -> None:
    answer = hub.http("PUT", "/api/settings/max_queued_tasks", {"value": "500"})
    assert (answer.status, answer.json) == (200, {"key": "max_queued_tasks", "value": "500"})
    assert in_force(hub)["max_queued_tasks"] == "500"
    answer = hub.http("PUT", "/api/settings/cancel_grace_s", {"value": 1.5})
    assert (answer.status, answer.json["value"]) == (200, "1.5")


def test_another_scripts_folder_serves_the_next_request(hub: HubProcess) -> None:
    other = hub.folder / "other"
    other.mkdir()
    (other / "there.sh").write_text("pwd\n")
    answer = hub.http("PUT", "/api/settings/scripts_dir", {"value": "other"})
    assert (answer.status, answer.json["value"]) == (200, "other")
    assert hub.get("/api/scripts") == ["there.sh"]
    assert run_script(hub, "there.sh")["output"] == f"{other}\n"
    hub.http("PUT", "/api/settings/scripts_dir", {"value": str(hub.scripts_dir)})
    assert hub.get("/api/scripts") == []


@pytest.mark.parametrize(
    ("key", "body", "status"),
    [
        ("no_such", {"value": "1"}, 404),
        ("%2e%2e", {"value": "1"}, 400),
        ("max_concurrent_tasks", {"value": "0"}, 400),
        ("max_concurrent_tasks", {"value": True}, 400),
        ("max_concurrent_tasks", {"value": None}, 400),
        ("max_concurrent_tasks", {"value": ["1"]}, 400),
        ("max_concurrent_tasks", {}, 400),
        ("max_concurrent_tasks", {"value": "1", "more": 1}, 400),
        ("max_concurrent_tasks", [], 400),
        ("max_concurrent_tasks", b"{", 400),
        ("max_concurrent_tasks", b'{"value": NaN}', 400),
        ("max_concurrent_tasks", b'{"value": 1e999}', 400),
        ("max_concurrent_tasks", b'{"value": ' + b"9" * 5000 + b"}", 400),
        ("max_concurrent_tasks", b'{"value": "\\ud800"}', 400),
        ("max_concurrent_tasks", None, 400),
        ("scripts_dir", {"value": "/no/such/folder"}, 400),
        ("scripts_dir", {"value": "/etc/passwd"}, 400),
        ("scripts_dir", {"value": "a\0b"}, 400),
        ("instance_id", {"value": "x"}, 400),
    ],
)
def test_a_bad_change_is_refused_with_a_sentence_and_changes_nothing(
    hub: HubProcess, key: str, body: object, status: int
) -> None:
    before = in_force(hub)
    answer = hub.http("PUT", f"/api/settings/{key}", body)
    assert answer.status == status, answer
    assert answer.json["error"].endswith(".")
    assert answer.json["code"]
    assert in_force(hub) == before


def test_settings_are_for_the_admin(hub: HubProcess, client: str) -> None:
    for method, path in (("GET", "/api/settings"), ("PUT", "/api/settings/leftover_policy")):
        body = {"value": "leave"} if method == "PUT" else None
        assert hub.http(method, path, body, cookie=client).status == 403
        assert hub.http(method, path, body, cookie="").status == 401
    assert in_force(hub)["leftover_policy"] == "end"


def test_an_admin_is_told_what_this_installation_is(hub: HubProcess, client: str) -> None:
    about = hub.get("/api/about")
    assert about["data_dir"] == str(hub.data_dir)
    assert about["version"] == toru.__version__
    assert about["database"] == f"SQLite {sqlite3.sqlite_version}"
    assert about["started_at"].endswith("Z")
    assert "password" not in str(about).lower()
    assert hub.http("GET", "/api/about", cookie=client).status == 403
