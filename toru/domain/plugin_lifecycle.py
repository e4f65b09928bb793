"""The life of one plugin, as a pure state machine: events in, the next state and instructions out.

Runs on: any thread; pure. The words are in ``toru.domain.plugin_life``.

    discovered ──► starting ──ready──► ready ◄──answers── unhealthy
                    │  ▲  ▲              │ └──ping missed───► │
            failure │  │  └──────────────│─── restart ◄───┐   │ 3rd miss
                    ▼  │ 1,2,4,8,16 s    ▼                │   ▼
                  backoff ◄── failure ── exited        stopping ──► stopped, disabled, broken
                       10th in a row ──► disabled

A process that must go is asked, then told, then killed, and ``stopping`` lasts until the runner
says that its whole tree is gone: only then is decided what follows, by the wishes of that moment.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from toru.domain import plugin_life as life
from toru.domain.plugin_life import Ask, PluginState, TimerKind, Wish
from toru.domain.plugin_probe import exit_words

START_S = 30.0
LONGEST_START_S = 600.0
HEALTHY_S = 60.0
"""So long in good health, and earlier failures are forgotten."""
FAILURES_LIMIT = 10
MISSES_LIMIT = 3
NEEDS_CONFIGURATION = 78
"""The exit code EX_CONFIG of sysexits(3)."""

GRACE_S: dict[TimerKind, float] = {"goaway": 10.0, "shutdown": 5.0, "terminate": 5.0, "kill": 5.0}
"""How long each step of a stop may take; a kill is repeated."""

Decision = tuple[PluginState, tuple[life.Instruction, ...]]

_LONGEST_BACKOFF_S = 16.0
_STARTS: tuple[Wish, ...] = ("enable", "restart")


def backoff_s(failures: int) -> float:
    """Return the seconds from a failure, the ``failures``-th in a row, to the next start."""
    return min(2.0 ** min(max(failures, 1) - 1, 10), _LONGEST_BACKOFF_S)


def decide(
    state: PluginState,
    event: life.Event,
    now: float,
    jitter: float = 1.0,
    healthy_s: float = HEALTHY_S,
) -> Decision:
    """Return the state after ``event`` and what is to be done, in that order.

    Args:
        state: before the event; ``PluginState(enabled=…, protocol=…)`` at first.
        event: what has happened.
        now: monotonic seconds.
        jitter: a factor for the backoff, so that plugins that fell together rise apart.
        healthy_s: so long in good health, and earlier failures are forgotten.
    """
    draft = _Draft(state, now, jitter, healthy_s)
    match event:
        case life.Boot(leftover):
            _boot(draft, leftover)
        case life.Enable(token):
            _enable(draft, Ask("enable", token))
        case life.Disable(token):
            _disable(draft, Ask("disable", token))
        case life.Restart(token):
            _restart(draft, Ask("restart", token))
        case life.TimerFired(kind, serial):
            _timer_fired(draft, kind, serial)
        case life.BinaryChanged(protocol):
            _binary_changed(draft, protocol)
        case life.BrokenFound(reason):
            _broken_found(draft, reason)
        case life.Removed():
            _removed(draft)
        case life.Shutdown():
            _shutdown(draft)
        case _:
            if event.spawn == state.spawn and state.process != "none":
                _process_event(draft, event)
    if _visible(draft.state) != _visible(state):
        draft.do(life.TellManager())
    return draft.state, tuple(draft.made)


class _Draft:
    """A decision that is being made: the state so far and the instructions so far."""

    def __init__(self, state: PluginState, now: float, jitter: float, healthy_s: float) -> None:
        self.state = state
        self.now = now
        self.jitter = jitter
        self.healthy_s = healthy_s
        self.made: list[life.Instruction] = []

    def do(self, *instructions: life.Instruction) -> None:
        self.made += instructions

    def set(self, **changes: Any) -> None:
        self.state = msgspec.structs.replace(self.state, **changes)

    def arm(self, kind: TimerKind, delay_s: float) -> None:
        if self.state.timer != kind:
            self.disarm()
        self.set(timer=kind, serial=self.state.serial + 1)
        self.do(life.ArmTimer(kind, delay_s, self.state.serial))

    def disarm(self) -> None:
        if self.state.timer is not None:
            self.do(life.CancelTimer(self.state.timer))
            self.set(timer=None)

    def record(self, event_type: life.EventType, **details: Any) -> None:
        self.do(life.RecordEvent(event_type, details))

    def wait(self, ask: Ask) -> None:
        self.set(asks=(*self.state.asks, ask))

    def answer(self, wishes: Collection[Wish], refusal: life.Refusal | None = None) -> None:
        """Answer everybody who waits for one of ``wishes``."""
        served = [ask for ask in self.state.asks if ask.wish in wishes]
        self.set(asks=tuple(ask for ask in self.state.asks if ask.wish not in wishes))
        self.do(*(life.Answer(ask, refusal) for ask in served))


def _visible(state: PluginState) -> tuple[object, ...]:
    return (
        state.phase,
        state.enabled,
        state.pid,
        state.failures,
        state.degraded,
        state.reason,
        state.protocol,
    )


# Wishes


def _boot(draft: _Draft, leftover: bool) -> None:
    if draft.state.phase != "discovered":
        return
    if not leftover:
        _settle(draft)
        return
    draft.set(process="alive", phase="stopping")
    draft.do(life.LogLine("info", "A process of an earlier hub is ended first."))
    _step(draft, "terminate")


def _enable(draft: _Draft, ask: Ask) -> None:
    if _refused_for_good(draft, ask):
        return
    draft.answer(["disable"], life.Refusal("superseded", "It has been enabled again meanwhile."))
    if not draft.state.enabled:
        draft.set(enabled=True, failures=0, reason=None)
        draft.do(life.PersistEnabled(True))
        draft.record("enabled")
    draft.wait(ask)
    match draft.state.phase:
        case "ready" | "unhealthy":
            draft.answer(["enable"])
        case "backoff" | "disabled" | "stopped" | "broken":
            _start(draft)


def _restart(draft: _Draft, ask: Ask) -> None:
    if _refused_for_good(draft, ask):
        return
    if not draft.state.enabled:
        refusal = life.Refusal("disabled", "The plugin is disabled; enable it instead.")
        draft.do(life.Answer(ask, refusal))
        return
    draft.set(failures=0)
    draft.wait(ask)
    match draft.state.phase:
        case "starting" | "ready" | "unhealthy":
            _stop(draft)
        case "backoff" | "stopped" | "broken":
            _start(draft)


def _disable(draft: _Draft, ask: Ask) -> None:
    if draft.state.removed or draft.state.shutting_down:
        _refused_for_good(draft, ask)
        return
    draft.answer(_STARTS, life.Refusal("superseded", "It has been disabled meanwhile."))
    if draft.state.enabled:
        draft.set(enabled=False, reason=None)
        draft.do(life.PersistEnabled(False))
        draft.record("disabled", reason="asked")
    draft.wait(ask)
    match draft.state.phase:
        case "starting" | "ready" | "unhealthy":
            _stop(draft)
        case "backoff" | "disabled" | "stopped" | "broken":
            _settle(draft)


def _refused_for_good(draft: _Draft, ask: Ask) -> bool:
    state = draft.state
    if state.shutting_down:
        refusal = life.Refusal("shutting_down", "The hub is being stopped.")
    elif state.removed:
        refusal = life.Refusal("removed", "The plugin's file is gone.")
    elif state.broken is not None:
        refusal = life.Refusal("broken_plugin", state.broken)
    else:
        return False
    draft.do(life.Answer(ask, refusal))
    return True


# The file and the hub


def _binary_changed(draft: _Draft, protocol: int) -> None:
    draft.set(protocol=protocol, broken=None, removed=False, failures=0)
    match draft.state.phase:
        case "starting" | "ready" | "unhealthy":
            draft.do(life.LogLine("info", "Its file has been replaced; it is restarted."))
            _stop(draft)
        case "backoff" | "broken" | "stopped":
            draft.set(reason=None)
            _settle(draft)


def _broken_found(draft: _Draft, reason: str) -> None:
    if draft.state.broken == reason and not draft.state.removed:
        return
    draft.set(broken=reason, removed=False)
    draft.do(life.LogLine("error", f"The plugin cannot be used: {reason}"))
    draft.answer(_STARTS, life.Refusal("broken_plugin", reason))
    _end_or_settle(draft)


def _removed(draft: _Draft) -> None:
    if draft.state.removed:
        return
    draft.set(removed=True)
    draft.do(life.LogLine("info", "Its file is gone."))
    draft.answer(_STARTS, life.Refusal("removed", "The plugin's file is gone."))
    _end_or_settle(draft)


def _shutdown(draft: _Draft) -> None:
    if draft.state.shutting_down or (draft.state.removed and draft.state.is_gone):
        return
    draft.set(shutting_down=True)
    draft.answer(_STARTS, life.Refusal("shutting_down", "The hub is being stopped."))
    _end_or_settle(draft)


def _end_or_settle(draft: _Draft) -> None:
    match draft.state.phase:
        case "starting" | "ready" | "unhealthy":
            _stop(draft)
        case "stopping":
            pass
        case "discovered" if not draft.state.shutting_down:
            pass
        case _:
            _settle(draft)


# Starting


def _settle(draft: _Draft) -> None:
    """With no process there: come to rest, or start, as the wishes of this moment are."""
    state = draft.state
    draft.disarm()
    draft.answer(["disable"])
    if state.broken is not None and not state.removed:
        draft.set(phase="broken", reason=state.broken, again=False)
    elif not state.enabled:
        draft.set(phase="disabled", again=False)
    elif state.removed or state.shutting_down:
        draft.set(phase="stopped", again=False)
    else:
        _start(draft)
    if state.removed:
        draft.do(life.Dispose())


def _start(draft: _Draft) -> None:
    draft.disarm()
    number = draft.state.spawn + 1
    protocol = draft.state.protocol
    draft.set(phase="starting", process="spawning", spawn=number, speaks=protocol)
    draft.set(was_ready=False, misses=0, degraded=False, fault=None, healthy_since=None)
    draft.do(life.Spawn(number, protocol))


def _process_event(draft: _Draft, event: life.ProcessEvent) -> None:
    match event:
        case life.Spawned(_, pid):
            _spawned(draft, pid)
        case life.SpawnRefused(_, sentence):
            _spawn_refused(draft, sentence)
        case life.BecameReady():
            _became_ready(draft)
        case life.StartExtended(_, extend_s):
            _start_extended(draft, extend_s)
        case life.ConnectionLost(_, sentence):
            _connection_lost(draft, sentence)
        case life.PingMissed():
            _ping_missed(draft)
        case life.Healthy():
            _healthy(draft)
        case life.HealthReported(_, degraded, text):
            _health_reported(draft, degraded, text)
        case life.Drained():
            if draft.state.timer == "goaway":
                _step(draft, "shutdown")
        case life.ShutdownUnsent():
            if draft.state.timer in ("goaway", "shutdown"):
                _step(draft, "terminate")
        case life.Exited(_, code, detail):
            _exited(draft, code, detail)


def _spawned(draft: _Draft, pid: int) -> None:
    if draft.state.process != "spawning":
        return
    draft.set(process="alive", pid=pid, spawned_at=draft.now)
    if draft.state.phase == "stopping":
        _step(draft, "terminate")
        return
    draft.set(start_deadline=draft.now + START_S)
    draft.do(life.Connect(draft.state.spawn, draft.state.speaks))
    draft.arm("start", START_S)


def _spawn_refused(draft: _Draft, sentence: str) -> None:
    if draft.state.process != "spawning":
        return
    draft.set(process="none")
    if draft.state.phase == "stopping":
        _settle(draft)
    else:
        _failed(draft, sentence, None)


def _became_ready(draft: _Draft) -> None:
    state = draft.state
    if state.phase != "starting" or state.process != "alive":
        return
    draft.disarm()
    draft.set(phase="ready", was_ready=True, healthy_since=draft.now, again=False, reason=None)
    draft.record("restarted" if state.again else "started", pid=state.pid, protocol=state.speaks)
    draft.do(life.LogLine("info", "It is ready."))
    draft.answer(_STARTS)
    _watch_health(draft)


def _start_extended(draft: _Draft, extend_s: float) -> None:
    state = draft.state
    if state.timer != "start":
        return
    deadline = min(draft.now + extend_s, state.spawned_at + LONGEST_START_S)
    if deadline > state.start_deadline:
        draft.set(start_deadline=deadline)
        draft.arm("start", deadline - draft.now)


# Health


def _watch_health(draft: _Draft) -> None:
    if draft.state.failures:
        draft.arm("healthy", draft.healthy_s)


def _count_health(draft: _Draft) -> None:
    """Forget failures before enough time in health, also when the timer comes late."""
    since = draft.state.healthy_since
    if since is not None and draft.now - since >= draft.healthy_s:
        draft.set(failures=0)
    draft.set(healthy_since=None)


def _ping_missed(draft: _Draft) -> None:
    if not draft.state.takes_requests:
        return
    _count_health(draft)
    draft.disarm()
    draft.set(phase="unhealthy", misses=draft.state.misses + 1)
    if draft.state.misses >= MISSES_LIMIT:
        _fault(draft, f"It did not answer {MISSES_LIMIT} times.", "kill")


def _healthy(draft: _Draft) -> None:
    if draft.state.phase != "unhealthy":
        return
    draft.set(phase="ready", misses=0, healthy_since=draft.now)
    _watch_health(draft)


def _health_reported(draft: _Draft, degraded: bool, text: str) -> None:
    state = draft.state
    reason = f"It says that it is not well: {text or 'no reason'}" if degraded else None
    if not state.takes_requests or (state.degraded, state.reason) == (degraded, reason):
        return
    draft.set(degraded=degraded, reason=reason)
    if reason:
        draft.do(life.LogLine("warning", reason))
    elif state.degraded:
        draft.do(life.LogLine("info", "It says that it is well again."))


def _connection_lost(draft: _Draft, sentence: str) -> None:
    if draft.state.phase != "stopping":
        if draft.state.process == "alive":
            _fault(draft, sentence, "terminate")
        return
    draft.do(life.FailWaiting("The plugin has closed its connection."))
    if draft.state.timer == "goaway":
        # It may be leaving of its own accord; there is nobody to send the message to.
        draft.arm("shutdown", GRACE_S["shutdown"])


def _fault(draft: _Draft, sentence: str, step: TimerKind) -> None:
    """End a process that is at fault; its exit decides what follows."""
    _count_health(draft)
    draft.set(phase="stopping", fault=sentence, reason=sentence)
    draft.do(life.LogLine("warning", f"{sentence} It is ended."), life.FailWaiting(sentence))
    draft.answer(_STARTS, life.Refusal("start_failed", sentence))
    _step(draft, step)


# Stopping


def _stop(draft: _Draft) -> None:
    """Ask the process to go: politely when it can hear."""
    state = draft.state
    draft.disarm()
    draft.set(phase="stopping")
    if state.takes_requests:
        _step(draft, "goaway" if state.speaks >= 2 else "shutdown")
    elif state.process == "alive":
        _step(draft, "terminate")


def _step(draft: _Draft, step: TimerKind) -> None:
    match step:
        case "goaway":
            draft.do(life.SendGoaway())
        case "shutdown":
            draft.do(life.SendShutdown())
        case "terminate":
            draft.do(life.Terminate())
        case _:
            draft.do(life.Kill())
    draft.arm(step, GRACE_S[step])


def _timer_fired(draft: _Draft, kind: TimerKind, serial: int) -> None:
    if (draft.state.timer, draft.state.serial) != (kind, serial):
        return
    draft.set(timer=None)
    match kind:
        case "start":
            waited_s = draft.now - draft.state.spawned_at
            _fault(draft, f"It was not ready within {waited_s:.0f} seconds.", "terminate")
        case "goaway":
            _step(draft, "shutdown")
        case "shutdown":
            _step(draft, "terminate")
        case "terminate":
            _step(draft, "kill")
        case "kill":
            draft.do(life.LogLine("error", "It has outlived a SIGKILL; it is killed again."))
            _step(draft, "kill")
        case "backoff":
            draft.set(restarts=draft.state.restarts + 1)
            _start(draft)
        case "healthy":
            draft.set(failures=0)


def _exited(draft: _Draft, code: int | None, detail: str) -> None:
    state = draft.state
    draft.disarm()
    draft.set(process="none", pid=None)
    draft.do(life.Disconnect(), life.FailWaiting(f"The plugin {exit_words(code)}."))
    if state.phase != "stopping":
        _failed(draft, f"It {exit_words(code)}{_before_ready(state)}.{detail}", code)
    elif state.fault is not None:
        _failed(draft, f"{state.fault} It {exit_words(code)}.{detail}", code)
    else:
        if state.was_ready:
            draft.record("stopped", exit_code=code)
            draft.set(again=True)
        draft.do(life.LogLine("info", f"It {exit_words(code)}, as it was asked to."))
        _settle(draft)


def _before_ready(state: PluginState) -> str:
    return "" if state.was_ready else " before it was ready"


def _failed(draft: _Draft, sentence: str, code: int | None) -> None:
    """A process ended, or could not be started, without anybody's wish."""
    _count_health(draft)
    stopping = draft.state.phase == "stopping"
    failures = draft.state.failures + 1
    draft.set(failures=failures, reason=sentence, again=True)
    draft.record("crashed", reason=sentence, exit_code=code, failures=failures)
    if _may_not_start(draft.state):
        _settle(draft)
    elif stopping and draft.state.asks:
        _start(draft)  # somebody asked after the fault was known
    elif code == NEEDS_CONFIGURATION:
        _needs_configuration(draft, sentence)
    elif failures >= FAILURES_LIMIT:
        _give_up(draft, sentence)
    else:
        _back_off(draft, sentence)


