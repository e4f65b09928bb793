"""The awaitable future: an answer that never blocks the event loop.

Runs on: any thread; awaited on an event loop, read with ``get`` everywhere else.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import sys
import threading
from collections.abc import Callable, Generator
from typing import Any, TypeVar, cast

import pykka

from toru.clock import monotonic
from toru.errors import DeadlineExceeded

T = TypeVar("T")
F = TypeVar("F", bound="pykka.Future[Any]")

_ExcInfo = tuple[Any, Any, Any]

logger = logging.getLogger("toru.actors")


class WouldBlockLoop(RuntimeError):
    """``get`` was called on a thread whose event loop would have stood still."""


class Reply(pykka.Future[T]):
    """A pykka future that can be awaited.

    It behaves as ``pykka.ThreadingFuture`` does, except that ``await`` suspends the coroutine
    instead of blocking the loop, and that ``get`` on a thread with a running loop raises
    `WouldBlockLoop` unless the answer is there.
    """

    _get_hook: Callable[[float | None], T] | None = None
    _hook_lock: threading.RLock
    _sources: tuple[pykka.Future[Any], ...] = ()
    _settled = False
    _value: Any = None
    _exc_info: _ExcInfo | None = None
    _callbacks: list[Callable[[], None]] | None = None
    _deadline_at: float | None = None
    hurry: Callable[[], None] | None = None
    """Called when an ``await`` finds no answer yet: it may bring the answer about on the spot."""

    def __init__(self, *, deadline_s: float | None = None, asked: str = "") -> None:
        """Create an open reply.

        Args:
            deadline_s: seconds from now after which waiting raises `DeadlineExceeded`.
            asked: the name of who was asked, for that error's sentence.
        """
        # One is made for every ask, so what few need is left to class attributes, and pykka's own
        # __init__, which only prepares a get hook, is called where a hook is set.
        self._lock = threading.Lock()
        if deadline_s is not None:
            self._deadline_s = deadline_s
            self._deadline_at = monotonic() + deadline_s
            self._asked = asked

    def __repr__(self) -> str:
        return f"<Reply {'settled' if self._settled else 'open'}>"

    @property
    def settled(self) -> bool:
        """Whether the answer is there."""
        return self._settled

    @property
    def failed(self) -> bool:
        """Whether the answer is there and is an error."""
        return self._exc_info is not None

    def settle(self, value: Any = None) -> bool:
        """Set the answer unless there is one; return whether it was set."""
        return self._finish(value, None)

    def settle_exception(self, error: BaseException) -> bool:
        """Set an error as the answer unless there is one; return whether it was set."""
        return self._finish(None, (type(error), error, error.__traceback__))

    def set(self, value: Any | None = None) -> None:
        """Set the answer, as in pykka.

        Raises:
            queue.Full: there is one already, or a get hook.
        """
        if not self._finish(value, None):
            raise queue.Full

    def set_exception(self, exc_info: _ExcInfo | None = None) -> None:
        """Set an error as the answer, as in pykka.

        Raises:
            queue.Full: there is an answer already, or a get hook.
        """
        if not self._finish(None, exc_info or sys.exc_info()):
            raise queue.Full

    def set_get_hook(self, func: Callable[[float | None], T]) -> None:
        """Have ``get`` compute the answer, as in pykka.

        Raises:
            queue.Full: there is an answer already.
        """
        with self._lock:
            if self._settled:
                raise queue.Full
            super().__init__()
            self._hook_lock = threading.RLock()
            super().set_get_hook(func)
            callbacks, self._callbacks = self._callbacks, None
        _call(callbacks)

    def filter(self, func: Callable[[Any], bool]) -> pykka.Future[Any]:
        """Return a future of the items that pass, as in pykka."""
        return self._derive(pykka.Future.filter(cast("pykka.Future[Any]", self), func))

    def join(self, *futures: pykka.Future[Any]) -> pykka.Future[Any]:
        """Return a future of the list of all answers, as in pykka."""
        return self._derive(super().join(*futures), *futures)

    def map(self, func: Callable[[T], Any]) -> pykka.Future[Any]:
        """Return a future of what ``func`` makes of the answer, as in pykka."""
        return self._derive(super().map(func))

    def reduce(self, func: Callable[[Any, Any], Any], *args: Any) -> pykka.Future[Any]:
        """Return a future of the items folded into one, as in pykka."""
        return self._derive(pykka.Future.reduce(cast("pykka.Future[Any]", self), func, *args))

    def get(self, *, timeout: float | None = None) -> Any:
        """Return the answer, waiting for it off the event loop.

        Args:
            timeout: seconds to wait at most; until the deadline of the ask, if it has one, when
                it is None.

        Raises:
            WouldBlockLoop: there is no answer yet and this thread runs an event loop.
            pykka.Timeout: there was no answer within ``timeout``.
            DeadlineExceeded: there was none within the deadline of the ask.
        """
        until = None if timeout is None else monotonic() + timeout
        while not self._settled:
            if self._get_hook is not None:
                with self._hook_lock:
                    return super().get(timeout=timeout)
            if asyncio._get_running_loop() is not None:
                raise WouldBlockLoop("Await the reply: get() would stop the event loop.")
            if until is not None and monotonic() >= until:
                raise pykka.Timeout(f"{timeout} seconds")
            self._wait(until)
        return self._outcome()

    def add_done_callback(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the answer is there, on the thread that sets it."""
        with self._lock:
            if not self._settled and self._get_hook is None:
                if self._callbacks is None:
                    self._callbacks = []
                self._callbacks.append(callback)
                return
        _call([callback])

    def __await__(self) -> Generator[Any, None, T]:
        if not self._settled and self.hurry is not None:
            self.hurry()
        if not self._settled:
            yield from self._arrive()
        if self._get_hook is None:
            return cast("T", self._outcome())
        if all(isinstance(source, Reply) for source in self._sources) and self._sources:
            return cast("T", self.get())  # what it is made of is there: nothing to wait for
        loop = asyncio.get_running_loop()
        hooked: asyncio.Future[T] = loop.run_in_executor(None, self.get)
        return (yield from hooked.__await__())

    __iter__ = __await__

    def _arrive(self) -> Generator[Any, None, None]:
        """Suspend until this, or all that it is derived from, is settled."""
        while not self._settled and self._get_hook is None:
            yield from self._suspend(asyncio.get_running_loop())
        for source in self._sources:
            if isinstance(source, Reply):
                yield from source._arrive()

    def _suspend(self, loop: asyncio.AbstractEventLoop) -> Generator[Any, None, None]:
        waiter: asyncio.Future[None] = loop.create_future()
        loop_thread = threading.get_ident()

        def wake() -> None:
            if threading.get_ident() == loop_thread:
                _release(waiter)
            else:
                with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
                    loop.call_soon_threadsafe(_release, waiter)

        self.add_done_callback(wake)
        if self._deadline_at is None:
            yield from waiter.__await__()
            return
        timer = loop.call_later(self._deadline_at - monotonic(), self._expire)
        try:
            yield from waiter.__await__()
        finally:
            timer.cancel()

    def _wait(self, until: float | None) -> None:
        """Block this thread until something happened to the reply, or one of the times passed."""
        arrived = threading.Event()
        self.add_done_callback(arrived.set)
        deadline = self._deadline_at
        first = deadline if until is None or (deadline and deadline < until) else until
        in_time = arrived.wait(None if first is None else max(0.0, first - monotonic()))
        if not in_time and first is deadline:
            self._expire()

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
            callbacks, self._callbacks = self._callbacks, None
        if callbacks is not None:
            _call(callbacks)
        return True

    def _derive(self, future: F, *others: pykka.Future[Any]) -> F:
        if isinstance(future, Reply):
            future._sources = (self, *others)
        return future

    def _outcome(self) -> Any:
        if self._exc_info is None:
            return self._value
        error_type, error, traceback = self._exc_info
        if error is None:
            error = error_type()
        raise error.with_traceback(traceback)


def answer(reply_to: pykka.Future[Any] | None, value: Any) -> None:
    """Answer whoever asked; nothing happens when nobody did, or the deadline answered first."""
    if isinstance(reply_to, Reply):
        reply_to.settle(value)
    elif reply_to is not None:
        with contextlib.suppress(queue.Full):
            reply_to.set(value)


def answer_error(reply_to: pykka.Future[Any] | None, error: BaseException) -> None:
    """Answer whoever asked with an error; as `answer` in all else."""
    if isinstance(reply_to, Reply):
        reply_to.settle_exception(error)
    elif reply_to is not None:
        with contextlib.suppress(queue.Full):
            reply_to.set_exception((type(error), error, error.__traceback__))


def _call(callbacks: list[Callable[[], None]] | None) -> None:
    for callback in callbacks or ():
        try:
            callback()
        except Exception:  # it belongs to who waits, not to who answers
            logger.exception("A callback of a reply failed.")


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
