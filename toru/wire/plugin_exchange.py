"""The requests of one connection in the plugin protocol, version 2, up to their answers.

Runs on: any thread, one at a time; pure. Moments are monotonic seconds.

Bodies of requests are sent inline, as text. Streamed bodies of answers are collected, up to
`MAX_COLLECTED_BYTES`, and their credit is given back as they come.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from toru.domain.plugin_headers import Header
from toru.errors import TooLarge
from toru.wire import plugin_v2 as v2
from toru.wire.frames import DataFrame
from toru.wire.plugin_http import BadAnswer, ProtocolFault, checked_answer, text_of
from toru.wire.plugin_session_events import Answered, Failed, Outbox, was_busy
from toru.wire.plugin_streams import Stream, StreamBook, TooManyRequests

HEAD_S = 30.0
BODY_IDLE_S = 60.0
MAX_COLLECTED_BYTES = 16 * 1024 * 1024
MAX_UNSENT_BYTES = 1024 * 1024
"""With so much still unsent, the plugin does not read, and no request is added."""
STREAM_CREDIT = 256 * 1024
CONNECTION_CREDIT = 4 * 1024 * 1024


class Request(msgspec.Struct, frozen=True):
    """A request that is to be sent.

    Attributes:
        method: the HTTP method.
        path: ``/<rest>``, raw, without the query.
        query: raw, without the question mark.
        headers: those that the plugin may see.
        body: empty for none.
        user: the name of the session's user.
        role: of the session.
        deadline_s: seconds until the head of the answer must be there.
        request_id: for tracing only.
    """

    method: str
    path: str
    query: str
    headers: tuple[Header, ...]
    body: bytes
    user: str
    role: str
    deadline_s: float = HEAD_S
    request_id: str = ""


class Exchange:
    """The requests of one connection.

    Args:
        outbox: takes what is to be sent and told.

    Attributes:
        streams: the book of them.
        stream_credit: bytes of data that an answer may be ahead.
        connection_credit: bytes of data that all answers together may be ahead.
        dropped: messages and data frames that came too late.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.streams = StreamBook()
        self.stream_credit = STREAM_CREDIT
        self.connection_credit = CONNECTION_CREDIT
        self.dropped = 0
        self._outbox = outbox
        self._untold_bytes = 0

    def request(self, request: Request, *, now: float, unsent_bytes: int) -> int:
        """Send a request, at once or when it is its turn; return its id.

        Raises:
            BodyNotText: the body is not UTF-8.
            TooLarge: the message is over the limit of a JSON frame.
            TooManyRequests: as many wait as may.
            Unavailable: the connection has no ids left.
        """
        if self.streams.is_full or unsent_bytes >= MAX_UNSENT_BYTES:
            raise TooManyRequests("Too many requests wait for this plugin.")
        message = v2.Http(
            id=self.streams.new_id(),
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            user=request.user,
            role=request.role,
            deadline_ms=int(request.deadline_s * 1000),
            body="inline" if request.body else "none",
            text=text_of(request.body) if request.body else msgspec.UNSET,
            request_id=request.request_id[: v2.MAX_REQUEST_ID_CHARS] or msgspec.UNSET,
        )
        try:
            frame = self._outbox.encode(message)
        except ValueError:
            raise TooLarge("The body is too large for this plugin (1 MiB with all else).") from None
        deadline = now + request.deadline_s
        self.streams.add(Stream(message.id, frame, deadline, self.stream_credit))
        self.release()
        return message.id

    def cancel(self, stream_id: int, reason: str, now: float) -> None:
        """Give a request up; nothing of it follows."""
        if self.streams.cancel(stream_id, now):
            self._outbox.send(v2.Cancel(id=stream_id, reason=reason))
        self.release()

    def fail(self, stream_id: int, code: str, sentence: str, now: float) -> None:
        """Give a request up, and say so to both sides."""
        self.cancel(stream_id, sentence, now)
        self._outbox.tell(Failed(stream_id, code, sentence, was_busy(code)))

    def release(self) -> None:
        """Send the requests whose turn it is."""
        for stream in self.streams.release():
            self._outbox.send_frame(stream.frame)
            stream.frame = b""

    def tick(self, now: float) -> None:
        """Fail what is late."""
        self.streams.forget_cancelled(now)
        for stream_id in self.streams.late(now):
            self.fail(stream_id, "DEADLINE", "The plugin did not answer in time.", now)
        self.release()

    def fail_unsent(self, sentence: str, *, after: int = v2.LAST_ID) -> None:
        """Fail what was not sent, and what was sent with an id above ``after``."""
        sent = [stream_id for stream_id in self.streams.open if stream_id > after]
        for stream_id in [*sent, *self.streams.waiting]:
            self.streams.finish(stream_id)
            self._outbox.tell(Failed(stream_id, "BUSY", sentence, retryable=True))

    # From the plugin

    def head(self, head: v2.HttpHead, now: float) -> None:
        """Take the head of an answer.

        Raises:
            ProtocolFault: there never was such a request, or it has a head.
        """
        stream = self.streams.find(head.id)
        if stream is None:
            self.too_late(head.id, over=head.body != "stream")
        elif stream.head is not None:
            raise ProtocolFault(f"The request {head.id} has a second head.")
        elif head.body == "stream":
            self._begin_body(stream, head, now)
        else:
            self._finish(stream, head, (head.text or "") if head.body == "inline" else "")

    def data(self, frame: DataFrame, now: float) -> None:
        """Take a piece of a body.

        Raises:
            ProtocolFault: it belongs to nothing, or is beyond the credit.
        """
        self._spend(len(frame.payload))
        stream = self.streams.find(frame.id)
        if stream is None:
            self.too_late(frame.id, over=frame.end)
            return
        if stream.head is None:
            raise ProtocolFault(f"The request {frame.id} has data before its head.")
        stream.received_bytes += len(frame.payload)
        if stream.received_bytes > stream.granted_bytes:
            raise ProtocolFault(f"The request {frame.id} has data beyond its credit.", "FLOW")
        stream.body += frame.payload
        stream.deadline = now + BODY_IDLE_S
        if len(stream.body) > MAX_COLLECTED_BYTES:
            size = MAX_COLLECTED_BYTES // 1024**2
            self.fail(stream.id, "BAD_ANSWER", f"The plugin's answer is over {size} MiB.", now)
        elif frame.end:
            self._finish(stream, stream.head, bytes(stream.body))
        else:
            self._give_back(stream)

    def end(self, stream_id: int, code: str, sentence: str, *, retryable: bool) -> bool:
        """Take it that the plugin gives a request up; return whether the core had made it."""
        if self.streams.find(stream_id) is not None:
            self.streams.finish(stream_id)
            self._outbox.tell(Failed(stream_id, code, sentence, retryable))
            self.release()
            return True
        if self.streams.was_used(stream_id):
            self.too_late(stream_id, over=True)
            return True
        return False

    def too_late(self, stream_id: int, *, over: bool) -> None:
        """Drop what belongs to a request that is over; ``over``: nothing more will come.

        Raises:
            ProtocolFault: there never was such a request.
        """
        if not self.streams.was_used(stream_id) or stream_id in self.streams.waiting:
            raise ProtocolFault(f"There never was a request {stream_id}.")
        self.dropped += 1
        if over:
            self.streams.finish(stream_id)
            self.release()

    def _begin_body(self, stream: Stream, head: v2.HttpHead, now: float) -> None:
        try:
            checked_answer(head.status, head.headers, b"")
        except BadAnswer as fault:
            self.fail(stream.id, "BAD_ANSWER", fault.sentence, now)
            return
        if _is_event_stream(head.headers):
            sentence = "The plugin answers with an event stream, which cannot be forwarded yet."
            self.fail(stream.id, "BAD_ANSWER", sentence, now)
            return
        stream.head = head
        stream.deadline = now + BODY_IDLE_S

    def _finish(self, stream: Stream, head: v2.HttpHead, body: str | bytes) -> None:
        self.streams.finish(stream.id)
        try:
            answer = checked_answer(head.status, head.headers, body)
        except BadAnswer as fault:
            self._outbox.tell(Failed(stream.id, "BAD_ANSWER", fault.sentence))
        else:
            self._outbox.tell(Answered(stream.id, answer))
        self.release()

    def _spend(self, size: int) -> None:
        """Count data against the connection's credit; it is given back when half is gone."""
        self._untold_bytes += size
        if self._untold_bytes > self.connection_credit:
            raise ProtocolFault("It sent data beyond the connection's credit.", "FLOW")
        if self._untold_bytes * 2 >= self.connection_credit:
            self._outbox.send(v2.Window(id=0, add=self._untold_bytes))
            self._untold_bytes = 0

    def _give_back(self, stream: Stream) -> None:
        add = stream.received_bytes + self.stream_credit - stream.granted_bytes
        if add * 2 >= self.stream_credit:
            stream.granted_bytes += add
            self._outbox.send(v2.Window(id=stream.id, add=add))


def _is_event_stream(headers: Iterable[Header]) -> bool:
    return any(
        name.lower() == "content-type" and value.lower().startswith("text/event-stream")
        for name, value in headers
    )
