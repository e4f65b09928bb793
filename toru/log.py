"""The hub's own log: lines for people on stderr, JSON lines in ``<log dir>/toru.log``.

Runs on: callers on any thread only put a record on a bounded queue; one thread of this module
formats and writes, so neither a slow terminal nor a slow disk stalls the event loop.
"""

from __future__ import annotations

import copy
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from logging.handlers import QueueHandler
from pathlib import Path
from typing import TextIO

from toru import clock
from toru.json_lines import UNSAFE, JsonLinesFile, json_line

QUEUE_LIMIT = 10_000
STOP_TIMEOUT_S = 5.0

_VISIBLE = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in UNSAFE}
_VISIBLE |= {0x09: "\t", 0x0A: "\\n", 0x0D: "\\r"}

_LEVEL_NAMES = {"WARNING": "warn", "CRITICAL": "error"}

log = logging.getLogger(__name__)


def visible(text: str) -> str:
    r"""Return a text in one line, with every control character spelled out (ESC as ``\x1b``)."""
    return text.translate(_VISIBLE)


class HumanFormatter(logging.Formatter):
    """One line a record; a traceback follows in lines of its own, each with a bar in front."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the text of a record."""
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        line = f"{moment} {record.levelname:<7} {record.name}: {visible(record.getMessage())}"
        details = _details(record)
        bars = [f"    | {visible(part)}" for part in details.split("\n")] if details else []
        return "\n".join([line, *bars])


class JsonFormatter(logging.Formatter):
    """One JSON object a record: timestamp, level, logger, message, pid, and error if any."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object as a line with its newline."""
        level = _LEVEL_NAMES.get(record.levelname, record.levelname.lower())
        fields: dict[str, object] = {
            "timestamp": clock.format_time(record.created),
            "level": level,
            "logger": record.name,
            "message": record.getMessage(),
            "pid": record.process,
        }
        details = _details(record)
        if details:
            fields["error"] = details
        return json_line(fields).decode()


@contextmanager
def logging_to(
    log_dir: Path, level: str, *, stream: TextIO | None = None, queue_limit: int = QUEUE_LIMIT
) -> Iterator[None]:
    """Send everything that is logged to stderr and to ``<log_dir>/toru.log`` until the end.

    Args:
        log_dir: an existing folder that can be written.
        level: ``error``, ``warning``, ``info`` or ``debug``, for Toru's own loggers; other
            packages never log below ``info``.
        stream: where the lines for people go instead of stderr.
        queue_limit: how many records may wait; more drop the oldest and are counted.

    Raises:
        OSError: the log file cannot be opened.
    """
    file = JsonLinesFile(log_dir / "toru.log", _loss_line)
    file.open()
    entrance = _Entrance(queue.Queue(queue_limit))
    writer = _Writer(entrance, _StreamOutput(stream or sys.stderr), _FileOutput(file))
    root = logging.getLogger()
    before = (root.level, root.handlers[:], threading.excepthook)
    root.handlers[:] = [entrance]
    chosen = getattr(logging, level.upper())
    root.setLevel(max(chosen, logging.INFO))
    logging.getLogger("toru").setLevel(chosen)
    # Below warning Tornado logs what strangers send, who could fill the log with it.
    logging.getLogger("tornado").setLevel(max(chosen, logging.WARNING))
    logging.captureWarnings(True)
    threading.excepthook = _log_thread_failure
    writer.start()
    try:
        yield
    finally:
        writer.stop()
        logging.captureWarnings(False)
        root.setLevel(before[0])
        root.handlers[:] = before[1]
        threading.excepthook = before[2]
        logging.getLogger("toru").setLevel(logging.NOTSET)
        logging.getLogger("tornado").setLevel(logging.NOTSET)
        file.close()


class _Entrance(QueueHandler):
    """Put records on the queue; when it is full the oldest goes and is counted."""

    def __init__(self, records: queue.Queue[logging.LogRecord | None]) -> None:
        super().__init__(records)
        self.records = records
        self.dropped = 0

    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Return a copy with its texts made now, before the arguments can change."""
        ready = copy.copy(record)
        ready.msg, ready.args = record.getMessage(), None
        if record.exc_info:
            ready.exc_text = logging.Formatter().formatException(record.exc_info)
            ready.exc_info = None
        return ready

    def enqueue(self, record: logging.LogRecord) -> None:
        """Queue a record without ever waiting. The handler's lock is held."""
        while True:
            try:
                self.records.put_nowait(record)
            except queue.Full:
                self._drop_oldest()
            else:
                return

    def _drop_oldest(self) -> None:
        try:
            self.records.get_nowait()
        except queue.Empty:
            return
        self.dropped += 1

    def take_dropped(self) -> int:
        """Return how many records were dropped since the last call."""
        self.acquire()
        try:
            dropped, self.dropped = self.dropped, 0
        finally:
            self.release()
        return dropped


class _Writer(threading.Thread):
    """The thread that writes; it says how many records were dropped before one that it writes."""

    def __init__(self, entrance: _Entrance, *outputs: logging.Handler) -> None:
        super().__init__(name="toru-log", daemon=True)
        self._entrance = entrance
        self._outputs = outputs

    def run(self) -> None:
        """Write records until the ``None`` that ``stop`` queues."""
        for record in iter(self._entrance.records.get, None):
            dropped = self._entrance.take_dropped()
            if dropped:
                self._write(_dropped_record(dropped))
            self._write(record)

    def stop(self) -> None:
        """Write all that waits, but do not hang on a terminal or pipe that nobody reads."""
        with suppress(queue.Full):
            self._entrance.records.put(None, timeout=STOP_TIMEOUT_S)
            self.join(STOP_TIMEOUT_S)

    def _write(self, record: logging.LogRecord) -> None:
        for output in self._outputs:
            output.handle(record)


def _loss_line(count: int) -> bytes:
    return json_line(
        {
            "timestamp": clock.utc_now(),
            "level": "error",
            "logger": __name__,
            "message": f"{count} log lines could not be written.",
            "pid": os.getpid(),
        }
    )


def _dropped_record(count: int) -> logging.LogRecord:
    text = f"{count} log lines were dropped: they came faster than they can be written."
    return log.makeRecord(log.name, logging.WARNING, __file__, 0, text, (), None)


class _StreamOutput(logging.StreamHandler[TextIO]):
    """Lines for people; a closed terminal or a full disk behind it is no reason to fail."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.setFormatter(HumanFormatter())

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's own name
        """Stay silent: there is no other place to complain to than the file, which has the line."""
        del record


class _FileOutput(logging.Handler):
    """The file's side of the queue."""

    def __init__(self, file: JsonLinesFile) -> None:
        super().__init__()
        self._file = file
        self.setFormatter(JsonFormatter())

    def emit(self, record: logging.LogRecord) -> None:
        """Append a record."""
        self._file.write(self.format(record).encode())


def _details(record: logging.LogRecord) -> str:
    parts = [record.exc_text or "", record.stack_info or ""]
    if record.exc_info and not record.exc_text:
        parts[0] = logging.Formatter().formatException(record.exc_info)
    return "\n".join(part for part in parts if part)


def _log_thread_failure(failure: threading.ExceptHookArgs) -> None:
    name = failure.thread.name if failure.thread else "unknown"
    if failure.exc_value is not None:
        trace = (failure.exc_type, failure.exc_value, failure.exc_traceback)
        log.critical("The thread %s failed.", name, exc_info=trace)
