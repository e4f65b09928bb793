"""Where the database is and how each kind of connection to it is opened.

Every actor opens its own peewee database, so no connection is shared between threads or hubs.

Runs on: any thread; a database is used on the thread that opened it only.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote

import peewee
from playhouse import db_url

from toru.errors import BadRequest, ConfigError, StorageUnavailable, ToruError

BUSY_TIMEOUT_S = 5.0
"""How long a connection waits for a lock that another process holds."""

WAL_KEPT_BYTES = 64 * 1024 * 1024
"""To this size the write-ahead log is cut back after it has grown."""

QUERY_LIMIT_S = 8.0
"""A reader gives a question up after this time; those who ask wait ten seconds."""

SQLITE_FLOOR = (3, 35, 0)
"""The first SQLite with RETURNING."""

UNSTORABLE = "A value of the request is too large, or is no text."
"""What is said of a value that the database can neither keep nor compare."""

_SQLITE = "sqlite:///"


class Location(Protocol):
    """A database that connections can be opened to."""

    def writer(self) -> peewee.Database:
        """Open the one connection that writes."""

    def reader(self) -> peewee.Database:
        """Open a connection that cannot write."""


@dataclass(frozen=True)
class SqliteLocation:
    """An SQLite file.

    Attributes:
        path: the absolute path of the file.
        busy_timeout_s: how long a connection waits for a lock of another process.
    """

    path: Path
    busy_timeout_s: float = BUSY_TIMEOUT_S

    def writer(self) -> peewee.SqliteDatabase:
        """Open the connection that writes, which is also the only one that checkpoints.

        Raises:
            peewee.DatabaseError: it cannot be opened.
        """
        return self._opened(
            self.uri("rw"),
            {
                "journal_mode": "wal",
                "synchronous": "full",
                "foreign_keys": 1,
                "journal_size_limit": WAL_KEPT_BYTES,
            },
        )

    def reader(self) -> peewee.SqliteDatabase:
        """Open a connection that can neither write nor checkpoint.

        Raises:
            peewee.DatabaseError: it cannot be opened.
        """
        return self._opened(self.uri("ro"), {"query_only": 1, "wal_autocheckpoint": 0})

    def migrator(self) -> peewee.SqliteDatabase:
        """Open a connection for the start: it leaves the journal mode and checkpoints alone.

        Foreign keys are off, because a table is rebuilt under its name; the migration checks
        them itself.

        Raises:
            peewee.DatabaseError: it cannot be opened.
        """
        return self._opened(
            self.uri("rw"),
            {"synchronous": "full", "foreign_keys": 0, "wal_autocheckpoint": 0},
        )

    def uri(self, mode: str) -> str:
        """Return the file as SQLite's URI with the options of ``mode``."""
        options = "immutable=1" if mode == "immutable" else f"mode={mode}"
        return f"file:{quote(str(self.path))}?{options}"

    def _opened(self, uri: str, pragmas: dict[str, Any]) -> peewee.SqliteDatabase:
        database = peewee.SqliteDatabase(
            uri,
            uri=True,
            pragmas=pragmas,
            timeout=self.busy_timeout_s,
            lock_type="IMMEDIATE",
            autoconnect=False,
        )
        database.connect()
        return database


