"""The readers: the history's filters and pages, and that they see every acknowledged change.

Runs on: the test's event loop; the actors on their own threads.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import peewee
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.actors.db_reader import DbReadThread
from toru.actors.messages import storage as messages
from toru.actors.messages.storage import ListRuns, Run
from toru.actors.runtime import ChildSpec
from toru.clock import format_time
from toru.errors import BadRequest, StorageUnavailable
from toru.storage import open_storage
from toru.storage.changes import Changes
from toru.storage.queries import answer

START_MS = 1_760_000_000_000


def _id(number: int) -> str:
    """Return a UUIDv7 of a run that was asked for ``number`` seconds after the start."""
    moment = START_MS + number * 1000
    head = f"{moment:012x}"
    return f"{head[:8]}-{head[8:]}-7000-8000-{number:012x}"


def _run(number: int, **fields: object) -> Run:
    usual = {
        "script_name": f"s{number % 5}.sh",
        "state": "failed" if number % 7 == 0 else "finished",
        "user_id": number % 3 or None,
        "username": ["admin", "bob", "eve"][number % 3],
        "trigger": "api",
        "created_at": format_time(START_MS / 1000 + number),
        "output": f"line {number}\n",
    }
    return Run(id=_id(number), **{**usual, **fields})


def _time(number: int) -> str:
    return format_time(START_MS / 1000 + number)


@pytest.fixture
def filled(url: str) -> Iterator[peewee.Database]:
    """Return a reader's connection to a history of 60 runs."""
    location = open_storage(url).location
    database = location.writer()
    changes = Changes(database)
    with database.transaction():
        for number in range(60):
            changes.apply(messages.InsertRun(_run(number)))
    database.close()
    reader = location.reader()
    yield reader
    reader.close()


def _numbers(runs: list[Run]) -> list[int]:
    return [int(run.id[-12:], 16) for run in runs]


def test_the_history_comes_in_pages_the_newest_first(filled: peewee.Database) -> None:
    seen: list[int] = []
    before = None
    while page := answer(filled, ListRuns(limit=7, before=before)):
        assert len(page) <= 7
        seen += _numbers(page)
        before = page[-1].id
    assert seen == list(reversed(range(60)))


def test_a_page_begins_at_the_right_place_when_its_edge_was_removed(url, filled) -> None:
    writer = open_storage(url).location.writer()
    Changes(writer).apply(messages.DeleteRun(_id(30)))
    writer.close()
    assert _numbers(answer(filled, ListRuns(limit=2, before=_id(30)))) == [29, 28]


@pytest.mark.parametrize("before", ["nonsense", "", "9f1c2b1e-9e5c-4c1e-8a51-111111111111", "\0"])
def test_a_page_before_no_run_is_refused(filled: peewee.Database, before: str) -> None:
    with pytest.raises(BadRequest):
        answer(filled, ListRuns(before=before))


@pytest.mark.parametrize(
    ("question", "chosen"),
    [
        (ListRuns(user_id=1, own_only=True), lambda n: n % 3 == 1),
        (ListRuns(user_id=2), lambda n: n % 3 == 2),
        (ListRuns(own_only=True), lambda n: n % 3 == 0),
        (ListRuns(state="failed"), lambda n: n % 7 == 0),
        (ListRuns(script="s3.sh"), lambda n: n % 5 == 3),
        (ListRuns(username="eve"), lambda n: n % 3 == 2),
        (ListRuns(query="LINE 1"), lambda n: str(n).startswith("1")),
        (ListRuns(query="s4.s"), lambda n: n % 5 == 4),
        (ListRuns(query="line 5", state="failed", user_id=2), lambda n: n == 56),
        (ListRuns(query="", state=None), lambda n: True),
        (ListRuns(script="' OR 1=1 --"), lambda n: False),
        (ListRuns(username='admin" OR "1'), lambda n: False),
        (ListRuns(state="finished'; DROP TABLE task_history; --"), lambda n: False),
        (ListRuns(after=_time(50)), lambda n: n >= 50),
        (ListRuns(until=_time(10)), lambda n: n < 10),
        (ListRuns(after=_time(20), until=_time(30), state="failed"), lambda n: n in (21, 28)),
        (ListRuns(after=_time(30), until=_time(20)), lambda n: False),
        (ListRuns(limit=0), lambda n: False),
        (ListRuns(limit=-5), lambda n: False),
    ],
)
def test_filters_choose_the_runs_that_they_name(filled, question: ListRuns, chosen) -> None:
    assert _numbers(answer(filled, question)) == [n for n in reversed(range(60)) if chosen(n)]


def test_filters_and_pages_go_together(filled: peewee.Database) -> None:
    page = answer(filled, ListRuns(user_id=1, limit=3, before=_id(31)))
    assert _numbers(page) == [28, 25, 22]


