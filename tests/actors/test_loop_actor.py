"""The actor on the event loop: what it does that pykka's own does not."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import Any

import pykka
import pytest

from toru.actors.runtime import (
    ActorContext,
    ActorStopped,
    ActorSystem,
    Address,
    ChildSpec,
    LoopActor,
    Message,
    Restart,
)
from toru.errors import ActorCrashed, ActorUnavailable, DeadlineExceeded, MailboxFull, NotFound

pytestmark = pytest.mark.gen_test

PATIENCE_S = 20.0


class Do(Message[Any], frozen=True):
    """Carries code for the actor to run: fit for tests, not for a message of Toru's."""

    work: Callable[[Any], Any]


class Doer(LoopActor):
    """Does what it is told and keeps track of its life in ``log``, which the test shares."""

    def __init__(self, context: ActorContext, log: list[Any] | None = None) -> None:
        super().__init__(context)
        self.log: list[Any] = [] if log is None else log

    def on_start(self) -> Any:
        self.log.append("on_start")

    def on_stop(self) -> Any:
        self.log.append("on_stop")

    def on_failure(self, *exc_info: Any) -> None:
        self.log.append(("on_failure", exc_info[0]))

    def on_receive(self, message: Message[Any]) -> Any:
        assert isinstance(message, Do)
        return message.work(self)


class Small(Doer):
    mailbox_limit = 3


@pytest.fixture
def log() -> list[Any]:
    return []


async def spawn(
    system: ActorSystem,
    log: list[Any],
    factory: type = Doer,
    *,
    name: str = "doer",
    restart: Restart = Restart.TEMPORARY,
) -> Address:
    return await system.spawn(ChildSpec(name, factory, (log,), restart=restart))


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.002)


def raising(error: BaseException) -> Do:
    def work(_actor: Any) -> None:
        raise error

    return Do(work)


def raising_later(error: BaseException) -> Do:
    async def work(_actor: Any) -> None:
        await asyncio.sleep(0)
        raise error

    return Do(work)


async def test_a_coroutine_is_answered_when_it_is_done_and_the_mailbox_goes_on(system, log):
    doer = await spawn(system, log)
    go = asyncio.Event()

    async def slow(_actor: Any) -> str:
        await go.wait()
        return "slow"

    first = doer.ask(Do(slow))
    assert await doer.ask(Do(lambda _actor: "quick")) == "quick"
    assert not first.settled
    go.set()
    assert await first == "slow"


async def test_the_reply_of_another_actor_can_be_passed_on(system, log):
    first = await spawn(system, log, name="first")
    second = await spawn(system, log, name="second")
    forward = Do(lambda _actor: second.ask(Do(lambda _other: "from the second")))
    assert await first.ask(forward) == "from the second"


async def test_the_future_of_an_actor_of_pykka_does_not_block_the_loop(system, log):
    doer = await spawn(system, log)
    foreign: pykka.Future[str] = pykka.ThreadingFuture()
    reply = doer.ask(Do(lambda _actor: foreign))
    await asyncio.sleep(0.01)
    foreign.set("from afar")
    assert await reply == "from afar"


async def test_nothing_is_handled_before_a_coroutine_on_start_is_done(system, log):
    go = asyncio.Event()

    class Slow(Doer):
        async def on_start(self) -> None:
            await go.wait()
            self.log.append("on_start")

    system.root.start(ChildSpec("slow", Slow, (log,)))
    slow = system.address("slow")
    slow.tell(Do(lambda actor: actor.log.append("told")))
    asked = slow.ask(Do(lambda actor: actor.log.append("asked")))
    await asyncio.sleep(0.01)
    assert log == []
    go.set()
    await asked
    assert log == ["on_start", "told", "asked"]


