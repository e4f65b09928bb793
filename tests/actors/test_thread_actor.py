"""The actor on a thread: batches, exits, and an end that loses no asked message."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pykka
import pytest

from toru.actors.runtime import (
    ActorContext,
    ActorStopped,
    ActorSystem,
    ChildSpec,
    Delivery,
    Message,
    Overflow,
    Reply,
    Restart,
    ThreadActor,
    WouldBlockLoop,
)
from toru.errors import ActorCrashed, MailboxFull, NotFound, Unavailable

PATIENCE_S = 20.0


class Do(Message[Any], frozen=True):
    """Carries code for the actor to run: fit for tests, not for a message of Toru's."""

    work: Callable[[Any], Any]


class Doer(ThreadActor):
    """Does what it is told and keeps track of its life in ``log``, which the test shares."""

    def __init__(self, context: ActorContext, log: list[Any]) -> None:
        super().__init__(context)
        self.log = log

    def on_start(self) -> None:
        self.log.append("on_start")

    def on_stop(self) -> None:
        self.log.append("on_stop")

    def on_receive(self, message: Message[Any]) -> Any:
        assert isinstance(message, Do)
        return message.work(self)


class Batcher(Doer):
    """Answers all messages of a batch with its size."""

    batch_limit = 4

    def on_batch(self, deliveries: list[Delivery]) -> None:
        self.log.append(len(deliveries))
        for delivery in deliveries:
            if delivery.message.work(self) == "refuse":
                delivery.fail(NotFound("No such thing."))
            else:
                delivery.reply(len(deliveries))


class Gate:
    """Lets a test hold the actor's thread in the middle of a message."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self.go = threading.Event()

    def __call__(self, _actor: Any) -> None:
        self.entered.set()
        assert self.go.wait(PATIENCE_S)


@pytest.fixture
def log() -> list[Any]:
    return []


@pytest.fixture
def hasty_threads() -> Iterator[None]:
    """Have the interpreter change threads far more often than it does by itself."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


def raising(error: BaseException) -> Do:
    def work(_actor: Any) -> None:
        raise error

    return Do(work)


def idle(_actor: Any) -> None:
    return None


async def hold(system: ActorSystem, log: list[Any], factory: type, **policy: Any) -> Any:
    """Start an actor and hold it; return its address and the gate."""
    policy.setdefault("restart", Restart.TEMPORARY)
    doer = await system.spawn(ChildSpec("doer", factory, (log,), **policy))
    gate = Gate()
    doer.tell(Do(gate))
    assert await asyncio.to_thread(gate.entered.wait, PATIENCE_S)
    return doer, gate


@pytest.mark.gen_test
async def test_it_runs_on_a_thread_with_its_name(system, log):
    doer = await system.spawn(ChildSpec("doer", Doer, (log,)))
    assert await doer.ask(Do(lambda _actor: threading.current_thread().name)) == "doer"
    assert await doer.ask(Do(lambda _actor: threading.get_ident())) != threading.get_ident()


@pytest.mark.gen_test
async def test_the_messages_that_wait_come_as_batches_up_to_the_limit(system, log):
    doer, gate = await hold(system, log, Batcher)
    replies = [doer.ask(Do(idle)) for _ in range(6)]
    gate.go.set()
    assert [await reply for reply in replies] == [4, 4, 4, 4, 2, 2]
    assert log == ["on_start", 1, 4, 2]


@pytest.mark.gen_test
async def test_one_delivery_of_a_batch_can_fail_alone(system, log):
    doer, gate = await hold(system, log, Batcher)
    good, bad = doer.ask(Do(idle)), doer.ask(Do(lambda _actor: "refuse"))
    gate.go.set()
    assert await good == 2
    with pytest.raises(NotFound):
        await bad


@pytest.mark.gen_test
async def test_a_stop_comes_after_the_batch_before_it(system, log):
    doer, gate = await hold(system, log, Batcher)
    before = [doer.ask(Do(idle)) for _ in range(2)]
    stop = system.directory.find("doer").stop(block=False)
    after = doer.ask(Do(idle))
    gate.go.set()
    assert [await reply for reply in before] == [2, 2]
    assert await stop is True
    with pytest.raises(ActorStopped):
        await after
    assert log == ["on_start", 1, 2, "on_stop"]


@pytest.mark.gen_test
async def test_a_crash_answers_the_whole_batch(system, log, expect_log):
    doer, gate = await hold(system, log, Batcher)
    replies = [doer.ask(Do(idle)), doer.ask(raising(ValueError("boom"))), doer.ask(Do(idle))]
    left = [doer.ask(Do(idle)) for _ in range(3)]
    expect_log("Batcher doer crashed on Do", count=1)
    gate.go.set()
    assert await replies[0] == 4
    for reply in [*replies[1:], left[0]]:
        with pytest.raises(ActorCrashed):
            await reply
    for reply in left[1:]:
        with pytest.raises(ActorStopped):
            await reply


@pytest.mark.gen_test
@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
async def test_an_exit_stops_only_the_actor_that_raises_it(system, log, error):
    doer = await system.spawn(ChildSpec("doer", Doer, (log,), restart=Restart.TRANSIENT))
    other = await system.spawn(ChildSpec("other", Doer, ([],)))
    with pytest.raises(ActorStopped):
        await doer.ask(raising(error))
    await _gone(system, "doer")
    assert log == ["on_start", "on_stop"]
    assert await other.ask(Do(lambda _actor: "alive")) == "alive"


