"""The requests that a plugin has open: how many there may be, and what is counted of them.

Runs on: the event loop, owned by one `Plugin`.
"""

from __future__ import annotations

import asyncio
import functools

from toru.actors.messages.plugins import PluginAnswer, PluginRequest
from toru.actors.plugin_figures import Figures
from toru.actors.plugin_link import PluginLink
from toru.clock import monotonic
from toru.errors import ToruError, Unavailable

WAITING_LIMIT = 256
"""Requests that one plugin may have open; one more is refused with 503."""


class PluginRequests:
    """Passes requests on to the link and keeps them until they are answered."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._open: dict[asyncio.Future[PluginAnswer], int] = {}

    def forward(
        self, link: PluginLink | None, request: PluginRequest
    ) -> asyncio.Future[PluginAnswer]:
        """Send a request and return its answer to come.

        Raises:
            Unavailable: too many are open.
            ToruError: as `PluginLink.forward`.
        """
        if link is None or len(self._open) >= WAITING_LIMIT:
            self._figures.failed()
            raise Unavailable("The plugin has too many requests open.", code="plugin_busy")
        try:
            answer = link.forward(request)
        except ToruError as error:
            if error.status >= 500:
                self._figures.failed()
            raise
        self._open[answer] = request.id
        answer.add_done_callback(functools.partial(self._over, monotonic()))
        return answer

    def give_up(self, request_id: int) -> None:
        """Nobody waits for the answer to the request of this id any more."""
        for answer, known_id in self._open.items():
            if known_id == request_id:
                answer.cancel()
                return

    def _over(self, began: float, answer: asyncio.Future[PluginAnswer]) -> None:
        del self._open[answer]
        if answer.cancelled():
            return
        error = answer.exception()
        if error is None:
            self._figures.answered(monotonic() - began)
        elif not isinstance(error, ToruError) or error.status >= 500:
            self._figures.failed()
