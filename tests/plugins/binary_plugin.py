#!/usr/bin/env python3
"""A plugin of protocol 2 that answers ``/<n>`` with n bytes, in data frames within its credit.

Runs on: one thread; standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from typing import Any

CREDIT = 256 * 1024
PIECE = 60_000


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """Send a JSON frame."""
    payload = json.dumps(message).encode()
    connection.sendall(struct.pack("!I", len(payload)) + payload)


def receive(connection: socket.socket) -> dict[str, Any]:
    """Return the next JSON frame."""
    (length,) = struct.unpack("!I", connection.recv(4, socket.MSG_WAITALL))
    found: dict[str, Any] = json.loads(connection.recv(length, socket.MSG_WAITALL))
    return found


def stream(connection: socket.socket, number: int, body: bytes) -> None:
    """Answer with a streamed body."""
    headers = [["Content-Type", "application/octet-stream"]]
    head = {"type": "http_head", "id": number, "status": 200, "headers": headers}
    send(connection, {**head, "body": "stream"})
    credit = CREDIT
    for start in range(0, max(len(body), 1), PIECE):
        piece = body[start : start + PIECE]
        while credit < len(piece):
            message = receive(connection)
            if message["type"] == "window" and message["id"] == number:
                credit += message["add"]
        credit -= len(piece)
        flags = 1 if start + PIECE >= len(body) else 0
        head_bytes = struct.pack("!IBBHI", 8 + len(piece), 1, flags, 0, number)
        connection.sendall(head_bytes + piece)


def main() -> None:
    """Serve the one connection."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.environ["TORU_PLUGIN_SOCKET"])
    listener.listen()
    connection, _ = listener.accept()
    while True:
        message = receive(connection)
        match message["type"]:
            case "hello":
                agreed = {"protocol": 2, "instance": message["instance"], "features": ["http"]}
                send(connection, {"type": "hello_ok", **agreed, "limits": {}})
            case "init":
                send(connection, {"type": "ready"})
            case "ping":
                send(connection, {"type": "pong", "n": message["n"]})
            case "http" if not message["path"][1:].isdigit():
                head = {"type": "http_head", "id": message["id"], "status": 404, "headers": []}
                send(connection, {**head, "body": "none"})
            case "http":
                size = int(message["path"][1:])
                body = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
                stream(connection, message["id"], body)
            case "shutdown":
                return


if __name__ == "__main__":
    if sys.argv[1:] == ["--metadata"]:
        about = {"id": "binary", "name": "Binary", "version": "1", "route": "/binary"}
        sys.stdout.write(json.dumps({**about, "protocols": [2]}))
    else:
        main()
