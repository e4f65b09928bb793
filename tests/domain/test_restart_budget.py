"""The restart budget: a sliding window, and delays that double."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain.restart_budget import GiveUp, RestartAfter, RestartBudget, decide_restart

BUDGETS = st.builds(
    RestartBudget,
    limit=st.integers(0, 2000),
    window_s=st.floats(0.1, 1e6),
    first_delay_s=st.floats(0, 10),
    max_delay_s=st.floats(0, 100),
)
TIMES = st.lists(st.floats(0, 1e6), max_size=60).map(sorted)


def test_the_first_crash_waits_the_first_delay():
    budget = RestartBudget(first_delay_s=0.5)
    assert decide_restart(budget, (), 100.0) == RestartAfter(0.5, (100.0,))


def test_each_delay_in_the_window_is_twice_the_one_before_up_to_the_most():
    budget = RestartBudget(limit=8, window_s=60, first_delay_s=1, max_delay_s=16)
    crashes: tuple[float, ...] = ()
    delays = []
    for second in range(8):
        decision = decide_restart(budget, crashes, float(second))
        assert isinstance(decision, RestartAfter)
        crashes = decision.crashes
        delays.append(decision.delay_s)
    assert delays == [1, 2, 4, 8, 16, 16, 16, 16]


def test_one_crash_more_than_the_limit_in_the_window_gives_up():
    budget = RestartBudget(limit=2, window_s=10)
    decision = decide_restart(budget, (1.0, 2.0), 3.0)
    assert decision == GiveUp("crashed 3 times in 10 seconds; given up.")


def test_a_limit_of_nought_gives_up_at_once():
    assert isinstance(decide_restart(RestartBudget(limit=0), (), 0.0), GiveUp)


@pytest.mark.parametrize(("now", "remembered"), [(10.999, 2), (11.0, 1)])
def test_a_crash_is_forgotten_as_soon_as_it_is_a_window_old(now, remembered):
    decision = decide_restart(RestartBudget(window_s=10), (1.0,), now)
    assert isinstance(decision, RestartAfter)
    assert len(decision.crashes) == remembered


def test_a_long_row_of_crashes_has_a_finite_delay():
    budget = RestartBudget(limit=5000, first_delay_s=0.02, max_delay_s=5)
    decision = decide_restart(budget, (1.0,) * 4000, 2.0)
    assert isinstance(decision, RestartAfter)
    assert decision.delay_s == 5


@given(BUDGETS, TIMES)
def test_no_window_ever_holds_more_restarts_than_the_limit(budget, times):
    crashes: tuple[float, ...] = ()
    restarts: list[float] = []
    for now in times:
        decision = decide_restart(budget, crashes, now)
        if isinstance(decision, GiveUp):
            break
        crashes = decision.crashes
        restarts.append(now)
        assert 0 <= decision.delay_s <= budget.max_delay_s
        assert len(crashes) <= budget.limit
        assert sum(now - moment < budget.window_s for moment in restarts) <= budget.limit
        assert crashes == tuple(m for m in restarts if now - m < budget.window_s)


@given(BUDGETS, st.floats(0, 1e6))
def test_crashes_that_are_a_window_apart_never_give_up(budget, start):
    crashes: tuple[float, ...] = ()
    for number in range(5):
        decision = decide_restart(budget, crashes, start + number * budget.window_s * 1.5)
        if budget.limit == 0:
            assert isinstance(decision, GiveUp)
            return
        assert isinstance(decision, RestartAfter)
        crashes = decision.crashes
        assert len(crashes) == 1
