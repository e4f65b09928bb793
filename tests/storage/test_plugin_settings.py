"""The settings of plugins in the database: kept as a whole, in every schema from now on.

Runs on: the test's main thread; real files.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from toru.actors.messages.plugin_settings import LoadPluginSettings, SavePluginSettings
from toru.storage import open_storage
from toru.storage.changes import Changes
from toru.storage.database import SqliteLocation, close, execute
from toru.storage.migrations import LATEST, MIGRATIONS, migrate
from toru.storage.queries import answer


def test_settings_are_written_and_read_as_a_whole(url: str) -> None:
    database = open_storage(url).location.writer()
    assert answer(database, LoadPluginSettings("clock")) == {}
    first = {"zone": "Zürich", "nul": "a\0b", "list": ["x"], "n": 1.5, "on": True}
    changes = Changes(database)
    changes.apply(SavePluginSettings("clock", first))
    changes.apply(SavePluginSettings("notes", {"n": 1}))
    assert answer(database, LoadPluginSettings("clock")) == first
    changes.apply(SavePluginSettings("clock", {}))
    assert answer(database, LoadPluginSettings("clock")) == {}
    assert answer(database, LoadPluginSettings("notes")) == {"n": 1}
    execute(database, "UPDATE plugin_settings SET content = 'no JSON'")
    assert answer(database, LoadPluginSettings("notes")) == {}
    close(database)


def test_messages_do_not_show_their_values_when_they_are_printed() -> None:
    assert "hunter2" not in repr(SavePluginSettings("clock", {"token": "hunter2"}))


@pytest.mark.parametrize("version", range(LATEST))
def test_every_older_schema_gains_the_settings(path: Path, url: str, version: int) -> None:
    path.touch()
    if version:
        database = SqliteLocation(path).migrator()
        migrate(database, MIGRATIONS[:version])
        # A table of that name is somebody else's; nothing of it may be lost.
        execute(database, "CREATE TABLE plugin_settings (note TEXT)")
        execute(database, "INSERT INTO plugin_settings VALUES ('keep')")
        close(database)
    open_storage(url)
    with closing(sqlite3.connect(path)) as rows:
        assert rows.execute("PRAGMA user_version").fetchone() == (LATEST,)
        names = [each[1] for each in rows.execute("PRAGMA table_info(plugin_settings)")]
        assert names == ["plugin_id", "content"]
        if version:
            kept = rows.execute("SELECT note FROM older_plugin_settings").fetchall()
            assert kept == [("keep",)]
