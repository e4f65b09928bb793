#!/usr/bin/env python3
"""One plugin with named misbehaviours; a copy's file name says which: ``bad-<mode>.binary``.

    bad-<mode>[-<number>][-v2][+<tag>].binary      bad-late-socket-3.binary, bad-status-99-v2.binary

``-v2`` announces protocol 2 as well. ``+<tag>`` is for further copies of one mode. The id is the
name without the suffix (``+`` becomes ``-``), the route is ``/<id>``. TORU_BAD_MODE, when it is
set, stands for the name. Without another word a mode behaves well in all else, and a request for
``/ok`` is always answered as by ``echo``. Copy it with `install`, or as any file with mode 0755.

Metadata (it behaves well when it is started)
    meta-garbage            prints no JSON
    meta-nothing            prints nothing
    meta-array              prints JSON that is no object
    meta-noise              prints a line before the object
    meta-noise-after        prints a line after it
    meta-utf8               prints bytes that are no UTF-8
    meta-exit[-3]           complains on stderr and exits with the number
    meta-killed             dies by SIGKILL
    meta-hang               never exits
    meta-huge               prints 1 GB
    meta-flood-stderr       prints 100 MB on stderr, then behaves
    meta-child              exits at once; a child keeps stdout and stderr open for a minute
    meta-bad-id             has a blank and a slash in its id
    meta-bad-route          has .. in its route
    meta-same-id            has the id "collision", as every other copy
    meta-same-route         has the route "/collision", as every other copy
Start
    exit-at-once[-1]        complains on stderr and exits with the number (78: needs configuration)
    flaky[-1]               does so at its first starts, as many as the number says
    fork-and-exit           leaves the serving to a child and exits with 0
    late-socket[-2]         listens after so many seconds
    never-socket            never listens
    stale-socket            leaves a socket file on which nobody listens
    exit-on-init[-1]        exits when it is told to begin
    hello-silent            (v2) never answers hello
    hello-instance          (v2) answers hello with another instance
    hello-version           (v2) answers hello with protocol 3
    never-ready             (v2) never says ready
    slow-ready[-2]          (v2) says ready after so many seconds, and status before
    crash-after[-1]         kills itself so many seconds after it listens
Wire, as the answer to a request
    length-0                a length of 0
    length-max              a length of 0xFFFFFFFF
    half-header             two bytes of the length, then silence
    half-header-close       the same, then it closes the connection
    half-frame              half of the answer, then silence
    half-frame-close        the same, then it closes the connection
    drip[-1]                so many bytes a second
    bad-json                a frame that is no JSON
    not-object              a frame whose JSON is no object
    wrong-id                the answer to another request
    repeated                the answer twice
    late[-35]               the answer after so many seconds
    silent                  nothing
    close                   it closes the connection
    crlf-header             a header with CR, LF and another header
    status[-99]             the status that the number says
    no-status               an answer without a status
    half-character          a body with a lone surrogate
    data-frame              raw bytes that belong to nothing
    unknown-type            a message of an unknown type, then the answer
    huge                    an answer of 20 MiB in one frame
    flow                    (v2) a streamed body beyond the credit that it has agreed to
    flow-connection         (v2) one beyond what it has agreed to for all bodies together
    data-before-head        (v2) data of a request that has no head yet
    data-after-end          (v2) a streamed body, and more data after its end
    second-head             (v2) a head for a body that is being streamed already
    call-flood              (v2) 1,000 calls at once, then the answer
    call-odd                (v2) a call with an odd id
    call-twice              (v2) two calls with one id
    error                   (v2) an error message
Run
    echo                    answers with what it saw of the request, as JSON
    echo-nested             the same in version 1's nested shape
    headers                 answers with cookies, hop-by-hop and X-Toru-* headers
    kv, kv-title, kv-upper  GET /get/<key>, /set/<key>/<value>, /delete/<key>: the core's answer;
                            the action is written get, Get or GET
    kv-flat, kv-nested      version 1's kv without the inner payload, or with nothing but that
    ignore-sigterm          ignores SIGTERM and shutdown
    ignore-shutdown         ignores shutdown only
    slow[-1]                answers after so many seconds, any number of requests at once, also of
                            those that are cancelled
    patient[-1]             (v2) the same, but gives up what is cancelled
    sequential[-0.1]        serves one connection at a time, so many seconds each
    crash                   kills itself when a request comes
    crash-half              sends half of the answer, then kills itself
    exit-on-request[-0]     exits with the number when a request comes
    stop-itself             stops itself (SIGSTOP) when a request comes
    flood-stderr            pours text without a newline to stderr
    flood-lines             pours lines to stdout
    log-lines               prints plain lines, JSON lines and broken UTF-8, once, when it starts
    grandchild              leaves a daemon of its own session that keeps the pipes for a minute
    heir                    leaves one that keeps its connections too, then kills itself, when a
                            request comes
    deletes-socket          removes its socket file when a request comes, and answers
    closes-socket           stops listening when a request comes, and answers
    ping-deaf               (v2) answers no ping
    health-bad              (v2) says that it is not well

Runs on: threads; standard library only.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

FOR_EVER_S = 3600.0
HELD_S = 60.0
CREDIT_BYTES = 16 * 1024
END = 1
DEAF_TO_SHUTDOWN = ("ignore-sigterm", "ignore-shutdown")


def install(folder: Path, mode: str) -> Path:
    """Put a copy into a folder, for this Python, and return it.

    Args:
        folder: such as the plugins folder of a hub.
        mode: what the name has after ``bad-``, such as ``status-99-v2``.
    """
    program = Path(__file__).read_text().split("\n", 1)[1]
    path = folder / f"bad-{mode}.binary"
    fresh = folder / f".{path.name}"
    fresh.write_text(f"#!{sys.executable}\n{program}")
    fresh.chmod(0o755)
    return fresh.replace(path)


class Name:
    """What the file's name says."""

    def __init__(self, stem: str) -> None:
        self.id = re.sub(r"[^A-Za-z0-9-]", "-", stem)
        plain = stem.removeprefix("bad-").partition("+")[0]
        self.v2 = plain.endswith("-v2")
        plain = plain.removesuffix("-v2")
        found = None if plain in ("length-0",) else re.fullmatch(r"(.+?)-(\d+(?:\.\d+)?)", plain)
        self.mode = found[1] if found else plain
        self._number = float(found[2]) if found else None

    def number(self, default: float) -> float:
        """Return the number in the name."""
        return default if self._number is None else self._number


