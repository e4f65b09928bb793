"""A core in memory, for the tests of a plugin: no hub, no socket, no process.

    class CounterTest(unittest.IsolatedAsyncioTestCase):
        async def test_it_counts(self):
            async with PluginTest(plugin) as test:
                answer = await test.post("/api/counter")
                self.assertEqual(answer.json(), {"count": 1})
                self.assertEqual(test.kv, {"count": "1"})

Runs on: the test's loop.
"""

from __future__ import annotations

import json as json_module
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Callable, NamedTuple
from urllib.parse import urlsplit

from .core_events import PluginEvent
from .errors import CallError
from .headers import HeaderSource
from .host import Host
from .messages import Request, Response
from .reports import utc_now
from .testing_streams import Answer, Refused, Sent, SentBody, StreamedAnswer, TestSocket

if TYPE_CHECKING:
    from .pieces import Pieces
    from .plugin import Plugin

__all__ = ["Answer", "Event", "LogRecord", "PluginTest", "Refused", "StreamedAnswer", "TestSocket"]

MAX_KEY_BYTES = 256
MAX_VALUE_BYTES = 256 * 1024
MAX_PAGE = 1000
MAX_BATCH = 100


class LogRecord(NamedTuple):
    """A line of the plugin's log."""

    level: str
    message: str
    fields: dict[str, Any]


class Event(NamedTuple):
    """An event that the plugin has told."""

    name: str
    data: Any


