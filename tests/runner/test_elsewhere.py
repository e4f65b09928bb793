"""A system without /proc, subreaper, pidfd and pipe sizes: less, but not wrong.

Runs on: pytest on Linux, with those features taken away from the runner's process; needs ps.
"""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from tests.runner.support import Hub, Runners, alive
from tests.runner.test_trees import STUBBORN, cancel
from toru.runner import platform, procfs

WITHOUT = (
    "import fcntl, os\n"
    "del os.pidfd_open, fcntl.F_SETPIPE_SZ\n"
    "from toru.runner import platform\n"
    "platform.IS_LINUX = False"
)

pytestmark = pytest.mark.skipif(shutil.which("ps") is None, reason="ps is not installed")


@pytest.fixture
def plain(runners: Runners) -> Hub:
    """A hub of a runner on a system that has only what POSIX has."""
    runners.start(WITHOUT)
    return runners.connect()


def test_the_runner_says_what_is_missing(plain: Hub) -> None:
    assert plain.hello["missing"] == ["proc", "subreaper", "pidfd", "mark", "pipe_size"]


def test_runs_are_captured_and_end_all_the_same(plain: Hub) -> None:
    assert plain.sh("a", "echo out; echo err >&2; exit 3")["code"] == 3
    assert sorted(plain.output("a").split()) == [b"err", b"out"]


def test_a_stubborn_process_group_is_gone_after_cancel(plain: Hub) -> None:
    plain.start("a", "sh", "-c", f'sh -c "{STUBBORN.replace("$", chr(92) + "$")}" & {STUBBORN}')
    pids = plain.numbers("a", 2)
    exited = cancel(plain, "a", grace_s=0.2)
    assert exited["code"] == -signal.SIGKILL
    assert not any(alive(pid) for pid in pids)


def test_a_background_process_of_the_group_is_ended_after_its_leader(plain: Hub) -> None:
    exited = plain.sh("a", "sleep 60 & echo $!", drain_s=0.3)
    (pid,) = plain.numbers("a", 1)
    assert [(item["pid"], item["ended"]) for item in exited["leftovers"]] == [(pid, True)]
    assert not alive(pid)


def test_ps_tells_the_same_as_proc() -> None:
    table = procfs.read_table_from_ps()
    own, parent = table[os.getpid()], procfs.read_process(os.getpid())
    assert parent is not None
    assert (own.parent, own.zombie) == (parent.parent, False)
    assert table.keys() & procfs.read_table().keys()


def test_a_signal_without_pidfd_still_compares_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "pidfd_open")
    process = procfs.read_process(os.getpid())
    assert process is not None
    assert platform.send_signal(process, 0)
    process.start -= 1
    assert not platform.send_signal(process, 0)
