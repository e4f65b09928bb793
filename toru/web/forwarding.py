"""Requests that are forwarded to plugins, from the connection to the plugin's actor and back.

They do without a Tornado ``RequestHandler``: making, running and finishing one takes about as long
as all the rest of a forwarded request (``bench/plugins.py``). What handlers get from their base
stands here too: the session, the security headers, errors as JSON.

Runs on: the event loop.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import logging
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar, cast

import msgspec
from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
    RequestStartLine,
    ResponseStartLine,
    format_timestamp,
)

from toru.actors.messages.auth import GetSession, Session
from toru.actors.messages.plugins import Forward, GiveUpForward, PluginAnswer, PluginRequest
from toru.actors.runtime import Address, Reply
from toru.domain.permissions import authorise
from toru.domain.plugin_headers import answer_headers, body_allowed, request_headers
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
_request_ids = itertools.count(1)
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

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        """Take the head, which is in the request already."""

    def data_received(self, chunk: bytes) -> None:
        """Take a piece of the body; how long it may be is looked after elsewhere."""
        self._chunks.append(chunk)

    def finish(self) -> None:
        """The request is whole: forward it."""
        self._under_way.enter(self)
        self._connection.set_close_callback(self.on_connection_close)
        self._step(self._ask_who)

    def on_connection_close(self) -> None:
        """Have the request given up when its client has gone."""
        self._under_way.leave(self)
        if self._forwarded is not None:
            actor, request_id = self._forwarded
            with contextlib.suppress(Unavailable):
                actor.tell(GiveUpForward(request_id))

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
        request = self._request
        actor, target = self._services.plugin_places.find(request.uri or "/")
        wanted = PluginRequest(
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
            body=b"".join(self._chunks),
            user=session.username,
            role=session.role,
            id=next(_request_ids),
        )
        self._forwarded = (actor, wanted.id)
        self._go_on(actor.ask(Forward(wanted)), self._pass_back)

    def _pass_back(self, answer: PluginAnswer) -> None:
        if answer.status < 200:
            raise BadGateway(f"The plugin answered with the interim status {answer.status}.")
        headers = HTTPHeaders()
        for name, value in answer_headers(answer.headers):
            headers.add(name, value)
        method = self._request.method or "GET"
        if body_allowed(answer.status, method):
            headers["Content-Length"] = str(len(answer.body))
            self._send(answer.status, headers, answer.body)
            return
        if method == "HEAD":
            headers["Content-Length"] = length_for_head(answer)
        self._send(answer.status, headers, b"")

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
        self._under_way.leave(self)
        if self._connection.stream.closed():
            return
        for name, value in self._fixed.items():
            headers[name] = value
        headers["Content-Security-Policy"] = NO_CONTENT_POLICY
        headers["Cache-Control"] = "no-store"
        headers["Date"] = _date(int(time.time()))
        self._connection.write_headers(
            ResponseStartLine("", status, _reason(status)), headers, body or None
        )
        self._connection.finish()


def length_for_head(answer: PluginAnswer) -> str:
    """Return the length that the body would have, which plugins say or send (RFC 9110, 8.6)."""
    said = [value for name, value in answer.headers if name.lower() == "content-length"]
    if not answer.body and said and re.fullmatch(r"[0-9]{1,18}", said[0]):
        return said[0]
    return str(len(answer.body))


@functools.lru_cache(maxsize=4)
def _date(second: int) -> str:
    return format_timestamp(second)


@functools.lru_cache(maxsize=600)
def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
