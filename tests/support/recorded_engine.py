"""A container engine at a Unix socket that answers as the Docker Engine API 1.43 documents it.

The shapes are those of its reference (container list, inspect, logs, start, stop, restart, errors,
``_ping``, and the stream format of ``attach``). It notes what it was asked.

Runs on: threads of the test's process.
"""

from __future__ import annotations

import json
import select
import socketserver
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

API = "1.43"
WEB = "8dfafdbc3a40" + "a" * 52
DB = "9cd87474be90" + "b" * 52
JOB = "3176a2479c92" + "c" * 52
STUCK = "4cb07b47f9fb" + "d" * 52
BROKEN = "5bc07b47f9fc" + "e" * 52
MUTE = "6ac07b47f9fd" + "f" * 52


def frame(source: int, text: str) -> bytes:
    """Return a frame of a log's stream: 1 is stdout, 2 is stderr."""
    content = text.encode()
    return bytes([source, 0, 0, 0]) + len(content).to_bytes(4, "big") + content


def stamped(second: int, text: str) -> str:
    """Return a line of a log as ``timestamps=true`` gives it."""
    return f"2026-11-22T14:01:{second:02}.123456789Z {text}\n"


def _container(container_id: str, name: str, image: str, state: str, **more: Any) -> dict[str, Any]:
    known = {"id": container_id, "name": name, "image": image, "state": state, "exit": 0}
    return {
        **known,
        "ports": [],
        "tty": False,
        "labels": {},
        "health": None,
        "driver": "json-file",
    } | more


def _containers() -> list[dict[str, Any]]:
    web_ports = [
        {"IP": "0.0.0.0", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "::", "PrivatePort": 80, "PublicPort": 8080, "Type": "tcp"},
        {"IP": "127.0.0.1", "PrivatePort": 9090, "PublicPort": 9090, "Type": "tcp"},
        {"PrivatePort": 443, "Type": "tcp"},
    ]
    project = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web"}
    return [
        _container(JOB, "nightly-job", "registry/job:3", "exited", exit=137),
        _container(
            WEB, "web", "nginx:1.27", "running", ports=web_ports, labels=project, health="healthy"
        ),
        _container(DB, "db", "postgres:16", "running", tty=True),
        _container(STUCK, "stuck", "busybox", "paused"),
        _container(BROKEN, "broken", "busybox", "created"),
        _container(MUTE, "mute", "busybox", "exited", driver="none"),
    ]


class RecordedEngine(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    """The engine; ``with`` serves it.

    Args:
        path: of its socket.

    Attributes:
        asked: the requests so far, such as ``POST /v1.43/containers/web/stop?t=10``.
        logs: the pieces of each container's log, as chunks of the answer.
        left: containers whose log somebody has stopped reading before its end.
        hangs: answer nothing.
    """

    daemon_threads = True
    request_queue_size = 32

    def __init__(self, path: Path) -> None:
        self.containers = _containers()
        self.asked: list[str] = []
        self.logs: dict[str, list[bytes]] = {}
        self.left: list[str] = []
        self.hangs = False
        self.podman = False
        self.more = threading.Condition()
        self.stopping = threading.Event()
        super().__init__(str(path), _Answers)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,))

    def __enter__(self) -> RecordedEngine:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        with self.more:
            self.more.notify_all()
        self.shutdown()
        self._thread.join()
        self.server_close()
        Path(str(self.server_address)).unlink(missing_ok=True)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of those who leave."""

    def write(self, name: str, *pieces: bytes) -> None:
        """Add pieces to a container's log."""
        with self.more:
            self.logs.setdefault(name, []).extend(pieces)
            self.more.notify_all()

    def find(self, name: str) -> dict[str, Any] | None:
        """Return a container by its name or the beginning of its id."""
        found = (c for c in self.containers if c["name"] == name or c["id"].startswith(name))
        return next(found, None)


