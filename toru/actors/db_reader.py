"""The readers: two connections that cannot write, behind one name.

Runs on: `DbReader` on the hub's event loop, `DbReadThread` on a thread of its own each.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Coroutine
from typing import Any, ClassVar

import peewee

from toru import clock
from toru.actors.runtime import ActorContext, ChildSpec, LoopActor, Message, ThreadActor
from toru.errors import StorageUnavailable, ToruError
from toru.storage import Storage
from toru.storage.database import QUERY_LIMIT_S, as_answer, close, connection_of
from toru.storage.queries import answer

logger = logging.getLogger("toru.storage")

READER_NAMES = ("db_reader_1", "db_reader_2")

_STEPS_A_LOOK = 2_000  # SQLite's virtual machine runs so many steps between looks at the clock
_FORWARD_DEADLINE_S = (
    60.0  # over what anyone waits: the asker's own deadline is the one that counts
)


class DbReadThread(ThreadActor):
    """Answers one question after the other, each on the newest committed state.

    A question that takes over `QUERY_LIMIT_S` seconds is given up with `StorageUnavailable`, as is
    one that the database cannot answer now; the next one begins on a fresh connection.

    The mailbox holds 1,000 questions and refuses more.
    """

    def __init__(
        self, context: ActorContext, storage: Storage, query_limit_s: float = QUERY_LIMIT_S
    ) -> None:
        """Create a reader.

        Args:
            context: given by the supervisor.
            storage: the database, already at the latest schema.
            query_limit_s: the most that one question may take.
        """
        super().__init__(context)
        self._location = storage.location
        self._database: peewee.Database | None = None
        self._query_limit_s = query_limit_s
        self._give_up_at = 0.0
        self._failing = False

    def on_stop(self) -> None:
        """Close the connection; runs on the actor's thread."""
        self._disconnect()

    def on_failure(self, *_: object) -> None:
        """Close the connection; runs on the actor's thread."""
        self._disconnect()

    def on_receive(self, message: Message[Any]) -> Any:
        """Answer one question."""
        self._give_up_at = clock.monotonic() + self._query_limit_s
        try:
            told = answer(self._connected(), message)
        except ToruError:
            raise
        except (peewee.PeeweeException, UnicodeError, OverflowError) as error:
            raise self._failed(error) from error
        self._failing = False
        return told

    def _failed(self, error: Exception) -> ToruError:
        self._disconnect()
        if clock.monotonic() >= self._give_up_at:
            return StorageUnavailable(
                f"The answer took longer than {self._query_limit_s:g} seconds; ask for less."
            )
        told = as_answer(error, "read")
        if isinstance(told, StorageUnavailable) and not self._failing:
            self._failing = True
            logger.error("%s", told.sentence)
        return told

    def _connected(self) -> peewee.Database:
        if self._database is None:
            self._database = self._location.reader()
            connection = connection_of(self._database)
            if isinstance(connection, sqlite3.Connection):
                connection.set_progress_handler(self._is_too_late, _STEPS_A_LOOK)
        return self._database

    def _is_too_late(self) -> bool:
        return clock.monotonic() >= self._give_up_at

    def _disconnect(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            close(database)


class DbReader(LoopActor):
    """Hands each question to the reading thread that has the fewest waiting.

    The mailbox holds 2,000 questions, as many as both threads, and refuses more.
    """

    mailbox_limit: ClassVar[int] = 2_000

    def __init__(self, context: ActorContext, names: tuple[str, ...] = READER_NAMES) -> None:
        """Create the distributor.

        Args:
            context: given by the supervisor.
            names: the names of the reading threads.
        """
        super().__init__(context)
        self._readers = [context.system.address(name) for name in names]
        self._waiting = [0] * len(names)

    def on_receive(self, message: Message[Any]) -> Coroutine[Any, Any, Any]:
        """Return the answer of one of the threads, to be awaited."""
        return self._forward(message)

    async def _forward(self, message: Message[Any]) -> Any:
        chosen = self._waiting.index(min(self._waiting))
        self._waiting[chosen] += 1
        try:
            return await self._readers[chosen].ask(message, deadline_s=_FORWARD_DEADLINE_S)
        finally:
            self._waiting[chosen] -= 1


def reader_specs(storage: Storage) -> tuple[ChildSpec, ...]:
    """Return the reading threads and, after them, the actor that is asked."""
    threads = (ChildSpec(name, DbReadThread, (storage,)) for name in READER_NAMES)
    return (*threads, ChildSpec("db_reader", DbReader))