NAME = Name(os.environ.get("TORU_BAD_MODE") or Path(sys.argv[0]).name.removesuffix(".binary"))
MODE = NAME.mode
SOCKET = os.environ.get("TORU_PLUGIN_SOCKET", "")


def metadata() -> dict[str, Any]:
    """Return what it says of itself."""
    found: dict[str, Any] = {
        "id": NAME.id,
        "name": f"Misbehaving: {MODE}",
        "version": "1.0.0",
        "route": f"/{NAME.id}",
    }
    if NAME.v2:
        found |= {"protocols": [1, 2], "health": MODE == "health-bad"}
    changed = {
        "meta-bad-id": {"id": "bad id/"},
        "meta-bad-route": {"route": "/a/../api"},
        "meta-same-id": {"id": "collision"},
        "meta-same-route": {"route": "/collision"},
    }
    return found | changed.get(MODE, {})


def die() -> NoReturn:
    """End by SIGKILL."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(FOR_EVER_S)
    raise AssertionError


def leave(code: float) -> NoReturn:
    """End with an exit code, from any thread, after a complaint."""
    os.write(2, f"{MODE}: the licence file is missing\nexiting with {int(code)}\n".encode())
    os._exit(int(code))


def hold_pipes() -> None:
    """Leave a process of its own session that keeps stdout and stderr open."""
    if os.fork():
        return
    os.setsid()
    if os.fork():
        os._exit(0)
    time.sleep(HELD_S)
    os._exit(0)


def print_metadata() -> NoReturn:
    """Answer ``--metadata`` and exit."""
    text = json.dumps(metadata())
    if MODE == "meta-hang":
        time.sleep(FOR_EVER_S)
    elif MODE == "meta-killed":
        die()
    elif MODE == "meta-exit":
        leave(NAME.number(3))
    elif MODE == "meta-huge":
        for _ in range(1024):
            os.write(1, b"x" * 1024 * 1024)
    elif MODE == "meta-flood-stderr":
        for _ in range(100):
            os.write(2, b"complaint " * 100 * 1024)
    elif MODE == "meta-child":
        hold_pipes()
    changed = {
        "meta-garbage": b"Segmentation fault, or so\n",
        "meta-nothing": b"",
        "meta-array": b"[1, 2]\n",
        "meta-noise": b"Loading the plugin...\n" + text.encode(),
        "meta-noise-after": text.encode() + b"\nBye.\n",
        "meta-utf8": text.encode().replace(b"Misbehaving", b"Mis\xff\xfebehaving"),
    }
    os.write(1, changed.get(MODE, text.encode() + b"\n"))
    os._exit(0)


# The wire


def frame(message: Any) -> bytes:
    """Return a JSON frame."""
    payload = json.dumps(message).encode()
    return struct.pack("!I", len(payload)) + payload


def data_frame(stream: int, data: bytes, flags: int = 0) -> bytes:
    """Return a frame of raw bytes."""
    return struct.pack("!IBBHI", 8 + len(data), 1, flags, 0, stream) + data


def now() -> str:
    """Return the time as the protocol has it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime())


