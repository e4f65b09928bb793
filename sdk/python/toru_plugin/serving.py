"""From a request to its answer, and from a WebSocket to its end.

Runs on: the loop.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING, Any

from .errors import Disconnected, HttpError
from .messages import Request, Response, error_response, response_of
from .routing import MethodNotAllowed, Router
from .sockets import FAILED, NORMAL, WebSocket

if TYPE_CHECKING:
    from .host import Host
    from .pieces import Pieces
    from .reports import Log

DEFAULT_MAX_BODY_BYTES = 16 * 1024 * 1024


class Serving:
    """What a plugin serves.

    Args:
        log: where faults of handlers go.
        max_body_bytes: how long a body may be that is collected for its handler.

    Attributes:
        routes: the handlers of requests.
        sockets: those of WebSockets.
    """

    def __init__(self, log: Log, max_body_bytes: int) -> None:
        self.routes = Router()
        self.sockets = Router()
        self._log = log
        self._max_body_bytes = max_body_bytes

    async def handle(self, host: Host, request: Request) -> tuple[Response, Pieces | None]:
        """Answer a request; whatever a handler does wrong becomes a 500 and a log line.

        Returns:
            The answer, and when it is a stream the pieces that make it, which are to be closed.

        Raises:
            Disconnected: nobody waits for the answer any more.
        """
        try:
            return await self._finish(host, request, await self._respond(host, request))
        except MethodNotAllowed as error:
            return error_response(error, {"Allow": ", ".join(error.allowed)}), None
        except HttpError as error:
            return error_response(error), None
        except Exception as error:
            if isinstance(error, Disconnected) and request.disconnected:
                raise
            name = f"{request.method} {request.path} failed"
            return self.failed(name, traceback.format_exc()), None

    async def _respond(self, host: Host, request: Request) -> Response:
        route, request.params = self.routes.find(request.method, request.path)
        limit = route.max_body_bytes
        if limit is None and not route.stream:
            limit = self._max_body_bytes
        request.attach(host, limit)
        if not route.stream:
            await request.load()
        return response_of(await host.invoke(route.handler, request, **request.params))

    async def _finish(
        self, host: Host, request: Request, response: Response
    ) -> tuple[Response, Pieces | None]:
        from .pieces import Pieces  # needs asyncio, which the metadata does not

        pieces = Pieces(response, host) if response.stream is not None else None
        is_kept = False
        try:
            response.suit(request)
            has_none = response.status in (204, 304) or response.status < 200
            if request.method == "HEAD" or has_none:
                response.drop_body()
            if response.stream is None:
                return response, None
            if pieces is not None and not response.lasts:
                await pieces.prepare()
            is_kept = True
        finally:
            if pieces is not None and not is_kept:
                await pieces.close()
        return response, pieces

    async def serve_socket(self, host: Host, socket: WebSocket) -> Response | None:
        """Run the handler of a WebSocket; return the refusal when it was not taken."""
        request = socket.request
        try:
            route, request.params = self.sockets.find(request.method, request.path)
            request.attach(host, None)
            socket.max_message_bytes = route.max_message_bytes or socket.max_message_bytes
            await route.handler(socket, **request.params)
            await socket.accept()
            await socket.close(NORMAL)
        except Exception as error:
            if isinstance(error, Disconnected) and socket.close_code is not None:
                return None
            if isinstance(error, HttpError) and not socket.accepted:
                return error_response(error)
            refusal = self.failed(f"WebSocket {request.path} failed", traceback.format_exc())
            if not socket.accepted:
                return refusal
            await socket.close(FAILED)
        return None

    def failed(self, message: str, details: str) -> Response:
        """Log a fault and return the answer that says no more than that there was one."""
        self._log.error(message, error=details)
        return error_response(HttpError(500, "The plugin failed; see its log.", "internal"))


async def collected(response: Response, pieces: Pieces | None, max_bytes: int) -> None:
    """Make an answer's stream its body, where there is no other way to send it.

    Raises:
        ValueError: it does not end, is over ``max_bytes``, or what yields it fails.
    """
    if pieces is None:
        return
    if response.lasts:
        raise ValueError("an event stream needs protocol 2")
    content = bytearray()
    while True:
        piece: Any = await pieces.next()
        if piece is None:
            break
        content += piece
        if len(content) > max_bytes:
            raise ValueError(f"an answer of more than {max_bytes} bytes needs protocol 2")
    response.set_body(bytes(content))
