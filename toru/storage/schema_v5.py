"""Version 5 of the schema: the settings of plugins.

Runs on: the main thread, inside the migration's transaction.
"""

from __future__ import annotations

import peewee

from toru.storage.database import execute


def make_fifth_schema(database: peewee.Database) -> None:
    """Make the table; one of that name that is there already is kept under another.

    Raises:
        peewee.DatabaseError: the database cannot be written.
    """
    if "plugin_settings" in database.get_tables():
        execute(database, 'ALTER TABLE "plugin_settings" RENAME TO "older_plugin_settings"')
    body = '"plugin_id" TEXT NOT NULL PRIMARY KEY, "content" TEXT NOT NULL'
    execute(database, f'CREATE TABLE "plugin_settings" ({body})')
