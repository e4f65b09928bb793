"""The writer: what it changes, what it answers, and that one mistake harms no other change.

Runs on: the test's event loop; the actors on their own threads.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from toru.actors.messages import storage as messages
from toru.actors.runtime import Message
from toru.errors import ActorCrashed, BadRequest, Conflict, MailboxFull, NotFound
from toru.storage import open_storage

NOW = "2026-11-22T14:01:30.123Z"
LATER = "2026-11-22T14:01:31.123Z"


class Unknown(Message[None], frozen=True):
    """A message that no database actor knows."""


def _finish(run_id: str, **fields: object) -> messages.FinishRun:
    usual = {"state": "finished", "exit_code": 0, "output": "hello\n", "output_size": 6}
    return messages.FinishRun(id=run_id, finished_at=LATER, **{**usual, **fields})


def _insert_user(username: str) -> messages.InsertUser:
    return messages.InsertUser(username, "hash", username.title(), "client", NOW)


def _session(session_id: str, user_id: int | None, expires_at: str = LATER) -> messages.SessionRow:
    return messages.SessionRow(
        session_id, user_id, "client", "bob", "Bob", NOW, expires_at, "::1", "curl"
    )


@pytest.mark.gen_test
async def test_a_run_lives_from_queued_to_its_end(open_actors, make_run) -> None:
    async with open_actors() as actors:
        run = make_run("a", user_id=4, username="bob", args={"name": "'; DROP TABLE users"})
        await actors.writer.ask(messages.InsertRun(run))
        assert await actors.reader.ask(messages.GetRun("a")) == run
        await actors.writer.ask(messages.MarkRunStarted("a", NOW))
        (open_run,) = await actors.reader.ask(messages.ListOpenRuns())
        assert (open_run.state, open_run.started_at) == ("running", NOW)
        await actors.writer.ask(_finish("a", cpu_s=0.25, max_rss_bytes=2**40, detail="Well done."))
        ended = await actors.reader.ask(messages.GetRun("a"))
        assert (ended.state, ended.exit_code, ended.output) == ("finished", 0, "hello\n")
        assert (ended.cpu_s, ended.max_rss_bytes, ended.detail) == (0.25, 2**40, "Well done.")
        assert await actors.reader.ask(messages.ListOpenRuns()) == []
        await actors.writer.ask(messages.DeleteRun("a"))
        assert await actors.reader.ask(messages.GetRun("a")) is None


@pytest.mark.gen_test
async def test_a_run_keeps_its_first_end(open_actors, make_run) -> None:
    async with open_actors() as actors:
        await actors.writer.ask(messages.InsertRun(make_run("a")))
        await actors.writer.ask(_finish("a", state="cancelled", exit_code=-15))
        await actors.writer.ask(_finish("a"))
        await actors.writer.ask(messages.MarkRunStarted("a", NOW))
        ended = await actors.reader.ask(messages.GetRun("a"))
        assert (ended.state, ended.exit_code, ended.started_at) == ("cancelled", -15, None)


@pytest.mark.gen_test
async def test_output_that_no_database_can_keep_as_it_is_stays_readable(
    open_actors, make_run
) -> None:
    async with open_actors() as actors:
        await actors.writer.ask(messages.InsertRun(make_run("a")))
        await actors.writer.ask(_finish("a", output="a\0b \ud800 ü\N{GRINNING FACE}"))
        ended = await actors.reader.ask(messages.GetRun("a"))
        assert ended.output == "a\ufffdb ? ü\N{GRINNING FACE}"


@pytest.mark.gen_test
async def test_a_mistake_is_answered_and_the_rest_of_the_batch_is_kept(
    open_actors, make_run
) -> None:
    async with open_actors() as actors:
        await actors.writer.ask(_insert_user("bob"))
        asked = [
            actors.writer.ask(message)
            for message in (
                messages.InsertRun(make_run("a")),
                messages.InsertRun(make_run("a")),
                _insert_user("bob"),
                messages.UpdateUser(99, display_name="Nobody"),
                messages.DeleteUser(98),
                messages.SetPasswordHash(97, "hash"),
                messages.UpdateQuickAction(96, name="x"),
                messages.DeleteQuickAction(95),
                messages.InsertSession(_session("aa", 94)),
                _finish("a", output_size=2**80),
                _finish("a", detail="\ud800"),
                messages.InsertRun(make_run("b")),
            )
        ]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        kinds = [type(answer) for answer in answers]
        none = type(None)
        lost = [NotFound] * 5
        assert kinds == [none, Conflict, Conflict, *lost, Conflict, BadRequest, BadRequest, none]
        states = {run.id: run.state for run in await actors.reader.ask(messages.ListRuns())}
        assert states == {"a": "queued", "b": "queued"}


@pytest.mark.gen_test
async def test_a_user_is_made_changed_and_removed_with_the_sessions(open_actors) -> None:
    async with open_actors() as actors:
        ask = actors.writer.ask
        bob = await ask(_insert_user("bob"))
        ann = await ask(_insert_user("ann"))
        with pytest.raises(Conflict, match="'ann' is taken"):
            await ask(messages.UpdateUser(bob.id, username="ann"))
        changed = await ask(messages.UpdateUser(bob.id, username="rob", is_active=False))
        assert (changed.username, changed.is_active, changed.role) == ("rob", False, "client")
        assert await ask(messages.UpdateUser(bob.id)) == changed
        await ask(messages.SetPasswordHash(bob.id, "new"))
        credentials = await actors.reader.ask(messages.GetCredentials("rob"))
        assert credentials == messages.Credentials(changed, "new")
        for session in (_session("aa", bob.id), _session("bb", ann.id), _session("cc", None)):
            await ask(messages.InsertSession(session))
        await ask(messages.DeleteUser(bob.id))
        sessions = await actors.reader.ask(messages.ListSessions(NOW))
        assert [session.id for session in sessions] == ["bb", "cc"]
        assert [user.id for user in await actors.reader.ask(messages.ListUsers())] == [ann.id]
        assert await actors.reader.ask(messages.GetCredentials("rob")) is None


@pytest.mark.gen_test
async def test_the_runs_of_a_removed_user_stay(open_actors, make_run) -> None:
    async with open_actors() as actors:
        bob = await actors.writer.ask(_insert_user("bob"))
        await actors.writer.ask(messages.InsertRun(make_run("a", user_id=bob.id)))
        await actors.writer.ask(messages.DeleteUser(bob.id))
        assert (await actors.reader.ask(messages.GetRun("a"))).user_id == bob.id


@pytest.mark.gen_test
async def test_quick_actions_without_an_order_go_to_the_end(open_actors) -> None:
    async with open_actors() as actors:
        ask = actors.writer.ask
        first = await ask(messages.InsertQuickAction("one", "a.sh"))
        second = await ask(messages.InsertQuickAction("two", "b.sh", display_order=40))
        third = await ask(messages.InsertQuickAction("three", "c.sh", icon="rocket"))
        assert [action.display_order for action in (first, second, third)] == [0, 40, 41]
        await ask(messages.UpdateQuickAction(third.id, display_order=-1))
        await ask(messages.DeleteQuickAction(first.id))
        listed = await actors.reader.ask(messages.ListQuickActions())
        assert [(action.id, action.icon) for action in listed] == [
            (third.id, "rocket"),
            (second.id, None),
        ]


@pytest.mark.gen_test
async def test_a_quick_action_runs_unasked_unless_it_says_otherwise(open_actors) -> None:
    async with open_actors() as actors:
        plain = await actors.writer.ask(messages.InsertQuickAction("one", "a.sh"))
        asking = await actors.writer.ask(messages.InsertQuickAction("two", "b.sh", confirm=True))
        assert (plain.confirm, asking.confirm) == (False, True)
        changed = await actors.writer.ask(messages.UpdateQuickAction(asking.id, confirm=False))
        assert changed.confirm is False
        renamed = await actors.writer.ask(messages.UpdateQuickAction(plain.id, name="three"))
        assert renamed.confirm is False


@pytest.mark.gen_test
async def test_a_setting_that_is_saved_again_is_replaced(open_actors) -> None:
    async with open_actors() as actors:
        await actors.writer.ask(messages.SaveSetting("key", "old"))
        await actors.writer.ask(messages.SaveSetting("key", "new"))
        assert (await actors.reader.ask(messages.GetSettings()))["key"] == "new"


@pytest.mark.gen_test
async def test_old_sessions_and_attempts_are_removed_and_counted(open_actors) -> None:
    async with open_actors() as actors:
        ask = actors.writer.ask
        await ask(messages.InsertSession(_session("aa", None, expires_at=NOW)))
        await ask(messages.InsertSession(_session("bb", None, expires_at=LATER)))
        for moment in ("2026-10-01T00:00:00.000Z", NOW):
            await ask(messages.InsertLoginAttempt("bob", "::1", False, "wrong", moment))
        assert await ask(messages.PurgeOld(NOW, "2026-10-23T14:01:30.123Z")) == 2
        assert [row.id for row in await actors.reader.ask(messages.ListSessions(""))] == ["bb"]
        (attempt,) = await actors.reader.ask(messages.ListLoginAttempts())
        assert (attempt.attempted_at, attempt.success) == (NOW, False)
        await ask(messages.DeleteSessions(("bb", "unknown")))
        await ask(messages.DeleteSessions(()))
        assert await actors.reader.ask(messages.ListSessions("")) == []


@pytest.mark.gen_test
async def test_what_waits_is_one_commit(open_actors, path: Path, make_run) -> None:
    async with open_actors() as actors:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asked = [
                actors.writer.ask(messages.InsertRun(make_run(str(number)))) for number in range(50)
            ]
            other.execute("ROLLBACK")
            version = other.execute("PRAGMA data_version").fetchone()
            await asyncio.gather(*asked)
            assert other.execute("PRAGMA data_version").fetchone() != version
        frames = path.with_name(f"{path.name}-wal").stat().st_size // 4096
        assert frames < 50


@pytest.mark.gen_test
async def test_an_unknown_message_costs_nobody_else_their_change(
    open_actors, make_run, expect_log: Callable[..., object]
) -> None:
    expect_log("db_writer.* crashed")
    async with open_actors() as actors:
        asked = [
            actors.writer.ask(message)
            for message in (
                messages.InsertRun(make_run("a")),
                Unknown(),
                messages.InsertRun(make_run("b")),
            )
        ]
        answers = await asyncio.gather(*asked, return_exceptions=True)
        assert isinstance(answers[1], ActorCrashed)
        kept = {run.id for run in await actors.reader.ask(messages.ListRuns())}
        acknowledged = {
            run_id for run_id, answer in zip("a-b", answers, strict=True) if answer is None
        }
        assert "a" in kept
        assert acknowledged <= kept


@pytest.mark.gen_test
async def test_a_full_mailbox_refuses(open_actors, path: Path) -> None:
    async with open_actors() as actors:
        with closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            asked = [actors.writer.ask(messages.SaveSetting("key", "value")) for _ in range(10_400)]
            other.execute("ROLLBACK")
            answers = await asyncio.gather(*asked, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, MailboxFull)]
        assert refused
        assert all(answer is None or isinstance(answer, MailboxFull) for answer in answers)


@pytest.mark.gen_test
async def test_what_was_accepted_is_written_before_the_stop(open_actors, url, make_run) -> None:
    async with open_actors() as actors:
        asked = [actors.writer.ask(messages.InsertRun(make_run(str(n)))) for n in range(600)]
    await asyncio.gather(*asked)
    reader = open_storage(url).location.reader()
    assert reader.execute_sql("SELECT count(*) FROM task_history").fetchall() == [(600,)]
    reader.close()


@pytest.mark.gen_test
async def test_two_hubs_in_one_process_keep_to_their_own_databases(
    actors, make_run, tmp_path: Path
) -> None:
    storages = [open_storage(f"sqlite:///{tmp_path}/{name}.db") for name in "ab"]
    async with actors(storages[0]) as first, actors(storages[1]) as second:
        await asyncio.gather(
            *(first.writer.ask(messages.InsertRun(make_run(f"a{n}"))) for n in range(100)),
            *(second.writer.ask(messages.InsertRun(make_run(f"b{n}"))) for n in range(100)),
        )
        for hub, letter in ((first, "a"), (second, "b")):
            runs = await hub.reader.ask(messages.ListRuns(limit=1000))
            assert {run.id for run in runs} == {f"{letter}{n}" for n in range(100)}
