"""The awaitable future: an answer that never blocks the event loop.

Runs on: any thread; awaited on an event loop, read with ``get`` everywhere else.
"""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
import time
from collections.abc import Callable, Generator
from typing import Any, TypeVar

import pykka

from toru.errors import DeadlineExceeded

T = TypeVar("T")

_ExcInfo = tuple[Any, Any, Any]


class WouldBlockLoop(RuntimeError):
    """``get`` was called on a thread whose event loop would have stood still."""


class Reply(pykka.Future[T]):
    """A pykka future that can be awaited.

    It behaves as ``pykka.ThreadingFuture`` does, except that ``await`` suspends the coroutine
    instead of blocking the loop, and that ``get`` on a thread with a running loop raises
    `WouldBlockLoop` unless the answer is there.
    """

    def __init__(self, *, deadline_s: float | None = None, asked: str = "") -> None:
        """Create an open reply.

        Args:
            deadline_s: seconds after which an ``await`` raises `DeadlineExceeded`.
            asked: the name of who was asked, for that error's sentence.
        """
        super().__init__()
        self._lock = threading.Lock()
        self._settled = False
        self._value: Any = None
        self._exc_info: _ExcInfo | None = None
        self._callbacks: list[Callable[[], None]] = []
        self._deadline_s = deadline_s
        self._asked = asked

    @property
    def settled(self) -> bool:
        """Whether the answer is there."""
        return self._settled

    def settle(self, value: Any = None) -> bool:
        """Set the answer unless there is one; return whether it was set."""
        return self._finish(value, None)

    def settle_exception(self, error: BaseException) -> bool:
        """Set an error as the answer unless there is one; return whether it was set."""
        return self._finish(None, (type(error), error, error.__traceback__))

    def set(self, value: Any | None = None) -> None:
        """Set the answer, as in pykka.

        Raises:
            queue.Full: there is one already.
        """
        if not self.settle(value):
            raise queue.Full

    def set_exception(self, exc_info: _ExcInfo | None = None) -> None:
        """Set an error as the answer, as in pykka.

        Raises:
            queue.Full: there is an answer already.
        """
        if not self._finish(None, exc_info or sys.exc_info()):
            raise queue.Full

    def get(self, *, timeout: float | None = None) -> Any:
        """Return the answer, waiting for it off the event loop.

        Args:
            timeout: seconds to wait at most; for ever when it is None.

        Raises:
            WouldBlockLoop: there is no answer yet and this thread runs an event loop.
            pykka.Timeout: there was no answer in time.
        """
        if not self._settled:
            if asyncio._get_running_loop() is not None:
                raise WouldBlockLoop("Await the reply: get() would stop the event loop.")
            if self._get_hook is not None:
                return super().get(timeout=timeout)
            self._wait(timeout)
        return self._outcome()

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the answer is there, on the thread that sets it."""
        with self._lock:
            if not self._settled:
                self._callbacks.append(callback)
                return
        callback()

    def __await__(self) -> Generator[Any, None, T]:
        if not self._settled:
            loop = asyncio.get_running_loop()
            if self._get_hook is not None:
                hooked: asyncio.Future[T] = loop.run_in_executor(None, self.get)
                return (yield from hooked.__await__())
            yield from self._suspend(loop)
        value: T = self._outcome()
        return value

    __iter__ = __await__

    def _suspend(self, loop: asyncio.AbstractEventLoop) -> Generator[Any, None, None]:
        waiter: asyncio.Future[None] = loop.create_future()
        loop_thread = threading.get_ident()

        def wake() -> None:
            if threading.get_ident() == loop_thread:
                _release(waiter)
            else:
                loop.call_soon_threadsafe(_release, waiter)

        self.add_done_callback(wake)
        if self._deadline_s is None:
            yield from waiter.__await__()
            return
        timer = loop.call_later(self._deadline_s, self._expire)
        try:
            yield from waiter.__await__()
        finally:
            timer.cancel()

    def _expire(self) -> None:
        self.settle_exception(
            DeadlineExceeded(f"No answer from {self._asked} within {self._deadline_s:g} seconds.")
        )

    def _finish(self, value: Any, exc_info: _ExcInfo | None) -> bool:
        with self._lock:
            if self._settled or self._get_hook is not None:
                return False
            self._value = value
            self._exc_info = exc_info
            self._settled = True
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()
        return True

    def _wait(self, timeout: float | None) -> None:
        arrived = threading.Event()
        self.add_done_callback(arrived.set)
        started = time.monotonic()
        if not arrived.wait(timeout):
            raise pykka.Timeout(f"{time.monotonic() - started:.3g} seconds")

    def _outcome(self) -> Any:
        if self._exc_info is None:
            return self._value
        error_type, error, traceback = self._exc_info
        if error is None:
            error = error_type()
        raise error.with_traceback(traceback)


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
