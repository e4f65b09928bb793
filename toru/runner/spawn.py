"""Starts one process in a session of its own, with pipes, and says why when it cannot.

Runs on: the runner's only thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import subprocess
from pathlib import Path

from toru.runner import platform
from toru.runner.requests import RequestError, SpawnRequest

_REASONS = {
    errno.EACCES: ("not_executable", "may not be executed"),
    errno.ENOEXEC: ("exec_format", "is in no format that this machine executes"),
    errno.EAGAIN: ("too_many_processes", "cannot start: there are too many processes"),
    errno.ENOMEM: ("no_memory", "cannot start: there is not enough memory"),
    errno.EMFILE: ("too_many_files", "cannot start: there are too many open files"),
    errno.ENFILE: ("too_many_files", "cannot start: there are too many open files"),
    errno.E2BIG: ("too_long", "cannot start: its arguments and environment are too long"),
    errno.ETXTBSY: ("busy", "is being written just now"),
    errno.ELOOP: ("no_such_program", "is a symbolic link that leads nowhere"),
    errno.ENAMETOOLONG: ("no_such_program", "has too long a name"),
}


class Spawned:
    """A process that has just been started.

    Attributes:
        pid: its number; it is not reaped yet.
        stdout: the reading end of its standard output, non-blocking.
        stderr: the reading end of its standard error, non-blocking.
    """

    __slots__ = ("pid", "stderr", "stdout")

    def __init__(self, pid: int, stdout: int, stderr: int) -> None:
        self.pid = pid
        self.stdout = stdout
        self.stderr = stderr


def spawn(request: SpawnRequest, mark: int | None, descriptor_limit: int) -> Spawned:
    """Start the process of ``request``.

    Args:
        request: what to start.
        mark: the run's mark, or None.
        descriptor_limit: the soft limit of open files that it gets.

    Raises:
        RequestError: it could not be started; nothing is left of the attempt.
    """
    pipes: list[int] = []
    try:
        pipes += os.pipe()
        pipes += os.pipe()
        pid = _start(request, mark, descriptor_limit, pipes[1], pipes[3])
    except (OSError, ValueError) as error:
        for descriptor in pipes:
            os.close(descriptor)
        raise refusal(request, error) from None
    os.close(pipes[1])
    os.close(pipes[3])
    os.set_blocking(pipes[0], False)
    os.set_blocking(pipes[2], False)
    return Spawned(pid, pipes[0], pipes[2])


def _start(request: SpawnRequest, mark: int | None, limit: int, out: int, err: int) -> int:
    with platform.limits_of_children(mark, limit):
        process = subprocess.Popen(
            request.argv,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            cwd=request.cwd,
            env={**request.env, platform.RUN_ID_VARIABLE: request.id},
            start_new_session=True,
            close_fds=True,
        )
    # Reaping is the runner's business: this keeps Popen from ever waiting for the process.
    process.returncode = 0
    return process.pid


def refusal(request: SpawnRequest, error: OSError | ValueError) -> RequestError:
    """Return the error that tells people why a process could not be started."""
    program = request.argv[0]
    if not isinstance(error, OSError) or error.errno is None:
        return RequestError("bad_request", f"{program} cannot start: {error}.")
    if not _usable(request.cwd):
        return RequestError("no_such_cwd", f"The folder {request.cwd} cannot be entered.")
    if error.errno == errno.ENOENT:
        return _not_found(request)
    if error.errno == errno.EACCES and os.access(program, os.X_OK) and Path(program).is_file():
        return RequestError(
            "missing_interpreter", f"The interpreter of {program} may not be executed."
        )
    code, what = _REASONS.get(error.errno, ("spawn_failed", f"cannot start: {error.strerror}"))
    return RequestError(code, f"{program} {what}.")


def _not_found(request: SpawnRequest) -> RequestError:
    program = request.argv[0]
    path = Path(request.cwd, program)
    if "/" not in program or not path.exists():
        return RequestError("no_such_program", f"There is no program {program}.")
    interpreter = _interpreter(path)
    what = f"its interpreter {interpreter!r} is missing" if interpreter else "its loader is missing"
    return RequestError("missing_interpreter", f"{program} cannot start: {what}.")


def _interpreter(path: Path) -> str | None:
    """Return what follows ``#!``; a carriage return at its end shows in the sentence."""
    with contextlib.suppress(OSError), path.open("rb") as file:
        line = file.readline(256)
        if line.startswith(b"#!"):
            return os.fsdecode(line[2:].strip(b" \t\n"))
    return None


def _usable(folder: str) -> bool:
    return Path(folder).is_dir() and os.access(folder, os.X_OK)
