"""The life of a plugin, walked by hand: every rule of the contract once."""

from __future__ import annotations

from typing import TypeVar

import pytest

from toru.domain import plugin_life as life
from toru.domain.plugin_failures import backoff_s
from toru.domain.plugin_life import PluginState, request_error
from toru.domain.plugin_lifecycle import decide

I = TypeVar("I")  # noqa: E741 - an instruction


class Walk:
    """A plugin on a clock that is set by hand."""

    def __init__(self, *, enabled: bool = True, protocol: int = 1, boot: bool = True) -> None:
        self.state = PluginState(enabled=enabled, protocol=protocol)
        self.now = 100.0
        self.all: list[life.Instruction] = []
        if boot:
            self.do(life.Boot())

    def do(self, *events: life.Event) -> list[life.Instruction]:
        """Return what the last event has led to."""
        made: tuple[life.Instruction, ...] = ()
        for event in events:
            self.state, made = decide(self.state, event, self.now)
            self.all += made
        return list(made)

    def spawned(self) -> list[life.Instruction]:
        return self.do(life.Spawned(self.state.spawn, 4000 + self.state.spawn))

    def ready(self) -> list[life.Instruction]:
        self.spawned()
        return self.do(life.BecameReady(self.state.spawn))

    def exit(self, code: int | None = 1) -> list[life.Instruction]:
        return self.do(life.Exited(self.state.spawn, code))

    def fire(self) -> list[life.Instruction]:
        """Let the timer run down."""
        kind = self.state.timer
        assert kind is not None
        return self.do(life.TimerFired(kind, self.state.serial))

    def events(self) -> list[str]:
        return [made.event_type for made in of(life.RecordEvent, self.all)]

    def answers(self) -> list[tuple[str, str]]:
        return [
            (made.ask.token, made.refusal.code if made.refusal else "ok")
            for made in of(life.Answer, self.all)
        ]


def of(kind: type[I], made: list[life.Instruction]) -> list[I]:
    return [one for one in made if isinstance(one, kind)]


def names(made: list[life.Instruction]) -> list[str]:
    return [type(one).__name__ for one in made]


def running(*, protocol: int = 1) -> Walk:
    walk = Walk(protocol=protocol)
    walk.ready()
    assert walk.state.phase == "ready"
    return walk


# Starting


def test_an_enabled_plugin_starts_connects_and_becomes_ready() -> None:
    walk = Walk()
    assert walk.all == [life.Spawn(1, 1), life.TellManager()]
    assert walk.spawned() == [
        life.Connect(1, 1),
        life.ArmTimer("start", 30.0, 1),
        life.TellManager(),
    ]
    assert walk.state.phase == "starting"
    made = walk.do(life.BecameReady(1))
    assert made[0] == life.CancelTimer("start")
    assert made[1] == life.RecordEvent("started", {"pid": 4001, "protocol": 1})
    assert (walk.state.phase, walk.state.health) == ("ready", "healthy")
    assert walk.state.timer is None


def test_a_disabled_plugin_is_not_started_at_boot_and_nothing_is_written() -> None:
    walk = Walk(enabled=False)
    assert walk.all == [life.TellManager()]
    assert (walk.state.phase, walk.state.health) == ("disabled", "disabled")


def test_what_an_earlier_hub_has_left_goes_before_anything_starts() -> None:
    walk = Walk(boot=False)
    made = walk.do(life.Boot(leftover=True))
    assert "Spawn" not in names(made)
    assert life.Terminate() in made
    assert life.Kill() in walk.fire()
    assert life.Spawn(1, 1) in walk.exit(-9)
    assert walk.events() == []


def test_a_start_that_takes_too_long_is_ended_and_counts_as_a_failure() -> None:
    walk = Walk()
    walk.spawned()
    walk.now += 30
    made = walk.fire()
    assert life.Terminate() in made
    assert walk.state.phase == "stopping"
    assert life.Kill() in walk.fire()
    walk.exit(-9)
    assert (walk.state.phase, walk.state.failures) == ("backoff", 1)
    assert walk.events() == ["crashed"]
    assert "not ready within 30 seconds" in (walk.state.reason or "")


def test_a_plugin_can_ask_for_more_time_up_to_ten_minutes() -> None:
    walk = Walk(protocol=2)
    walk.spawned()
    walk.now += 20
    assert of(life.ArmTimer, walk.do(life.StartExtended(1, 5))) == []
    assert of(life.ArmTimer, walk.do(life.StartExtended(1, 60)))[0].delay_s == 60
    assert walk.do(life.TimerFired("start", 1)) == []
    walk.now += 50
    assert of(life.ArmTimer, walk.do(life.StartExtended(1, 9999)))[0].delay_s == 530
    walk.now += 529
    assert of(life.ArmTimer, walk.do(life.StartExtended(1, 60))) == []
    assert walk.do(life.BecameReady(1))
    assert walk.do(life.StartExtended(1, 60)) == []


