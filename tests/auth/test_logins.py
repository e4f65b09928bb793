"""Logins: what is looked at, how often, and what a refusal shows.

Runs on: the test's event loop, with a real database and real argon2.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable

import argon2
import pytest

from tests.auth.conftest import CHEAP, PASSWORD, AuthStage
from toru import clock
from toru.actors.lockouts import KEYS_LIMIT, LOCKED, NOTES_PER_LOCK, Lockouts, key_of
from toru.actors.messages.auth import (
    ChangeOwnPassword,
    ChangeUser,
    CreateUser,
    HashPassword,
    ListLogins,
    Purge,
    VerifyPassword,
)
from toru.actors.messages.storage import (
    GetCredentials,
    InsertLoginAttempt,
    ListLoginAttempts,
    LoginAttempt,
    SetPasswordHash,
)
from toru.actors.password_hasher import PARAMETERS, nobodys_hash
from toru.errors import BadRequest, Conflict, LockedOut, ToruError, Unauthorized

pytestmark = pytest.mark.gen_test


async def refusal(stage: AuthStage, username: str, password: str, address: str) -> ToruError:
    with pytest.raises(ToruError) as caught:
        await stage.log_in(username, password, address)
    return caught.value


async def test_two_hundred_parallel_guesses_get_three_tries(stage: AuthStage) -> None:
    await stage.start()
    guesses = (refusal(stage, "admin", f"Wrong-pass-{n}", "192.0.2.9") for n in range(200))
    kinds = Counter(type(error) for error in await asyncio.gather(*guesses))
    assert kinds == {Unauthorized: 3, LockedOut: 197}
    locked = await refusal(stage, "admin", "Admin-pass-1", "192.0.2.9")
    assert isinstance(locked, LockedOut)
    assert 1 <= locked.locked_until_s <= 60
    await stage.log_in(address="192.0.2.10")


async def test_parallel_logins_with_the_right_password_all_work(stage: AuthStage) -> None:
    await stage.start()
    logins = await asyncio.gather(*(stage.log_in() for _ in range(50)))
    assert len({login.token for login in logins}) == 50


async def test_a_success_forgets_the_failures_before_it(stage: AuthStage) -> None:
    await stage.start()
    for _ in range(3):
        for _ in range(2):
            assert isinstance(await refusal(stage, "admin", "no", "192.0.2.1"), Unauthorized)
        await stage.log_in()


async def test_lockouts_survive_a_restart_with_the_time_that_is_left(stage: AuthStage) -> None:
    await stage.start()
    now = time.time()
    for age_s in (100.0, 90.0, 45.0):
        moment = clock.format_time(now - age_s)
        attempt = InsertLoginAttempt("anna", "192.0.2.1", False, "wrong password", moment)
        await stage.at("db_writer").ask(attempt)
    moment = clock.format_time(now - 5)
    await stage.at("db_writer").ask(InsertLoginAttempt("anna", "192.0.2.1", False, LOCKED, moment))
    await stage.restart()
    locked = await refusal(stage, "anna", PASSWORD, "192.0.2.1")
    assert isinstance(locked, LockedOut)
    assert 1 <= locked.locked_until_s <= 15
    assert isinstance(await refusal(stage, "anna", PASSWORD, "192.0.2.2"), Unauthorized)


async def test_failures_before_a_restart_count_after_it(stage: AuthStage) -> None:
    await stage.start()
    await refusal(stage, "anna", "x", "192.0.2.1")
    await refusal(stage, "anna", "x", "192.0.2.1")
    await stage.restart()
    assert isinstance(await refusal(stage, "anna", "x", "192.0.2.1"), Unauthorized)
    assert isinstance(await refusal(stage, "anna", "x", "192.0.2.1"), LockedOut)


async def test_the_history_tells_what_the_answer_does_not(stage: AuthStage) -> None:
    await stage.start()
    anna = await stage.add("anna")
    await stage.add("bert")
    await stage.auth.ask(ChangeUser(anna.id, is_active=False))
    refusals = [
        await refusal(stage, "nobody", PASSWORD, "192.0.2.1"),
        await refusal(stage, "bert", "Wrong-pass-9", "192.0.2.1"),
        await refusal(stage, "anna", PASSWORD, "192.0.2.1"),
        await refusal(stage, "admin", "Wrong-pass-9", "192.0.2.1"),
    ]
    assert len({(type(error), error.sentence, error.code) for error in refusals}) == 1
    await stage.log_in("bert", PASSWORD)
    history = await stage.auth.ask(ListLogins())
    assert [(each.username, each.success, each.failure_reason) for each in history] == [
        ("bert", True, None),
        ("admin", False, "wrong password"),
        ("anna", False, "account disabled"),
        ("bert", False, "wrong password"),
        ("nobody", False, "unknown user"),
    ]


async def test_every_refusal_costs_exactly_one_verification(stage: AuthStage) -> None:
    await stage.start()
    anna = await stage.add("anna")
    await stage.add("bert")
    await stage.auth.ask(ChangeUser(anna.id, is_active=False))
    for username, password in [
        ("nobody", PASSWORD),
        ("bert", "Wrong-pass-9"),
        ("anna", PASSWORD),
        ("anna", "Wrong-pass-9"),
        ("admin", "Wrong-pass-9"),
        ("admin", ""),
    ]:
        before = handled(stage)
        await refusal(stage, username, password, "192.0.2.1")
        assert handled(stage) == before + 1, username


async def test_nobodys_hash_has_the_costs_of_a_users_and_is_of_no_password() -> None:
    hasher = argon2.PasswordHasher(**PARAMETERS)
    nobodys, users = nobodys_hash(hasher), hasher.hash(PASSWORD)
    assert argon2.extract_parameters(nobodys) == argon2.extract_parameters(users)
    assert [len(part) for part in nobodys.split("$")] == [len(part) for part in users.split("$")]
    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        hasher.verify(nobodys, PASSWORD)
    assert nobodys_hash(hasher) != nobodys


async def test_nobodys_hash_takes_as_long_as_a_users(stage: AuthStage) -> None:
    await stage.start(parameters=PARAMETERS)
    hasher = stage.at("password_hasher_1")
    hashed = await hasher.ask(HashPassword(PASSWORD))
    questions = {"a user": hashed, "nobody": None}
    took: dict[str, list[float]] = {name: [] for name in questions}
    for _ in range(10):
        for name, password_hash in questions.items():
            began = time.perf_counter()
            await hasher.ask(VerifyPassword("Wrong-pass-9", password_hash))
            took[name].append(time.perf_counter() - began)
    quickest = {name: min(times) for name, times in took.items()}
    assert max(quickest.values()) < 2 * min(quickest.values()), quickest


async def test_a_password_over_the_limit_is_refused_unhashed(stage: AuthStage) -> None:
    await stage.start()
    before = handled(stage)
    for username in ("admin", "nobody"):
        assert isinstance(await refusal(stage, username, "x" * 1025, "192.0.2.1"), BadRequest)
    assert handled(stage) == before
    await refusal(stage, "admin", "x" * 1024, "192.0.2.1")
    assert handled(stage) == before + 1


def handled(stage: AuthStage) -> int:
    assert stage.system is not None
    figures = stage.system.directory.statistics()
    return sum(each.handled for each in figures if each.name.startswith("password_hasher"))


async def test_a_flood_of_refused_attempts_is_recorded_up_to_a_limit(stage: AuthStage) -> None:
    await stage.start()
    count = NOTES_PER_LOCK + 40
    await asyncio.gather(*(refusal(stage, "anna", "x", "192.0.2.1") for _ in range(count)))
    rows = await stage.at("db_reader").ask(ListLoginAttempts(1000))
    assert Counter(row.failure_reason for row in rows) == {
        "unknown user": 3,
        LOCKED: NOTES_PER_LOCK,
    }


async def test_the_current_password_cannot_be_guessed_with_a_stolen_session(
    stage: AuthStage,
) -> None:
    await stage.start()
    await stage.add("anna")
    login = await stage.log_in("anna", PASSWORD)
    guess = ChangeOwnPassword(login.session.id, "Wrong-pass-9", "Another-pass-2", "192.0.2.1")
    for _ in range(3):
        with pytest.raises(BadRequest):
            await stage.auth.ask(guess)
    with pytest.raises(LockedOut):
        await stage.auth.ask(guess)


async def test_a_hash_of_weaker_parameters_is_replaced_at_the_next_login(stage: AuthStage) -> None:
    await stage.start()
    await stage.add("anna")
    stronger = {"time_cost": 2, "memory_cost": 128, "parallelism": 1}
    await stage.restart(parameters=stronger)
    await stage.log_in("anna", PASSWORD)
    found = await stage.at("db_reader").ask(GetCredentials("anna"))
    assert found is not None
    stored = argon2.extract_parameters(found.password_hash)
    assert (stored.time_cost, stored.memory_cost) == (2, 128)
    assert stored.type is argon2.Type.ID
    await stage.restart(parameters=CHEAP)
    await stage.log_in("anna", PASSWORD)
    assert await stage.at("db_reader").ask(GetCredentials("anna")) == found


async def test_a_hash_that_cannot_be_read_lets_nobody_in(
    stage: AuthStage, expect_log: Callable[..., object]
) -> None:
    await stage.start()
    anna = await stage.add("anna")
    await stage.at("db_writer").ask(SetPasswordHash(anna.id, "no hash at all"))
    expect_log("cannot be read")
    assert isinstance(await refusal(stage, "anna", PASSWORD, "192.0.2.1"), Unauthorized)


async def test_the_hasher_hashes_and_verifies(stage: AuthStage) -> None:
    await stage.start()
    hasher = stage.at("password_hasher_1")
    hashed = await hasher.ask(HashPassword("päss\0word"))
    assert hashed.startswith("$argon2id$")
    assert (await hasher.ask(VerifyPassword("päss\0word", hashed))).matches
    assert not (await hasher.ask(VerifyPassword("päss", hashed))).matches
    assert not (await hasher.ask(VerifyPassword("", None))).matches


async def test_the_admins_name_and_taken_names_cannot_be_given_away(stage: AuthStage) -> None:
    await stage.start()
    anna, bert = await stage.add("anna"), await stage.add("bert")
    for message in [
        CreateUser("Admin", PASSWORD, "A"),
        CreateUser("anna", PASSWORD, "A"),
        ChangeUser(anna.id, username="ADMIN"),
        ChangeUser(bert.id, username="anna"),
    ]:
        with pytest.raises(Conflict):
            await stage.auth.ask(message)


async def test_old_attempts_are_purged(stage: AuthStage) -> None:
    await stage.start()
    for age_days in (1, 89, 91, 200):
        moment = clock.format_time(time.time() - age_days * 86_400)
        await stage.at("db_writer").ask(InsertLoginAttempt("a", "192.0.2.1", True, None, moment))
    await stage.auth.ask(Purge())
    assert len(await stage.auth.ask(ListLogins())) == 2


def test_the_memory_of_lockouts_is_bounded_and_keeps_the_locked() -> None:
    lockouts = Lockouts()
    for _ in range(3):
        lockouts.failed(("anna", "192.0.2.1"))
    for number in range(KEYS_LIMIT + 100):
        lockouts.failed((f"guess-{number}", "192.0.2.1"))
    assert len(lockouts) <= KEYS_LIMIT
    assert lockouts.locked_s(("anna", "192.0.2.1")) > 0


def test_a_clock_that_was_set_back_makes_no_failure_of_the_future() -> None:
    lockouts = Lockouts(lambda: 100.0)
    later = clock.format_time(2_000_000_000.0)
    rows = [LoginAttempt(n, "anna", "192.0.2.1", False, "wrong password", later) for n in range(3)]
    lockouts.restore(rows, 1_900_000_000.0)
    assert lockouts.locked_s(key_of("anna", "192.0.2.1")) == 60
