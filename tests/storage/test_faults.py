"""What must not break the database: kills, full disks, foreign locks.

Runs on: the test's event loop; what is killed or limited is a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from toru.actors.messages import storage as messages
from toru.errors import ConfigError, StorageUnavailable
from toru.storage import migrations, open_storage

HERE = Path(__file__).parent
KILLS = 60
MIGRATION_KILLS = 20

HOLD_LOCK = (
    "import sqlite3, sys\n"
    "database = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
    "database.execute('BEGIN EXCLUSIVE')\n"
    "print('locked', flush=True)\n"
    "sys.stdin.read()\n"
)


def _helper(name: str, *args: object, timeout_s: float = 120) -> dict[str, object]:
    command = [sys.executable, str(HERE / name), *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s, check=False)
    assert done.returncode == 0, done.stderr
    answer: dict[str, object] = json.loads(done.stdout)
    return answer


@contextmanager
def _locked_by_another_process(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Hold the write lock in another process until its input is closed."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_LOCK, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        yield process


def _fill(ballast: Path) -> None:
    """Write to a file until its disk is full."""
    file = os.open(ballast, os.O_WRONLY | os.O_CREAT)
    try:
        with pytest.raises(OSError, match="No space"):
            while True:
                os.write(file, b"x" * 4096)
    finally:
        os.close(file)


def test_every_acknowledged_change_outlives_a_kill_at_any_moment(tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    told = _helper("kill_loop.py", "writing", tmp_path, KILLS, seed)
    assert told["kills"] == KILLS, seed
    assert told["acknowledged"] > KILLS, seed


def test_a_migration_that_is_killed_leaves_the_old_or_the_new_schema(tmp_path: Path) -> None:
    seed = random.randrange(1_000_000)
    told = _helper("kill_loop.py", "migrating", tmp_path, MIGRATION_KILLS, seed)
    assert told["older"] + told["newer"] == MIGRATION_KILLS, seed


def test_a_migration_that_fails_at_its_last_step_leaves_the_file_as_it_was(
    older_database: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> None:
        raise sqlite3.OperationalError

    before = older_database.read_bytes()
    monkeypatch.setattr(migrations.migrate, "__defaults__", ((*migrations.MIGRATIONS, fail),))
    with pytest.raises(sqlite3.OperationalError):
        open_storage(f"sqlite:///{older_database}")
    assert older_database.read_bytes() == before


def test_several_starts_at_once_migrate_once(older_database: Path) -> None:
    program = (
        "import sys\nfrom toru.storage import open_storage\n"
        "print(open_storage(sys.argv[1]).instance_id)\n"
    )
    command = [sys.executable, "-c", program, f"sqlite:///{older_database}"]
    starts = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    told = {start.communicate(timeout=60)[0] for start in starts}
    assert [start.returncode for start in starts] == [0, 0, 0, 0]
    assert len(told) == 1


def test_a_file_that_may_not_grow_refuses_changes_and_recovers(tmp_path: Path) -> None:
    told = _helper("disk_full.py", tmp_path / "steering.db")
    assert told.pop("acknowledged") > 0
    assert "cannot be written now" in str(told.pop("sentence"))
    assert told == {
        "readable_while_full": True,
        "lost": [],
        "kept_though_refused": [],
        "recovered": True,
    }


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a disk of 2 MiB of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=2m", "none", str(folder)]
    allowed = os.geteuid() == 0
    if not allowed or subprocess.run(["mount", *options], check=False).returncode != 0:
        pytest.skip("a small disk can only be mounted by the superuser")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.gen_test
async def test_a_full_disk_refuses_changes_and_recovers_by_itself(
    actors, make_run, small_disk: Path, expect_log: Callable[..., object]
) -> None:
    expect_log("cannot be written: database or disk is full")
    ballast = small_disk / "ballast"
    async with actors(open_storage(f"sqlite:///{small_disk}/steering.db")) as running:
        await running.writer.ask(messages.InsertRun(make_run("first")))
        _fill(ballast)
        big = "x" * 30_000
        asked = [
            running.writer.ask(messages.InsertRun(make_run(str(number), output=big)))
            for number in range(60)
        ]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = {str(n) for n, answer in enumerate(answers) if answer is not None}
        assert refused
        assert all(answer is None or isinstance(answer, StorageUnavailable) for answer in answers)
        kept = {run.id for run in await running.reader.ask(messages.ListRuns(limit=1000))}
        assert kept == {"first", *(str(n) for n in range(60))} - refused
        ballast.unlink()
        await running.writer.ask(messages.InsertRun(make_run("last")))
        assert await running.reader.ask(messages.GetRun("last")) is not None


def test_a_disk_without_room_for_a_new_database_stops_the_start(small_disk: Path) -> None:
    _fill(small_disk / "ballast")
    with pytest.raises(ConfigError, match="disk is full"):
        open_storage(f"sqlite:///{small_disk}/steering.db")


@pytest.mark.gen_test
async def test_a_lock_of_another_process_never_stalls_the_loop(
    open_actors, path: Path, make_run, expect_log: Callable[..., object]
) -> None:
    expect_log("cannot be written: database is locked", count=1)
    busy_s = 0.8
    async with open_actors(busy_timeout_s=busy_s) as actors:
        await actors.writer.ask(messages.InsertRun(make_run("before")))
        with _locked_by_another_process(path) as other:
            lag = asyncio.create_task(_largest_lag(3 * busy_s))
            for number in range(2):
                with pytest.raises(StorageUnavailable, match="database is locked"):
                    await actors.writer.ask(messages.InsertRun(make_run(str(number))))
            assert await actors.reader.ask(messages.GetRun("before")) is not None
            assert await lag < busy_s / 2
            other.communicate()
        await actors.writer.ask(messages.InsertRun(make_run("after")))
        kept = {run.id for run in await actors.reader.ask(messages.ListRuns())}
        assert kept == {"before", "after"}


@pytest.mark.gen_test
async def test_a_short_lock_of_another_process_only_delays_the_answer(
    open_actors, path: Path, make_run
) -> None:
    async with open_actors() as actors:
        with _locked_by_another_process(path) as other:
            asked = actors.writer.ask(messages.InsertRun(make_run("a")))
            lag = await _largest_lag(1.0)
            assert not asked.settled
            assert lag < 0.5
            other.communicate()
        await asked
        assert await actors.reader.ask(messages.GetRun("a")) is not None


async def _largest_lag(duration_s: float) -> float:
    """Return the longest time in seconds by which a short sleep on the loop came back late."""
    largest = 0.0
    ends = time.perf_counter() + duration_s
    while (began := time.perf_counter()) < ends:
        await asyncio.sleep(0.005)
        largest = max(largest, time.perf_counter() - began - 0.005)
    return largest


@pytest.mark.gen_test
async def test_damage_that_is_found_while_running_is_an_answer(
    open_actors, path: Path, expect_log: Callable[..., object], make_run
) -> None:
    expect_log("cannot be read now", optional=True)
    expect_log("cannot be written", optional=True)
    async with open_actors() as actors:
        await asyncio.gather(
            *(
                actors.writer.ask(messages.InsertRun(make_run(str(n), output="x" * 5000)))
                for n in range(200)
            )
        )
    async with open_actors() as actors:
        with path.open("r+b") as file:
            file.seek(4096)
            file.write(os.urandom(path.stat().st_size - 4096))
        for message, address in (
            (messages.ListRuns(), actors.reader),
            (messages.InsertRun(make_run("a")), actors.writer),
        ):
            with pytest.raises(StorageUnavailable):
                await address.ask(message)
