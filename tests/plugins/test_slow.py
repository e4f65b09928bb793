"""What takes its time by the protocol's own deadlines, all of it side by side on one hub.

Runs on: the test's thread and one more for each story, against a real hub.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.load import MachineLag
from tests.support.plugin_files import Plugins, is_alive, processes_of, say

LATE = ["bad-half-header", "bad-half-frame", "bad-drip", "bad-silent", "bad-late-35"]
LATE_V2 = ["bad-silent-v2", "bad-late-35-v2"]

HEALTHY_S = 6.0
"""What stands for the minute of health after which failures are forgotten."""
WELL_S = (5.0, 6.5, 0.0)
"""How long a plugin is well before its second to fourth crash."""

FAILING_SHELL = """#!/bin/sh
if [ "$1" = --metadata ]; then
    echo '{"id":"failing","name":"Failing","version":"1","route":"/failing"}'
    exit
fi
echo 'no licence found' >&2
exit 3
"""
TRAP_SHELL = """#!/bin/sh
if [ "$1" = --metadata ]; then
    echo '{"id":"never","name":"Never","version":"1","route":"/never"}'
    exit
fi
while :; do sleep 1; done
"""


class Stories:
    """What is under way, by name."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins
        self._pool = ThreadPoolExecutor(32)
        self._futures: dict[str, Future[Any]] = {}

    def begin(self, name: str, story: Callable[[], Any]) -> None:
        """Begin a story."""
        self._futures[name] = self._pool.submit(story)

    def end(self, name: str) -> Any:
        """Return what a story returns, once it does."""
        return self._futures[name].result(60)

    def close(self) -> None:
        """Wait for all."""
        self._pool.shutdown()


@pytest.fixture(scope="module")
def stories(plugins: Plugins, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stories]:
    """All stories, begun at once."""
    told = Stories(plugins)
    told.begin("hub gone", lambda: hub_gone(tmp_path_factory.mktemp("gone")))
    told.begin("health", lambda: crashes_around_health(tmp_path_factory.mktemp("health")))
    plugins.write("failing", FAILING_SHELL)
    plugins.write("never", TRAP_SHELL)
    plugins.put("bad-never-ready-v2", "bad-hello-silent-v2", "bad-slow-ready-31-v2")
    plugins.put(*LATE, *LATE_V2, "bad-half-frame-v2", "bad-echo-v2", "bad-ping-deaf-v2")
    plugins.put("bad-ignore-sigterm", "bad-ignore-sigterm-v2", "bad-ignore-shutdown-v2")
    plugins.put("bad-health-bad-v2", "quick-v2")
    plugins.ready(*LATE, *LATE_V2, "bad-half-frame-v2", "bad-echo-v2", "quick-v2")
    plugins.ready("bad-ignore-sigterm", "bad-ignore-sigterm-v2", "bad-ignore-shutdown-v2")
    for plugin_id in [*LATE, *LATE_V2, "bad-half-frame-v2"]:
        told.begin(plugin_id, lambda plugin_id=plugin_id: late_answer(plugins, plugin_id))
    told.begin("stopped", lambda: stopped_process(plugins))
    for plugin_id in ("bad-ignore-sigterm", "bad-ignore-sigterm-v2", "bad-ignore-shutdown-v2"):
        told.begin(plugin_id, lambda plugin_id=plugin_id: disabled(plugins, plugin_id))
    told.begin("lag", machine_lag)
    yield told
    told.close()


def late_answer(plugins: Plugins, plugin_id: str) -> tuple[int, float]:
    began = time.monotonic()
    answer = plugins.ask(plugin_id, "/x", timeout_s=45)
    return answer.status, time.monotonic() - began


def disabled(plugins: Plugins, plugin_id: str) -> tuple[int, float, bool]:
    pid = plugins.view(plugin_id)["pid"]
    began = time.monotonic()
    answer = plugins.wish(plugin_id, "disable")
    return answer.status, time.monotonic() - began, is_alive(pid)


def stopped_process(plugins: Plugins) -> list[str]:
    """Stop a process (SIGSTOP) and return its states until it is well again."""
    pid = plugins.view("bad-echo-v2")["pid"]
    os.kill(pid, signal.SIGSTOP)
    states = ["ready"]
    deadline = time.monotonic() + 45
    while time.monotonic() < deadline:
        view = plugins.view("bad-echo-v2")
        if view["state"] != states[-1]:
            states.append(view["state"])
        if view["state"] == "ready" and view["pid"] != pid:
            break
        time.sleep(0.05)  # the interval of the looks
    return states