class _Answers(BaseHTTPRequestHandler):
    server: RecordedEngine
    protocol_version = "HTTP/1.1"
    timeout = 60
    _actions: ClassVar[dict[str, tuple[str, ...]]] = {
        "start": ("exited", "created"),
        "stop": ("running",),
        "restart": ("running", "exited"),
    }

    def log_message(self, *_: Any) -> None:
        """Keep quiet."""

    def do_GET(self) -> None:
        """Answer a question."""
        self._route()

    def do_POST(self) -> None:
        """Answer a wish."""
        self._route()

    def _route(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        if self.server.hangs:
            self.server.stopping.wait(60)
            self.close_connection = True
            return
        parts = urlsplit(self.path)
        path, query = parts.path, parse_qs(parts.query)
        if path == "/_ping":
            self._send(200, b"OK", "text/plain; charset=utf-8")
            return
        prefix = f"/v{API}/containers/"
        if not path.startswith(prefix):
            self._fail(400, f"client version is not {API}")
            return
        rest = path.removeprefix(prefix).split("/")
        if rest == ["json"]:
            self._json(200, [_listed(container) for container in self.server.containers])
            return
        container = self.server.find(rest[0])
        if container is None:
            self._fail(404, f"No such container: {rest[0]}")
        elif rest[1] == "json":
            self._json(200, _inspected(container))
        elif rest[1] == "logs":
            self._logs(container, query)
        else:
            self._change(container, rest[1])

    def _change(self, container: dict[str, Any], action: str) -> None:
        if container["name"] == "broken":
            self._fail(500, "driver failed programming external connectivity: port is allocated")
        elif container["state"] == "paused":
            self._fail(409, f"cannot {action} a paused container, try unpause instead")
        elif container["state"] not in self._actions[action]:
            self._send(304, b"", None)
        else:
            container["state"] = "exited" if action == "stop" else "running"
            self._send(204, b"", None)

    def _logs(self, container: dict[str, Any], query: dict[str, list[str]]) -> None:
        if container["driver"] == "none":
            self._fail(500, "configured logging driver does not support reading")
            return
        assert query["timestamps"] == ["true"] and query["follow"] == ["true"]
        kind = "raw" if container["tty"] else "multiplexed"
        self.send_response(200)
        self.send_header("Content-Type", f"application/vnd.docker.{kind}-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = 0
        while True:
            with self.server.more:
                pieces = self.server.logs.get(container["name"], [])[sent:]
                if not pieces:
                    self.server.more.wait(0.05)
            for piece in pieces:
                self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            sent += len(pieces)
            if self._is_left():
                self.server.left.append(container["name"])
                self.close_connection = True
                return
            if self.server.stopping.is_set() or container["state"] != "running":
                self.wfile.write(b"0\r\n\r\n")
                return

    def _is_left(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        return bool(readable) and not self.connection.recv(1)

    def _json(self, status: int, value: Any) -> None:
        self._send(status, json.dumps(value).encode(), "application/json")

    def _fail(self, status: int, message: str) -> None:
        self._json(status, {"message": message})

    def _send(self, status: int, body: bytes, kind: str | None) -> None:
        self.send_response(status)
        self.send_header("Api-Version", API)
        if self.server.podman:
            self.send_header("Libpod-Api-Version", "4.9.3")
        if kind is not None:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _listed(container: dict[str, Any]) -> dict[str, Any]:
    health = f" ({container['health']})" if container["health"] else ""
    words = {
        "running": f"Up 3 hours{health}",
        "paused": "Up 3 hours (Paused)",
        "created": "Created",
        "exited": f"Exited ({container['exit']}) 2 days ago",
    }
    return {
        "Id": container["id"],
        "Names": [f"/{container['name']}"],
        "Image": container["image"],
        "ImageID": "sha256:" + "0" * 64,
        "Command": "run --password=hunter2",
        "Created": 1763800000,
        "Ports": container["ports"],
        "Labels": container["labels"],
        "State": container["state"],
        "Status": words[container["state"]],
        "HostConfig": {"NetworkMode": "bridge"},
        "Mounts": [],
    }


def _inspected(container: dict[str, Any]) -> dict[str, Any]:
    running = container["state"] in ("running", "paused")
    state: dict[str, Any] = {
        "Status": container["state"],
        "Running": running,
        "Paused": container["state"] == "paused",
        "Restarting": False,
        "OOMKilled": container["exit"] == 137,
        "Dead": False,
        "Pid": 4711 if running else 0,
        "ExitCode": container["exit"],
        "Error": "",
        "StartedAt": "2026-11-22T11:00:00.000000001Z",
        "FinishedAt": "0001-01-01T00:00:00Z" if running else "2026-11-22T12:00:00Z",
    }
    if container["health"]:
        state["Health"] = {"Status": container["health"], "FailingStreak": 0, "Log": []}
    return {
        "Id": container["id"],
        "Created": "2026-11-20T10:00:00.5Z",
        "Path": "run",
        "Args": ["--password=hunter2"],
        "State": state,
        "Name": f"/{container['name']}",
        "RestartCount": 1,
        "HostConfig": {"RestartPolicy": {"Name": "unless-stopped", "MaximumRetryCount": 0}},
        "Mounts": [
            {
                "Type": "bind",
                "Source": "/srv/site",
                "Destination": "/usr/share/nginx/html",
                "Mode": "ro",
                "RW": False,
            }
        ],
        "Config": {
            "Hostname": container["id"][:12],
            "Tty": container["tty"],
            "Env": ["TOKEN=hunter2"],
            "Image": container["image"],
            "Labels": container["labels"],
        },
        "NetworkSettings": {
            "Ports": {
                "443/tcp": None,
                "80/tcp": [
                    {"HostIp": "0.0.0.0", "HostPort": "8080"},
                    {"HostIp": "::", "HostPort": "8080"},
                ],
            }
        },
    }
