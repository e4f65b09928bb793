"""The lockout rule, driven with invented clocks.

Runs on: the test's thread.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.lockout import WINDOW_S, Event, Lockout, decide, lockout_address

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["attempt", "failure", "success"]),
        st.floats(min_value=0.0, max_value=2400.0, allow_nan=False),
    ),
    max_size=60,
)


def after_failures(count: int) -> tuple[Lockout, float]:
    """Fail ``count`` times, each as soon as it is looked at again; return the state and moment."""
    state, now = Lockout(), 0.0
    for _ in range(count):
        now = max(now, state.locked_until)
        state = decide(state, "failure", now).state
    return state, now


@pytest.mark.parametrize(
    ("failures", "locked_s"),
    [
        (0, 0), (1, 0), (2, 0), (3, 60), (4, 0), (5, 0), (6, 180), (7, 0), (9, 600), (11, 0),
        (12, 1800), (13, 0),
    ],
)  # fmt: skip
def test_each_third_failure_locks_for_longer(failures: int, locked_s: int) -> None:
    state, now = after_failures(failures)
    assert decide(state, "attempt", now).locked_s == locked_s


def test_a_lock_is_over_to_the_second() -> None:
    state, now = after_failures(3)
    assert decide(state, "attempt", now + 59.5).locked_s == 1
    assert decide(state, "attempt", now + 60.0).locked_s == 0


def test_failures_older_than_an_hour_do_not_count() -> None:
    state = decide(Lockout(), "failure", 0.0).state
    state = decide(state, "failure", 1.0).state
    assert decide(state, "failure", WINDOW_S + 0.5).locked_s == 0
    assert decide(state, "failure", WINDOW_S - 0.5).locked_s == 60


def test_a_success_clears_the_failures() -> None:
    state, now = after_failures(5)
    state = decide(state, "success", now).state
    assert state.is_empty
    assert decide(state, "failure", now).locked_s == 0


@given(STEPS)
def test_a_lock_is_never_lengthened_and_nothing_counts_while_it_lasts(
    steps: list[tuple[Event, float]],
) -> None:
    state, now = Lockout(), 0.0
    for event, gap_s in steps:
        now += gap_s
        decision = decide(state, event, now)
        if state.locked_until > now:
            assert decision.state.locked_until == state.locked_until
            assert set(decision.state.failures) <= set(state.failures)
            assert decision.locked_s == pytest.approx(state.locked_until - now, abs=1.001)
            assert decision.locked_s >= 1
        state = decision.state


@given(STEPS)
def test_only_a_failure_locks_and_never_for_more_than_half_an_hour(
    steps: list[tuple[Event, float]],
) -> None:
    state, now = Lockout(), 0.0
    for event, gap_s in steps:
        now += gap_s
        free = state.locked_until <= now
        decision = decide(state, event, now)
        if free and event != "failure":
            assert decision.locked_s == 0
        assert 0 <= decision.locked_s <= 1800
        assert all(now - moment < WINDOW_S for moment in decision.state.failures)
        state = decision.state


@given(st.lists(st.floats(min_value=0.0, max_value=30.0), min_size=1, max_size=400))
def test_a_guesser_gets_at_most_twelve_tries_in_the_first_half_hour(gaps: list[float]) -> None:
    state, now, tries = Lockout(), 0.0, 0
    for gap_s in gaps:
        now += gap_s
        if now < 1800 and decide(state, "attempt", now).locked_s == 0:
            tries += 1
            state = decide(state, "failure", now).state
    assert tries <= 12


@given(STEPS)
def test_a_state_whose_time_is_over_is_empty_again(steps: list[tuple[Event, float]]) -> None:
    state, now = Lockout(), 0.0
    for event, gap_s in steps:
        now += gap_s
        state = decide(state, event, now).state
    assert decide(state, "attempt", now + WINDOW_S + 1).state.is_empty


def test_a_whole_network_of_ipv6_counts_as_one_address() -> None:
    assert lockout_address("2001:db8:1:2:3::4") == lockout_address("2001:db8:1:2::ffff")
    assert lockout_address("2001:db8:1:2::1") != lockout_address("2001:db8:1:3::1")
    assert lockout_address("192.0.2.7") == "192.0.2.7"
    assert lockout_address("not an address") == "not an address"