async def test_nothing_is_handled_while_a_coroutine_on_stop_goes_on(system, log):
    class Slow(Doer):
        async def on_stop(self) -> None:
            self.log.append("stopping")
            self.context.system.address("doer").tell(Do(lambda actor: actor.log.append("no")))
            await asyncio.sleep(0.01)
            self.log.append("stopped")

    doer = await spawn(system, log, Slow)
    ref = system.directory.find("doer")
    stops = [ref.stop(block=False), ref.stop(block=False)]
    late = doer.ask(Do(lambda actor: actor.log.append("no")))
    with pytest.raises(ActorStopped):
        await late
    assert [await stop for stop in stops] == [True, True]
    assert log == ["on_start", "stopping", "stopped"]


async def test_the_loop_gets_its_turn_while_a_full_mailbox_is_drained(system, log):
    await spawn(system, log)
    doer = system.address("doer")
    order: list[str] = []
    for _ in range(200):
        doer.tell(Do(lambda _actor: order.append("message")))
    last = doer.ask(Do(lambda _actor: None))
    while not last.settled:
        await asyncio.sleep(0)
        order.append("loop")
    longest = max(map(len, "".join(item[0] for item in order).split("l")))
    assert order.count("message") == 200
    assert longest <= 64


async def test_an_exception_is_a_crash_even_when_it_was_asked(system, log, expect_log):
    doer = await spawn(system, log, restart=Restart.PERMANENT)
    expect_log("Doer doer crashed on Do", count=1)
    with pytest.raises(ActorCrashed, match="doer failed while it handled the message") as caught:
        await doer.ask(raising(ValueError("boom")))
    assert isinstance(caught.value.__cause__, ValueError)
    await until(lambda: log.count("on_start") == 2)
    assert log == ["on_start", ("on_failure", ValueError), "on_start"]
    assert await doer.ask(Do(lambda _actor: "here again")) == "here again"


async def test_an_exception_in_a_coroutine_is_a_crash_too(system, log, expect_log):
    doer = await spawn(system, log, restart=Restart.PERMANENT)
    expect_log("crashed", count=1)
    with pytest.raises(ActorCrashed):
        await doer.ask(raising_later(KeyError("boom")))
    await until(lambda: log.count("on_start") == 2)


@pytest.mark.parametrize("make", [raising, raising_later])
async def test_a_toru_error_is_an_answer_and_the_actor_lives(system, log, make):
    doer = await spawn(system, log)
    with pytest.raises(NotFound, match="No such thing"):
        await doer.ask(make(NotFound("No such thing.")))
    assert await doer.ask(Do(lambda _actor: 1)) == 1
    assert log == ["on_start"]


async def test_a_toru_error_that_nobody_asked_for_is_logged(system, log, expect_log):
    doer = await spawn(system, log)
    expect_log("Do was refused, and nobody had asked: No such thing", count=2)
    doer.tell(raising(NotFound("No such thing.")))
    doer.tell(raising_later(NotFound("No such thing.")))
    await doer.ask(Do(lambda _actor: None))
    await asyncio.sleep(0.01)


@pytest.mark.parametrize("make", [raising, raising_later])
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
async def test_an_exit_stops_only_the_actor_that_raises_it(system, log, make, error):
    doer = await spawn(system, log)
    other = await spawn(system, log, name="other")
    with pytest.raises(ActorStopped):
        await doer.ask(make(error))
    await until(lambda: "doer" not in system.directory.names())
    assert log == ["on_start", "on_start", "on_stop"]
    assert await other.ask(Do(lambda _actor: "alive")) == "alive"


@pytest.mark.parametrize("later", [False, True])
async def test_an_exit_in_on_start_fails_that_start_only(system, log, later):
    class Leaving(Doer):
        def on_start(self) -> Any:
            if later:
                return self._leave()
            raise SystemExit(1)

        async def _leave(self) -> None:
            raise SystemExit(1)

    with pytest.raises(ActorCrashed, match="failed to start"):
        await spawn(system, log, Leaving)
    assert system.directory.names() == []


async def test_a_stop_cancels_what_is_under_way_and_waits_until_it_has_cleaned_up(system, log):
    doer = await spawn(system, log)

    async def wait_for_ever(actor: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.01)
            actor.log.append("cleaned up")

    asked = doer.ask(Do(wait_for_ever))
    await asyncio.sleep(0)
    await system.root.stop("doer")
    assert log == ["on_start", "on_stop", "cleaned up"]
    with pytest.raises(ActorStopped, match="before it had the answer"):
        await asked