class Peer:
    """One connection from the core."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.answers: dict[Any, Any] = {}
        self.arrived = threading.Condition()
        self._reader = connection.makefile("rb")
        self._writing = threading.Lock()
        self._last_call = 0

    def receive(self) -> Any:
        """Return the next message; None at the end; raw bytes for a data frame."""
        head = self._reader.read(4)
        if len(head) < 4:
            return None
        payload = self._reader.read(struct.unpack("!I", head)[0])
        return payload if payload[:1] == b"\x01" else json.loads(payload)

    def write(self, data: bytes) -> None:
        """Send bytes."""
        with self._writing:
            self.connection.sendall(data)

    def close(self) -> None:
        """Close the connection, also for threads that read from it."""
        self.connection.shutdown(socket.SHUT_RDWR)

    def call_id(self) -> int:
        """Return a new even id."""
        with self._writing:
            self._last_call += 2
            return self._last_call

    def answer(self, key: Any, message: Any) -> None:
        """Keep an answer for whoever waits for it."""
        with self.arrived:
            self.answers[key] = message
            self.arrived.notify_all()

    def wait_for(self, key: Any) -> Any:
        """Return the answer to a call or a kv request."""
        with self.arrived:
            self.arrived.wait_for(lambda: key in self.answers)
            return self.answers.pop(key)


class Request:
    """A request of either version, and the frames that answer it."""

    def __init__(self, peer: Peer, message: dict[str, Any]) -> None:
        self.peer = peer
        self.v2 = "payload" not in message
        fields = message if self.v2 else message["payload"]["payload"]
        self.id = message["id"] if self.v2 else message["request_id"]
        self.method, self.path = fields["method"], fields["path"]
        self.seen = {
            "method": self.method,
            "path": self.path,
            "query": fields.get("query"),
            "headers": fields["headers"],
            "body": fields.get("text") if self.v2 else fields["body"],
            "user": fields.get("user"),
            "role": fields.get("role"),
            "plugin": NAME.id,
            "pid": os.getpid(),
        }

    def echo(self) -> bytes:
        """Return the frame of the answer that tells what was seen."""
        return self.reply(body=json.dumps(self.seen))

    def reply(
        self,
        status: Any = 200,
        headers: list[tuple[str, str]] | None = None,
        body: str = "{}",
        *,
        to: Any = None,
    ) -> bytes:
        """Return the frame of an answer."""
        pairs = headers or [("Content-Type", "application/json")]
        if self.v2:
            head = {"type": "http_head", "id": to or self.id, "status": status, "headers": pairs}
            return frame({**head, "body": "inline", "text": body})
        answer = {"status": status, "headers": dict(pairs), "body": body}
        return self.message_v1("http", answer, to)

    def nested(self) -> bytes:
        """Return the echo in version 1's other shape."""
        answer = {"status": 200, "headers": {"Content-Type": "application/json"}}
        body = json.dumps({**answer, "body": json.dumps(self.seen)})
        inner = {"method": self.method, "path": self.path, "headers": {}, "body": body}
        payload = {"type": "http", "request_id": self.id, "payload": inner}
        return self.message_v1("http", payload)

    def message_v1(self, kind: str, payload: dict[str, Any], to: Any = None) -> bytes:
        """Return a message of version 1."""
        head = {"type": kind, "timestamp": now(), "request_id": to or self.id}
        return frame({**head, "payload": payload})


