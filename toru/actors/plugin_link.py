"""How the hub reaches a plugin's socket: what both versions of the protocol have in common.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import psutil

from toru.actors.messages.plugins import (
    BodyPiece,
    PluginAnswer,
    PluginRequest,
    SocketMessage,
    SocketMessages,
)
from toru.clock import monotonic
from toru.errors import ToruError
from toru.wire.unix_paths import reachable

ANSWER_S = 30.0
"""How long a plugin may take to answer a request."""

_BACKLOG_PAUSE_S = 0.005
_CREDENTIALS = struct.Struct("3i")  # struct ucred: pid, uid, gid (unix(7))


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
        socket_address: the same place as the plugin was told it.
        log_path: where its output goes.
        data_dir: a folder of its own.
        kv: does one action on its keys and returns the value; raises ToruError.
        call: does one call of version 2 and returns its value; raises ToruError.
        config: returns the plugin's settings as they are now, secrets among them.
        lost: the link is of no use any more; why, beginning with "It".
        extended: it asks for so many seconds more to start.
        pings: called with the misses in a row, 0 when it answers again.
        degraded: it says whether all is well, and why not.
        busy: what it says that it does before it is ready.
    """

    plugin_id: str
    pid: int
    instance: str
    instance_id: str
    socket_path: Path
    socket_address: str
    log_path: Path
    data_dir: Path
    kv: Callable[[str, str, str | None], Awaitable[str | None]]
    call: Callable[[str, dict[str, Any]], Awaitable[Any]]
    config: Callable[[], dict[str, Any]]
    lost: Callable[[str], None]
    extended: Callable[[float], None]
    pings: Callable[[int], None]
    degraded: Callable[[bool, str], None]
    busy: Callable[[str], None]


class PluginRequests(Protocol):
    """What is under way with one spawn of a plugin."""

    def forward(self, request: PluginRequest) -> asyncio.Future[PluginAnswer | None]:
        """Send a request and return its answer to come.

        The answer may be BadGateway, DeadlineExceeded, Unavailable or ProtocolFault.

        Raises:
            BadGateway, BodyNotText, TooLarge, Unavailable: it cannot be sent.
        """

    def write(self, request_id: int, data: bytes, *, end: bool) -> asyncio.Future[None] | None:
        """Send a piece of a request's body; return what to wait for before the next, if anything.

        What belongs to a request that is over is dropped.
        """

    def read(self, request_id: int) -> Awaitable[BodyPiece]:
        """Return the next piece of an answer's body. NotFound, and errors as of `forward`."""

    async def quiet(self) -> None:
        """Return when no answer is under way, but for those that do not end by themselves."""

    def give_up(self, request_id: int) -> None:
        """End a request, or close a WebSocket, that nobody waits for any more."""

    def open_socket(self, request: PluginRequest) -> asyncio.Future[PluginAnswer | None]:
        """Ask for a WebSocket; None as the answer to come is that it is open.

        Raises:
            BadRequest: the plugin takes none.
            BadGateway, TooLarge, Unavailable: it cannot be sent.
        """

    def write_socket(self, request_id: int, message: SocketMessage) -> asyncio.Future[None] | None:
        """Send a message on a WebSocket; as `write`."""

    def read_socket(self, request_id: int) -> Awaitable[SocketMessages]:
        """Return what came on a WebSocket. NotFound, and errors as of `forward`."""

    def close_socket(self, request_id: int, code: int) -> None:
        """Close a WebSocket."""


class PluginLink(Protocol):
    """One spawn's connections.

    Attributes:
        features: what the plugin says that it can; nothing in version 1.
    """

    @property
    def features(self) -> tuple[str, ...]: ...

    async def open(self) -> None:
        """Connect as soon as the plugin listens, and return when it takes requests.

        Raises:
            LinkBroken: it speaks another protocol, or is not the plugin.
        """

    @property
    def requests(self) -> PluginRequests:
        """What is under way. BadGateway when the plugin cannot be reached any more."""

    def tell_config(self) -> bool:
        """Tell it its settings, if it can take them while it runs; return whether it can."""

    def fail(self, sentence: str) -> None:
        """Answer everything that waits with 502."""

    async def goaway(self) -> None:
        """Say that no request will follow, and return when none is open."""

    async def shutdown(self) -> None:
        """Ask it to leave. LinkBroken when that cannot be said."""

    def close(self) -> None:
        """Close all connections; what waits is answered with 502."""


def settle(future: asyncio.Future[PluginAnswer | None], outcome: PluginAnswer | ToruError) -> None:
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


def check_peer(connection: socket.socket, pid: int) -> None:
    """Refuse a listener that is not of the plugin's processes: a stale orphan, or a stranger.

    A plugin may be a script that starts its server, which may lead a group of its own.

    Args:
        connection: to the listener.
        pid: the process that the runner has started, which leads its group and session.

    Raises:
        LinkBroken: the listener is another's.
    """
    if not hasattr(socket, "SO_PEERCRED"):
        return
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    peer = _CREDENTIALS.unpack(packed)[0]
    try:
        is_own = pid in (peer, os.getpgid(peer), os.getsid(peer)) or _descends(peer, pid)
    except (psutil.Error, OSError):
        is_own = peer == pid  # it has ended meanwhile, and the answer to that comes by itself
    if not is_own:
        raise LinkBroken(f"Another process ({peer}) listens on its socket.")


def _descends(peer: int, pid: int) -> bool:
    return any(parent.pid == pid for parent in psutil.Process(peer).parents())