async def test_a_coroutine_that_was_cancelled_before_its_first_step_is_closed(system, log):
    doer = await spawn(system, log)

    async def never_begun(actor: Any) -> None:
        actor.log.append("begun")

    asked = doer.ask(Do(never_begun))
    assert await system.directory.find("doer").stop(block=False) is True
    with pytest.raises(ActorStopped):
        await asked
    assert log == ["on_start", "on_stop"]


async def test_work_that_cancels_itself_is_answered_and_no_crash(system, log):
    doer = await spawn(system, log)

    async def give_up(_actor: Any) -> None:
        raise asyncio.CancelledError

    with pytest.raises(ActorUnavailable, match="gave the message up"):
        await doer.ask(Do(give_up))
    assert await doer.ask(Do(lambda _actor: 1)) == 1


@pytest.mark.parametrize("error", [ValueError("boom"), NotFound("Even this.")])
async def test_an_exception_in_background_work_is_a_crash(system, log, expect_log, error):
    doer = await spawn(system, log, restart=Restart.PERMANENT)
    expect_log("crashed on its background work", count=1)

    async def fail() -> None:
        raise error

    await doer.ask(Do(lambda actor: actor.background(fail())))
    await until(lambda: log.count("on_start") == 2)


async def test_background_work_after_the_end_is_not_begun(system, log):
    doer = await spawn(system, log)
    actor = await doer.ask(Do(lambda actor: actor.__repr__.__self__))
    await system.root.stop("doer")

    async def too_late() -> None:
        log.append("too late")

    actor.background(too_late())
    await asyncio.sleep(0)
    assert log == ["on_start", "on_stop"]


async def test_a_crash_while_on_start_is_awaited_ends_the_start(system, log, expect_log):
    class Hasty(Doer):
        async def on_start(self) -> None:
            self.background(self._fail_early())
            try:
                await asyncio.Event().wait()
            finally:
                self.log.append("start cancelled")

        async def _fail_early(self) -> None:
            raise ValueError("boom")

    expect_log("crashed on its background work", count=1)
    with pytest.raises(ActorCrashed, match="failed to start: boom"):
        await spawn(system, log, Hasty)
    await until(lambda: "start cancelled" in log)


async def test_on_stop_is_not_disturbed_by_work_that_fails_beside_it(system, log, expect_log):
    class Slow(Doer):
        async def on_stop(self) -> None:
            await asyncio.sleep(0.02)
            self.log.append("on_stop")

    doer = await spawn(system, log, Slow)
    go = asyncio.Event()

    async def fail(_actor: Any) -> None:
        await go.wait()
        raise ValueError("boom")

    asked = doer.ask(Do(fail))
    await asyncio.sleep(0)
    stop = system.directory.find("doer").stop(block=False)
    asyncio.get_running_loop().call_later(0.005, go.set)
    with expect_log("failed while it was stopping", count=1):
        assert await stop is True
    with pytest.raises(ActorCrashed):
        await asked
    assert log == ["on_start", "on_stop"]


async def test_an_exception_in_a_coroutine_on_stop_is_logged(system, log, expect_log):
    class Broken(Doer):
        async def on_stop(self) -> None:
            await asyncio.sleep(0)
            raise ValueError("boom")

    await spawn(system, log, Broken)
    with expect_log("Broken doer failed in on_stop", count=1):
        assert await system.directory.find("doer").stop(block=False) is True


async def test_a_full_mailbox_refuses_and_counts(system, log):
    doer = await spawn(system, log, Small)
    asked = [doer.ask(Do(lambda _actor: "handled")) for _ in range(5)]
    assert [await reply for reply in asked[:3]] == ["handled"] * 3
    for reply in asked[3:]:
        with pytest.raises(MailboxFull, match="doer has 3 messages waiting"):
            await reply
    for _ in range(3):
        doer.tell(Do(lambda _actor: None))
    with pytest.raises(MailboxFull):
        doer.tell(Do(lambda _actor: None))
    (figures,) = system.directory.statistics()
    assert (figures.refused, figures.peak_depth, figures.mailbox_depth) == (3, 3, 3)


