"""The start of the database: checked, brought to the latest schema, and then handed out.

Runs on: the main thread, before any actor uses the database.
"""

from __future__ import annotations

import logging
import sqlite3
from dataclasses import dataclass

import peewee

from toru.errors import ConfigError
from toru.storage.database import (
    BUSY_TIMEOUT_S,
    PostgresLocation,
    SqliteLocation,
    close,
    execute,
    locate,
    reason,
)
from toru.storage.inspection import inspect, secure, sentence
from toru.storage.migrations import LATEST, migrate

logger = logging.getLogger("toru.storage")


@dataclass(frozen=True)
class Storage:
    """A database that has the latest schema.

    Attributes:
        location: where connections to it are opened.
        instance_id: the UUID that the first migration made.
    """

    location: SqliteLocation | PostgresLocation
    instance_id: str


def open_storage(url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S) -> Storage:
    """Check the database, bring its schema to the latest version, and return where it is.

    Args:
        url: ``sqlite:///<path>`` or ``postgresql://…``.
        busy_timeout_s: how long a connection waits for a lock of another process.

    Raises:
        ConfigError: the database is damaged, read-only, newer, or cannot be reached; it is left
            as it was.
    """
    # At its debug level peewee logs every statement with its values, hashes among them.
    logging.getLogger("peewee").setLevel(logging.INFO)
    location = locate(url, busy_timeout_s=busy_timeout_s)
    if isinstance(location, PostgresLocation):
        return _open_postgres(location)
    return _open_sqlite(location)


def _open_sqlite(location: SqliteLocation) -> Storage:
    inspect(location)
    secure(location.path)
    try:
        database = location.migrator()
        try:
            instance_id = _brought_up(database)
        finally:
            close(database)
        _check_log_mode(location)
    except peewee.DatabaseError as error:
        raise ConfigError(sentence(location.path, error)) from None
    logger.info("The database is %s, SQLite %s.", location.path, sqlite3.sqlite_version)
    return Storage(location, instance_id)


def _check_log_mode(location: SqliteLocation) -> None:
    """Turn write-ahead logging on, which is a property of the file."""
    database = location.writer()
    try:
        mode = execute(database, "PRAGMA journal_mode").fetchall()[0][0]
    finally:
        close(database)
    if mode != "wal":
        raise ConfigError(
            f"The file system of the database {str(location.path)!r} cannot keep a write-ahead "
            "log; set TORU_DATA_DIR to a local disk."
        )


def _open_postgres(location: PostgresLocation) -> Storage:
    try:
        database = location.writer()
    except peewee.ImproperlyConfigured:
        raise ConfigError(
            "DATABASE_URL names PostgreSQL, and its driver is not installed; "
            "install it with: pip install 'psycopg[binary]'"
        ) from None
    except (peewee.PeeweeException, ValueError) as error:
        raise ConfigError(
            f"The database of DATABASE_URL cannot be used: {reason(error)}."
        ) from None
    try:
        instance_id = _brought_up(database)
    except peewee.PeeweeException as error:
        raise ConfigError(
            f"The database of DATABASE_URL cannot be used: {reason(error)}."
        ) from None
    finally:
        close(database)
    logger.info("The database is PostgreSQL, server %s.", database.server_version)
    return Storage(location, instance_id)


def _brought_up(database: peewee.Database) -> str:
    found = migrate(database)
    if found != LATEST:
        logger.info("The schema of the database went from version %d to %d.", found, LATEST)
    find = f'SELECT "value" FROM "settings" WHERE "key" = {database.param}'  # noqa: S608 - a placeholder
    rows = execute(database, find, ("instance_id",)).fetchall()
    if not rows:
        raise ConfigError("The database has lost its setting instance_id; restore a backup.")
    return str(rows[0][0])
