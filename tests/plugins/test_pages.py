"""Whether a plugin has a page: a file, or its own answer, which nothing else waits for.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import Plugins
from tests.support.websocket import WebSocket

SERVED = ["quick-page-v1", "quick-page-v2"]
NONE = ["bad-echo", "bad-echo-v2"]
SILENT = ["bad-silent-bundle", "bad-silent-bundle-v2"]
DEADLY = ["bad-dies-of-bundle", "bad-dies-of-bundle-v2"]


@pytest.fixture(scope="module", autouse=True)
def started(plugins: Plugins) -> None:
    """All that a test needs, begun together."""
    plugins.put(*SERVED, *NONE, *SILENT, *DEADLY)


def wait_page(plugins: Plugins, plugin_id: str, has_page: bool) -> None:
    """Wait until the hub says that a plugin has a page, or has none."""
    wait_until(
        lambda: plugins.view(plugin_id).get("has_page") is has_page,
        what=f"has_page of {plugin_id} {has_page}",
    )


def told_of(client: WebSocket, plugin_id: str) -> dict[str, Any]:
    """Return the next view of a plugin that is told live."""
    while True:
        plugin = client.read_until("event")["data"].get("plugin")
        if isinstance(plugin, dict) and plugin["id"] == plugin_id:
            return plugin


def test_who_answers_for_a_bundle_has_a_page_and_a_file_makes_one_for_anybody(
    plugins: Plugins, hub: HubProcess
) -> None:
    plugins.ready(*SERVED, *NONE)
    for name in SERVED:
        wait_page(plugins, name, True)
        assert plugins.view(name)["figures"]["requests"] == 0
    assert [plugins.view(name)["has_page"] for name in NONE] == [False, False]
    with hub.websocket() as client:
        client.send({"type": "subscribe", "topics": ["plugin-states"]})
        client.send({"type": "ping"})
        client.read_until("pong")
        folder = plugins.folder / "bad-echo"
        folder.mkdir()
        (folder / "bundle.js").write_text("window.ToruPlugins = {};")
        assert told_of(client, "bad-echo")["has_page"]
        assert plugins.all()["bad-echo"]["has_page"]
        (folder / "bundle.js").unlink()
        (folder / "bundle.js").symlink_to("/etc/hostname")  # which is none of the folder's
        assert not told_of(client, "bad-echo")["has_page"]
    assert plugins.wish("quick-page-v2", "disable").status == 200
    assert plugins.view("quick-page-v2")["has_page"]  # there is one; it is not served now


def test_one_that_never_answers_for_a_bundle_is_ready_listed_and_stopped_at_once(
    plugins: Plugins,
) -> None:
    plugins.ready(*SILENT)
    for name in SILENT:
        began = time.monotonic()
        listed = plugins.all()[name]
        assert (listed["state"], listed["has_page"]) == ("ready", False)
        assert plugins.ask(name).status == 200
        assert plugins.wish(name, "restart").status == 200  # while it is being asked
        assert time.monotonic() - began < 4


def test_one_that_dies_of_the_question_is_asked_once(plugins: Plugins) -> None:
    for name in DEADLY:
        wait_until(
            lambda name=name: plugins.event_types(name)[-1:] == ["restarted"], what="its restart"
        )
        assert plugins.ask(name).status == 200
        view = plugins.view(name)
        assert (view["state"], view["has_page"], view["figures"]["restarts"]) == ("ready", False, 1)
        plugins.has_lived(name, "started", "crashed", "restarted")
