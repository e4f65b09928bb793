"""A real hub, as a process of its own with its runner, in a folder of the test's.

Runs on: the test's thread.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from tests.support.websocket import WebSocket
from toru.runner.launch import socket_path
from toru.wire import unix_paths
from toru.wire.frames import encode_json

ADMIN_PASSWORD = "Correct-horse-7"
_READY = re.compile(r"Toru is ready on (http://\S+)")


class Answer(NamedTuple):
    """An HTTP answer; ``json`` is None when the body is none."""

    status: int
    json: Any
    headers: Mapping[str, str]
    body: bytes


def wait_until(
    condition: Callable[[], Any], *, timeout_s: float = 20.0, what: str = "the condition"
) -> Any:
    """Return the first truthy value of ``condition``; fail when there is none in time."""
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true within {timeout_s} s")
        time.sleep(0.01)


class HubProcess:
    """One hub on a free port of the loopback address; ``with`` starts it and ends everything."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.folder = folder
        self.data_dir = folder / "data"
        self.scripts_dir = folder / "scripts"
        self.plugins_dir = folder / "plugins"
        self.log_path = folder / "hub.log"
        for directory in (self.data_dir, self.scripts_dir, self.plugins_dir):
            directory.mkdir(parents=True, exist_ok=True)
        self.environment = environment
        self.process: subprocess.Popen[bytes] | None = None
        self.base_url = ""
        self.cookie = ""

    def __enter__(self) -> HubProcess:
        self.start()
        self.log_in()
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def pid(self) -> int:
        """The hub's process."""
        assert self.process is not None
        return self.process.pid

    @property
    def has_ended(self) -> bool:
        """Whether its process has."""
        return self.process is None or self.process.poll() is not None

    @property
    def port(self) -> int:
        """Where it listens."""
        return urlsplit(self.base_url).port or 0

    def env(self) -> dict[str, str]:
        """The environment that the hub is started with."""
        kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")}
        return {
            **kept,
            "ADMIN_PASSWORD": ADMIN_PASSWORD,
            "TORU_DATA_DIR": str(self.data_dir),
            "SCRIPTS_DIR": str(self.scripts_dir),
            "TORU_PLUGINS_DIR": str(self.plugins_dir),
            "TORU_LOG_DIR": str(self.folder / "logs"),
            "STEERING_PORT": "0",
            "TORU_PLUGIN_LOOK_S": "0.2",
            "PYTHONWARNINGS": "default",
            **self.environment,
        }

    def start(self, *, timeout_s: float = 20.0) -> None:
        """Start the hub and return when it is ready."""
        offset = self.log_path.stat().st_size if self.log_path.exists() else 0
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "toru", "serve"],
                env=self.env(),
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        found = wait_until(
            lambda: self._ready_line(offset), timeout_s=timeout_s, what="the start of the hub"
        )
        self.base_url = found[1]

    def _ready_line(self, offset: int) -> re.Match[str] | None:
        assert self.process is not None
        text = self.log_path.read_bytes()[offset:].decode("utf-8", "replace")
        if self.process.poll() is not None:
            raise AssertionError(f"The hub ended with {self.process.returncode}:\n{text}")
        return _READY.search(text)

    def kill(self) -> None:
        """SIGKILL the hub; its runner lives on."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self, *, timeout_s: float = 30.0) -> int:
        """SIGTERM the hub and return its exit code; its runner lives on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        # `wait` with a limit looks every 50 ms only.
        wait_until(lambda: self.has_ended, timeout_s=timeout_s, what="the stop of the hub")
        return self.process.wait()

    def end(self) -> None:
        """End the hub, every run and the runner."""
        if not self.has_ended:
            self.stop()
        self.end_runner()

    def end_runner(self) -> None:
        """End every run and the runner, and wait until it is gone."""
        with contextlib.suppress(OSError), unix_paths.connect(self.runner_socket) as connection:
            connection.settimeout(20.0)
            connection.sendall(encode_json({"type": "hello", "protocol": 1}))
            connection.sendall(encode_json({"type": "shutdown", "end_runs": True}))
            while connection.recv(65536):
                pass

    @property
    def runner_socket(self) -> Path:
        """Where the runner listens."""
        return socket_path(self.data_dir)

    @property
    def log(self) -> str:
        """All that the hub has printed so far."""
        return self.log_path.read_text("utf-8", "replace")

    def script(self, name: str, text: str) -> str:
        """Write a script and return its name."""
        (self.scripts_dir / name).write_text(text)
        return name

    def log_in(self, username: str = "admin", password: str = ADMIN_PASSWORD) -> str:
        """Log in, keep the cookie for the calls to come, and return it."""
        answer = self.http(
            "POST", "/api/auth/login", {"username": username, "password": password}, cookie=""
        )
        assert answer.status == 200, answer
        self.cookie = answer.headers["Set-Cookie"].split(";")[0]
        return self.cookie

    def add_client(self, username: str, password: str = "Client-pass-1") -> str:
        """Create a user of role client, log in, and return the cookie; the own one stays."""
        body = {
            "username": username,
            "password": password,
            "display_name": username.title(),
            "role": "client",
        }
        answer = self.http("POST", "/api/users", body)
        assert answer.status == 200, answer
        own = self.cookie
        cookie = self.log_in(username, password)
        self.cookie = own
        return cookie

    def http(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        cookie: str | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 30.0,
    ) -> Answer:
        """Send one request and return the answer.

        A ``body`` is JSON unless it is bytes, or an iterator of such, which is sent in chunks.
        """
        sent = dict(headers or {})
        chosen = self.cookie if cookie is None else cookie
        if chosen:
            sent["Cookie"] = chosen
        if body is not None and not isinstance(body, bytes | Iterator):
            body = json.dumps(body).encode()
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout_s)
        try:
            connection.request(method, path, body, sent)
            response = connection.getresponse()
            data = response.read()
        finally:
            connection.close()
        return Answer(response.status, _json(data), dict(response.headers.items()), data)

    def get(self, path: str, **options: Any) -> Any:
        """GET a path that must answer 200, and return its JSON."""
        answer = self.http("GET", path, **options)
        assert answer.status == 200, answer
        return answer.json

    def websocket(self, path: str = "/api/ws", *, cookie: str | None = None) -> WebSocket:
        """Open a WebSocket."""
        chosen = self.cookie if cookie is None else cookie
        return WebSocket("127.0.0.1", self.port, path, {"Cookie": chosen})

    def run(self, script: str, *, timeout_s: float = 30.0) -> tuple[str, dict[str, Any]]:
        """Run a script to its end and return its output and the last message."""
        with self.websocket() as socket:
            socket.send({"type": "run", "script": script})
            return socket.read_run(timeout_s=timeout_s)


class HubsAhead:
    """Hubs for one test each; the next is started while a test uses the one before.

    Args:
        folder: returns a new folder.
    """

    def __init__(self, folder: Callable[[], Path]) -> None:
        self._folder = folder
        self._starter = ThreadPoolExecutor(1)
        self._next = self._starter.submit(self._start)

    def take(self) -> HubProcess:
        """Return a hub that runs, logged in as the admin; whoever takes it ends it."""
        started, self._next = self._next, self._starter.submit(self._start)
        return started.result()

    def close(self) -> None:
        """End the hub that nobody has taken."""
        self._starter.shutdown()
        self._next.result().end()

    def _start(self) -> HubProcess:
        hub = HubProcess(self._folder())
        try:
            return hub.__enter__()
        except BaseException:
            hub.end()
            raise


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except ValueError:
        return None
