"""Requests whose body comes in pieces, for plugins that take only whole ones.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec

from toru.actors.messages.plugins import PluginAnswer, PluginRequest
from toru.actors.plugin_link import settle
from toru.errors import TooLarge, ToruError

COLLECTED_LIMIT_BYTES = 16 * 1024 * 1024

Answer = asyncio.Future[PluginAnswer | None]


class CollectedBodies:
    """Keeps the pieces of bodies until each is whole.

    Args:
        forward: sends a request with its whole body and returns the answer to come.
    """

    def __init__(self, forward: Callable[[PluginRequest], Answer]) -> None:
        self._forward = forward
        self._bodies: dict[int, tuple[PluginRequest, bytearray, Answer]] = {}

    def begin(self, request: PluginRequest) -> Answer:
        """Take a request whose body follows; return the answer to come."""
        answer: Answer = asyncio.get_running_loop().create_future()
        self._bodies[request.id] = (request, bytearray(), answer)
        answer.add_done_callback(lambda _: self._bodies.pop(request.id, None))
        return answer

    def write(self, request_id: int, data: bytes, *, end: bool) -> bool:
        """Take a piece; return whether it belongs to a request here."""
        found = self._bodies.get(request_id)
        if found is None:
            return False
        request, body, answer = found
        body += data
        if len(body) > COLLECTED_LIMIT_BYTES:
            limit = COLLECTED_LIMIT_BYTES // 1024**2
            settle(answer, TooLarge(f"This plugin takes bodies of at most {limit} MiB."))
        elif end:
            del self._bodies[request_id]
            self._send(msgspec.structs.replace(request, body=bytes(body)), answer)
        return True

    def fail(self, error: ToruError) -> None:
        """Answer all that waits for its body."""
        for _, _, answer in list(self._bodies.values()):
            settle(answer, error)

    def give_up(self, request_id: int) -> bool:
        """Forget a request; return whether it was here."""
        return self._bodies.pop(request_id, None) is not None

    def _send(self, request: PluginRequest, answer: Answer) -> None:
        try:
            sent = self._forward(request)
        except ToruError as error:
            settle(answer, error)
        else:
            sent.add_done_callback(lambda _: _pass_on(sent, answer))


def _pass_on(sent: Answer, answer: Answer) -> None:
    if answer.done():
        return
    if sent.cancelled():
        answer.cancel()
    elif (error := sent.exception()) is not None:
        answer.set_exception(error)
    else:
        answer.set_result(sent.result())
