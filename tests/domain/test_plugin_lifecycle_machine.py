"""The life of a plugin in a modelled world: a clock, timers, a runner and a process.

The machine plays people, files, the runner, the plugin and time against each other in any order,
and checks every instruction against what the world allows at that moment.
"""

from __future__ import annotations

import itertools
from typing import cast

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from toru.domain import plugin_life as life
from toru.domain.plugin_failures import FAILURES_LIMIT
from toru.domain.plugin_life import PluginState
from toru.domain.plugin_lifecycle import decide

CODES = st.sampled_from([0, 1, 2, 78, -9, -11, -15, None])


class World(RuleBasedStateMachine):
    """Carries out what the lifecycle says, and complains about what cannot be."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0
        self.tokens = map(str, itertools.count())
        self.process = "none"
        self.number = 0
        self.killed = False
        self.timers: dict[str, tuple[float, int]] = {}
        self.old_timers: list[life.TimerFired] = []
        self.waiting: set[str] = set()
        self.answered: set[str] = set()
        self.up = False
        self.failures = 0
        self.healthy_since: float | None = None
        self.last_wish = ""
        self.disposed = False

    @initialize(enabled=st.booleans(), protocol=st.integers(1, 2), leftover=st.booleans())
    def boot(self, enabled: bool, protocol: int, leftover: bool) -> None:
        self.enabled = enabled
        self.state = PluginState(enabled=enabled, protocol=protocol)
        if leftover:
            self.process = "alive"
        self.happen(life.Boot(leftover))

    # What happens

    def happen(self, event: life.Event) -> None:
        before = self.state
        self.state, made = decide(before, event, self.now)
        self.crashes_of_this_step = 0
        for instruction in made:
            self.carry_out(instruction)
        assert made.count(life.TellManager()) <= 1
        if (before.phase, before.enabled) != (self.state.phase, self.state.enabled):
            assert life.TellManager() in made

    def ask(self, kind: type[life.Enable | life.Disable | life.Restart]) -> None:
        token = next(self.tokens)
        self.waiting.add(token)
        forgives = kind is life.Restart or (kind is life.Enable and not self.enabled)
        dead = self.state.removed or self.state.broken or self.state.shutting_down
        if forgives and not dead and (kind is life.Enable or self.enabled):
            self.failures = 0
        self.happen(kind(token))

    @rule()
    def somebody_enables(self) -> None:
        self.ask(life.Enable)

    @rule()
    def somebody_disables(self) -> None:
        self.ask(life.Disable)

    @rule()
    def somebody_restarts(self) -> None:
        self.ask(life.Restart)

    @precondition(lambda self: self.process == "spawning")
    @rule()
    def the_runner_starts_it(self) -> None:
        self.process = "alive"
        self.happen(life.Spawned(self.number, 100 + self.number))

    @precondition(lambda self: self.process == "spawning")
    @rule()
    def the_runner_refuses(self) -> None:
        self.process = "none"
        self.happen(life.SpawnRefused(self.number, "It cannot be started."))

    @precondition(lambda self: self.process == "alive")
    @rule()
    def it_becomes_ready(self) -> None:
        if self.state.phase == "starting":
            self.healthy_since = self.now
        self.happen(life.BecameReady(self.number))

    @precondition(lambda self: self.process == "alive")
    @rule(code=CODES)
    def it_exits(self, code: int | None) -> None:
        self.process = "none"
        self.count_health()
        self.happen(life.Exited(self.number, code))
        self.killed = False

    @precondition(lambda self: self.process == "alive")
    @rule()
    def its_connection_is_lost(self) -> None:
        self.count_health()
        self.happen(life.ConnectionLost(self.number, "It is gone."))

    @precondition(lambda self: self.state.takes_requests)
    @rule()
    def it_misses_a_ping(self) -> None:
        self.count_health()
        self.happen(life.PingMissed(self.number))

    @precondition(lambda self: self.process == "alive")
    @rule()
    def it_answers_again(self) -> None:
        if self.state.phase == "unhealthy":
            self.healthy_since = self.now
        self.happen(life.Healthy(self.number))

    @precondition(lambda self: self.process == "alive")
    @rule(degraded=st.booleans())
    def it_reports_its_health(self, degraded: bool) -> None:
        phase = self.state.phase
        self.happen(life.HealthReported(self.number, degraded, "why"))
        assert self.state.phase == phase

    @precondition(lambda self: self.process == "alive")
    @rule(event=st.sampled_from([life.Drained, life.ShutdownUnsent]))
    def its_stop_goes_on(self, event: type[life.Drained | life.ShutdownUnsent]) -> None:
        self.happen(event(self.number))

    @precondition(lambda self: self.process == "alive")
    @rule(extend_s=st.floats(0, 2000))
    def it_asks_for_time(self, extend_s: float) -> None:
        self.happen(life.StartExtended(self.number, extend_s))
        if self.state.timer == "start":
            assert self.timers["start"][0] <= self.state.spawned_at + 600 + 1e-6

    @precondition(lambda self: self.timers)
    @rule()
    def time_passes_until_a_timer(self) -> None:
        kind, (due, serial) = next(iter(self.timers.items()))
        self.now = max(self.now, due)
        del self.timers[kind]
        if kind == "healthy":
            self.failures = 0
        self.happen(life.TimerFired(cast("life.TimerKind", kind), serial))

    @rule(seconds=st.sampled_from([0.1, 4.0, 59.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        """Timers that are due wait in the mailbox meanwhile."""
        self.now += seconds

    @precondition(lambda self: self.old_timers)
    @rule(data=st.data())
    def a_timer_fires_that_was_replaced(self, data: st.DataObject) -> None:
        before = self.state
        self.happen(data.draw(st.sampled_from(self.old_timers)))
        assert self.state == before

    @precondition(lambda self: self.number > 0)
    @rule()
    def news_of_an_earlier_process_come(self) -> None:
        before = self.state
        self.happen(life.Exited(self.number - 1 or -1, 1))
        self.happen(life.BecameReady(self.number - 1 or -1))
        assert self.state == before

    @rule(protocol=st.integers(1, 2))
    def its_file_is_replaced(self, protocol: int) -> None:
        if not self.disposed:
            self.failures = 0
            self.happen(life.BinaryChanged(protocol))

    @rule()
    def its_file_breaks(self) -> None:
        if not self.disposed:
            self.happen(life.BrokenFound("It is empty."))

    @rule(chance=st.integers(0, 9))
    def its_file_goes(self, chance: int) -> None:
        if chance == 0:
            self.happen(life.Removed())

    @rule(chance=st.integers(0, 9))
    def the_hub_goes_away(self, chance: int) -> None:
        if chance == 0:
            self.happen(life.Shutdown())

    # What is done

    def count_health(self) -> None:
        if self.healthy_since is not None and self.now - self.healthy_since >= 60:
            self.failures = 0
        self.healthy_since = None

    def carry_out(self, instruction: life.Instruction) -> None:
        match instruction:
            case life.Spawn(spawn, protocol):
                assert self.process == "none", "the old process is still there"
                assert spawn == self.number + 1
                assert protocol == self.state.protocol
                assert self.enabled
                assert not self.state.shutting_down
                assert not self.disposed
                self.process, self.number, self.healthy_since = "spawning", spawn, None
            case life.Connect(spawn, _):
                assert (self.process, spawn) == ("alive", self.number)
            case life.SendGoaway() | life.SendShutdown() | life.Terminate() | life.Kill():
                assert self.process == "alive", "there is nobody to stop"
                self.killed = self.killed or isinstance(instruction, life.Kill)
            case life.ArmTimer():
                self.arm(instruction)
            case life.CancelTimer(kind):
                _, serial = self.timers.pop(kind)
                self.old_timers.append(life.TimerFired(kind, serial))
            case life.RecordEvent():
                self.record(instruction)
            case life.PersistEnabled(enabled):
                assert enabled != self.enabled
                self.enabled = enabled
            case life.Answer():
                self.answer(instruction)
            case life.Dispose():
                assert self.process == "none"
                assert not self.disposed
                self.disposed = True

    def arm(self, timer: life.ArmTimer) -> None:
        assert timer.delay_s > 0
        replaced = self.timers.pop(timer.kind, None)
        if replaced:
            self.old_timers.append(life.TimerFired(timer.kind, replaced[1]))
        self.timers[timer.kind] = (self.now + timer.delay_s, timer.serial)
        if timer.kind == "backoff":
            assert timer.delay_s == [1, 2, 4, 8, 16, 16, 16, 16, 16][self.failures - 1]

    def record(self, event: life.RecordEvent) -> None:
        match event.event_type:
            case "started" | "restarted":
                assert not self.up, "it is up already"
                self.up = True
            case "stopped":
                assert self.up, "it was not up"
                self.up = False
            case "crashed":
                self.up = False
                self.failures += 1
                assert event.details["failures"] == self.failures
                self.crashes_of_this_step += 1
                assert self.crashes_of_this_step == 1
                if event.details["exit_code"] == 78:
                    self.healthy_since = None
            case "enabled" | "disabled":
                assert self.enabled == (event.event_type == "enabled")
                assert self.last_wish != event.event_type, "the wish did not change"
                self.last_wish = event.event_type

    def answer(self, answer: life.Answer) -> None:
        token = answer.ask.token
        assert token in self.waiting, "nobody waits, or an answer came twice"
        self.waiting.discard(token)
        self.answered.add(token)
        if answer.refusal is None and answer.ask.wish == "disable":
            assert self.process == "none"
        elif answer.refusal is None:
            assert self.state.takes_requests

    # What always holds

    @invariant()
    def there_is_at_most_one_timer_and_it_belongs_to_the_phase(self) -> None:
        assert list(self.timers) == ([self.state.timer] if self.state.timer else [])
        owners = {"start": "starting", "backoff": "backoff", "healthy": "ready"}
        if self.state.timer:
            assert owners.get(self.state.timer, "stopping") == self.state.phase

    @invariant()
    def the_state_knows_the_process(self) -> None:
        assert self.state.process == self.process
        assert self.state.enabled == self.enabled
        with_process = self.state.phase in ("starting", "ready", "unhealthy", "stopping")
        assert with_process == (self.process != "none")
        assert (self.state.phase == "stopping" and self.process == "alive") <= bool(self.timers)

    @invariant()
    def who_waits_is_known_and_something_is_under_way_for_them(self) -> None:
        assert {ask.token for ask in self.state.asks} == self.waiting
        if self.waiting:
            assert self.process != "none"

    @invariant()
    def failures_are_counted_exactly(self) -> None:
        if self.state.phase == "broken" and self.state.failures == 0:
            self.failures = 0  # it needs configuration: people begin anew
        if self.state.phase in ("starting", "ready", "backoff"):
            assert self.state.failures == self.failures
        assert self.state.failures <= FAILURES_LIMIT + 1

    def teardown(self) -> None:
        """Whatever came before: a last wish comes true, however much the plugin resists."""
        if not hasattr(self, "state"):
            return
        self.ask(life.Disable)
        for _ in range(8):
            if self.process == "spawning":
                self.the_runner_starts_it()
            elif self.process == "alive" and self.killed:
                self.it_exits(-9)
            elif self.process == "alive":
                self.time_passes_until_a_timer()
        assert self.process == "none"
        assert self.timers == {}
        assert self.waiting == set()
        assert self.state.is_gone
        assert not self.enabled or self.state.removed or self.state.shutting_down
        assert not self.up


TestTheLifeOfAPluginInAnyOrder = World.TestCase
TestTheLifeOfAPluginInAnyOrder.settings = settings(
    max_examples=200, stateful_step_count=60, deadline=None
)
