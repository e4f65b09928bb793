"""A plain iterator, run on a thread of its own and read on the loop.

Runs on: the loop, but for what says that it runs on the thread.
"""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from .reports import write_line

if TYPE_CHECKING:
    from .host import Host

MAX_AHEAD_BYTES = 64 * 1024
"""The thread waits when it is so far ahead of whoever reads."""
FILE_PIECE_BYTES = 64 * 1024


class ThreadItems:
    """The items of a plain iterator.

    Args:
        stream: the iterator, iterable or open file.
        host: has the threads.
    """

    def __init__(self, stream: Any, host: Host) -> None:
        self._stream = stream
        self._host = host
        self._ready: list[Any] = []
        self._ready_bytes = 0
        self._error: BaseException | None = None
        self._is_done = self._is_closed = self._waits = False
        self._may_go_on = threading.Condition()
        self._came = asyncio.Event()
        self._running: asyncio.Future[Any] | None = None

    async def next(self) -> list[Any]:
        """Return the items that are there, at least one; none at the end."""
        if self._running is None:
            self._running = self._host.in_stream_thread(self._run)
        while True:
            self._came.clear()
            with self._may_go_on:
                found, self._ready, self._ready_bytes = self._ready, [], 0
                is_done = self._is_done
                self._may_go_on.notify()
            if found or is_done:
                break
            await self._came.wait()
        if not found and self._error is not None:
            error, self._error = self._error, None
            raise error
        return found

    async def close(self) -> None:
        """Close the iterator; when the thread is in it, as soon as it comes back."""
        with self._may_go_on:
            self._is_closed = True
            is_idle = self._waits or self._is_done
            self._may_go_on.notify()
        if self._running is None:
            await self._host.in_stream_thread(self._close)
        elif is_idle:
            await self._running

    # On the thread

    def _run(self) -> None:
        iterator: Iterator[Any] | None = None
        try:
            iterator = _iterator_of(self._stream)
            for item in iterator:
                if not self._put(item):
                    break
        except BaseException as error:
            # Such as SystemExit, which must not end the loop, and is no end of the stream either.
            is_plain = isinstance(error, Exception)
            self._error = error if is_plain else RuntimeError(f"the iterator raised {error!r}")
        finally:
            self._close(iterator)
            with self._may_go_on:
                self._is_done = True
            self._host.soon(self._came.set)

    def _put(self, item: Any) -> bool:
        """Hand an item over; return whether there is to be another."""
        with self._may_go_on:
            if self._is_closed:
                return False
            self._ready.append(item)
            self._ready_bytes += len(item) if hasattr(item, "__len__") else 1
            if len(self._ready) == 1:
                self._host.soon(self._came.set)
            self._waits = True
            self._may_go_on.wait_for(self._may_continue)
            self._waits = False
            return not self._is_closed

    def _may_continue(self) -> bool:
        return self._is_closed or self._ready_bytes < MAX_AHEAD_BYTES

    def _close(self, iterator: Any = None) -> None:
        for one in (iterator, self._stream):
            if hasattr(one, "close"):
                try:
                    one.close()
                except Exception as error:
                    report_close(error)


def _iterator_of(stream: Any) -> Iterator[Any]:
    """Return an iterator; of a file, over pieces and not over lines."""
    if hasattr(stream, "read"):
        return iter(functools.partial(stream.read, FILE_PIECE_BYTES), b"")
    return iter(stream)


def report_close(error: Exception) -> None:
    """Say that an iterator failed while it was closed."""
    write_line("error", "A stream could not be closed.", {"error": f"{error!r}"})
