"""Version 4 of the schema: the machine's history, in rows of a minute and of an hour.

Runs on: the main thread, inside the migration's transaction.
"""

from __future__ import annotations

import peewee

from toru.storage.database import execute, is_sqlite

# Times are whole seconds since the epoch here, and figures are packed: a row is a hundred bytes.
_MACHINE_HISTORY = """
    "length_s" {integer} NOT NULL,
    "started_at" {integer} NOT NULL,
    "ended_at" {integer} NOT NULL,
    "figures" {bytes} NOT NULL,
    PRIMARY KEY ("length_s", "started_at")"""
_SQLITE = {"integer": "INTEGER", "bytes": "BLOB"}
_POSTGRES = {"integer": "BIGINT", "bytes": "BYTEA"}


def make_fourth_schema(database: peewee.Database) -> None:
    """Make the table; one of that name that is there already is kept under another.

    Raises:
        peewee.DatabaseError: the database cannot be written.
    """
    sqlite = is_sqlite(database)
    if "machine_history" in database.get_tables():
        execute(database, 'ALTER TABLE "machine_history" RENAME TO "older_machine_history"')
    body = _MACHINE_HISTORY.format_map(_SQLITE if sqlite else _POSTGRES)
    # Rows lie in the order of their key, so that reading a range is reading neighbours.
    options = " WITHOUT ROWID" if sqlite else ""
    execute(database, f'CREATE TABLE "machine_history" ({body}){options}')
