"""A small HTTP client for load: keep-alive connections that each ask again at once.

Called as ``python -m bench.http_load PORT PATH COOKIE CONNECTIONS SECONDS``; prints the answers
per second. Exit code 1 when an answer was not 200.

Runs on: a process of its own, one thread.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

_END = b"\r\n\r\n"
_LENGTH = b"content-length: "


class _Connection:
    """One connection: its socket, and what has come of the present answer."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.received = b""

    def is_whole(self) -> bool:
        """Take what has come; return whether the answer is whole."""
        data = self.socket.recv(65536)
        if not data:
            raise ConnectionError("The server closed the connection.")
        self.received += data
        head, end, body = self.received.partition(_END)
        if not end:
            return False
        lowered = head.lower()
        at = lowered.index(_LENGTH) + len(_LENGTH)
        length = int(lowered[at:].partition(b"\r\n")[0])
        if not head.startswith(b"HTTP/1.1 200"):
            raise ConnectionError(f"An answer was not 200: {head[:60]!r} {body[:200]!r}")
        if len(body) < length:
            return False
        self.received = b""
        return True


def load(port: int, path: str, cookie: str, connections: int, seconds: float) -> float:
    """Return the answers per second."""
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {cookie}\r\n\r\n".encode()
    selector = selectors.DefaultSelector()
    for _ in range(connections):
        connection = _Connection(port)
        selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.socket.sendall(request)
    count = 0
    began = time.perf_counter()
    while (now := time.perf_counter()) - began < seconds:
        for key, _ in selector.select(0.1):
            connection = key.data
            if connection.is_whole():
                count += 1
                connection.socket.sendall(request)
    return count / (now - began)


if __name__ == "__main__":
    given = sys.argv[1:]
    try:
        print(load(int(given[0]), given[1], given[2], int(given[3]), float(given[4])))
    except ConnectionError as error:
        sys.exit(str(error))
