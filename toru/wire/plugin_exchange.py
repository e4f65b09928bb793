"""The requests and WebSockets of one connection in the plugin protocol, version 2.

Runs on: any thread, one at a time; pure. Moments are monotonic seconds.

Bodies go both ways inline, as text, or in data frames. What is sent in data frames waits for the
plugin's credit; what is received in them is told as it comes, and its credit is given back as
`Exchange.take` says that it was passed on. So a browser that does not read stops its own answer.
The credit of the connection is given back at once, so that it stops no other: whoever holds what
was not passed on yet has to bound it.
"""

from __future__ import annotations

import math

import msgspec

from toru.domain.plugin_headers import is_event_stream
from toru.errors import TooLarge
from toru.wire import plugin_v2 as v2
from toru.wire.frames import FLAG_END, FLAG_TEXT, DataFrame, encode_data
from toru.wire.plugin_http import BadAnswer, HttpRequest, ProtocolFault, checked_answer, text_of
from toru.wire.plugin_session_events import (
    Answered,
    BodyCame,
    Failed,
    MayWrite,
    Outbox,
    SocketCame,
    SocketClosed,
    SocketOpened,
    was_busy,
)
from toru.wire.plugin_streams import Piece, Stream, StreamBook, TooManyRequests

BODY_IDLE_S = 60.0
"""How long a body may stand still while it is the plugin's turn."""
MAX_UNSENT_BYTES = 1024 * 1024
"""With so much still unsent besides data, the plugin does not read, and no request is added."""
STREAM_CREDIT = 256 * 1024
CONNECTION_CREDIT = 4 * 1024 * 1024


