"""A small hub for tests: it starts a real runner and speaks with it over its socket.

Runs on: pytest, blocking.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from toru.runner import launch
from toru.runner.store import OutputReader
from toru.wire import unix_paths
from toru.wire.frames import DataFrame, Frame, FrameDecoder, encode_json

TIMEOUT_S = 20.0
PATH = os.environ["PATH"]


def wait_for(condition: Callable[[], Any], what: str, timeout_s: float = TIMEOUT_S) -> Any:
    """Return what ``condition`` returns as soon as that is true."""
    end = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < end, f"waited in vain: {what}"
        time.sleep(0.005)
    return value


def alive(pid: int) -> bool:
    """Tell whether a process lives; a zombie does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat[stat.rindex(")") + 2] not in "ZX"


class Hub:
    """One connection to the runner of ``data``."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self.events: list[Frame] = []
        self._decoder = FrameDecoder()
        self.socket = wait_for(self._connect, "the runner listens")
        self.send(type="hello", protocol=1)
        self.hello = self.wait("hello_ok")

    def _connect(self) -> socket.socket | None:
        with contextlib.suppress(OSError):
            return unix_paths.connect(launch.socket_path(self.data), timeout_s=TIMEOUT_S)
        return None

    def send(self, **message: object) -> None:
        self.socket.sendall(encode_json(message))

    def receive(self) -> list[Frame]:
        """Return the next frames; they are kept in ``events`` too. None come after the end."""
        while True:
            data = self.socket.recv(1 << 16)
            frames = self._decoder.feed(data) if data else []
            self.events += frames
            if frames or not data:
                return frames

    def wait(self, *kinds: str, id: str | None = None) -> dict[str, Any]:  # noqa: A002
        """Return the first message of a kind that has come or comes, and take it away."""

        def wanted(frame: Frame) -> bool:
            if isinstance(frame, DataFrame) or frame["type"] not in kinds:
                return False
            return id is None or frame.get("id") == id

        end = time.monotonic() + TIMEOUT_S
        frames: list[Frame] = self.events[:]
        while True:
            for frame in frames:
                if wanted(frame):
                    self.events.remove(frame)
                    assert isinstance(frame, dict)
                    return frame
            assert time.monotonic() < end, f"{kinds} {id} did not come: {self.events[-5:]}"
            frames = self.receive()
            assert frames, f"the connection ended before {kinds} {id} came"

    def directory(self, run: str) -> Path:
        return self.data / "runs" / run

    def spawn(self, run: str, *argv: str, env: dict[str, str] | None = None, **more: Any) -> None:
        message: dict[str, Any] = {
            "type": "spawn",
            "id": run,
            "argv": list(argv),
            "cwd": str(self.data),
            "env": {"PATH": PATH} if env is None else env,
            "directory": str(self.directory(run)),
            "capture": "store",
            "output_limit_bytes": 1 << 26,
            "leftovers": "end",
            **more,
        }
        self.send(**message)

    def start(self, run: str, *argv: str, **more: Any) -> dict[str, Any]:
        self.spawn(run, *argv, **more)
        return self.wait("started", id=run)

    def run(self, run: str, *argv: str, **more: Any) -> dict[str, Any]:
        """Run to the end and return ``exited``."""
        self.start(run, *argv, **more)
        return self.wait("exited", id=run)

    def sh(self, run: str, script: str, **more: Any) -> dict[str, Any]:
        return self.run(run, "sh", "-c", script, **more)

    def output(self, run: str) -> bytes:
        with OutputReader(self.directory(run)) as reader:
            return b"".join(reader.raw())

    def list(self) -> dict[str, dict[str, Any]]:
        self.send(type="list")
        return {run["id"]: run for run in self.wait("runs")["runs"]}

    def numbers(self, run: str, count: int) -> list[int]:
        """Return the first numbers that a run prints, one a line: pids, mostly."""

        def printed() -> list[int] | None:
            with contextlib.suppress(FileNotFoundError):
                lines = self.output(run).split(b"\n")
                if len(lines) > count:
                    return [int(line) for line in lines[:count]]
            return None

        found = wait_for(printed, f"{run} prints {count} numbers")
        assert isinstance(found, list)
        return found

    def close(self) -> None:
        self.socket.close()


class Runners:
    """Starts runners for data folders and leaves none behind."""

    def __init__(self, data: Path) -> None:
        self.data = data
        self._processes: list[subprocess.Popen[bytes]] = []
        self._hubs: list[Hub] = []

    def start(self, before: str = "", **environment: str) -> subprocess.Popen[bytes]:
        """Start a runner as a child of the test, so that its exit code can be had.

        Args:
            before: Python that the runner's process executes once it can import the package.
            environment: added to the environment of the test.
        """
        command = launch.command(self.data)
        command = [word.replace("from toru", f"{before}\nfrom toru", 1) for word in command]
        (self.data / "runner").mkdir(parents=True, exist_ok=True)
        with (self.data / "runner" / "runner.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                start_new_session=True,
                env={**os.environ, **environment},
            )
        self._processes.append(process)
        return process

    def connect(self) -> Hub:
        hub = Hub(self.data)
        self._hubs.append(hub)
        return hub

    def kill(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()

    def stop(self) -> None:
        for hub in self._hubs:
            hub.close()
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            process.wait(TIMEOUT_S)
