"""The writer: the only connection that changes the database, one commit for all that waits.

Runs on: a thread of its own.
"""

from __future__ import annotations

import logging
from typing import Any, ClassVar

import peewee

from toru.actors.runtime import ActorContext, Delivery, ThreadActor
from toru.errors import ActorCrashed, StorageUnavailable, ToruError
from toru.storage import Storage
from toru.storage.changes import Changes
from toru.storage.database import close, reason

logger = logging.getLogger("toru.storage")

_OF_ONE_MESSAGE = (peewee.ProgrammingError, peewee.NotSupportedError)
"""Errors of the library that only a mistake in the program explains."""

_Outcome = tuple[Delivery, Any, BaseException | None]


class DbWriter(ThreadActor):
    """Makes changes durable: a batch is one transaction, answered after its commit.

    What cannot be (`Conflict`, `NotFound`) is the answer to that message only. When the database
    cannot be written, every message of the batch gets `StorageUnavailable`, nothing of it is
    kept, and the next batch begins on a fresh connection.

    The mailbox holds 10,000 changes and refuses more.
    """

    mailbox_limit: ClassVar[int] = 10_000
    batch_limit: ClassVar[int] = 256

    def __init__(self, context: ActorContext, storage: Storage) -> None:
        """Create the writer.

        Args:
            context: given by the supervisor.
            storage: the database, already at the latest schema.
        """
        super().__init__(context)
        self._location = storage.location
        self._database: peewee.Database | None = None
        self._changes: Changes | None = None
        self._failing = False

    def on_stop(self) -> None:
        """Close the connection; runs on the actor's thread."""
        self._disconnect()

    def on_failure(self, *_: object) -> None:
        """Close the connection, so that the actor's successor is the only writer again."""
        self._disconnect()

    def on_batch(self, deliveries: list[Delivery]) -> None:
        """Make the changes of all messages in one transaction and answer them."""
        try:
            outcomes = self._commit(deliveries)
        except (peewee.DatabaseError, peewee.InterfaceError) as error:
            self._disconnect()
            self._refuse(deliveries, error)
            return
        if self._failing:
            self._failing = False
            logger.info("The database can be written again.")
        mistake = _mistake(outcomes)
        if mistake is not None:
            _answer(outcomes)
            raise mistake
        # One call wakes the loop for the whole batch; an answer each would wake it for every one.
        self.context.system.call_on_loop(_answer, outcomes)

    def _commit(self, deliveries: list[Delivery]) -> list[_Outcome]:
        """Make the changes in one transaction; an error leaves it to the closing to undo it.

        A ROLLBACK would fail where SQLite has rolled back by itself, as it does on a full disk.
        """
        database, changes = self._connected()
        database.begin()
        outcomes = [_outcome(changes, delivery) for delivery in deliveries]
        database.commit()
        return outcomes

    def _connected(self) -> tuple[peewee.Database, Changes]:
        if self._database is None or self._changes is None:
            self._database = self._location.writer()
            self._changes = Changes(self._database)
        return self._database, self._changes

    def _disconnect(self) -> None:
        database, self._database, self._changes = self._database, None, None
        if database is not None:
            close(database)

    def _refuse(self, deliveries: list[Delivery], error: Exception) -> None:
        cause = reason(error)
        if not self._failing:
            self._failing = True
            logger.error("The database cannot be written: %s.", cause)
        for delivery in deliveries:
            delivery.fail(StorageUnavailable(f"The database cannot be written now: {cause}."))


def _outcome(changes: Changes, delivery: Delivery) -> _Outcome:
    """Make one change; an error that is its own leaves the rest of the transaction alone."""
    try:
        return delivery, changes.apply(delivery.message), None
    except ToruError as error:
        return delivery, None, error
    except _OF_ONE_MESSAGE as error:
        return delivery, None, error
    except peewee.PeeweeException:
        raise
    except Exception as error:
        return delivery, None, error


def _answer(outcomes: list[_Outcome]) -> None:
    """Answer what has been committed; any thread."""
    for delivery, value, error in outcomes:
        if error is None:
            delivery.reply(value)
        elif isinstance(error, ToruError):
            delivery.fail(error)
        else:
            delivery.fail(ActorCrashed("The database writer failed while it handled the message."))


def _mistake(outcomes: list[_Outcome]) -> BaseException | None:
    """Return the first error that is no answer, but a mistake in the program."""
    errors = (error for _, _, error in outcomes if error is not None)
    return next((error for error in errors if not isinstance(error, ToruError)), None)
