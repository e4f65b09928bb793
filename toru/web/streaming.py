"""Answers that are sent piece by piece, so that a big one costs no memory.

Runs on: the event loop.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator

from tornado.iostream import StreamClosedError

from toru.errors import ToruError
from toru.web.base import ApiHandler

logger = logging.getLogger("toru.web")


async def send_pieces(handler: ApiHandler, pieces: AsyncIterator[bytes]) -> None:
    """Send pieces as they come, each when the one before has left, and finish.

    A piece that cannot be had any more cuts the connection, so that nobody takes the part for the
    whole. A client that leaves ends the reading.
    """
    try:
        async for piece in pieces:
            handler.write(piece)
            await handler.flush()
    except StreamClosedError:
        logger.debug("%s: the client left.", handler.request.path)
    except ToruError as error:
        logger.info("%s: cut off: %s", handler.request.path, error.sentence)
        handler.request.connection.stream.close()  # type: ignore[union-attr]  # HTTP1Connection's
