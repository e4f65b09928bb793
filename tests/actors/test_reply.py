"""The future: what is the same as pykka's, and what an event loop needs."""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from typing import Any

import pykka
import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.actors.runtime import Reply, WouldBlockLoop
from toru.errors import DeadlineExceeded, NotFound

PATIENCE_S = 20.0


@pytest.fixture(params=[pykka.ThreadingFuture, Reply], ids=["pykka", "toru"])
def future(request) -> pykka.Future[Any]:
    return request.param()


def test_a_value_that_was_set_is_got_again_and_again(future):
    future.set(5)
    assert [future.get(), future.get(timeout=0)] == [5, 5]


def test_a_future_is_set_once(future):
    future.set(1)
    with pytest.raises(queue.Full):
        future.set(2)
    with pytest.raises(queue.Full):
        future.set_exception((ValueError, ValueError("x"), None))
    with pytest.raises(queue.Full):
        future.set_get_hook(lambda _timeout: 3)
    assert future.get() == 1


def test_an_exception_that_was_set_is_raised(future):
    try:
        raise ValueError("boom")
    except ValueError:
        future.set_exception()
    for _ in range(2):
        with pytest.raises(ValueError, match="boom") as caught:
            future.get()
        assert caught.traceback[-1].name == "test_an_exception_that_was_set_is_raised"


def test_an_exception_may_be_given_as_a_class_only(future):
    future.set_exception((KeyError, None, None))
    with pytest.raises(KeyError):
        future.get()


def test_get_waits_for_another_thread(future):
    waiting = threading.Thread(target=lambda: (time.sleep(0.02), future.set("there")))
    waiting.start()
    assert future.get(timeout=PATIENCE_S) == "there"
    waiting.join()


def test_get_gives_up_after_its_timeout(future):
    with pytest.raises(pykka.Timeout, match=r"0\.01 seconds"):
        future.get(timeout=0.01)


def test_a_get_hook_is_called_once_with_the_timeout(future):
    calls = []
    future.set_get_hook(lambda timeout: calls.append(timeout) or "made")
    assert [future.get(timeout=3), future.get()] == ["made", "made"]
    assert calls == [3]
    with pytest.raises(queue.Full):
        future.set(1)


def test_a_get_hook_that_is_set_later_wakes_who_waits(future):
    got: list[Any] = []
    waiting = threading.Thread(target=lambda: got.append(future.get(timeout=PATIENCE_S)))
    waiting.start()
    time.sleep(0.02)
    if isinstance(future, Reply):  # pykka's own notices only at its next look
        future.set_get_hook(lambda _timeout: "made")
        waiting.join(PATIENCE_S)
        assert got == ["made"]
    else:
        future.set("made")
        waiting.join(PATIENCE_S)


def test_what_is_derived_raises_what_the_source_raises(future):
    derived = [future.map(str), future.filter(bool), future.reduce(max), future.join()]
    future.set_exception((ValueError, ValueError("source"), None))
    for one in derived:
        with pytest.raises(ValueError, match="source"):
            one.get()


@given(st.lists(st.integers()), st.integers())
def test_what_is_derived_is_the_same_as_in_pykka(numbers: list[int], start: int):
    results = []
    for make in (pykka.ThreadingFuture, Reply):
        future: pykka.Future[Any] = make()
        other: pykka.Future[Any] = make()
        derived = [
            future.map(len),
            future.filter(lambda n: n > start),
            future.reduce(lambda a, b: a - b, start),
            future.join(other),
            future.map(sorted).map(tuple),
        ]
        future.set(numbers)
        other.set(start)
        results.append([one.get(timeout=1) for one in derived])
    assert results[0] == results[1]


@pytest.mark.gen_test
async def test_await_suspends_the_coroutine_and_not_the_loop():
    reply: Reply[str] = Reply()
    turns = 0

    async def tick() -> None:
        nonlocal turns
        for _ in range(10):
            turns += 1
            await asyncio.sleep(0)
        reply.settle("there")

    ticking = asyncio.create_task(tick())
    assert await reply == "there"
    assert turns == 10
    assert await reply == "there"
    await ticking


@pytest.mark.gen_test
async def test_a_reply_is_settled_by_another_thread_for_many_who_await():
    reply: Reply[int] = Reply()

    async def wait() -> int:
        return await reply

    waiting = [asyncio.create_task(wait()) for _ in range(5)]
    await asyncio.sleep(0)
    thread = threading.Thread(target=reply.settle, args=(7,))
    thread.start()
    assert await asyncio.gather(*waiting) == [7] * 5
    thread.join()


