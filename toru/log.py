"""The hub's own log: lines for people on stderr, JSON lines in ``<log dir>/toru.log``.

Runs on: callers on any thread only put a record on a bounded queue; one thread of this module
formats and writes, so neither a slow terminal nor a slow disk stalls the event loop.
"""

from __future__ import annotations

import copy
import errno
import json
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

QUEUE_LIMIT = 10_000
STOP_TIMEOUT_S = 5.0
ROTATE_BYTES = 10_000_000
KEPT_FILES = 5

# C0, DEL and C1 steer terminals; the Unicode separators and direction marks end or turn lines.
_UNSAFE = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029, *range(0x202A, 0x202F)]
_UNSAFE += [*range(0x2066, 0x206A), *range(0xD800, 0xE000)]
_VISIBLE = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _UNSAFE}
_VISIBLE |= {0x09: "\t", 0x0A: "\\n", 0x0D: "\\r"}
_JSON_ESCAPES = {code: f"\\u{code:04x}" for code in _UNSAFE}

_LEVEL_NAMES = {"WARNING": "warn", "CRITICAL": "error"}

log = logging.getLogger(__name__)


def visible(text: str) -> str:
    r"""Return a text in one line, with every control character spelled out (ESC as ``\x1b``)."""
    return text.translate(_VISIBLE)


def json_line(fields: dict[str, object]) -> bytes:
    """Return one JSON object as one line of UTF-8, newline included, safe to show in a terminal."""
    text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"), default=str)
    return text.translate(_JSON_ESCAPES).encode() + b"\n"


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


class JsonLinesFile:
    """An append-only file of lines that is rotated by rename, so that followers lose nothing.

    Runs on: one thread at a time. A line that cannot be written (a full disk) is counted, and the
    count is written as soon as writing works again.

    Args:
        path: the file; older ones are ``path.1`` (newest) to ``path.<kept>``.
        rotate_bytes: the size from which the next line goes to a new file.
        kept: how many older files stay.
    """

    def __init__(
        self, path: Path, *, rotate_bytes: int = ROTATE_BYTES, kept: int = KEPT_FILES
    ) -> None:
        self.path = path
        self.lost = 0
        self._rotate_bytes = rotate_bytes
        self._kept = kept
        self._torn = False
        self._size = 0
        self._file = -1
        self._open()

    def write(self, line: bytes) -> None:
        """Append one line that ends with a newline; never raises for a disk's sake."""
        try:
            if self._size and self._size + len(line) > self._rotate_bytes:
                self._rotate()
            if self.lost:
                self._append(json_line(self._loss()))
                self.lost = 0
            self._append(line)
        except OSError:
            self.lost += 1

    def close(self) -> None:
        """Close the file; safe to call twice."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _open(self) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        self._file = os.open(self.path, flags, 0o640)
        self._size = os.fstat(self._file).st_size

    def _append(self, line: bytes) -> None:
        # A line that was cut by a full disk is ended first, so that it spoils only itself.
        whole = b"\n" + line if self._torn else line
        written = os.write(self._file, whole)
        self._size += written
        self._torn = written < len(whole)
        if self._torn:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _rotate(self) -> None:
        for number in range(self._kept - 1, 0, -1):
            older = self.path.with_name(f"{self.path.name}.{number}")
            if older.exists():
                older.replace(self.path.with_name(f"{self.path.name}.{number + 1}"))
        self.path.replace(self.path.with_name(f"{self.path.name}.1"))
        self.close()
        self._open()

    def _loss(self) -> dict[str, object]:
        return {
            "timestamp": clock.utc_now(),
            "level": "error",
            "logger": __name__,
            "message": f"{self.lost} log lines could not be written.",
            "pid": os.getpid(),
        }


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
    file = JsonLinesFile(log_dir / "toru.log")
    entrance = _Entrance(queue.Queue(queue_limit))
    writer = _Writer(entrance, _StreamOutput(stream or sys.stderr), _FileOutput(file))
    root = logging.getLogger()
    before = (root.level, root.handlers[:], threading.excepthook)
    root.handlers[:] = [entrance]
    chosen = getattr(logging, level.upper())
    root.setLevel(max(chosen, logging.INFO))
    logging.getLogger("toru").setLevel(chosen)
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
