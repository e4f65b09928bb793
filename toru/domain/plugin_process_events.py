"""What a plugin's process does, and what time does to it: its part in the plugin's life.

Runs on: any thread; pure. ``toru.domain.plugin_lifecycle`` has the whole picture.
"""

from __future__ import annotations

from toru.domain import plugin_life as life
from toru.domain.plugin_draft import GRACE_S, STARTS, Draft, leave, settle, start, take_step
from toru.domain.plugin_failures import count_health, failed, fault, watch_health
from toru.domain.plugin_life import PluginState, TimerKind
from toru.domain.plugin_probe import exit_words

START_S = 30.0
LONGEST_START_S = 600.0
MISSES_LIMIT = 3


def process_event(draft: Draft, event: life.ProcessEvent) -> None:
    """Decide what follows from something that the present process has done."""
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
        case life.Quiet():
            if draft.state.timer == "retire":
                leave(draft)
        case life.Drained():
            if draft.state.timer == "goaway":
                take_step(draft, "shutdown")
        case life.ShutdownUnsent():
            if draft.state.timer in ("goaway", "shutdown"):
                take_step(draft, "terminate")
        case life.Exited(_, code, detail):
            _exited(draft, code, detail)


def timer_fired(draft: Draft, kind: TimerKind, serial: int) -> None:
    """Decide what follows from a timer; one that has been replaced is ignored."""
    if (draft.state.timer, draft.state.serial) != (kind, serial):
        return
    draft.set(timer=None)
    match kind:
        case "start":
            waited_s = draft.now - draft.state.spawned_at
            fault(draft, f"It was not ready within {waited_s:.0f} seconds.", "terminate")
        case "retire":
            leave(draft)
        case "goaway":
            take_step(draft, "shutdown")
        case "shutdown":
            take_step(draft, "terminate")
        case "terminate":
            take_step(draft, "kill")
        case "kill":
            draft.do(life.LogLine("error", "It has outlived a SIGKILL; it is killed again."))
            take_step(draft, "kill")
        case "backoff":
            draft.set(restarts=draft.state.restarts + 1)
            start(draft)
        case "healthy":
            draft.set(failures=0)


def _spawned(draft: Draft, pid: int) -> None:
    if draft.state.process != "spawning":
        return
    draft.set(process="alive", pid=pid, spawned_at=draft.now)
    if draft.state.phase == "stopping":
        take_step(draft, "terminate")
        return
    draft.set(start_deadline=draft.now + START_S)
    draft.do(life.Connect(draft.state.spawn, draft.state.speaks))
    draft.arm("start", START_S)


def _spawn_refused(draft: Draft, sentence: str) -> None:
    if draft.state.process != "spawning":
        return
    draft.set(process="none")
    if draft.state.phase == "stopping":
        settle(draft)
    else:
        failed(draft, sentence, None)


def _became_ready(draft: Draft) -> None:
    state = draft.state
    if state.phase != "starting" or state.process != "alive":
        return
    draft.disarm()
    draft.set(phase="ready", was_ready=True, healthy_since=draft.now, again=False, reason=None)
    if not state.trial:
        record_start(draft, "restarted" if state.again else "started")
    draft.do(life.LogLine("info", "It is ready."))
    draft.answer(STARTS)
    watch_health(draft)


def record_start(draft: Draft, event_type: life.EventType) -> None:
    """Have it stored that the present process serves."""
    draft.record(event_type, pid=draft.state.pid, protocol=draft.state.speaks)


def _start_extended(draft: Draft, extend_s: float) -> None:
    state = draft.state
    if state.timer != "start":
        return
    deadline = min(draft.now + extend_s, state.spawned_at + LONGEST_START_S)
    if deadline > state.start_deadline:
        draft.set(start_deadline=deadline)
        draft.arm("start", deadline - draft.now)


def _ping_missed(draft: Draft) -> None:
    if not draft.state.takes_requests:
        return
    count_health(draft)
    draft.disarm()
    draft.set(phase="unhealthy", misses=draft.state.misses + 1)
    if draft.state.misses >= MISSES_LIMIT:
        fault(draft, f"It did not answer {MISSES_LIMIT} times.", "kill")


def _healthy(draft: Draft) -> None:
    if draft.state.phase != "unhealthy":
        return
    draft.set(phase="ready", misses=0, healthy_since=draft.now)
    watch_health(draft)


def _health_reported(draft: Draft, degraded: bool, text: str) -> None:
    state = draft.state
    reason = f"It says that it is not well: {text or 'no reason'}" if degraded else None
    if not state.takes_requests or (state.degraded, state.reason) == (degraded, reason):
        return
    draft.set(degraded=degraded, reason=reason)
    if reason:
        draft.do(life.LogLine("warning", reason))
    elif state.degraded:
        draft.do(life.LogLine("info", "It says that it is well again."))


def _connection_lost(draft: Draft, sentence: str) -> None:
    if draft.state.phase != "stopping":
        if draft.state.process == "alive":
            fault(draft, sentence, "terminate")
        return
    draft.do(life.FailWaiting("The plugin has closed its connection."))
    if draft.state.timer in ("retire", "goaway"):
        # It may be leaving of its own accord; there is nobody to send the message to.
        draft.arm("shutdown", GRACE_S["shutdown"])


def _exited(draft: Draft, code: int | None, detail: str) -> None:
    state = draft.state
    draft.disarm()
    draft.set(process="none", pid=None)
    draft.do(life.Disconnect(), life.FailWaiting(f"The plugin {exit_words(code)}."))
    if state.phase != "stopping":
        failed(draft, f"It {exit_words(code)}{_before_ready(state)}.{detail}", code)
    elif state.fault is not None:
        failed(draft, f"{state.fault} It {exit_words(code)}.{detail}", code)
    else:
        if state.was_ready and not state.trial:
            draft.record("stopped", exit_code=code)
            draft.set(again=True)
        draft.do(life.LogLine("info", f"It {exit_words(code)}, as it was asked to."))
        settle(draft)


def _before_ready(state: PluginState) -> str:
    return "" if state.was_ready else " before it was ready"