async def test_a_stop_fits_into_a_full_mailbox(system, log):
    doer = await spawn(system, log, Small)
    for _ in range(3):
        doer.tell(Do(lambda actor: actor.log.append("handled")))
    await system.root.stop("doer")
    assert log == ["on_start", "handled", "handled", "handled", "on_stop"]


async def test_no_more_coroutines_are_under_way_than_the_mailbox_may_hold(system, log):
    doer = await spawn(system, log, Small)
    go = asyncio.Event()
    running = 0

    async def slow(_actor: Any) -> int:
        nonlocal running
        running += 1
        await go.wait()
        return running

    first = [doer.ask(Do(slow)) for _ in range(3)]
    await until(lambda: running == 3)
    waiting = [doer.ask(Do(slow)) for _ in range(3)]
    await asyncio.sleep(0.01)
    assert running == 3
    with pytest.raises(MailboxFull):
        await doer.ask(Do(slow))
    go.set()
    assert [await reply for reply in first] == [3, 3, 3]
    assert [await reply for reply in waiting][-1] == 6


async def test_an_actor_with_all_its_coroutines_under_way_can_still_be_stopped(system, log):
    doer = await spawn(system, log, Small)

    async def for_ever(_actor: Any) -> None:
        await asyncio.Event().wait()

    asked = [doer.ask(Do(for_ever)) for _ in range(3)]
    await asyncio.sleep(0.01)
    asked += [doer.ask(Do(for_ever)) for _ in range(3)]
    await asyncio.sleep(0.01)
    began = time.monotonic()
    await system.root.stop("doer")
    assert time.monotonic() - began < 3
    for reply in asked:
        with pytest.raises(ActorStopped):
            await reply


async def test_a_deadline_ends_the_waiting_and_a_late_answer_is_dropped(system, log):
    doer = await spawn(system, log)
    go = asyncio.Event()

    async def slow(actor: Any) -> str:
        await go.wait()
        actor.log.append("answered")
        return "late"

    reply = doer.ask(Do(slow), deadline_s=0.01)
    with pytest.raises(DeadlineExceeded, match="No answer from doer"):
        await reply
    go.set()
    await until(lambda: "answered" in log)
    assert await doer.ask(Do(lambda _actor: 1)) == 1


async def test_a_thousand_actors_cost_no_threads(system, log):
    threads = threading.active_count()
    addresses = [
        system.root.start(ChildSpec(f"doer/{number}", Doer, (log,))) for number in range(1000)
    ]
    replies = [address.ask(Do(lambda actor: actor.context.name)) for address in addresses]
    assert [await reply for reply in replies] == [f"doer/{n}" for n in range(1000)]
    assert threading.active_count() == threads
    await system.stop()
    assert pykka.ActorRegistry.get_all() == []


async def test_messages_of_many_threads_are_all_handled_in_their_order(system, log):
    doer = await spawn(system, log)

    def send(sender: int) -> None:
        for number in range(300):
            while True:
                with contextlib.suppress(MailboxFull):
                    doer.tell(Do(lambda actor, item=(sender, number): actor.log.append(item)))
                    break
                time.sleep(0.001)

    await asyncio.gather(*(asyncio.to_thread(send, sender) for sender in range(4)))
    await doer.ask(Do(lambda _actor: None))
    for sender in range(4):
        assert [item[1] for item in log[1:] if item[0] == sender] == list(range(300))


async def test_an_exit_of_work_that_goes_on_during_on_stop_changes_nothing(system, log):
    class Slow(Doer):
        async def on_stop(self) -> None:
            await asyncio.sleep(0.02)
            self.log.append("on_stop")

    doer = await spawn(system, log, Slow)
    go = asyncio.Event()

    async def leave(_actor: Any) -> None:
        await go.wait()
        raise SystemExit

    asked = doer.ask(Do(leave))
    await asyncio.sleep(0)
    stop = system.directory.find("doer").stop(block=False)
    asyncio.get_running_loop().call_later(0.005, go.set)
    assert await stop is True
    with pytest.raises(ActorStopped):
        await asked
    assert log == ["on_start", "on_stop"]


