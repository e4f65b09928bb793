"""The file that says which process is the hub of a data folder; held as long as it lives.

Runs on: any thread. The lock on the file is the truth (the system frees it with the process);
what is written in it only says whom to signal, and is believed no longer than pid, start time
and boot all match.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from toru import clock
from toru.errors import ConfigError
from toru.runner.platform import boot_id, find_process
from toru.runner.process import Process

NAME = "hub.pid"
_PATIENCE_S = 1.0
_PAUSE_S = 0.05


@contextmanager
def hold(data_dir: Path) -> Iterator[None]:
    """Be the hub of a data folder until the end of the block.

    Raises:
        ConfigError: another process is, or the file cannot be written.
    """
    path = data_dir / NAME
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be written ({error.strerror}).") from None
    try:
        if not _lock(descriptor):
            pid = _read(descriptor).get("pid", "unknown")
            raise ConfigError(
                f"Another hub (pid {pid}) already uses the data folder {str(data_dir)!r}; "
                "stop it with `toru stop`, or set TORU_DATA_DIR to another folder."
            )
        _write(descriptor)
        yield
        os.ftruncate(descriptor, 0)
    finally:
        os.close(descriptor)


def find_hub(data_dir: Path) -> Process | None:
    """Return the process that is the hub of a data folder, or None when there is none.

    Raises:
        ConfigError: the file is there but cannot be read.
    """
    path = data_dir / NAME
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError(f"{str(path)!r} cannot be read ({error.strerror}).") from None
    try:
        if not _is_locked(descriptor):
            return None
        content = _read(descriptor)
    finally:
        os.close(descriptor)
    pid = content.get("pid")
    process = find_process(pid) if isinstance(pid, int) and pid > 0 else None
    same = content.get("boot") == boot_id()
    return process if same and process and process.start == content.get("start") else None


def _lock(descriptor: int) -> bool:
    """Take the lock; whoever only looks holds it for a moment, so one try is not enough."""
    from time import sleep

    deadline = clock.monotonic() + _PATIENCE_S
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if clock.monotonic() > deadline:
                return False
            sleep(_PAUSE_S)
        else:
            return True


def _is_locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _write(descriptor: int) -> None:
    me = find_process(os.getpid())
    content = {"pid": os.getpid(), "start": me.start if me else None, "boot": boot_id()}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(content).encode() + b"\n", 0)


def _read(descriptor: int) -> dict[str, object]:
    try:
        content = json.loads(os.pread(descriptor, 4096, 0))
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}
