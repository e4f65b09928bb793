"""The machine's history in the database: rows of a minute, rolled up to rows of an hour.

Runs on: `save` on the thread of `DbWriter`, `read` on those of `DbReader`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from typing import Any

import msgspec
import peewee

from toru.actors.messages.machine_history import (
    ReadMachineHistory,
    SaveMachineHistory,
    StoredHistory,
)
from toru.domain.machine_history import SERIES, Stretch, clip, join, thin
from toru.storage.database import execute

MINUTE_S = 60
HOUR_S = 3_600
MINUTES_KEPT_S = 8 * 86_400
HOURS_KEPT_S = 400 * 86_400

_APART_S = 60.0
"""A gap in an hour that is no longer is taken for none."""

_SCALE = (10, 1, 1, 100, 1, 1, 1, 1)
"""Figures are kept as whole numbers of these parts of their unit; shares as tenths."""


class _Packed(msgspec.Struct, frozen=True, array_like=True):
    averages: list[int]
    peaks: list[int]
    cores: list[int]
    disks: dict[str, int]


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Packed).decode


def save(database: peewee.Database, message: SaveMachineHistory) -> None:
    """Keep rows, roll up the hours that are over, and remove what is too old."""
    _insert(database, MINUTE_S, message.rows)
    hour = int(message.now) // HOUR_S * HOUR_S
    first = _first_open_hour(database)
    if first is not None and first < hour:
        _roll_up(database, first, hour)
        _purge(database, int(message.now))


def read(database: peewee.Database, message: ReadMachineHistory) -> StoredHistory:
    """Return what is stored between two moments, from minutes where they are needed and there."""
    start, end, step = message.start, message.end, message.step
    edge = _edge(database, end, step)
    hours = _select(database, HOUR_S, start, min(end, edge))
    minutes = _select(database, MINUTE_S, max(start, edge), end)
    thinned = thin([*hours, *minutes], start, end, step)
    return StoredHistory(thinned, HOUR_S if hours else MINUTE_S if minutes else 0)


def _edge(database: peewee.Database, end: int, step: int) -> int:
    """Return the moment before which hours are read, and minutes from then on."""
    sql = 'SELECT "{}" FROM "machine_history" WHERE "length_s" = ? ORDER BY "started_at" {} LIMIT 1'
    if step >= HOUR_S:
        rows = _execute(database, sql.format("ended_at", "DESC"), (HOUR_S,)).fetchall()
        return int(rows[0][0]) if rows else 0
    rows = _execute(database, sql.format("started_at", "ASC"), (MINUTE_S,)).fetchall()
    return int(rows[0][0]) if rows else end


def _first_open_hour(database: peewee.Database) -> int | None:
    """Return where the first hour begins that may have to be rolled up, if there is any row."""
    for length_s, choice, next_hour in ((HOUR_S, "MAX", HOUR_S), (MINUTE_S, "MIN", 0)):
        sql = f'SELECT {choice}("started_at") FROM "machine_history" WHERE "length_s" = ?'  # noqa: S608
        found = _execute(database, sql, (length_s,)).fetchall()[0][0]
        if found is not None:
            return int(found) // HOUR_S * HOUR_S + next_hour
    return None


def _roll_up(database: peewee.Database, first: int, end: int) -> None:
    minutes = _select(database, MINUTE_S, first, end)
    for _, rows in groupby(minutes, key=lambda row: int(row.start) // HOUR_S):
        _insert(database, HOUR_S, join(rows, _APART_S))


def _purge(database: peewee.Database, now: int) -> None:
    for length_s, kept_s in ((MINUTE_S, MINUTES_KEPT_S), (HOUR_S, HOURS_KEPT_S)):
        _execute(
            database,
            'DELETE FROM "machine_history" WHERE "length_s" = ? AND "started_at" < ?',
            (length_s, now - kept_s),
        )


def _insert(database: peewee.Database, length_s: int, rows: Iterable[Stretch]) -> None:
    for row in rows:
        start, end = round(row.start), round(row.end)
        if end <= start:
            continue  # a moment of half a second tells nothing
        _execute(
            database,
            'INSERT INTO "machine_history" ("length_s", "started_at", "ended_at", "figures") '
            'VALUES (?, ?, ?, ?) ON CONFLICT ("length_s", "started_at") '
            'DO UPDATE SET "ended_at" = excluded."ended_at", "figures" = excluded."figures"',
            (length_s, start, end, _pack(row)),
        )


def _select(database: peewee.Database, length_s: int, start: int, end: int) -> list[Stretch]:
    """Return the rows of a length that touch a time, cut off at its edges."""
    if end <= start:
        return []
    # A row is no longer than its length, apart from what the two roundings add.
    rows = _execute(
        database,
        'SELECT "started_at", "ended_at", "figures" FROM "machine_history" '
        'WHERE "length_s" = ? AND "started_at" > ? AND "started_at" < ? ORDER BY "started_at"',
        (length_s, start - length_s - 60, end),
    )
    return clip([_unpack(*row) for row in rows.fetchall()], start, end)


def _pack(row: Stretch) -> bytes:
    return _encode(
        _Packed(
            [round(value * scale) for value, scale in zip(row.averages, _SCALE, strict=True)],
            [round(value * scale) for value, scale in zip(row.peaks, _SCALE, strict=True)],
            [round(share * 10) for share in row.cores],
            {mount: round(share * 10) for mount, share in row.disks.items()},
        )
    )


def _unpack(started_at: int, ended_at: int, figures: bytes) -> Stretch:
    packed = _decode(figures)
    return Stretch(
        float(started_at),
        float(ended_at),
        _figures(packed.averages),
        _figures(packed.peaks),
        tuple(share / 10 for share in packed.cores),
        {mount: share / 10 for mount, share in packed.disks.items()},
    )


def _figures(values: list[int]) -> tuple[float, ...]:
    """Return figures in their units; one that an older Toru did not know yet is 0."""
    known = tuple(value / scale for value, scale in zip(values, _SCALE, strict=False))
    return known + (0.0,) * (len(SERIES) - len(known))


def _execute(database: peewee.Database, sql: str, values: tuple[Any, ...]) -> Any:
    return execute(database, sql.replace("?", database.param), values)