def _may_not_start(state: PluginState) -> bool:
    unusable = state.broken is not None or state.removed
    return unusable or state.shutting_down or not state.enabled


def _back_off(draft: _Draft, sentence: str) -> None:
    delay_s = backoff_s(draft.state.failures) * draft.jitter
    draft.set(phase="backoff")
    message = f"{sentence} It is started again in {delay_s:.3g} s."
    draft.do(life.LogLine("warning", message))
    draft.answer(_STARTS, life.Refusal("start_failed", message))
    draft.arm("backoff", delay_s)


def _needs_configuration(draft: _Draft, sentence: str) -> None:
    reason = f"It needs configuration and is not started again by itself. {sentence}"
    draft.set(phase="broken", reason=reason, failures=0)
    draft.do(life.LogLine("error", reason))
    draft.answer(_STARTS, life.Refusal("start_failed", reason))


def _give_up(draft: _Draft, sentence: str) -> None:
    reason = f"It failed {draft.state.failures} times in a row and is disabled. {sentence}"
    draft.set(phase="disabled", enabled=False, reason=reason, again=False)
    draft.do(life.PersistEnabled(False), life.LogLine("error", reason))
    draft.record("disabled", reason=reason)
    draft.answer(_STARTS, life.Refusal("start_failed", reason))
