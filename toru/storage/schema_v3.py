"""Version 3 of the schema: a quick action may ask before it runs.

Runs on: the main thread, inside the migration's transaction.
"""

from __future__ import annotations

import peewee

from toru.storage.database import execute, is_sqlite


def make_third_schema(database: peewee.Database) -> None:
    """Let each quick action run unasked, as before.

    A column of that name that an older Toru had is kept under another one.

    Raises:
        peewee.DatabaseError: the database cannot be written.
    """
    if "confirm" in {column.name for column in database.get_columns("quick_actions")}:
        execute(database, 'ALTER TABLE "quick_actions" RENAME COLUMN "confirm" TO "older_confirm"')
    kind = "INTEGER NOT NULL DEFAULT 0" if is_sqlite(database) else "BOOLEAN NOT NULL DEFAULT FALSE"
    execute(database, f'ALTER TABLE "quick_actions" ADD COLUMN "confirm" {kind}')
