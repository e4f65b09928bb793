#!/usr/bin/env python3
"""A plugin of protocol 2 in plain sockets: it makes the calls that requests ask it for.

``POST /call`` with ``[[method, params], …]`` makes these calls at once and answers with their
results and errors in order. ``GET /hello`` answers with what the core has said at the start,
``GET /told`` with the events that it has told.
``GET /goaway`` asks to be restarted, ``GET /log/<n>`` prints n lines.

Runs on: one thread; standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any

ID = Path(sys.argv[0]).name.removesuffix(".binary")


class Core:
    """The connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.said: dict[str, Any] = {}
        self.last_call = 0
        self.events: list[dict[str, Any]] = []

    def send(self, **message: Any) -> None:
        """Send a JSON frame."""
        payload = json.dumps(message).encode()
        self.connection.sendall(struct.pack("!I", len(payload)) + payload)

    def receive(self) -> dict[str, Any]:
        """Return the next JSON frame."""
        head = self.connection.recv(4, socket.MSG_WAITALL)
        if len(head) < 4:
            sys.exit(1)
        (length,) = struct.unpack("!I", head)
        found: dict[str, Any] = json.loads(self.connection.recv(length, socket.MSG_WAITALL))
        return found

    def call(self, calls: list[Any]) -> list[Any]:
        """Make calls at once and return their answers in order."""
        ids = []
        for method, params in calls:
            self.last_call += 2
            ids.append(self.last_call)
            self.send(type="call", id=self.last_call, method=method, params=params)
        answers: dict[int, Any] = {}
        while len(answers) < len(ids):
            message = self.receive()
            if message["type"] == "result":
                answers[message["id"]] = message["value"]
            elif message["type"] == "error":
                answers[message["id"]] = {"error": message["code"], **message}
            else:
                self.handle(message)
        return [answers[number] for number in ids]

    def answer(self, request: dict[str, Any], value: Any) -> None:
        """Answer a request with JSON."""
        headers = [["Content-Type", "application/json"]]
        head = {"type": "http_head", "id": request["id"], "status": 200, "headers": headers}
        self.send(**head, body="inline", text=json.dumps(value))

    def handle(self, message: dict[str, Any]) -> None:
        """Handle a message."""
        match message["type"]:
            case "hello":
                self.said["hello"] = message
                agreed = {"protocol": 2, "instance": message["instance"]}
                limits = {"json_bytes": 500_000, "calls": 16, "unheard_of": 1}
                self.send(type="hello_ok", **agreed, features=["http"], limits=limits, sdk="plain")
            case "init":
                self.said["init"] = message
                self.send(type="status", text="almost there", extend_ms=1000)
                self.send(type="ready")
            case "ping":
                self.send(type="pong", n=message["n"])
            case "http":
                self.http(message)
            case "event":
                self.events.append(message)
            case "shutdown":
                sys.exit(0)
            case "goaway":
                self.said["goaway"] = message

    def http(self, request: dict[str, Any]) -> None:
        """Do what a request asks for."""
        path = request["path"]
        if path == "/call":
            self.answer(request, self.call(json.loads(request["text"])))
        elif path == "/told":
            self.answer(request, self.events)
        elif path == "/goaway":
            self.answer(request, {})
            self.send(type="goaway", last_id=request["id"])
        elif path.startswith("/log/"):
            for number in range(int(path[5:])):
                sys.stdout.write(f"line {number}\n")
            sys.stdout.flush()
            self.answer(request, {})
        else:
            self.answer(request, {**self.said, "environ": dict(os.environ), "request": request})


def main() -> None:
    """Serve the one connection."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.environ["TORU_PLUGIN_SOCKET"])
    listener.listen()
    core = Core(listener.accept()[0])
    while True:
        core.handle(core.receive())


if __name__ == "__main__":
    if sys.argv[1:] == ["--metadata"]:
        about = {"id": ID, "name": "Version 2", "version": "1", "route": f"/{ID}"}
        sys.stdout.write(json.dumps({**about, "protocols": [1, 2]}))
    else:
        main()
