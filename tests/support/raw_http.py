"""Requests as bytes, for what no well-behaved client would send.

Runs on: the thread that uses it.
"""

from __future__ import annotations

import contextlib
import json
import socket
from typing import Any, NamedTuple


class RawAnswer(NamedTuple):
    """What came back; ``status`` is 0 when the connection was closed without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


def exchange(port: int, request: bytes, *, timeout_s: float = 10.0) -> RawAnswer:
    """Send ``request`` on a connection of its own and read until the server closes it."""
    with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
        with contextlib.suppress(ConnectionError):  # it may refuse before all is sent
            connection.sendall(request)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> RawAnswer:
    """Read until the server closes the connection."""
    received = bytearray()
    with contextlib.suppress(ConnectionError):
        while data := connection.recv(65536):
            received += data
    return parse(bytes(received))


def parse(data: bytes) -> RawAnswer:
    """Take an answer apart."""
    if not data:
        return RawAnswer(0, {}, b"")
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    return RawAnswer(int(first.split()[1]), headers, body)


def request(method: str, target: str, *headers: str, body: bytes = b"", host: str = "") -> bytes:
    """Return a request that asks the server to close the connection."""
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host or 'localhost'}", "Connection: close"]
    if body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, *headers, "", ""]).encode("latin-1") + body