def test_a_list_without_output_has_everything_else(filled: peewee.Database) -> None:
    whole = answer(filled, ListRuns(limit=1))[0]
    light = answer(filled, ListRuns(limit=1, with_output=False))[0]
    assert whole.output == "line 59\n"
    assert light.output == ""
    assert light.id == whole.id
    assert light.args == whole.args


@pytest.mark.parametrize("text", ["%", "_", "\\", "100%", "a_b", "\\%", "'", '"', "[a]", "*", "--"])
def test_the_text_that_is_searched_is_plain(url: str, text: str) -> None:
    location = open_storage(url).location
    database = location.writer()
    changes = Changes(database)
    changes.apply(messages.InsertRun(_run(1, output=f"before {text} behind")))
    changes.apply(messages.InsertRun(_run(2, output="anything else: aXb 100")))
    assert _numbers(answer(database, ListRuns(query=text))) == [1]
    database.close()


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[peewee.Database]:
    """Return a connection that may write, shared by all examples."""
    path = tmp_path_factory.mktemp("search") / "steering.db"
    database = open_storage(f"sqlite:///{path}").location.writer()
    yield database
    database.close()


@given(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5))
def test_any_text_finds_the_output_that_contains_it(
    searched: peewee.Database, before: str, text: str, behind: str
) -> None:
    changes = Changes(searched)
    changes.apply(messages.DeleteRun(_id(1)))
    changes.apply(messages.InsertRun(_run(1, output=before + text + behind)))
    assert _numbers(answer(searched, ListRuns(query=text))) == [1]


def test_a_reader_cannot_write(filled: peewee.Database) -> None:
    with pytest.raises(peewee.OperationalError, match="readonly"):
        filled.execute_sql("DELETE FROM task_history")


def test_a_reader_leaves_the_log_to_the_writer_also_when_it_closes(url: str, path: Path) -> None:
    location = open_storage(url).location
    writer, reader = location.writer(), location.reader()
    changes = Changes(writer)
    log = path.with_name(f"{path.name}-wal")
    for number in range(50):
        changes.apply(messages.InsertRun(_run(number)))
        answer(reader, ListRuns())
    database, frames = path.read_bytes(), log.read_bytes()
    reader.close()
    assert (path.read_bytes(), log.read_bytes()) == (database, frames)
    writer.close()
    assert path.read_bytes() != database


@pytest.mark.gen_test
async def test_every_reader_sees_what_was_acknowledged(open_actors, make_run) -> None:
    async with open_actors() as actors:
        readers = [actors.system.address(name) for name in ("db_reader_1", "db_reader_2")]
        for number in range(100):
            await actors.writer.ask(messages.InsertRun(make_run(str(number))))
            for reader in readers:
                assert await reader.ask(messages.GetRun(str(number))) is not None
                assert await reader.ask(messages.ListOpenRuns())


@pytest.mark.gen_test
async def test_questions_spread_over_both_threads(open_actors) -> None:
    async with open_actors() as actors:
        await asyncio.gather(*(actors.reader.ask(messages.GetSettings()) for _ in range(400)))
        handled = {row.name: row.handled for row in actors.system.directory.statistics()}
        assert min(handled["db_reader_1"], handled["db_reader_2"]) >= 100


@pytest.mark.gen_test
async def test_a_question_off_the_loop_is_answered_too(open_actors) -> None:
    async with open_actors() as actors:
        ask = actors.reader.ask
        settings = await asyncio.to_thread(lambda: ask(messages.GetSettings()).get(timeout=10))
        assert "instance_id" in settings


@pytest.mark.gen_test
async def test_values_that_no_row_can_have_are_refused(open_actors) -> None:
    async with open_actors() as actors:
        for question in (
            ListRuns(limit=2**80),
            ListRuns(user_id=2**80),
            ListRuns(script="\ud800"),
            messages.GetUser(2**80),
            messages.GetRun("\udcff"),
        ):
            with pytest.raises(BadRequest):
                await actors.reader.ask(question)
        assert await actors.reader.ask(messages.GetCredentials("' OR ''='")) is None


@pytest.mark.gen_test
async def test_a_question_that_takes_too_long_is_given_up(open_actors, url, make_run) -> None:
    async with open_actors() as actors:
        big = "x" * 65536
        await asyncio.gather(
            *(
                actors.writer.ask(messages.InsertRun(make_run(str(n), output=big)))
                for n in range(800)
            )
        )
        spec = ChildSpec("hasty", DbReadThread, (open_storage(url), 0.002))
        hasty = await actors.system.spawn(spec)
        with pytest.raises(StorageUnavailable, match="longer than"):
            await hasty.ask(ListRuns(query="yyyy"))
        for _ in range(20):
            assert await actors.reader.ask(ListRuns(query="yyyy")) == []