@pytest.mark.gen_test
async def test_an_exception_is_a_crash_even_when_it_was_asked(system, log, expect_log):
    doer = await system.spawn(ChildSpec("doer", Doer, (log,)))
    expect_log("Doer doer crashed on Do", count=1)
    with pytest.raises(ActorCrashed):
        await doer.ask(raising(ValueError("boom")))
    async with asyncio.timeout(PATIENCE_S):
        while log.count("on_start") < 2:
            await asyncio.sleep(0.002)
    assert await doer.ask(Do(lambda _actor: "here again")) == "here again"
    assert "on_stop" not in log


@pytest.mark.gen_test
async def test_a_toru_error_is_an_answer_and_logged_when_nobody_asked(system, log, expect_log):
    doer = await system.spawn(ChildSpec("doer", Doer, (log,)))
    with pytest.raises(NotFound):
        await doer.ask(raising(NotFound("No such thing.")))
    with expect_log("Do was refused, and nobody had asked: No such thing", count=1):
        doer.tell(raising(NotFound("No such thing.")))
        assert await doer.ask(Do(lambda _actor: 1)) == 1


@pytest.mark.gen_test
async def test_a_full_mailbox_that_drops_the_oldest_tells_who_asked(system, log):
    class Log(Doer):
        mailbox_limit = 3
        overflow = Overflow.DROP_OLDEST

    doer, gate = await hold(system, log, Log)
    replies = [doer.ask(Do(lambda _actor, n=n: n)) for n in range(5)]
    for reply in replies[:2]:
        with pytest.raises(MailboxFull, match="doer dropped the message for newer ones"):
            await reply
    gate.go.set()
    assert [await reply for reply in replies[2:]] == [2, 3, 4]
    (figures,) = system.directory.statistics()
    assert (figures.dropped, figures.refused, figures.peak_depth) == (2, 0, 3)


@pytest.mark.gen_test
async def test_a_flood_does_not_drop_the_stop(system, log):
    class Log(Doer):
        mailbox_limit = 3
        overflow = Overflow.DROP_OLDEST

    doer, gate = await hold(system, log, Log)
    stop = system.directory.find("doer").stop(block=False)
    replies = [doer.ask(Do(idle)) for _ in range(10)]
    gate.go.set()
    assert await stop is True
    for reply in replies:
        with pytest.raises(ActorStopped):
            await reply
    assert log == ["on_start", "on_stop"]


@pytest.mark.gen_test
async def test_one_that_does_not_stop_in_time_is_abandoned_and_cleans_up_late(
    system, log, expect_log
):
    doer, gate = await hold(system, log, Doer, shutdown_s=0.05)
    left = doer.ask(Do(idle))
    with expect_log(r"doer did not stop in 0\.05 seconds", count=1):
        await system.root.stop("doer")
    assert pykka.ActorRegistry.get_all() == []
    assert system.directory.names() == []
    with pytest.raises(ActorStopped):
        await left
    with pytest.raises(ActorStopped):
        await doer.ask(Do(idle))
    (thread,) = [thread for thread in threading.enumerate() if thread.name == "doer"]
    gate.go.set()
    await asyncio.to_thread(thread.join, PATIENCE_S)
    assert log == ["on_start", "on_stop"]


@pytest.mark.gen_test
async def test_get_in_a_hook_waits_for_an_actor_on_the_loop_and_refuses_on_it(system, log):
    doer = await system.spawn(ChildSpec("doer", Doer, (log,)))
    other = await system.spawn(ChildSpec("other", Doer, ([],)))
    ask = Do(lambda _actor: other.ask(Do(lambda _other: "from the other")).get(timeout=PATIENCE_S))
    assert await doer.ask(ask) == "from the other"
    with pytest.raises(WouldBlockLoop):
        doer.ask(Do(idle)).get()


@pytest.mark.parametrize("end", ["stop", "crash", "exit"])
def test_no_message_that_is_asked_while_the_actor_ends_goes_without_an_answer(
    our_stage, end, expect_log, hasty_threads
):
    class Busy:
        def on_receive(self, message: Any) -> Any:
            if message == "end" and end == "crash":
                raise ValueError("boom")
            if message == "end" and end == "exit":
                raise SystemExit
            return message

    expect_log("crashed", optional=True)
    for _ in range(100):
        ref = our_stage.start(Busy)
        asked: list[list[Reply[Any]]] = [[] for _ in range(3)]
        threads = [threading.Thread(target=_flood, args=(ref, kept)) for kept in asked]
        for thread in threads:
            thread.start()
        _end(ref, end)
        for thread in threads:
            thread.join(PATIENCE_S)
        outcomes = [_outcome(reply) for kept in asked for reply in kept]
        assert set(outcomes) <= {"hello", "refused"}
        assert outcomes.count("refused") >= 3


def test_a_sender_is_not_told_that_a_message_was_refused_which_has_ended_the_actor(
    our_stage, hasty_threads
):
    class Mortal:
        def on_receive(self, message: Any) -> Any:
            raise SystemExit

    for _ in range(200):
        ref = our_stage.start(Mortal)
        ref.tell("end")  # raises ActorDeadError if it takes the end for its own refusal
        assert ref.actor_stopped.wait(PATIENCE_S)


def _flood(ref: pykka.ActorRef[Any], kept: list[Reply[Any]]) -> None:
    while ref.is_alive():
        kept.extend(ref.ask("hello", block=False) for _ in range(10))
        _outcome(kept[-1])
    kept.append(ref.ask("hello", block=False))


def _end(ref: pykka.ActorRef[Any], end: str) -> None:
    while True:
        try:
            if end == "stop":
                ref.stop(block=False)
            else:
                ref.tell("end")
        except MailboxFull:
            continue
        return


def _outcome(reply: Reply[Any]) -> str:
    try:
        return str(reply.get(timeout=PATIENCE_S))
    except (Unavailable, pykka.ActorDeadError):
        return "refused"


async def _gone(system: ActorSystem, name: str) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while name in system.directory.names():
            await asyncio.sleep(0.002)
