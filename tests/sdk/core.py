"""A tiny core, written from the protocol's pages alone: frames by hand, nothing of the hub's code.

Runs on: the test's thread; the plugin is a real process.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

SDK = Path(__file__).parents[2] / "sdk/python"
TIMEOUT_S = 20.0
PATIENCE_S = 60.0
STREAM_CREDIT = 256 * 1024
CONNECTION_CREDIT = 4 * 1024 * 1024
DATA_BYTES = 64 * 1024


def frame(message: dict[str, Any]) -> bytes:
    """Return the frame of a JSON message."""
    payload = json.dumps(message).encode()
    return struct.pack(">I", len(payload)) + payload


def data_frame(stream: int, data: bytes, flags: int = 0) -> bytes:
    """Return a data frame; of the flags, 1 is the end and 2 is text."""
    return struct.pack(">IBBHI", len(data) + 8, 1, flags, 0, stream) + data


class Wire:
    """One connection to a plugin."""

    def __init__(self, path: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(TIMEOUT_S)
        self.socket.connect(str(path))

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, message: dict[str, Any]) -> None:
        """Send a message."""
        self.socket.sendall(frame(message))

    def receive(self) -> dict[str, Any]:
        """Return the next message; EOFError when the plugin has closed the connection."""
        (length,) = struct.unpack(">I", self._exactly(4))
        payload = self._exactly(length)
        if payload[0] == 1:
            _, flags, reserved, stream = struct.unpack(">BBHI", payload[:8])
            assert reserved == 0
            assert len(payload) <= 64 * 1024 + 8
            return {"type": "data", "id": stream, "flags": flags, "bytes": payload[8:]}
        message: dict[str, Any] = json.loads(payload)
        return message

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def is_closed(self) -> bool:
        """Wait for the plugin to close the connection."""
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


class Running:
    """A plugin's process and the socket that it listens on."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path) -> None:
        self.process = process
        self.path = path

    def wire(self) -> Wire:
        """Open a connection."""
        return Wire(self.path)

    def ended(self) -> tuple[int, str]:
        """Wait for the end; return the exit code and what was written to stderr."""
        _, stderr = self.process.communicate(timeout=TIMEOUT_S)
        return self.process.returncode, stderr.decode()

    def end(self) -> tuple[int, str]:
        """Terminate and wait."""
        self.process.send_signal(signal.SIGTERM)
        return self.ended()

    # Protocol 1

    def http_v1(
        self,
        method: str,
        target: str,
        *,
        body: str | None = None,
        headers: dict[str, str] | None = None,
        kv: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send one request on a connection of its own; keys are served from ``kv`` meanwhile."""
        with self.wire() as wire:
            wire.send(request_v1("r1", method, target, body, headers or {}))
            while True:
                message = wire.receive()
                if message["type"] == "http":
                    assert message["request_id"] == "r1"
                    payload: dict[str, Any] = message["payload"]
                    return payload
                serve_kv_v1(wire, message, {} if kv is None else kv)

    def init_v1(self) -> None:
        """Tell it to start."""
        payload = {"type": "lifecycle", "action": "init", "instance_id": "i-1"}
        with self.wire() as wire:
            wire.send(
                v1("lifecycle", {**payload, "plugin_socket": str(self.path), "log_path": "l"})
            )

    def shut_down_v1(self) -> None:
        """Tell it to stop."""
        with self.wire() as wire:
            wire.send(v1("lifecycle", {"type": "lifecycle", "action": "shutdown"}))


def v1(kind: str, payload: dict[str, Any], request_id: str | None = None) -> dict[str, Any]:
    """Return a message of version 1."""
    message: dict[str, Any] = {"type": kind, "timestamp": "2026-11-22T14:01:30.123Z"}
    if request_id:
        message["request_id"] = request_id
    return {**message, "payload": payload}


def request_v1(
    request_id: str, method: str, target: str, body: str | None, headers: dict[str, str]
) -> dict[str, Any]:
    """Return a request of version 1."""
    inner = {"method": method, "path": target, "headers": headers, "body": body}
    return v1("http", {"type": "http", "request_id": request_id, "payload": inner}, request_id)


def serve_kv_v1(wire: Wire, message: dict[str, Any], kv: dict[str, str]) -> None:
    """Answer a plugin's ``kv`` as the contract has it."""
    assert message["type"] == "kv"
    payload = message["payload"]
    action, key = payload["action"].lower(), payload["key"]
    assert payload["payload"]["key"] == key
    if action == "set":
        kv[key] = payload["value"]
    elif action == "delete":
        kv.pop(key, None)
    wire.send(v1("kv", {"value": kv.get(key)}, message["request_id"]))


class CoreV2:
    """The core's end of a version 2 connection; answers the plugin's calls from ``kv``.

    It sees to it that the plugin keeps to its credit, and keeps to its own.

    Attributes:
        bodies: what came in data frames, by stream.
        sizes: how much that was; also where `keep_bodies` is False.
        credit: what may be sent, by stream; 0: on the connection.
        slow: streams that are given no credit back.
    """

    def __init__(
        self,
        running: Running,
        *,
        instance: str = "spawn-1",
        limits: dict[str, int] | None = None,
        **init: Any,
    ) -> None:
        self.wire = running.wire()
        self.kv: dict[str, str] = {}
        self.calls: list[dict[str, Any]] = []
        self.bodies: dict[int, bytearray] = {}
        self.sizes: dict[int, int] = {}
        self.keep_bodies = True
        self.credit: dict[int, int] = {0: CONNECTION_CREDIT}
        self.slow: set[int] = set()
        self._granted: dict[int, int] = {0: CONNECTION_CREDIT}
        self.held = 0
        self.give_credit = True
        self.other: list[dict[str, Any]] = []
        self._next_id = 1
        features = ["health", "stream", "ws", "bundle"]
        hello: dict[str, Any] = {"protocols": [2], "instance": instance, "features": features}
        hello["limits"] = {"streams": 64, "calls": 32, **(limits or {})}
        self.wire.send({"type": "hello", **hello})
        self.hello_ok = self.until("hello_ok")
        fields = {"instance_id": "hub-1", "config": {}, "data_dir": "/d", "log_path": "/l"}
        self.wire.send({"type": "init", **fields, "deadline_ms": 30000, **init})

    def __enter__(self) -> CoreV2:
        return self

    def __exit__(self, *_: object) -> None:
        self.wire.socket.close()

    def ready(self) -> CoreV2:
        """Wait until the plugin is ready."""
        self.until("ready")
        return self

    def next_id(self) -> int:
        """Return a new odd id."""
        self._next_id += 2
        return self._next_id - 2

    def until(self, *kinds: str, **fields: Any) -> dict[str, Any]:
        """Return the next message of these types and fields; calls are answered meanwhile.

        What a stream was told while another was waited for counts, too: plugins do several things
        at once.
        """
        for earlier in self.other if "id" in fields else ():
            if earlier["type"] in kinds and fields.items() <= earlier.items():
                self.other.remove(earlier)
                return earlier
        deadline = time.monotonic() + PATIENCE_S
        while True:
            assert time.monotonic() < deadline, f"none of {kinds} with {fields} came"
            message = self.wire.receive()
            if message["type"] == "call":
                self._serve(message)
            elif message["type"] == "data":
                self._take(message)
                if message["flags"] & 1 and "body" in kinds and fields["id"] == message["id"]:
                    return message
                if "data" in kinds and fields["id"] == message["id"]:
                    return message
            elif message["type"] == "window":
                self._note_window(message)
                if "window" in kinds:
                    return message
            elif message["type"] in kinds and fields.items() <= message.items():
                return message
            else:
                self.other.append(message)

    def body(self, stream: int) -> bytes:
        """Return the whole body of an answer whose head is there."""
        self.until("body", id=stream)
        return bytes(self.bodies.get(stream, b""))

    def upload(self, stream: int, data: bytes, *, flags: int = 1) -> None:
        """Send data as the plugin gives credit for it; ``flags`` are those of the last frame."""
        view = memoryview(data)
        while True:
            credit = min(self.credit[0], self.credit.setdefault(stream, STREAM_CREDIT))
            count = min(len(view), credit, DATA_BYTES)
            is_last = count == len(view)
            if count or is_last:
                frame_flags = flags if is_last else flags & ~1
                self.wire.socket.sendall(data_frame(stream, bytes(view[:count]), frame_flags))
                self.credit[0] -= count
                self.credit[stream] -= count
                view = view[count:]
            if is_last:
                return
            if not count:
                self.until("window")

    def open_socket(self, path: str, query: str = "", **more: Any) -> int:
        """Ask for a WebSocket and return its id."""
        stream = self.next_id()
        fields = {"id": stream, "path": path, "query": query, "headers": []}
        fields |= {"user": "anna", "role": "client"}
        self.wire.send({"type": "ws_open", **fields, **more})
        return stream

    def message(self, stream: int) -> str | bytes:
        """Return the next message of a WebSocket."""
        whole = b""
        while True:
            frame: dict[str, Any] = self.until("data", id=stream)
            whole += bytes(frame["bytes"])
            if frame["flags"] & 1:
                return whole.decode() if frame["flags"] & 2 else whole

    def _take(self, message: dict[str, Any]) -> None:
        stream, size = message["id"], len(message["bytes"])
        self.sizes[stream] = self.sizes.get(stream, 0) + size
        if self.keep_bodies:
            self.bodies.setdefault(stream, bytearray()).extend(message["bytes"])
        for one in (0, stream):
            self._granted[one] = self._granted.get(one, STREAM_CREDIT) - size
            assert self._granted[one] >= 0, "data beyond the credit"
        self._give_credit(message)

    def _note_window(self, message: dict[str, Any]) -> None:
        stream = message["id"]
        limit = STREAM_CREDIT if stream else CONNECTION_CREDIT
        self.credit[stream] = self.credit.get(stream, limit) + message["add"]
        assert self.credit[stream] <= limit, "credit for what was never sent"

    def start(self, method: str, path: str, query: str = "", **more: Any) -> int:
        """Send a request and return its id."""
        stream = self.next_id()
        fields = {"id": stream, "method": method, "path": path, "query": query, "headers": []}
        fields |= {"user": "anna", "role": "client", "deadline_ms": 30000, "body": "none"}
        self.wire.send({"type": "http", **fields, **more})
        return stream

    def http(self, method: str, path: str, query: str = "", **more: Any) -> dict[str, Any]:
        """Send a request and return its head, or its error."""
        return self.until("http_head", "error", id=self.start(method, path, query, **more))

    def _give_credit(self, message: dict[str, Any]) -> None:
        self.held += len(message["bytes"])
        if self.give_credit and message["bytes"]:
            for stream in {0, message["id"]} - self.slow:
                self.wire.send({"type": "window", "id": stream, "add": len(message["bytes"])})
                self._granted[stream] += len(message["bytes"])
            self.held = 0

    def _serve(self, message: dict[str, Any]) -> None:
        assert message["id"] % 2 == 0
        self.calls.append(message)
        method, params = message["method"], message["params"]
        if method == "kv.set":
            self.kv[params["key"]] = params["value"]
            value: Any = 7
        elif method == "kv.get":
            found = self.kv.get(params["key"])
            value = found and {"key": params["key"], "value": found, "version": 7}
        elif method == "kv.delete":
            value = self.kv.pop(params["key"], None) is not None
        elif method in ("log", "event.emit", "event.subscribe"):
            value = None
        else:
            error = {"code": "DENIED", "message": f"not {method}", "retryable": False}
            self.wire.send({"type": "error", "id": message["id"], **error})
            return
        self.wire.send({"type": "result", "id": message["id"], "value": value})


@contextmanager
def running(command: list[str], socket_path: Path, **environ: str) -> Iterator[Running]:
    """Run a plugin and yield when it listens."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    env = {**kept, "TORU_PLUGIN_SOCKET": str(socket_path), "PYTHONWARNINGS": "error", **environ}
    process = subprocess.Popen(
        command, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        wait_for_socket(process, socket_path)
        yield Running(process, socket_path)
    finally:
        process.kill()
        process.communicate()


def wait_for_socket(process: subprocess.Popen[bytes], path: Path) -> None:
    """Return when somebody listens at ``path``."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                assert process.poll() is None, process.communicate()[1].decode()
                assert time.monotonic() < deadline, "nobody listens"
                time.sleep(0.01)
            else:
                return


def python_plugin(folder: Path, source: str) -> list[str]:
    """Write a plugin's source and return the command that runs it with the library."""
    (folder / "plugin.py").write_text(source)
    starter = f"import sys; sys.path[:0] = [{str(SDK)!r}, {str(folder)!r}]; import plugin; "
    return [sys.executable, "-B", "-c", starter + "plugin.plugin.run()"]