class Exchange:
    """The requests of one connection.

    Args:
        outbox: takes what is to be sent and told.

    Attributes:
        streams: the book of them.
        stream_credit: bytes of data that either side of a request may be ahead.
        connection_credit: bytes of data that all requests together may be ahead.
        data_bytes: the most that a data frame may carry.
        dropped: messages and data frames that came too late.
    """

    def __init__(self, outbox: Outbox) -> None:
        self.streams = StreamBook()
        self.data_bytes = v2.MAX_DATA_BYTES
        self.dropped = 0
        self._outbox = outbox
        self.agree(STREAM_CREDIT, CONNECTION_CREDIT)
        self._untold_bytes = 0

    def agree(self, stream_credit: int, connection_credit: int) -> None:
        """Put the credits in force that both sides have agreed on."""
        self.stream_credit = stream_credit
        self.connection_credit = connection_credit
        self._credit = connection_credit

    # From the core

    def request(
        self,
        request: HttpRequest,
        *,
        now: float,
        deadline_s: float,
        request_id: str,
        unsent_bytes: int,
    ) -> int:
        """Send a request, at once or when it is its turn; return its id.

        Raises:
            BodyNotText: an inline body is not UTF-8.
            TooLarge: the message is over the limit of a JSON frame.
            TooManyRequests: as many wait as may.
            Unavailable: the connection has no ids left.
        """
        self._check_room(unsent_bytes)
        body = request.body
        message = v2.Http(
            id=self.streams.new_id(),
            method=request.method,
            path=request.path,
            query=request.query,
            headers=request.headers,
            user=request.user,
            role=request.role,
            deadline_ms=int(deadline_s * 1000),
            body="stream" if body is None else "inline" if body else "none",
            text=text_of(body) if body else msgspec.UNSET,
            request_id=request_id[: v2.MAX_REQUEST_ID_CHARS] or msgspec.UNSET,
        )
        self._begin(message, now, deadline_s, sends=body is None)
        return message.id

    def open_socket(
        self, request: HttpRequest, *, now: float, deadline_s: float, unsent_bytes: int
    ) -> int:
        """Ask for a WebSocket, at once or when it is its turn; return its id.

        Raises:
            TooLarge, TooManyRequests, Unavailable: as for `request`.
        """
        self._check_room(unsent_bytes)
        message = v2.WsOpen(
            id=self.streams.new_id(),
            path=request.path,
            query=request.query,
            headers=request.headers,
            user=request.user,
            role=request.role,
        )
        self._begin(message, now, deadline_s, is_socket=True)
        return message.id

    def write(
        self, stream_id: int, data: bytes, *, end: bool, now: float, text: bool = False
    ) -> bool:
        """Send a piece of a request's body or of a WebSocket's message, as credit allows.

        Args:
            stream_id: the request or WebSocket.
            data: the piece; may be empty.
            end: whether the body or the message ends with it.
            now: monotonic seconds.
            text: whether the message is text.

        Returns:
            Whether the next piece may follow at once; otherwise `MayWrite` says when, unless the
            request ends before. What belongs to a request that is over is dropped.
        """
        stream = self.streams.find(stream_id) or self.streams.waiting.get(stream_id)
        if stream is None:
            return True
        stream.pending = Piece(data, end, text)
        self._send(stream)
        if not stream.begun:
            stream.deadline = self._head_deadline(stream, now)
        return stream.pending is None

    def take(self, stream_id: int, size: int, now: float) -> None:
        """Give back the credit for bytes that were passed on."""
        stream = self.streams.find(stream_id)
        if stream is None:
            return
        stream.taken_bytes += size
        if stream.untaken_bytes == 0 and not stream.lasts:
            stream.deadline = now + BODY_IDLE_S
        add = stream.taken_bytes + self.stream_credit - stream.granted_bytes
        if add * 2 >= self.stream_credit:
            stream.granted_bytes += add
            self._outbox.send(v2.Window(id=stream.id, add=add))

    def close_socket(self, stream_id: int, code: int, now: float) -> None:
        """Close a WebSocket; one that was not taken yet is given up."""
        stream = self.streams.find(stream_id)
        if stream is not None and stream.begun:
            self.streams.finish(stream_id)
            self._outbox.send(v2.WsClose(id=stream_id, code=code))
        else:
            self.cancel(stream_id, "The WebSocket was closed.", now)

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
            self._go_on(stream)

    def tick(self, now: float) -> None:
        """Fail what is late."""
        self.streams.forget_cancelled(now)
        for stream in self.streams.open.values():
            if not stream.begun and stream.deadline == math.inf:
                stream.deadline = self._head_deadline(stream, now)
        for stream_id in self.streams.late(now):
            self.fail(stream_id, "DEADLINE", "The plugin did not answer in time.", now)
        self.release()

    def fail_unsent(self, sentence: str, *, after: int = v2.LAST_ID) -> None:
        """Fail what was not sent, and what was sent with an id above ``after``."""
        sent = [stream.id for stream in self.streams.under_way() if stream.id > after]
        for stream_id in [*sent, *self.streams.waiting]:
            self.streams.finish(stream_id)
            self._outbox.tell(Failed(stream_id, "BUSY", sentence, retryable=True))

    def end_lasting(self, sentence: str, now: float) -> None:
        """End the event streams and WebSockets, which would not end by themselves."""
        for stream in list(self.streams.lasting.values()):
            if stream.is_socket:
                self.close_socket(stream.id, v2.WS_GOING_AWAY, now)
                self._outbox.tell(SocketClosed(stream.id, v2.WS_GOING_AWAY))
            else:
                self.fail(stream.id, "BUSY", sentence, now)

    # From the plugin

    def head(self, head: v2.HttpHead, now: float) -> None:
        """Take the head of an answer, or the refusal of a WebSocket.

        Raises:
            ProtocolFault: there never was such a request, or it has a head.
        """
        stream = self.streams.find(head.id)
        if stream is None:
            self.too_late(head.id, over=head.body != "stream")
        elif stream.begun:
            raise ProtocolFault(f"The request {head.id} has a second head.")
        elif head.body != "stream":
            self._finish(stream, head)
        elif stream.is_socket:
            sentence = "The plugin refused the WebSocket with a body that it did not send at once."
            self.fail(stream.id, "BAD_ANSWER", sentence, now)
        else:
            self._begin_body(stream, head, now)

    def accepted(self, stream_id: int, now: float) -> None:
        """Take it that the plugin has taken a WebSocket.

        Raises:
            ProtocolFault: there never was such a WebSocket, or it was taken already.
        """
        stream = self.streams.find(stream_id)
        if stream is None:
            self.too_late(stream_id, over=False)
        elif not stream.is_socket or stream.begun:
            raise ProtocolFault(f"There is no WebSocket {stream_id} to be taken.")
        else:
            self._let_last(stream, now)
            if stream.lasts:
                self._outbox.tell(SocketOpened(stream_id))

    def closed(self, stream_id: int, code: int) -> None:
        """Take it that the plugin has closed a WebSocket.

        Raises:
            ProtocolFault: there never was one.
        """
        stream = self.streams.find(stream_id)
        if stream is None:
            self.too_late(stream_id, over=True)
        elif not stream.is_socket:
            raise ProtocolFault(f"The request {stream_id} is no WebSocket.")
        elif not stream.begun:
            self.streams.finish(stream_id)
            sentence = "The plugin does not take this WebSocket."
            self._outbox.tell(Failed(stream_id, "DENIED", sentence))
            self.release()
        else:
            self.streams.finish(stream_id)
            self._outbox.tell(SocketClosed(stream_id, code))

    def data(self, frame: DataFrame) -> None:
        """Take a piece of a body or of a WebSocket's message.

        Raises:
            ProtocolFault: it belongs to nothing, or is beyond the credit.
        """
        size = len(frame.payload)
        self._spend(size)
        stream = self.streams.find(frame.id)
        if stream is None:
            self.too_late(frame.id, over=frame.end)
            return
        if not stream.begun:
            raise ProtocolFault(f"The request {frame.id} has data before its head.")
        stream.received_bytes += size
        if stream.received_bytes > stream.granted_bytes:
            raise ProtocolFault(f"The request {frame.id} has data beyond its credit.", "FLOW")
        if stream.is_socket:
            self._outbox.tell(SocketCame(stream.id, frame.payload, frame.text, frame.end))
        else:
            self._outbox.tell(BodyCame(stream.id, frame.payload, frame.end))
            if frame.end:
                self._end(stream)
            elif size:
                stream.deadline = math.inf  # now it is the browser's turn

    def credit(self, stream_id: int, add: int) -> None:
        """Take credit that the plugin gives back; of what is over, nothing comes of it."""
        if stream_id == 0:
            self._credit += add
            for stream in list(self.streams.under_way()):
                self._go_on(stream)
            return
        found = self.streams.find(stream_id)
        if found is not None:
            found.credit += add
            self._go_on(found)

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

    # How it is done

    def _check_room(self, unsent_bytes: int) -> None:
        # Data waits for credit, which bounds it: uploads under way are no reason to refuse others.
        data_bytes = self.connection_credit - self._credit
        if self.streams.is_full or unsent_bytes - data_bytes >= MAX_UNSENT_BYTES:
            raise TooManyRequests("Too many requests wait for this plugin.")

    def _begin(
        self,
        message: v2.Http | v2.WsOpen,
        now: float,
        deadline_s: float,
        *,
        sends: bool = False,
        is_socket: bool = False,
    ) -> None:
        try:
            frame = self._outbox.encode(message)
        except ValueError:
            raise TooLarge("The body is too large for this plugin (1 MiB with all else).") from None
        self.streams.add(
            Stream(
                message.id,
                frame,
                deadline=math.inf if sends else now + deadline_s,
                head_s=deadline_s,
                credit=self.stream_credit,
                sends=sends,
                is_socket=is_socket,
            )
        )
        self.release()

    def _send(self, stream: Stream) -> None:
        """Send of what is pending as many data frames as credit allows."""
        piece = stream.pending
        while piece is not None and not stream.frame:
            count = min(len(piece.data), stream.credit, self._credit, self.data_bytes)
            if count <= 0 and piece.data:
                return
            is_last = count == len(piece.data)
            flags = (FLAG_TEXT if piece.text else 0) | (FLAG_END if piece.end and is_last else 0)
            if count or flags & FLAG_END:
                self._outbox.send_frame(encode_data(stream.id, piece.data[:count], flags))
            stream.credit -= count
            self._credit -= count
            stream.sends = stream.is_socket or not flags & FLAG_END
            rest = Piece(piece.data[count:], piece.end, piece.text)
            piece = stream.pending = None if is_last else rest

    def _go_on(self, stream: Stream) -> None:
        """Send what is pending, now that there may be credit."""
        if stream.pending is not None:
            self._send(stream)
            if stream.pending is None:
                stream.deadline = math.inf  # the core's turn, or `tick` begins the plugin's
                self._outbox.tell(MayWrite(stream.id))

    def _head_deadline(self, stream: Stream, now: float) -> float:
        """Return when the head must be there: the time for it begins when the body has ended."""
        if not stream.sends:
            return now + stream.head_s
        if stream.pending is not None:
            return now + BODY_IDLE_S
        return math.inf

    def _begin_body(self, stream: Stream, head: v2.HttpHead, now: float) -> None:
        try:
            answer = checked_answer(head.status, head.headers, None)
        except BadAnswer as fault:
            self.fail(stream.id, "BAD_ANSWER", fault.sentence, now)
            return
        stream.begun = True
        stream.deadline = now + BODY_IDLE_S
        if is_event_stream(head.headers):
            self._let_last(stream, now)
            if not stream.lasts:
                return
        self._outbox.tell(Answered(stream.id, answer))

    def _let_last(self, stream: Stream, now: float) -> None:
        if not self.streams.let_last(stream):
            self.fail(stream.id, "BUSY", "Too many event streams and WebSockets are open.", now)
            return
        stream.begun = True
        stream.deadline = math.inf
        self.release()

    def _finish(self, stream: Stream, head: v2.HttpHead) -> None:
        body = (head.text or "") if head.body == "inline" else ""
        try:
            answer = checked_answer(head.status, head.headers, body)
        except BadAnswer as fault:
            self._outbox.tell(Failed(stream.id, "BAD_ANSWER", fault.sentence))
        else:
            self._outbox.tell(Answered(stream.id, answer))
        self._end(stream)

    def _end(self, stream: Stream) -> None:
        """Forget a request that has its whole answer; of its own body no more follows."""
        self.streams.finish(stream.id)
        if stream.sends:
            self._outbox.send(v2.Cancel(id=stream.id, reason="The request is answered."))
        self.release()

    def _spend(self, size: int) -> None:
        """Count data against the connection's credit; it is given back when half is gone."""
        self._untold_bytes += size
        if self._untold_bytes > self.connection_credit:
            raise ProtocolFault("It sent data beyond the connection's credit.", "FLOW")
        if self._untold_bytes * 2 >= self.connection_credit:
            self._outbox.send(v2.Window(id=0, add=self._untold_bytes))
            self._untold_bytes = 0