def hub_gone(folder: Path) -> tuple[int, float]:
    """Kill a hub and return how many plugins it had and when the last of them has ended."""
    with HubProcess(folder) as hub:
        plugins = Plugins(hub)
        plugins.start("quick-v1", "quick-v2", "bad-echo")
        count = len(processes_of(plugins.folder))
        hub.kill()
        began = time.monotonic()
        wait_until(lambda: not processes_of(plugins.folder), timeout_s=25, what="the end of all")
        return count, time.monotonic() - began


def crashes_around_health(folder: Path) -> dict[str, list[tuple[float, int]]]:
    """Kill plugins before and after their failures are forgotten.

    Returns:
        For each plugin and each crash, how long it had been well, in seconds, and which failure in
        a row it was called.
    """
    with HubProcess(
        folder, TORU_PLUGIN_BACKOFF="0.01", TORU_PLUGIN_HEALTHY_S=str(HEALTHY_S)
    ) as hub:
        plugins = Plugins(hub)
        plugins.start("quick-v1", "quick-v2")
        with ThreadPoolExecutor(2) as pool:
            told = pool.map(
                lambda name: (name, crashes_of(plugins, name)), ("quick-v1", "quick-v2")
            )
            return dict(told)


def crashes_of(plugins: Plugins, plugin_id: str) -> list[tuple[float, int]]:
    for well_s in (0.0, *WELL_S):
        time.sleep(well_s)  # it is well for so long; nothing tells that it is
        pid = plugins.view(plugin_id)["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda pid=pid: plugins.view(plugin_id)["pid"] not in (pid, None), what="another"
        )
        plugins.ready(plugin_id)
    moments = [
        (one["event_type"], datetime.fromisoformat(one["timestamp"]), json.loads(one["details"]))
        for one in plugins.events(plugin_id)
    ]
    return [
        ((crash - ready).total_seconds(), details["failures"])
        for (_, ready, _), (kind, crash, details) in itertools.pairwise(moments)
        if kind == "crashed"
    ]


def machine_lag() -> float:
    with MachineLag() as lag:
        time.sleep(30)
    return lag.p99_s


def crash_times(plugins: Plugins, plugin_id: str) -> list[float]:
    events = [one for one in plugins.events(plugin_id) if one["event_type"] == "crashed"]
    return [datetime.fromisoformat(one["timestamp"]).timestamp() for one in events]


@pytest.mark.parametrize("plugin_id", ["bad-ignore-sigterm", "bad-ignore-sigterm-v2"])
def test_who_ignores_shutdown_and_sigterm_is_killed(stories: Stories, plugin_id: str) -> None:
    status, seconds, alive = stories.end(plugin_id)
    assert (status, alive) == (200, False)
    assert 9.5 < seconds < 13  # 5 s after shutdown, 5 s after SIGTERM
    assert '"exit_code": -9' in stories.plugins.events(plugin_id)[-1]["details"]


def test_who_ignores_shutdown_is_ended_by_sigterm(stories: Stories) -> None:
    status, seconds, alive = stories.end("bad-ignore-shutdown-v2")
    assert (status, alive) == (200, False)
    assert 4.5 < seconds < 8
    assert '"exit_code": -15' in stories.plugins.events("bad-ignore-shutdown-v2")[-1]["details"]


def test_no_plugin_outlives_a_hub_that_is_gone_for_ten_seconds(stories: Stories) -> None:
    count, seconds = stories.end("hub gone")
    say(f"the last plugin ended {seconds:.1f} s after the hub")
    assert count == 3
    assert 8 < seconds < 17


def test_half_a_frame_of_version_2_ends_the_connection_after_ten_seconds(stories: Stories) -> None:
    status, seconds = stories.end("bad-half-frame-v2")
    assert status == 502
    assert 9.5 < seconds < 13


def test_a_plugin_that_never_answers_hello_is_ended_after_five_seconds(stories: Stories) -> None:
    plugins = stories.plugins
    wait_until(lambda: crash_times(plugins, "bad-hello-silent-v2"), what="the crash")
    assert "hello within 5 seconds" in plugins.events("bad-hello-silent-v2")[0]["details"]


