"""Durable rows a second through `DbWriter` under load, against one transaction a row.

Both write the same rows with the same settings (WAL, ``synchronous=FULL``) on the same disk, in
turns; the budget is that the median of the rounds' ratios is 5 or more. Beside it: what one insert
costs as prepared text and as peewee's ``create()``, inside one transaction.

Called as ``python bench/db_writer.py [--folder FOLDER] [--rows ROWS]``; exit code 1 when the
budget is missed.

Runs on: a process of its own; the main thread and the actors' threads.
"""

from __future__ import annotations

import argparse
import asyncio
import operator
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import peewee

from toru.actors.messages.storage import InsertRun, Run
from toru.actors.runtime import ActorSystem, Address
from toru.actors.storage_children import storage_children
from toru.clock import utc_now
from toru.storage import Storage, open_storage
from toru.storage.changes import Changes
from toru.storage.database import connection_of
from toru.storage.models import RUN_COLUMNS, run_values

BUDGET = 5.0
ROUNDS = 5
SENDERS = 256
ONE_BY_ONE_SHARE = 10  # a tenth of the rows is enough to time what is slow


def _runs(prefix: str, count: int) -> list[Run]:
    now = utc_now()
    return [
        Run(f"{prefix}-{number}", "backup.sh", "queued", None, "admin", "api", now)
        for number in range(count)
    ]


async def _through_actor(storage: Storage, runs: list[Run]) -> float:
    """Return the rows a second that many senders, each awaiting its answer, get through."""
    system = ActorSystem()
    for spec in storage_children(storage):
        await system.spawn(spec)
    writer = system.address("db_writer")
    began = time.perf_counter()
    await asyncio.gather(*(_send(writer, runs[n::SENDERS]) for n in range(SENDERS)))
    took = time.perf_counter() - began
    await system.stop()
    return len(runs) / took


async def _send(writer: Address, runs: list[Run]) -> None:
    for run in runs:
        await writer.ask(InsertRun(run))


def _one_by_one(storage: Storage, runs: list[Run]) -> float:
    """Return the rows a second with a transaction each, by SQLite's bare driver."""
    database = storage.location.writer()
    connection: sqlite3.Connection = connection_of(database)
    listed = ", ".join(f'"{column}"' for column in RUN_COLUMNS)
    places = ", ".join("?" * len(RUN_COLUMNS))
    insert = f'INSERT INTO "task_history" ({listed}) VALUES ({places})'
    began = time.perf_counter()
    for run in runs:
        connection.execute(insert, run_values(run))
    took = time.perf_counter() - began
    database.close()
    return len(runs) / took


def _cost_of(
    storage: Storage, count: int, insert: Callable[[peewee.Database], Callable[[Run], object]]
) -> float:
    """Return the microseconds of one insert inside one transaction."""
    database = storage.location.writer()
    one = insert(database)
    runs = _runs(utc_now(), count)
    with database.transaction() as transaction:
        began = time.perf_counter()
        for run in runs:
            one(run)
        took = time.perf_counter() - began
        transaction.rollback()
    database.close()
    return took / count * 1e6


def _as_text(database: peewee.Database) -> Callable[[Run], object]:
    changes = Changes(database)
    return lambda run: changes.apply(InsertRun(run))


def _as_model(database: peewee.Database) -> Callable[[Run], object]:
    fields: dict[str, object] = {column: peewee.TextField(null=True) for column in RUN_COLUMNS}
    fields["id"] = peewee.TextField(primary_key=True)
    meta = type("Meta", (), {"database": database, "table_name": "task_history"})
    model = type("RunModel", (peewee.Model,), {**fields, "Meta": meta})
    return lambda run: model.create(**dict(zip(RUN_COLUMNS, run_values(run), strict=True)))


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="a folder on the disk to measure")
    parser.add_argument("--rows", type=int, default=10_000)
    options = parser.parse_args()
    grouped, single = [], []
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        storage = open_storage(f"sqlite:///{folder}/steering.db")
        for number in range(ROUNDS):
            runs = _runs(f"g{number}", options.rows)
            grouped.append(asyncio.run(_through_actor(storage, runs)))
            runs = _runs(f"s{number}", options.rows // ONE_BY_ONE_SHARE)
            single.append(_one_by_one(storage, runs))
        text_us = _cost_of(storage, options.rows, _as_text)
        model_us = _cost_of(storage, options.rows, _as_model)
    ratio = statistics.median(map(operator.truediv, grouped, single))
    print(f"DbWriter, {SENDERS} senders      {statistics.median(grouped):10,.0f} rows/s")
    print(f"one transaction a row     {statistics.median(single):10,.0f} rows/s")
    print(f"ratio                     {ratio:10.1f}   (budget: at least {BUDGET:g})")
    print(f"insert as prepared text   {text_us:10.1f} µs")
    print(f"insert by peewee create() {model_us:10.1f} µs")
    return 0 if ratio >= BUDGET else 1


if __name__ == "__main__":
    sys.exit(main())
