"""The core's side of one connection in the plugin protocol, version 2.

Runs on: any thread, one at a time; no clock and no I/O of its own. Bytes go in by `Session.feed`,
what they mean comes out as events; whatever is called, `Session.output` then has the bytes to
send. `Session.tick` is to be called about once a second. Moments are monotonic seconds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from toru.errors import Unavailable
from toru.wire import plugin_calls, plugin_exchange, plugin_streams
from toru.wire import plugin_session_events as told
from toru.wire import plugin_v2 as v2
from toru.wire.frames import DataFrame, Frame, FrameDecoder, FrameError
from toru.wire.plugin_calls import CallBook
from toru.wire.plugin_exchange import Exchange
from toru.wire.plugin_http import HttpRequest, ProtocolFault
from toru.wire.plugin_liveness import Liveness
from toru.wire.plugin_session_events import Outbox, SessionEvent

HELLO_S = 5.0
FRAME_S = 10.0
"""A frame that has begun is whole within this time."""
HEAD_S = 30.0

FEATURES = (
    *("http", "stream", "ws", "kv", "log", "event", "task", "config", "health"),
    "bundle",  # it answers GET /bundle.js with the bundle of its page
)
LIMITS: dict[str, int] = {
    "json_bytes": v2.MAX_JSON_BYTES,
    "data_bytes": v2.MAX_DATA_BYTES,
    "streams": plugin_streams.MAX_OPEN,
    "calls": plugin_calls.MAX_OPEN,
    "calls_per_s": plugin_calls.MAX_PER_S,
    "stream_credit": plugin_exchange.STREAM_CREDIT,
    "connection_credit": plugin_exchange.CONNECTION_CREDIT,
}
"""The core's limits, by their names in ``hello``; of two, the smaller wins."""

_SMALLEST_FRAME_BYTES = 4096
"""No plugin can ask for frames so small that the core could not even send it an error."""


