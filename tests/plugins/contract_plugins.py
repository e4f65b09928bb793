"""Plugins of protocol 1 written from the contract alone: plain sockets, no library.

Each is one file of Python; ``SHAPE`` and the like are put in as text. Runs on: nothing; texts only.
"""

from __future__ import annotations

PLUGIN = r"""#!/usr/bin/env python3
import json, os, socket, struct, sys

SHAPE = "@SHAPE@"
ID = "@ID@"

if sys.argv[1:] == ["--metadata"]:
    print(json.dumps({"id": ID, "name": "Plain", "version": "0.1", "author": "A. Author",
                      "icon": "box", "route": "/" + ID}))
    sys.exit(0)


def read(connection):
    head = b""
    while len(head) < 4:
        part = connection.recv(4 - len(head))
        if not part:
            return None
        head += part
    (length,) = struct.unpack(">I", head)
    data = b""
    while len(data) < length:
        data += connection.recv(length - len(data))
    return json.loads(data.decode("utf-8"))


def send(connection, kind, payload, request_id=None):
    message = {"type": kind, "timestamp": "2026-01-02T03:04:05.678Z", "payload": payload}
    if request_id is not None:
        message["request_id"] = request_id
    data = json.dumps(message).encode("utf-8")
    connection.sendall(struct.pack(">I", len(data)) + data)


def kv(connection, request_id, action, key, value=None):
    inner = {"action": action, "key": key, "value": value}
    payload = {"type": "kv", "request_id": request_id, **inner, "payload": inner}
    send(connection, "kv", payload, request_id)
    return read(connection)["payload"]["value"]


def answer(connection, message):
    request_id = message["request_id"]
    asked = message["payload"]
    assert asked["type"] == "http" and asked["request_id"] == request_id
    http = asked["payload"]
    assert set(http) == {"method", "path", "headers", "body"}, http
    path, _, query = http["path"].partition("?")
    if path.startswith("/count"):
        action = query or "get"
        before = kv(connection, request_id, action, "count")
        kv(connection, request_id, action.replace("get", "set").replace("Get", "Set")
           .replace("GET", "SET"), "count", str(int(before or "0") + 1))
        body = kv(connection, request_id, action, "count")
        kv(connection, request_id, "Delete", "nothing")
    else:
        body = json.dumps({**http, "init": INIT})
    reply = {"status": 201, "headers": {"Content-Type": "application/json", "X-Own": "yes"},
             "body": body}
    if SHAPE == "flat":
        send(connection, "http", reply, request_id)
    else:
        inner = {"method": http["method"], "path": http["path"], "headers": {},
                 "body": json.dumps(reply)}
        send(connection, "http",
             {"type": "http", "request_id": request_id, "payload": inner}, request_id)


INIT = None
server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
server.bind(os.environ["TORU_PLUGIN_SOCKET"])
server.listen(5)
while True:
    connection, _ = server.accept()
    message = read(connection)
    if message is not None and message["type"] == "lifecycle":
        payload = message["payload"]
        assert payload["type"] == "lifecycle"
        if payload["action"] == "init":
            INIT = payload
        elif payload["action"] == "shutdown":
            print("bye", flush=True)
            break
    elif message is not None:
        answer(connection, message)
    connection.close()
server.close()
"""


def plain(plugin_id: str, shape: str) -> str:
    """Return a plugin that answers in the shape ``flat`` or ``nested``."""
    return PLUGIN.replace("@SHAPE@", shape).replace("@ID@", plugin_id)
