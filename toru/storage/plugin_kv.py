"""The keys and values of plugins: their limits, the changes to them, and the questions.

What a plugin stores in sum is kept in a row of its own, ``plugin_kv_usage``, changed with every
change, so that the limit costs the same whether there are ten keys or a million.

Runs on: `PluginKv` on the thread of `DbWriter`, the rest on the threads of `DbReader`.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import peewee

from toru.actors.messages.plugin_storage import (
    KvBatch,
    KvDelete,
    KvEntry,
    KvGet,
    KvList,
    KvPage,
    KvPut,
    KvRemove,
    KvSet,
)
from toru.clock import format_time
from toru.errors import BadRequest, Conflict, TooLarge
from toru.storage.database import execute

KEY_LIMIT_BYTES = 256
VALUE_LIMIT_BYTES = 256 * 1024
PLUGIN_LIMIT_BYTES = 64 * 1024 * 1024
"""The most that the keys and values of one plugin may have in sum, as UTF-8."""

BATCH_LIMIT = 100
PAGE_LIMIT = 1000
LONGEST_TTL_S = 100 * 365 * 86_400.0
PURGED_AT_ONCE = 50_000
"""Expired entries that one purge removes; more would hold up the writer for seconds."""

_NO_LIMIT = 2**31 - 1
_LAST_CODE_POINT = 0x10FFFF
_SURROGATES = range(0xD800, 0xE000)


class _Row(msgspec.Struct, frozen=True):
    version: int
    size_bytes: int
    expires_at: str | None


class PluginKv:
    """The changes of one connection.

    Args:
        database: the connection.
        now: another wall clock than the system's, in seconds since the Unix epoch.
    """

    def __init__(self, database: peewee.Database, now: Callable[[], float] | None = None) -> None:
        self._database = database
        self._now = now or time.time

    def apply(self, message: KvSet | KvDelete | KvBatch) -> Any:
        """Make a change and return its answer. The caller undoes what an error leaves half done.

        Raises:
            BadRequest: a key or a time to live is none.
            TooLarge: a key, a value, a batch, or all that the plugin stores.
            Conflict: ``if_version`` is not the version that is there.
        """
        match message:
            case KvSet():
                return self._put(message.plugin_id, message)
            case KvDelete():
                return self._remove(message.plugin_id, message)
            case KvBatch(plugin_id=plugin_id, changes=changes):
                if len(changes) > BATCH_LIMIT:
                    raise TooLarge(f"A batch has at most {BATCH_LIMIT} changes.")
                return [self._change(plugin_id, change) for change in changes]

    def purge(self) -> int:
        """Remove expired entries, the longest expired first, and return how many."""
        return self._purge("", (), PURGED_AT_ONCE)

    def _change(self, plugin_id: str, change: KvPut | KvRemove) -> int | None:
        if isinstance(change, KvPut):
            return self._put(plugin_id, change)
        self._remove(plugin_id, change)
        return None

    def _put(self, plugin_id: str, change: KvSet | KvPut) -> int:
        size = _checked_size(change.key, change.value)
        expires_at = self._expiry(change.ttl_s)
        before = self._find(plugin_id, change.key)
        self._check_version(change, before)
        total, last_version = self._usage(plugin_id)
        growth = size - (before.size_bytes if before else 0)
        if growth > 0 and total + growth > PLUGIN_LIMIT_BYTES:
            self._purge('AND "plugin_id" = ?', (plugin_id,), _NO_LIMIT)
            before = self._find(plugin_id, change.key)
            total, last_version = self._usage(plugin_id)
            growth = size - (before.size_bytes if before else 0)
            if total + growth > PLUGIN_LIMIT_BYTES:
                raise _full(plugin_id, total)
        version = last_version + 1
        row = (plugin_id, change.key, version, expires_at, size, change.value)
        self._execute(_UPSERT, row)
        self._execute(_UPSERT_USAGE, (plugin_id, total + growth, version))
        return version

    def _remove(self, plugin_id: str, change: KvDelete | KvRemove) -> bool:
        check_key(change.key)
        before = self._find(plugin_id, change.key)
        self._check_version(change, before)
        if before is None:
            return False
        self._execute(_DELETE, (plugin_id, change.key))
        self._execute(_SHRINK_USAGE, (before.size_bytes, plugin_id))
        return self._is_live(before)

    def _check_version(self, change: Any, before: _Row | None) -> None:
        wanted: int | None = change.if_version
        version = before.version if before and self._is_live(before) else 0
        if wanted is not None and wanted != version:
            there = f"has version {version}" if version else "is not there"
            raise Conflict(
                f"The key {change.key!r} {there}, and {wanted} was expected.",
                code="version_conflict",
            )

    def _expiry(self, ttl_s: float | None) -> str | None:
        if ttl_s is None:
            return None
        if not math.isfinite(ttl_s) or not 0 < ttl_s <= LONGEST_TTL_S:
            raise BadRequest("The time to live must be more than 0 seconds and at most 100 years.")
        return format_time(self._now() + ttl_s)

    def _is_live(self, row: _Row) -> bool:
        return row.expires_at is None or row.expires_at > format_time(self._now())

    def _find(self, plugin_id: str, key: str) -> _Row | None:
        rows = self._execute(_FIND, (plugin_id, key)).fetchall()
        return _Row(*rows[0]) if rows else None

    def _usage(self, plugin_id: str) -> tuple[int, int]:
        rows = self._execute(_USAGE, (plugin_id,)).fetchall()
        return (int(rows[0][0]), int(rows[0][1])) if rows else (0, 0)

    def _purge(self, condition: str, values: tuple[str, ...], limit: int) -> int:
        sql = _PURGE.format(condition=condition)
        removed = self._execute(sql, (format_time(self._now()), *values, limit)).fetchall()
        freed: Counter[str] = Counter()
        for plugin_id, size_bytes in removed:
            freed[plugin_id] += size_bytes
        for plugin_id, size_bytes in freed.items():
            self._execute(_SHRINK_USAGE, (size_bytes, plugin_id))
        return len(removed)

    def _execute(self, sql: str, values: tuple[Any, ...]) -> Any:
        return execute(self._database, sql.replace("?", self._database.param), values)


def get(database: peewee.Database, message: KvGet, now: float) -> KvEntry | None:
    """Return one entry, if it is there and has not expired.

    Raises:
        BadRequest: the key is none.
        TooLarge: the key is longer than any.
    """
    check_key(message.key)
    rows = _rows(database, _GET, (message.plugin_id, message.key, format_time(now)))
    return KvEntry(*rows[0]) if rows else None


def list_page(database: peewee.Database, message: KvList, now: float) -> KvPage:
    """Return one page of a plugin's entries.

    Raises:
        BadRequest: the limit is not 1 to 1,000, or the prefix or the cursor is no text.
    """
    if not 1 <= message.limit <= PAGE_LIMIT:
        raise BadRequest(f"The limit must be 1 to {PAGE_LIMIT}.")
    _utf8(message.prefix)
    _utf8(message.cursor or "")
    condition, values = _range(message, now)
    budget = message.max_bytes if message.with_values else _NO_LIMIT
    listed = '"value"' if message.with_values else "NULL"
    sql = _PAGE.format(condition=condition, value=listed)
    rows = _rows(database, sql, (*values, *values, message.limit, budget))
    entries = [KvEntry(*row[:4]) for row in rows]
    if len(rows) < message.limit and sum(row[4] for row in rows) < budget:
        return KvPage(entries)
    condition, values = _range(msgspec.structs.replace(message, cursor=entries[-1].key), now)
    more = _rows(database, _MORE.format(condition=condition), values)
    return KvPage(entries, entries[-1].key if more else None)


def check_key(key: str) -> int:
    """Return the size of a key in bytes.

    Raises:
        BadRequest: it is empty, or no text.
        TooLarge: it is over 256 bytes.
    """
    size = len(_utf8(key))
    if size == 0:
        raise BadRequest("A key has at least one character.")
    if size > KEY_LIMIT_BYTES:
        raise TooLarge(f"A key has at most {KEY_LIMIT_BYTES} bytes; this one has {size}.")
    return size


def end_of_prefix(prefix: str) -> str | None:
    """Return the first text, by code points, that is after all texts with that prefix, if any."""
    for index in range(len(prefix) - 1, -1, -1):
        following = ord(prefix[index]) + 1
        if following in _SURROGATES:
            following = _SURROGATES.stop
        if following <= _LAST_CODE_POINT:
            return prefix[:index] + chr(following)
    return None


def _checked_size(key: str, value: str) -> int:
    key_size, value_size = check_key(key), len(_utf8(value))
    if value_size > VALUE_LIMIT_BYTES:
        raise TooLarge(
            f"A value has at most {VALUE_LIMIT_BYTES} bytes; that of {key!r} has {value_size}."
        )
    return key_size + value_size


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise BadRequest("Keys and values must be text without lone surrogates.") from None


def _range(message: KvList, now: float) -> tuple[str, tuple[str, ...]]:
    """Return the condition for the entries from a cursor on, and its values."""
    parts = ['"plugin_id" = ?', '("expires_at" IS NULL OR "expires_at" > ?)', '"key" >= ?']
    values = [message.plugin_id, format_time(now), message.prefix]
    end = end_of_prefix(message.prefix)
    if end is not None:
        parts.append('"key" < ?')
        values.append(end)
    if message.cursor is not None:
        parts.append('"key" > ?')
        values.append(message.cursor)
    return " AND ".join(parts), tuple(values)


def _rows(database: peewee.Database, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = execute(
        database, sql.replace("?", database.param), values
    ).fetchall()
    return rows


def _full(plugin_id: str, total: int) -> TooLarge:
    limit_mib = PLUGIN_LIMIT_BYTES // (1024 * 1024)
    return TooLarge(
        f"The plugin {plugin_id} stores {total} bytes, and may store {limit_mib} MiB; "
        "this would be more.",
        code="kv_full",
    )


_FIND = (
    'SELECT "version", "size_bytes", "expires_at" FROM "plugin_kv" '
    'WHERE "plugin_id" = ? AND "key" = ?'
)
_USAGE = 'SELECT "size_bytes", "last_version" FROM "plugin_kv_usage" WHERE "plugin_id" = ?'
_UPSERT = (
    'INSERT INTO "plugin_kv" '
    '("plugin_id", "key", "version", "expires_at", "size_bytes", "value") '
    'VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT ("plugin_id", "key") DO UPDATE SET '
    '"version" = excluded."version", "expires_at" = excluded."expires_at", '
    '"size_bytes" = excluded."size_bytes", "value" = excluded."value"'
)
_UPSERT_USAGE = (
    'INSERT INTO "plugin_kv_usage" ("plugin_id", "size_bytes", "last_version") VALUES (?, ?, ?) '
    'ON CONFLICT ("plugin_id") DO UPDATE SET '
    '"size_bytes" = excluded."size_bytes", "last_version" = excluded."last_version"'
)
_DELETE = 'DELETE FROM "plugin_kv" WHERE "plugin_id" = ? AND "key" = ?'
_SHRINK_USAGE = 'UPDATE "plugin_kv_usage" SET "size_bytes" = "size_bytes" - ? WHERE "plugin_id" = ?'
_PURGE = (
    'DELETE FROM "plugin_kv" WHERE ("plugin_id", "key") IN (SELECT "plugin_id", "key" '
    'FROM "plugin_kv" WHERE "expires_at" <= ? {condition} ORDER BY "expires_at" LIMIT ?) '
    'RETURNING "plugin_id", "size_bytes"'
)
_GET = (
    'SELECT "key", "value", "version", "expires_at" FROM "plugin_kv" '
    'WHERE "plugin_id" = ? AND "key" = ? AND ("expires_at" IS NULL OR "expires_at" > ?)'
)
# Where the page ends is found by the sizes alone, which lie before the values in each row.
_PAGE = (
    'SELECT "key", {value}, "version", "expires_at", "size_bytes" FROM "plugin_kv" '
    'WHERE {condition} AND "key" <= (SELECT MAX("key") FROM ('
    'SELECT "key", SUM("size_bytes") OVER (ORDER BY "key") - "size_bytes" AS "before" FROM '
    '(SELECT "key", "size_bytes" FROM "plugin_kv" WHERE {condition} ORDER BY "key" LIMIT ?) '
    'AS "listed") AS "summed" WHERE "before" < ?) ORDER BY "key"'
)
_MORE = 'SELECT 1 FROM "plugin_kv" WHERE {condition} LIMIT 1'
