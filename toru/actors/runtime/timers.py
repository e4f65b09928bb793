"""Timers of an actor: messages to itself, later.

Runs on: called on the actor's own thread or loop; the waiting is done by the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Hashable
from typing import Any

import pykka

from toru.actors.runtime.message import Message
from toru.errors import Unavailable


class Timers:
    """Named timers that tell the actor a message; all end when the actor stops.

    A full mailbox loses the tick, which the mailbox counts; a repeating timer goes on.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, loop_thread: int, ref: pykka.ActorRef[Any]
    ) -> None:
        self._loop = loop
        self._loop_thread = loop_thread
        self._ref = ref
        self._handles: dict[Hashable, asyncio.TimerHandle] = {}
        self._closed = False

    def after(self, key: Hashable, delay_s: float, message: Message[Any]) -> None:
        """Tell ``message`` in ``delay_s`` seconds; a timer of the same key is replaced."""
        self._on_loop(self._arm, key, delay_s, message, None)

    def every(self, key: Hashable, interval_s: float, message: Message[Any]) -> None:
        """Tell ``message`` every ``interval_s`` seconds; a timer of the same key is replaced.

        Raises:
            ValueError: the interval is not positive.
        """
        if interval_s <= 0:
            raise ValueError(f"A timer cannot repeat every {interval_s:g} seconds.")
        self._on_loop(self._arm, key, interval_s, message, interval_s)

    def cancel(self, key: Hashable) -> None:
        """End the timer of that key, if there is one."""
        self._on_loop(self._disarm, key)

    def close(self) -> None:
        """End all timers; later ones are not armed."""
        self._closed = True
        self._on_loop(self._disarm_all)

    def _on_loop(self, function: Any, *args: Any) -> None:
        if threading.get_ident() == self._loop_thread:
            function(*args)
            return
        with contextlib.suppress(RuntimeError):  # the loop has ended, and all timers with it
            self._loop.call_soon_threadsafe(function, *args)

    def _arm(
        self, key: Hashable, delay_s: float, message: Message[Any], interval_s: float | None
    ) -> None:
        self._disarm(key)
        if not self._closed:
            when = self._loop.time() + delay_s
            self._handles[key] = self._loop.call_at(
                when, self._fire, key, when, message, interval_s
            )

    def _fire(
        self, key: Hashable, when: float, message: Message[Any], interval_s: float | None
    ) -> None:
        self._handles.pop(key, None)
        if self._closed:
            return
        if interval_s is not None:
            following = max(when + interval_s, self._loop.time())
            self._handles[key] = self._loop.call_at(
                following, self._fire, key, following, message, interval_s
            )
        with contextlib.suppress(Unavailable, pykka.ActorDeadError):
            self._ref.tell(message)

    def _disarm(self, key: Hashable) -> None:
        handle = self._handles.pop(key, None)
        if handle is not None:
            handle.cancel()

    def _disarm_all(self) -> None:
        for handle in self._handles.values():
            handle.cancel()
        self._handles.clear()
