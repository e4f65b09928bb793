"""The life of a run: every order of events gives exactly one ending."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.domain import task_lifecycle as life
from toru.domain.task_lifecycle import TaskState, decide

AT = "2026-11-22T14:00:00.000Z"
EVENTS = st.one_of(
    st.just(life.Admitted()),
    st.just(life.Started(AT)),
    st.just(life.Refused(AT, "No such interpreter.")),
    st.just(life.CancelAsked(AT)),
    st.builds(
        life.Exited,
        at=st.just(AT),
        code=st.integers(-64, 255) | st.none(),
        reason=st.sampled_from(["exit", "cancelled", "time_limit", "interrupted", "hub_gone"]),
    ),
    st.just(life.Lost(AT, "Nobody knows.")),
)


def play(*events: life.Event) -> tuple[TaskState, list[life.Instruction]]:
    state = TaskState()
    instructions: list[life.Instruction] = []
    for event in events:
        state, made = decide(state, event)
        instructions += made
    return state, instructions


def test_a_run_is_started_once_it_is_admitted_and_ends_with_its_code() -> None:
    state, instructions = play(life.Admitted(), life.Started(AT), life.Exited(AT, 3))
    assert state.phase == "ended"
    assert instructions == [
        life.Spawn(),
        life.RecordStart(AT),
        life.RecordEnd("failed", AT, 3),
    ]


def test_exit_code_zero_is_finished() -> None:
    _, instructions = play(life.Admitted(), life.Started(AT), life.Exited(AT, 0))
    assert instructions[-1] == life.RecordEnd("finished", AT, 0)


def test_a_waiting_run_is_cancelled_without_a_process() -> None:
    state, instructions = play(life.CancelAsked(AT), life.Admitted())
    assert state.phase == "ended"
    assert instructions == [life.RecordEnd("cancelled", AT, None, "Cancelled before it started.")]


def test_a_cancel_while_the_process_is_being_started_is_carried_out_afterwards() -> None:
    state, instructions = play(life.Admitted(), life.CancelAsked(AT), life.Started(AT))
    assert state.phase == "cancelling"
    assert instructions == [life.Spawn(), life.RecordStart(AT), life.AskForEnd()]


def test_a_second_cancel_asks_nothing_again() -> None:
    _, instructions = play(
        life.Admitted(), life.Started(AT), life.CancelAsked(AT), life.CancelAsked(AT)
    )
    assert instructions.count(life.AskForEnd()) == 1


def test_a_run_that_exits_by_itself_during_a_cancel_ends_as_the_runner_says() -> None:
    _, instructions = play(
        life.Admitted(), life.Started(AT), life.CancelAsked(AT), life.Exited(AT, 0, "exit")
    )
    assert instructions[-1] == life.RecordEnd("finished", AT, 0)


def test_a_run_found_again_after_a_restart_goes_on() -> None:
    state, instructions = decide(TaskState("queued"), life.Started(AT))
    assert (state.phase, instructions) == ("running", (life.RecordStart(AT),))


@pytest.mark.parametrize(
    ("reason", "ending"),
    [("cancelled", "cancelled"), ("interrupted", "interrupted"), ("time_limit", "failed")],
)
def test_the_reason_of_the_runner_decides_the_ending(reason: str, ending: str) -> None:
    _, instructions = play(life.Admitted(), life.Started(AT), life.Exited(AT, -15, reason))
    last = instructions[-1]
    assert isinstance(last, life.RecordEnd)
    assert (last.ending, last.code) == (ending, -15)


@given(st.lists(EVENTS, max_size=30))
def test_whatever_happens_a_run_has_at_most_one_ending_and_nothing_after_it(
    events: list[life.Event],
) -> None:
    state, instructions = play(*events)
    endings = [index for index, made in enumerate(instructions) if isinstance(made, life.RecordEnd)]
    assert len(endings) == (1 if state.phase == "ended" else 0)
    assert endings == [] or endings[0] == len(instructions) - 1
    assert instructions.count(life.Spawn()) <= 1
    assert sum(isinstance(made, life.RecordStart) for made in instructions) <= 1


@given(st.lists(EVENTS, max_size=30))
def test_an_end_is_always_recorded_when_the_process_is_gone(events: list[life.Event]) -> None:
    state, _ = play(*events, life.Lost(AT, "Nobody knows."))
    assert state == life.ENDED
