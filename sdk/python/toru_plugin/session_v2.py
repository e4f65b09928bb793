"""Protocol version 2: the greeting, calls and signs of life; requests are in ``exchange_v2``.

Runs on: the loop.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ._version import __version__
from .calls import Calls
from .errors import CallError, FrameError
from .exchange_v2 import ExchangeV2, positive, stream_id_of
from .frames import MAX_DATA_BYTES, MAX_JSON_BYTES_V2, Data, Message, encode
from .reports import write_line

if TYPE_CHECKING:
    from .connection import Connection
    from .server import Server

PROTOCOL = 2
MAX_ERROR_CHARS = 4096
FEATURES = ("http", "stream", "ws", "kv", "log", "event", "task", "config", "health", "bundle")
LIMITS = {
    "json_bytes": MAX_JSON_BYTES_V2,
    "data_bytes": MAX_DATA_BYTES,
    "streams": 64,
    "calls": 32,
    "stream_credit": 256 * 1024,
    "connection_credit": 4 * 1024 * 1024,
}


class SessionV2:
    """What is spoken over the one connection of version 2; also the way to the core."""

    def __init__(self, server: Server, connection: Connection) -> None:
        self._server = server
        self._connection = connection
        self._limits = dict(LIMITS)
        self._calls = Calls(self.send, server.spawn, LIMITS["calls"])
        self._exchange = ExchangeV2(server, connection, self, self._limits)
        self._greeted = False
        self.dropped = 0

    def send(self, message: Message) -> None:
        """Send a message.

        Raises:
            ValueError: it is too large or has no form in JSON.
        """
        self._connection.send(encode(message, self._limits["json_bytes"]))

    def send_error(
        self, stream_id: int, code: str, sentence: str, *, retryable: bool = False
    ) -> None:
        """Send an error about a stream; 0: about the connection."""
        message = sentence[:MAX_ERROR_CHARS]
        more = {"code": code, "message": message, "retryable": retryable}
        self.send({"type": "error", "id": stream_id, **more})

    # Messages from the core

    def received(self, message: Message) -> None:
        """Handle a message from the core."""
        kind = message.get("type")
        handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
        if handler is None:
            self._unknown(message, f"a message of type {str(kind)[:40]!r} is not known")
        else:
            handler(self, message)

    def end_lasting(self) -> None:
        """End what would not end by itself."""
        self._exchange.end_lasting()

    def received_data(self, data: Data) -> None:
        """Handle a piece of a body or of a message."""
        self._exchange.data(data)

    def broken(self, error: FrameError) -> None:
        """Tell the core why the connection ends."""
        self.send_error(0, error.code, str(error))

    def ended(self) -> bool:
        """Close: the core has gone."""
        return False

    def lost(self) -> None:
        """End what the connection carried."""
        self._calls.fail_all("the connection to the core is gone")
        self._server.unlink(self)
        self._exchange.lost()
        if self._greeted:
            self._server.orphaned(self)

    def _unknown(self, message: Message, sentence: str) -> None:
        self.send_error(stream_id_of(message) or 0, "UNKNOWN_TYPE", sentence)

    def _hello(self, message: Message) -> None:
        if self._greeted:
            raise FrameError("BAD_FRAME", "hello comes once")
        if PROTOCOL not in (message.get("protocols") or ()):
            raise FrameError("BAD_FRAME", f"this plugin speaks {PROTOCOL} after hello, and 1")
        self._greeted = True
        offered = message.get("features") or ()
        limits = message.get("limits") or {}
        for name, own in LIMITS.items():
            self._limits[name] = min(own, positive(limits.get(name)) or own)
        self._calls.limit(self._limits["calls"])
        self._exchange.agree(self._limits)
        self._server.replace_session(self)
        self.send(
            {
                "type": "hello_ok",
                "protocol": PROTOCOL,
                "instance": os.environ.get("TORU_INSTANCE") or message.get("instance"),
                "features": [name for name in self._own_features() if name in offered],
                "limits": self._limits,
                "sdk": f"toru-plugin-python/{__version__}",
            }
        )

    def _own_features(self) -> list[str]:
        plugin = self._server.plugin
        missing = {
            "health": plugin.health_check is None,
            "bundle": not plugin.serves("GET", "/bundle.js"),
            "config": not plugin.config_hooks,  # else the core restarts it after a change
        }
        return [name for name in FEATURES if not missing.get(name)]

    def _init(self, message: Message) -> None:
        self._server.link(self)
        self._server.spawn(self._start(message))

    async def _start(self, message: Message) -> None:
        if await self._server.begin(PROTOCOL, message):
            await self._server.plugin.core_events.subscribe(self)
            self.send({"type": "ready"})
        else:
            self.send_error(0, "INTERNAL", "The plugin could not start; see its log.")

    def _config(self, message: Message) -> None:
        config = message.get("config")
        if isinstance(config, dict):
            self._server.configure(config)

    def _ping(self, message: Message) -> None:
        self.send({"type": "pong", "n": message.get("n")})

    def _pong(self, message: Message) -> None:
        del message

    def _health(self, message: Message) -> None:
        self._server.spawn(self._tell_health(message))

    async def _tell_health(self, message: Message) -> None:
        trouble = await self._server.check_health()
        answer = {"type": "health", "id": stream_id_of(message) or 0, "ok": trouble is None}
        self.send(answer if trouble is None else {**answer, "text": trouble})

    def _event(self, message: Message) -> None:
        self._server.handle_event(message)

    def _goaway(self, message: Message) -> None:
        del message
        self._exchange.draining = True

    def _shutdown(self, message: Message) -> None:
        del message
        self._server.stop("the core said shutdown")

    def _result(self, message: Message) -> None:
        if not self._calls.answered(message.get("id"), message.get("value")):
            self.dropped += 1

    def _error(self, message: Message) -> None:
        error = CallError(
            str(message.get("code", "INTERNAL")),
            str(message.get("message", "")),
            retryable=message.get("retryable") is True,
        )
        if not self._calls.refused(message.get("id"), error):
            self.dropped += 1

    # The way to the core

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Ask the core for something."""
        return await self._calls.call(method, params)

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        """Send a log line, or write it to stderr when there are too many to be sent."""
        if not self._calls.log(level, message, fields):
            write_line(level, message, fields)

    def status(self, text: str, extend_s: float) -> None:
        """Say what a slow start is busy with."""
        self.send({"type": "status", "text": text, "extend_ms": int(extend_s * 1000)})

    def replaced(self) -> None:
        """End: the core has opened another connection."""
        self._connection.abort()


_HANDLERS: dict[str, Any] = {
    "hello": SessionV2._hello,
    "init": SessionV2._init,
    "config": SessionV2._config,
    "result": SessionV2._result,
    "error": SessionV2._error,
    "ping": SessionV2._ping,
    "pong": SessionV2._pong,
    "health": SessionV2._health,
    "event": SessionV2._event,
    "goaway": SessionV2._goaway,
    "shutdown": SessionV2._shutdown,
    "http": lambda session, message: session._exchange.http(message),
    "cancel": lambda session, message: session._exchange.cancel(message),
    "window": lambda session, message: session._exchange.window(message),
    "ws_open": lambda session, message: session._exchange.ws_open(message),
    "ws_close": lambda session, message: session._exchange.ws_close(message),
}