def test_a_spawn_that_is_refused_is_tried_again() -> None:
    walk = Walk()
    made = walk.do(life.SpawnRefused(1, "There are too many processes."))
    assert walk.state.phase == "backoff"
    assert of(life.RecordEvent, made)[0].details["reason"] == "There are too many processes."
    assert life.Spawn(2, 1) in walk.fire()


# Failing


def test_the_backoff_is_1_2_4_8_16_16_seconds() -> None:
    assert [backoff_s(n) for n in range(1, 9)] == [1, 2, 4, 8, 16, 16, 16, 16]
    assert backoff_s(10**9) == 16


def test_the_tenth_failure_in_a_row_disables_and_says_so() -> None:
    walk, delays = Walk(), []
    for failure in range(1, 11):
        walk.ready()
        made = walk.exit(1)
        assert walk.state.failures == failure
        delays += [timer.delay_s for timer in of(life.ArmTimer, made) if timer.kind == "backoff"]
        if failure < 10:
            walk.fire()
    assert delays == [1, 2, 4, 8, 16, 16, 16, 16, 16]
    assert (walk.state.phase, walk.state.enabled, walk.state.timer) == ("disabled", False, None)
    assert life.PersistEnabled(False) in made
    assert any(
        line.level == "error" and "10 times" in line.message for line in of(life.LogLine, made)
    )
    assert "10 times in a row" in (walk.state.reason or "")
    assert walk.events() == ["started", *["crashed", "restarted"] * 9, "crashed", "disabled"]
    assert walk.state.restarts == 9


def test_restarts_count_each_start_after_a_pause_and_no_other() -> None:
    walk = Walk()
    for _ in range(3):
        walk.exit(1)  # before it is ready
        walk.fire()
    assert walk.state.restarts == 3
    walk.exit(1)
    walk.do(life.Enable("a"))  # the pause is cut short by a person
    walk.ready()
    walk.do(life.Restart("b"))
    walk.exit(0)
    walk.ready()
    assert (walk.state.spawn, walk.state.restarts) == (6, 3)


def test_jitter_only_stretches_the_backoff() -> None:
    walk = running()
    _, made = decide(walk.state, life.Exited(1, 1), walk.now, 1.2)
    assert of(life.ArmTimer, list(made))[0].delay_s == pytest.approx(1.2)


def test_enabling_after_the_tenth_failure_counts_from_the_beginning() -> None:
    walk = Walk()
    for _ in range(10):
        walk.exit(1)
        if walk.state.timer:
            walk.fire()
    walk.do(life.Enable("a"))
    assert (walk.state.phase, walk.state.failures) == ("starting", 0)
    walk.exit(1)
    assert (walk.state.phase, walk.state.failures) == ("backoff", 1)
    assert walk.answers() == [("a", "start_failed")]


@pytest.mark.parametrize(("lived_s", "failures"), [(59.9, 4), (60.0, 1), (61.0, 1)])
def test_a_crash_just_before_the_count_resets_counts_on_and_just_after_it_begins_anew(
    lived_s: float, failures: int
) -> None:
    walk = Walk()
    for _ in range(3):
        walk.ready()
        walk.exit(1)
        walk.fire()
    walk.ready()
    walk.now += lived_s
    walk.exit(1)
    assert walk.state.failures == failures


def test_the_count_resets_by_itself_after_a_minute_of_health() -> None:
    walk = running()
    walk.exit(1)
    walk.fire()
    walk.ready()
    assert walk.state.timer == "healthy"
    assert walk.fire() == [life.TellManager()]
    assert (walk.state.failures, walk.state.timer) == (0, None)


def test_a_missed_ping_begins_the_minute_of_health_anew() -> None:
    walk = running()
    walk.exit(1)
    walk.fire()
    walk.ready()
    walk.now += 40
    assert life.CancelTimer("healthy") in walk.do(life.PingMissed(2))
    made = walk.do(life.Healthy(2))
    assert of(life.ArmTimer, made)[0].delay_s == 60
    walk.now += 40
    walk.exit(1)
    assert walk.state.failures == 2


