"""``toru stop``: end the hub of a data folder, and with ``--all`` its runs and the runner.

Runs on: the main thread.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

from toru import clock
from toru.cli.failure import CommandError
from toru.cli.pidfile import find_hub
from toru.cli.terminal import confirm, is_interactive, tell
from toru.config import data_dir_of
from toru.runner.platform import find_process, send_signal
from toru.runner.process import Process
from toru.wire.frames import FrameDecoder, FrameError, encode_json
from toru.wire.unix_paths import connect

PATIENCE_S = 30.0
_ANSWER_S = 5.0
_PROTOCOL = 1
_READ_BYTES = 64 * 1024


def stop_hub(*, everything: bool, yes: bool) -> int:
    """Stop the hub of this data folder; one that does not run is no failure.

    Args:
        everything: whether to end the runs and the runner too.
        yes: whether to end runs without asking.

    Returns:
        The exit code: 0 when all is stopped that was to be.

    Raises:
        ConfigError: the data folder cannot be read.
        CommandError: something does not stop.
    """
    data_dir = data_dir_of(os.environ)
    hub = find_hub(data_dir)
    if hub is None:
        tell(f"No hub runs on the data folder {data_dir}.")
    else:
        _stop_process(hub)
        tell("The hub is stopped.")
    return _stop_runner(data_dir / "runner/runner.sock", yes=yes) if everything else 0


def _stop_process(hub: Process) -> None:
    tell(f"Stopping the hub (pid {hub.pid}) …")
    if not send_signal(hub, signal.SIGTERM) and _lives(hub):
        raise CommandError(f"The hub (pid {hub.pid}) cannot be signalled by you.", exit_code=1)
    for waited_s in _wait_until_gone(hub):
        if waited_s >= PATIENCE_S:
            raise CommandError(
                f"The hub (pid {hub.pid}) still runs after {PATIENCE_S:.0f} s; its log says why.",
                exit_code=1,
            )
        tell(f"Still stopping after {waited_s:.0f} s …")


def _wait_until_gone(hub: Process) -> Iterator[float]:
    """Yield about every five seconds how long it has taken, until the process is gone."""
    begun = clock.monotonic()
    shown = begun
    with _Watch(hub) as watch:
        while watch.lives(within_s=0.5):
            now = clock.monotonic()
            if now - shown >= 5:
                shown = now
                yield now - begun


class _Watch:
    """Waits for the end of a process, through a pidfd where the system has them."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._descriptor: int | None = None

    def __enter__(self) -> _Watch:
        try:
            self._descriptor = os.pidfd_open(self._process.pid)
        except (AttributeError, OSError):
            self._descriptor = None
        return self

    def __exit__(self, *_error: object) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def lives(self, *, within_s: float) -> bool:
        """Return at once when it has ended, else after ``within_s``; whether it lives."""
        watched = [] if self._descriptor is None else [self._descriptor]
        if _lives(self._process):
            select.select(watched, [], [], within_s)
        return _lives(self._process)


def _lives(process: Process) -> bool:
    found = find_process(process.pid)
    return found is not None and found.start == process.start and not found.zombie


def _stop_runner(path: Path, *, yes: bool) -> int:
    try:
        connection = connect(path, timeout_s=_ANSWER_S)
    except OSError:
        tell("No runner is there.")
        return 0
    with connection:
        try:
            runs = _living_runs(connection)
            if runs and not yes and not _wanted(runs):
                tell("The runs go on; a hub that is started again finds them.")
                return 1
            _end_runner(connection, len(runs))
        except (OSError, FrameError) as error:
            raise CommandError(f"The runner does not answer ({error}).", exit_code=1) from None
    tell("The runner is stopped.")
    return 0


def _living_runs(connection: socket.socket) -> list[str]:
    """Return the ids of the runs that have not ended."""
    connection.sendall(encode_json({"type": "hello", "protocol": _PROTOCOL}))
    connection.sendall(encode_json({"type": "list"}))
    decoder = FrameDecoder()
    while data := connection.recv(_READ_BYTES):
        for frame in decoder.feed(data):
            if isinstance(frame, dict) and frame.get("type") == "runs":
                runs = frame.get("runs")
                items = runs if isinstance(runs, list) else []
                return [str(item.get("id")) for item in items if item.get("state") == "running"]
    raise ConnectionResetError("it closed the connection")


def _wanted(runs: list[str]) -> bool:
    what = "1 script still runs" if len(runs) == 1 else f"{len(runs)} scripts still run"
    if not is_interactive():
        raise CommandError(f"{what}; add --yes to end them.", exit_code=1)
    return confirm(f"{what}. End them?")


def _end_runner(connection: socket.socket, runs: int) -> None:
    if runs:
        tell(f"Ending {runs} run{'s' if runs > 1 else ''} and the runner …")
    connection.settimeout(PATIENCE_S)
    connection.sendall(encode_json({"type": "shutdown", "end_runs": True}))
    while connection.recv(_READ_BYTES):
        pass
