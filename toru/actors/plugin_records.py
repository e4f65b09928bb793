"""What is written down of a plugin, and who waits until it is.

Runs on: the event loop, owned by one `Plugin`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterator

import msgspec

from toru.actors.messages.hub import Publish
from toru.actors.messages.logs import Level, LogLine, LogLines
from toru.actors.messages.plugin_storage import InsertPluginEvent
from toru.actors.messages.plugins import SetEnabled
from toru.actors.plugin_services import PluginServices
from toru.actors.plugin_settings import PluginSettings
from toru.clock import utc_now
from toru.domain import plugin_life as life
from toru.domain.uuid7 import uuid7
from toru.errors import ToruError, Unavailable

logger = logging.getLogger("toru.plugins")

Record = life.RecordEvent | life.PersistEnabled | life.Answer


class PluginRecords:
    """Writes events and the enabled state down, and answers wishes, in the order of all of them.

    So whoever gets an answer finds what led to it, and nobody is told that something is so which
    a restart of the hub would undo.
    """

    def __init__(self, plugin_id: str, services: PluginServices, settings: PluginSettings) -> None:
        self._id = plugin_id
        self._settings = settings
        self._services = services
        self._queue: asyncio.Queue[Record] = asyncio.Queue()
        self._asks: dict[str, asyncio.Future[None]] = {}
        self._persist_error: ToruError | None = None

    def add(self, record: Record) -> None:
        """Write something down, or answer somebody, after all that was added before."""
        self._queue.put_nowait(record)

    async def keep(self) -> None:
        """Do all that is added, for ever."""
        while True:
            record = await self._queue.get()
            try:
                await self._do(record)
            finally:
                self._queue.task_done()

    async def written(self) -> None:
        """Return when all that was added is done."""
        await self._queue.join()

    @contextlib.contextmanager
    def asked(self, enabled: bool) -> Iterator[tuple[str, asyncio.Future[None]]]:
        """Begin a wish; yield its token and its answer to come.

        Args:
            enabled: the state that is written down once more, where that has failed.
        """
        token = uuid7()
        answer = self._asks[token] = asyncio.get_running_loop().create_future()
        try:
            if self._persist_error is not None:
                self.add(life.PersistEnabled(enabled))
            yield token, answer
        finally:
            del self._asks[token]

    def refuse_all(self, error: ToruError) -> None:
        """Answer everybody who waits with an error."""
        for answer in self._asks.values():
            if not answer.done():
                answer.set_exception(error)

    def log(self, level: str, text: str, pid: int | None) -> None:
        """Add a line to the supervisor's log, at once."""
        level_of_log: Level = "warn" if level == "warning" else level  # type: ignore[assignment]
        line = LogLine(utc_now(), level_of_log, self._id, self._settings.hide(text), pid=pid)
        with contextlib.suppress(Unavailable):
            self._services.supervisor_log.tell(LogLines((line,)))

    async def _do(self, record: Record) -> None:
        match record:
            case life.RecordEvent():
                await self._store(record)
            case life.PersistEnabled(enabled):
                await self._persist(enabled)
            case life.Answer(ask, refusal):
                self._answer(ask.token, refusal)

    async def _store(self, event: life.RecordEvent) -> None:
        details = json.dumps(self._settings.hide_in(event.details)) if event.details else None
        message = InsertPluginEvent(self._id, event.event_type, details, utc_now())
        try:
            row = await self._services.db_writer.ask(message)
        except ToruError as error:
            logger.error("The event %s of %s is not stored: %s", event.event_type, self._id, error)
            return
        data = msgspec.json.encode({"type": "event", "plugin": self._id, "event": row})
        with contextlib.suppress(Unavailable):
            told = Publish("plugin-states", msgspec.Raw(data), admin_only=True)
            self._services.hub.tell(told)

    async def _persist(self, enabled: bool) -> None:
        try:
            await self._services.folder.ask(SetEnabled(self._id, enabled))
        except ToruError as error:
            self._persist_error = error
            self.log("error", error.sentence, None)
        else:
            self._persist_error = None

    def _answer(self, token: str, refusal: life.Refusal | None) -> None:
        answer = self._asks.get(token)
        if answer is None or answer.done():
            return
        if refusal is not None:
            answer.set_exception(life.refusal_error(refusal))
        elif self._persist_error is not None:
            answer.set_exception(self._persist_error)
        else:
            answer.set_result(None)
