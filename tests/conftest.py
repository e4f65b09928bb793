"""What every test gets: a clean event loop, no unexpected log lines, no actor left behind.

Runs on: the test's main thread; log records come from any thread.

- ``@pytest.mark.gen_test`` (pytest-tornado) runs an ``async def`` test on the ``io_loop`` fixture.
- A record of level WARNING or above from one of `WATCHED` fails the test, unless it was announced
  with ``expect_log``::

      def test_...(expect_log):
          expect_log("crashed")                      # must come before the test ends
          with expect_log("is left over"):           # must come within the block
              ...
- An actor that a test leaves in ``pykka.ActorRegistry`` fails it.
- Ctrl-C works in the programs that tests start, also when the tests run in the background.
- Temporary files lie in memory where there is room for them, unless ``TMPDIR`` is set: a disk that
  others keep busy makes no test late.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import pykka
import pytest
from tornado.ioloop import IOLoop

_MEMORY = Path("/dev/shm")
_MEMORY_BYTES = 8 * 1024**3

WATCHED = {
    "toru": logging.WARNING,
    "asyncio": logging.ERROR,  # an exception that was never retrieved, a callback that failed
    "tornado.application": logging.ERROR,  # an uncaught exception in a handler
    "pykka": logging.WARNING,
}


def pytest_configure() -> None:
    """Choose where temporary files lie, and let no program inherit that Ctrl-C is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if "TMPDIR" not in os.environ and _takes_programs(_MEMORY):
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None


def _takes_programs(folder: Path) -> bool:
    """Return whether there is much room in a folder, and programs may run from it."""
    if not os.access(folder, os.W_OK) or shutil.disk_usage(folder).free < _MEMORY_BYTES:
        return False
    return not os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0)


class Expectation:
    """One announced log line; as a context manager it has to come within the block."""

    def __init__(self, pattern: str, logger: str, count: int | None, optional: bool) -> None:
        self._pattern = re.compile(pattern)
        self._logger = logger
        self._count = count
        self._optional = optional
        self.records: list[logging.LogRecord] = []

    def takes(self, record: logging.LogRecord) -> bool:
        """Return whether this is the line that was announced, and keep it when it is."""
        of_logger = record.name == self._logger or record.name.startswith(f"{self._logger}.")
        if not of_logger or not self._pattern.search(record.getMessage()):
            return False
        if self._count is not None and len(self.records) == self._count:
            return False
        self.records.append(record)
        return True

    def check(self) -> None:
        """Fail when the line did not come (``count`` times, where that is given)."""
        came = len(self.records)
        if self._optional or (came > 0 if self._count is None else came == self._count):
            return
        times = "" if self._count is None else f" {self._count} times"
        pytest.fail(
            f"{self._pattern.pattern!r} was expected in the log of {self._logger}{times}; "
            f"it came {came} times."
        )

    def __enter__(self) -> Expectation:
        return self

    def __exit__(
        self,
        error_type: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error_type is None:
            self.check()


class LogWatch(logging.Handler):
    """Collects the records that nobody announced."""

    def __init__(self) -> None:
        super().__init__()
        self.expectations: list[Expectation] = []
        self.unexpected: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Sort a record. The handler's lock is held."""
        if record.levelno < _level(record.name):
            return
        if not any(expectation.takes(record) for expectation in self.expectations):
            self.unexpected.append(_formatter.format(record))

    def expect(
        self,
        pattern: str,
        *,
        logger: str = "toru",
        count: int | None = None,
        optional: bool = False,
    ) -> Expectation:
        """Announce a log line.

        Args:
            pattern: a regular expression that is searched in the message.
            logger: the logger of the line, or one above it.
            count: how often it must come; at least once when it is None.
            optional: whether it may also not come.
        """
        expectation = Expectation(pattern, logger, count, optional)
        self.acquire()
        try:
            self.expectations.append(expectation)
        finally:
            self.release()
        return expectation


_formatter = logging.Formatter("%(levelname)s %(name)s: %(message)s")


def _level(name: str) -> int:
    return next(
        level for top, level in WATCHED.items() if name == top or name.startswith(f"{top}.")
    )


@pytest.fixture(autouse=True)
def log_watch() -> Iterator[LogWatch]:
    """Fail the test on log records that nobody announced, and on announced ones that stay away."""
    watch = LogWatch()
    for name in WATCHED:
        logging.getLogger(name).addHandler(watch)
    yield watch
    for name in WATCHED:
        logging.getLogger(name).removeHandler(watch)
    if watch.unexpected:
        pytest.fail("Unexpected in the log:\n" + "\n".join(watch.unexpected), pytrace=False)
    for expectation in watch.expectations:
        expectation.check()


@pytest.fixture
def expect_log(log_watch: LogWatch) -> Callable[..., Expectation]:
    """Announce a log line: ``expect_log(pattern, logger="toru", count=None, optional=False)``."""
    return log_watch.expect


@pytest.fixture(autouse=True)
def no_actor_is_left(log_watch: LogWatch) -> Iterator[None]:
    """Fail the test when an actor that began in it is still registered with pykka after it."""
    before = set(pykka.ActorRegistry.get_all())
    yield
    left = [ref for ref in pykka.ActorRegistry.get_all() if ref not in before]
    for ref in left:
        pykka.ActorRegistry.unregister(ref)
        ref.actor_stopped.set()
    if left:
        names = ", ".join(str(ref) for ref in left)
        pytest.fail(f"Actors are left after the test: {names}", pytrace=False)


@pytest.fixture
def io_loop() -> Iterator[IOLoop]:
    """Return a fresh Tornado loop on an asyncio loop of its own, current for this thread.

    This replaces pytest-tornado's fixture, whose calls Tornado has deprecated. Tasks that the test
    leaves behind are cancelled at its end.
    """
    asyncio_loop = asyncio.new_event_loop()
    asyncio.set_event_loop(asyncio_loop)
    loop = IOLoop(asyncio_loop=asyncio_loop, make_current=False)
    yield loop
    try:
        _cancel_tasks(asyncio_loop)
        asyncio_loop.run_until_complete(asyncio_loop.shutdown_asyncgens())
        asyncio_loop.run_until_complete(asyncio_loop.shutdown_default_executor())
    finally:
        asyncio.set_event_loop(None)
        loop.close(all_fds=True)


def _cancel_tasks(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    if tasks:
        loop.run_until_complete(asyncio.wait(tasks, timeout=5.0))