def test_the_first_page_of_a_hundred_thousand_runs_is_read_at_once(url: str) -> None:
    location = open_storage(url).location
    database = location.writer()
    changes = Changes(database)
    with database.transaction():
        for number in range(100_000):
            changes.apply(messages.InsertRun(_run(number, output="x" * 200)))
    database.close()
    reader = location.reader()
    for question in (
        ListRuns(),
        ListRuns(with_output=False),
        ListRuns(own_only=True),
        ListRuns(user_id=1, before=_id(50_000)),
        ListRuns(state="failed"),
        ListRuns(script="s1.sh"),
        ListRuns(username="bob"),
        ListRuns(username="nobody"),
        ListRuns(after=_time(50_000), until=_time(50_001)),
        ListRuns(until=_time(50_000), script="s1.sh", state="failed"),
        ListRuns(after=_time(200_000)),
        ListRuns(until=_time(-1), own_only=True),
        messages.ListOpenRuns(),
    ):
        assert min(_seconds(reader, question) for _ in range(5)) < 0.020, question
    for whose in (messages.ListRunNames(), messages.ListRunNames(user_id=1, own_only=True)):
        assert min(_seconds(reader, whose) for _ in range(5)) < 0.3, whose
    reader.close()


def _seconds(database: peewee.Database, question: object) -> float:
    began = time.perf_counter()
    answer(database, question)  # type: ignore[arg-type]
    return time.perf_counter() - began


def test_no_list_sorts_or_scans_the_whole_history(filled: peewee.Database, path: Path) -> None:
    asked: list[tuple[str, list[object]]] = []
    filled.query_hooks.append(lambda event: asked.append((event.sql, event.params)))
    for question in (
        ListRuns(),
        ListRuns(own_only=True),
        ListRuns(state="failed"),
        ListRuns(user_id=1, before=_id(9)),
        ListRuns(after=_time(9), until=_time(30)),
        ListRuns(until=_time(30), state="failed", before=_id(20)),
    ):
        answer(filled, question)
    filled.query_hooks.clear()
    for sql, params in asked:
        plan = filled.execute_sql(f"EXPLAIN QUERY PLAN {sql}", params).fetchall()
        steps = " ".join(str(row[3]) for row in plan)
        assert "TEMP B-TREE" not in steps
        assert "USING INDEX" in steps


def test_the_names_in_the_history_are_those_of_the_runs_that_one_may_see(filled) -> None:
    everything = answer(filled, messages.ListRunNames())
    assert everything == messages.RunNames(
        [f"s{number}.sh" for number in range(5)], ["admin", "bob", "eve"]
    )
    assert answer(filled, messages.ListRunNames(2, own_only=True)).users == ["eve"]
    assert answer(filled, messages.ListRunNames(None, own_only=True)).users == ["admin"]
    assert answer(filled, messages.ListRunNames(99, own_only=True)).scripts == []


def test_attempts_to_log_in_are_counted_by_their_end(url: str) -> None:
    location = open_storage(url).location
    database = location.writer()
    changes = Changes(database)
    ends = [(True, None)] * 3 + [(False, "wrong password"), (False, "unknown user")]
    ends += [(False, messages.LOCKED)] * 2
    with database.transaction():
        for number, (success, reason) in enumerate(ends):
            attempt = messages.InsertLoginAttempt("bob", f"::{number}", success, reason, _time(5))
            changes.apply(attempt)
        changes.apply(messages.InsertLoginAttempt("bob", "::9", False, "unknown user", _time(1)))
    database.close()
    reader = location.reader()
    counts = answer(reader, messages.CountLoginAttempts(_time(4)))
    assert counts == messages.LoginCounts(successes=3, failures=2, locked=2, addresses=4)
    assert answer(reader, messages.CountLoginAttempts(_time(5))).failures == 0
    failed = answer(reader, messages.ListLoginAttempts(failed_only=True))
    assert [attempt.success for attempt in failed] == [False] * 5
    reader.close()


def test_runs_to_retire_are_the_old_ones_and_those_that_are_too_many(url: str) -> None:
    location = open_storage(url).location
    database = location.writer()
    with database.transaction():
        changes = Changes(database)
        for number in range(6):
            ended = format_time(START_MS / 1000 + number)
            changes.apply(messages.InsertRun(_run(number, finished_at=ended)))
        changes.apply(messages.InsertRun(_run(6, state="running")))
        changes.apply(messages.InsertRun(_run(7, state="queued")))
    database.close()
    reader = location.reader()
    third = format_time(START_MS / 1000 + 3)

    def retired(before: str | None, keep: int | None) -> list[str]:
        found: list[str] = answer(reader, messages.ListRunsToRetire(before, keep))
        return found

    assert retired(None, None) == []
    assert retired(third, None) == [_id(0), _id(1), _id(2)]
    assert retired(None, 5) == [_id(0)]
    assert retired(third, 1) == [_id(number) for number in range(5)]
    assert retired(None, 0) == [_id(number) for number in range(6)]
    reader.close()
