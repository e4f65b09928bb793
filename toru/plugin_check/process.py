"""A plugin's process as the hub starts it, and its end with all that it has started.

Runs on: the checker's thread; two threads for each process read its output.
"""

from __future__ import annotations

import contextlib
import os
import platform
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import IO

import psutil

from toru.clock import monotonic
from toru.domain import plugin_probe
from toru.domain.script_environment import clean_environment
from toru.errors import ToruError

KEPT_BYTES = 256 * 1024
"""Of each pipe; the rest is read and dropped, as a full pipe would stop the plugin."""
DRAIN_S = 0.5
"""How long what a plugin leaves behind may go on."""

_POLL_S = 0.01
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_READ_BYTES = 64 * 1024


class CannotRun(ToruError):
    """The file cannot be run at all; the sentence says why."""

    default_code = "cannot_run"
    exit_code = 2


class PluginRun:
    """One process of the plugin, in a session of its own, stdin ``/dev/null``.

    Args:
        path: the executable.
        arguments: after its name.
        environment: added to the clean environment that plugins get.

    Raises:
        CannotRun: there is no process.
    """

    def __init__(self, path: Path, *arguments: str, **environment: str) -> None:
        self._others = children()
        self._output = {"stdout": bytearray(), "stderr": bytearray()}
        self.output_bytes = {"stdout": 0, "stderr": 0}
        self._readers: list[threading.Thread] = []
        with contextlib.ExitStack() as stack, _signals_wait():
            self._process = _spawn(path, arguments, environment)
            self.pid = self._process.pid
            stack.push(self._end_after_error)
            self._readers.append(self._reader("stdout", self._process.stdout))
            self._readers.append(self._reader("stderr", self._process.stderr))

    def _end_after_error(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.end()

    @property
    def exit_code(self) -> int | None:
        """How it has ended; negative is the signal; None while it runs."""
        return self._process.poll()

    @property
    def stdout(self) -> bytes:
        """The beginning of what it has printed so far."""
        return bytes(self._output["stdout"])

    @property
    def stderr(self) -> bytes:
        """The beginning of what it has complained so far."""
        return bytes(self._output["stderr"])

    def how_it_ended(self) -> str:
        """Return a sentence about the end, with the last lines of its stderr."""
        self.join_readers(0.2)
        words = plugin_probe.exit_words(self.exit_code)
        return f"It {words}.{plugin_probe.last_words(self.stderr)}"

    def wait(self, timeout_s: float) -> bool:
        """Wait for its end; return whether it has ended."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def join_readers(self, timeout_s: float) -> bool:
        """Wait until its pipes are closed; return whether they are."""
        deadline = monotonic() + timeout_s
        for reader in self._readers:
            reader.join(max(0.0, deadline - monotonic()))
        return not any(reader.is_alive() for reader in self._readers)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to its process group."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def descends(self, pid: int) -> bool:
        """Return whether a process is this one, or one that it has started."""
        if pid == self.pid:
            return True
        with contextlib.suppress(psutil.Error, OSError):
            if self.pid in (os.getpgid(pid), os.getsid(pid)):
                return True
            return any(parent.pid == self.pid for parent in psutil.Process(pid).parents())
        return False

    def left(self) -> list[str]:
        """Return the names of what runs on after its end, once it had its time to go."""
        deadline = monotonic() + DRAIN_S
        while (found := self._descendants()) and monotonic() < deadline:
            time.sleep(_POLL_S)
        return sorted(f"{_name(process)} ({process.pid})" for process in found)

    def end(self) -> None:
        """Kill it and all that it has started. Further calls change nothing."""
        self.signal(signal.SIGCONT)
        for process in self._descendants():
            _kill(process)
        self.signal(signal.SIGKILL)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        end_children(self._others)
        self.join_readers(1.0)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _reader(self, name: str, pipe: IO[bytes] | None) -> threading.Thread:
        assert pipe is not None
        thread = threading.Thread(target=self._read, args=[name, pipe.fileno()], daemon=True)
        thread.start()
        return thread

    def _read(self, name: str, descriptor: int) -> None:
        kept = self._output[name]
        with contextlib.suppress(OSError):
            while data := os.read(descriptor, _READ_BYTES):
                self.output_bytes[name] += len(data)
                kept += data[: KEPT_BYTES - len(kept)]

    def _descendants(self) -> list[psutil.Process]:
        """Return what runs below the checker and did not before: orphans become its children."""
        return _living(self._others | {self.pid})


@contextlib.contextmanager
def _signals_wait() -> Iterator[None]:
    """Let what would end the check wait until a process that is being made can be ended with it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.signal(number, lambda one, _: came.append(one)) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(signal.Signals(came[0]))


def _spawn(
    path: Path, arguments: tuple[str, ...], environment: Mapping[str, str]
) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            [str(path), *arguments],
            cwd=path.parent,
            env={**clean_environment(os.environ), **environment},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise CannotRun(_why_not(path, error)) from None


def _why_not(path: Path, error: OSError) -> str:
    """Return why the kernel has refused to execute a file, in the words of the hub."""
    with path.open("rb") as file:
        head = file.read(plugin_probe.HEAD_BYTES)
    code = {
        PermissionError: "not_executable",
        FileNotFoundError: "missing_interpreter",
    }.get(type(error), "exec_format")
    reason = plugin_probe.refused_spawn(code, str(error), head, platform.machine())
    return f"{path} cannot be run. {reason.sentence}"


def children() -> set[int]:
    """Return the pids of all that runs below this process."""
    return {process.pid for process in psutil.Process().children(recursive=True)}


def end_children(others: AbstractSet[int]) -> None:
    """Kill all that runs below this process but ``others``, until nothing is left."""
    while found := _living(others):
        for process in found:
            _kill(process)
        time.sleep(_POLL_S)


def _living(others: AbstractSet[int]) -> list[psutil.Process]:
    below = psutil.Process().children(recursive=True)
    return [process for process in below if process.pid not in others and _is_alive(process)]


def _is_alive(process: psutil.Process) -> bool:
    """Return whether a process runs; one that was adopted and has ended is buried."""
    try:
        if process.status() != psutil.STATUS_ZOMBIE:
            return True
        if process.ppid() == os.getpid():
            with contextlib.suppress(ChildProcessError):
                os.waitpid(process.pid, os.WNOHANG)
    except psutil.NoSuchProcess:
        pass
    return False


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return "a process"


def _kill(process: psutil.Process) -> None:
    with contextlib.suppress(psutil.Error):
        process.kill()
