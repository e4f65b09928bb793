"""Kills a process that writes, or migrates, again and again, and looks at what is left.

Called as ``kill_loop.py writing|migrating|upgrading <folder> <kills> <seed>``; writes one JSON
object, or fails. It forks what it kills from a process that has imported everything, so that the
kills fall into the work and not into the start of Python.

Runs on: a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import shutil
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from toru.actors.messages.storage import FinishRun, InsertRun, Run
from toru.actors.runtime import ActorSystem, Address
from toru.actors.storage_children import storage_children
from toru.clock import utc_now
from toru.storage import open_storage
from toru.storage.database import SqliteLocation, close
from toru.storage.migrations import LATEST, MIGRATIONS, migrate

WRITERS = 8
OLDER_ROWS = 1000


async def _write(database: str, told: int, round_number: int) -> None:
    system = ActorSystem()
    for spec in storage_children(open_storage(database)):
        await system.spawn(spec)
    writer = system.address("db_writer")
    await asyncio.gather(*(_go_on(writer, told, f"{round_number}-{n}") for n in range(WRITERS)))


async def _go_on(writer: Address, told: int, prefix: str) -> None:
    """Write runs for ever, and tell each change once it is acknowledged."""
    number = 0
    while True:
        number += 1
        run_id = f"{prefix}-{number}"
        run = Run(run_id, "a.sh", "queued", None, "admin", "api", utc_now())
        await writer.ask(InsertRun(run))
        os.write(told, f"inserted {run_id}\n".encode())
        await writer.ask(FinishRun(run_id, "finished", utc_now(), 0, "x" * 3000, 3000))
        os.write(told, f"finished {run_id}\n".encode())


def _killed(work: Callable[[int], None], delay_s: float, await_first_word: bool) -> list[str]:
    """Run ``work`` in a process, kill it after a while, and return the lines that it told."""
    inlet, outlet = os.pipe()
    process = os.fork()
    if process == 0:
        try:
            os.close(inlet)
            work(outlet)
        finally:
            os._exit(1)
    os.close(outlet)
    if await_first_word:
        select.select([inlet], [], [], 10.0)
    time.sleep(delay_s)
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    with os.fdopen(inlet, "rb") as told:
        return told.read().decode().splitlines()


def kill_writers(folder: Path, kills: int, chance: random.Random) -> dict[str, int]:
    """Kill the writing process; after each kill every acknowledged change must be there."""
    path = folder / "steering.db"
    database = f"sqlite:///{path}"
    acknowledged: dict[str, str] = {}
    for round_number in range(kills):
        words = _killed(
            lambda told, number=round_number: asyncio.run(_write(database, told, number)),  # type: ignore[misc]
            chance.uniform(0, 0.04),
            await_first_word=chance.random() < 0.8,
        )
        for change, run_id in map(str.split, words):
            acknowledged[run_id] = change
        if path.exists():
            _check_changes(path, acknowledged)
    open_storage(database)
    return {"kills": kills, "acknowledged": len(acknowledged)}


def _check_changes(path: Path, acknowledged: dict[str, str]) -> None:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        if database.execute("PRAGMA user_version").fetchone() == (0,):
            assert not acknowledged
            return
        states = dict(database.execute("SELECT id, state FROM task_history"))
    for run_id, change in acknowledged.items():
        state = states.get(run_id)
        assert state is not None, f"{run_id} was acknowledged and is lost"
        assert change == "inserted" or state == "finished", f"the end of {run_id} is lost"


def kill_migrations(folder: Path, kills: int, chance: random.Random) -> dict[str, int]:
    """Kill the migration of a database from before versions were kept."""
    return _kill_migrations(folder, kills, chance, _make_older, _check_schema)


def kill_upgrades(folder: Path, kills: int, chance: random.Random) -> dict[str, int]:
    """Kill the migration of a database of version 1."""
    return _kill_migrations(folder, kills, chance, _make_version_1, _check_plugin_kv)


def _kill_migrations(
    folder: Path,
    kills: int,
    chance: random.Random,
    make: Callable[[Path], None],
    check: Callable[[Path], str],
) -> dict[str, int]:
    """Kill a migration again and again; the schema must be wholly old or wholly new after it."""
    older = folder / "older.db"
    make(older)
    began = time.perf_counter()
    shutil.copy(older, folder / "whole.db")
    open_storage(f"sqlite:///{folder}/whole.db")
    whole_s = time.perf_counter() - began
    found = {"kills": kills, "older": 0, "newer": 0}
    for number in range(kills):
        path = folder / f"{number}.db"
        shutil.copy(older, path)
        database = f"sqlite:///{path}"
        delay_s = chance.uniform(0, 1.3 * whole_s)
        _killed(lambda _, url=database: _ignore(open_storage(url)), delay_s, False)  # type: ignore[misc]
        found[check(path)] += 1
        open_storage(database)
        assert check(path) == "newer"
        path.unlink()
    return found


def _ignore(_: object) -> None:
    return


def _make_older(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE TABLE task_history (id INTEGER PRIMARY KEY, script_name TEXT, "
            "started_at TEXT, finished_at TEXT, exit_code INTEGER, output TEXT)"
        )
        row = ("a.sh", "2024-03-01 10:00:00", "2024-03-01 10:00:01", 0, "x" * 2000)
        database.executemany(
            "INSERT INTO task_history VALUES (NULL, ?, ?, ?, ?, ?)", [row] * OLDER_ROWS
        )
        database.commit()


def _check_schema(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        version = database.execute("PRAGMA user_version").fetchone()[0]
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
        columns = {row[1] for row in database.execute("PRAGMA table_info(task_history)")}
        count = database.execute("SELECT count(*), min(length(output)) FROM task_history")
        assert count.fetchone() == (OLDER_ROWS, 2000)
    assert "new_task_history" not in tables
    assert ("state" in columns) == ("plugin_kv_usage" in tables) == (version == LATEST)
    return "newer" if version else "older"


def _make_version_1(path: Path) -> None:
    location = SqliteLocation(path)
    path.touch()
    database = location.migrator()
    migrate(database, MIGRATIONS[:1])
    close(database)
    with closing(sqlite3.connect(path)) as rows:
        rows.executemany(
            "INSERT INTO plugin_kv VALUES ('p', ?, ?)",
            [(f"k{number}", "ü" * 1000) for number in range(OLDER_ROWS)],
        )
        rows.commit()


def _check_plugin_kv(path: Path) -> str:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        version = database.execute("PRAGMA user_version").fetchone()[0]
        tables = {row[0] for row in database.execute("SELECT name FROM sqlite_master")}
        columns = {row[1] for row in database.execute("PRAGMA table_info(plugin_kv)")}
        count = database.execute("SELECT count(*), min(length(value)) FROM plugin_kv")
        assert count.fetchone() == (OLDER_ROWS, 1000)
        assert "new_plugin_kv" not in tables
        assert ("version" in columns) == ("plugin_kv_usage" in tables) == (version == LATEST)
        if version == 1:
            return "older"
        sums = "SELECT sum(length(key) + 2 * length(value)) FROM plugin_kv"
        usage = database.execute("SELECT size_bytes FROM plugin_kv_usage").fetchall()
        assert usage == database.execute(sums).fetchall()
    return "newer"


if __name__ == "__main__":
    kind, folder, kills, seed = sys.argv[1:]
    loops = {"writing": kill_writers, "migrating": kill_migrations, "upgrading": kill_upgrades}
    loop = loops[kind]
    sys.stdout.write(json.dumps(loop(Path(folder), int(kills), random.Random(seed))))
