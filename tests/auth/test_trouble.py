"""Auth when what it stands on is gone, slow or flooded.

Runs on: the test's event loop, with a real database.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from tests.auth.conftest import PASSWORD, AuthStage
from toru.actors import auth, live_sessions
from toru.actors.messages.auth import ChangeUser, GetSession, LogOut
from toru.actors.messages.hub import SessionsEnded
from toru.actors.runtime import ChildSpec
from toru.actors.storage_children import storage_children
from toru.errors import ToruError, Unauthorized, Unavailable
from toru.storage import open_storage

pytestmark = pytest.mark.gen_test


def session_rows(stage: AuthStage) -> int:
    database = sqlite3.connect(f"file:{stage.folder / 'steering.db'}?mode=ro", uri=True)
    (count,) = database.execute("select count(*) from sessions").fetchone()
    database.close()
    return int(count)


async def stop_child(stage: AuthStage, name: str) -> None:
    assert stage.system is not None
    await stage.system.root.stop(name)


async def start_writer(stage: AuthStage) -> None:
    assert stage.system is not None
    storage = open_storage(f"sqlite:///{stage.folder / 'steering.db'}")
    spec: ChildSpec = storage_children(storage)[0]
    await stage.system.spawn(spec)


async def outcome(stage: AuthStage, username: str) -> str:
    try:
        await stage.log_in(username, "Wrong-pass-9")
    except ToruError as error:
        return error.code
    return "logged in"


async def test_logins_over_the_limit_are_refused_and_the_others_served(
    stage: AuthStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "LOGINS_LIMIT", 5)
    await stage.start()
    outcomes = await asyncio.gather(*(outcome(stage, f"user-{n}") for n in range(40)))
    assert Counter(outcomes) == {"unauthorized": 5, "unavailable": 35}
    assert (await stage.log_in()).session.is_admin


async def test_a_login_that_cannot_be_made_durable_is_no_login(stage: AuthStage) -> None:
    await stage.start()
    await stop_child(stage, "db_writer")
    with pytest.raises(Unavailable):
        await stage.log_in()
    await start_writer(stage)
    assert session_rows(stage) == 0
    await stage.log_in()


async def test_a_session_ends_at_once_even_when_the_database_cannot_be_written(
    stage: AuthStage, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[..., Any]
) -> None:
    monkeypatch.setattr(live_sessions, "RETRY_DELETES_S", 0.05)
    await stage.start()
    login = await stage.log_in()
    await stop_child(stage, "db_writer")
    with pytest.raises(Unavailable):
        await stage.auth.ask(LogOut(login.token))
    assert await stage.auth.ask(GetSession(login.token)) is None
    assert [type(message) for message in stage.heard] == [SessionsEnded]
    with pytest.raises(Unavailable):
        await stage.auth.ask(LogOut(login.token))
    await start_writer(stage)
    await stage.auth.ask(LogOut(login.token))
    assert session_rows(stage) == 0
    expect_log("stay in the database for now", optional=True)


async def test_rows_of_ended_sessions_are_removed_once_the_database_is_back(
    stage: AuthStage, monkeypatch: pytest.MonkeyPatch, expect_log: Callable[..., Any]
) -> None:
    monkeypatch.setattr(live_sessions, "RETRY_DELETES_S", 0.05)
    await stage.start(lifetime_s=0.5)
    await stage.log_in()
    await stop_child(stage, "db_writer")
    expect_log("stay in the database for now")
    async with asyncio.timeout(10):
        while not stage.heard:
            await asyncio.sleep(0.01)
    assert session_rows(stage) == 1
    await start_writer(stage)
    async with asyncio.timeout(10):
        while session_rows(stage):
            await asyncio.sleep(0.01)


async def test_without_a_hub_sessions_end_all_the_same(stage: AuthStage) -> None:
    await stage.start()
    anna = await stage.add("anna")
    login = await stage.log_in("anna", PASSWORD)
    await stop_child(stage, "hub")
    await stage.auth.ask(ChangeUser(anna.id, is_active=False))
    assert await stage.auth.ask(GetSession(login.token)) is None


async def test_a_hasher_that_is_gone_costs_an_error_and_no_lockout(stage: AuthStage) -> None:
    await stage.start()
    for name in ("password_hasher_1", "password_hasher_2"):
        await stop_child(stage, name)
    for _ in range(5):
        with pytest.raises(Unavailable):
            await stage.log_in()
    with pytest.raises(Unavailable):
        await stage.log_in("nobody", "x")


async def test_a_writer_that_fails_still_leaves_the_guesser_three_tries(stage: AuthStage) -> None:
    await stage.start()
    await stop_child(stage, "db_writer")
    codes = [await outcome(stage, "admin") for _ in range(5)]
    assert codes == ["unavailable"] * 3 + ["locked_out"] * 2
    await start_writer(stage)
    with pytest.raises(ToruError) as refused:
        await stage.log_in()
    assert not isinstance(refused.value, Unauthorized)