def kv(request: Request) -> bytes:
    """Do what the path says and return the frame that tells the core's answer."""
    action, key, *rest = request.path.strip("/").partition("?")[0].split("/")
    fields = {"key": key, **({"value": rest[0]} if rest else {})}
    if request.v2:
        number = request.peer.call_id()
        call = {"type": "call", "id": number, "method": f"kv.{action}", "params": fields}
        request.peer.write(frame({**call, "deadline_ms": 5000}))
        answer = request.peer.wait_for(number)
    else:
        request.peer.write(request.message_v1("kv", kv_payload(request.id, action, fields)))
        answer = request.peer.wait_for("kv")["payload"]
    return request.reply(body=json.dumps(answer))


def kv_payload(request_id: str, action: str, fields: dict[str, Any]) -> dict[str, Any]:
    """Return version 1's kv payload in the way of the mode."""
    written = {"kv-title": action.title(), "kv-upper": action.upper()}.get(MODE, action)
    inner = {"action": written, **fields}
    if MODE == "kv-nested":
        return {"type": "kv", "request_id": request_id, "payload": inner}
    payload = {"type": "kv", "request_id": request_id, **inner}
    return payload if MODE == "kv-flat" else {**payload, "payload": inner}


# Answers


def drip(request: Request) -> None:
    for byte in request.echo():
        request.peer.write(bytes([byte]))
        time.sleep(1 / NAME.number(1))