@pytest.mark.gen_test
async def test_get_on_the_loop_refuses_to_block_but_gives_what_is_there():
    reply: Reply[int] = Reply()
    with pytest.raises(WouldBlockLoop):
        reply.get(timeout=1)
    with pytest.raises(WouldBlockLoop):
        reply.map(str).get()
    reply.settle(3)
    assert reply.get() == 3
    assert reply.map(str).get() == "3"


@pytest.mark.gen_test
async def test_derived_replies_are_awaited_without_a_thread():
    first: Reply[int] = Reply()
    second: Reply[int] = Reply()
    derived = first.join(second.map(lambda n: n * 2)).map(sum)
    loop = asyncio.get_running_loop()
    loop.call_soon(second.settle, 4)
    loop.call_soon(first.settle, 1)
    threads = threading.active_count()
    assert await derived == 9
    assert threading.active_count() == threads


@pytest.mark.gen_test
async def test_a_reply_with_a_foreign_source_is_awaited_without_blocking_the_loop():
    reply: Reply[int] = Reply()
    foreign: pykka.Future[int] = pykka.ThreadingFuture()
    joined = reply.join(foreign)
    reply.settle(1)
    asyncio.get_running_loop().call_later(0.01, foreign.set, 2)
    assert await joined == [1, 2]


@pytest.mark.gen_test
async def test_the_deadline_counts_from_the_ask_and_is_raised_by_await():
    reply: Reply[None] = Reply(deadline_s=0.02, asked="slow")
    await asyncio.sleep(0.03)
    began = time.monotonic()
    with pytest.raises(DeadlineExceeded, match=r"No answer from slow within 0\.02 seconds"):
        await reply
    assert time.monotonic() - began < 1
    assert reply.settle("too late") is False


def test_the_deadline_is_raised_by_get_too():
    reply: Reply[None] = Reply(deadline_s=0.02, asked="slow")
    with pytest.raises(DeadlineExceeded):
        reply.get()
    other: Reply[None] = Reply(deadline_s=60, asked="slow")
    with pytest.raises(pykka.Timeout):
        other.get(timeout=0.01)


@pytest.mark.gen_test
async def test_an_answer_before_the_deadline_disarms_it():
    reply: Reply[str] = Reply(deadline_s=0.05, asked="quick")
    asyncio.get_running_loop().call_soon(reply.settle, "there")
    assert await reply == "there"
    await asyncio.sleep(0.08)
    assert await reply == "there"


@pytest.mark.gen_test
async def test_one_who_gives_up_waiting_leaves_the_reply_to_the_others():
    reply: Reply[int] = Reply()

    async def wait() -> int:
        return await reply

    impatient, patient = asyncio.create_task(wait()), asyncio.create_task(wait())
    await asyncio.sleep(0)
    impatient.cancel()
    reply.settle(1)
    assert await patient == 1
    assert impatient.cancelled() or impatient.cancelling()
    with pytest.raises(asyncio.CancelledError):
        await impatient


def test_whoever_settles_does_not_suffer_from_a_loop_that_has_ended():
    reply: Reply[int] = Reply()

    async def wait() -> None:
        await reply

    async def main() -> None:
        asyncio.create_task(wait())  # noqa: RUF006 - it is to be left behind
        await asyncio.sleep(0)

    asyncio.run(main())
    assert reply.settle(1) is True


def test_a_callback_that_fails_is_logged_and_does_not_reach_whoever_settles(expect_log):
    reply: Reply[int] = Reply()
    called = []
    reply.add_done_callback(lambda: 1 / 0)
    reply.add_done_callback(lambda: called.append(reply.get()))
    with expect_log("callback of a reply failed", count=1):
        reply.settle(1)
    assert called == [1]
    reply.add_done_callback(lambda: called.append("at once"))
    assert called == [1, "at once"]


def test_settle_says_whether_it_was_first():
    reply: Reply[int] = Reply()
    assert not reply.settled
    assert reply.settle_exception(NotFound("No.")) is True
    assert reply.settle(1) is False
    assert reply.settled
    assert reply.failed
    with pytest.raises(NotFound):
        reply.get()


def test_of_many_threads_that_settle_exactly_one_is_first():
    for _ in range(50):
        reply: Reply[int] = Reply()
        barrier = threading.Barrier(4)
        firsts: list[bool] = []

        def settle(value: int, reply: Reply[int] = reply, barrier=barrier, firsts=firsts) -> None:
            barrier.wait()
            firsts.append(reply.settle(value))

        threads = [threading.Thread(target=settle, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert firsts.count(True) == 1
