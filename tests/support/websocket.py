"""A small blocking WebSocket client (RFC 6455), for tests and measurements.

Runs on: the thread that uses it.
"""

from __future__ import annotations

import base64
import json
import os
import socket
import struct
from collections.abc import Mapping
from typing import Any

_READ_BYTES = 1 << 20


class Closed(Exception):
    """The server closed the connection; ``code`` is what its close frame says, or 1006."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code} {reason}")
        self.code = code
        self.reason = reason


class Refused(Exception):
    """The server did not upgrade; ``status`` is its answer."""

    def __init__(self, status: int, body: bytes) -> None:
        super().__init__(f"status {status}")
        self.status = status
        self.body = body


class WebSocket:
    """One connection; pings are answered while it is read."""

    def __init__(
        self, host: str, port: int, path: str, headers: Mapping[str, str], timeout_s: float = 30.0
    ) -> None:
        self.socket = socket.create_connection((host, port), timeout=timeout_s)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = bytearray()
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [
            f"GET {path} HTTP/1.1",
            f"Host: {host}:{port}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {key}",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        self._read_upgrade()

    def __enter__(self) -> WebSocket:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Cut the connection."""
        self.socket.close()

    def send(self, message: object) -> None:
        """Send a value as a JSON text frame."""
        self.send_text(json.dumps(message))

    def send_text(self, text: str) -> None:
        """Send a text frame."""
        self._send_frame(1, text.encode("utf-8", "surrogatepass"))

    def send_bytes(self, data: bytes) -> None:
        """Send a binary frame."""
        self._send_frame(2, data)

    def read(self, timeout_s: float = 30.0) -> dict[str, Any]:
        """Return the next message.

        Raises:
            Closed: the server closed.
            TimeoutError: nothing came in time.
        """
        message: dict[str, Any] = json.loads(self.read_payload(timeout_s))
        return message

    def read_payload(self, timeout_s: float = 30.0) -> bytes:
        """Return the bytes of the next text frame."""
        while True:
            data, is_text = self.read_message(timeout_s)
            if is_text:
                return data

    def read_message(self, timeout_s: float = 30.0) -> tuple[bytes, bool]:
        """Return the bytes of the next message, and whether it is text.

        Raises:
            Closed: the server closed.
            TimeoutError: nothing came in time.
        """
        self.socket.settimeout(timeout_s)
        while True:
            opcode, payload = self._read_frame()
            if opcode in (1, 2):
                return payload, opcode == 1
            if opcode == 9:
                self._send_frame(10, payload)
            elif opcode == 8:
                code = struct.unpack("!H", payload[:2])[0] if len(payload) >= 2 else 1005
                raise Closed(code, payload[2:].decode("utf-8", "replace"))

    def read_until(self, *types: str, timeout_s: float = 30.0) -> dict[str, Any]:
        """Return the next message of one of these types, passing over others."""
        while True:
            message = self.read(timeout_s)
            if message["type"] in types:
                return message

    def read_run(self, *, timeout_s: float = 30.0) -> tuple[str, dict[str, Any]]:
        """Return the output up to the end of the run, and the message that ends it."""
        parts: list[str] = []
        while True:
            message = self.read(timeout_s)
            if message["type"] in ("stdout", "stderr"):
                parts.append(message["data"])
            elif message["type"] in ("exit", "cancelled", "error"):
                return "".join(parts), message

    def _read_upgrade(self) -> None:
        while b"\r\n\r\n" not in self._buffer:
            self._fill()
        head, _, rest = bytes(self._buffer).partition(b"\r\n\r\n")
        status = int(head.split(b" ", 2)[1])
        if status != 101:
            self.socket.close()
            raise Refused(status, rest)
        self._buffer = bytearray(rest)

    def _read_frame(self) -> tuple[int, bytes]:
        head = self._take(2)
        length = head[1] & 0x7F
        if length == 126:
            length = struct.unpack("!H", self._take(2))[0]
        elif length == 127:
            length = struct.unpack("!Q", self._take(8))[0]
        return head[0] & 0x0F, self._take(length)

    def _take(self, count: int) -> bytes:
        while len(self._buffer) < count:
            self._fill()
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def _fill(self) -> None:
        data = self.socket.recv(_READ_BYTES)
        if not data:
            raise Closed(1006)
        self._buffer += data

    def _send_frame(self, opcode: int, payload: bytes) -> None:
        length = len(payload)
        if length < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
        elif length < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
        # A mask of zeros is a mask (RFC 6455, 5.3), and costs nothing to apply.
        self.socket.sendall(head + b"\0\0\0\0" + payload)