@dataclass(frozen=True)
class PostgresLocation:
    """A PostgreSQL database.

    Attributes:
        url: its address; holds the password, so ``repr()`` leaves it out.
        busy_timeout_s: how long a statement waits for a lock.
    """

    url: str = field(repr=False)
    busy_timeout_s: float = BUSY_TIMEOUT_S

    def writer(self) -> peewee.Database:
        """Open the connection that writes.

        Raises:
            peewee.DatabaseError: there is no server, or it refuses.
            peewee.ImproperlyConfigured: the driver is not installed.
        """
        return self._opened({"lock_timeout": f"{self.busy_timeout_s:g}s"})

    def reader(self) -> peewee.Database:
        """Open a connection that cannot write.

        Raises:
            peewee.DatabaseError: there is no server, or it refuses.
            peewee.ImproperlyConfigured: the driver is not installed.
        """
        return self._opened(
            {"default_transaction_read_only": "on", "statement_timeout": f"{QUERY_LIMIT_S:g}s"}
        )

    def _opened(self, parameters: dict[str, str]) -> peewee.Database:
        database: peewee.Database = db_url.connect(
            self.url, unquote_user=True, unquote_password=True, autoconnect=False
        )
        database.connect()
        for name, value in {**parameters, "client_encoding": "UTF8"}.items():
            execute(database, f"SET {name} = '{value}'")
        return database


def locate(
    url: str, *, busy_timeout_s: float = BUSY_TIMEOUT_S
) -> SqliteLocation | PostgresLocation:
    """Return what a ``DATABASE_URL`` names.

    The path after ``sqlite:///`` is taken as it is, without escapes or options.

    Raises:
        ConfigError: the address names no file, or no kind of database that Toru knows.
    """
    scheme = url.partition(":")[0].lower()
    if scheme == "sqlite":
        name = url[len(_SQLITE) :]
        if not url.lower().startswith(_SQLITE) or not name or name == ":memory:":
            raise ConfigError("DATABASE_URL must name a file: sqlite:/// and its path.")
        # SQLite keeps its log beside the file that a link leads to, so that is the one to look at.
        path = os.path.realpath(name) if os.path.exists(name) else name  # noqa: PTH110 - never raises
        return SqliteLocation(Path(path).absolute(), busy_timeout_s)
    if scheme in {"postgres", "postgresql"}:
        return PostgresLocation(url, busy_timeout_s)
    raise ConfigError("DATABASE_URL must start with sqlite:/// or postgresql://.")


def execute(database: peewee.Database, sql: str, values: Sequence[Any] = ()) -> Any:
    """Run one statement and return its cursor.

    Raises:
        peewee.DatabaseError: the database refuses it.
    """
    untyped: Any = database  # peewee's stubs leave this method without types
    return untyped.execute_sql(sql, values)


def is_sqlite(database: peewee.Database) -> bool:
    """Return whether the database is an SQLite file."""
    return isinstance(database, peewee.SqliteDatabase)


def close(database: peewee.Database) -> None:
    """Close the calling thread's connection, whatever state it is in."""
    connection = connection_of(database)
    database.dispose()
    if connection is not None:
        with suppress(Exception):  # a connection that broke may fail in its close too
            connection.close()


def connection_of(database: peewee.Database) -> Any:
    """Return the driver's connection of the calling thread, or None."""
    untyped: Any = database  # peewee's stubs leave this method without types
    return None if database.is_closed() else untyped.connection()


def as_answer(error: Exception, action: str) -> ToruError:
    """Return what a failed statement is to the one who asked.

    Args:
        error: what the database or its driver raised.
        action: ``written`` or ``read``.
    """
    if isinstance(error, ToruError):
        return error
    if isinstance(error, peewee.DataError | UnicodeError | OverflowError):
        return BadRequest(UNSTORABLE)
    return StorageUnavailable(f"The database cannot be {action} now: {reason(error)}.")


def reason(error: Exception) -> str:
    """Return the first line of a database error, without its full stop."""
    lines = str(error.args[-1] if error.args else error).strip().splitlines() or ["no reason given"]
    return lines[0].strip().rstrip(".")


def engine(url: str) -> str:
    """Return ``SQLite <version>`` or ``PostgreSQL``: what a ``DATABASE_URL`` names, not where."""
    return f"SQLite {sqlite3.sqlite_version}" if url.startswith("sqlite:") else "PostgreSQL"


def sqlite_version() -> tuple[int, int, int]:
    """Return the version of the SQLite library that Python is linked with."""
    return sqlite3.sqlite_version_info
