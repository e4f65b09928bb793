#!/usr/bin/env python3
"""A plugin that is what the JSON file beside it says: its metadata, and the lines that it prints.

    name.binary, name.json: {"metadata": {…}, "lines": ["…"], "status": 200}

It answers every request with that status and ``{"path": …}``.

Runs on: one thread; standard library only.
"""

from __future__ import annotations

import io
import json
import os
import socket
import struct
import sys
from pathlib import Path
from typing import Any


def receive(stream: io.BufferedRWPair) -> Any:
    """Return the next message; None when there is none any more."""
    head = stream.read(4)
    return json.loads(stream.read(struct.unpack("!I", head)[0])) if len(head) == 4 else None


def answer(stream: io.BufferedRWPair, message: dict[str, Any], status: int) -> None:
    """Answer a request; leave when told to."""
    payload = message["payload"]
    if payload.get("action") == "shutdown":
        sys.exit(0)
    if message["type"] != "http":
        return
    body = json.dumps({"path": payload["payload"]["path"]})
    told = {"status": status, "headers": {"Content-Type": "application/json"}, "body": body}
    frame = json.dumps({**message, "payload": told}).encode()
    stream.write(struct.pack("!I", len(frame)) + frame)
    stream.flush()


def main() -> None:
    """Say what it is, or serve."""
    told = json.loads(Path(sys.argv[0]).with_suffix(".json").read_text())
    if sys.argv[1:] == ["--metadata"]:
        sys.stdout.write(json.dumps(told["metadata"]))
        return
    sys.stdout.writelines(f"{line}\n" for line in told.get("lines", []))
    sys.stdout.flush()
    path = Path(os.environ["TORU_PLUGIN_SOCKET"])
    os.chdir(path.parent)
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path.name)
        listener.listen()
        while True:
            connection, _ = listener.accept()
            with connection, connection.makefile("rwb") as stream:
                while (message := receive(stream)) is not None:
                    answer(stream, message, told.get("status", 200))


if __name__ == "__main__":
    main()
