"""A version on trial beside the one that serves, and the end of the one that it replaces."""

from __future__ import annotations

from typing import Any, TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain import plugin_life as life
from toru.domain.plugin_life import PluginState, refusal_error, request_error
from toru.domain.plugin_lifecycle import decide

I = TypeVar("I")  # noqa: E741 - an instruction


class Walk:
    """An actor's part of a plugin, on a clock that is set by hand."""

    def __init__(self, *, trial: bool = False, protocol: int = 2) -> None:
        self.state = PluginState(trial=trial, protocol=protocol)
        self.now = 100.0
        self.all: list[life.Instruction] = []
        self.do(life.Boot())

    def do(self, event: life.Event) -> list[life.Instruction]:
        """Return what the event has led to."""
        self.state, made = decide(self.state, event, self.now)
        self.all += made
        return list(made)

    def ready(self) -> list[life.Instruction]:
        self.do(life.Spawned(self.state.spawn, 4000))
        return self.do(life.BecameReady(self.state.spawn))

    def exit(self, code: int = 1, detail: str = "") -> list[life.Instruction]:
        return self.do(life.Exited(self.state.spawn, code, detail))

    def fire(self) -> list[life.Instruction]:
        """Let the timer run down."""
        assert self.state.timer is not None
        return self.do(life.TimerFired(self.state.timer, self.state.serial))

    def of(self, kind: type[I]) -> list[I]:
        return [made for made in self.all if isinstance(made, kind)]

    def events(self) -> list[str]:
        return [made.event_type for made in self.of(life.RecordEvent)]


def on_trial() -> Walk:
    walk = Walk(trial=True)
    walk.do(life.Enable("installer"))
    return walk


def test_a_version_on_trial_that_gets_ready_answers_its_installer_and_records_nothing() -> None:
    walk = on_trial()
    made = walk.ready()
    assert life.Answer(life.Ask("enable", "installer")) in made
    assert walk.events() == []
    assert walk.state.phase == "ready"


def test_an_adopted_version_has_started_and_is_told_of() -> None:
    walk = on_trial()
    walk.ready()
    made = walk.do(life.Adopted())
    assert made == [
        life.RecordEvent("started", {"pid": 4000, "protocol": 2}),
        life.TellManager(),
    ]
    assert walk.do(life.Adopted()) == []
    walk.exit(9)
    assert walk.events() == ["started", "crashed"]
    assert (walk.state.phase, walk.state.failures) == ("backoff", 1)


@pytest.mark.parametrize("step", ["exit", "refused", "too late", "lost", "code 78"])
def test_a_version_on_trial_has_one_start_and_its_failure_is_not_the_plugins(step: str) -> None:
    walk = on_trial()
    if step == "refused":
        walk.do(life.SpawnRefused(1, "It cannot be started."))
    else:
        walk.do(life.Spawned(1, 4000))
        if step == "too late":
            walk.fire()
            assert walk.of(life.Answer) == []
        elif step == "lost":
            walk.do(life.ConnectionLost(1, "It broke the protocol."))
        walk.exit(78 if step == "code 78" else 3, " The end of its stderr: no")
    answers = walk.of(life.Answer)
    assert len(answers) == 1
    refusal = answers[0].refusal
    assert refusal is not None
    assert refusal_error(refusal).status == 502
    words = {"refused": "cannot be started", "too late": "not ready", "lost": "broke"}
    assert words.get(step, "exited with code") in refusal.sentence
    assert step == "refused" or refusal.sentence.endswith("stderr: no")
    assert walk.events() == []
    assert not walk.of(life.PersistEnabled)
    assert walk.all[-2:] == [life.Dispose(), life.TellManager()]
    assert walk.state.is_gone


def test_a_version_that_falls_between_ready_and_adopted_is_supervised_from_then_on() -> None:
    gone = on_trial()
    gone.ready()
    gone.exit(3)
    assert life.Dispose() in gone.all
    assert life.Spawn(2, 2) in gone.do(life.Adopted())
    assert gone.state.phase == "starting"

    going = on_trial()
    going.ready()
    going.do(life.ConnectionLost(1, "It closed its connection."))
    going.do(life.Adopted())
    going.exit(3)
    assert going.events() == ["crashed"]
    assert going.state.phase == "backoff"


@pytest.mark.parametrize(("protocol", "polite"), [(1, life.SendShutdown()), (2, life.SendGoaway())])
def test_a_version_that_was_replaced_answers_what_it_has_and_goes(
    protocol: int, polite: life.Instruction
) -> None:
    walk = Walk(protocol=protocol)
    walk.ready()
    made = walk.do(life.Superseded())
    assert life.AwaitQuiet(1) in made
    assert polite not in made
    assert not any(isinstance(one, life.FailWaiting) for one in made)
    assert request_error(walk.state) is not None
    assert polite in walk.do(life.Quiet(1))
    walk.exit(0)
    assert life.Dispose() in walk.all
    assert walk.events() == ["started", "stopped"]
    assert walk.state.is_gone


def test_a_version_that_was_replaced_and_never_gets_quiet_goes_in_the_end() -> None:
    walk = Walk()
    walk.ready()
    walk.do(life.Superseded())
    assert walk.of(life.ArmTimer)[-1].delay_s == 300.0
    assert life.SendGoaway() in walk.fire()
    assert walk.do(life.Quiet(1)) == []
    for instruction in (life.SendShutdown(), life.Terminate(), life.Kill()):
        assert instruction in walk.fire()


def test_the_hubs_stop_does_not_wait_for_a_version_that_was_replaced() -> None:
    walk = Walk()
    walk.ready()
    walk.do(life.Superseded())
    assert life.SendGoaway() in walk.do(life.Shutdown())
    walk.do(life.Drained(1))
    walk.exit(0)
    assert walk.state.is_gone


def test_whoever_waits_for_a_version_that_is_replaced_hears_so() -> None:
    walk = Walk()
    walk.do(life.Enable("person"))
    walk.do(life.Superseded())
    refusal = walk.of(life.Answer)[0].refusal
    assert refusal is not None
    assert refusal_error(refusal).status == 409
    assert life.Terminate() in walk.do(life.Spawned(1, 4000))
    walk.exit(-15)
    assert life.Dispose() in walk.all


EVENTS: list[Any] = [
    life.Spawned(1, 4000),
    life.SpawnRefused(1, "No."),
    life.BecameReady(1),
    life.StartExtended(1, 60.0),
    life.ConnectionLost(1, "It is lost."),
    life.PingMissed(1),
    life.Healthy(1),
    life.HealthReported(1, degraded=True),
    life.Quiet(1),
    life.Drained(1),
    life.ShutdownUnsent(1),
    life.Exited(1, 3),
    "timer",
    life.Superseded(),
    life.Shutdown(),
]


@given(st.lists(st.sampled_from(EVENTS), max_size=30))
def test_whatever_happens_a_version_on_trial_starts_once_and_answers_once(
    events: list[Any],
) -> None:
    walk = on_trial()
    for event in events:
        if event != "timer":
            walk.do(event)
        elif walk.state.timer is not None:
            walk.fire()
    assert len(walk.of(life.Spawn)) == 1
    assert len(walk.of(life.Answer)) <= 1
    assert not walk.events()
    assert not walk.of(life.PersistEnabled)
    if walk.state.is_gone:
        assert len(walk.of(life.Answer)) == 1
    else:
        assert walk.state.process != "none" or walk.state.timer is not None
