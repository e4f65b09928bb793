"""The plugin's process: it listens, starts the plugin when the core says so, and stops in order.

Runs on: the main thread, whose loop it makes.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import traceback
from collections.abc import Collection, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Callable

from . import listening
from .connection import Connection, Session
from .errors import NeedsConfiguration, PluginError
from .frames import Message
from .host import Host, Link
from .reports import write_line
from .session_v1 import SessionV1
from .session_v2 import SessionV2

if TYPE_CHECKING:
    from .plugin import Plugin

EXIT_NEEDS_CONFIGURATION = 78
"""EX_CONFIG of sysexits.h; the core does not restart after it."""
DRAIN_TIMEOUT_S = 3.0
STOP_HOOK_TIMEOUT_S = 4.0
CLOSE_TIMEOUT_S = 1.0
ORPHAN_TIMEOUT_S = 10.0


def run_process(plugin: Plugin, arguments: list[str]) -> None:
    """Serve until the core says stop, then end the process."""
    if arguments:
        _refuse(f"it takes no arguments but --metadata, not {' '.join(arguments)}")
    path = os.environ.get("TORU_PLUGIN_SOCKET", "")
    if not path:
        _refuse("TORU_PLUGIN_SOCKET is not set; Toru starts it from its plugins folder")
    code = asyncio.run(Server(plugin, path).serve())
    _exit(code)


def _refuse(sentence: str) -> Any:
    sys.stderr.write(f"This program is a plugin of Toru: {sentence}.\n")
    raise SystemExit(2)


def _exit(code: int) -> None:
    """End the process, even when a thread of a handler hangs."""
    if all(thread.daemon or thread is threading.main_thread() for thread in threading.enumerate()):
        raise SystemExit(code)
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


class Server:
    """One plugin on one socket.

    Args:
        plugin: what is served.
        path: where the socket is to be.

    Attributes:
        connections: those that are open.
    """

    def __init__(self, plugin: Plugin, path: str) -> None:
        self.plugin = plugin
        self.connections: set[Connection] = set()
        self._path = path
        self._tasks: set[asyncio.Task[Any]] = set()
        self._begun: asyncio.Task[bool] | None = None
        self._session: SessionV2 | None = None
        self._exit_code = 0
        self._orphan_timer: asyncio.TimerHandle | None = None
        self._config_is_news = False
        self._telling_config = False

    async def serve(self) -> int:
        """Listen until something stops the plugin, and return the exit code."""
        self._loop = asyncio.get_running_loop()
        self._stopping = asyncio.Event()
        self._host = Host()
        self.plugin.attach(self._host)
        try:
            listener = listening.listen(self._path)
        except PluginError as error:
            write_line("error", f"The plugin cannot start: {error}", {})
            return 1
        own = listening.identity(self._path)
        self._catch_signals()
        server = await self._loop.create_unix_server(lambda: Connection(self), sock=listener)
        try:
            await self._stopping.wait()
        finally:
            server.close()
            await self._end()
            listening.remove(self._path, own)
        return self._exit_code

    def _catch_signals(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_signal, number)

    def _on_signal(self, number: signal.Signals) -> None:
        self.stop(f"{number.name} came")

    def stop(self, why: str) -> None:
        """End the plugin in order; further calls change nothing."""
        if not self._stopping.is_set():
            write_line("debug", f"The plugin stops: {why}.", {})
            self._stopping.set()

    @property
    def stopping(self) -> bool:
        """Whether the plugin is about to end."""
        return self._stopping.is_set()

    async def _end(self) -> None:
        if self._session is not None:
            self._session.end_lasting()
        await _finish(self._tasks, DRAIN_TIMEOUT_S)
        if self.ready:
            await self._run_stop_hooks()
            await _finish(self._tasks, CLOSE_TIMEOUT_S)
        for connection in list(self.connections):
            connection.close()
        await _finish([connection.lost for connection in self.connections], CLOSE_TIMEOUT_S)
        self.plugin.attach(None)
        self._host.close()

    async def _run_stop_hooks(self) -> None:
        hooks = [self._host.invoke_hook(hook) for hook in reversed(self.plugin.stop_hooks)]
        deadline = self._loop.time() + STOP_HOOK_TIMEOUT_S
        for hook in hooks:
            try:
                await asyncio.wait_for(hook, max(0.0, deadline - self._loop.time()))
            except asyncio.TimeoutError:
                write_line("error", "on_stop took too long and was left.", {})
            except Exception:
                write_line("error", "on_stop failed.", {"error": traceback.format_exc()})

    # For the sessions

    def session_for(self, first: Message, connection: Connection) -> Session:
        """Return the session that a connection's first message asks for."""
        if first.get("type") == "hello":
            connection.limit_to_version_2()
            return SessionV2(self, connection)
        return SessionV1(self, connection)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[Any]:
        """Run a coroutine that the stop waits for."""
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            lines = traceback.format_exception(type(error), error, error.__traceback__)
            write_line("error", "The plugin library failed.", {"error": "".join(lines)})

    def replace_session(self, session: SessionV2) -> None:
        """Have a session be the only one of version 2: a core that comes back is the only core."""
        if self._session is not None and self._session is not session:
            self._session.replaced()
        self._session = session

    def link(self, link: Link) -> None:
        """Have a session be the way to the core."""
        self._host.link = link
        if self._orphan_timer is not None:
            self._orphan_timer.cancel()
            self._orphan_timer = None

    def unlink(self, link: Link) -> None:
        """Have a session be the way to the core no more."""
        if self._host.link is link:
            self._host.link = None

    def orphaned(self, session: SessionV2) -> None:
        """Stop soon unless the core comes back: its one connection is gone."""
        if self._session is session and self._orphan_timer is None and not self.stopping:
            self._orphan_timer = self._loop.call_later(
                ORPHAN_TIMEOUT_S, self.stop, "the core has gone"
            )

    @property
    def ready(self) -> bool:
        """Whether the plugin has started."""
        return self._begun is not None and self._begun.done() and self._begun.result()

    def begin(self, protocol: int, init: Message) -> asyncio.Task[bool]:
        """Start the plugin unless that was done; the task's result is whether it could start."""
        plugin = self.plugin
        plugin.protocol = protocol
        plugin.instance_id = _text(init.get("instance_id")) or plugin.instance_id
        plugin.data_dir = _text(init.get("data_dir")) or plugin.data_dir
        plugin.log_path = _text(init.get("log_path")) or plugin.log_path
        if isinstance(init.get("config"), dict):
            plugin.take_config(init["config"])
        if self._begun is None:
            self._begun = self._loop.create_task(self._run_start_hooks())
        return self._begun

    async def _run_start_hooks(self) -> bool:
        try:
            for hook in self.plugin.start_hooks:
                await self._host.invoke_hook(hook)
        except NeedsConfiguration as error:
            self._fail_start(EXIT_NEEDS_CONFIGURATION, f"It needs configuration: {error}", {})
        except Exception:
            self._fail_start(1, "on_start failed.", {"error": traceback.format_exc()})
        else:
            return True
        return False

    def _fail_start(self, code: int, message: str, fields: dict[str, Any]) -> None:
        write_line("error", message, fields)
        self._exit_code = code
        self._loop.call_soon(self.stop, "it could not start")

    def handle_event(self, message: Message) -> None:
        """Have the plugin's handlers called with an event."""
        work = self.plugin.core_events.received(message, self._host)
        if work is not None:
            self._tasks.add(work)
            work.add_done_callback(self._finished)

    def configure(self, config: dict[str, Any]) -> None:
        """Have changed settings, and tell the plugin."""
        self.plugin.take_config(config)
        self._config_is_news = True
        if not self._telling_config:
            self._telling_config = True
            self.spawn(self._tell_config())

    async def _tell_config(self) -> None:
        try:
            if self._begun is None or not await self._begun:
                return
            while self._config_is_news:
                self._config_is_news = False
                for hook in self.plugin.config_hooks:
                    await self._run_config_hook(hook)
        finally:
            self._telling_config = False

    async def _run_config_hook(self, hook: Callable[[], Any]) -> None:
        try:
            await self._host.invoke_hook(hook)
        except NeedsConfiguration as error:
            self._fail_start(EXIT_NEEDS_CONFIGURATION, f"It needs configuration: {error}", {})
        except Exception:
            write_line("error", "on_config failed.", {"error": traceback.format_exc()})

    async def check_health(self) -> str | None:
        """Return what is wrong with the plugin, or None."""
        if self.plugin.health_check is None:
            return None
        try:
            found = await self._host.invoke_hook(self.plugin.health_check)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        if found is None or found is True:
            return None
        return found if isinstance(found, str) else "It is not well."


async def _finish(work: Collection[asyncio.Future[Any]], timeout_s: float) -> None:
    if work:
        await asyncio.wait(work, timeout=timeout_s)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
