"""What /proc tells about processes (proc(5)), and what ``ps`` tells where there is no /proc.

Runs on: the runner's only thread.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from toru.runner.process import Process

_START_FIELD = 19  # field 22 of stat, counted from the state on
_PS_COMMAND = ("ps", "-A", "-o", "pid=,ppid=,pgid=,stat=,lstart=,comm=")
_MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
_PS_TIMEOUT_S = 5.0
_SMALL_BYTES = 4 * 1024
_ENVIRONMENT_BYTES = 256 * 1024


def read_file(path: str, limit_bytes: int = _SMALL_BYTES) -> bytes:
    """Return the beginning of a /proc file, or nothing when it is gone or not ours to read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, limit_bytes)
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def read_process(pid: int) -> Process | None:
    """Return one process, or None when there is none of that number."""
    stat = read_file(f"/proc/{pid}/stat")
    close = stat.rfind(b")")
    if close < 0:
        return None
    fields = stat[close + 2 :].split()
    return Process(
        pid=pid,
        parent=int(fields[1]),
        session=int(fields[3]),
        start=int(fields[_START_FIELD]),
        zombie=fields[0] in {b"Z", b"X"},
        name=os.fsdecode(stat[stat.find(b"(") + 1 : close]),
    )


def read_table() -> dict[int, Process]:
    """Return every process, by its number."""
    table = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - ten times as fast
        if name.isdigit():
            process = read_process(int(name))
            if process is not None:
                table[process.pid] = process
    return table


def read_own_children() -> set[int] | None:
    """Return the direct children of this process, or None when the kernel does not list them."""
    path = f"/proc/{os.getpid()}/task/{os.getpid()}/children"
    if not os.access(path, os.R_OK):
        return None
    return {int(pid) for pid in read_file(path, _ENVIRONMENT_BYTES).split()}


def environment_value(pid: int, name: bytes) -> str | None:
    """Return a variable of the environment that a process was started with."""
    prefix = name + b"="
    for entry in read_file(f"/proc/{pid}/environ", _ENVIRONMENT_BYTES).split(b"\0"):
        if entry.startswith(prefix):
            return os.fsdecode(entry[len(prefix) :])
    return None


def soft_limit(pid: int, title: bytes) -> int | None:
    """Return a soft resource limit of a process; None for unlimited and unknown."""
    for line in read_file(f"/proc/{pid}/limits").splitlines():
        if line.startswith(title):
            value = line[len(title) :].split()[0]
            return int(value) if value.isdigit() else None
    return None


def writes_to_pipe(pid: int, inodes: frozenset[int]) -> bool:
    """Tell whether a process holds the writing end of one of the pipes."""
    folder = f"/proc/{pid}/fd"
    wanted = {f"pipe:[{inode}]" for inode in inodes}
    try:
        for link in Path(folder).iterdir():
            try:
                # The permissions of the link are those of the descriptor (proc_pid_fd(5)).
                if str(link.readlink()) in wanted and link.lstat().st_mode & 0o200:
                    return True
            except OSError:
                continue
    except OSError:
        pass
    return False


def read_table_from_ps() -> dict[int, Process]:
    """Return every process as ``ps`` lists it; the process group stands for the session."""
    try:
        output = subprocess.run(
            _PS_COMMAND,
            check=False,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "LC_ALL": "C"},
            timeout=_PS_TIMEOUT_S,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    return parse_ps(os.fsdecode(output))


def parse_ps(output: str) -> dict[int, Process]:
    """Return the processes in the output of ``ps -o pid=,ppid=,pgid=,stat=,lstart=,comm=``."""
    table = {}
    for line in output.splitlines():
        fields = line.split(None, 9)
        if len(fields) < 10 or not fields[0].isdigit():
            continue
        pid, parent, group = (int(field) for field in fields[:3])
        clock = fields[7].split(":")
        start = hash_start(fields[8], fields[5], fields[6], clock)
        table[pid] = Process(pid, parent, group, start, fields[3].startswith("Z"), fields[9])
    return table


def hash_start(year: str, month: str, day: str, clock: list[str]) -> int:
    """Return a number for a start time as ``ps`` prints it, in seconds without a time zone."""
    number = _MONTHS.find(month) // 4
    seconds = 0
    for part in clock:
        seconds = seconds * 60 + int(part)
    return ((int(year) * 12 + number) * 31 + int(day)) * 86_400 + seconds
