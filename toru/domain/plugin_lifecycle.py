"""The life of one plugin, as a pure state machine: events in, the next state and instructions out.

Runs on: any thread; pure. The words are in ``plugin_life``, the moves that every decision is made
of in ``plugin_draft``; what the process does is decided in ``plugin_process_events``, what its
failures lead to in ``plugin_failures``, and what people, the file and the hub want is here.

    discovered ──► starting ──ready──► ready ◄──answers── unhealthy
                    │  ▲  ▲              │ └──ping missed───► │
            failure │  │  └──────────────│─── restart ◄───┐   │ 3rd miss
                    ▼  │ 1,2,4,8,16 s    ▼                │   ▼
                  backoff ◄── failure ── exited        stopping ──► stopped, disabled, broken
                       10th in a row ──► disabled

A process that must go is asked, then told, then killed, and ``stopping`` lasts until the runner
says that its whole tree is gone: only then is decided what follows, by the wishes of that moment.

A new version of a plugin is tried beside the one that serves: it has a life of its own, ``trial``,
with one start. Then it is *adopted*, and the other one *superseded*: that one answers what it was
asked, and ends.
"""

from __future__ import annotations

from toru.domain import plugin_life as life
from toru.domain.plugin_draft import (
    STARTS,
    Draft,
    end_or_settle,
    leave,
    retire,
    settle,
    start,
    stop,
    take_step,
)
from toru.domain.plugin_failures import HEALTHY_S, watch_health
from toru.domain.plugin_life import Ask, PluginState
from toru.domain.plugin_process_events import process_event, record_start, timer_fired

Decision = tuple[PluginState, tuple[life.Instruction, ...]]


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
    draft = Draft(state, now, jitter, healthy_s)
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
            timer_fired(draft, kind, serial)
        case life.BinaryChanged(protocol):
            _binary_changed(draft, protocol)
        case life.BrokenFound(reason):
            _broken_found(draft, reason)
        case life.Removed():
            _removed(draft)
        case life.Adopted():
            _adopted(draft)
        case life.Superseded():
            _superseded(draft)
        case life.Shutdown():
            _shutdown(draft)
        case _:
            if event.spawn == state.spawn and state.process != "none":
                process_event(draft, event)
    if _visible(draft.state) != _visible(state):
        draft.do(life.TellManager())
    return draft.state, tuple(draft.made)


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


def _boot(draft: Draft, leftover: bool) -> None:
    if draft.state.phase != "discovered":
        return
    if not leftover:
        settle(draft)
        return
    draft.set(process="alive", phase="stopping")
    draft.do(life.LogLine("info", "A process of an earlier hub is ended first."))
    take_step(draft, "terminate")


def _enable(draft: Draft, ask: Ask) -> None:
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
            start(draft)


def _restart(draft: Draft, ask: Ask) -> None:
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
            stop(draft)
        case "backoff" | "stopped" | "broken":
            start(draft)


def _disable(draft: Draft, ask: Ask) -> None:
    if draft.state.removed or draft.state.shutting_down:
        _refused_for_good(draft, ask)
        return
    draft.answer(STARTS, life.Refusal("superseded", "It has been disabled meanwhile."))
    if draft.state.enabled:
        draft.set(enabled=False, reason=None)
        draft.do(life.PersistEnabled(False))
        draft.record("disabled", reason="asked")
    draft.wait(ask)
    match draft.state.phase:
        case "starting" | "ready" | "unhealthy":
            stop(draft)
        case "backoff" | "disabled" | "stopped" | "broken":
            settle(draft)


def _refused_for_good(draft: Draft, ask: Ask) -> bool:
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


def _binary_changed(draft: Draft, protocol: int) -> None:
    draft.set(protocol=protocol, broken=None, removed=False, failures=0)
    match draft.state.phase:
        case "starting" | "ready" | "unhealthy":
            draft.do(life.LogLine("info", "Its file has been replaced; it is restarted."))
            stop(draft)
        case "backoff" | "broken" | "stopped":
            draft.set(reason=None)
            settle(draft)


def _broken_found(draft: Draft, reason: str) -> None:
    if draft.state.broken == reason and not draft.state.removed:
        return
    draft.set(broken=reason, removed=False)
    draft.do(life.LogLine("error", f"The plugin cannot be used: {reason}"))
    draft.answer(STARTS, life.Refusal("broken_plugin", reason))
    end_or_settle(draft)


def _removed(draft: Draft) -> None:
    if draft.state.removed:
        return
    draft.set(removed=True)
    draft.do(life.LogLine("info", "Its file is gone."))
    draft.answer(STARTS, life.Refusal("removed", "The plugin's file is gone."))
    end_or_settle(draft)


def _adopted(draft: Draft) -> None:
    if not draft.state.trial:
        return
    draft.set(trial=False, removed=False)
    if draft.state.takes_requests:
        record_start(draft, "started")
        watch_health(draft)
        draft.do(life.TellManager())
    elif draft.state.process == "none":
        settle(draft)  # it has ended just now: from here on that is a failure as any other
    # else it is ending, and what follows is decided then


def _superseded(draft: Draft) -> None:
    if draft.state.removed:
        return
    draft.set(removed=True)
    sentence = "Another version has taken its place."
    draft.do(life.LogLine("info", f"{sentence} It answers what it was asked, and ends."))
    draft.answer(STARTS, life.Refusal("superseded", sentence))
    if draft.state.takes_requests:
        retire(draft)
    else:
        end_or_settle(draft)


def _shutdown(draft: Draft) -> None:
    if draft.state.shutting_down or (draft.state.removed and draft.state.is_gone):
        return
    draft.set(shutting_down=True)
    draft.answer(STARTS, life.Refusal("shutting_down", "The hub is being stopped."))
    if draft.state.timer == "retire":
        leave(draft)
    else:
        end_or_settle(draft)
