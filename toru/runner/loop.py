"""A small event loop: descriptors, timers and signals on one thread.

Runs on: the runner's only thread.
"""

from __future__ import annotations

import heapq
import os
import selectors
import signal

from toru.clock import monotonic
from toru.runner.log import log_exception

TYPE_CHECKING = False  # as typing has it, without the 0.4 MB that typing costs the runner
if TYPE_CHECKING:
    from collections.abc import Callable

READ = selectors.EVENT_READ
WRITE = selectors.EVENT_WRITE


class Timer:
    """A call that is to be made once, unless it is cancelled."""

    __slots__ = ("_callback", "when")

    def __init__(self, when: float, callback: Callable[[], None]) -> None:
        self.when = when
        self._callback: Callable[[], None] | None = callback

    def __lt__(self, other: Timer) -> bool:
        return self.when < other.when

    @property
    def waiting(self) -> bool:
        """Whether it is still to be called."""
        return self._callback is not None

    def cancel(self) -> None:
        """Never call it; twice does no harm."""
        self._callback = None

    def fire(self) -> None:
        """Make the call, if that is still wanted."""
        callback, self._callback = self._callback, None
        if callback is not None:
            callback()


class Loop:
    """Calls back when a descriptor is ready, a time has come or a signal arrived."""

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._timers: list[Timer] = []
        self._signals: dict[int, Callable[[], None]] = {}
        self._running = True
        self._wake_read, wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(wake_write, False)
        signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
        self.watch(self._wake_read, READ, self._on_wake)

    @property
    def watched(self) -> int:
        """The number of descriptors that are being watched."""
        return len(self._selector.get_map())

    def watch(self, descriptor: int, events: int, callback: Callable[[int], None]) -> None:
        """Call ``callback(ready events)`` whenever the descriptor is ready; replaces the last."""
        if descriptor in self._selector.get_map():
            self._selector.modify(descriptor, events, callback)
        else:
            self._selector.register(descriptor, events, callback)

    def unwatch(self, descriptor: int) -> None:
        """Watch the descriptor no more; it must still be open; twice does no harm."""
        if descriptor in self._selector.get_map():
            self._selector.unregister(descriptor)

    def on_signal(self, number: int, callback: Callable[[], None]) -> None:
        """Call back on the loop, not in the handler, after a signal came once or more.

        A handler, unlike ignoring, is not inherited by the processes that are spawned.
        """
        self._signals[number] = callback
        signal.signal(number, _do_nothing)

    def call_later(self, delay_s: float, callback: Callable[[], None]) -> Timer:
        """Call back once, ``delay_s`` from now."""
        timer = Timer(monotonic() + delay_s, callback)
        heapq.heappush(self._timers, timer)
        return timer

    def stop(self) -> None:
        """Return from ``run`` after this turn."""
        self._running = False

    def run(self) -> None:
        """Serve until ``stop``."""
        while self._running:
            self.turn()

    def turn(self) -> None:
        """Wait for what comes next, at most until the next timer, and serve it."""
        ready = self._selector.select(self._timeout())
        # The lowest descriptors first: signals and the hub were there before any run.
        for key, events in sorted(ready, key=_descriptor_of):
            if self._selector.get_map().get(key.fd) == key:
                _call(key.data, events)
        now = monotonic()
        while self._timers and self._timers[0].when <= now:
            _call(heapq.heappop(self._timers).fire)

    def _timeout(self) -> float | None:
        while self._timers and not self._timers[0].waiting:
            heapq.heappop(self._timers)
        if not self._timers:
            return None
        return max(0.0, self._timers[0].when - monotonic())

    def _on_wake(self, _events: int) -> None:
        for number in sorted(set(os.read(self._wake_read, 4096))):
            callback = self._signals.get(number)
            if callback is not None:
                _call(callback)


def _call(callback: Callable[..., None], *arguments: object) -> None:
    """Call back; an exception is a bug, and all runs must not die of it."""
    try:
        callback(*arguments)
    except Exception:
        log_exception()


def _descriptor_of(item: tuple[selectors.SelectorKey, int]) -> int:
    return item[0].fd


def _do_nothing(_number: int, _frame: object) -> None:
    """Be there, so that the wake-up descriptor gets the number."""
