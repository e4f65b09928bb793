"""Databases of an older Toru, made before schema versions were kept, are taken over whole.

Runs on: the test's main thread; real files.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.actors.messages import storage as messages
from toru.errors import ConfigError
from toru.storage import open_storage
from toru.storage.adoption import normalise_time
from toru.storage.changes import Changes
from toru.storage.models import RUN_COLUMNS
from toru.storage.queries import answer


def _ask(path: Path, *questions: Any) -> list[Any]:
    database = open_storage(f"sqlite:///{path}").location.reader()
    answers = [answer(database, question) for question in questions]
    database.close()
    return answers


def test_the_runs_keep_their_ids_and_gain_state_and_times_with_a_zone(older_database: Path) -> None:
    (runs,) = _ask(older_database, messages.ListRuns())
    assert [(run.id, run.state, run.created_at, run.output) for run in runs] == [
        ("10", "interrupted", "2024-03-03T10:00:00.000Z", ""),
        ("2", "failed", "2024-03-02T10:00:00.123Z", "fälscht"),
        ("1", "finished", "2024-03-01T10:00:00.000Z", "done"),
    ]
    assert runs[1].output_size == len("fälscht".encode())
    assert runs[2].finished_at == "2024-03-01T10:00:05.500Z"
    assert runs[0].finished_at is None


def test_older_runs_are_paged_by_their_time_and_come_after_new_ones(
    older_database: Path, make_run
) -> None:
    database = open_storage(f"sqlite:///{older_database}").location.writer()
    Changes(database).apply(messages.InsertRun(make_run("019ac000-0000-7000-8000-000000000000")))
    database.close()
    first, second = _ask(
        older_database, messages.ListRuns(limit=2), messages.ListRuns(limit=2, before="10")
    )
    assert [run.id for run in first] == ["019ac000-0000-7000-8000-000000000000", "10"]
    assert [run.id for run in second] == ["2", "1"]


def test_text_ids_of_runs_are_kept(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE TABLE task_history (id TEXT PRIMARY KEY, script_name TEXT NOT NULL, "
            "started_at TEXT NOT NULL, finished_at TEXT, exit_code INTEGER, output TEXT NOT NULL)"
        )
        database.execute(
            "INSERT INTO task_history VALUES "
            "('2a9f', 'a.sh', '2024-03-01T10:00:00', '2024-03-01T10:00:01', -15, 'x')"
        )
        database.commit()
    (run,) = _ask(path, messages.GetRun("2a9f"))
    assert run.state == "failed"
    assert run.exit_code == -15


def test_all_other_rows_are_kept(older_database: Path) -> None:
    settings, actions, users, credentials, sessions, attempts = _ask(
        older_database,
        messages.GetSettings(),
        messages.ListQuickActions(),
        messages.ListUsers(),
        messages.GetCredentials("bob"),
        messages.ListSessions("2026-01-01T00:00:00.000Z"),
        messages.ListLoginAttempts(),
    )
    assert settings.pop("instance_id")
    assert settings == {"scripts_dir": "/srv/scripts"}
    assert actions == [messages.QuickAction(4, "Hello", "a.sh", None, 7)]
    assert [(user.id, user.username, user.role, user.is_active) for user in users] == [
        (3, "bob", "client", True),
        (5, "eve", "admin", False),
    ]
    assert credentials.password_hash == "argon"
    assert attempts[0].attempted_at == "2024-03-01T10:00:00.000Z"
    assert attempts[0].success is False
    assert {session.id for session in sessions} == {"aa", "bb"}
    with closing(sqlite3.connect(older_database)) as database:
        assert database.execute("SELECT plugin_id, key, value FROM plugin_kv").fetchall() == [
            ("clock", "zone", "UTC")
        ]
        events = database.execute("SELECT timestamp FROM plugin_events").fetchall()
        assert events == [("2024-03-01T10:00:00.000Z",)]


def test_an_adopted_database_has_the_same_schema_as_a_new_one(
    older_database: Path, tmp_path: Path
) -> None:
    open_storage(f"sqlite:///{older_database}")
    open_storage(f"sqlite:///{tmp_path}/new.db")
    schemas = []
    for path in (older_database, tmp_path / "new.db"):
        with closing(sqlite3.connect(path)) as database:
            rows = database.execute(
                "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' "
                "ORDER BY name"
            )
            schemas.append([(kind, name, (sql or "").replace('"', "")) for kind, name, sql in rows])
    assert schemas[0] == schemas[1]


def test_a_new_user_never_gets_the_number_of_a_removed_one(older_database: Path) -> None:
    database = open_storage(f"sqlite:///{older_database}").location.writer()
    changes = Changes(database)
    made = changes.apply(messages.InsertUser("ann", "h", "Ann", "client", "2026"))
    changes.apply(messages.DeleteUser(made.id))
    again = changes.apply(messages.InsertUser("ann", "h", "Ann", "client", "2026"))
    database.close()
    assert (made.id, again.id) == (6, 7)


def test_columns_that_toru_does_not_know_are_carried_over(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute(
            "CREATE TABLE task_history (id INTEGER PRIMARY KEY, script_name TEXT, output TEXT, "
            '"a ""note""" VARCHAR(20))'
        )
        database.execute("INSERT INTO task_history VALUES (1, 'a.sh', 'x', 'keep me')")
        database.commit()
    open_storage(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as database:
        assert database.execute('SELECT "a ""note""" FROM task_history').fetchall() == [
            ("keep me",)
        ]


def test_a_column_that_toru_came_to_need_later_is_kept_under_another_name(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.executescript("""
            CREATE TABLE quick_actions (
                id INTEGER PRIMARY KEY, name TEXT, script_path TEXT, confirm TEXT);
            INSERT INTO quick_actions VALUES (1, 'Restart', 'a.sh', 'Really?');
        """)
    assert _ask(path, messages.ListQuickActions()) == [
        [messages.QuickAction(1, "Restart", "a.sh", None, 1)]
    ]
    with closing(sqlite3.connect(path)) as database:
        kept = database.execute("SELECT older_confirm FROM quick_actions").fetchall()
    assert kept == [("Really?",)]


def test_rows_that_do_not_fit_are_refused_and_the_file_stays_as_it_is(older_database: Path) -> None:
    with closing(sqlite3.connect(older_database)) as database:
        database.executescript("""
            DROP TABLE users;
            CREATE TABLE users (id TEXT, username TEXT, password_hash TEXT);
            INSERT INTO users VALUES ('x1', 'bob', 'argon');
        """)
    before = older_database.read_bytes()
    with pytest.raises(ConfigError, match=r"cannot be used: .*\.$"):
        open_storage(f"sqlite:///{older_database}")
    assert older_database.read_bytes() == before


def test_the_columns_of_the_rows_are_those_of_the_schema(path: Path) -> None:
    open_storage(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as database:
        found = {row[1] for row in database.execute("PRAGMA table_info(task_history)")}
    assert found == set(RUN_COLUMNS)


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (None, None),
        ("", None),
        ("2024-03-01 10:00:00", "2024-03-01T10:00:00.000Z"),
        ("2024-03-01T10:00:00.123456789", "2024-03-01T10:00:00.123Z"),
        ("2024-03-01 10:00:00.5 UTC", "2024-03-01T10:00:00.500Z"),
        ("2024-03-01T10:00:00-01:30", "2024-03-01T11:30:00.000Z"),
        (1709287200, "2024-03-01T10:00:00.000Z"),
        (1709287200500, "2024-03-01T10:00:00.500Z"),
        (datetime(2024, 3, 1, 10), "2024-03-01T10:00:00.000Z"),
        ("yesterday", "yesterday"),
    ],
)
def test_older_times_become_utc_with_milliseconds(older: object, newer: str | None) -> None:
    assert normalise_time(older) == newer


@given(st.datetimes(datetime(1970, 1, 2), datetime(2900, 1, 1)))
def test_a_time_without_a_zone_is_read_as_utc_whatever_its_form(moment: datetime) -> None:
    told = moment.replace(tzinfo=UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert normalise_time(str(moment)) == told
    assert normalise_time(moment.isoformat()) == told
    assert normalise_time(told) == told