def test_a_death_fails_waiting_requests_and_is_an_event_in_the_same_step() -> None:
    walk = running()
    made = walk.exit(-9)
    assert life.FailWaiting("The plugin was ended by SIGKILL.") in made
    assert life.Disconnect() in made
    event = of(life.RecordEvent, made)[0]
    assert event.event_type == "crashed"
    assert event.details == {
        "reason": "It was ended by SIGKILL.",
        "exit_code": -9,
        "failures": 1,
    }


def test_a_lost_connection_fails_waiting_requests_at_once_and_ends_the_process() -> None:
    walk = running()
    made = walk.do(life.ConnectionLost(1, "It closed its connection."))
    assert life.FailWaiting("It closed its connection.") in made
    assert life.Terminate() in made
    walk.exit(0)
    assert (walk.state.phase, walk.events()) == ("backoff", ["started", "crashed"])


def test_a_third_missed_ping_kills_and_an_answer_in_between_forgives() -> None:
    walk = running()
    walk.do(life.PingMissed(1), life.PingMissed(1))
    assert (walk.state.phase, walk.state.health) == ("unhealthy", "unhealthy")
    assert walk.state.takes_requests
    walk.do(life.Healthy(1))
    assert walk.state.phase == "ready"
    walk.do(life.PingMissed(1), life.PingMissed(1))
    made = walk.do(life.PingMissed(1))
    assert life.Kill() in made
    assert life.Terminate() not in made
    walk.exit(-9)
    assert walk.state.phase == "backoff"


def test_degraded_is_a_flag_that_never_restarts() -> None:
    walk = running(protocol=2)
    made = walk.do(life.HealthReported(1, True, "The disk is full."))
    assert names(made) == ["LogLine", "TellManager"]
    assert (walk.state.phase, walk.state.degraded) == ("ready", True)
    assert walk.do(life.HealthReported(1, True, "The disk is full.")) == []
    assert names(walk.do(life.HealthReported(1, False))) == ["LogLine", "TellManager"]
    assert (walk.state.degraded, walk.state.reason) == (False, None)


@pytest.mark.parametrize("was_ready", [True, False])
def test_exit_code_78_needs_configuration_and_is_not_restarted(was_ready: bool) -> None:
    walk = running() if was_ready else Walk()
    made = walk.exit(78)
    assert (walk.state.phase, walk.state.enabled, walk.state.timer) == ("broken", True, None)
    assert "needs configuration" in (walk.state.reason or "")
    assert [line.level for line in of(life.LogLine, made)] == ["error"]
    assert life.Spawn(2, 1) in walk.do(life.Restart("a"))


# Stopping


def test_version_1_is_told_terminated_and_killed_five_seconds_apart() -> None:
    walk = running()
    made = walk.do(life.Disable("a"))
    assert life.SendShutdown() in made
    assert of(life.ArmTimer, made)[0].delay_s == 5
    for instruction in (life.Terminate(), life.Kill()):
        made = walk.fire()
        assert instruction in made
        assert of(life.ArmTimer, made)[0].delay_s == 5
    assert walk.answers() == []
    walk.exit(-9)
    assert (walk.state.phase, walk.answers()) == ("disabled", [("a", "ok")])
    assert walk.events() == ["started", "disabled", "stopped"]
    assert walk.state.is_gone


def test_version_2_is_drained_first_for_ten_seconds_at_most() -> None:
    walk = running(protocol=2)
    made = walk.do(life.Disable("a"))
    assert life.SendGoaway() in made
    assert of(life.ArmTimer, made)[0].delay_s == 10
    assert life.SendShutdown() in walk.fire()


def test_a_drained_plugin_is_shut_down_at_once() -> None:
    walk = running(protocol=2)
    walk.do(life.Disable("a"))
    made = walk.do(life.Drained(1))
    assert life.SendShutdown() in made
    assert life.CancelTimer("goaway") in made
    assert walk.do(life.Drained(1)) == []


def test_a_plugin_that_cannot_be_told_is_terminated_at_once() -> None:
    walk = running()
    walk.do(life.Disable("a"))
    assert life.Terminate() in walk.do(life.ShutdownUnsent(1))
    assert walk.do(life.ShutdownUnsent(1)) == []


def test_a_connection_that_closes_after_the_goaway_is_given_time_to_exit() -> None:
    walk = running(protocol=2)
    walk.do(life.Disable("a"))
    made = walk.do(life.ConnectionLost(1, "It closed its connection."))
    assert life.SendShutdown() not in made
    assert of(life.ArmTimer, made)[0] == life.ArmTimer("shutdown", 5.0, walk.state.serial)
    walk.exit(0)
    assert walk.events() == ["started", "disabled", "stopped"]


