"""Plugins that die, alone and together: who waits is told at once, and the next request works.

Runs on: the test's thread and those that load, against real hubs.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time

import psutil
import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.load import runner_pid
from tests.support.plugin_files import Plugins, is_alive, kill, processes_of, say

TOLD_S = 0.05
SLACK_S = 0.25
"""What a machine that has other work may add."""
MANY = [f"quick-many{number}-v{1 + number % 2}" for number in range(50)]


@pytest.fixture(scope="module", autouse=True)
def started(plugins: Plugins) -> None:
    """All that a test starts, begun together."""
    plugins.put("bad-slow-20", "bad-slow-20-v2", "bad-crash", "bad-crash-v2", "bad-crash-half-v2")
    plugins.put("bad-exit-at-once-78", *MANY)
    for name in MANY:
        plugins.wait(name, "ready", timeout_s=60)


def ended_at(pid: int) -> float:
    """Return the moment when a process is gone or waits to be reaped."""
    while is_alive(pid):
        time.sleep(0.0005)  # the resolution of the measurement
    return time.monotonic()


@pytest.mark.parametrize("plugin_id", ["bad-slow-20", "bad-slow-20-v2"])
def test_kill_9_under_load_fails_every_waiting_request_at_once(
    plugins: Plugins, plugin_id: str
) -> None:
    plugins.start(plugin_id)
    pid = plugins.view(plugin_id)["pid"]
    done: list[tuple[int, float]] = []

    def ask() -> None:
        answer = plugins.ask(plugin_id, "/x")
        done.append((answer.status, time.monotonic()))

    threads = [threading.Thread(target=ask) for _ in range(60)]
    for thread in threads:
        thread.start()
    time.sleep(0.7)  # until all are with the plugin, which tells nobody
    with plugins.hub.websocket() as client:
        client.send({"type": "subscribe", "topics": ["plugins"]})
        client.send({"type": "ping"})
        client.read_until("pong")
        os.kill(pid, signal.SIGKILL)
        died = ended_at(pid)
        told = crashed_event_at(client, plugin_id)
    for thread in threads:
        thread.join()
    late_s = sorted(moment - died for _, moment in done)
    say(
        f"{plugin_id}: {len(done)} requests failed {late_s[0] * 1000:.0f} to "
        f"{late_s[-1] * 1000:.0f} ms after the death, event after {(told - died) * 1000:.0f} ms"
    )
    assert [status for status, _ in done] == [502] * 60
    assert late_s[-1] < TOLD_S + SLACK_S
    assert told - died < TOLD_S + SLACK_S
    plugins.ready(plugin_id)
    assert plugins.ask(plugin_id).status == 200
    plugins.has_lived(plugin_id, "started", "crashed", "restarted")
    assert "was ended by SIGKILL" in plugins.events(plugin_id)[1]["details"]


def crashed_event_at(client: object, plugin_id: str) -> float:
    """Return when the ``crashed`` event came over the WebSocket."""
    while True:
        data = client.read_until("event")["data"]  # type: ignore[attr-defined]
        is_own = data.get("type") == "event" and data.get("plugin") == plugin_id
        if is_own and data["event"]["event_type"] == "crashed":
            return time.monotonic()


@pytest.mark.parametrize("plugin_id", ["bad-crash", "bad-crash-v2", "bad-crash-half-v2"])
def test_a_request_that_kills_its_plugin_is_502(plugins: Plugins, plugin_id: str) -> None:
    plugins.start(plugin_id)
    began = time.monotonic()
    assert plugins.ask(plugin_id, "/x").status == 502
    assert time.monotonic() - began < 1
    assert plugins.ask(plugin_id).status in (502, 503)
    plugins.ready(plugin_id)
    assert plugins.ask(plugin_id).status == 200


def test_fifty_that_crash_together_all_come_back(plugins: Plugins) -> None:
    pids = {name: plugins.view(name)["pid"] for name in MANY}
    for pid in pids.values():
        kill(pid)
    began = time.monotonic()
    assert plugins.hub.get("/api/health") == {"status": "ok"}
    assert time.monotonic() - began < 1
    for name in MANY:
        wait_until(
            lambda name=name: (
                (view := plugins.view(name))
                and view["state"] == "ready"
                and view["pid"] != pids[name]
            ),
            timeout_s=60,
            what=name,
        )
    say(f"fifty were back after {time.monotonic() - began:.1f} s")
    for name in MANY:
        assert plugins.ask(name).status == 200
        plugins.has_lived(name, "started", "crashed", "restarted")
    assert len(processes_of(plugins.folder)) >= 50


def test_the_tenth_failure_in_a_row_disables_and_says_so(own_hub: HubProcess) -> None:
    own_hub.environment["TORU_PLUGIN_BACKOFF"] = "0.01"
    own_hub.start()
    own_hub.log_in()
    plugins = Plugins(own_hub)
    plugins.put("bad-exit-at-once-7")
    view = plugins.wait("bad-exit-at-once-7", "disabled")
    assert (view["enabled"], view["health"], view["running"]) == (False, "disabled", False)
    assert "failed 10 times in a row and is disabled" in view["reason"]
    assert "exited with code 7" in view["reason"]
    assert "the licence file is missing" in view["reason"]
    told = ["crashed"] * 10 + ["disabled"]
    wait_until(lambda: plugins.event_types("bad-exit-at-once-7") == told, what="the events")
    last = json.loads(plugins.events("bad-exit-at-once-7")[-1]["details"])
    assert "10 times in a row" in last["reason"]

    def logged() -> bool:
        lines = map(json.loads, plugins.supervisor_log().splitlines())
        return any(
            line["level"] == "error"
            and line["plugin"] == "bad-exit-at-once-7"
            and "10 times in a row" in line["message"]
            for line in lines
        )

    wait_until(logged, what="the line in the supervisor's log")
    config = json.loads((plugins.folder / ".metadata" / "config.json").read_text())
    assert config["plugins"] == {"bad-exit-at-once-7": False}
    assert plugins.ask("bad-exit-at-once-7").status == 404
    assert plugins.view("bad-exit-at-once-7")["figures"]["restarts"] == 9  # it never got ready
    answer = plugins.wish("bad-exit-at-once-7", "enable")  # it fails again, and says so
    assert (answer.status, answer.json["code"]) == (502, "start_failed")
    assert "exited with code 7" in answer.json["error"]


def test_stop_and_wishes_during_backoff_are_obeyed(own_hub: HubProcess) -> None:
    own_hub.environment["TORU_PLUGIN_BACKOFF"] = "100"
    own_hub.start()
    own_hub.log_in()
    plugins = Plugins(own_hub)
    plugins.put("bad-flaky-1", "bad-exit-at-once-1", "bad-exit-at-once-2")
    for name in ("bad-flaky-1", "bad-exit-at-once-1", "bad-exit-at-once-2"):
        plugins.wait(name, "backoff")
    answer = plugins.ask("bad-flaky-1")
    assert (answer.status, answer.json["code"]) == (503, "plugin_down")
    assert plugins.wish("bad-flaky-1", "restart").status == 200  # it does not wait 100 s
    assert plugins.ask("bad-flaky-1").status == 200
    assert plugins.wish("bad-exit-at-once-1", "disable").status == 200
    began = time.monotonic()
    assert own_hub.stop() == 0
    assert time.monotonic() - began < 8


def test_exit_code_78_means_that_it_needs_configuration(plugins: Plugins) -> None:
    view = plugins.wait("bad-exit-at-once-78", "broken")
    assert "needs configuration" in view["reason"]
    assert "the licence file is missing" in view["reason"]
    assert plugins.event_types("bad-exit-at-once-78") == ["crashed"]


def test_a_runner_that_dies_takes_the_plugins_along_and_they_come_back(own_hub: HubProcess) -> None:
    own_hub.start()
    own_hub.log_in()
    plugins = Plugins(own_hub)
    plugins.start("quick-v1", "quick-v2")
    pids = {name: plugins.view(name)["pid"] for name in ("quick-v1", "quick-v2")}
    psutil.Process(runner_pid(own_hub)).kill()
    for name, pid in pids.items():
        wait_until(
            lambda name=name, pid=pid: (
                (view := plugins.view(name))["state"] == "ready" and view["pid"] != pid
            ),
            timeout_s=30,
            what=f"the return of {name}",
        )
        assert not is_alive(pid)
        assert plugins.ask(name).status == 200
    assert len(processes_of(plugins.folder)) == 2


def test_after_a_restart_of_the_hub_there_is_one_new_process(own_hub: HubProcess) -> None:
    own_hub.start()
    own_hub.log_in()
    plugins = Plugins(own_hub)
    plugins.start("quick-v1", "quick-v2", "bad-echo-v2")
    assert plugins.wish("quick-v1", "disable").status == 200
    old = {process.pid for process in processes_of(plugins.folder)}
    own_hub.kill()
    removed = plugins.folder / "quick-v2.binary"
    kept = removed.rename(plugins.folder / "kept")
    own_hub.start()  # before the ten seconds are over
    own_hub.log_in()
    plugins.wait("bad-echo-v2", "ready")
    wait_until(
        lambda: not old & {process.pid for process in processes_of(plugins.folder)},
        what="the end of the old processes",
    )
    assert len(processes_of(plugins.folder)) == 1
    assert plugins.view("quick-v1")["state"] == "disabled"
    assert plugins.ask("bad-echo-v2").status == 200
    kept.rename(removed)
    plugins.ready("quick-v2")


def test_a_regular_stop_leaves_nothing_and_is_quick(own_hub: HubProcess) -> None:
    own_hub.start()
    own_hub.log_in()
    plugins = Plugins(own_hub)
    plugins.start("quick-v1", "quick-v2", "bad-slow-1-v2", "bad-grandchild")
    began = time.monotonic()
    assert own_hub.stop() == 0
    took_s = time.monotonic() - began
    say(f"the hub stopped within {took_s:.1f} s")
    assert took_s < 10
    assert not processes_of(plugins.folder)
