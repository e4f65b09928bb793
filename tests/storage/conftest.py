"""Real database files, and the database actors on them.

Runs on: the test's main thread; the actors on their own.
"""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from toru.actors.messages.storage import Run
from toru.actors.runtime import ActorSystem, Address
from toru.actors.storage_children import storage_children
from toru.storage import Storage, open_storage

NOW = "2026-11-22T14:01:30.123Z"
OLDER_SCHEMA = """
    CREATE TABLE settings (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE task_history (
        id INTEGER PRIMARY KEY AUTOINCREMENT, script_name TEXT NOT NULL, started_at DATETIME,
        finished_at DATETIME, exit_code INTEGER, output TEXT);
    CREATE TABLE quick_actions (
        id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, script_path TEXT NOT NULL,
        icon TEXT, display_order INTEGER NOT NULL DEFAULT 0);
    CREATE TABLE users (
        id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT NOT NULL UNIQUE,
        password_hash TEXT NOT NULL, display_name TEXT NOT NULL, role TEXT NOT NULL,
        is_active BOOLEAN NOT NULL DEFAULT 1, created_at DATETIME NOT NULL);
    CREATE TABLE sessions (
        id TEXT PRIMARY KEY, user_id INTEGER REFERENCES users(id), user_role TEXT NOT NULL,
        username TEXT NOT NULL, created_at DATETIME NOT NULL, expires_at DATETIME NOT NULL);
    CREATE INDEX sessions_by_user ON sessions(user_id);
    CREATE TABLE login_attempts (
        id INTEGER PRIMARY KEY AUTOINCREMENT, username TEXT NOT NULL, ip_address TEXT,
        success BOOLEAN NOT NULL, failure_reason TEXT, attempted_at DATETIME NOT NULL);
    CREATE TABLE plugin_kv (
        plugin_id TEXT NOT NULL, key TEXT NOT NULL, value TEXT, PRIMARY KEY (plugin_id, key));
    CREATE TABLE plugin_events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, plugin_id TEXT NOT NULL, event_type TEXT NOT NULL,
        timestamp DATETIME NOT NULL, details TEXT);
"""
"""The bare columns of the contract, as a Toru made them that kept no schema version."""


@dataclass(frozen=True)
class Actors:
    """The two names that are asked."""

    writer: Address
    reader: Address
    system: ActorSystem


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where a database may be made."""
    return tmp_path / "steering.db"


@pytest.fixture
def url(path: Path) -> str:
    """Return its address."""
    return f"sqlite:///{path}"


@pytest.fixture
def actors() -> Callable[[Storage], AbstractAsyncContextManager[Actors]]:
    """Return a context manager that runs the database actors of a storage."""

    @asynccontextmanager
    async def running(storage: Storage) -> AsyncIterator[Actors]:
        system = ActorSystem()
        try:
            for spec in storage_children(storage):
                await system.spawn(spec)
            yield Actors(system.address("db_writer"), system.address("db_reader"), system)
        finally:
            await system.stop()

    return running


@pytest.fixture
def open_actors(
    url: str, actors: Callable[[Storage], AbstractAsyncContextManager[Actors]]
) -> Callable[..., AbstractAsyncContextManager[Actors]]:
    """Return a context manager that opens a fresh database and runs its actors."""

    def opened(**options: Any) -> AbstractAsyncContextManager[Actors]:
        return actors(open_storage(url, **options))

    return opened


@pytest.fixture
def make_run() -> Callable[..., Run]:
    """Return a function that makes a queued run with the fields that matter to a test."""

    def make(run_id: str, **fields: Any) -> Run:
        usual = {
            "script_name": "hello.sh",
            "state": "queued",
            "user_id": None,
            "username": "admin",
            "trigger": "api",
            "created_at": NOW,
        }
        return Run(id=run_id, **{**usual, **fields})

    return make


@pytest.fixture
def older_database(path: Path) -> Path:
    """Return a database with the older schema and a row or two in each table."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(OLDER_SCHEMA)
        database.executescript("""
            INSERT INTO settings VALUES ('scripts_dir', '/srv/scripts');
            INSERT INTO task_history VALUES
                (1, 'a.sh', '2024-03-01 10:00:00', '2024-03-01 10:00:05.5', 0, 'done'),
                (2, 'b.sh', '2024-03-02T10:00:00.123456', '2024-03-02T10:00:01', 3, 'fälscht'),
                (10, 'c.sh', '2024-03-03 12:00:00+02:00', NULL, NULL, NULL);
            INSERT INTO quick_actions VALUES (4, 'Hello', 'a.sh', NULL, 7);
            INSERT INTO users VALUES
                (3, 'bob', 'argon', 'Bob', 'client', 1, '2024-01-01 00:00:00'),
                (5, 'eve', 'argon', 'Eve', 'admin', 0, '2024-01-01 00:00:00');
            INSERT INTO sessions VALUES
                ('aa', 3, 'client', 'bob', '2024-03-01 10:00:00', '2999-03-01 10:00:00'),
                ('bb', NULL, 'admin', 'admin', '2024-03-01 10:00:00', '2999-03-01 10:00:00'),
                ('cc', 99, 'client', 'gone', '2024-03-01 10:00:00', '2999-03-01 10:00:00');
            INSERT INTO login_attempts VALUES
                (1, 'bob', '::1', 0, 'wrong password', '2024-03-01 10:00:00');
            INSERT INTO plugin_kv VALUES ('clock', 'zone', 'UTC');
            INSERT INTO plugin_events VALUES (1, 'clock', 'started', '2024-03-01 10:00:00', NULL);
        """)
        database.commit()
    return path
