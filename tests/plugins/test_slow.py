"""What takes its time by the protocol's own deadlines; `slow_stories` makes it happen.

The stories begin before the other tests of plugins, which fill the time. Runs on: the test's
thread, against real hubs.
"""

from __future__ import annotations

import itertools
from datetime import datetime

import pytest

from tests.plugins.slow_stories import HEALTHY_S, LATE, LATE_V2, Stories
from tests.support.hub import wait_until
from tests.support.plugin_files import Plugins, processes_of, say


@pytest.fixture(scope="module")
def stories(begun: Stories | None) -> Stories:
    """All stories."""
    assert begun is not None
    return begun


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