def test_a_process_that_outlives_sigkill_is_killed_again() -> None:
    walk = running()
    walk.do(life.Disable("a"))
    for _ in range(3):
        walk.fire()
    made = walk.fire()
    assert life.Kill() in made
    assert of(life.LogLine, made)[0].level == "error"


def test_a_stop_during_the_start_terminates() -> None:
    walk = Walk()
    walk.spawned()
    made = walk.do(life.Disable("a"))
    assert life.Terminate() in made
    assert life.SendShutdown() not in made
    walk.exit(-15)
    assert (walk.state.phase, walk.events()) == ("disabled", ["disabled"])


def test_a_stop_while_the_process_is_being_spawned_is_carried_out_afterwards() -> None:
    walk = Walk()
    assert "Terminate" not in names(walk.do(life.Disable("a")))
    assert life.Terminate() in walk.spawned()
    walk.exit(-15)
    assert walk.answers() == [("a", "ok")]


def test_a_stop_while_a_spawn_is_refused_needs_no_exit() -> None:
    walk = Walk()
    walk.do(life.Disable("a"), life.SpawnRefused(1, "No."))
    assert (walk.state.phase, walk.answers()) == ("disabled", [("a", "ok")])


def test_a_stop_during_backoff_is_done_at_once() -> None:
    walk = running()
    walk.exit(1)
    made = walk.do(life.Disable("a"))
    assert life.CancelTimer("backoff") in made
    assert (walk.state.phase, walk.answers()) == ("disabled", [("a", "ok")])
    assert walk.do(life.TimerFired("backoff", walk.state.serial)) == []


def test_the_hub_going_away_stops_it_and_keeps_the_wish() -> None:
    walk = running()
    walk.do(life.Restart("a"), life.Shutdown())
    made = walk.do(life.Enable("b"))
    assert of(life.Answer, made)[0].refusal is not None
    walk.exit(0)
    assert (walk.state.phase, walk.state.enabled, walk.state.is_gone) == ("stopped", True, True)
    assert walk.answers() == [("a", "shutting_down"), ("b", "shutting_down")]
    assert not of(life.PersistEnabled, walk.all)


# Wishes


def test_who_enables_a_running_plugin_is_answered_at_once() -> None:
    walk = running()
    assert walk.do(life.Enable("a")) == [life.Answer(life.Ask("enable", "a"))]


def test_who_enables_is_answered_when_it_is_ready() -> None:
    walk = Walk(enabled=False)
    made = walk.do(life.Enable("a"))
    assert life.PersistEnabled(True) in made
    assert walk.answers() == []
    walk.ready()
    assert walk.answers() == [("a", "ok")]
    assert walk.events() == ["enabled", "started"]


def test_a_restart_waits_for_the_old_process_and_skips_the_backoff() -> None:
    walk = running()
    assert "Spawn" not in names(walk.do(life.Restart("a")))
    assert life.Spawn(2, 1) in walk.exit(0)
    walk.ready()
    assert walk.answers() == [("a", "ok")]
    assert walk.events() == ["started", "stopped", "restarted"]


def test_a_restart_during_backoff_starts_at_once_and_forgives() -> None:
    walk = running()
    walk.exit(1)
    assert life.Spawn(2, 1) in walk.do(life.Restart("a"))
    assert walk.state.failures == 0
    walk.ready()
    assert walk.answers() == [("a", "ok")]


def test_a_restart_of_a_plugin_that_hangs_in_its_start_gives_it_a_fresh_process() -> None:
    walk = Walk()
    walk.spawned()
    assert life.Terminate() in walk.do(life.Restart("a"))
    assert life.Spawn(2, 1) in walk.exit(-15)


def test_a_restart_asked_while_a_failed_process_goes_is_not_held_up_by_the_backoff() -> None:
    walk = running()
    walk.do(life.ConnectionLost(1, "It is gone."), life.Restart("a"))
    assert life.Spawn(2, 1) in walk.exit(-15)
    assert walk.events() == ["started", "crashed"]


def test_a_disabled_plugin_cannot_be_restarted() -> None:
    walk = Walk(enabled=False)
    walk.do(life.Restart("a"))
    assert walk.answers() == [("a", "disabled")]
    assert walk.state.phase == "disabled"


def test_a_later_wish_supersedes_an_earlier_one() -> None:
    walk = running()
    walk.do(life.Restart("a"), life.Disable("b"), life.Enable("c"), life.Disable("d"))
    assert walk.answers() == [("a", "superseded"), ("b", "superseded"), ("c", "superseded")]
    walk.exit(0)
    assert walk.answers()[3:] == [("d", "ok")]
    assert walk.events() == ["started", "disabled", "enabled", "disabled", "stopped"]


