"""What follows when a plugin fails: the pause before its next start, or none any more.

Runs on: any thread; pure. ``toru.domain.plugin_lifecycle`` has the whole picture.
"""

from __future__ import annotations

from toru.domain import plugin_life as life
from toru.domain.plugin_draft import STARTS, Draft, settle, start, take_step
from toru.domain.plugin_life import PluginState, TimerKind

HEALTHY_S = 60.0
"""So long in good health, and earlier failures are forgotten."""

FAILURES_LIMIT = 10

NEEDS_CONFIGURATION = 78
"""The exit code EX_CONFIG of sysexits(3)."""

_LONGEST_BACKOFF_S = 16.0


def backoff_s(failures: int) -> float:
    """Return the seconds from a failure, the ``failures``-th in a row, to the next start."""
    return min(2.0 ** min(max(failures, 1) - 1, 10), _LONGEST_BACKOFF_S)


def watch_health(draft: Draft) -> None:
    """Have failures forgotten after enough time in health."""
    if draft.state.failures:
        draft.arm("healthy", draft.healthy_s)


def count_health(draft: Draft) -> None:
    """Take note that health ends; enough of it forgets failures, also when the timer is late."""
    since = draft.state.healthy_since
    if since is not None and draft.now - since >= draft.healthy_s:
        draft.set(failures=0)
    draft.set(healthy_since=None)


def fault(draft: Draft, sentence: str, step: TimerKind) -> None:
    """End a process that is at fault; its exit decides what follows."""
    count_health(draft)
    draft.set(phase="stopping", fault=sentence, reason=sentence)
    draft.do(life.LogLine("warning", f"{sentence} It is ended."), life.FailWaiting(sentence))
    if not draft.state.trial:  # its installer hears of the end, which says more
        draft.answer(STARTS, life.Refusal("start_failed", sentence))
    take_step(draft, step)


def failed(draft: Draft, sentence: str, code: int | None) -> None:
    """A process ended, or could not be started, without anybody's wish."""
    count_health(draft)
    if draft.state.trial:
        _fail_trial(draft, sentence, code)
        return
    stopping = draft.state.phase == "stopping"
    failures = draft.state.failures + 1
    draft.set(failures=failures, reason=sentence, again=True)
    draft.record("crashed", reason=sentence, exit_code=code, failures=failures)
    if _may_not_start(draft.state):
        settle(draft)
    elif stopping and draft.state.asks:
        start(draft)  # somebody asked after the fault was known
    elif code == NEEDS_CONFIGURATION:
        _needs_configuration(draft, sentence)
    elif failures >= FAILURES_LIMIT:
        _give_up(draft, sentence)
    else:
        _back_off(draft, sentence)


def _fail_trial(draft: Draft, sentence: str, code: int | None) -> None:
    """A version on trial gets no second one."""
    needs_more = code == NEEDS_CONFIGURATION
    draft.set(reason=sentence, removed=True)
    draft.do(life.LogLine("warning", f"{sentence} It is not tried again."))
    why: life.RefusalCode = "needs_configuration" if needs_more else "start_failed"
    draft.answer(STARTS, life.Refusal(why, sentence))
    settle(draft)


def _may_not_start(state: PluginState) -> bool:
    unusable = state.broken is not None or state.removed
    return unusable or state.shutting_down or not state.enabled


def _back_off(draft: Draft, sentence: str) -> None:
    delay_s = backoff_s(draft.state.failures) * draft.jitter
    draft.set(phase="backoff")
    message = f"{sentence} It is started again in {delay_s:.3g} s."
    draft.do(life.LogLine("warning", message))
    draft.answer(STARTS, life.Refusal("start_failed", message))
    draft.arm("backoff", delay_s)


def _needs_configuration(draft: Draft, sentence: str) -> None:
    reason = f"It needs configuration and is not started again by itself. {sentence}"
    draft.set(phase="broken", reason=reason, failures=0)
    draft.do(life.LogLine("error", reason))
    draft.answer(STARTS, life.Refusal("start_failed", reason))


def _give_up(draft: Draft, sentence: str) -> None:
    reason = f"It failed {draft.state.failures} times in a row and is disabled. {sentence}"
    draft.set(phase="disabled", enabled=False, reason=reason, again=False)
    draft.do(life.PersistEnabled(False), life.LogLine("error", reason))
    draft.record("disabled", reason=reason)
    draft.answer(STARTS, life.Refusal("start_failed", reason))
