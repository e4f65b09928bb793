"""Plugins that break the protocol while they answer: a clear refusal, and nobody else is harmed.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import http.client
import time

import pytest

from tests.support.hub import wait_until
from tests.support.plugin_files import Plugins

BACKOFF = "0.05"

# What a fault does to the connection of version 2: the plugin is ended and started again.
ENDING_V2 = [
    "length-0",
    "length-max",
    "half-frame-close",
    "half-header-close",
    "bad-json",
    "not-object",
    "wrong-id",
    "close",
    "data-frame",
    "huge",
    "call-odd",
    "call-twice",
    "data-before-head",
    "second-head",
]
# Likewise; the sentence says of which credit there was too little.
FLOW_V2 = {"flow": "has data beyond its credit", "flow-connection": "the connection's credit"}
# What fails one request only.
FAILING_V2 = ["crlf-header", "status-99", "status-600", "no-status", "half-character", "error"]
FAILING_V1 = [
    "length-0",
    "length-max",
    "half-frame-close",
    "half-header-close",
    "bad-json",
    "not-object",
    "wrong-id",
    "close",
    "data-frame",
    "huge",
    "crlf-header",
    "status-99",
    "status-600",
    "no-status",
    "half-character",
]


def names(modes: list[str], suffix: str = "") -> list[str]:
    return [f"bad-{mode}{suffix}" for mode in modes]


@pytest.fixture(scope="module")
def running(plugins: Plugins) -> Plugins:
    """All of them."""
    plugins.put(*names(FAILING_V1), *names(FAILING_V2 + ENDING_V2, "-v2"))
    plugins.put("bad-repeated", "bad-repeated-v2", "bad-unknown-type", "bad-unknown-type-v2")
    plugins.put("bad-call-flood-v2", "bad-data-after-end-v2", *names([*FLOW_V2], "-v2"))
    plugins.ready(*names(FAILING_V1), *names(FAILING_V2 + ENDING_V2, "-v2"))
    plugins.ready("bad-repeated", "bad-repeated-v2", "bad-unknown-type", "bad-unknown-type-v2")
    plugins.ready("bad-call-flood-v2", "bad-data-after-end-v2", *names([*FLOW_V2], "-v2"))
    return plugins


@pytest.mark.parametrize("plugin_id", names(FAILING_V1) + names(FAILING_V2, "-v2"))
def test_a_broken_answer_is_502_and_the_plugin_goes_on(running: Plugins, plugin_id: str) -> None:
    pid = running.view(plugin_id)["pid"]
    began = time.monotonic()
    answer = running.ask(plugin_id, "/x")
    assert answer.status == 502, answer
    assert answer.json["error"].endswith((".", "…")), answer.json
    assert time.monotonic() - began < 5
    assert "session_id" not in str(answer.headers)
    assert running.ask(plugin_id).status == 200
    assert running.view(plugin_id)["pid"] == pid
    assert running.view(plugin_id)["figures"]["errors"] == 1


@pytest.mark.parametrize("plugin_id", names(ENDING_V2, "-v2"))
def test_a_broken_connection_of_version_2_is_502_and_a_restart(
    running: Plugins, plugin_id: str
) -> None:
    pid = running.view(plugin_id)["pid"]
    if plugin_id == "bad-second-head-v2":  # the first has reached the browser already
        with pytest.raises(http.client.IncompleteRead):
            running.ask(plugin_id, "/x")
    else:
        answer = running.ask(plugin_id, "/x")
        assert answer.status == 502, answer
    view = running.wait(plugin_id, "backoff", "ready")
    running.ready(plugin_id)
    assert running.view(plugin_id)["pid"] != pid
    assert running.ask(plugin_id).status == 200
    crashed = [one for one in running.events(plugin_id) if one["event_type"] == "crashed"]
    assert len(crashed) == 1, view
    assert "It " in crashed[0]["details"]


@pytest.mark.parametrize("mode", FLOW_V2)
def test_data_beyond_the_credit_cuts_the_answer_off_and_is_a_restart(
    running: Plugins, mode: str
) -> None:
    plugin_id = f"bad-{mode}-v2"
    pid = running.view(plugin_id)["pid"]
    with pytest.raises(http.client.IncompleteRead):
        running.ask(plugin_id, "/x")
    wait_until(lambda: running.view(plugin_id)["pid"] not in (pid, None), what="the restart")
    running.ready(plugin_id)
    assert running.ask(plugin_id).status == 200
    running.has_lived(plugin_id, "started", "crashed", "restarted")
    assert FLOW_V2[mode] in running.events(plugin_id)[1]["details"]


def test_data_after_the_end_of_its_body_is_dropped(running: Plugins) -> None:
    pid = running.view("bad-data-after-end-v2")["pid"]
    for _ in range(5):
        answer = running.ask("bad-data-after-end-v2", "/x")
        assert (answer.status, answer.body) == (200, b"x" * 32)
    assert running.ask("bad-data-after-end-v2").status == 200
    assert running.view("bad-data-after-end-v2")["pid"] == pid


@pytest.mark.parametrize("version", ["", "-v2"])
def test_an_answer_that_comes_twice_counts_once(running: Plugins, version: str) -> None:
    plugin_id = f"bad-repeated{version}"
    pid = running.view(plugin_id)["pid"]
    for number in range(10):
        answer = running.ask(plugin_id, f"/x{number}")
        assert (answer.status, answer.json["path"]) == (200, f"/x{number}")
    assert running.view(plugin_id)["pid"] == pid


@pytest.mark.parametrize("version", ["", "-v2"])
def test_a_message_of_an_unknown_type_does_no_harm(running: Plugins, version: str) -> None:
    assert running.ask(f"bad-unknown-type{version}", "/x").status == 200


def test_a_flood_of_calls_is_refused_call_by_call(running: Plugins) -> None:
    pid = running.view("bad-call-flood-v2")["pid"]
    assert running.ask("bad-call-flood-v2", "/x").status == 200
    assert running.ask("bad-call-flood-v2").status == 200
    assert running.view("bad-call-flood-v2")["pid"] == pid
