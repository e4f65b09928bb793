"""Server-sent events (HTML standard, 9.2).

Runs on: any thread.
"""

from __future__ import annotations

import json
import re
from typing import Any, NamedTuple

from .errors import PluginError
from .headers import HeaderSource
from .messages import EVENT_STREAM, Response

KEEP_ALIVE_S = 15.0
KEEP_ALIVE = b": keep-alive\n\n"
_LINE_END = re.compile(r"\r\n|\r|\n")


class ServerEvent(NamedTuple):
    """One event.

    Attributes:
        data: text, or what becomes JSON; None: the event only sets ``id`` or ``retry_ms``.
        event: its type; the browser calls the listeners of that name, else ``onmessage``.
        id: comes back as the header ``Last-Event-ID`` when the browser connects again.
        retry_ms: how long the browser waits before it does.
    """

    data: Any = None
    event: str | None = None
    id: str | None = None
    retry_ms: int | None = None

    def encode(self) -> bytes:
        """Return the event's bytes.

        Raises:
            PluginError: a field has a line break, or the data has no form in JSON.
        """
        lines = []
        for name, value in (("event", self.event), ("id", self.id), ("retry", self.retry_ms)):
            if value is not None:
                lines.append(f"{name}: {_one_line(name, str(value))}")
        if self.data is not None:
            lines += [f"data: {line}" for line in _LINE_END.split(_text(self.data))]
        return ("\n".join(lines) + "\n\n").encode("utf-8", "replace")


class EventStream(Response):
    """An answer that goes on: an ``EventSource`` in the browser receives what is yielded.

    There is no time limit. The iterator is closed as soon as the browser leaves.

    Args:
        events: an asynchronous or plain iterator of `ServerEvent`, text, or what becomes JSON.
        keep_alive_s: seconds of silence after which a comment is sent, so that nothing between
            the plugin and the browser takes the connection for dead; None: never.
        headers: further ones.
    """

    def __init__(
        self,
        events: Any,
        *,
        keep_alive_s: float | None = KEEP_ALIVE_S,
        headers: HeaderSource = None,
    ) -> None:
        super().__init__(200, headers, stream=events, content_type=EVENT_STREAM)
        self.set_header("Cache-Control", "no-cache")
        self.keep_alive_s = keep_alive_s

    def encode(self, item: Any) -> bytes:
        """Return the bytes of an event."""
        return (item if isinstance(item, ServerEvent) else ServerEvent(item)).encode()


def _text(data: Any) -> str:
    if isinstance(data, str):
        return data
    try:
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise PluginError(f"a {type(data).__name__} is no event: {error}") from None


def _one_line(name: str, value: str) -> str:
    if _LINE_END.search(value) or "\0" in value:
        raise PluginError(f"the {name} of an event has a line break: {value!r}")
    return value
