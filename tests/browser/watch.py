"""Watches a page for what no page may do: console errors, other hosts, dialogs.

Runs on: the test's thread.
"""

from __future__ import annotations

import re
from collections import deque
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, WebSocket

_BAD = ("error", "warning")
_LOCAL_SCHEMES = ("data", "blob")


class PageWatch:
    """Collects what is wrong on the pages of a context, except for what was announced.

    Attributes:
        frames: the last that was said over WebSockets, for whoever reads of a failure.
    """

    def __init__(self, context: BrowserContext, base_url: str) -> None:
        self._host = urlsplit(base_url).netloc
        self._announced: list[re.Pattern[str]] = []
        self._allowed: list[re.Pattern[str]] = []
        self._seen: set[re.Pattern[str]] = set()
        self._wrong: list[str] = []
        self.frames: deque[str] = deque(maxlen=80)
        context.on("console", self._console)
        context.on("request", self._request)
        context.on("page", self._page)

    def expect(self, pattern: str) -> None:
        """Announce a console message: Chromium itself reports each refused request."""
        self._announced.append(re.compile(pattern))

    def allow(self, pattern: str) -> None:
        """Allow a console message that may also not come: tries to reach a hub that is away."""
        self._allowed.append(re.compile(pattern))

    def check(self) -> None:
        """Fail when something was wrong, or an announced message stayed away."""
        assert not self._wrong, "\n".join(self._wrong)
        missing = [pattern.pattern for pattern in self._announced if pattern not in self._seen]
        assert not missing, f"announced, but never seen in the console: {missing}"

    def _page(self, page: Page) -> None:
        page.on("pageerror", lambda error: self._wrong.append(f"uncaught: {error}"))
        page.on("dialog", lambda dialog: self._wrong.append(f"dialog: {dialog.message}"))
        page.on("websocket", self._websocket)

    def _websocket(self, socket: WebSocket) -> None:
        self._address(socket.url)
        socket.on("framesent", lambda frame: self._frame(">", frame))
        socket.on("framereceived", lambda frame: self._frame("<", frame))

    def _frame(self, direction: str, frame: str | bytes) -> None:
        if '"topic":"resources"' not in str(frame):
            self.frames.append(f"{direction} {str(frame)[:200]}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in _BAD:
            return
        text = f"{message.text} ({message.location.get('url', '')})"
        matching = [pattern for pattern in self._announced if pattern.search(text)]
        self._seen.update(matching)
        if not matching and not any(pattern.search(text) for pattern in self._allowed):
            self._wrong.append(f"console {message.type}: {text}")

    def _request(self, request: Request) -> None:
        self._address(request.url)

    def _address(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in _LOCAL_SCHEMES and parts.netloc != self._host:
            self._wrong.append(f"another host was asked: {url}")
