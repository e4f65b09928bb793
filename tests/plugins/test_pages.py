"""Whether a plugin has a page: a file, its word, or what it answered to somebody who looked.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.hub import HubProcess
from tests.support.plugin_files import QUICK, Plugins
from tests.support.websocket import WebSocket

ECHO = ["bad-echo", "bad-echo-v2"]


@pytest.fixture(scope="module", autouse=True)
def started(plugins: Plugins) -> None:
    """All that a test needs, begun together."""
    offering = QUICK.replace('"features": ["http"]', '"features": ["http", "bundle"]')
    assert offering != QUICK
    plugins.put(*ECHO, "quick-v1", "quick-v2")
    plugins.write("quick-offering-v2", offering)
    plugins.ready(*ECHO, "quick-v1", "quick-v2", "quick-offering-v2")


def told_of(client: WebSocket, plugin_id: str) -> dict[str, Any]:
    """Return the next view of a plugin that is told live."""
    while True:
        plugin = client.read_until("event")["data"].get("plugin")
        if isinstance(plugin, dict) and plugin["id"] == plugin_id:
            return plugin


def test_nobody_is_asked_for_a_page_before_somebody_looks(
    plugins: Plugins, hub: HubProcess
) -> None:
    listed = plugins.all()
    assert {name: view["has_page"] for name, view in listed.items()} == {
        **dict.fromkeys([*ECHO, "quick-v1", "quick-v2"]),
        "quick-offering-v2": True,
    }
    assert {view["figures"]["requests"] for view in listed.values()} == {0}
    with hub.websocket() as client:
        client.send({"type": "subscribe", "topics": ["plugin-states"]})
        client.send({"type": "ping"})
        client.read_until("pong")
        assert hub.http("GET", "/api/plugins/quick-v2/bundle.js").status == 200
        assert told_of(client, "quick-v2")["has_page"] is True
        assert hub.http("GET", "/api/plugins/bad-echo-v2/bundle.js").status == 404
        assert told_of(client, "bad-echo-v2")["has_page"] is False


def test_the_file_of_a_bundle_makes_a_page_for_anybody(plugins: Plugins, hub: HubProcess) -> None:
    with hub.websocket() as client:
        client.send({"type": "subscribe", "topics": ["plugin-states"]})
        client.send({"type": "ping"})
        client.read_until("pong")
        folder = plugins.folder / "bad-echo"
        folder.mkdir()
        (folder / "bundle.js").write_text("window.ToruPlugins = {};")
        assert told_of(client, "bad-echo")["has_page"] is True
        assert plugins.all()["bad-echo"]["has_page"] is True
        (folder / "bundle.js").unlink()
        (folder / "bundle.js").symlink_to("/etc/hostname")  # which is none of the folder's
        assert told_of(client, "bad-echo")["has_page"] is None


def test_another_binary_is_another_plugin(plugins: Plugins, hub: HubProcess) -> None:
    assert hub.http("GET", "/api/plugins/quick-v1/bundle.js").status == 200
    assert plugins.view("quick-v1")["has_page"] is True
    with hub.websocket() as client:
        client.send({"type": "subscribe", "topics": ["plugin-states"]})
        client.send({"type": "ping"})
        client.read_until("pong")
        plugins.write("quick-v1", QUICK + "\n")
        while told_of(client, "quick-v1")["has_page"] is not None:
            pass
