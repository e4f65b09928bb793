"""The pure decisions: how a run ends, which processes are of it, what ps says.

Runs on: pytest; no I/O.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from toru.runner.ending import (
    DRAIN_S,
    FINISH,
    GIVE_UP_S,
    KILL,
    LEFTOVER_GRACE_S,
    TERM,
    WAIT,
    Ending,
)
from toru.runner.process import Identity, Probe, Process, ancestors, descendants, tree_of
from toru.runner.procfs import parse_ps

STEP_S = 0.05
NOTHING = Probe(lambda pid: None, lambda pid: None, lambda pid, pipes: False)


def decide(ending: Ending, now: float, pipes: bool, others: bool) -> str:
    return ending.decide(now, pipes_open=pipes, others_alive=lambda: others)[0]


@given(
    leave=st.booleans(),
    drain_s=st.floats(0, DRAIN_S),
    leader_s=st.floats(0, 3),
    pipes_s=st.floats(0, 20),
    others_s=st.floats(0, 20),
    stop_s=st.none() | st.floats(0, 10),
    grace_s=st.floats(0, 2),
    obeys=st.booleans(),
)
def test_a_run_ends_once_and_within_5_s_of_its_leader(
    leave: bool,
    drain_s: float,
    leader_s: float,
    pipes_s: float,
    others_s: float,
    stop_s: float | None,
    grace_s: float,
    obeys: bool,
) -> None:
    ending, now, actions = Ending(leave=leave, drain_s=drain_s), 0.0, []
    termed = killed = False
    while now < 40:
        if stop_s is not None and now >= stop_s:
            ending.stop(now, grace_s)
            stop_s = None
        dead = killed or (termed and obeys)
        if ending.exited_at is None and (now >= leader_s or dead):
            ending.leader_exited(now)
        others = now < others_s and not dead
        action, again_at = ending.decide(
            now, pipes_open=now < pipes_s and others, others_alive=lambda alive=others: alive
        )
        actions.append(action)
        if action == FINISH:
            break
        termed, killed = termed or action == TERM, killed or action == KILL
        assert again_at is None or again_at > now - STEP_S
        now += STEP_S
    assert actions[-1] == FINISH
    assert actions.count(TERM) <= 1
    assert KILL not in actions or actions.index(KILL) > actions.index(TERM)
    assert ending.exited_at is not None
    longest = max(5.0, grace_s + GIVE_UP_S)
    assert now - ending.exited_at <= longest
    assert leave or not others or killed


def test_nothing_happens_to_a_run_that_runs() -> None:
    assert Ending().decide(5, pipes_open=True, others_alive=lambda: True) == (WAIT, None)


def test_what_cannot_be_killed_is_given_up_and_told() -> None:
    ending, now = Ending(), 0.0
    ending.leader_exited(now)
    while decide(ending, now, True, True) != FINISH:
        now += STEP_S
    assert DRAIN_S + LEFTOVER_GRACE_S < now <= 5


def test_a_leader_that_cannot_be_killed_is_not_given_up() -> None:
    ending = Ending()
    ending.stop(0, 0)
    assert [decide(ending, now, True, True) for now in (0, 1, 100, 1000)] == [
        TERM,
        KILL,
        KILL,
        KILL,
    ]


def test_a_pipe_that_a_stranger_holds_is_waited_for_only_so_long() -> None:
    for ending, drain_s in ((Ending(), DRAIN_S), (Ending(drain_s=0.5), 0.5)):
        ending.leader_exited(0)
        assert decide(ending, drain_s / 2, True, False) == WAIT
        assert decide(ending, drain_s, True, False) == FINISH


def test_who_outlives_the_leader_is_ended_by_policy_after_as_long_as_was_asked_for() -> None:
    ending = Ending(drain_s=0.5)
    ending.leader_exited(0)
    assert ending.decide(0.1, pipes_open=True, others_alive=lambda: True) == (WAIT, 0.5)
    assert decide(ending, 0.5, True, True) == TERM
    assert decide(ending, 0.5 + LEFTOVER_GRACE_S, True, True) == KILL


def table(*processes: tuple[int, int, int, int]) -> dict[int, Process]:
    return {
        pid: Process(pid, parent, session, start, False, f"p{pid}")
        for pid, parent, session, start in processes
    }


def pids(processes: list[Process]) -> list[int]:
    return [process.pid for process in processes]


def test_descendants_and_ancestors_end_even_in_a_table_with_a_loop() -> None:
    loop = table((2, 4, 0, 0), (3, 2, 0, 0), (4, 3, 0, 0))
    assert pids(descendants(loop, [loop[2]])) == [2, 3, 4]
    assert ancestors(loop, 2) == {2, 3, 4}


def test_an_orphan_is_known_by_any_of_its_evidence() -> None:
    found = table((10, 1, 10, 5), (11, 1, 11, 6), (12, 11, 11, 7), (20, 1, 20, 5), (21, 1, 21, 9))
    leaders = frozenset({10, 20})
    probe = Probe({11: 77}.get, {21: "b"}.get, lambda pid, pipes: False)
    first, second = Identity("a", 77, (10, 5)), Identity("b", 78, (20, 5))
    assert pids(tree_of(first, found, probe, below=1, leaders=leaders)) == [10, 11, 12]
    assert pids(tree_of(second, found, probe, below=1, leaders=leaders)) == [20, 21]
    del found[10], found[11]
    found[12].parent = 1
    assert pids(tree_of(first, found, NOTHING, below=1, leaders=leaders)) == [12], "seen before"
    found[12] = Process(12, 1, 12, 99, False, "another")
    assert pids(tree_of(first, found, NOTHING, below=1, leaders=leaders)) == []


def test_the_mark_of_another_run_outweighs_the_environment() -> None:
    probe = Probe(lambda pid: 78, lambda pid: "a", lambda pid, pipes: True)
    assert tree_of(Identity("a", 77), table((10, 1, 10, 5)), probe, below=1) == []
    assert pids(tree_of(Identity("a", None), table((10, 1, 10, 5)), probe, below=1)) == [10]


def test_the_session_counts_only_for_what_is_not_older_than_the_leader() -> None:
    found = table((11, 1, 10, 6), (12, 1, 10, 3), (10, 1, 10, 9))
    identity = Identity("a", None, (10, 5))
    assert pids(
        tree_of(identity, found, NOTHING, below=1, leaders=frozenset({10}), by_session=True)
    ) == [11]


def test_what_is_not_below_the_subreaper_is_never_of_a_run() -> None:
    found = table((10, 1, 10, 5), (30, 2, 30, 5))
    everything = Probe(lambda pid: 77, lambda pid: "a", lambda pid, pipes: True)
    assert pids(tree_of(Identity("a", 77), found, everything, below=1)) == [10]


def test_ps_output_becomes_a_table() -> None:
    output = (
        "    1     0     1 Ss   Sun Nov 22 14:01:30 2026 /sbin/launchd\n"
        "   42     1    40 Z    Mon Nov 23 01:02:03 2026 (a name with spaces)\n"
        "garbage\n"
    )
    found = parse_ps(output)
    assert sorted(found) == [1, 42]
    assert (found[42].parent, found[42].session, found[42].zombie) == (1, 40, True)
    assert found[42].name == "(a name with spaces)"
    assert found[42].start - found[1].start == 86_400 - 13 * 3600 + 33
