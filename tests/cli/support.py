"""The command line as a process, and a TCP proxy whose connections a test can cut.

Runs on: the test's thread; the proxy's threads end with its connections.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from tests.support.hub import ADMIN_PASSWORD, HubProcess


class CommandLine:
    """Calls ``toru`` against a hub as one person, whose state is in a folder of the test's."""

    def __init__(self, hub: HubProcess, state: Path, *, url: str | None = None) -> None:
        names = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG")
        kept = {name: value for name, value in os.environ.items() if name in names}
        self.state = state
        self.environ = kept | {
            "TORU_URL": url or hub.base_url,
            "TORU_PASSWORD": ADMIN_PASSWORD,
            "TORU_DATA_DIR": str(hub.data_dir),
            "XDG_STATE_HOME": str(state),
            "PYTHONWARNINGS": "error",
        }

    def command(self, *words: str) -> list[str]:
        """Return the argument vector of a call."""
        return [sys.executable, "-m", "toru", *words]

    def call(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """Call it to its end."""
        return subprocess.run(
            self.command(*words),
            env=self.environ | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextlib.contextmanager
    def start(self, *words: str, terminal: int | None = None) -> Iterator[subprocess.Popen[str]]:
        """Start a call whose output is read while it runs; it is ended with the block.

        Args:
            words: the arguments.
            terminal: a descriptor of a terminal that is to be its stdin and stderr.
        """
        process = subprocess.Popen(
            self.command(*words),
            env=self.environ,
            stdin=subprocess.DEVNULL if terminal is None else terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if terminal is None else terminal,
            text=True,
        )
        with process:
            try:
                yield process
            finally:
                process.kill()


class Proxy:
    """Passes connections on to a port of the loopback address until it is told to cut them."""

    def __init__(self, target: int) -> None:
        self.target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def cut(self) -> int:
        """Cut every connection, without a close that the WebSocket could notice; return how many.

        What was on its way is lost, as when a cable is pulled.
        """
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for side in pair:
                with contextlib.suppress(OSError):
                    side.shutdown(socket.SHUT_RDWR)
        return len(pairs)

    def close(self) -> None:
        """Listen no more and cut what is there."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.target), timeout=5)
                far.settimeout(None)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(source, sink), daemon=True).start()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError), source:
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
