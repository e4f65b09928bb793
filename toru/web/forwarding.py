"""Requests that are forwarded to plugins, from the connection to the plugin's actor and back.

They do without a Tornado ``RequestHandler``: making, running and finishing one takes about as long
as all the rest of a forwarded request (``bench/plugins.py``). What handlers get from their base
stands here too: the session, the security headers, errors as JSON.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import re
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPOutputError,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)

from toru.actors.messages.auth import GetSession, Session
from toru.actors.messages.plugins import (
    Forward,
    GiveUpForward,
    PluginAnswer,
    PluginRequest,
    ReadBody,
    WriteBody,
)
from toru.actors.plugin_places import PluginPlaces
from toru.actors.runtime import Address, Reply
from toru.domain.permissions import authorise
from toru.domain.plugin_headers import (
    answer_headers,
    body_allowed,
    is_event_stream,
    request_headers,
)
from toru.errors import BadGateway, ToruError, Unavailable
from toru.web.base import INTERNAL_SENTENCE, Problem, session_token
from toru.web.headers import NO_CONTENT_POLICY
from toru.web.services import Services

if TYPE_CHECKING:
    from tornado.http1connection import HTTP1Connection

    from toru.web.http_server import UnderWay

T = TypeVar("T")

logger = logging.getLogger("toru.web")

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"})
WHOLE_BODY_BYTES = 256 * 1024
"""Larger bodies are passed on in pieces, as they come."""
WRITE_DEADLINE_S = 90.0
"""Longer than a plugin may stand still while a body waits for it."""
READ_DEADLINE_S = 30.0
"""Longer than a reader is kept waiting before it hears that there is nothing yet."""

_JSON = "application/json; charset=utf-8"


class ForwardExchange(HTTPMessageDelegate):
    """One request and its answer. Tornado calls it as the request comes in."""

    def __init__(
        self,
        request: HTTPServerRequest,
        services: Services,
        under_way: UnderWay,
        fixed: dict[str, str],
    ) -> None:
        """Create an exchange.

        Args:
            request: its head; the gate has let it pass.
            services: what is behind the web.
            under_way: where requests that are not answered are counted.
            fixed: the headers of every answer.
        """
        self._request = request
        self._connection = cast("HTTP1Connection", request.connection)
        self._services = services
        self._under_way = under_way
        self._fixed = fixed
        self._chunks: list[bytes] = []
        self._forwarded: tuple[Address, int] | None = None
        # Whether pieces of the body go to the plugin; None for a body that is taken as a whole.
        self._upload: asyncio.Future[bool] | None = None
        self._pouring: asyncio.Task[None] | None = None

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """Take the head; a large body is passed on as it comes."""
        del start_line  # it is in the request
        if _is_large(headers):
            self._upload = asyncio.get_running_loop().create_future()
            self._begin()

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Take a piece of the body; how long it may be is looked after elsewhere."""
        if self._upload is not None:
            return self._pass_on(chunk)
        self._chunks.append(chunk)
        return None

    def finish(self) -> None:
        """The request is whole."""
        if self._upload is None:
            self._begin()
        else:
            self._upload.add_done_callback(self._end_upload)

    def _end_upload(self, _upload: asyncio.Future[bool]) -> None:
        """Say that the body is whole; one without a piece may be so before it is forwarded."""
        if self._forwarded is not None:
            actor, request_id = self._forwarded
            with contextlib.suppress(Unavailable):
                actor.tell(WriteBody(request_id, b"", end=True))

    def on_connection_close(self) -> None:
        """Have the request given up when its client has gone."""
        self._end()
        self._give_up()

    def _begin(self) -> None:
        self._under_way.enter(self)
        self._connection.set_close_callback(self.on_connection_close)
        self._step(self._ask_who)

    def _end(self) -> None:
        """The request is answered, or its client has gone: nothing of its body is wanted."""
        self._under_way.leave(self)
        if self._upload is not None and not self._upload.done():
            self._upload.set_result(False)

    async def _pass_on(self, chunk: bytes) -> None:
        """Pass a piece of the body on, as fast as the plugin takes it."""
        if self._upload is None or not await self._upload or self._forwarded is None:
            return
        actor, request_id = self._forwarded
        try:
            wish = WriteBody(request_id, chunk, end=False)
            await actor.ask(wish, deadline_s=WRITE_DEADLINE_S)
        except ToruError as error:
            logger.debug("A body for %s is not taken: %s", actor.name, error.sentence)

    # The steps. A coroutine would do the same for a tenth of what all of a request costs.

    def _step(self, work: Callable[..., None], *arguments: Any) -> None:
        """Do the next step; what goes wrong in it is answered."""
        try:
            work(*arguments)
        except ToruError as error:
            self._refuse(error)
        except Exception:
            request = self._request
            logger.exception("%s %s failed.", request.method, request.path)
            self._send_problem(500, Problem(INTERNAL_SENTENCE, "internal"), HTTPHeaders())

    def _go_on(self, reply: Reply[T], work: Callable[[T], None]) -> None:
        """Go on with an answer, at once when it is there."""
        if not reply.settled and reply.hurry is not None:
            reply.hurry()
        if reply.settled:
            work(reply.get())
        else:
            reply.add_done_callback(lambda: self._step(lambda: work(reply.get())))

    def _ask_who(self) -> None:
        token = session_token(self._request.headers.get("Cookie", ""))
        if token is None:
            authorise("any", None)
        else:
            self._go_on(self._services.auth.ask(GetSession(token)), self._forward)

    def _forward(self, found: Session | None) -> None:
        authorise("any", found)
        session = cast("Session", found)
        if self._connection.stream.closed():
            self._end()  # its client had gone before anybody was to be told of that
            return
        actor, wanted = plugin_request(self._request, self._services.plugin_places, session)
        if self._upload is None:
            wanted = msgspec.structs.replace(wanted, body=b"".join(self._chunks))
        self._forwarded = (actor, wanted.id)
        reply = actor.ask(Forward(wanted))
        if self._upload is not None and not self._upload.done():
            self._upload.set_result(True)
        self._go_on(reply, self._pass_back)

    def _pass_back(self, answer: PluginAnswer) -> None:
        if answer.status < 200:
            raise BadGateway(f"The plugin answered with the interim status {answer.status}.")
        headers = HTTPHeaders()
        for name, value in answer_headers(answer.headers):
            headers.add(name, value)
        method = self._request.method or "GET"
        if answer.body is None and body_allowed(answer.status, method):
            self._pour(answer, headers)
            return
        if body_allowed(answer.status, method):
            body = answer.body or b""
            headers["Content-Length"] = str(len(body))
            self._send(answer.status, headers, body)
            return
        if method == "HEAD":
            headers["Content-Length"] = length_for_head(answer)
        self._send(answer.status, headers, b"")
        if answer.body is None:
            self._give_up()

    def _pour(self, answer: PluginAnswer, headers: HTTPHeaders) -> None:
        """Send an answer whose body follows in pieces."""
        length = said_length(answer)
        if length is not None:
            headers["Content-Length"] = length
        if is_event_stream(answer.headers):
            self._under_way.leave(self)  # it would not end before the hub does
        if self._write_head(answer.status, headers, b""):
            self._pouring = asyncio.get_running_loop().create_task(self._pour_body())
        else:
            self._end()
            self._give_up()

    async def _pour_body(self) -> None:
        actor, request_id = cast("tuple[Address, int]", self._forwarded)
        try:
            while True:
                piece = await actor.ask(ReadBody(request_id), deadline_s=READ_DEADLINE_S)
                if piece.data:
                    await self._connection.write(piece.data)
                if piece.end:
                    break
            self._connection.finish()
        except (ToruError, OSError, HTTPOutputError) as error:
            # The head is out, so that the only way to say it is an end before the end.
            logger.debug("%s was cut off: %s", self._request.path, error)
            self._give_up()
            self._connection.close()
        finally:
            self._end()

    def _give_up(self) -> None:
        if self._forwarded is not None:
            actor, request_id = self._forwarded
            with contextlib.suppress(Unavailable):
                actor.tell(GiveUpForward(request_id))

    def _refuse(self, error: ToruError) -> None:
        headers = HTTPHeaders()
        if isinstance(error, Unavailable):
            headers["Retry-After"] = "1"  # RFC 9110, 15.6.4
        if error.status == 500:
            self._send_problem(500, Problem(INTERNAL_SENTENCE, "internal"), headers)
        else:
            self._send_problem(error.status, Problem(error.sentence, error.code), headers)

    def _send_problem(self, status: int, problem: Problem, headers: HTTPHeaders) -> None:
        body = msgspec.json.encode(problem)
        headers["Content-Type"] = _JSON
        headers["Content-Length"] = str(len(body))
        self._send(status, headers, b"" if self._request.method == "HEAD" else body)

    def _send(self, status: int, headers: HTTPHeaders, body: bytes) -> None:
        self._end()
        if self._write_head(status, headers, body):
            self._connection.finish()

    def _write_head(self, status: int, headers: HTTPHeaders, body: bytes) -> bool:
        """Write a head, and a body that is whole; return whether the client is still there."""
        if self._connection.stream.closed():
            return False
        for name, value in self._fixed.items():
            headers[name] = value
        headers["Content-Security-Policy"] = NO_CONTENT_POLICY
        headers["Cache-Control"] = "no-store"
        headers["Date"] = _date(int(time.time()))
        self._connection.write_headers(
            ResponseStartLine("", status, _reason(status)), headers, body or None
        )
        return True