def half(request: Request) -> None:
    answer = request.echo()
    request.peer.write(answer[: len(answer) // 2])


def header_and_close(request: Request) -> None:
    request.peer.write(bytes(2))
    request.peer.close()


def half_and_close(request: Request) -> None:
    half(request)
    request.peer.close()


def half_and_die(request: Request) -> None:
    half(request)
    die()


def headers(request: Request) -> None:
    pairs = [
        ("Set-Cookie", "session_id=stolen"),
        ("Connection", "keep-alive, X-Hop"),
        ("X-Hop", "1"),
        ("Keep-Alive", "timeout=5"),
        ("Transfer-Encoding", "chunked"),
        ("Content-Length", "99999"),
        ("X-Toru-User", "admin"),
        ("Content-Type", "application/json"),
        ("X-Kept", "yes"),
    ]
    request.peer.write(request.reply(headers=pairs, body='{"kept": true}'))


def delayed(default_s: float) -> Callable[[Request], None]:
    def answer(request: Request) -> None:
        time.sleep(NAME.number(default_s))
        request.peer.write(request.echo())

    return answer


def patiently(request: Request) -> None:
    cancelled = ("cancel", request.id)
    with request.peer.arrived:
        gave_up = request.peer.arrived.wait_for(
            lambda: cancelled in request.peer.answers, NAME.number(1)
        )
    fields = {"code": "CANCELLED", "message": "as asked", "retryable": False}
    gone = frame({"type": "error", "id": request.id, **fields})
    request.peer.write(gone if gave_up else request.echo())


def sending(*makers: Callable[[Request], bytes]) -> Callable[[Request], None]:
    def answer(request: Request) -> None:
        for make in makers:
            request.peer.write(make(request))

    return answer


def fixed(data: bytes) -> Callable[[Request], bytes]:
    return lambda _: data


def stop_itself(request: Request) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)
    request.peer.write(request.echo())


def bequeath(_: Request) -> None:
    hold_pipes()
    die()


def unlink_and_answer(request: Request) -> None:
    Path(SOCKET).unlink(missing_ok=True)
    request.peer.write(request.echo())


def stop_listening_and_answer(request: Request) -> None:
    LISTENER.shutdown(socket.SHUT_RDWR)
    request.peer.write(request.echo())


def stream_head(request: Request) -> bytes:
    head = {"type": "http_head", "id": request.id, "status": 200, "headers": []}
    return frame({**head, "body": "stream"})


def piece(flags: int = 0, size: int = 16) -> Callable[[Request], bytes]:
    return lambda request: data_frame(request.id, b"x" * size, flags)


def call(number: int) -> bytes:
    fields = {"method": "kv.get", "params": {"key": "a"}, "deadline_ms": 5000}
    return frame({"type": "call", "id": number, **fields})


def call_flood(request: Request) -> None:
    request.peer.write(b"".join(call(number) for number in range(10_000, 12_000, 2)))
    request.peer.write(request.echo())


def error(request: Request) -> bytes:
    fields = {"code": "INTERNAL", "message": "no idea", "retryable": False}
    return frame({"type": "error", "id": request.id, **fields})


def crlf(request: Request) -> bytes:
    return request.reply(headers=[("X-Bad", "a\r\nSet-Cookie: session_id=stolen")])


ANSWERS: dict[str, Callable[[Request], None]] = {
    "length-0": sending(fixed(bytes(4))),
    "length-max": sending(fixed(b"\xff" * 4)),
    "half-header": sending(fixed(bytes(2))),
    "half-header-close": header_and_close,
    "half-frame": half,
    "half-frame-close": half_and_close,
    "drip": drip,
    "bad-json": sending(fixed(struct.pack("!I", 9) + b'{"type": }'[:9])),
    "not-object": sending(fixed(struct.pack("!I", 3) + b"[1]")),
    "wrong-id": sending(lambda request: request.reply(to=999_999 if request.v2 else "another")),
    "repeated": sending(Request.echo, Request.echo),
    "late": delayed(35),
    "silent": lambda _: None,
    "close": lambda request: request.peer.close(),
    "crlf-header": sending(crlf),
    "status": sending(lambda request: request.reply(int(NAME.number(99)))),
    "no-status": sending(lambda request: request.reply(None)),
    "half-character": sending(lambda request: request.reply(body="\ud800")),
    "data-frame": sending(fixed(data_frame(4_000_001, b"abc", 1))),
    "unknown-type": sending(fixed(frame({"type": "dance", "payload": {}})), Request.echo),
    "huge": sending(lambda request: request.reply(body="x" * 20 * 1024 * 1024)),
    "flow": sending(stream_head, piece(size=CREDIT_BYTES + 1)),
    "flow-connection": sending(stream_head, piece(size=CREDIT_BYTES + 1)),
    "data-before-head": sending(piece()),
    "data-after-end": sending(stream_head, piece(), piece(END), piece(), piece(END)),
    "second-head": sending(stream_head, piece(), stream_head),
    "call-flood": call_flood,
    "call-odd": sending(fixed(call(7))),
    "call-twice": sending(fixed(call(2)), fixed(call(2))),
    "error": sending(error),
    "echo-nested": sending(Request.nested),
    "headers": headers,
    "slow": delayed(1),
    "patient": patiently,
    "crash": lambda _: die(),
    "crash-half": half_and_die,
    "exit-on-request": lambda _: leave(NAME.number(0)),
    "stop-itself": stop_itself,
    "deletes-socket": unlink_and_answer,
    "closes-socket": stop_listening_and_answer,
    "heir": bequeath,
    **dict.fromkeys(["kv", "kv-title", "kv-upper", "kv-flat", "kv-nested"], sending(kv)),
}


def answer_request(request: Request) -> None:
    """Answer in the way of the mode."""
    try:
        path = request.path.partition("?")[0]
        if path == "/ok":
            request.peer.write(request.echo())
        elif path == "/bundle.js":
            request.peer.write(request.reply(404))
        else:
            ANSWERS.get(MODE, sending(Request.echo))(request)
    except OSError:
        pass  # the core has closed the connection, as it may


# Connections


def serve(connection: socket.socket) -> None:
    """Serve one connection to its end."""
    peer = Peer(connection)
    try:
        while (message := peer.receive()) is not None:
            if isinstance(message, dict):
                handle(peer, message)
    except OSError:
        pass
    finally:
        connection.close()


def handle(peer: Peer, message: dict[str, Any]) -> None:
    """Handle a message of either version."""
    kind, payload = message.get("type"), message.get("payload", {})
    if kind == "http":
        threading.Thread(target=answer_request, args=[Request(peer, message)], daemon=True).start()
    elif kind == "kv":
        peer.answer("kv", message)
    elif kind == "cancel":
        peer.answer(("cancel", message["id"]), message)
    elif kind in ("result", "error"):
        peer.answer(message.get("id"), message)
    elif kind == "hello":
        say_hello(peer, message)
    elif kind == "ping" and MODE != "ping-deaf":
        peer.write(frame({"type": "pong", "n": message["n"]}))
    elif kind == "health":
        ok = MODE != "health-bad"
        answer = {"type": "health", "id": message.get("id", 0), "ok": ok}
        peer.write(frame(answer if ok else {**answer, "text": "the disk is slow"}))
    elif kind == "init" or payload.get("action") == "init":
        begin(peer, v2=kind == "init")
    elif "shutdown" in (kind, payload.get("action")) and MODE not in DEAF_TO_SHUTDOWN:
        os._exit(0)


def say_hello(peer: Peer, message: dict[str, Any]) -> None:
    """Answer ``hello``."""
    if MODE == "hello-silent":
        return
    instance = "another" if MODE == "hello-instance" else message["instance"]
    protocol = 3 if MODE == "hello-version" else 2
    credits_ = {"flow": "stream_credit", "flow-connection": "connection_credit"}
    limits = {credits_[MODE]: CREDIT_BYTES} if MODE in credits_ else {}
    features = [name for name in message["features"] if name not in ("stream", "ws", "bundle")]
    more = {"features": features, "limits": limits, "sdk": "misbehaving"}
    fields = {"protocol": protocol, "instance": instance, **more}
    peer.write(frame({"type": "hello_ok", **fields}))


def begin(peer: Peer, *, v2: bool) -> None:
    """Do what ``init`` asks for."""
    if MODE == "exit-on-init":
        leave(NAME.number(1))
    if not v2 or MODE == "never-ready":
        return
    if MODE == "slow-ready":
        wanted = int(NAME.number(2) * 1000) + 5000
        peer.write(frame({"type": "status", "text": "reading", "extend_ms": wanted}))
        time.sleep(NAME.number(2))
    peer.write(frame({"type": "ready"}))


# The process


def listen() -> socket.socket:
    """Return the listening socket; its path may be of any length."""
    os.chdir(Path(SOCKET).parent)
    Path(SOCKET).unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(Path(SOCKET).name)
    if MODE == "stale-socket":
        listener.close()
        time.sleep(FOR_EVER_S)
    listener.listen(256)
    return listener


def starts() -> int:
    """Count this start, in a file beside the socket, and return which one it is."""
    path = Path(SOCKET).parent / f"{NAME.id}.starts"
    count = int(path.read_text()) + 1 if path.exists() else 1
    path.write_text(str(count))
    return count


def prepare() -> None:
    """Do what the mode does before it listens."""
    if MODE == "exit-at-once" or (MODE == "flaky" and starts() <= NAME.number(1)):
        leave(NAME.number(1) if MODE == "exit-at-once" else 1)
    elif MODE == "late-socket":
        time.sleep(NAME.number(2))
    elif MODE == "never-socket":
        time.sleep(FOR_EVER_S)
    elif MODE == "fork-and-exit":
        if os.fork():
            os._exit(0)
    elif MODE == "grandchild":
        hold_pipes()
    elif MODE == "ignore-sigterm":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    elif MODE == "log-lines":
        os.write(1, b'plain line\n{"level": "error", "message": "as JSON", "code": 7}\n')
        os.write(2, b"broken \xff utf-8\r\n\x1b[31mred\x1b[0m\n[1, 2]\n{broken\nno newline")


def pour(descriptor: int, text: bytes) -> None:
    """Write for ever."""
    while True:
        os.write(descriptor, text)


def kill_later() -> None:
    """Kill the process when the time has come."""
    time.sleep(NAME.number(1))
    die()


LISTENER: socket.socket


def main() -> NoReturn:
    """Be the plugin."""
    global LISTENER  # noqa: PLW0603 - one mode closes it from another thread
    if sys.argv[1:] == ["--metadata"]:
        print_metadata()
    prepare()
    LISTENER = listen()
    background: dict[str, tuple[Callable[..., None], list[Any]]] = {
        "flood-stderr": (pour, [2, b"no newline " * 6000]),
        "flood-lines": (pour, [1, b"a line of output\n" * 4000]),
        "crash-after": (kill_later, []),
    }
    if MODE in background:
        work, arguments = background[MODE]
        threading.Thread(target=work, args=arguments, daemon=True).start()
    accept_for_ever()


def accept_for_ever() -> NoReturn:
    """Serve each connection on a thread of its own, or one after the other."""
    while True:
        try:
            connection, _ = LISTENER.accept()
        except OSError:
            time.sleep(FOR_EVER_S)
            continue
        if MODE == "sequential":
            serve_alone(connection)
        else:
            threading.Thread(target=serve, args=[connection], daemon=True).start()


def serve_alone(connection: socket.socket) -> None:
    """Serve a connection to its end, in the way of a program without threads."""
    peer = Peer(connection)
    with connection:
        try:
            while (message := peer.receive()) is not None:
                if message.get("type") == "http":
                    time.sleep(NAME.number(0.1))
                    peer.write(Request(peer, message).echo())
                else:
                    handle(peer, message)
        except OSError:
            pass


if __name__ == "__main__":
    main()
