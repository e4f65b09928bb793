"""Whether a plugin has a page: the file of a bundle, or an answer to ``GET /bundle.js``.

Runs on: the event loop, owned by one `Plugin`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from toru.actors.messages.plugins import PluginRequest
from toru.actors.plugin_link import PluginLink
from toru.domain.plugin_headers import request_headers
from toru.errors import DeadlineExceeded, ToruError, Unavailable

ANSWER_S = 5.0
PAUSES_S = (0.0, 5.0, 30.0)
"""Before each time that a plugin which takes its time over the question is asked it."""

_ASKER = "toru"
_NUMBER = 0
"""Of the question; the numbers of browsers' requests are above it."""


def bundle_request(user: str, role: str, number: int) -> PluginRequest:
    """Return the request for the bundle that a plugin serves itself."""
    headers = request_headers((), user=user, role=role, client_address="", scheme="", host="")
    return PluginRequest("GET", "/bundle.js", headers, b"", user=user, role=role, id=number)


class PluginPage:
    """Asks a plugin without a bundle's file for one whenever it has got ready, in the background.

    An answer holds until the next one. A plugin that dies over the question, or answers what is
    not understood, has no page, and is not asked again before its file is another one.
    """

    def __init__(
        self,
        has_file: bool,
        begin: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
        changed: Callable[[], None],
    ) -> None:
        """Create it.

        Args:
            has_file: whether there is the file of a bundle.
            begin: runs a coroutine in the background.
            changed: called when `exists` has changed.
        """
        self._has_file = has_file
        self._begin = begin
        self._changed = changed
        self._serves_it = False
        self._is_asked = False
        self._is_harmed = False
        self._link: PluginLink | None = None
        self._asking: asyncio.Task[None] | None = None

    @property
    def exists(self) -> bool:
        """Whether there is a page, as far as it is known."""
        return self._has_file or self._serves_it

    def note_file(self, has_file: bool) -> None:
        """Take note of a bundle's file that has come or gone."""
        self._set(has_file=has_file)
        if not has_file and self._link is not None:
            self.ask(self._link)

    def note_other_binary(self) -> None:
        """Take note that the plugin is another one from its next start on."""
        self._is_harmed = False

    def ask(self, link: PluginLink) -> None:
        """Ask a plugin that has got ready."""
        self.stop_asking()
        self._link = link
        if not self._has_file and not self._is_harmed:
            self._asking = self._begin(self._ask(link))

    def stop_asking(self) -> None:
        """Ask no more: the plugin is to leave."""
        self._link = None
        self._is_asked = False
        if self._asking is not None:
            self._asking.cancel()
            self._asking = None

    def note_failure(self) -> None:
        """Take note that the plugin has failed, maybe because of the question."""
        if self._is_asked:
            self._is_harmed = True
        self.stop_asking()

    async def _ask(self, link: PluginLink) -> None:
        for pause_s in PAUSES_S:
            await asyncio.sleep(pause_s)
            self._is_asked = True
            serves_it = await self._answer(link)
            self._is_asked = False
            if serves_it is not None:
                self._set(serves_it=serves_it)
                return

    async def _answer(self, link: PluginLink) -> bool | None:
        """Return whether the plugin serves a bundle; None when it does not say so in time."""
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await link.requests.forward(bundle_request(_ASKER, "admin", _NUMBER))
        except (TimeoutError, DeadlineExceeded, Unavailable):
            return None
        except ToruError:
            self._is_harmed = True
            return False
        finally:
            with contextlib.suppress(ToruError):
                link.requests.give_up(_NUMBER)  # late, or of its body nothing is wanted
        return answer is not None and answer.status == 200

    def _set(self, *, has_file: bool | None = None, serves_it: bool | None = None) -> None:
        before = self.exists
        self._has_file = self._has_file if has_file is None else has_file
        self._serves_it = self._serves_it if serves_it is None else serves_it
        if self.exists != before:
            self._changed()
