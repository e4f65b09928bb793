"""What differs between systems: subreaper, pidfd, /proc, pipe sizes; with fallbacks.

Runs on: the runner's only thread. Linux has everything; elsewhere ``missing()`` says what is not
there, and the runner does with less: the process group stands for the tree.

The mark of a run: every process inherits its parent's resource limits through fork and exec,
and neither ``setsid`` nor a cleared environment nor closed pipes change them. So a run's leader
is started with a soft limit of realtime CPU time (``RLIMIT_RTTIME``, getrlimit(2)) that is a
huge number of its own: it limits nothing, and names the run of any process that /proc lists.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import functools
import os
import resource
import signal
import sys
from pathlib import Path

from toru.runner import procfs
from toru.runner.process import Probe, Process

TYPE_CHECKING = False  # as typing has it, without the 0.4 MB that typing costs the runner
if TYPE_CHECKING:
    from collections.abc import Iterator

IS_LINUX = sys.platform == "linux" and Path("/proc/self/stat").exists()
RUN_ID_VARIABLE = "TORU_RUN_ID"

_PR_SET_CHILD_SUBREAPER = 36
_MARK_BASE = 1 << 62
_MARK_TITLE = b"Max realtime timeout"
_MOST_DESCRIPTORS = 65_536
_DESCRIPTOR_MARGIN = 32
_RSS_UNIT_BYTES = 1 if sys.platform == "darwin" else 1024


def become_subreaper() -> bool:
    """Make orphaned descendants children of this process (prctl(2)); tell whether it worked."""
    if not IS_LINUX:
        return False
    with contextlib.suppress(OSError, AttributeError):
        return bool(ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    return False


@functools.cache
def can_mark() -> bool:
    """Tell whether runs can be marked through a resource limit that /proc shows."""
    if not IS_LINUX:
        return False
    _soft, hard = resource.getrlimit(resource.RLIMIT_RTTIME)
    return hard == resource.RLIM_INFINITY and _MARK_TITLE in procfs.read_file("/proc/self/limits")


def can_pidfd() -> bool:
    """Tell whether processes can be signalled by descriptor (pidfd_open(2))."""
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


def missing() -> list[str]:
    """Return the names of the features that this system lacks."""
    lacks = [] if IS_LINUX else ["proc", "subreaper"]
    if not can_pidfd():
        lacks.append("pidfd")
    if not can_mark():
        lacks.append("mark")
    if not hasattr(fcntl, "F_SETPIPE_SZ"):
        lacks.append("pipe_size")
    return lacks


def new_mark() -> int | None:
    """Return a number for a new run that no other has, or None when marks do not work here."""
    if not can_mark():
        return None
    return _MARK_BASE + int.from_bytes(os.urandom(6), "big")


def boot_id() -> str:
    """Return what names the present boot of the machine, or an empty text."""
    return procfs.read_file("/proc/sys/kernel/random/boot_id").decode("ascii").strip()


def process_table() -> dict[int, Process]:
    """Return every process, by its number."""
    return procfs.read_table() if IS_LINUX else procfs.read_table_from_ps()


def find_process(pid: int) -> Process | None:
    """Return the process of that number, or None."""
    return procfs.read_process(pid) if IS_LINUX else procfs.read_table_from_ps().get(pid)


def own_children() -> set[int] | None:
    """Return the direct children of this process, or None when that cannot be had cheaply."""
    return procfs.read_own_children() if IS_LINUX else None


def _mark_of(pid: int) -> int | None:
    limit = procfs.soft_limit(pid, _MARK_TITLE) if IS_LINUX else None
    return limit if limit is not None and limit >= _MARK_BASE else None


def _run_id_of(pid: int) -> str | None:
    return procfs.environment_value(pid, RUN_ID_VARIABLE.encode()) if IS_LINUX else None


PROBE = Probe(_mark_of, _run_id_of, procfs.writes_to_pipe)


def send_signal(process: Process, number: int) -> bool:
    """Signal a process if it still is the one that was seen; tell whether it was sent."""
    try:
        if hasattr(os, "pidfd_open"):
            descriptor = os.pidfd_open(process.pid)
            try:
                if not _is_same(process):
                    return False
                signal.pidfd_send_signal(descriptor, number)
            finally:
                os.close(descriptor)
            return True
    except ProcessLookupError:
        return False
    except OSError:
        pass  # no pidfd in this kernel, or no descriptor left: the check below is the next best
    if not _is_same(process):
        return False
    with contextlib.suppress(OSError):
        os.kill(process.pid, number)
        return True
    return False


def _is_same(process: Process) -> bool:
    found = find_process(process.pid)
    return found is not None and found.start == process.start and not found.zombie


def enlarge_pipe(descriptor: int, size_bytes: int) -> None:
    """Let a pipe hold more, where the system and the user's quota allow it (fcntl(2))."""
    if hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(OSError):
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, size_bytes)


def raise_descriptor_limit() -> int:
    """Let this process have as many descriptors as it may; return the soft limit before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
    return int(soft)


@contextlib.contextmanager
def limits_of_children(mark: int | None, descriptors: int) -> Iterator[None]:
    """Set the limits that a child started inside the block gets, and restore the runner's.

    Done in the parent, because code between fork and exec would forbid the fast vfork. Nothing
    else runs meanwhile: there is one thread.
    """
    own = resource.getrlimit(resource.RLIMIT_NOFILE)
    probe = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    os.close(probe)
    # The spawn itself needs some descriptors below the child's limit.
    lowered = probe + _DESCRIPTOR_MARGIN < descriptors < own[0]
    try:
        if lowered:
            resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, own[1]))
        if mark is not None:
            own_mark = resource.getrlimit(resource.RLIMIT_RTTIME)
            resource.setrlimit(resource.RLIMIT_RTTIME, (mark, own_mark[1]))
        yield
    finally:
        if lowered:
            resource.setrlimit(resource.RLIMIT_NOFILE, own)
        if mark is not None:
            resource.setrlimit(resource.RLIMIT_RTTIME, own_mark)


def max_rss_bytes(usage: resource.struct_rusage) -> int:
    """Return the peak resident memory in bytes; the unit differs between systems."""
    return usage.ru_maxrss * _RSS_UNIT_BYTES
