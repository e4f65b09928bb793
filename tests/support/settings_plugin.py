#!/usr/bin/env python3
"""A plugin with settings; the name of its copy says how it is told them.

    set-v1*.binary      protocol 1: in ``init``, and by a restart
    set-v2*.binary      protocol 2, the same
    set-live*.binary    protocol 2 with the feature ``config``: also while it runs
    …-needs*            exits with 78 while it has no token

``GET /told`` answers with every configuration that came, ``POST /print`` prints a list of texts,
each flushed by itself, ``POST /call`` makes one call and answers with what came back, and
``POST /die`` writes a text to stderr and exits with 3.

Runs on: one thread; standard library only.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import sys
import threading
from pathlib import Path
from typing import Any

ID = Path(sys.argv[0]).name.removesuffix(".binary")
V2 = not ID.startswith("set-v1")
LIVE = ID.startswith("set-live")
SETTINGS: dict[str, Any] = {
    "type": "object",
    "required": ["token"],
    "properties": {
        "address": {
            "type": "string",
            "format": "uri",
            "title": "Address",
            "description": "Where the other service is.",
            "default": "https://example.org/",
        },
        "token": {"type": "string", "title": "Token", "writeOnly": True, "minLength": 8},
        "phrase": {"type": "string", "title": "Passphrase", "format": "password"},
        "every_s": {"type": "integer", "title": "Look every", "minimum": 1, "default": 60},
        "share": {"type": "number", "title": "Share", "exclusiveMinimum": 0, "maximum": 1},
        "loud": {"type": "boolean", "title": "Loud", "default": False},
        "mode": {"type": "string", "title": "Mode", "enum": ["quick", "thorough"]},
        "hosts": {"type": "array", "title": "Hosts", "items": {"type": "string", "minLength": 2}},
    },
}
TOLD: list[dict[str, Any]] = []
WAITING: dict[int, dict[str, Any]] = {}


def frame(message: dict[str, Any]) -> bytes:
    """Return a JSON frame."""
    payload = json.dumps(message).encode()
    return struct.pack("!I", len(payload)) + payload


def answer_to(message: dict[str, Any], value: Any) -> bytes:
    """Return the answer to a request."""
    body = json.dumps(value)
    if "id" in message:
        head = {"type": "http_head", "id": message["id"], "status": 200, "headers": []}
        return frame({**head, "body": "inline", "text": body})
    payload = {"status": 200, "headers": {}, "body": body}
    head = {"type": "http", "timestamp": message["timestamp"]}
    return frame({**head, "request_id": message["request_id"], "payload": payload})


def begin(message: dict[str, Any]) -> None:
    """Take the first configuration, or leave."""
    TOLD.append(message.get("config", {}))
    if "needs" in ID and "token" not in TOLD[-1]:
        sys.stderr.write("It has no token.\n")
        sys.stderr.flush()
        os._exit(78)


def request(message: dict[str, Any]) -> bytes:
    """Return what is to be sent for a request."""
    about = message if "id" in message else message["payload"]["payload"]
    path, body = about["path"], about.get("text") or about.get("body")
    if path == "/print":
        for text in json.loads(body):
            sys.stdout.write(text)
            sys.stdout.flush()
    if path == "/die":
        sys.stderr.write(json.loads(body))
        sys.stderr.flush()
        os._exit(3)
    if path == "/call":
        number = 2 * len(WAITING) + 2
        WAITING[number] = message
        method, params = json.loads(body)
        return frame({"type": "call", "id": number, "method": method, "params": params})
    return answer_to(message, {"told": TOLD, "pid": os.getpid()})


def react(message: dict[str, Any]) -> bytes:
    """Return what is to be sent for a message; nothing where nothing is."""
    kind = message["type"]
    payload = message.get("payload", {})
    if kind == "hello":
        features = ["http", "config"] if LIVE else ["http"]
        agreed = {"protocol": 2, "instance": message["instance"], "features": features}
        return frame({"type": "hello_ok", **agreed, "limits": {}})
    if kind == "init" or payload.get("action") == "init":
        begin(message if kind == "init" else payload)
        return frame({"type": "ready"}) if kind == "init" else b""
    if kind == "config":
        TOLD.append(message["config"])
    elif kind == "ping":
        return frame({"type": "pong", "n": message["n"]})
    elif kind == "http":
        return request(message)
    elif kind in ("result", "error"):
        return answer_to(WAITING[message["id"]], message)
    elif kind == "shutdown" or payload.get("action") == "shutdown":
        os._exit(0)
    return b""


def serve(connection: socket.socket) -> None:
    """Serve one connection to its end."""
    with connection:
        while head := connection.recv(4, socket.MSG_WAITALL):
            (length,) = struct.unpack("!I", head)
            data = connection.recv(length, socket.MSG_WAITALL)
            if reply := react(json.loads(data)):
                connection.sendall(reply)


def main() -> None:
    """Serve all connections."""
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.environ["TORU_PLUGIN_SOCKET"])
    listener.listen()
    while True:
        threading.Thread(target=serve, args=listener.accept()[:1], daemon=True).start()


if __name__ == "__main__":
    if sys.argv[1:] == ["--metadata"]:
        about = {"id": ID, "name": f"Settings {ID}", "version": "1.0.0", "route": f"/{ID}"}
        protocols = [1, 2] if V2 else [1]
        sys.stdout.write(json.dumps({**about, "protocols": protocols, "settings": SETTINGS}))
    else:
        main()