class PluginTest:
    """Runs a plugin against a core in memory.

    Args:
        plugin: the plugin; it must not run otherwise.
        kv: what is stored at first.
        config: the values of its settings; the others have their defaults.

    Attributes:
        kv: what is stored now.
        logs: what it has logged.
        events: what it has told.
        statuses: what it has said while it started.
        calls: further methods of the core by name, each called with the parameters.
    """

    def __init__(
        self,
        plugin: Plugin,
        *,
        kv: dict[str, str] | None = None,
        config: dict[str, Any] | None = None,
    ) -> None:
        self.plugin = plugin
        self.kv: dict[str, str] = dict(kv or {})
        self.logs: list[LogRecord] = []
        self.events: list[Event] = []
        self.statuses: list[str] = []
        self.calls: dict[str, Callable[[dict[str, Any]], Any]] = {}
        self._config = dict(config or {})
        self._versions: dict[str, int] = {}
        self._ends: dict[str, float] = {}
        self._last_version = 0
        self._ahead_s = 0.0
        self._host: Host | None = None

    async def __aenter__(self) -> PluginTest:
        await self.start()
        return self

    async def __aexit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Call what is to be called at the start; the first request does it too."""
        if self._host is not None:
            return
        self._host = Host()
        self._host.link = self
        plugin = self.plugin
        plugin.protocol, plugin.instance_id = 2, "test"
        plugin.take_config(self._config)
        plugin.attach(self._host)
        for hook in plugin.start_hooks:
            await self._host.invoke_hook(hook)

    async def stop(self) -> None:
        """Call what is to be called at the end."""
        if self._host is None:
            return
        for hook in reversed(self.plugin.stop_hooks):
            await self._host.invoke_hook(hook)
        self._host.close()
        self._host = None
        self.plugin.attach(None)

    async def tell(self, name: str, data: Any = None, *, timestamp: str = "") -> None:
        """Tell the plugin of an event, and return when its handlers are done with it."""
        await self.start()
        assert self._host is not None
        event = PluginEvent(name, data, timestamp or utc_now())
        for handler in self.plugin.core_events.handlers.get(name, ()):
            await self._host.invoke(handler, event)

    async def configure(self, values: dict[str, Any]) -> None:
        """Change some settings, as the administrator does; return when ``on_config`` has.

        Args:
            values: by name; None puts the default back, what is left out stays.
        """
        await self.start()
        assert self._host is not None
        changed = {**self._config, **values}
        self._config = {name: value for name, value in changed.items() if value is not None}
        self.plugin.take_config(self._config)
        for hook in self.plugin.config_hooks:
            await self._host.invoke_hook(hook)

    def advance(self, seconds: float) -> None:
        """Move the core's clock on, so that keys with a time to live go."""
        self._ahead_s += seconds

    # Requests

    async def request(
        self,
        method: str,
        target: str,
        *,
        json: Any = None,
        text: str | None = None,
        content: Sent | None = None,
        headers: HeaderSource = None,
        user: str | None = "admin",
        role: str | None = "admin",
    ) -> Answer:
        """Send a request and return the answer; a streamed one when it has ended.

        Args:
            method: such as ``GET``.
            target: the path with its query, without the plugin's route.
            json: the body, as JSON.
            text: the body, as it is.
            content: the body as bytes, or an asynchronous or plain iterable of its pieces.
            headers: the header fields.
            user: who asks.
            role: ``admin`` or ``client``.
        """
        if json is not None:
            text = json_module.dumps(json)
        if content is None:
            content = (text or "").encode()
        more: dict[str, Any] = {"content": content, "headers": headers, "user": user, "role": role}
        async with self.stream(method, target, **more) as answer:
            pieces = [piece async for piece in answer]
        return Answer(answer.status, answer.headers, b"".join(pieces))

    def stream(
        self,
        method: str,
        target: str,
        *,
        content: Sent = b"",
        headers: HeaderSource = None,
        user: str | None = "admin",
        role: str | None = "admin",
    ) -> StreamedAnswer:
        """Send a request whose answer is read as it comes; see `StreamedAnswer` and `request`."""
        body = SentBody(content)
        request = _request(method, target, body=body, headers=headers, user=user, role=role)

        async def ask() -> tuple[Response, Pieces | None]:
            await self.start()
            return await self.plugin.handle(request)

        return StreamedAnswer(ask)

    def websocket(
        self,
        target: str,
        *,
        headers: HeaderSource = None,
        user: str | None = "admin",
        role: str | None = "admin",
    ) -> TestSocket:
        """Open a WebSocket; see `TestSocket`. Raises `Refused` when it is not taken."""
        request = _request("GET", target, headers=headers, user=user, role=role)
        return TestSocket(request, self.start, self.plugin.serve_socket)

    async def get(self, target: str, **more: Any) -> Answer:
        """Send a GET; see `request`."""
        return await self.request("GET", target, **more)

    async def post(self, target: str, **more: Any) -> Answer:
        """Send a POST; see `request`."""
        return await self.request("POST", target, **more)

    async def put(self, target: str, **more: Any) -> Answer:
        """Send a PUT; see `request`."""
        return await self.request("PUT", target, **more)

    async def patch(self, target: str, **more: Any) -> Answer:
        """Send a PATCH; see `request`."""
        return await self.request("PATCH", target, **more)

    async def delete(self, target: str, **more: Any) -> Answer:
        """Send a DELETE; see `request`."""
        return await self.request("DELETE", target, **more)

    # The core, as the plugin sees it

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Answer a call of the plugin."""
        if method in self.calls:
            return self.calls[method](params)
        own = _METHODS.get(method)
        if own is None:
            raise CallError("UNKNOWN_TYPE", f"give PluginTest.calls[{method!r}] a function")
        self._expire()
        if method == "config.set":
            await self.configure(params["values"])
        return own(self, params)

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        """Keep a log line."""
        self.logs.append(LogRecord(level, message, fields))

    def status(self, text: str, extend_s: float) -> None:
        """Keep a status."""
        del extend_s
        self.statuses.append(text)

    def _expire(self) -> None:
        now = time.monotonic() + self._ahead_s
        for key in [key for key, end in self._ends.items() if end <= now]:
            del self._ends[key]
            self.kv.pop(key, None)

    def _entry(self, key: str) -> dict[str, Any]:
        return {"key": key, "value": self.kv[key], "version": self._version(key)}

    def _version(self, key: str) -> int:
        return self._versions.get(key, 1) if key in self.kv else 0

    def _kv_get(self, params: dict[str, Any]) -> dict[str, Any]:
        found = params["key"] in self.kv
        return self._entry(params["key"]) if found else {"value": None, "version": 0}

    def _kv_set(self, params: dict[str, Any]) -> dict[str, Any]:
        key, value = params["key"], params["value"]
        self._check_version(params)
        if not 1 <= len(key.encode()) <= MAX_KEY_BYTES or len(value.encode()) > MAX_VALUE_BYTES:
            raise CallError("TOO_LARGE", f"a key has {MAX_KEY_BYTES} bytes, a value 256 KiB")
        self._last_version = max(self._last_version, 1) + 1
        self.kv[key], self._versions[key] = value, self._last_version
        self._ends.pop(key, None)
        if params.get("ttl_s") is not None:
            self._ends[key] = time.monotonic() + self._ahead_s + params["ttl_s"]
        return {"version": self._last_version}

    def _kv_delete(self, params: dict[str, Any]) -> dict[str, Any]:
        self._check_version(params)
        self._ends.pop(params["key"], None)
        return {"deleted": self.kv.pop(params["key"], None) is not None}

    def _check_version(self, params: dict[str, Any]) -> None:
        wanted = params.get("if_version")
        if wanted is not None and wanted != self._version(params["key"]):
            raise CallError("CONFLICT", f"{params['key']} has another version")

    def _kv_list(self, params: dict[str, Any]) -> dict[str, Any]:
        if not 1 <= params["limit"] <= MAX_PAGE:
            raise CallError("DENIED", f"the limit is 1 to {MAX_PAGE}")
        after = params.get("cursor") or ""
        keys = sorted(key for key in self.kv if key.startswith(params["prefix"]) and key > after)
        page = keys[: params["limit"]]
        return {
            "entries": [self._entry(key) for key in page],
            "cursor": page[-1] if len(keys) > len(page) else None,
        }

    def _kv_batch(self, params: dict[str, Any]) -> dict[str, Any]:
        changes = params["changes"]
        if len(changes) > MAX_BATCH:
            raise CallError("TOO_LARGE", f"a batch has at most {MAX_BATCH} changes")
        before = dict(self.kv), dict(self._versions), dict(self._ends)
        try:
            return {"versions": [self._change(change) for change in changes]}
        except CallError:
            stored, self._versions, self._ends = before
            self.kv.clear()
            self.kv.update(stored)
            raise

    def _change(self, change: dict[str, Any]) -> int | None:
        if change["action"] == "set":
            return int(self._kv_set(change)["version"])
        self._kv_delete(change)
        return None

    def _emit(self, params: dict[str, Any]) -> None:
        self.events.append(Event(params["name"], params["data"]))

    def _get_config(self, _: dict[str, Any]) -> dict[str, Any]:
        return dict(self.plugin.config)


def _request(method: str, target: str, **more: Any) -> Request:
    parts = urlsplit(target)
    return Request(method, parts.path, query_string=parts.query, **more)


_METHODS: dict[str, Callable[[PluginTest, dict[str, Any]], Any]] = {
    "kv.get": PluginTest._kv_get,
    "kv.set": PluginTest._kv_set,
    "kv.delete": PluginTest._kv_delete,
    "kv.list": PluginTest._kv_list,
    "kv.batch": PluginTest._kv_batch,
    "event.emit": PluginTest._emit,
    "config.get": PluginTest._get_config,
    "config.set": PluginTest._get_config,
}
