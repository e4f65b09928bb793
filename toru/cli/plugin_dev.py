"""``toru plugin dev``: build, run, watch, restart, and show what the plugin says, until Ctrl-C.

The plugin runs in a real hub of its own. A save is built beside; only what works replaces the one
that runs, so that a mistake never takes it away.

Runs on: an event loop of its own on the main thread; builds run on a thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tornado.websocket import WebSocketClientConnection

from toru.cli.client import HubClient
from toru.cli.dev_files import GrowingFile, Look, changes, look
from toru.cli.dev_hub import DevHub
from toru.cli.dev_screen import Screen
from toru.cli.failure import CommandError
from toru.cli.plugin_build import BuildError, Built, build_plugin, copy_plugin
from toru.cli.sessions import SessionStore
from toru.cli.terminal import abandon_stdout
from toru.clock import monotonic

WATCH_S = 0.1
"""How often the sources are looked at."""
_SETTLED_S = 0.03
"""So long files must have stayed the same; an editor may save several."""
_LOG_S = 0.1
# Where a build lies while it is tried; authors know their files by other names.
_IN_BUILD = re.compile(r"[^\s\"']*/\.build-[^/\s]+/[^/\s]+\.binary/")
_QUIET = {"stopping", "discovered"}


def develop(source: Path, port: int) -> int:
    """Run a plugin from its sources until the author has enough.

    Args:
        source: its folder, or a file that is built by something else.
        port: where the hub listens; 0 for a free port.

    Returns:
        The exit code.

    Raises:
        CommandError: the sources are not there, or the hub fails.
    """
    if not source.exists():
        raise CommandError(f"There is no {source}.", exit_code=2)
    scratch = Path(tempfile.mkdtemp(prefix="toru-dev-"))
    try:
        return asyncio.run(_develop(source.resolve(), port, scratch))
    except BrokenPipeError:
        abandon_stdout()
        return 0
    finally:
        shutil.rmtree(scratch)


async def _develop(source: Path, port: int, scratch: Path) -> int:
    hub, screen, enough = DevHub(scratch, port), Screen(), asyncio.Event()
    with _signals(hub, enough):
        try:
            starting = asyncio.create_task(hub.start())
            await _first_of(starting, asyncio.create_task(enough.wait()))
            if not enough.is_set():
                screen.hub(hub.url, hub.password)
                session = Session(source, hub, screen, SessionStore(scratch / "sessions.json"))
                await session.run(enough)
            screen.note("Ending the plugin and its hub …")
        finally:
            await hub.stop()
    return 0


@contextlib.contextmanager
def _signals(hub: DevHub, enough: asyncio.Event) -> Iterator[None]:
    """Let Ctrl-C and its like end the command in order; a second one does not wait."""

    def end() -> None:
        if enough.is_set():
            hub.kill()
        enough.set()

    loop = asyncio.get_running_loop()
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    for number in numbers:
        loop.add_signal_handler(number, end)
    try:
        yield
    finally:
        for number in numbers:
            loop.remove_signal_handler(number)


async def _first_of(*tasks: asyncio.Task[Any]) -> None:
    """Wait until one task has ended, cancel the others, and raise what any has raised."""
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException) and not isinstance(outcome, asyncio.CancelledError):
            raise outcome


class Session:
    """One author's work on one plugin.

    Args:
        source: the plugin's folder, or its file.
        hub: where it runs.
        screen: what the author sees.
        sessions: keeps the login.
    """

    def __init__(self, source: Path, hub: DevHub, screen: Screen, sessions: SessionStore) -> None:
        self._source = source
        self._hub = hub
        self._screen = screen
        self._sessions = sessions
        self._target = hub.plugins_dir / f"{source.name.removesuffix('.binary')}.binary"
        self._seen: Look = {}
        self._built: Built | None = None
        self._log: GrowingFile | None = None
        self._saved_at: float | None = None
        self._told: tuple[str, str | None] = ("", None)

    async def run(self, enough: asyncio.Event) -> None:
        """Watch until the author has enough.

        Raises:
            CommandError: the hub has ended or cannot be watched.
        """
        client = HubClient(self._hub.url, "admin", self._sessions, lambda: self._hub.password)
        socket = await client.open_socket()
        try:
            topics = {"type": "subscribe", "topics": ["plugin-states"]}
            await socket.write_message(json.dumps(topics))
            works = (enough.wait(), self._watch(), self._show_states(socket), self._show_log())
            await _first_of(*[asyncio.create_task(work) for work in works])
        finally:
            socket.close()
            self._close_log()

    # Saves

    async def _watch(self) -> None:
        while True:
            found = look(self._source)
            names = changes(self._seen, found)
            if names and found:
                saved_at = monotonic() - _seconds_since_save(found)
                found = await self._settled(found)
                if self._seen:
                    self._screen.changed(names)
                self._seen = found
                await self._build(saved_at)
            await asyncio.sleep(WATCH_S)

    async def _settled(self, found: Look) -> Look:
        while True:
            await asyncio.sleep(_SETTLED_S)
            again = look(self._source)
            if again == found:
                return again
            found = again

    async def _build(self, saved_at: float) -> None:
        build = build_plugin if self._source.is_dir() else copy_plugin
        try:
            built = await asyncio.to_thread(build, self._source, self._target)
        except BuildError as error:
            sentence = _IN_BUILD.sub(f"{self._source.name}/", error.sentence)
            self._screen.failed(sentence, serves=self._built is not None)
            return
        if self._built is None or built.metadata.id != self._built.metadata.id:
            self._close_log()
            self._log = GrowingFile(self._hub.log_path(built.metadata.id))
        is_new = self._built is None or built.metadata != self._built.metadata
        self._built, self._saved_at = built, saved_at
        self._screen.built(built)
        if is_new:
            self._screen.places(built, self._hub.url)

    # What the hub says

    async def _show_states(self, socket: WebSocketClientConnection) -> None:
        while True:
            text = await socket.read_message()
            if text is None:
                await self._hub.ended.wait()
                raise CommandError(f"The hub has ended.\n{self._hub.last_words}", exit_code=1)
            data = json.loads(text).get("data")
            view = data.get("plugin") if isinstance(data, dict) else None
            if isinstance(view, dict):
                self._show_state(str(view["state"]), view["reason"])

    def _show_state(self, state: str, reason: str | None) -> None:
        if state in _QUIET or (state, reason) == self._told:
            return
        self._told = (state, reason)
        seconds = None
        if state == "ready" and self._saved_at is not None:
            seconds, self._saved_at = monotonic() - self._saved_at, None
        self._screen.state(state, reason, seconds)

    def _close_log(self) -> None:
        if self._log is not None:
            self._log.close()

    async def _show_log(self) -> None:
        while True:
            if self._log is not None:
                for line in self._log.read():
                    self._screen.log(line)
            await asyncio.sleep(_LOG_S)


def _seconds_since_save(found: Look) -> float:
    """Return how long ago the newest file was saved; no longer than it can go unnoticed."""
    newest = max(mtime_ns for mtime_ns, *_ in found.values()) / 1e9
    return min(max(time.time() - newest, 0.0), WATCH_S)