def plugin_request(
    request: HTTPServerRequest, places: PluginPlaces, session: Session
) -> tuple[Address, PluginRequest]:
    """Return what a plugin gets to see of a request, without its body, and the plugin's actor.

    Raises:
        NotFound: no plugin is at this path.
    """
    actor, target = places.find(request.uri or "/")
    return actor, PluginRequest(
        method=request.method or "GET",
        target=target,
        headers=request_headers(
            request.headers.get_all(),
            user=session.username,
            role=session.role,
            client_address=request.remote_ip or "",
            scheme=request.protocol,
            host=request.headers.get("Host", ""),
        ),
        body=None,
        user=session.username,
        role=session.role,
        id=places.next_request_id(),
    )


def said_length(answer: PluginAnswer) -> str | None:
    """Return the length that a plugin says its answer's body has."""
    said = [value for name, value in answer.headers if name.lower() == "content-length"]
    return said[0] if said and re.fullmatch(r"[0-9]{1,18}", said[0]) else None


def length_for_head(answer: PluginAnswer) -> str:
    """Return the length that the body would have, which plugins say or send (RFC 9110, 8.6)."""
    return (said_length(answer) if not answer.body else None) or str(len(answer.body or b""))


def _is_large(headers: HTTPHeaders) -> bool:
    if "Transfer-Encoding" in headers:
        return True
    length = headers.get("Content-Length", "0")
    return length.isascii() and length.isdigit() and int(length) > WHOLE_BODY_BYTES


@functools.lru_cache(maxsize=4)
def _date(second: int) -> str:
    return format_timestamp(second)


@functools.lru_cache(maxsize=600)
def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