class Turns:
    """Counts the turns of the loop while it is open."""

    def __init__(self) -> None:
        self.count = 0
        self._loop = asyncio.get_running_loop()
        self._next()

    def _next(self) -> None:
        self.count += 1
        self._handle = self._loop.call_soon(self._next)

    def close(self) -> int:
        self._handle.cancel()
        return self.count


async def test_an_awaited_ask_of_an_idle_actor_is_answered_without_a_turn_of_the_loop(system, log):
    doer = await spawn(system, log)
    await asyncio.sleep(0)
    turns = Turns()
    assert await doer.ask(Do(lambda _actor: "at once")) == "at once"
    assert turns.close() == 1


async def test_messages_before_an_awaited_ask_are_handled_before_it(system, log):
    doer = await spawn(system, log)
    for number in range(10):
        doer.tell(Do(lambda actor, number=number: actor.log.append(number)))
    await doer.ask(Do(lambda actor: actor.log.append("asked")))
    assert log == ["on_start", *range(10), "asked"]


async def test_one_who_asks_without_end_lets_the_loop_have_its_turns(system, log):
    doer = await spawn(system, log)
    turns = Turns()
    for _ in range(160):
        await doer.ask(Do(lambda _actor: None))
    assert turns.close() >= 160 / 17


async def test_all_actors_of_a_system_share_the_asks_that_spare_the_loop_its_turn(system, log):
    doers = [await spawn(system, log, name=f"doer/{number}") for number in range(160)]
    turns = Turns()
    for doer in doers:
        await doer.ask(Do(lambda _actor: None))
    assert turns.close() >= 160 / 17


async def test_an_awaited_ask_does_not_run_the_actor_before_or_after_its_life(system, log):
    go = asyncio.Event()

    class Slow(Doer):
        async def on_start(self) -> None:
            await go.wait()

        async def on_stop(self) -> None:
            await asyncio.sleep(0.01)
            self.log.append("on_stop")

    system.root.start(ChildSpec("slow", Slow, (log,)))
    slow = system.address("slow")
    with pytest.raises(DeadlineExceeded):
        await slow.ask(Do(lambda actor: actor.log.append("too early")), deadline_s=0.01)
    assert log == []
    go.set()
    await until(lambda: log == ["too early"])
    stop = system.directory.find("slow").stop(block=False)
    with pytest.raises(ActorStopped):
        await slow.ask(Do(lambda actor: actor.log.append("too late")))
    assert await stop is True
    assert log == ["too early", "on_stop"]


async def test_a_future_that_on_receive_returns_answers_the_asker_without_a_task(
    system: ActorSystem,
) -> None:
    doer = await system.spawn(ChildSpec("doer", Doer))
    loop = asyncio.get_running_loop()
    right, wrong, left = loop.create_future(), loop.create_future(), loop.create_future()
    before = len(asyncio.all_tasks())
    replies = [doer.ask(Do(lambda _, future=future: future)) for future in (right, wrong, left)]
    assert await doer.ask(Do(lambda _: 1)) == 1
    assert len(asyncio.all_tasks()) == before
    right.set_result("well")
    assert await replies[0] == "well"
    wrong.set_exception(NotFound("There is none."))
    with pytest.raises(NotFound):
        await replies[1]
    left.cancel()
    with pytest.raises(ActorUnavailable):
        await replies[2]


async def test_a_future_that_is_open_when_the_actor_stops_is_cancelled(system: ActorSystem) -> None:
    doer = await system.spawn(ChildSpec("doer", Doer))
    future = asyncio.get_running_loop().create_future()
    reply = doer.ask(Do(lambda _: future))
    assert await doer.ask(Do(lambda _: 1)) == 1
    await system.stop()
    assert future.cancelled()
    with pytest.raises(ActorStopped):
        await reply
