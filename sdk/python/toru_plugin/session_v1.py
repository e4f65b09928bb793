"""Protocol version 1: one request a connection, every message with a payload.

Runs on: the loop.
"""

from __future__ import annotations

import asyncio
import os
import traceback
from typing import TYPE_CHECKING, Any

from .errors import CallError, FrameError, HttpError
from .frames import MAX_JSON_BYTES_V1, Data, Message, encode
from .headers import Headers
from .host import current_link
from .messages import Request, Response, error_response
from .reports import utc_now, write_line
from .serving import collected

if TYPE_CHECKING:
    from .connection import Connection
    from .server import Server

CALL_TIMEOUT_S = 5.0
_KV_ACTIONS = {"kv.get": "get", "kv.set": "set", "kv.delete": "delete"}
_KV_PARAMS = {"key", "value"}


class SessionV1:
    """What is spoken over one connection of version 1; also the way to the core meanwhile."""

    def __init__(self, server: Server, connection: Connection) -> None:
        self._server = server
        self._connection = connection
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self._answering = 0
        self._half_closed = False

    def received(self, message: Message) -> None:
        """Handle a message from the core."""
        kind, payload = message.get("type"), message.get("payload")
        if not isinstance(payload, dict):
            payload = {}
        if kind == "http":
            self._answering += 1
            self._server.spawn(self._answer(_request_id(message, payload), payload))
        elif kind == "lifecycle":
            self._lifecycle(payload)
        elif kind == "kv":
            self._resolve(_request_id(message, payload), payload)
        else:
            raise FrameError("BAD_FRAME", f"a message of type {str(kind)[:40]!r} is not known")

    def received_data(self, data: Data) -> None:
        """Refuse raw bytes, which this version does not have."""
        del data
        raise FrameError("BAD_FRAME", "protocol 1 has no data frames")

    def broken(self, error: FrameError) -> None:
        """Do nothing; this version has no message for it."""

    def ended(self) -> bool:
        """Give up what waits for the core; what the core waits for is still answered."""
        self._half_closed = True
        self._fail_calls()
        self._server.unlink(self)
        return self._answering > 0

    def lost(self) -> None:
        """Give up what waits for the core."""
        self._fail_calls()
        self._server.unlink(self)

    def _lifecycle(self, payload: Message) -> None:
        action = str(payload.get("action", "")).lower()
        if action == "init":
            self._server.link(self)
            self._server.begin(1, payload)
        elif action == "shutdown":
            self._server.stop("the core said shutdown")

    async def _answer(self, request_id: str | None, payload: Message) -> None:
        current_link.set(self)
        try:
            self._send_response(request_id, await self._response(payload))
            await self._connection.drain()
        finally:
            self._answering -= 1
            if self._half_closed and not self._answering:
                self._connection.close()

    async def _response(self, payload: Message) -> Response:
        inner = payload.get("payload")
        request = _request(inner if isinstance(inner, dict) else payload)
        if request is None:
            return error_response(HttpError(400, "That is no request.", "bad_request"))
        if not await self._server.begin(1, {}):
            return error_response(HttpError(503, "The plugin could not start.", "unavailable"))
        plugin = self._server.plugin
        response, pieces = await plugin.handle(request)
        try:
            await collected(response, pieces, MAX_JSON_BYTES_V1)
        except Exception:
            return plugin.failed("An answer cannot be sent", traceback.format_exc())
        finally:
            if pieces is not None:
                await pieces.close()
        return response

    def _send_response(self, request_id: str | None, response: Response) -> None:
        try:
            if response.data is not None:
                raise ValueError("protocol 1 has no answers that are not UTF-8")
            frame = _frame("http", request_id, _payload(response))
        except ValueError as error:
            failed = self._server.plugin.failed("An answer cannot be sent", str(error))
            frame = _frame("http", request_id, _payload(failed))
        self._connection.send(frame)

    def _resolve(self, request_id: str | None, payload: Message) -> None:
        waiting = self._waiting.get(request_id or "")
        if waiting is None and "action" in payload:
            refusal = {"value": None, "error": "This plugin keeps its keys in the core."}
            self._connection.send(_frame("kv", request_id, refusal))
        elif waiting is None or waiting.done():
            write_line("warn", "A kv message that nobody waits for is left aside.", {})
        elif isinstance(payload.get("error"), str) and payload["error"]:
            code = str(payload.get("code") or "DENIED").upper()
            waiting.set_exception(CallError(code, payload["error"]))
        else:
            waiting.set_result(payload.get("value"))

    def _fail_calls(self) -> None:
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(CallError("CANCELLED", "the core closed the connection"))

    # The way to the core

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Ask the core for a key, over this connection."""
        if method == "event.emit":
            write_line("info", f"event {params['name']}", {"event": params["name"], **params})
            return None
        action = _KV_ACTIONS.get(method)
        if action is None or not _KV_PARAMS.issuperset(params):
            raise CallError("UNKNOWN_TYPE", f"{method} with {sorted(params)} needs protocol 2")
        if self._connection.closed or self._half_closed:
            raise CallError("CANCELLED", "the core closed the connection")
        request_id = os.urandom(16).hex()
        asked = {"action": action, **params}
        payload = {"type": "kv", "request_id": request_id, **asked, "payload": asked}
        frame = _frame("kv", request_id, payload)
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = waiting
        try:
            self._connection.send(frame)
            return await asyncio.wait_for(waiting, CALL_TIMEOUT_S)
        except asyncio.TimeoutError:
            raise CallError("DEADLINE", f"no answer to {method}", retryable=True) from None
        finally:
            del self._waiting[request_id]

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        """Write a log line; this version has no message for it."""
        write_line(level, message, fields)

    def status(self, text: str, extend_s: float) -> None:
        """Write a log line; this version has no message for it."""
        del extend_s
        write_line("info", text, {})


def _frame(kind: str, request_id: str | None, payload: Message) -> bytes:
    message: Message = {"type": kind, "timestamp": utc_now(), "payload": payload}
    if request_id is not None:
        message["request_id"] = request_id
    return encode(message, MAX_JSON_BYTES_V1)


def _request_id(message: Message, payload: Message) -> str | None:
    found = message.get("request_id") or payload.get("request_id")
    return found if isinstance(found, str) else None


def _request(fields: Message) -> Request | None:
    method, target = fields.get("method"), fields.get("path")
    if not isinstance(method, str) or not isinstance(target, str):
        return None
    path, _, query = target.partition("?")
    headers, body = fields.get("headers"), fields.get("body")
    try:
        have = Headers(headers)
    except (TypeError, ValueError, AttributeError):
        return None
    text = body if isinstance(body, str) else ""
    return Request(method, path, query_string=query, headers=have.pairs, text=text)


def _payload(response: Response) -> Message:
    headers: dict[str, str] = {}
    for name, value in response.headers.pairs:  # a mapping has no room for a name that repeats
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return {"status": response.status, "headers": headers, "body": response.text}
