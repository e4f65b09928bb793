"""A hub for one author's session: on a free port, in a folder of its own, gone at the end.

Runs on: the event loop of the command; the hub is a process of its own, as its runner is.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import secrets
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from toru import clock
from toru.cli.failure import CommandError
from toru.runner.launch import socket_path
from toru.wire.frames import encode_json
from toru.wire.unix_paths import connect

LOOK_S = 0.05
"""How often the hub looks at its plugins, so that a save is noticed at once."""
_START_S = 60.0
_STOP_S = 40.0
_RUNNER_S = 20.0
_PROTOCOL = 1
_LAST_LINES = 20
_READY = re.compile(r"Toru is ready on (http://\S+)")
_OWN_PREFIXES = ("TORU_", "STEERING_", "ADMIN_")
_OWN = {"DATABASE_URL", "SCRIPTS_DIR", "PRODUCTION", "SECURE_COOKIES", "TRUST_PROXY", "RUST_LOG"}


class DevHub:
    """A hub in a folder that nobody else uses.

    Args:
        folder: an empty folder for all that it keeps.
        port: where it listens; 0 for a free port.

    Attributes:
        password: the admin's, made for this session.
        plugins_dir: where its plugins are.
        url: its address once it has started.
        ended: set when its process has ended.
    """

    def __init__(self, folder: Path, port: int) -> None:
        self._folder = folder
        self._port = port
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._last_lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.password = f"{secrets.token_urlsafe(9)}-aA1"
        self.plugins_dir = folder / "plugins"
        self.url = ""
        self.ended = asyncio.Event()

    async def start(self) -> None:
        """Start it and return when it serves.

        Raises:
            CommandError: it does not start; with its last lines.
        """
        self.plugins_dir.mkdir()
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "toru", "serve"),
            env=self._environment(os.environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C is for the command, which ends the hub in order
            limit=1024 * 1024,
        )
        self._reading = asyncio.create_task(self._read(self._process))
        try:
            async with asyncio.timeout(_START_S):
                self.url = await self._ready
        except TimeoutError:
            raise CommandError(f"The hub does not start.\n{self.last_words}", exit_code=1) from None

    @property
    def last_words(self) -> str:
        """The last lines that it has printed."""
        return "\n".join(self._last_lines)

    def log_path(self, plugin_id: str) -> Path:
        """Return the log of a plugin."""
        return self._folder / "logs" / "plugins" / f"{plugin_id}.log"

    def kill(self) -> None:
        """End it at once; `stop` is still to be called."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def stop(self) -> None:
        """End it, its plugins and its runner, in order; returns when nothing of it is left."""
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_S):
                await process.wait()
        except TimeoutError:
            self.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading
        await asyncio.to_thread(end_runner, self._folder / "data")

    def _environment(self, environ: Mapping[str, str]) -> dict[str, str]:
        """Return this process' environment without what is meant for other hubs."""
        kept = {
            name: value
            for name, value in environ.items()
            if not name.startswith(_OWN_PREFIXES) and name not in _OWN
        }
        return {
            **kept,
            "ADMIN_PASSWORD": self.password,
            "STEERING_PORT": str(self._port),
            "SCRIPTS_DIR": str(self._folder / "scripts"),
            "TORU_DATA_DIR": str(self._folder / "data"),
            "TORU_LOG_DIR": str(self._folder / "logs"),
            "TORU_PLUGINS_DIR": str(self.plugins_dir),
            "TORU_PLUGIN_LOOK_S": str(LOOK_S),
        }

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        while line := await process.stdout.readline():
            text = line.decode("utf-8", "replace").rstrip()
            self._last_lines.append(text)
            found = _READY.search(text)
            if found and not self._ready.done():
                self._ready.set_result(found[1])
        await process.wait()
        self.ended.set()
        if not self._ready.done():
            sentence = self.last_words or "The hub ended before it was ready."
            self._ready.set_exception(CommandError(sentence, exit_code=1))
            self._ready.exception()  # it may be that nobody waits any more


def end_runner(data_dir: Path) -> None:
    """End the runner of a data folder and all that it runs; returns when it is gone.

    Raises:
        CommandError: it does not end.
    """
    deadline = clock.monotonic() + _RUNNER_S
    while _is_held(data_dir / "runner/lock"):
        if clock.monotonic() > deadline:
            raise CommandError(f"The runner of {data_dir} does not end.", exit_code=1)
        with contextlib.suppress(OSError):  # it does not listen yet, or not any more
            _ask_to_end(socket_path(data_dir))
        time.sleep(0.01)


def _is_held(lock: Path) -> bool:
    """Return whether somebody has the lock that a runner holds as long as it lives."""
    try:
        with lock.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _ask_to_end(path: Path) -> None:
    with connect(path, timeout_s=_RUNNER_S) as connection:
        connection.sendall(encode_json({"type": "hello", "protocol": _PROTOCOL}))
        connection.sendall(encode_json({"type": "shutdown", "end_runs": True}))
        while connection.recv(64 * 1024):
            pass
