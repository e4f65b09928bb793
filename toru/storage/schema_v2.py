"""Version 2 of the schema: keys of plugins have a version and an end, and their sizes are known.

Runs on: the main thread, inside the migration's transaction.
"""

from __future__ import annotations

import peewee

from toru.storage.adoption import make_beside, put_in_place
from toru.storage.database import execute, is_sqlite
from toru.storage.schema_v1 import column_types

# The value comes last: what lies behind a long text is slow to reach in an SQLite row.
_PLUGIN_KV = """
    "plugin_id" TEXT NOT NULL,
    "key" {sorted} NOT NULL,
    "version" {bigint} NOT NULL,
    "expires_at" {sorted},
    "size_bytes" {bigint} NOT NULL,
    "value" TEXT NOT NULL,
    PRIMARY KEY ("plugin_id", "key")"""
_ADDED = {"version", "expires_at", "size_bytes"}
_USAGE = """
    "plugin_id" TEXT NOT NULL PRIMARY KEY,
    "size_bytes" {bigint} NOT NULL,
    "last_version" {bigint} NOT NULL"""


def make_second_schema(database: peewee.Database) -> None:
    """Give each key version 1 and its size; a key without a value is one that is not there.

    Raises:
        peewee.DatabaseError: the database cannot be written.
    """
    types = column_types(database)
    older = [column.name for column in database.get_columns("plugin_kv")]
    kept = [name for name in older if name not in _ADDED]
    make_beside(database, "plugin_kv", _PLUGIN_KV.format_map(types))
    _copy_values(database, kept)
    put_in_place(database, "plugin_kv")
    execute(database, f'CREATE TABLE "plugin_kv_usage" ({_USAGE.format_map(types)})')
    execute(
        database,
        'INSERT INTO "plugin_kv_usage" ("plugin_id", "size_bytes", "last_version") '
        'SELECT "plugin_id", SUM("size_bytes"), 1 FROM "plugin_kv" GROUP BY "plugin_id"',
    )
    execute(
        database,
        'CREATE INDEX "toru_plugin_kv_expires_at" ON "plugin_kv" ("expires_at") '
        'WHERE "expires_at" IS NOT NULL',
    )
    execute(
        database,
        'CREATE INDEX "toru_plugin_events_timestamp" ON "plugin_events" ("timestamp")',
    )


def _copy_values(database: peewee.Database, columns: list[str]) -> None:
    size = 'length(CAST("{}" AS BLOB))' if is_sqlite(database) else 'octet_length("{}")'
    listed = ", ".join('"' + name.replace('"', '""') + '"' for name in columns)
    execute(
        database,
        f'INSERT INTO "new_plugin_kv" ({listed}, "version", "size_bytes") '  # noqa: S608 - quoted
        f'SELECT {listed}, 1, {size.format("key")} + {size.format("value")} FROM "plugin_kv" '
        'WHERE "value" IS NOT NULL',
    )
