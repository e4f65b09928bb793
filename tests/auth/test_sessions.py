"""Sessions: opened durably, hashed at rest, ended at once.

Runs on: the test's event loop, with a real database.
"""

from __future__ import annotations

import asyncio
import hashlib
import sqlite3
from typing import Any

import pytest

from tests.auth.conftest import ADMIN_PASSWORD, PASSWORD, AuthStage
from toru.actors import session_cache
from toru.actors.messages.auth import (
    ChangeOwnPassword,
    ChangeUser,
    CheckSession,
    GetSession,
    LoggedIn,
    LogOut,
    RemoveUser,
    ResetPassword,
)
from toru.actors.messages.hub import SessionsEnded
from toru.errors import BadRequest, NotFound, Unauthorized, Unavailable

pytestmark = pytest.mark.gen_test


async def lives(stage: AuthStage, login: LoggedIn) -> bool:
    """Return whether a session is let in; both ways of asking must agree."""
    by_token = await stage.auth.ask(GetSession(login.token))
    by_id = await stage.auth.ask(CheckSession(login.session.id))
    assert by_token == by_id
    return by_token is not None


def rows(stage: AuthStage, query: str) -> list[tuple[Any, ...]]:
    with sqlite3.connect(f"file:{stage.folder / 'steering.db'}?mode=ro", uri=True) as database:
        found = database.execute(query).fetchall()
    database.close()
    return found


def ended(stage: AuthStage) -> set[str]:
    return {
        each
        for message in stage.heard
        if isinstance(message, SessionsEnded)
        for each in message.ids
    }


async def test_the_database_knows_the_hash_of_a_token_and_never_the_token(
    stage: AuthStage,
) -> None:
    await stage.start()
    login = await stage.log_in()
    assert rows(stage, "select id from sessions") == [
        (hashlib.sha256(login.token.encode()).hexdigest(),)
    ]
    assert len(login.token) >= 43
    database = (stage.folder / "steering.db").read_bytes()
    database += (stage.folder / "steering.db-wal").read_bytes()
    assert login.token.encode() not in database
    assert ADMIN_PASSWORD.encode() not in database


async def test_a_session_survives_a_restart(stage: AuthStage) -> None:
    await stage.start()
    await stage.add("anna")
    admin, anna = await stage.log_in(), await stage.log_in("anna", PASSWORD)
    await stage.restart()
    assert await stage.auth.ask(GetSession(admin.token)) == admin.session
    assert await stage.auth.ask(GetSession(anna.token)) == anna.session


async def test_sessions_of_the_admin_end_when_the_password_of_the_environment_changes(
    stage: AuthStage,
) -> None:
    await stage.start()
    await stage.add("anna")
    admin, anna = await stage.log_in(), await stage.log_in("anna", PASSWORD)
    await stage.restart(admin_password="Another-pass-2")
    assert not await lives(stage, admin)
    assert await lives(stage, anna)
    await stage.restart(admin_password="Another-pass-2")
    assert len(rows(stage, "select id from sessions")) == 1


async def test_a_logout_is_durable(stage: AuthStage) -> None:
    await stage.start()
    login, other = await stage.log_in(), await stage.log_in()
    await stage.auth.ask(LogOut(login.token))
    assert not await lives(stage, login)
    assert await lives(stage, other)
    assert ended(stage) == {login.session.id}
    await stage.auth.ask(LogOut(login.token))
    await stage.auth.ask(LogOut("never-was-one"))
    await stage.restart()
    assert not await lives(stage, login)
    assert await lives(stage, other)


async def test_a_session_expires_and_the_hub_is_told_without_being_asked(stage: AuthStage) -> None:
    await stage.start(lifetime_s=0.4)
    login = await stage.log_in()
    assert await lives(stage, login)
    async with asyncio.timeout(10):
        while not stage.heard:
            await asyncio.sleep(0.01)
    assert ended(stage) == {login.session.id}
    assert not await lives(stage, login)
    async with asyncio.timeout(10):
        while rows(stage, "select id from sessions"):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    "change",
    [
        lambda user_id: ChangeUser(user_id, is_active=False),
        lambda user_id: ChangeUser(user_id, role="admin"),
        lambda user_id: ResetPassword(user_id, "Another-pass-2"),
        RemoveUser,
    ],
    ids=["disabled", "new role", "password reset", "removed"],
)
async def test_a_change_of_the_user_ends_all_sessions_of_the_user_and_no_other(
    stage: AuthStage, change: Any
) -> None:
    await stage.start()
    anna, bert = await stage.add("anna"), await stage.add("bert")
    logins = [await stage.log_in("anna", PASSWORD) for _ in range(3)]
    other = await stage.log_in("bert", PASSWORD)
    await stage.auth.ask(change(anna.id))
    assert ended(stage) == {login.session.id for login in logins}
    assert [await lives(stage, login) for login in [*logins, other]] == [False] * 3 + [True]
    await stage.restart()
    assert [await lives(stage, login) for login in [*logins, other]] == [False] * 3 + [True]
    assert bert.id == other.session.user_id


