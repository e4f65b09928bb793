"""The sinks: each appends to one log file, drops the oldest when flooded, and says how many.

Runs on: `LogSink` and `LogReader` on a thread of their own each.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import Any, ClassVar

from toru import clock
from toru.actors.log_tail import TICK_S, LogTail
from toru.actors.messages.logs import (
    Level,
    LogLine,
    LogLines,
    LogOutput,
    LogPage,
    ReadLogPage,
)
from toru.actors.runtime import (
    ActorContext,
    ActorSystem,
    Address,
    Children,
    ChildSpec,
    Delivery,
    LoopActor,
    Message,
    Overflow,
    ThreadActor,
)
from toru.domain.log_lines import LineSplitter, encode_line, line_from_plugin
from toru.domain.redaction import Redactor
from toru.errors import BadRequest, StorageUnavailable
from toru.json_lines import ROTATE_BYTES, JsonLinesFile, files_of
from toru.storage.log_files import page, plugin_log, supervisor_log

logger = logging.getLogger("toru.logs")

SUPERVISOR_LOG = "supervisor_log"
LOG_READER = "log_reader"
PLUGIN_LOGS = "plugin_logs"
PAGE_LIMIT = 1000

_LINES_A_WRITE = 4096
_STOP_WRITING_S = 2.0
"""How long a stopping sink writes what waits; the rest is counted, so that it ends in time."""
_OPEN_STREAMS = 8  # of one plugin: two a process, and a few of its last one that end late


class _Tick(Message[None], frozen=True):
    """Publish what was gathered for those who watch."""


class LogSink(ThreadActor):
    """Appends to one JSON-lines file, a batch by few writes; see `JsonLinesFile`.

    While the file cannot be written, lines are counted and one warning is logged; nobody who tells
    or asks gets an error for it.

    The mailbox holds 512 messages, which have at most 64 KiB of text each, and drops the oldest.
    How many lines were dropped is said by a line in their place.
    """

    mailbox_limit: ClassVar[int] = 512
    overflow: ClassVar[Overflow] = Overflow.DROP_OLDEST
    batch_limit: ClassVar[int] = 64

    def __init__(
        self,
        context: ActorContext,
        path: Path,
        plugin: str,
        hub: Address | None = None,
        *,
        rotate_bytes: int = ROTATE_BYTES,
    ) -> None:
        """Create a sink.

        Args:
            context: given by the supervisor.
            path: the file; older ones stand beside it.
            plugin: whose lines `LogOutput` has, and those that the sink adds itself.
            hub: who is told the newest lines for those who watch; None for nobody.
            rotate_bytes: the size that the file has at most.
        """
        self._drops = threading.Lock()
        self._dropped_lines = 0
        self._dropped_output = False
        super().__init__(context)
        self._path = path
        self._plugin = plugin
        self._file = JsonLinesFile(path, self._loss_line, rotate_bytes=rotate_bytes)
        self._failing = False
        self._secrets: tuple[str, ...] = ()
        self._redactor: Redactor | None = None
        self._splitters: dict[tuple[str, int | None], LineSplitter] = {}
        self._tail = None if hub is None else LogTail(hub, plugin)
        self._armed_until = 0.0
        self._stopping_since: float | None = None

    def on_stop(self) -> None:
        """Write what has no newline yet; runs on the actor's thread."""
        held = [line for splitter in self._splitters.values() for line in splitter.end()]
        now = clock.utc_now()
        lines = [line_from_plugin(line, self._plugin, None, now) for line in held]
        self._write(self._without_secrets(lines) + self._take_dropped())
        self._file.close()

    def on_failure(self, *_: object) -> None:
        """Close the file; runs on the actor's thread."""
        self._file.close()

    def on_dropped(self, message: Message[Any]) -> None:
        """Count what the full mailbox drops; runs on the thread of whoever filled it."""
        with self._drops:
            match message:
                case LogLines(lines=lines):
                    self._dropped_lines += len(lines)
                case LogOutput(data=data):
                    self._dropped_lines += max(1, data.count(b"\n"))
                    self._dropped_output = True

    def on_batch(self, deliveries: list[Delivery]) -> None:
        """Append the lines of all messages, and answer."""
        lines = self._take_dropped()
        for delivery in deliveries:
            if len(lines) >= _LINES_A_WRITE:
                self._write(lines)
                lines = []
            match delivery.message:
                case message if self._is_late():
                    self.on_dropped(message)
                case LogLines():
                    lines += delivery.message.lines
                case LogOutput():
                    lines += self._split(delivery.message)
                case _Tick():
                    self._publish()
                case unknown:
                    raise NotImplementedError(f"LogSink does not know {type(unknown).__name__}.")
        if lines:
            self._write(lines)
        for delivery in deliveries:
            delivery.reply()

    def _is_late(self) -> bool:
        if not self.is_stopping:
            return False
        if self._stopping_since is None:
            self._stopping_since = clock.monotonic()
        return clock.monotonic() > self._stopping_since + _STOP_WRITING_S

    def _split(self, output: LogOutput) -> list[LogLine]:
        stream = (output.stream, output.pid)
        lines = []
        if stream not in self._splitters:
            if len(self._splitters) == _OPEN_STREAMS:
                lines += self._splitters.pop(next(iter(self._splitters))).end()
            self._splitters[stream] = LineSplitter()
        splitter = self._splitters[stream]
        lines += splitter.feed(output.data)
        if output.ended:
            lines += splitter.end()
            del self._splitters[stream]
        now = clock.utc_now()
        if output.secrets != self._secrets:
            self._secrets = output.secrets
            self._redactor = Redactor(output.secrets) if output.secrets else None
        return self._without_secrets(
            [line_from_plugin(line, self._plugin, output.pid, now) for line in lines]
        )

    def _without_secrets(self, lines: list[LogLine]) -> list[LogLine]:
        if self._redactor is None:
            return lines
        return [self._redactor.line(line) for line in lines]

    def _write(self, lines: list[LogLine]) -> None:
        encoded = [encode_line(line) for line in lines]
        self._file.write(b"".join(encoded))
        self._report()
        if self._tail is not None and encoded:
            self._tail.add(encoded)
            now = clock.monotonic()
            if now > self._armed_until:  # or the tick itself was dropped
                self._armed_until = now + 10 * TICK_S
                self.timers.after("tail", TICK_S, _Tick())

    def _publish(self) -> None:
        self._armed_until = 0.0
        if self._tail is not None and self._tail.tick():
            self._armed_until = clock.monotonic() + 10 * TICK_S
            self.timers.after("tail", TICK_S, _Tick())

    def _report(self) -> None:
        """Say once that the file cannot be written, and once that it can be again."""
        error = self._file.error
        if error is not None and not self._failing:
            self._failing = True
            logger.warning("The log %s cannot be written: %s.", self._path, error.strerror)
        elif error is None and self._failing:
            self._failing = False
            logger.info("The log %s can be written again.", self._path)

    def _take_dropped(self) -> list[LogLine]:
        with self._drops:
            count, self._dropped_lines = self._dropped_lines, 0
            output, self._dropped_output = self._dropped_output, False
        if output:
            for splitter in self._splitters.values():
                splitter.resync()
        if not count:
            return []
        text = f"{count} log lines were dropped: they came faster than they can be written."
        return [self._own_line("warn", text)]

    def _loss_line(self, count: int) -> bytes:
        return encode_line(self._own_line("error", f"{count} log lines could not be written."))

    def _own_line(self, level: Level, text: str) -> LogLine:
        return LogLine(clock.utc_now(), level, self._plugin, text)