def test_twenty_wishes_at_once_converge_to_the_last_and_everybody_is_answered_once() -> None:
    walk = running()
    for number in range(20):
        kind = (life.Enable, life.Disable, life.Restart)[number % 3]
        walk.do(kind(str(number)))
    walk.do(life.Enable("last"))
    walk.exit(0)
    walk.ready()
    assert walk.state.phase == "ready"
    assert sorted(token for token, _ in walk.answers()) == sorted([*map(str, range(20)), "last"])
    assert ("last", "ok") in walk.answers()
    assert len(of(life.Spawn, walk.all)) == 2


# The file


def test_a_replaced_binary_restarts_a_running_plugin_gracefully() -> None:
    walk = running()
    assert life.SendShutdown() in walk.do(life.BinaryChanged(2))
    assert life.Spawn(2, 2) in walk.exit(0)
    walk.ready()
    assert walk.events() == ["started", "stopped", "restarted"]


def test_the_old_process_is_stopped_in_the_protocol_that_it_speaks() -> None:
    walk = running(protocol=1)
    walk.do(life.BinaryChanged(2))
    assert life.SendShutdown() in walk.all
    assert life.SendGoaway() not in walk.all


def test_a_replaced_binary_ends_the_backoff() -> None:
    walk = running()
    walk.exit(1)
    assert life.Spawn(2, 1) in walk.do(life.BinaryChanged(1))
    assert (walk.state.failures, walk.state.timer) == (0, None)


def test_a_file_that_breaks_while_it_runs_stops_it_and_a_good_one_starts_it() -> None:
    walk = running()
    walk.do(life.BrokenFound("It is empty."))
    walk.exit(0)
    assert (walk.state.phase, walk.state.reason) == ("broken", "It is empty.")
    walk.do(life.Enable("a"), life.Disable("b"))
    assert walk.answers() == [("a", "broken_plugin"), ("b", "ok")]
    walk.do(life.BinaryChanged(1))
    assert walk.state.phase == "disabled"
    walk.do(life.Enable("c"))
    assert walk.state.phase == "starting"


def test_a_removed_file_stops_the_plugin_and_it_is_forgotten() -> None:
    walk = running()
    made = walk.do(life.Removed())
    assert life.SendShutdown() in made
    assert life.Dispose() not in made
    assert life.Dispose() in walk.exit(0)
    assert walk.state.phase == "stopped"
    walk.do(life.Removed(), life.Shutdown())
    assert len(of(life.Dispose, walk.all)) == 1


def test_a_file_that_comes_back_before_the_process_is_gone_is_started_again() -> None:
    walk = running()
    walk.do(life.Removed(), life.BinaryChanged(1))
    made = walk.exit(0)
    assert life.Spawn(2, 1) in made
    assert life.Dispose() not in made


# The rest


def test_what_concerns_an_earlier_process_is_ignored() -> None:
    walk = running()
    walk.exit(1)
    walk.fire()
    before = walk.state
    for event in (
        life.Spawned(1, 9),
        life.BecameReady(1),
        life.Exited(1, 0),
        life.ConnectionLost(1, "Gone."),
        life.PingMissed(1),
        life.SpawnRefused(1, "No."),
    ):
        assert walk.do(event) == []
    assert walk.state == before


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (PluginState("ready"), None),
        (PluginState("unhealthy"), None),
        (PluginState("starting"), 503),
        (PluginState("discovered"), 503),
        (PluginState("backoff"), 503),
        (PluginState("stopping"), 503),
        (PluginState("stopped"), 503),
        (PluginState("stopping", enabled=False), 404),
        (PluginState("disabled", enabled=False), 404),
        (PluginState("broken"), 404),
        (PluginState("stopped", removed=True), 404),
    ],
)
def test_a_request_is_refused_by_the_phase(state: PluginState, status: int | None) -> None:
    error = request_error(state)
    assert (error.status if error else None) == status


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("superseded", 409),
        ("disabled", 409),
        ("broken_plugin", 409),
        ("start_failed", 502),
        ("shutting_down", 503),
        ("removed", 404),
    ],
)
def test_a_refused_wish_has_a_status(code: life.RefusalCode, status: int) -> None:
    error = life.refusal_error(life.Refusal(code, "Because."))
    assert (error.status, error.code, error.sentence) == (
        status,
        "not_found" if code == "removed" else code,
        "Because.",
    )
