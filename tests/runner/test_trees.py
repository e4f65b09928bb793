"""Ending whole process trees: cancel, leftovers, stopped and stubborn processes.

Runs on: pytest; needs /proc, sh and setsid.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from tests.runner.support import Hub, alive, wait_for
from toru.runner.ending import DRAIN_S

STUBBORN = "trap '' TERM; echo $$; while :; do sleep 0.05; done"
DAEMON = Path(__file__).parent / "misbehave.py"


def misbehave(*words: str) -> list[str]:
    return [sys.executable, "-S", "-E", str(DAEMON), *words]


def cancel(hub: Hub, run: str, grace_s: float = 5.0) -> dict[str, object]:
    hub.send(type="cancel", id=run, grace_s=grace_s)
    return hub.wait("exited", id=run)


def test_cancel_ends_a_run_with_term(hub: Hub) -> None:
    hub.start("a", "sleep", "60")
    exited = cancel(hub, "a")
    assert (exited["code"], exited["reason"], exited["cancelled"]) == (-15, "cancelled", True)
    assert hub.wait("stage")["stage"] == "term"


def test_a_run_that_ignores_term_is_killed_after_the_grace(hub: Hub) -> None:
    hub.start("a", "sh", "-c", STUBBORN)
    hub.numbers("a", 1)
    begun = time.monotonic()
    exited = cancel(hub, "a", grace_s=0.5)
    assert 0.5 <= time.monotonic() - begun < 5
    assert (exited["code"], exited["cancelled"]) == (-signal.SIGKILL, True)
    assert [hub.wait("stage")["stage"] for _ in range(2)] == ["term", "kill"]


def test_a_second_cancel_without_grace_kills_at_once(hub: Hub) -> None:
    hub.start("a", "sh", "-c", STUBBORN)
    hub.numbers("a", 1)
    hub.send(type="cancel", id="a", grace_s=60)
    hub.wait("stage")
    assert cancel(hub, "a", grace_s=0)["code"] == -signal.SIGKILL


def test_a_run_may_clean_up_within_the_grace(hub: Hub) -> None:
    hub.start(
        "a", "sh", "-c", "trap 'sleep 0.2; echo clean; exit 9' TERM; echo $$; sleep 60 & wait"
    )
    hub.numbers("a", 1)
    exited = cancel(hub, "a")
    assert (exited["code"], exited["cancelled"]) == (9, True)
    assert hub.output("a").endswith(b"clean\n")


def test_a_stopped_run_can_be_cancelled(hub: Hub) -> None:
    pid = hub.start("a", "sleep", "60")["pid"]
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: ") T " in Path(f"/proc/{pid}/stat").read_text(), "it is stopped")
    assert cancel(hub, "a")["code"] == -signal.SIGTERM


def test_a_stopped_tree_that_ignores_term_can_be_cancelled(hub: Hub) -> None:
    hub.start("a", "sh", "-c", f"sh -c '{STUBBORN.replace(chr(39), chr(34))}' & {STUBBORN}")
    pids = hub.numbers("a", 2)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    assert cancel(hub, "a", grace_s=0.2)["code"] == -signal.SIGKILL
    assert not any(alive(pid) for pid in pids)


def test_a_tree_five_deep_is_gone_after_cancel(hub: Hub) -> None:
    hub.start("a", *misbehave("deep", "5"))
    pids = hub.numbers("a", 5)
    assert len(set(pids)) == 5
    cancel(hub, "a", grace_s=0.2)
    assert not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("how", ["keeps", "closes", "forgets"])
def test_a_daemon_that_forked_twice_is_gone_after_cancel(hub: Hub, how: str) -> None:
    hub.start("a", *misbehave("daemon", how, "stay"))
    (pid,) = hub.numbers("a", 1)
    assert alive(pid)
    cancel(hub, "a", grace_s=0.2)
    assert not alive(pid)


@pytest.mark.parametrize("how", ["keeps", "closes", "forgets"])
def test_a_daemon_that_outlives_its_leader_is_named_and_ended_by_policy(hub: Hub, how: str) -> None:
    begun = time.monotonic()
    more = {} if how == "keeps" else {"drain_s": 0.3}
    exited = hub.run("a", *misbehave("daemon", how, "go"), **more)
    assert time.monotonic() - begun < 8
    (pid,) = hub.numbers("a", 1)
    assert (exited["code"], exited["reason"]) == (0, "exit")
    assert [(item["pid"], item["ended"]) for item in exited["leftovers"]] == [(pid, True)]
    assert exited["leftovers"][0]["name"]
    assert not alive(pid)


def test_who_outlives_the_leader_may_be_given_less_time(hub: Hub) -> None:
    begun = time.monotonic()
    exited = hub.sh("a", "sleep 60 & echo $!", drain_s=0.3)
    took_s = time.monotonic() - begun
    assert 0.3 <= took_s < DRAIN_S
    (pid,) = hub.numbers("a", 1)
    assert [(item["pid"], item["ended"]) for item in exited["leftovers"]] == [(pid, True)]


def test_leftovers_are_left_when_the_policy_says_so(hub: Hub) -> None:
    exited = hub.run("a", *misbehave("daemon", "keeps", "go"), leftovers="leave", drain_s=0.3)
    (pid,) = hub.numbers("a", 1)
    assert [(item["pid"], item["ended"]) for item in exited["leftovers"]] == [(pid, False)]
    assert alive(pid)
    assert hub.sh("b", "echo")["leftovers"] == [], "they are not taken for another run's"
    os.kill(pid, signal.SIGKILL)


def test_a_background_process_that_ends_soon_is_waited_for(hub: Hub) -> None:
    exited = hub.sh("a", "(sleep 0.3; echo late) & echo early")
    assert exited["leftovers"] == []
    assert hub.output("a") == b"early\nlate\n"


def test_two_runs_daemons_are_told_apart(hub: Hub) -> None:
    for run in ("a", "b"):
        hub.start(run, *misbehave("daemon", "forgets", "stay"))
    (first,), (second,) = hub.numbers("a", 1), hub.numbers("b", 1)
    cancel(hub, "a", grace_s=0.2)
    assert (alive(first), alive(second)) == (False, True)
    cancel(hub, "b", grace_s=0.2)
    assert not alive(second)


def test_a_moderate_fork_bomb_is_ended(hub: Hub) -> None:
    hub.start("a", *misbehave("bomb", "128"))
    pids = hub.numbers("a", 128)
    cancel(hub, "a", grace_s=0.1)
    assert [pid for pid in pids if alive(pid)] == []


def test_a_bomb_that_goes_on_forking_while_it_is_killed_is_ended(hub: Hub) -> None:
    hub.start("a", *misbehave("breed"))
    hub.numbers("a", 50)
    cancel(hub, "a", grace_s=0.1)
    assert [int(line) for line in hub.output("a").split() if alive(int(line))] == []


def test_cancel_racing_the_exit_gives_exactly_one_ending(hub: Hub) -> None:
    generator = random.Random(5)
    for number in range(40):
        run = f"r{number}"
        hub.start(run, "sh", "-c", "sleep 0.01")
        time.sleep(generator.uniform(0, 0.02))
        hub.send(type="cancel", id=run, grace_s=5)
        exited = hub.wait("exited", id=run)
        assert exited["cancelled"] is (exited["reason"] == "cancelled")
        assert exited["code"] in ((0, -15, 143) if exited["cancelled"] else (0,))
    hub.send(type="ping")
    hub.wait("pong")
    assert [event for event in hub.events if event["type"] == "exited"] == []


def test_no_zombie_is_ever_left(hub: Hub) -> None:
    hub.sh("a", "for i in 1 2 3 4 5 6 7 8 9 10; do (sleep 0.01 &) ; done; sleep 0.1")
    children = Path(f"/proc/{hub.hello['pid']}/task/{hub.hello['pid']}/children")
    wait_for(lambda: not children.read_text().split(), "every child is reaped")
