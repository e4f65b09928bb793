"""The checker as the hub of a plugin that speaks version 1: one connection a request.

Runs on: the checker's thread; one more answers what the plugin asks on the connection of ``init``.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Any

from toru.clock import monotonic, utc_now
from toru.domain.plugin_headers import request_headers
from toru.plugin_check.listening import Started
from toru.plugin_check.model import Broken, Setting
from toru.plugin_check.stopping import Stop, watch_stop
from toru.plugin_check.store import Store
from toru.plugin_check.transcript import Transcript
from toru.wire import plugin_v1 as wire
from toru.wire.frames import DataFrame, Frame, FrameError
from toru.wire.plugin_http import HttpAnswer, ProtocolFault

NOWHERE = "/toru-check/nothing-here"
"""A path that hardly any plugin has, for requests that must not do anything."""
SILENCE_S = 1.0
QUIET_S = 0.2
_READ_BYTES = 64 * 1024
_numbers = itertools.count(1)


@dataclass
class Exchange:
    """A request and what came of it.

    Attributes:
        request_id: what the answer is to carry.
        frame: the answer, raw; None without one.
        asked: the ``kv`` messages that came before it.
        others: messages of other types.
        extra: what came after the answer.
        fault: why there is no answer, a sentence.
    """

    request_id: str
    frame: dict[str, Any] | None = None
    asked: list[dict[str, Any]] = field(default_factory=list)
    others: list[str] = field(default_factory=list)
    extra: list[Frame] = field(default_factory=list)
    fault: str = ""

    def message(self) -> dict[str, Any]:
        """Return the answer, raw.

        Raises:
            Broken: there is none.
        """
        if self.frame is None:
            raise Broken(self.fault)
        return self.frame

    def fields(self) -> dict[str, Any]:
        """Return the answer's status, headers and body, whichever shape it has.

        Raises:
            Broken: there is no answer, or it has no such fields.
        """
        payload = self.message().get("payload")
        if isinstance(payload, dict) and "status" in payload:
            return payload
        with contextlib.suppress(KeyError, TypeError, ValueError):
            inner = json.loads(payload["payload"]["body"])  # type: ignore[index] # or TypeError
            if isinstance(inner, dict) and "status" in inner:
                return inner
        raise Broken("The answer's payload has no status.")

    def answer(self) -> HttpAnswer:
        """Return the answer as the hub reads it.

        Raises:
            Broken: there is none, or the hub would answer 502 in its place.
        """
        try:
            parsed = wire.parse_message(self.message(), self.request_id)
        except ProtocolFault as fault:
            raise Broken(fault.sentence) from None
        assert isinstance(parsed, HttpAnswer)
        return parsed


class StageV1:
    """A plugin that was started for version 1 and told ``init``."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.timeout_s = setting.timeout_s
        self.log = Transcript()
        self.store = Store()
        self.kv_error = ""
        self.problem: Broken | None = None
        self.owner_problem: Broken | None = None
        self.said_on_init: list[str] = []
        self._stop: Stop | None = None
        self._first: Exchange | None = None
        self._first_span = (0, 0)
        self._attendant: threading.Thread | None = None
        self.started = Started(setting)
        self.run = self.started.run
        try:
            self._begin()
        except Broken as broken:
            self.problem = broken
        except BaseException:
            self.run.end()
            raise
        self._start_end = self.log.position

    def _begin(self) -> None:
        connection = self.started.connect()
        try:
            self.started.check_owner(connection)
        except Broken as broken:
            self.owner_problem = broken
        frame = wire.lifecycle_init(
            instance_id=self.started.instance_id,
            plugin_socket=str(self.started.socket_path),
            log_path=str(self.started.log_path),
            config=dict(self.setting.config),
            timestamp=utc_now(),
        )
        self.send(connection, frame)
        self._attendant = threading.Thread(target=self._attend, args=[connection], daemon=True)
        self._attendant.start()

    # For the checker

    def usable(self) -> bool:
        """Return whether the next case can be tried on it too."""
        return self.problem is not None or self._stop is not None or self.run.exit_code is None

    def mark(self) -> None:
        """Begin a new case."""
        self.log.mark()

    def sent(self) -> str:
        """Return what was sent since `mark`."""
        return self.log.sent()

    def got(self) -> str:
        """Return what came since `mark`."""
        return self.log.got()

    def close(self) -> None:
        """End the process and all that it has started."""
        self.run.end()
        if self._attendant is not None:
            self._attendant.join()

    # Requests

    def require(self) -> None:
        """Raise `Broken` when the plugin does not run."""
        if self.problem is not None:
            raise self.problem

    @property
    def first(self) -> Exchange:
        """The first GET of the plugin's path; made when it is needed."""
        if self._first is None:
            begin = self.log.position
            self._first = self.exchange("GET", self.setting.get_path)
            self._first_span = (begin, self.log.position)
        else:
            self.log.recall(*self._first_span)
        return self._first

    def recall_start(self) -> None:
        """Have the report of this case tell what was said at the start."""
        self.log.recall(0, self._start_end)

    def request(self, method: str, target: str, body: bytes = b"") -> tuple[str, bytes]:
        """Return the id and the frame of a request."""
        request_id = f"check-{next(_numbers)}"
        headers = request_headers(
            [("Accept", "*/*"), ("User-Agent", "toru-plugin-check")],
            user="check",
            role="admin",
            client_address="127.0.0.1",
            scheme="http",
            host="127.0.0.1:3000",
        )
        frame = wire.http_request(
            request_id=request_id,
            method=method,
            path=target,
            headers=headers,
            body=body,
            timestamp=utc_now(),
        )
        return request_id, frame

    def connect(self) -> socket.socket:
        """Return a new connection; raises `Broken` without one."""
        self.require()
        return self.started.reconnect()

    def exchange(self, method: str, target: str, body: bytes = b"", *, pieces: int = 1) -> Exchange:
        """Send a request on a connection of its own, in so many pieces, and take the answer."""
        request_id, frame = self.request(method, target, body)
        with self.connect() as connection:
            self.send(connection, frame, pieces=pieces)
            return self.finish(connection, request_id)

    def send(self, connection: socket.socket, frame: bytes, *, pieces: int = 1) -> None:
        """Send a frame, in so many pieces with a pause between them.

        Raises:
            Broken: the plugin does not take it.
        """
        self.log.note_sent(wire.decoder().feed(frame)[0])
        step = -(-len(frame) // pieces)
        try:
            for start in range(0, len(frame), step):
                if start:
                    time.sleep(0.005)  # long enough for a read of its own; also if not, it is fair
                connection.sendall(frame[start : start + step])
        except OSError as error:
            ended = f" {self.run.how_it_ended()}" if self.run.wait(0.3) else ""
            raise Broken(
                f"It does not take the message: {error.strerror or error}.{ended}"
            ) from None

    def finish(self, connection: socket.socket, request_id: str) -> Exchange:
        """Take the answer to a request, serving keys meanwhile, and what follows it."""
        exchange = Exchange(request_id)
        decoder = wire.decoder()
        deadline = monotonic() + self.timeout_s
        try:
            while exchange.frame is None:
                connection.settimeout(max(0.01, deadline - monotonic()))
                data = connection.recv(_READ_BYTES)
                if not data:
                    exchange.fault = self._closed(decoder.pending_bytes)
                    return exchange
                for frame in decoder.feed(data):
                    self._take(connection, exchange, frame)
            self._wait_for_more(connection, exchange, decoder.feed)
        except TimeoutError:
            exchange.fault = self._silent(decoder.pending_bytes, exchange.others)
        except FrameError as error:
            exchange.fault = f"What it sent is not understood: {error}"
        except OSError:
            exchange.fault = self._closed(decoder.pending_bytes)
        return exchange

    def _take(self, connection: socket.socket, exchange: Exchange, frame: Frame) -> None:
        self.log.note_got(frame)
        if isinstance(frame, DataFrame):
            raise FrameError("a data frame, which version 1 does not have.")
        if exchange.frame is not None:
            exchange.extra.append(frame)
        elif frame.get("type") == "kv":
            exchange.asked.append(frame)
            self._answer_kv(connection, frame, exchange.request_id)
        elif frame.get("type") == "http":
            exchange.frame = frame
        else:
            exchange.others.append(str(frame.get("type"))[:40])

    def _wait_for_more(self, connection: socket.socket, exchange: Exchange, feed: Any) -> None:
        """Say that nothing follows, and take what the plugin says nevertheless."""
        with contextlib.suppress(TimeoutError, FrameError, OSError):
            connection.shutdown(socket.SHUT_WR)
            connection.settimeout(QUIET_S)
            while data := connection.recv(_READ_BYTES):
                for frame in feed(data):
                    self._take(connection, exchange, frame)

    def _answer_kv(
        self, connection: socket.socket, frame: dict[str, object], request_id: str
    ) -> None:
        try:
            asked = wire.parse_message(frame, request_id)
        except ProtocolFault as fault:
            asked = wire.BadKv(None, fault.sentence)
        if isinstance(asked, wire.KvRequest):
            value = None if self.kv_error else self.store.kv(asked.action, asked.key, asked.value)
            error = self.kv_error or None
            kv_id: str | None = asked.request_id
        else:
            value, kv_id = None, getattr(asked, "request_id", None)
            error = getattr(asked, "sentence", "That is no kv request.")
        answer = wire.kv_answer(request_id=kv_id, value=value, timestamp=utc_now(), error=error)
        self.send(connection, answer)

    def _attend(self, connection: socket.socket) -> None:
        """Answer what the plugin asks for its keys after ``init``, as long as the hub does."""
        decoder = wire.decoder()
        with connection, contextlib.suppress(OSError, FrameError, Broken):
            for silence_s in (SILENCE_S, 2 * SILENCE_S):
                connection.settimeout(silence_s)
                with contextlib.suppress(TimeoutError):
                    while data := connection.recv(_READ_BYTES):
                        for frame in decoder.feed(data):
                            self._take_on_init(connection, frame)
                    return
                connection.shutdown(socket.SHUT_WR)

    def _take_on_init(self, connection: socket.socket, frame: Frame) -> None:
        if isinstance(frame, dict) and frame.get("type") == "kv":
            self._answer_kv(connection, frame, "")
        else:
            self.said_on_init.append("data" if isinstance(frame, DataFrame) else str(frame)[:120])

    def _silent(self, pending_bytes: int, others: list[str]) -> str:
        part = f", only {pending_bytes} bytes of a frame that is not whole" if pending_bytes else ""
        if others:
            part += f", but messages of type {', '.join(others[:3])}"
        if self.run.exit_code is not None:
            return self.run.how_it_ended()
        return f"No answer within {self.timeout_s:g} s{part}."

    def _closed(self, pending_bytes: int) -> str:
        part = f" after {pending_bytes} bytes of a frame that is not whole" if pending_bytes else ""
        closed = f"It closed the connection without an answer{part}."
        return f"{closed} {self.run.how_it_ended()}" if self.run.wait(0.3) else closed

    # The end

    def stop(self) -> Stop:
        """Say ``shutdown``, once, and return what came of it."""
        self.require()
        if self._stop is None:
            with self.connect() as connection:
                self.send(connection, wire.lifecycle_shutdown(timestamp=utc_now()))
                self._stop = watch_stop(self.run, self.timeout_s)
        return self._stop
