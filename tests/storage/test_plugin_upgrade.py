"""A database of version 1 becomes one of version 2: whole, or not at all.

Runs on: the test's main thread; real files; what is killed is a process of its own.
"""

from __future__ import annotations

import json
import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from toru.actors.messages.plugin_storage import KvEntry, KvGet, KvList, KvSet
from toru.storage import open_storage
from toru.storage.changes import Changes
from toru.storage.database import SqliteLocation, close
from toru.storage.migrations import LATEST, MIGRATIONS, migrate
from toru.storage.queries import answer

HERE = Path(__file__).parent
KILLS = 15


@pytest.fixture
def version_1(path: Path) -> Path:
    """Return a database of version 1 with keys of two plugins and an event."""
    path.touch()
    database = SqliteLocation(path).migrator()
    assert migrate(database, MIGRATIONS[:1]) == 0
    close(database)
    with closing(sqlite3.connect(path)) as rows:
        rows.executescript("""
            INSERT INTO plugin_kv VALUES ('clock', 'zone', 'Zürich'), ('clock', 'none', NULL),
                ('clock', 'nul', 'a' || char(0) || 'b'), ('notes', 'n', '');
            INSERT INTO plugin_events VALUES (7, 'clock', 'started', '2026-01-01', '{}');
            ALTER TABLE plugin_kv ADD COLUMN "a note" VARCHAR(20);
            UPDATE plugin_kv SET "a note" = 'keep me' WHERE key = 'zone';
        """)
    return path


def test_the_keys_keep_their_values_and_gain_a_version_and_a_size(version_1: Path) -> None:
    database = open_storage(f"sqlite:///{version_1}").location.writer()
    assert answer(database, KvGet("clock", "zone")) == KvEntry("zone", "Zürich", 1)
    assert answer(database, KvGet("clock", "nul")) == KvEntry("nul", "a\0b", 1)
    assert answer(database, KvGet("clock", "none")) is None
    assert [entry.key for entry in answer(database, KvList("clock")).entries] == ["nul", "zone"]
    assert Changes(database).apply(KvSet("clock", "new", "x", if_version=0)) == 2
    assert Changes(database).apply(KvSet("notes", "n", "x", if_version=1)) == 2
    close(database)
    with closing(sqlite3.connect(version_1)) as rows:
        assert rows.execute("PRAGMA user_version").fetchone() == (LATEST,)
        usage = rows.execute("SELECT * FROM plugin_kv_usage ORDER BY plugin_id").fetchall()
        assert usage == [("clock", 4 + 7 + 3 + 3 + 3 + 1, 2), ("notes", 2, 2)]
        note = rows.execute("""SELECT "a note" FROM plugin_kv WHERE key = 'zone'""")
        assert note.fetchall() == [("keep me",)]
        assert rows.execute("SELECT id, details FROM plugin_events").fetchall() == [(7, "{}")]


def test_an_upgraded_database_has_the_same_schema_as_a_new_one(path: Path, tmp_path: Path) -> None:
    path.touch()
    database = SqliteLocation(path).migrator()
    migrate(database, MIGRATIONS[:1])
    close(database)
    schemas = []
    for file in (path, tmp_path / "new.db"):
        open_storage(f"sqlite:///{file}")
        with closing(sqlite3.connect(file)) as rows:
            schemas.append(rows.execute("SELECT name, sql FROM sqlite_master").fetchall())
    assert sorted(schemas[0], key=str) == sorted(schemas[1], key=str)


def test_an_upgrade_that_is_killed_leaves_the_old_or_the_new_schema(tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    command = [sys.executable, str(HERE / "kill_loop.py"), "upgrading", str(tmp_path)]
    done = subprocess.run(
        [*command, str(KILLS), str(seed)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, (seed, done.stderr)
    told = json.loads(done.stdout)
    assert told["older"] + told["newer"] == KILLS, seed