class Session:
    """One connection.

    Attributes:
        phase: ``hello`` until the plugin's ``hello_ok``, ``init`` until its ``ready``, ``ready``,
            ``closed`` after a fault.
        limits: what is in force, by the names of `LIMITS`.
    """

    def __init__(self, *, instance: str, now: float, features: Iterable[str] = FEATURES) -> None:
        """Begin: `output` has the ``hello``.

        Args:
            instance: the UUID that the plugin's process was given as ``TORU_INSTANCE``.
            now: monotonic seconds.
            features: what the core offers.
        """
        self.phase: Literal["hello", "init", "ready", "closed"] = "hello"
        self.limits = dict(LIMITS)
        self._instance = instance
        self._features = tuple(features)
        self._hello_deadline = now + HELLO_S
        self._decoder = FrameDecoder(
            max_json_bytes=v2.MAX_JSON_BYTES, max_data_bytes=v2.MAX_DATA_BYTES
        )
        self._partial_since: float | None = None
        self._liveness = Liveness(now)
        self._outbox = Outbox()
        self._exchange = Exchange(self._outbox)
        self._calls = CallBook()
        self._health: int | None = None
        self._draining: Literal["no", "asked", "told"] = "no"
        self._peer_leaves = False
        self._dropped = 0
        self._outbox.send(
            v2.Hello(
                protocols=(v2.PROTOCOL,),
                instance=instance,
                features=self._features,
                limits=self.limits,
            )
        )

    @property
    def open_requests(self) -> int:
        """Requests that the plugin works on."""
        return len(list(self._exchange.streams.under_way()))

    @property
    def waiting_requests(self) -> int:
        """Requests that wait for their turn."""
        return len(self._exchange.streams.waiting)

    @property
    def open_calls(self) -> int:
        """Calls of the plugin that the core has not answered."""
        return len(self._calls)

    @property
    def dropped(self) -> int:
        """Messages and data frames that came too late or for nothing, and were dropped."""
        return self._dropped + self._exchange.dropped

    def output(self) -> bytes:
        """Return the bytes that are to be sent, once."""
        return self._outbox.take_bytes()

    def take_events(self) -> list[SessionEvent]:
        """Return the events that came before a ``ProtocolFault``, once."""
        return self._outbox.take_events()

    # What the core does

    def init(
        self,
        *,
        instance_id: str,
        config: dict[str, Any],
        data_dir: str,
        log_path: str,
        deadline_ms: int = 30_000,
    ) -> None:
        """Send ``init``, after `HelloAccepted`.

        Raises:
            ValueError: the configuration is too large for one message.
        """
        self._outbox.send(
            v2.Init(
                instance_id=instance_id,
                config=config,
                data_dir=data_dir,
                log_path=log_path,
                deadline_ms=deadline_ms,
            )
        )

    def config(self, config: dict[str, Any]) -> None:
        """Send changed settings to a plugin that has the feature ``config``.

        Raises:
            ValueError: they are too large for one message.
        """
        self._outbox.send(v2.Config(config=config))

    def request(
        self,
        request: HttpRequest,
        *,
        now: float,
        deadline_s: float = HEAD_S,
        request_id: str = "",
        unsent_bytes: int = 0,
    ) -> int:
        """Send a request, at once or when it is its turn; return its id.

        ``Answered`` or ``Failed`` follows, unless `cancel` is called or the connection ends. After
        an answer without a body ``BodyCame`` follows until its end, or ``Failed``.

        Args:
            request: the request.
            now: monotonic seconds.
            deadline_s: seconds until the head of the answer must be there, from the request's end.
            request_id: for tracing only.
            unsent_bytes: how much of earlier `output` the socket has not taken yet.

        Raises:
            BodyNotText: an inline body is not UTF-8.
            TooLarge: the message is over the limit of a JSON frame.
            TooManyRequests: as many wait as may.
            Unavailable: the plugin is not ready, or goes away.
        """
        self._check_open()
        return self._exchange.request(
            request,
            now=now,
            deadline_s=deadline_s,
            request_id=request_id,
            unsent_bytes=unsent_bytes,
        )

    def open_socket(
        self,
        request: HttpRequest,
        *,
        now: float,
        deadline_s: float = HEAD_S,
        unsent_bytes: int = 0,
    ) -> int:
        """Ask for a WebSocket; return its id.

        ``SocketOpened``, ``Answered`` (a refusal) or ``Failed`` follows, unless `close_socket` is
        called; after the first ``SocketCame`` until ``SocketClosed`` or ``Failed``.

        Raises:
            TooLarge, TooManyRequests, Unavailable: as for `request`.
        """
        self._check_open()
        return self._exchange.open_socket(
            request, now=now, deadline_s=deadline_s, unsent_bytes=unsent_bytes
        )

    def write(
        self, stream_id: int, data: bytes, *, end: bool, now: float, text: bool = False
    ) -> bool:
        """Send a piece of a body or of a message; see `Exchange.write`."""
        return self._exchange.write(stream_id, data, end=end, now=now, text=text)

    def take(self, stream_id: int, size: int, now: float) -> None:
        """Give back the credit for bytes of ``BodyCame`` or ``SocketCame`` that were passed on."""
        self._exchange.take(stream_id, size, now)

    def close_socket(self, stream_id: int, code: int, now: float) -> list[SessionEvent]:
        """Close a WebSocket; nothing of it follows."""
        self._exchange.close_socket(stream_id, code, now)
        return self._events()

    def cancel(self, request: int, reason: str, now: float) -> list[SessionEvent]:
        """Give up a request, for instance because the browser has left; nothing of it follows."""
        self._exchange.cancel(request, reason, now)
        return self._events()

    def answer_call(self, call: int, value: Any) -> list[SessionEvent]:
        """Answer a call with a value that JSON can have; nothing is sent when it has ended."""
        if self._calls.end(call):
            try:
                self._outbox.send(v2.Result(id=call, value=value))
            except ValueError:
                sentence = "The result is too large for one message."
                self._outbox.send_error("INTERNAL", sentence, call)
        return self._events()

    def refuse_call(
        self, call: int, code: v2.ErrorCode, sentence: str, *, retryable: bool = False
    ) -> list[SessionEvent]:
        """Answer a call with an error; nothing is sent when it has ended."""
        if self._calls.end(call):
            self._outbox.send_error(code, sentence, call, retryable=retryable)
        return self._events()

    def ask_health(self) -> list[SessionEvent]:
        """Send ``health``; a question that is still open is a bad answer."""
        if self._health is not None:
            self._outbox.tell(told.HealthAnswered(False, "It did not say how it is."))
        self._health = self._exchange.streams.new_id()
        self._outbox.send(v2.Health(id=self._health))
        return self._events()

    def emit(self, name: str, data: Any, timestamp: str, dropped: int = 0) -> None:
        """Send an event that the plugin has subscribed to.

        Args:
            name: what it has subscribed to.
            data: what JSON can have.
            timestamp: when it happened, RFC 3339 UTC.
            dropped: how many events before it were not sent.

        Raises:
            ValueError: it is too large for one message.
        """
        lost = dropped or msgspec.UNSET
        self._outbox.send(v2.Event(name=name, data=data, timestamp=timestamp, dropped=lost))

    def goaway(self, now: float) -> list[SessionEvent]:
        """Take no new requests; ``Drained`` follows, perhaps at once.

        Those that wait fail; event streams and WebSockets, which would not end, are ended.
        """
        if self._draining == "no":
            self._draining = "asked"
            self._outbox.send(v2.Goaway(last_id=self._exchange.streams.last_id))
            self._exchange.fail_unsent("The plugin is being stopped.")
            self._exchange.end_lasting("The plugin is being stopped.", now)
        return self._events()

    def shutdown(self) -> None:
        """Send ``shutdown``."""
        self._outbox.send(v2.Shutdown())

    # What happens

    def feed(self, data: bytes, now: float) -> list[SessionEvent]:
        """Take bytes from the plugin and return what they mean.

        Raises:
            ProtocolFault: the connection is to be closed once `output` is sent; `take_events` has
                what came before the fault. All requests that are open are lost.
        """
        if self.phase == "closed":
            raise ProtocolFault("The connection is closed after a fault.", None)
        try:
            frames, broken = self._decoder.feed(data), None
        except FrameError as error:
            frames, broken = error.frames, error
        try:
            for frame in frames:
                self._frame(frame, now)
            if broken is not None:
                raise _frame_fault(broken)
        except ProtocolFault as fault:
            self._close(fault)
            raise
        self._note_partial(bool(frames), now)
        return self._events()

    def tick(self, now: float) -> list[SessionEvent]:
        """Look after all that can be late.

        Raises:
            ProtocolFault: no ``hello_ok`` in time, or half a frame; as for `feed`.
        """
        if self.phase == "closed":
            return []
        try:
            self._check_connection(now)
        except ProtocolFault as fault:
            self._close(fault)
            raise
        self._exchange.tick(now)
        for call in self._calls.expired(now):
            self._outbox.send_error("DEADLINE", "The call took too long.", call, retryable=True)
            self._outbox.tell(told.CallEnded(call, "deadline"))
        self._look_for_life(now)
        return self._events()

    def _check_open(self) -> None:
        if self.phase != "ready":
            raise Unavailable("The plugin is being started.", code="plugin_starting")
        if self._draining != "no" or self._peer_leaves:
            raise Unavailable("The plugin is being stopped.", code="plugin_stopping")

    def _check_connection(self, now: float) -> None:
        if self.phase == "hello" and now >= self._hello_deadline:
            raise ProtocolFault(f"It did not answer hello within {HELLO_S:g} seconds.", "DEADLINE")
        if self._partial_since is not None and now - self._partial_since >= FRAME_S:
            raise ProtocolFault(f"A frame was not whole within {FRAME_S:g} seconds.")

    def _look_for_life(self, now: float) -> None:
        if self.phase != "ready":
            return
        verdict = self._liveness.check(now)
        if verdict == "missed":
            self._outbox.tell(told.PingMissed())
        if verdict is not None:
            self._outbox.send(v2.Ping(n=self._liveness.pings))

    def _note_partial(self, had_frames: bool, now: float) -> None:
        if self._decoder.pending_bytes == 0:
            self._partial_since = None
        elif had_frames or self._partial_since is None:
            self._partial_since = now

    def _events(self) -> list[SessionEvent]:
        streams = self._exchange.streams
        if self._draining == "asked" and not streams.open and not len(self._calls):
            self._draining = "told"
            self._outbox.tell(told.Drained())
        return self._outbox.take_events()

    def _close(self, fault: ProtocolFault) -> None:
        self.phase = "closed"
        if fault.wire_code is not None:
            self._outbox.send_error(fault.wire_code, fault.sentence)

    # Frames

    def _frame(self, frame: Frame, now: float) -> None:
        if self._liveness.heard(now):
            self._outbox.tell(told.Alive())
        if isinstance(frame, DataFrame):
            if self.phase == "hello":
                raise ProtocolFault("It sent data before hello_ok.")
            self._exchange.data(frame)
            return
        message = self._decode(frame, now)
        if message is None:
            return
        if self.phase == "hello":
            self._hello_ok(message)
        else:
            self._message(message, now)

    def _decode(self, frame: dict[str, object], now: float) -> v2.Message | None:
        try:
            message = v2.decode(frame)
        except ProtocolFault as fault:
            about = _id_of(frame)
            if frame.get("type") != "http_head" or self._exchange.streams.find(about) is None:
                raise
            # One handler's nonsense is no reason to fail everybody else's requests.
            self._exchange.fail(about, "BAD_ANSWER", fault.sentence, now)
            return None
        if message is None:
            self._refuse_type(_id_of(frame))
        return message

    def _hello_ok(self, message: v2.Message) -> None:
        if isinstance(message, v2.Error):
            raise ProtocolFault(f"It refused the connection: {_said(message)}", None)
        if not isinstance(message, v2.HelloOk):
            raise ProtocolFault("It sent something else before hello_ok.")
        if message.instance != self._instance:
            raise ProtocolFault("It is a process of an earlier start (wrong instance).")
        if message.protocol != v2.PROTOCOL:
            raise ProtocolFault(f"It chose the protocol {message.protocol}, which was not offered.")
        self._agree(message.limits)
        self.phase = "init"
        common = tuple(name for name in self._features if name in message.features)
        self._outbox.tell(told.HelloAccepted(common, message.sdk))

    def _agree(self, theirs: dict[str, Any]) -> None:
        """Put the smaller of every two limits in force."""
        for name, limit in self.limits.items():
            asked = theirs.get(name)
            if isinstance(asked, int) and not isinstance(asked, bool) and asked > 0:
                self.limits[name] = min(limit, asked)
        self._outbox.limit_bytes = max(self.limits["json_bytes"], _SMALLEST_FRAME_BYTES)
        self._exchange.streams.max_open = self.limits["streams"]
        self._exchange.agree(self.limits["stream_credit"], self.limits["connection_credit"])
        self._exchange.data_bytes = self.limits["data_bytes"]
        self._calls = CallBook(self.limits["calls"], self.limits["calls_per_s"])

    def _message(self, message: v2.Message, now: float) -> None:
        match message:
            case v2.HttpHead():
                self._exchange.head(message, now)
            case v2.Call():
                self._call(message, now)
            case v2.Ping(n=number):
                self._outbox.send(v2.Pong(n=number))
            case v2.Pong():
                pass  # it was heard
            case v2.Window(id=about, add=add):
                self._exchange.credit(about, add)
            case v2.WsAccept(id=about):
                self._exchange.accepted(about, now)
            case v2.WsClose(id=about, code=code):
                self._exchange.closed(about, code)
            case v2.Ready():
                self._ready(now)
            case v2.Status(text=text, extend_ms=extend_ms):
                if self.phase == "init":
                    self._outbox.tell(told.StartStatus(text, extend_ms / 1000))
            case v2.Error():
                self._peer_error(message)
            case v2.Cancel():
                self._peer_cancels(message.id)
            case v2.Health() | v2.Result():
                self._health_answer(message)
            case v2.Goaway(last_id=last_id):
                self._peer_leaves = True
                self._exchange.fail_unsent("The plugin is being restarted.", after=last_id)
                self._outbox.tell(told.GoingAway())
            case v2.HelloOk():
                raise ProtocolFault("It sent a second hello_ok.")
            case _:
                self._refuse_type(getattr(message, "id", 0))

    def _ready(self, now: float) -> None:
        if self.phase == "init":
            self.phase = "ready"
            self._liveness = Liveness(now)
            self._outbox.tell(told.BecameReady())

    def _call(self, call: v2.Call, now: float) -> None:
        deadline_s = call.deadline_ms / 1000
        refused = self._calls.begin(call.id, deadline_s, now)
        if refused is not None:
            self._outbox.send_error("BUSY", refused, call.id, retryable=True)
            return
        self._outbox.tell(told.Called(call.id, call.method, call.params, deadline_s))

    def _peer_cancels(self, about: int) -> None:
        if self._calls.end(about):
            self._outbox.send_error("CANCELLED", "The call was cancelled.", about)
            self._outbox.tell(told.CallEnded(about, "cancelled"))
            return
        sentence = "The plugin gave the request up."
        if not self._exchange.end(about, "CANCELLED", sentence, retryable=False):
            self._dropped += 1

    def _peer_error(self, error: v2.Error) -> None:
        if error.code in v2.ENDING_CODES:
            raise ProtocolFault(f"It ended the connection: {_said(error)}", None)
        if error.id != 0 and error.id == self._health:
            self._health = None
            self._outbox.tell(told.HealthAnswered(False, _said(error)))
            return
        sentence = f"The plugin could not answer: {_said(error)}."
        if not self._exchange.end(error.id, error.code, sentence, retryable=error.retryable):
            self._outbox.tell(told.PeerError(error.code, _said(error)))

    def _health_answer(self, message: v2.Health | v2.Result) -> None:
        if self._health is None or message.id not in (self._health, 0):
            self._dropped += 1
            return
        self._health = None
        if isinstance(message, v2.Result):
            self._outbox.tell(_health_of(message.value))
            return
        text = message.text if isinstance(message.text, str) else ""
        self._outbox.tell(told.HealthAnswered(message.ok is True, text[: v2.MAX_ERROR_CHARS]))

    def _refuse_type(self, about: int) -> None:
        sentence = "A message of this type is not taken here."
        self._outbox.send_error("UNKNOWN_TYPE", sentence, about)


def _id_of(frame: dict[str, object]) -> int:
    """Return what a message is about, as far as that can be said; 0 where it cannot."""
    about = frame.get("id")
    if isinstance(about, int) and not isinstance(about, bool) and 0 <= about <= v2.LAST_ID:
        return about
    return 0


def _frame_fault(error: FrameError) -> ProtocolFault:
    sentence = str(error)
    is_large = "over the limit" in sentence or "cannot have a length" in sentence
    return ProtocolFault(sentence, "TOO_LARGE" if is_large else "BAD_FRAME")


def _said(error: v2.Error) -> str:
    return f"{error.message[: v2.MAX_ERROR_CHARS] or 'no reason given'} ({error.code[:40]})"


def _health_of(value: Any) -> told.HealthAnswered:
    """Read the answer to ``health`` where it is a ``result``."""
    if isinstance(value, dict):
        return told.HealthAnswered(value.get("ok") is True, str(value.get("text") or "")[:4096])
    return told.HealthAnswered(value in (True, None), "")