async def test_a_new_name_shows_in_the_sessions_that_live(stage: AuthStage) -> None:
    await stage.start()
    anna = await stage.add("anna")
    login = await stage.log_in("anna", PASSWORD)
    await stage.auth.ask(ChangeUser(anna.id, username="anne", display_name="Anne B."))
    for _ in range(2):
        session = await stage.auth.ask(GetSession(login.token))
        assert session is not None
        assert (session.username, session.display_name) == ("anne", "Anne B.")
        await stage.restart()


async def test_ones_own_new_password_ends_ones_other_sessions(stage: AuthStage) -> None:
    await stage.start()
    await stage.add("anna")
    mine, other = [await stage.log_in("anna", PASSWORD) for _ in range(2)]
    change = ChangeOwnPassword(mine.session.id, PASSWORD, "Another-pass-2", "192.0.2.1")
    await stage.auth.ask(change)
    assert await lives(stage, mine)
    assert not await lives(stage, other)
    with pytest.raises(Unauthorized):
        await stage.log_in("anna", PASSWORD)
    await stage.log_in("anna", "Another-pass-2")


async def test_ones_own_password_needs_the_current_one_and_a_good_new_one(
    stage: AuthStage,
) -> None:
    await stage.start()
    await stage.add("anna")
    admin, anna = await stage.log_in(), await stage.log_in("anna", PASSWORD)
    for session, current, new in [
        (anna, "Wrong-pass-9", "Another-pass-2"),
        (anna, PASSWORD, "weak"),
        (anna, "x" * 1025, "Another-pass-2"),
        (admin, ADMIN_PASSWORD, "Another-pass-2"),
    ]:
        change = ChangeOwnPassword(session.session.id, current, new, "192.0.2.1")
        with pytest.raises(BadRequest):
            await stage.auth.ask(change)
    assert await lives(stage, anna)
    await stage.log_in("anna", PASSWORD)


async def test_a_login_that_is_under_way_while_its_user_is_disabled_opens_no_session(
    stage: AuthStage,
) -> None:
    await stage.start(parameters={"time_cost": 2, "memory_cost": 32768, "parallelism": 1})
    anna = await stage.add("anna")
    login = asyncio.ensure_future(stage.log_in("anna", PASSWORD))
    await asyncio.sleep(0)
    await stage.auth.ask(ChangeUser(anna.id, is_active=False))
    with pytest.raises(Unauthorized):
        await login
    assert rows(stage, "select id from sessions") == []


async def test_the_oldest_sessions_of_a_user_end_when_there_are_too_many(
    stage: AuthStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_cache, "SESSIONS_PER_USER", 3)
    await stage.start()
    logins = [await stage.log_in() for _ in range(5)]
    assert [await lives(stage, login) for login in logins] == [False, False, True, True, True]
    assert ended(stage) == {login.session.id for login in logins[:2]}
    assert len(rows(stage, "select id from sessions")) == 3


async def test_sessions_outlive_a_crash_of_the_actor(stage: AuthStage, expect_log: Any) -> None:
    await stage.start()
    login = await stage.log_in()
    expect_log("crashed")
    with pytest.raises(Exception, match="failed while it handled"):
        await stage.auth.ask(SessionsEnded(()))
    async with asyncio.timeout(10):
        while not await answers(stage):
            await asyncio.sleep(0.02)
    assert await lives(stage, login)


async def answers(stage: AuthStage) -> bool:
    """Return whether Auth is there again."""
    try:
        await stage.auth.ask(GetSession("x"))
    except Unavailable:
        return False
    return True


async def test_unknown_users_cannot_be_changed(stage: AuthStage) -> None:
    await stage.start()
    for message in [ChangeUser(99, is_active=False), RemoveUser(99), ResetPassword(99, PASSWORD)]:
        with pytest.raises(NotFound):
            await stage.auth.ask(message)
