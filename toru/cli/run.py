"""``toru run`` and ``toru attach``: follow one run through lost connections and Ctrl-C.

Runs on: an event loop of its own on the main thread.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Coroutine, Mapping
from typing import Any

from tornado.websocket import WebSocketClientConnection, WebSocketClosedError

from toru.cli.client import HubClient, HubUnreachable, client_from_environment
from toru.cli.failure import FAILED, INTERRUPTED, CommandError
from toru.cli.following import Ended, Following, Notice, Started, Write
from toru.cli.terminal import abandon_stdout, is_interactive, tell, write_output

SESSION_ENDED = 4401
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 15.0
_BROKEN_PIPE = 128 + signal.SIGPIPE
_QUESTION = "\ntoru: [c]ancel the run, [l]eave it running, or [g]o on watching? "


def run_script(
    name: str, arguments: list[str], *, follow: bool, url: str | None, username: str | None
) -> int:
    """Run a script on a hub.

    Args:
        name: the script's file name.
        arguments: parameters as ``key=value``.
        follow: whether to show the output and wait; otherwise the run's id is printed.
        url: the hub's address, or None for the one of the environment.
        username: who to log in as, or None for the one of the environment.

    Returns:
        The exit code.

    Raises:
        CommandError: the hub cannot be reached or refuses.
    """
    request = {"type": "run", "script": name, "args": _parameters(arguments)}
    return _finish(_run(Following(), request, follow=follow, url=url, username=username))


def attach_to_run(task_id: str, offset: int, *, url: str | None, username: str | None) -> int:
    """Follow a run that was started before.

    Args:
        task_id: the run.
        offset: the byte of its output to begin at.
        url: the hub's address, or None for the one of the environment.
        username: who to log in as, or None for the one of the environment.

    Returns:
        The exit code.

    Raises:
        CommandError: the hub cannot be reached or refuses.
    """
    following = Following(task_id, offset)
    return _finish(_run(following, None, follow=True, url=url, username=username))


def _parameters(arguments: list[str]) -> dict[str, str]:
    pairs = [argument.partition("=") for argument in arguments]
    for name, equals, _ in pairs:
        if not name or not equals:
            raise CommandError("--arg must be like name=value.", exit_code=2)
    return {name: value for name, _, value in pairs}


def _finish(work: Coroutine[Any, Any, int]) -> int:
    try:
        return asyncio.run(work)
    except BrokenPipeError:
        abandon_stdout()
        tell("Nobody reads the output any more; the run goes on.")
        return _BROKEN_PIPE


async def _run(
    following: Following,
    request: Mapping[str, object] | None,
    *,
    follow: bool,
    url: str | None,
    username: str | None,
) -> int:
    client = client_from_environment(url, username)
    return await Watch(client, following, request, follow=follow).to_the_end()


class Watch:
    """One command's watch of one run.

    Args:
        client: the hub.
        following: what is known of the run.
        request: the message that starts it, or None when it was started before.
        follow: whether to stay; otherwise the id is printed once it is known.
    """

    def __init__(
        self,
        client: HubClient,
        following: Following,
        request: Mapping[str, object] | None,
        *,
        follow: bool,
    ) -> None:
        self._client = client
        self._following = following
        self._request = request
        self._follow = follow
        self._interrupts: asyncio.Queue[None] = asyncio.Queue()
        self._socket: WebSocketClientConnection | None = None
        self._exit_code: int | None = None

    async def to_the_end(self) -> int:
        """Follow until the run ends or the person leaves; return the exit code.

        Raises:
            CommandError: the hub cannot be reached at first, or refuses.
            BrokenPipeError: nobody reads the output any more.
        """
        self._socket = await self._client.open_socket()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGINT, self._interrupts.put_nowait, None)
        try:
            while True:
                await self._converse(self._socket)
                if self._exit_code is not None:
                    return self._exit_code
                self._socket = await self._reconnect()
                if self._socket is None:
                    return INTERRUPTED
        finally:
            loop.remove_signal_handler(signal.SIGINT)
            if self._socket is not None:
                self._socket.close()

    async def _converse(self, socket: WebSocketClientConnection) -> None:
        """Speak with the hub until the connection is lost or there is an exit code."""
        self._say_first(socket)
        reading = asyncio.ensure_future(socket.read_message())
        interrupt = asyncio.ensure_future(self._interrupts.get())
        try:
            while self._exit_code is None:
                await asyncio.wait({reading, interrupt}, return_when=asyncio.FIRST_COMPLETED)
                if interrupt.done():
                    await self._interrupted(socket)
                    interrupt = asyncio.ensure_future(self._interrupts.get())
                if reading.done():
                    text = reading.result()
                    if text is None:
                        break
                    self._take(json.loads(text))
                    reading = asyncio.ensure_future(socket.read_message())
        finally:
            reading.cancel()
            interrupt.cancel()
        if socket.close_code == SESSION_ENDED:
            self._client.session_ended()

    def _say_first(self, socket: WebSocketClientConnection) -> None:
        known = self._following
        if known.task_id is None and self._request is not None:
            self._send(socket, self._request)
            return
        self._send(socket, {"type": "attach", "task_id": known.task_id, "offset": known.offset})
        if known.wants_cancel:
            self._cancel(socket)

    def _take(self, message: dict[str, Any]) -> None:
        for effect in self._following.take(message):
            match effect:
                case Started(task_id=task_id):
                    if not self._follow:
                        write_output("stdout", f"{task_id}\n")
                        self._exit_code = 0
                        return
                case Write(stream=stream, text=text):
                    write_output(stream, text)
                case Notice(sentence=sentence):
                    tell(sentence)
                case Ended(exit_code=exit_code):
                    self._exit_code = exit_code

    async def _reconnect(self) -> WebSocketClientConnection | None:
        """Return a new connection, however long it takes; None when the person gives up."""
        if self._following.task_id is None:
            raise CommandError(
                "The connection was lost before the hub had said whether the script was started; "
                "look with: toru tasks",
                exit_code=FAILED,
            )
        tell("The connection to the hub is lost; trying again. Ctrl-C leaves the run running.")
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                socket = await self._client.open_socket()
            except HubUnreachable:
                if await self._interrupted_within(pause_s):
                    self._tell_how_to_return()
                    return None
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
            else:
                tell("The connection is back.")
                return socket

    async def _interrupted_within(self, pause_s: float) -> bool:
        try:
            await asyncio.wait_for(self._interrupts.get(), pause_s)
        except TimeoutError:
            return False
        return True

    async def _interrupted(self, socket: WebSocketClientConnection) -> None:
        """Act on Ctrl-C. Nothing is read from the hub while the person is asked."""
        if self._following.task_id is None or self._following.wants_cancel:
            self._exit_code = INTERRUPTED
            self._tell_how_to_return()
        elif not is_interactive():
            self._cancel(socket)
        else:
            await self._act_on(await self._ask(), socket)

    async def _act_on(self, wish: str, socket: WebSocketClientConnection) -> None:
        if wish.startswith("c"):
            self._cancel(socket)
        elif wish.startswith("l"):
            self._exit_code = 0
            self._tell_how_to_return()
        else:
            tell("Watching goes on.")

    async def _ask(self) -> str:
        """Return what the person types; a second Ctrl-C means cancel."""
        loop = asyncio.get_running_loop()
        typed: asyncio.Future[str] = loop.create_future()

        def on_input() -> None:
            loop.remove_reader(sys.stdin.fileno())
            typed.set_result(os.read(sys.stdin.fileno(), 1024).decode(errors="replace"))

        print(_QUESTION, end="", file=sys.stderr, flush=True)
        loop.add_reader(sys.stdin.fileno(), on_input)
        again = asyncio.ensure_future(self._interrupts.get())
        try:
            waiting: set[asyncio.Future[Any]] = {typed, again}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            loop.remove_reader(sys.stdin.fileno())
            again.cancel()
        return typed.result().strip().lower() if typed.done() else "c"

    def _cancel(self, socket: WebSocketClientConnection) -> None:
        self._following.ask_cancel()
        tell("Cancelling; Ctrl-C again leaves at once.")
        self._send(socket, {"type": "cancel", "task_id": self._following.task_id})

    def _tell_how_to_return(self) -> None:
        if self._following.task_id is not None:
            tell(f"The run goes on; watch it again with: toru attach {self._following.task_id}")

    def _send(self, socket: WebSocketClientConnection, message: Mapping[str, object]) -> None:
        try:
            sent = socket.write_message(json.dumps(message))
        except WebSocketClosedError:
            return  # reading tells that the connection is lost
        asyncio.ensure_future(sent).add_done_callback(
            lambda done: done.cancelled() or done.exception()
        )
