"""The processes of this machine and what each of them uses, read from /proc where there is one.

A look takes some ten microseconds a process (proc_pid_stat(5)); psutil, which serves elsewhere,
takes several times that.

Runs on: the thread of `Processes`; every function here may block.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from toru import clock
from toru.actors.messages.processes import ProcessOrder, ProcessRow

COMMAND_MAX = 200

_HAS_PROC = Path("/proc/self/stat").exists()
_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_SMALL_BYTES = 4 * 1024

# Fields of /proc/<pid>/stat, counted from the state, which follows the name.
_USER_TIME, _SYSTEM_TIME, _START, _RESIDENT = 11, 12, 19, 21


class Usage(NamedTuple):
    """What a process has used so far.

    Attributes:
        pid: its number.
        born: what tells it from others that had the number before.
        name: the name that the kernel knows it by.
        cpu_s: seconds of processors.
        memory_bytes: resident memory.
    """

    pid: int
    born: float
    name: str
    cpu_s: float
    memory_bytes: int


class ProcessTable:
    """All processes at two looks; shares of the processor are those between them."""

    def __init__(self) -> None:
        self._seconds = 0.0
        self._looked_at = 0.0
        self._before: dict[int, Usage] = {}
        self._now: dict[int, Usage] = {}

    def __len__(self) -> int:
        return len(self._now)

    def look(self) -> None:
        """Look at all processes."""
        now = clock.monotonic()
        self._seconds, self._looked_at = now - self._looked_at, now
        self._before, self._now = self._now, {usage.pid: usage for usage in _usages()}

    def top(self, order: ProcessOrder, limit: int) -> list[ProcessRow]:
        """Return the processes that use the most, the one that uses most first."""
        shares = {usage.pid: self._share(usage) for usage in self._now.values()}

        def rank(usage: Usage) -> tuple[float, float]:
            share, memory = shares[usage.pid], float(usage.memory_bytes)
            return (share, memory) if order == "cpu" else (memory, share)

        chosen = sorted(self._now.values(), key=rank, reverse=True)[:limit]
        return [
            ProcessRow(
                pid=usage.pid,
                name=usage.name,
                user=_user(usage.pid),
                cpu_percent=round(shares[usage.pid], 1),
                memory_bytes=usage.memory_bytes,
                command=_command(usage.pid),
            )
            for usage in chosen
        ]

    def _share(self, usage: Usage) -> float:
        before = self._before.get(usage.pid)
        if self._seconds <= 0:
            return 0.0
        # What was born between the looks has used all of its time since.
        used_s = usage.cpu_s - (before.cpu_s if before and before.born == usage.born else 0.0)
        return max(0.0, 100.0 * used_s / self._seconds)


def _usages() -> Iterator[Usage]:
    if not _HAS_PROC:
        yield from _usages_by_psutil()
        return
    for name in os.listdir("/proc"):  # noqa: PTH208 - ten times as fast
        if name.isdigit():
            usage = parse_stat(int(name), _read(f"/proc/{name}/stat"))
            if usage is not None:
                yield usage


def parse_stat(pid: int, stat: bytes) -> Usage | None:
    """Return what the text of a process's ``stat`` tells; None when it is no such text."""
    # A name may hold anything, also brackets and spaces; only the last bracket ends it.
    begin, end = stat.find(b"("), stat.rfind(b")")
    fields = stat[end + 2 :].split()
    if begin < 0 or end < begin or len(fields) <= _RESIDENT:
        return None
    return Usage(
        pid,
        float(fields[_START]),
        stat[begin + 1 : end].decode("utf-8", "replace"),
        (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / _TICKS_A_SECOND,
        max(0, int(fields[_RESIDENT])) * _PAGE_BYTES,
    )


def _usages_by_psutil() -> Iterator[Usage]:
    wanted = ["name", "create_time", "cpu_times", "memory_info"]
    for process in psutil.process_iter(wanted):
        info = process.info
        times, memory = info["cpu_times"], info["memory_info"]
        cpu_s = times.user + times.system if times else 0.0
        rss = memory.rss if memory else 0
        yield Usage(process.pid, info["create_time"] or 0.0, info["name"] or "?", cpu_s, rss)


def _user(pid: int) -> str:
    try:
        user_id = os.stat(f"/proc/{pid}").st_uid if _HAS_PROC else psutil.Process(pid).uids().real  # noqa: PTH116 - as above
    except (OSError, psutil.Error):
        return ""
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return str(user_id)


def _command(pid: int) -> str:
    if _HAS_PROC:
        words = _read(f"/proc/{pid}/cmdline").rstrip(b"\0").replace(b"\0", b" ")
        text = words.decode("utf-8", "replace")
    else:
        try:
            text = " ".join(psutil.Process(pid).cmdline())
        except psutil.Error:
            return ""
    shown = "".join(char if char.isprintable() else " " for char in text[: COMMAND_MAX + 1])
    return shown if len(shown) <= COMMAND_MAX else f"{shown[: COMMAND_MAX - 1]}…"


def _read(path: str) -> bytes:
    """Return the beginning of a /proc file, or nothing when the process is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, _SMALL_BYTES)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
