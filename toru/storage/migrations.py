"""The schema, step by step: each version is one function, all steps are one transaction.

The version is SQLite's ``user_version``, which is part of the same transaction; PostgreSQL has
a table for it. What a released step does is never changed; a change is a step more.

Runs on: the main thread, before any actor uses the database.
"""

from __future__ import annotations

from collections.abc import Callable

import peewee

from toru.errors import ConfigError
from toru.storage.database import execute, is_sqlite
from toru.storage.schema_v1 import TABLES, make_first_schema
from toru.storage.schema_v2 import make_second_schema
from toru.storage.schema_v3 import make_third_schema
from toru.storage.schema_v4 import make_fourth_schema
from toru.storage.schema_v5 import make_fifth_schema

Migration = Callable[[peewee.Database], None]

MIGRATIONS: tuple[Migration, ...] = (
    make_first_schema,
    make_second_schema,
    make_third_schema,
    make_fourth_schema,
    make_fifth_schema,
)
"""The step to version 1, the step to version 2, …"""

LATEST = len(MIGRATIONS)

_LOCK_KEY = 0x546F7275
"""The advisory lock that keeps a second hub from migrating the same PostgreSQL database."""


def migrate(database: peewee.Database, migrations: tuple[Migration, ...] = MIGRATIONS) -> int:
    """Bring the schema to the latest version and return the version that it had.

    After an error, or when the process dies on the way, the schema is the old one.

    Raises:
        ConfigError: the schema is newer than this program, or belongs to another one.
        peewee.DatabaseError: the database cannot be written, or its rows do not fit.
    """
    with database.transaction():
        if not is_sqlite(database):
            execute(database, "SELECT pg_advisory_xact_lock(%s)", (_LOCK_KEY,))
        found = schema_version(database)
        check_version(found, len(migrations))
        if found == 0:
            check_owner(database.get_tables())
        for step in migrations[found:]:
            step(database)
        if found < len(migrations):
            _set_schema_version(database, len(migrations))
    return found


def schema_version(database: peewee.Database) -> int:
    """Return the version of the schema; 0 is none, or one from before versions were kept.

    Raises:
        peewee.DatabaseError: the database cannot be read.
    """
    if is_sqlite(database):
        return int(execute(database, "PRAGMA user_version").fetchall()[0][0])
    if "schema_version" not in database.get_tables():
        return 0
    rows = execute(database, "SELECT version FROM schema_version").fetchall()
    return int(rows[0][0]) if rows else 0


def check_version(found: int, latest: int = LATEST) -> None:
    """Refuse a schema that this program cannot know.

    Raises:
        ConfigError: it is newer.
    """
    if not 0 <= found <= latest:
        raise ConfigError(
            f"The database has schema version {found}, and this Toru knows versions up to "
            f"{latest}; use the Toru that made it, or another database."
        )


def check_owner(tables: list[str]) -> None:
    """Refuse a database without a version that holds the tables of another program.

    Raises:
        ConfigError: there are tables, and none is Toru's.
    """
    if tables and not set(tables) & set(TABLES):
        raise ConfigError(
            "The database holds the tables of another program; set DATABASE_URL to one for Toru."
        )


def _set_schema_version(database: peewee.Database, version: int) -> None:
    if is_sqlite(database):
        execute(database, f"PRAGMA user_version = {version:d}")
        return
    execute(database, "CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
    execute(database, "DELETE FROM schema_version")
    execute(database, "INSERT INTO schema_version VALUES (%s)", (version,))
