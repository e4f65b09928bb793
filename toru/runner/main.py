"""The program of the runner: one instance for a data folder, serving until it is not needed.

Runs on: a process of its own, standard library only.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import os
import signal
import sys
from pathlib import Path

from toru.runner.log import log
from toru.runner.loop import Loop
from toru.runner.service import Runner
from toru.wire import unix_paths

IDLE_VARIABLE = "TORU_RUNNER_IDLE_S"
SOCKET_NAME = "runner.sock"
LOCK_NAME = "lock"
_IDLE_S = 600.0


def main(data: Path) -> int:
    """Serve the data folder; return the exit code. When another runner does already, leave."""
    data = data.absolute()
    folder = data / "runner"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    _take_no_signal_habits_from_the_parent()
    # Not the data folder itself: a runner must not keep a file system from being unmounted.
    os.chdir("/")
    loop = Loop()
    path = folder / SOCKET_NAME
    listener = unix_paths.bind(path)
    Runner(data, loop, listener, _idle_s())
    gc.collect()
    gc.freeze()
    log(f"The runner {os.getpid()} serves {data}.")
    loop.run()
    with contextlib.suppress(OSError):
        unix_paths.remove(path)
    log(f"The runner {os.getpid()} leaves.")
    return 0


def _take_no_signal_habits_from_the_parent() -> None:
    """Let the spawned processes begin with every signal at its default and none blocked."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    pythons_own = {signal.SIGPIPE, signal.SIGXFSZ}
    for number in signal.valid_signals() - pythons_own:
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, signal.SIG_DFL)


def _idle_s() -> float:
    try:
        return float(os.environ.get(IDLE_VARIABLE, _IDLE_S))
    except ValueError:
        return _IDLE_S


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