def test_a_stopped_process_gets_unhealthy_is_killed_and_started_again(stories: Stories) -> None:
    states = stories.end("stopped")
    assert states[:2] == ["ready", "unhealthy"]
    assert states[-1] == "ready"
    plugins = stories.plugins
    events = [one for one in plugins.events("bad-echo-v2") if one["event_type"] == "crashed"]
    assert "did not answer 3 times" in events[0]["details"]
    assert plugins.ask("bad-echo-v2").status == 200


def test_a_plugin_that_answers_no_ping_is_restarted_too(stories: Stories) -> None:
    plugins = stories.plugins
    wait_until(lambda: crash_times(plugins, "bad-ping-deaf-v2"), timeout_s=40, what="the crash")
    assert "did not answer 3 times" in plugins.events("bad-ping-deaf-v2")[1]["details"]


@pytest.mark.parametrize("plugin_id", [*LATE, *LATE_V2])
def test_no_answer_within_thirty_seconds_is_504(stories: Stories, plugin_id: str) -> None:
    status, seconds = stories.end(plugin_id)
    assert status == 504
    assert 29.5 < seconds < 33
    assert stories.plugins.ask(plugin_id).status == 200


@pytest.mark.parametrize("plugin_id", ["never", "bad-never-ready-v2"])
def test_who_is_not_ready_within_thirty_seconds_is_ended(stories: Stories, plugin_id: str) -> None:
    plugins = stories.plugins
    wait_until(lambda: crash_times(plugins, plugin_id), timeout_s=40, what="the crash")
    assert "not ready within 30 seconds" in plugins.events(plugin_id)[0]["details"]


def test_status_extends_the_start(stories: Stories) -> None:
    stories.plugins.wait("bad-slow-ready-31-v2", "ready", timeout_s=40)
    assert stories.plugins.event_types("bad-slow-ready-31-v2") == ["started"]


def test_a_bad_health_marks_the_plugin_and_never_restarts_it(stories: Stories) -> None:
    plugins = stories.plugins
    view = wait_until(
        lambda: (found := plugins.view("bad-health-bad-v2"))["degraded"] and found,
        timeout_s=40,
        what="the health",
    )
    assert view["state"] == "ready"
    assert "the disk is slow" in view["reason"]
    assert plugins.ask("bad-health-bad-v2").status == 200
    assert plugins.event_types("bad-health-bad-v2") == ["started"]


def test_pauses_between_restarts_are_1_2_4_8_16_seconds(stories: Stories) -> None:
    plugins = stories.plugins
    wait_until(
        lambda: len(crash_times(plugins, "failing")) >= 6, timeout_s=50, what="the sixth failure"
    )
    times = crash_times(plugins, "failing")
    pauses = [after - before for before, after in itertools.pairwise(times)][:5]
    late = [pause - wanted for pause, wanted in zip(pauses, [1, 2, 4, 8, 16], strict=True)]
    slack_s = 3 * stories.end("lag")
    say(f"late by {[f'{one * 1000:.0f} ms' for one in late]}, machine {slack_s * 1000:.0f} ms")
    assert all(-0.01 < one < 0.2 + slack_s for one in late), late
    first = plugins.events("failing")[0]
    assert "exited with code 3" in first["details"]
    assert "no licence found" in first["details"]
    assert "started again in 16 s" in plugins.supervisor_log()


@pytest.mark.parametrize("plugin_id", ["quick-v1", "quick-v2"])
def test_failures_are_forgotten_by_who_was_well_long_enough_and_by_nobody_else(
    stories: Stories, plugin_id: str
) -> None:
    crashes = stories.end("health")[plugin_id]
    say(f"well for {[f'{well_s:.2f} s' for well_s, _ in crashes]}")
    just_before, just_after = crashes[1:3]
    assert just_before[0] < HEALTHY_S < just_after[0]
    assert [failures for _, failures in crashes] == [1, 2, 1, 2]


def test_the_quick_one_beside_them_was_never_troubled(stories: Stories) -> None:
    assert stories.plugins.event_types("quick-v2") == ["started"]
    assert len(processes_of(stories.plugins.folder)) > 5
