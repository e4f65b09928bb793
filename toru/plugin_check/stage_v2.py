"""The checker as the hub of a plugin that speaks version 2: one connection for everything.

What the plugin sends is judged by the hub's own `Session`, so a fault here is a fault there.

Runs on: the checker's thread.
"""

from __future__ import annotations

import signal
import socket
import time
import uuid
from collections.abc import Callable
from functools import cached_property
from typing import Any

from toru.clock import monotonic
from toru.domain.plugin_headers import Header, request_headers
from toru.errors import ToruError
from toru.plugin_check.listening import Started
from toru.plugin_check.model import MANY_S, Broken, NotApplicable, Setting
from toru.plugin_check.stopping import Stop, watch_stop
from toru.plugin_check.store import Refused, Store
from toru.plugin_check.transcript import Transcript, short
from toru.wire import plugin_session_events as told
from toru.wire import plugin_v2 as v2
from toru.wire.frames import DataFrame, Frame, FrameDecoder, FrameError, encode_json
from toru.wire.plugin_http import HttpRequest, ProtocolFault
from toru.wire.plugin_session import HELLO_S, Session

QUIET_S = 0.05
LONGEST_START_S = 600.0
_QUIET_PINGS = 90_000
_READ_BYTES = 256 * 1024


class StageV2:
    """A plugin that was started for version 2, and the one connection to it.

    Attributes:
        session: the hub's side of the connection.
        frames: all that came, raw.
        problems: what went wrong at the start, by the name of the step.
        over: the requests of which nothing more may come.
        slow: the requests whose data is not passed on, so that they get no credit.
        calls: the methods that the plugin has called.
        busy_calls: how many calls were more than it may have open.
    """

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.timeout_s = setting.timeout_s
        self.log = Transcript()
        self.store = Store(setting.config)
        self.refuse_calls = ""
        self.frames: list[Frame] = []
        self.problems: dict[str, Broken] = {}
        self.over: set[int] = set()
        self.slow: set[int] = set()
        self.calls: list[str] = []
        self.busy_calls = 0
        self.features: tuple[str, ...] = ()
        self.pongs: list[int] = []
        self._failures: dict[int, str] = {}
        self._sockets: set[int] = set()
        self._may_write: set[int] = set()
        self._fault = ""
        self._closed = False
        self._health: told.HealthAnswered | None = None
        self._extra_s = 0.0
        self._stop: Stop | None = None
        self._connection: socket.socket | None = None
        self._decoder = FrameDecoder(max_json_bytes=v2.MAX_JSON_BYTES)
        self._echo = FrameDecoder()
        self.instance = str(uuid.uuid4())
        self.started = Started(setting, TORU_PROTOCOLS="1,2", TORU_INSTANCE=self.instance)
        self.run = self.started.run
        self._first: int | None = None
        self._first_span = (0, 0)
        try:
            self._begin()
        except BaseException:
            self.close()
            raise
        self._start_end = self.log.position

    def _begin(self) -> None:
        for step, work in (
            ("listens", self._reach),
            ("hello", self._greet),
            ("ready", self._init),
        ):
            try:
                work()
            except Broken as broken:
                self.problems[step] = broken
                return

    def _reach(self) -> None:
        self._connection = self.started.connect()
        try:
            self.started.check_owner(self._connection)
        except Broken as broken:
            self.problems["owner"] = broken

    def _greet(self) -> None:
        self.session = Session(instance=self.instance, now=monotonic())
        self.flush()
        timeout_s = min(HELLO_S, self.timeout_s)
        if not self.pump(lambda: self.session.phase == "init", timeout_s):
            raise Broken(self.why(timeout_s))

    def _init(self) -> None:
        self.quick_to_be_ready = any(self.messages("ready"))
        self.session.init(
            instance_id=self.started.instance_id,
            config=dict(self.setting.config),
            data_dir=str(self.started.data_dir),
            log_path=str(self.started.log_path),
        )
        self.flush()
        begin = monotonic()
        while not self.pump(lambda: self.session.phase == "ready", MANY_S * self.timeout_s):
            allowed_s = MANY_S * self.timeout_s + min(self._extra_s, LONGEST_START_S)
            if self.is_lost() or monotonic() - begin >= allowed_s:
                raise Broken(self.why(monotonic() - begin))

    # For the checker

    def usable(self) -> bool:
        """Return whether the next case can be tried on it too."""
        failed_to_start = any(step != "owner" for step in self.problems)
        return failed_to_start or self._stop is not None or not self.is_lost()

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
        if self._connection is not None:
            self._connection.close()

    # What goes on

    def require(self, step: str = "ready") -> None:
        """Raise `Broken` when the start did not get as far as ``step``."""
        for name in ("listens", "hello", "ready"):
            if name in self.problems:
                raise self.problems[name]
            if name == step:
                return

    def is_lost(self) -> bool:
        """Return whether the connection is of no use any more."""
        return bool(self._fault) or self._closed

    def why(self, waited_s: float | None = None) -> str:
        """Return why something has not come, as a sentence."""
        if self._fault:
            return self._fault
        if self._closed:
            closed = "It closed the connection."
            return f"{closed} {self.run.how_it_ended()}" if self.run.wait(0.3) else closed
        pending = self._decoder.pending_bytes
        part = f", but {pending} bytes of a frame that is not whole" if pending else ""
        waited = f"{self.timeout_s if waited_s is None else waited_s:.3g} s"
        return f"Nothing came within {waited}{part}."

    def pump(self, done: Callable[[], bool], timeout_s: float | None = None) -> bool:
        """Take what comes until ``done``, and answer it; return whether it is done."""
        deadline = monotonic() + (self.timeout_s if timeout_s is None else timeout_s)
        while not done():
            rest = deadline - monotonic()
            if rest <= 0 or self.is_lost():
                return False
            self._take_some(min(rest, 1.0))
        return True

    def _take_some(self, timeout_s: float) -> None:
        assert self._connection is not None
        self._connection.settimeout(timeout_s)
        data = b""
        try:
            data = self._connection.recv(_READ_BYTES)
            self._closed = not data
        except TimeoutError:
            pass
        except OSError:
            self._closed = True
        if data:
            self._note(data)
        try:
            events = self.session.feed(data, monotonic()) if data else []
            events += self.session.tick(monotonic())
        except ProtocolFault as fault:
            self._fault = fault.sentence
            events = self.session.take_events()
        self._handle(events)
        self.flush()

    def _note(self, data: bytes) -> None:
        try:
            frames = self._decoder.feed(data)
        except FrameError as error:
            frames = error.frames
        for frame in frames:
            self.frames.append(frame)
            if not _is_quiet(frame):
                self.log.note_got(frame)
            self._note_end(frame)

    def _note_end(self, frame: Frame) -> None:
        """Take down whether a request is over with a frame."""
        if isinstance(frame, DataFrame):
            if frame.end and frame.id not in self._sockets:
                self.over.add(frame.id)
            return
        about = frame.get("id")
        if isinstance(about, int) and about % 2 and _ends(frame):
            self.over.add(about)
        if frame.get("type") == "pong":
            self.pongs.append(frame.get("n"))  # type: ignore[arg-type] # compared, whatever it is

    def _handle(self, events: list[told.SessionEvent]) -> None:
        for event in events:
            match event:
                case told.HelloAccepted(features=features):
                    self.features = features
                case told.StartStatus(extend_s=extend_s):
                    self._extra_s += extend_s
                case told.MayWrite(id=about):
                    self._may_write.add(about)
                case told.Failed(id=about, sentence=sentence):
                    self._failures[about] = sentence
                case told.BodyCame(id=about, data=data) | told.SocketCame(id=about, data=data):
                    if about not in self.slow:
                        self.session.take(about, len(data), monotonic())
                case told.Called():
                    self._answer(event)
                case told.HealthAnswered():
                    self._health = event

    def _answer(self, called: told.Called) -> None:
        self.calls.append(called.method)
        try:
            if self.refuse_calls:
                raise Refused("BUSY", self.refuse_calls)
            value = self.store.call(called.method, called.params)
        except Refused as refused:
            busy = refused.code == "BUSY"
            self._handle(
                self.session.refuse_call(called.id, refused.code, refused.sentence, retryable=busy)
            )
        else:
            self._handle(self.session.answer_call(called.id, value))

    # What is sent

    def flush(self, *, pieces: int = 1) -> None:
        """Send what the session has to say, in so many pieces with a pause between them."""
        self.write(self.session.output(), pieces=pieces)

    def write(self, data: bytes, *, pieces: int = 1, note: str = "", quiet: bool = False) -> None:
        """Send bytes; that the plugin does not take them shows as a lost connection."""
        if not data or self._connection is None or self._closed:
            return
        if note:
            self.log.note_sent(note)
        elif not quiet:
            for frame in self._echo.feed(data):
                self.log.note_sent(frame)
                self.busy_calls += isinstance(frame, dict) and (
                    frame.get("code") == "BUSY" and "calls" in str(frame.get("message"))
                )
        step = -(-len(data) // pieces)
        self._connection.settimeout(self.timeout_s)
        try:
            for start in range(0, len(data), step):
                if start:
                    time.sleep(0.005)  # long enough for a read of its own; also if not, it is fair
                self._connection.sendall(data[start : start + step])
        except OSError:
            self._closed = True

    def say(self, **message: object) -> None:
        """Send a message of any kind, whatever the session thinks of it."""
        self.write(encode_json(message))

    def request(
        self,
        method: str,
        path: str,
        query: str = "",
        body: bytes | None = b"",
        headers: tuple[Header, ...] = (),
        *,
        pieces: int = 1,
    ) -> int:
        """Send a request and return its id; ``body`` None: it follows in data frames."""
        self.require()
        made = _request(method, path, query, body, headers)
        try:
            number = self.session.request(made, now=monotonic(), deadline_s=30.0)
        except ToruError as error:
            raise Broken(f"{self.why(0)} ({error.sentence})") from None
        self.flush(pieces=pieces)
        return number

    def open_socket(self, path: str) -> int:
        """Ask for a WebSocket and return its id."""
        self.require()
        made = _request("GET", path, "", b"", ())
        number = self.session.open_socket(made, now=monotonic())
        self._sockets.add(number)
        self.flush()
        return number

    def upload(self, number: int, data: bytes, *, end: bool, text: bool = False) -> bool:
        """Send data frames as the plugin gives credit; return whether all of it went out."""
        ready = self.session.write(number, data, end=end, now=monotonic(), text=text)
        self.flush()
        if ready:
            return True
        self._may_write.discard(number)
        return self.pump(lambda: number in self.over or number in self._may_write)

    # What came of it

    def messages(self, kind: str, number: int | None = None) -> list[dict[str, Any]]:
        """Return the JSON frames of a type, about a request when one is named."""
        return [
            frame
            for frame in self.frames
            if isinstance(frame, dict)
            and frame.get("type") == kind
            and number in (None, frame.get("id"))
        ]

    def json_frames(self) -> list[dict[str, Any]]:
        """Return all JSON frames."""
        return [frame for frame in self.frames if isinstance(frame, dict)]

    def after_end(self, number: int) -> list[Frame]:
        """Return what came of a request after the frame that has ended it."""
        own = [frame for frame in self.frames if _is_about(frame, number)]
        ends = [place for place, frame in enumerate(own) if _ends(frame)]
        return own[ends[0] + 1 :] if ends else []

    def data(self, number: int) -> list[DataFrame]:
        """Return the data frames of a request."""
        return [one for one in self.frames if isinstance(one, DataFrame) and one.id == number]

    def wait_over(self, *numbers: int, timeout_s: float | None = None) -> bool:
        """Wait until requests are over."""
        return self.pump(lambda: self.over.issuperset(numbers), timeout_s)

    def require_ended(self, *numbers: int) -> None:
        """See that requests end that were given up.

        Raises:
            Broken: one goes on.
        """
        allowed_s = min(5.0, self.timeout_s)
        if self.wait_over(*numbers, timeout_s=allowed_s):
            return
        if self.is_lost():
            raise Broken(self.why())
        left = [number for number in numbers if number not in self.over]
        what = f"the request {left[0]}" if len(numbers) == 1 else f"{len(left)} of {len(numbers)}"
        expected = f'error {{"id": {left[0]}, "code": "CANCELLED", …}}, or the answer, within 5 s.'
        raise Broken(f"It has not ended {what} after cancel. {self.why(allowed_s)}", expected)

    def head(self, number: int) -> dict[str, Any]:
        """Wait for the head of an answer and return it, raw.

        Raises:
            Broken: none has come.
        """

        def has_come() -> bool:
            return number in self.over or bool(self.messages("http_head", number))

        self.pump(has_come)
        heads = self.messages("http_head", number)
        if heads:
            return heads[0]
        errors = self.messages("error", number)
        raise Broken(f"It gives the request up: {short(errors[0])}" if errors else self.why())

    def answer(self, number: int) -> dict[str, Any]:
        """Wait for a whole answer that the hub passes on, and return its head.

        Raises:
            Broken: there is none.
        """
        head = self.head(number)
        streamed = head.get("body") == "stream"
        if streamed and _is_lasting(head):
            self.give_up(number)
            return head
        if not self.wait_over(number):
            raise Broken(f"The answer's body does not end. {self.why()}")
        if number in self._failures:
            raise Broken(self._failures[number])
        if self._fault:
            raise Broken(self._fault)
        return head

    def ask(self, method: str, path: str, query: str = "", **more: Any) -> dict[str, Any]:
        """Send a request and return the head of its whole answer; raises `Broken`."""
        return self.answer(self.request(method, path, query, **more))

    def give_up(self, number: int) -> None:
        """Cancel a request."""
        self._handle(self.session.cancel(number, "The browser has left.", monotonic()))
        self.flush()

    def ping(self, number: int) -> None:
        """Send a ping and wait for its answer.

        Raises:
            Broken: there is none.
        """
        self.say(type="ping", n=number)
        if not self.pump(lambda: number in self.pongs):
            raise Broken(f"No pong with n {number}. {self.why()}")

    def still_works(self, why: str = "") -> None:
        """See that the plugin answers on the same connection.

        Raises:
            Broken: it does not.
        """
        try:
            self.ask("GET", self.setting.get_path)
        except Broken as broken:
            before = f"After {why}: " if why else ""
            raise Broken(f"{before}{broken.got}", "The next request is answered.") from None

    def settle(self) -> None:
        """Take what may still come, such as a second answer."""
        count = len(self.pongs)
        self.write(encode_json({"type": "ping", "n": _QUIET_PINGS + count}), quiet=True)
        self.pump(lambda: len(self.pongs) > count, min(1.0, self.timeout_s))
        self.pump(lambda: False, QUIET_S)

    def need_feature(self, name: str) -> None:
        """Raise `NotApplicable` unless the plugin has named a feature in ``hello_ok``."""
        self.require()
        if name not in self.features:
            raise NotApplicable(f'Its hello_ok does not name the feature "{name}".')

    @property
    def first(self) -> int:
        """The id of the first GET of the plugin's path, which is over; made when it is needed."""
        if self._first is None:
            begin = self.log.position
            self._first = self._ask_first()
            self._first_span = (begin, self.log.position)
        else:
            self.log.recall(*self._first_span)
        return self._first

    def recall_start(self) -> None:
        """Have the report of this case tell what was said at the start."""
        self.log.recall(0, self._start_end)

    def _ask_first(self) -> int:
        number = self.request("GET", self.setting.get_path)
        head = self.head(number)
        if head.get("body") == "stream" and _is_lasting(head):
            self.give_up(number)
        self.wait_over(number)
        self.settle()
        return number

    def failure(self, number: int) -> str:
        """Return why the hub does not pass an answer on; empty when it does."""
        return self._fault or self._failures.get(number, "")

    def ask_health(self) -> told.HealthAnswered | None:
        """Ask whether all is well, and return the answer."""
        self._health = None
        self._handle(self.session.ask_health())
        self.flush()
        self.pump(lambda: self._health is not None)
        return self._health

    # The end

    def hang_up(self) -> None:
        """Close the connection, as a hub that is killed does."""
        self.log.note_sent("(the end of the connection)")
        if self._connection is not None:
            self._connection.close()
        self._closed = True

    @cached_property
    def drained(self) -> list[int]:
        """The ids of requests that ``goaway`` has come behind; waits for them."""
        numbers = [self.request("GET", self.setting.get_path) for _ in range(4)]
        self._handle(self.session.goaway(monotonic()))
        self.flush()
        self.wait_over(*numbers)
        return numbers

    def stop(self) -> Stop:
        """Say ``goaway`` and ``shutdown``, once, and return what came of it."""
        self.require()
        if self._stop is None:
            self._handle(self.session.goaway(monotonic()))
            self.session.shutdown()
            self.flush()
            self._stop = watch_stop(self.run, self.timeout_s)
        return self._stop

    def terminate(self) -> Stop:
        """Send SIGTERM, once, and return what came of it."""
        self.require()
        if self._stop is None:
            self.log.note_sent("SIGTERM")
            self.run.signal(signal.SIGTERM)
            self._stop = watch_stop(self.run, self.timeout_s)
        return self._stop


def shown_frames(frames: list[Frame]) -> str:
    """Return a few frames in words."""
    more = f", and {len(frames) - 2} more" if len(frames) > 2 else ""
    return ", ".join(short(frame) for frame in frames[:2]) + more


def _is_quiet(frame: Frame) -> bool:
    """Return whether a frame answers a ping that only waits for what else may come."""
    if isinstance(frame, DataFrame) or frame.get("type") != "pong":
        return False
    number = frame.get("n")
    return isinstance(number, int) and number >= _QUIET_PINGS


def _is_about(frame: Frame, number: int) -> bool:
    if isinstance(frame, DataFrame):
        return frame.id == number
    return frame.get("id") == number and frame.get("type") != "window"


def _ends(frame: Frame) -> bool:
    """Return whether a request is over with a frame."""
    if isinstance(frame, DataFrame):
        return frame.end
    if frame.get("type") == "http_head":
        return frame.get("body") != "stream"
    return frame.get("type") in ("error", "ws_close", "cancel")


def _request(
    method: str, path: str, query: str, body: bytes | None, headers: tuple[Header, ...]
) -> HttpRequest:
    passed = request_headers(
        [("Accept", "*/*"), ("User-Agent", "toru-plugin-check"), *headers],
        user="check",
        role="admin",
        client_address="127.0.0.1",
        scheme="http",
        host="127.0.0.1:3000",
    )
    return HttpRequest(method, path, query, passed, body, "check", "admin")


def _is_lasting(head: dict[str, Any]) -> bool:
    """Return whether an answer is an event stream, which does not end by itself."""
    pairs = head.get("headers")
    if not isinstance(pairs, list):
        return False
    return "text/event-stream" in str(pairs).lower()
