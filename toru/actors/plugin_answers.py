"""A plugin's whole answer to a request of the hub's own.

Runs on: the event loop.
"""

from __future__ import annotations

import contextlib

import msgspec

from toru.actors.messages.plugins import (
    Forward,
    GiveUpForward,
    PluginAnswer,
    PluginRequest,
    ReadBody,
)
from toru.actors.runtime import Address
from toru.errors import BadGateway, Unavailable

ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
DEADLINE_S = 60.0


async def whole_answer(plugin: Address, request: PluginRequest) -> PluginAnswer:
    """Forward a request and return its answer with all of its body.

    Raises:
        BadGateway: the body is over `ANSWER_LIMIT_BYTES`, and as for `Forward` and `ReadBody`.
    """
    answer = await plugin.ask(Forward(request), deadline_s=DEADLINE_S)
    if answer.body is not None:
        return answer
    body = bytearray()
    piece = await plugin.ask(ReadBody(request.id))
    while not piece.end:
        body += piece.data
        if len(body) > ANSWER_LIMIT_BYTES:
            with contextlib.suppress(Unavailable):
                plugin.tell(GiveUpForward(request.id))
            size = ANSWER_LIMIT_BYTES // 1024**2
            raise BadGateway(f"The plugin's answer is over {size} MiB.")
        piece = await plugin.ask(ReadBody(request.id))
    body += piece.data
    return msgspec.structs.replace(answer, body=bytes(body))
