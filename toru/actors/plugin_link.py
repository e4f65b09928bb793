"""How the hub reaches a plugin's socket: what both versions of the protocol have in common.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from toru.actors.messages.plugins import PluginAnswer, PluginRequest
from toru.clock import monotonic
from toru.errors import BadGateway, ToruError
from toru.wire.unix_paths import reachable

ANSWER_S = 30.0
"""How long a plugin may take to answer a request."""

_BACKLOG_PAUSE_S = 0.005


class LinkBroken(Exception):
    """The plugin cannot be reached, or broke the protocol; the sentence begins with "It"."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True)
class LinkContext:
    """What a link needs to know, and whom it calls.

    Attributes:
        plugin_id: the plugin.
        pid: its process, which leads its process group.
        instance: the UUID of this spawn.
        instance_id: the UUID of this installation.
        socket_path: where the plugin listens.
        log_path: where its output goes.
        data_dir: a folder of its own.
        kv: does one action on its keys and returns the value; raises ToruError.
        call: does one call of version 2 and returns its value; raises ToruError.
        lost: the link is of no use any more; why, beginning with "It".
        extended: it asks for so many seconds more to start.
        pings: called with the misses in a row, 0 when it answers again.
        degraded: it says whether all is well, and why not.
    """

    plugin_id: str
    pid: int
    instance: str
    instance_id: str
    socket_path: Path
    log_path: Path
    data_dir: Path
    kv: Callable[[str, str, str | None], Awaitable[str | None]]
    call: Callable[[str, dict[str, Any]], Awaitable[Any]]
    lost: Callable[[str], None]
    extended: Callable[[float], None]
    pings: Callable[[int], None]
    degraded: Callable[[bool, str], None]


class PluginLink(Protocol):
    """One spawn's connections."""

    async def open(self) -> None:
        """Connect as soon as the plugin listens, and return when it takes requests.

        Raises:
            LinkBroken: it speaks another protocol, or is not the plugin.
        """

    async def forward(self, request: PluginRequest) -> PluginAnswer:
        """Send a request and return the answer.

        Raises:
            BadGateway, DeadlineExceeded, UnsupportedBody, TooLarge, Unavailable, ProtocolFault.
        """

    def fail(self, sentence: str) -> None:
        """Answer everything that waits with 502."""

    async def goaway(self) -> None:
        """Say that no request will follow, and return when none is open."""

    async def shutdown(self) -> None:
        """Ask it to leave. LinkBroken when that cannot be said."""

    def close(self) -> None:
        """Close all connections; what waits is answered with 502."""


class Waiting:
    """The requests that wait for an answer, each with what ends it early."""

    def __init__(self) -> None:
        self._futures: set[asyncio.Future[PluginAnswer]] = set()
        self._idle = asyncio.Event()
        self._idle.set()

    def __len__(self) -> int:
        return len(self._futures)

    def add(self) -> asyncio.Future[PluginAnswer]:
        """Return the future of a new request."""
        future: asyncio.Future[PluginAnswer] = asyncio.get_running_loop().create_future()
        self._futures.add(future)
        self._idle.clear()
        return future

    def remove(self, future: asyncio.Future[PluginAnswer]) -> None:
        """Forget a request that was answered."""
        self._futures.discard(future)
        if not self._futures:
            self._idle.set()

    def fail(self, sentence: str) -> None:
        """Answer all of them with 502."""
        for future in tuple(self._futures):
            settle(future, BadGateway(sentence))

    async def idle(self) -> None:
        """Return when none waits."""
        await self._idle.wait()


def settle(future: asyncio.Future[PluginAnswer], outcome: PluginAnswer | ToruError) -> None:
    """Set the outcome of a request that has none yet."""
    if future.done():
        return
    if isinstance(outcome, ToruError):
        future.set_exception(outcome)
    else:
        future.set_result(outcome)


async def connect(path: Path, deadline: float) -> socket.socket:
    """Return a connected socket, trying again while the plugin's queue is full.

    A connect(2) that waits for room would stop the event loop, so it is never let to wait.

    Args:
        path: where the plugin listens.
        deadline: monotonic seconds.

    Raises:
        OSError: nobody listens there, or the queue was full until the deadline.
    """
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            with reachable(path) as address:
                connection.connect(address)
        except BlockingIOError:
            connection.close()
            if monotonic() > deadline:
                raise TimeoutError("Its queue of connections stays full.") from None
        except BaseException:
            connection.close()
            raise
        else:
            return connection
        await asyncio.sleep(_BACKLOG_PAUSE_S)


async def connect_when_it_listens(path: Path) -> socket.socket:
    """Return a connected socket as soon as somebody listens; the caller sets the time limit."""
    pause_s = 0.005
    while True:
        try:
            return await connect(path, monotonic() + ANSWER_S)
        except OSError:
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.1)