class LogReader(ThreadActor):
    """Reads pages of logs, so that a large one delays neither its sink nor the loop.

    The mailbox holds 100 questions and refuses more.
    """

    mailbox_limit: ClassVar[int] = 100

    def __init__(self, context: ActorContext, log_dir: Path) -> None:
        """Create the reader.

        Args:
            context: given by the supervisor.
            log_dir: the folder of the logs.
        """
        super().__init__(context)
        self._log_dir = log_dir

    def on_receive(self, message: Message[Any]) -> Any:
        """Answer one question."""
        match message:
            case ReadLogPage():
                return self._page(message)
            case _:
                raise NotImplementedError(f"LogReader does not know {type(message).__name__}.")

    def _page(self, asked: ReadLogPage) -> LogPage:
        if asked.page < 0 or not 1 <= asked.page_size <= PAGE_LIMIT:
            raise BadRequest(f"The page must be 0 or more, and its size 1 to {PAGE_LIMIT}.")
        if asked.plugin is None:
            path = supervisor_log(self._log_dir)
        else:
            path = plugin_log(self._log_dir, asked.plugin)
        try:
            lines = page(
                files_of(path),
                asked.page,
                asked.page_size,
                asked.level,
                asked.plugin or "",
                asked.sought,
            )
        except OSError as error:
            raise StorageUnavailable(f"The log cannot be read now: {error.strerror}.") from error
        return LogPage(lines, asked.page, asked.page_size)


class PluginLogs(LoopActor):
    """Keeps the sinks of the plugins' logs, each started when it is first needed."""

    def __init__(self, context: ActorContext, sinks: PluginLogSinks) -> None:
        super().__init__(context)
        self._sinks = sinks

    async def on_stop(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Let every sink write what it has, and stop."""
        await self._sinks.stop_all()


class PluginLogSinks:
    """The sinks of the plugins' logs by plugin; on the event loop."""

    def __init__(self, system: ActorSystem, log_dir: Path) -> None:
        self._system = system
        self._log_dir = log_dir
        self._children = Children(system, PLUGIN_LOGS)

    def of(self, plugin: str) -> Address:
        """Return the address of the sink of a plugin's log.

        Raises:
            BadRequest: this is no id of a plugin.
        """
        name = plugin_log_name(plugin)
        if name not in self._children:
            hub = self._system.address("hub")
            self._children.start(plugin_log_sink(self._log_dir, plugin, hub))
        return self._system.address(name)

    async def stop_all(self) -> None:
        """Let every sink write what it has, and stop."""
        await self._children.stop_all()


def plugin_log_name(plugin: str) -> str:
    """Return the name of the actor of a plugin's log."""
    return f"plugin_log/{plugin}"


def plugin_log_sink(log_dir: Path, plugin: str, hub: Address | None) -> ChildSpec:
    """Return the spec of the sink of a plugin's log, shown live to admins.

    Raises:
        BadRequest: this is no id of a plugin.
    """
    args = (plugin_log(log_dir, plugin), plugin, hub)
    return ChildSpec(plugin_log_name(plugin), LogSink, args)


def supervisor_log_sink(log_dir: Path) -> ChildSpec:
    """Return the spec of the sink of the supervisor's log."""
    return ChildSpec(SUPERVISOR_LOG, LogSink, (supervisor_log(log_dir), ""))


def log_reader(log_dir: Path) -> ChildSpec:
    """Return the spec of the reader of all logs."""
    return ChildSpec(LOG_READER, LogReader, (log_dir,))
