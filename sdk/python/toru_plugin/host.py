"""Where a plugin's functions run: coroutines on the loop, plain functions on threads.

Runs on: made on the loop; `Host.run` may be called from any thread.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
import inspect
from collections.abc import Awaitable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Callable, Protocol

from .errors import PluginError

HANDLER_THREADS = 64
HOOK_THREADS = 4
STREAM_THREADS = 256
"""For the iterators of answers that are no coroutines; some of them may wait for long."""


class Link(Protocol):
    """The way to the core. All of it is called on the loop."""

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Ask the core for something; may raise `CallError`."""

    def log(self, level: str, message: str, fields: dict[str, Any]) -> None:
        """Pass a log line on."""

    def status(self, text: str, extend_s: float) -> None:
        """Say what a slow start is busy with."""


current_link: contextvars.ContextVar[Link | None] = contextvars.ContextVar("link", default=None)
"""With protocol 1, the connection whose request is being handled."""


class Host:
    """The loop and the threads of one plugin.

    Attributes:
        loop: the loop.
        link: the way to the core when no request has one of its own.
    """

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.link: Link | None = None
        self._handlers = ThreadPoolExecutor(HANDLER_THREADS, "handler")
        self._hooks = ThreadPoolExecutor(HOOK_THREADS, "hook")
        self._streams = ThreadPoolExecutor(STREAM_THREADS, "stream")

    def close(self) -> None:
        """Take no more work; threads that are busy go on."""
        for pool in (self._handlers, self._hooks, self._streams):
            pool.shutdown(wait=False)

    def current_link(self) -> Link:
        """Return the way to the core.

        Raises:
            PluginError: there is none at this moment.
        """
        link = current_link.get() or self.link
        if link is None:
            raise PluginError(
                "there is no connection to the core at this moment; with protocol 1 there is one "
                "only while a request is handled"
            )
        return link

    async def invoke(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Call a handler and return its result."""
        return await self._invoke(self._handlers, functools.partial(function, *args, **kwargs))

    async def invoke_hook(self, function: Callable[[], Any]) -> Any:
        """Call a start, stop or health function; handlers that hang do not hold it up."""
        return await self._invoke(self._hooks, function)

    async def _invoke(self, pool: ThreadPoolExecutor, function: Callable[[], Any]) -> Any:
        if inspect.iscoroutinefunction(function):
            return await function()
        context = contextvars.copy_context()
        result = await self.loop.run_in_executor(pool, context.run, function)
        return await result if inspect.isawaitable(result) else result

    def in_stream_thread(self, function: Callable[[], Any]) -> asyncio.Future[Any]:
        """Call a function of an answer's iterator on a thread."""
        context = contextvars.copy_context()
        return self.loop.run_in_executor(self._streams, context.run, function)

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait on a plain function's thread for work on the loop, and return its result.

        Raises:
            PluginError: it was called on the loop, which must not wait.
        """
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return asyncio.run_coroutine_threadsafe(work, self.loop).result()
        work.close()
        raise PluginError('use "async for" in an async function')

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Return what to await on a loop; on any other thread, wait and return the result."""
        try:
            running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self.loop:
            return work
        done = asyncio.run_coroutine_threadsafe(work, self.loop)
        return done.result() if running is None else asyncio.wrap_future(done)

    def soon(self, function: Callable[..., None], *args: Any) -> bool:
        """Have a function called on the loop; return False when the loop is gone."""
        try:
            self.loop.call_soon_threadsafe(function, *args)
        except RuntimeError:
            return False
        return True


async def converted(work: Awaitable[Any], convert: Callable[[Any], Any]) -> Any:
    """Await and convert."""
    return convert(await work)
