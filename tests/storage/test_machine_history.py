"""The machine's history in the database: kept, rolled up to hours, thrown away, and upgraded to.

Runs on: the test's main thread and event loop; real files.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import peewee
import pytest

from toru.actors.messages.machine_history import ReadMachineHistory, SaveMachineHistory
from toru.domain.machine_history import SERIES, Stretch
from toru.storage import open_storage
from toru.storage.changes import Changes
from toru.storage.database import SqliteLocation, close, execute
from toru.storage.machine_history import HOURS_KEPT_S, MINUTES_KEPT_S
from toru.storage.migrations import LATEST, MIGRATIONS, migrate
from toru.storage.queries import answer

HOUR = 1_800_000_000 // 3600 * 3600


def row(start: float, end: float, cpu: float = 12.3) -> Stretch:
    """Make a row of a machine with two cores and two disks."""
    averages = (cpu, 2**33 + 1.0, 0.0, 1.25, 3e9, 17.0, 1.0, 2.0)
    peaks = tuple(2 * value for value in averages)
    return Stretch(start, end, averages, peaks, (cpu, 0.5), {"/": 81.5, "/srv/ü": 3.0})


@pytest.fixture
def database(url: str) -> Iterator[peewee.Database]:
    """Return a connection to a new database."""
    opened = open_storage(url).location.writer()
    yield opened
    close(opened)


def save(database: peewee.Database, *rows: Stretch, now: float) -> None:
    Changes(database).apply(SaveMachineHistory(rows, now))


def read(database: peewee.Database, start: int, end: int, step: int) -> tuple[list[Stretch], int]:
    found = answer(database, ReadMachineHistory(start, end, step))
    return found.stretches, found.resolution_s


def counts(database: peewee.Database) -> dict[int, int]:
    query = "SELECT length_s, count(*) FROM machine_history GROUP BY length_s"
    return dict(execute(database, query).fetchall())


def test_a_minute_comes_back_as_it_was(database: peewee.Database) -> None:
    assert len(row(0, 1).averages) == len(SERIES)
    save(database, row(HOUR, HOUR + 60), now=HOUR + 60)
    (found,), resolution_s = read(database, HOUR, HOUR + 60, 60)
    assert found == row(HOUR, HOUR + 60)
    assert resolution_s == 60
    assert read(database, HOUR + 60, HOUR + 120, 60) == ([], 0)
    assert read(database, HOUR, HOUR, 60) == ([], 0)


def test_a_row_is_small(database: peewee.Database) -> None:
    save(database, row(HOUR, HOUR + 60), now=HOUR + 60)
    sizes = execute(database, "SELECT length(figures) FROM machine_history").fetchall()
    assert sizes[0][0] < 120


def test_a_row_that_is_sent_again_replaces_the_one_before(database: peewee.Database) -> None:
    save(database, row(HOUR, HOUR + 10, cpu=1), now=HOUR + 10)
    save(database, row(HOUR, HOUR + 60, cpu=2), row(HOUR + 60, HOUR + 60.2), now=HOUR + 61)
    (found,), _ = read(database, HOUR, HOUR + 120, 120)
    assert (found.end, found.averages[0]) == (HOUR + 60, 2)


def test_hours_that_are_over_are_rolled_up_once_with_their_gaps(database: peewee.Database) -> None:
    minutes = [row(HOUR + 60 * n, HOUR + 60 * n + 60, cpu=n) for n in (*range(30), *range(50, 60))]
    save(database, *minutes, now=HOUR + 3599)
    assert counts(database) == {60: 40}
    save(database, row(HOUR + 3600, HOUR + 3660), now=HOUR + 3660)
    assert counts(database) == {60: 41, 3600: 2}
    save(database, row(HOUR + 3660, HOUR + 3720), now=HOUR + 3720)
    assert counts(database) == {60: 42, 3600: 2}
    rows = execute(database, "SELECT started_at, ended_at FROM machine_history WHERE length_s=3600")
    assert rows.fetchall() == [(HOUR, HOUR + 1800), (HOUR + 3000, HOUR + 3600)]
    (first, second), resolution_s = read(database, HOUR, HOUR + 7200, 3600)
    assert resolution_s == 3600
    assert first.averages[0] == pytest.approx((sum(range(30)) + sum(range(50, 60))) / 40, abs=0.2)
    assert first.peaks[0] == 2 * 59
    assert second.end == HOUR + 3720


def test_hours_that_nobody_rolled_up_in_time_are_rolled_up_later(database: peewee.Database) -> None:
    save(database, row(HOUR + 60, HOUR + 120), now=HOUR + 120)
    later = HOUR + 5 * 3600
    save(database, row(HOUR + 3700, HOUR + 3760), row(later, later + 60), now=later + 60)
    assert counts(database) == {60: 3, 3600: 2}


def test_minutes_go_after_days_and_hours_after_a_year(database: peewee.Database) -> None:
    save(database, row(HOUR, HOUR + 60, cpu=40), now=HOUR + 60)
    save(database, now=HOUR + 3600)
    late = HOUR + MINUTES_KEPT_S + 7200
    save(database, row(late, late + 60, cpu=20), now=late + 60)
    save(database, now=late + 3660)
    assert counts(database) == {60: 1, 3600: 2}
    stretches, resolution_s = read(database, HOUR - 60, HOUR + 120, 60)
    assert [each.averages[0] for each in stretches] == [40]
    assert resolution_s == 3600
    assert read(database, late, late + 60, 60)[1] == 60
    very_late = HOUR + HOURS_KEPT_S + 7200
    save(database, row(very_late, very_late + 60), now=very_late + 60)
    save(database, now=very_late + 3660)
    assert counts(database) == {60: 1, 3600: 2}


def test_a_week_of_minutes_is_read_in_few_steps(database: peewee.Database) -> None:
    week = 7 * 86_400
    for day in range(7):
        begin = HOUR + day * 86_400
        rows = [row(begin + 60 * n, begin + 60 * n + 60) for n in range(1440)]
        save(database, *rows, now=begin)
    stretches, resolution_s = read(database, HOUR, HOUR + week, 1200)
    assert (len(stretches), resolution_s) == (week // 1200, 60)


@pytest.mark.parametrize("version", range(LATEST))
def test_every_older_schema_gains_the_history(path: Path, url: str, version: int) -> None:
    path.touch()
    if version:
        database = SqliteLocation(path).migrator()
        migrate(database, MIGRATIONS[:version])
        if version < 4:
            # A table of that name is somebody else's; nothing of it may be lost.
            execute(database, "CREATE TABLE machine_history (note TEXT)")
            execute(database, "INSERT INTO machine_history VALUES ('keep')")
        close(database)
    open_storage(url)
    with closing(sqlite3.connect(path)) as rows:
        assert rows.execute("PRAGMA user_version").fetchone() == (LATEST,)
        names = [each[1] for each in rows.execute("PRAGMA table_info(machine_history)")]
        assert names == ["length_s", "started_at", "ended_at", "figures"]
        if 0 < version < 4:
            kept = rows.execute("SELECT note FROM older_machine_history").fetchall()
            assert kept == [("keep",)]
