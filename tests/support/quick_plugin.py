#!/usr/bin/env python3
"""A plugin that answers as fast as it can; the name of its copy says which protocol it speaks.

    quick-v1.binary, quick-v2.binary

The id is the name without the suffix, the route is ``/<id>``. Every request is answered with 200
and a small JSON object.

Runs on: one thread; standard library only.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import Any

ID = Path(sys.argv[0]).name.removesuffix(".binary")
V2 = ID.endswith("v2")
BODY = '{"hello":"world"}'
PAIRS = [["Content-Type", "application/json"]]


def frame(message: dict[str, Any]) -> bytes:
    """Return a JSON frame."""
    payload = json.dumps(message, separators=(",", ":")).encode()
    return struct.pack("!I", len(payload)) + payload


def answer(message: dict[str, Any]) -> bytes:
    """Return what is to be sent for a message; nothing where nothing is."""
    kind = message["type"]
    if kind == "http" and "id" in message:
        head = {"type": "http_head", "id": message["id"], "status": 200, "headers": PAIRS}
        return frame({**head, "body": "inline", "text": BODY})
    if kind == "http":
        payload = {"status": 200, "headers": dict(PAIRS), "body": BODY}
        head = {"type": "http", "timestamp": message["timestamp"]}
        return frame({**head, "request_id": message["request_id"], "payload": payload})
    if kind == "hello":
        agreed = {"protocol": 2, "instance": message["instance"], "features": ["http"]}
        return frame({"type": "hello_ok", **agreed, "limits": {}, "sdk": "quick"})
    if kind == "init":
        return frame({"type": "ready"})
    if kind == "ping":
        return frame({"type": "pong", "n": message["n"]})
    if kind == "shutdown" or message.get("payload", {}).get("action") == "shutdown":
        sys.exit(0)
    return b""


def receive(connection: socket.socket, buffer: bytearray) -> bool:
    """Answer what has come; return whether the connection goes on."""
    data = connection.recv(256 * 1024)
    buffer += data
    answers = bytearray()
    start = 0
    while len(buffer) - start >= 4:
        (length,) = struct.unpack_from("!I", buffer, start)
        if len(buffer) - start < 4 + length:
            break
        answers += answer(json.loads(buffer[start + 4 : start + 4 + length]))
        start += 4 + length
    del buffer[:start]
    if answers:
        connection.sendall(answers)
    return bool(data)


def serve() -> None:
    """Serve all connections."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(os.environ["TORU_PLUGIN_SOCKET"])
    listener.listen(256)
    selector = selectors.DefaultSelector()
    selector.register(listener, selectors.EVENT_READ, None)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                connection, _address = listener.accept()
                selector.register(connection, selectors.EVENT_READ, bytearray())
                continue
            connection = key.fileobj  # type: ignore[assignment]
            try:
                goes_on = receive(connection, key.data)
            except OSError:
                goes_on = False
            if not goes_on:
                selector.unregister(connection)
                connection.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["--metadata"]:
        about = {"id": ID, "name": f"Quick {ID}", "version": "1.0.0", "route": f"/{ID}"}
        sys.stdout.write(json.dumps({**about, "protocols": [1, 2] if V2 else [1]}))
    else:
        serve()
