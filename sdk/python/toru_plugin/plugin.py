"""A plugin: what it is called, what it serves, and its ways to the core.

Runs on: made on the main thread at import time; `Plugin.run` takes that thread. Handlers that are
``async`` run on the loop and must not block it; plain functions run on threads.
"""

from __future__ import annotations

import json
import re
import sys
from typing import TYPE_CHECKING, Any, Callable, TypeVar

from . import assets
from .core_events import CoreEvents
from .errors import PluginError
from .messages import Request, Response
from .reports import Events, Log, write_line
from .serving import DEFAULT_MAX_BODY_BYTES, Serving
from .settings import checked_schema, with_defaults
from .sockets import MAX_MESSAGE_BYTES
from .storage import Kv

if TYPE_CHECKING:
    from .host import Host
    from .pieces import Pieces
    from .sockets import WebSocket

Function = TypeVar("Function", bound=Callable[..., Any])

PROTOCOLS = (1, 2)
_ID = re.compile(r"[A-Za-z0-9-]{1,64}")


class Plugin:
    """A plugin of Toru.

    Args:
        id: letters, digits and hyphens; unique among the plugins of a hub.
        name: for people.
        version: for people.
        route: where its routes are in the hub, such as ``/hello``.
        author: for people.
        icon: a character, or a name, for the dashboard.
        max_body_bytes: how long a request's body may be that is collected for its handler; longer
            ones are answered with 413. Handlers with ``stream=True`` have no such limit.
        sandbox: have the page shown in a sandbox, shut off from the dashboard.
        settings: a JSON Schema of its settings, from which the dashboard draws a form.

    Attributes:
        kv: its keys and values; see `Kv`.
        log: its log; see `Log`.
        events: its events; see `Events`.
        config: the values of its settings, with defaults. A change puts another dict in its place,
            so whoever has taken it once sees one state of all settings.
        instance_id: the hub's own id, for licence checks; None before the start.
        data_dir: a folder for its files; None when the core names none.
        log_path: the file that its log lines go to.
        protocol: 1 or 2 once the core has spoken, else None.

    Raises:
        PluginError: a value is not allowed.
    """

    def __init__(
        self,
        *,
        id: str,  # noqa: A002 - as the protocol calls it
        name: str,
        version: str,
        route: str,
        author: str | None = None,
        icon: str | None = None,
        max_body_bytes: int = DEFAULT_MAX_BODY_BYTES,
        sandbox: bool = False,
        settings: dict[str, Any] | None = None,
    ) -> None:
        if not _ID.fullmatch(id):
            raise PluginError(f"the id {id!r} must be 1 to 64 letters, digits and hyphens")
        if not route.startswith("/") or ".." in route:
            raise PluginError(f'the route {route!r} must begin with "/" and have no ".." in it')
        self.id, self.name, self.version, self.route = id, name, version, route
        self.author, self.icon, self.sandbox = author, icon, sandbox
        self.kv, self.log, self.events = Kv(self), Log(self), Events(self)
        self.settings = None if settings is None else checked_schema(settings)
        self.config: dict[str, Any] = with_defaults(settings, {})
        self._config_serial = 0
        self.instance_id: str | None = None
        self.data_dir: str | None = None
        self.log_path: str | None = None
        self.protocol: int | None = None
        self.start_hooks: list[Callable[[], Any]] = []
        self.stop_hooks: list[Callable[[], Any]] = []
        self.config_hooks: list[Callable[[], Any]] = []
        self.health_check: Callable[[], Any] | None = None
        self.core_events = CoreEvents()
        self._serving = Serving(self.log, max_body_bytes)
        self._host: Host | None = None

    # What it serves

    def on(
        self, method: str, path: str, *, stream: bool = False, max_body_bytes: int | None = None
    ) -> Callable[[Function], Function]:
        """Serve a method at a path with the decorated function.

        The function is called with the `Request`, and with the path's placeholders as keywords. It
        returns a dict or list (JSON), a str (text), a `Response` or None (204), or yields bytes.

        Args:
            method: such as ``GET``.
            path: such as ``/api/items/{id}``; ``{rest:path}`` also takes slashes.
            stream: call the function before the body is there; it reads `Request.stream` or
                `Request.reader`. Otherwise it has the whole body.
            max_body_bytes: instead of the plugin's limit; with ``stream``, instead of none.

        Raises:
            PluginError: the path is wrong or has a handler already.
        """

        def register(function: Function) -> Function:
            more = {"stream": stream, "max_body_bytes": max_body_bytes}
            self._serving.routes.add(method, path, function, **more)
            return function

        return register

    def get(self, path: str) -> Callable[[Function], Function]:
        """Serve GET (and HEAD); see `on`."""
        return self.on("GET", path)

    def post(self, path: str, **more: Any) -> Callable[[Function], Function]:
        """Serve POST; see `on`."""
        return self.on("POST", path, **more)

    def put(self, path: str, **more: Any) -> Callable[[Function], Function]:
        """Serve PUT; see `on`."""
        return self.on("PUT", path, **more)

    def patch(self, path: str, **more: Any) -> Callable[[Function], Function]:
        """Serve PATCH; see `on`."""
        return self.on("PATCH", path, **more)

    def delete(self, path: str) -> Callable[[Function], Function]:
        """Serve DELETE; see `on`."""
        return self.on("DELETE", path)

    def websocket(
        self, path: str, *, max_message_bytes: int = MAX_MESSAGE_BYTES
    ) -> Callable[[Function], Function]:
        """Serve WebSockets at a path with the decorated ``async`` function (protocol 2).

        It is called with a `WebSocket`, and with the path's placeholders as keywords.

        Args:
            path: as for `on`.
            max_message_bytes: how long a message may be; a longer one closes it with 1009.

        Raises:
            PluginError: the path is wrong or has a handler already, or the function is not
                ``async``.
        """
        from inspect import iscoroutinefunction  # slow to import

        def register(function: Function) -> Function:
            if not iscoroutinefunction(function):
                raise PluginError(f"the WebSocket {path} needs an async function")
            more = {"max_message_bytes": max_message_bytes}
            self._serving.sockets.add("GET", path, function, **more)
            return function

        return register

    def serves(self, method: str, path: str) -> bool:
        """Return whether a method has a handler at exactly this path of a route."""
        return self._serving.routes.has(method, path)

    def bundle(self, file: str = "bundle.js") -> None:
        """Serve a file beside the calling module as the plugin's page, ``/bundle.js``."""
        self._serve_file("/bundle.js", file, None, sys._getframe(1).f_globals)

    def asset(self, path: str, file: str, content_type: str | None = None) -> None:
        """Serve a text file that lies beside the calling module.

        Args:
            path: where.
            file: its name, from that module's folder.
            content_type: instead of the one that its name implies.
        """
        self._serve_file(path, file, content_type, sys._getframe(1).f_globals)

    def _serve_file(
        self, path: str, file: str, content_type: str | None, module: dict[str, Any]
    ) -> None:
        kind = content_type or assets.content_type(file)

        def serve(_: Request) -> Response:
            return Response(200, body=assets.read(module, file), content_type=kind)

        self._serving.routes.add("GET", path, serve)

    # Its life

    def on_start(self, function: Function) -> Function:
        """Call the decorated function, without arguments, before the first request."""
        self.start_hooks.append(function)
        return function

    def on_stop(self, function: Function) -> Function:
        """Call the decorated function when the plugin ends; it has about four seconds."""
        self.stop_hooks.append(function)
        return function

    def on_config(self, function: Function) -> Function:
        """Call the decorated function, without arguments, when the settings have changed.

        `config` has the new values then. It is not called at the start, and never twice at once:
        what changes meanwhile is told by one more call after it. An ``async`` function runs on the
        loop, a plain one on a thread. Without any such function the core restarts the plugin
        instead, as it does with protocol 1.
        """
        self.config_hooks.append(function)
        return function

    def health(self, function: Function) -> Function:
        """Ask the decorated function for the plugin's health, every 30 seconds (protocol 2).

        It returns None or True when all is well; False, a sentence, or an exception otherwise.
        """
        self.health_check = function
        return function

    def on_event(self, name: str) -> Callable[[Function], Function]:
        """Call the decorated function with each `PluginEvent` of a name (protocol 2).

        There are ``task.started`` and ``task.finished``, and ``plugin.<id>.<name>``, which is what
        the plugin of that id emits. Events are handled one after the other.

        Args:
            name: one of these; the core refuses others, which the log says.
        """

        def register(function: Function) -> Function:
            self.core_events.handlers.setdefault(name, []).append(function)
            return function

        return register

    def status(self, text: str, *, extend_s: float = 0) -> None:
        """Say what a slow start is busy with, and ask for more time.

        Args:
            text: for the person who waits.
            extend_s: how many seconds more are needed; the start may take 10 minutes in all.
        """
        if self._host is None or not self._host.soon(self._pass_status, text, extend_s):
            write_line("info", text, {})

    def _pass_status(self, text: str, extend_s: float) -> None:
        link = self._host.link if self._host is not None else None
        if link is None:
            write_line("info", text, {})
        else:
            link.status(text, extend_s)

    @property
    def metadata(self) -> dict[str, Any]:
        """What ``--metadata`` prints."""
        optional = {"author": self.author, "icon": self.icon}
        return {
            "id": self.id,
            "name": self.name,
            "version": self.version,
            "route": self.route,
            **{field: value for field, value in optional.items() if value is not None},
            "protocols": list(PROTOCOLS),
            "health": self.health_check is not None,
            **({"sandbox": True} if self.sandbox else {}),
            **({} if self.settings is None else {"settings": self.settings}),
        }

    def run(self, arguments: list[str] | None = None) -> None:
        """Be the plugin's process: print the metadata, or serve until the core says stop.

        Never returns; the exit code is 0 after a stop, 1 when ``on_start`` failed, 2 when it was
        called wrongly, 78 after `NeedsConfiguration`.

        Args:
            arguments: instead of those of the command line.
        """
        given = sys.argv[1:] if arguments is None else arguments
        if given == ["--metadata"]:
            sys.stdout.write(json.dumps(self.metadata) + "\n")
            sys.stdout.flush()
            raise SystemExit(0)
        from .server import run_process  # asyncio is slow to import, and not needed above

        run_process(self, given)

    # Its ways to the core

    def call(
        self,
        method: str,
        params: dict[str, Any],
        convert: Callable[[Any], Any] = lambda value: value,
    ) -> Any:
        """Call a method of the core, such as ``task.run`` with ``{"script", "args"}``.

        Awaited on the loop, simply called elsewhere. With protocol 1 only ``kv.get``, ``kv.set``
        and ``kv.delete`` exist.

        Args:
            method: its name.
            params: what it is given.
            convert: makes the result out of what came over the wire.

        Raises:
            CallError: the core refused, or did not answer in time.
            PluginError: there is no way to the core at this moment.
        """
        from .host import converted

        if self._host is None:
            raise PluginError("the plugin does not run yet; use on_start")
        link = self._host.current_link()
        return self._host.run(converted(link.call(method, params), convert))

    def set_config(self, values: dict[str, Any]) -> Any:
        """Change some of the plugin's own settings, as the administrator's form does.

        Awaited on the loop, simply called elsewhere; protocol 2 only. `config` has the new values
        afterwards, and `on_config` is called as after any other change.

        Args:
            values: by name; None puts the default back, what is left out stays.

        Raises:
            CallError: the schema does not allow a value, and nothing has changed; or as for `call`.
        """
        serial = self._config_serial

        def take(config: dict[str, Any]) -> dict[str, Any]:
            # What the core has told meanwhile is at least as new as its answer.
            return self.take_config(config) if self._config_serial == serial else self.config

        return self.call("config.set", {"values": values}, take)

    def take_config(self, config: dict[str, Any]) -> dict[str, Any]:
        """Have these values, with defaults; for the sessions and the test kit."""
        self._config_serial += 1
        self.config = with_defaults(self.settings, config)
        return self.config

    def _write_log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        if self._host is None or not self._host.soon(self._pass_log, level, message, fields):
            write_line(level, message, fields)

    def _pass_log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        link = self._host.link if self._host is not None else None
        if link is None:
            write_line(level, message, fields)
        else:
            link.log(level, message, fields)

    def attach(self, host: Host | None) -> None:
        """Give the plugin the place where its functions run."""
        self._host = host

    # Serving; called by the sessions and the test kit

    async def handle(self, request: Request) -> tuple[Response, Pieces | None]:
        """Answer a request; see `Serving.handle`."""
        return await self._serving.handle(self._running_host(), request)

    async def serve_socket(self, socket: WebSocket) -> Response | None:
        """Serve a WebSocket to its end; see `Serving.serve_socket`."""
        return await self._serving.serve_socket(self._running_host(), socket)

    def failed(self, message: str, details: str) -> Response:
        """Log a fault and return the answer that says no more than that there was one."""
        return self._serving.failed(message, details)

    def _running_host(self) -> Host:
        if self._host is None:
            raise PluginError("the plugin does not run yet")
        return self._host
