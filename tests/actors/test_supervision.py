"""Names, replacement after a crash, budgets, order of start and stop, and nothing left over."""

from __future__ import annotations

import asyncio
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
    Children,
    ChildSpec,
    LoopActor,
    Message,
    Restart,
    Supervisor,
    ThreadActor,
)
from toru.domain.restart_budget import RestartBudget
from toru.errors import ActorCrashed, ActorUnavailable

pytestmark = pytest.mark.gen_test

PATIENCE_S = 20.0
QUICK = RestartBudget(limit=3, window_s=60, first_delay_s=0.005, max_delay_s=0.01)


class Do(Message[Any], frozen=True):
    """Carries code for the actor to run: fit for tests, not for a message of Toru's."""

    work: Callable[[Any], Any]


class Life:
    """Keeps track of lives in ``log``, which the test shares."""

    def __init__(self, context: ActorContext, log: list[str]) -> None:
        super().__init__(context)  # type: ignore[call-arg]  # a mixin before an actor
        self.log = log

    def on_start(self) -> Any:
        self.log.append(f"+{self.context.name}")  # type: ignore[attr-defined]

    def on_stop(self) -> Any:
        self.log.append(f"-{self.context.name}")  # type: ignore[attr-defined]

    def on_receive(self, message: Do) -> Any:
        return message.work(self)


@pytest.fixture
def log() -> list[str]:
    return []


@pytest.fixture
def doer(flavour: Any) -> Any:
    """Return a class of actor, of each flavour in turn."""
    return type("Doer", (Life, flavour), {})


class LoopDoer(Life, LoopActor):
    pass


def boom(_actor: Any) -> None:
    raise ValueError("boom")


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.002)


def state(system: ActorSystem, name: str) -> str | None:
    return {one.name: one.state for one in system.directory.statistics()}.get(name)


async def test_an_address_stays_right_when_the_actor_is_replaced(system, log, doer, expect_log):
    address = await system.spawn(ChildSpec("doer", doer, (log,), budget=QUICK))
    first = await address.ask(Do(lambda actor: actor.actor_urn))
    expect_log("crashed", count=1)
    with pytest.raises(ActorCrashed):
        await address.ask(Do(boom))
    await until(lambda: state(system, "doer") == "running" and len(log) == 2)
    assert await address.ask(Do(lambda actor: actor.actor_urn)) != first
    (figures,) = system.directory.statistics()
    assert (figures.restarts, figures.last_error) == (1, "ValueError: boom")
    assert figures.handled == 3


async def test_between_the_crash_and_the_replacement_the_name_is_unavailable(
    system, log, doer, expect_log
):
    slow = RestartBudget(first_delay_s=0.2)
    address = await system.spawn(ChildSpec("doer", doer, (log,), budget=slow))
    expect_log("crashed", count=1)
    with pytest.raises(ActorCrashed):
        await address.ask(Do(boom))
    with pytest.raises(ActorUnavailable, match="doer"):
        await address.ask(Do(lambda actor: None))
    with pytest.raises(ActorStopped):
        address.tell(Do(lambda actor: None))
    await until(lambda: state(system, "doer") == "backoff")
    await until(lambda: state(system, "doer") == "running")
    assert await address.ask(Do(lambda actor: 1)) == 1


async def test_a_name_that_is_free_again_can_be_taken_by_another(system, log, doer):
    address = await system.spawn(ChildSpec("doer", doer, (log,)))
    with pytest.raises(ValueError, match="named 'doer' already"):
        system.root.start(ChildSpec("doer", doer, (log,)))
    assert await address.ask(Do(lambda actor: "first")) == "first"
    await system.root.stop("doer")
    with pytest.raises(ActorUnavailable):
        await address.ask(Do(lambda actor: None))
    await system.spawn(ChildSpec("doer", LoopDoer, (log,)))
    assert await address.ask(Do(lambda actor: "second")) == "second"


async def test_an_address_may_be_there_before_its_actor(system, log, doer):
    address = system.address("later")
    with pytest.raises(ActorUnavailable, match="later is not running"):
        await address.ask(Do(lambda actor: None))
    await system.spawn(ChildSpec("later", doer, (log,)))
    assert await address.ask(Do(lambda actor: 1)) == 1


@pytest.mark.parametrize(
    ("restart", "crash", "replaced"),
    [
        (Restart.PERMANENT, True, True),
        (Restart.PERMANENT, False, True),
        (Restart.TRANSIENT, True, True),
        (Restart.TRANSIENT, False, False),
        (Restart.TEMPORARY, True, False),
        (Restart.TEMPORARY, False, False),
    ],
)
async def test_restart_says_which_end_is_followed_by_a_new_life(
    system, log, doer, expect_log, restart, crash, replaced
):
    address = await system.spawn(ChildSpec("doer", doer, (log,), restart=restart, budget=QUICK))
    expect_log("crashed", count=int(crash))
    address.tell(Do(boom if crash else lambda actor: actor.stop()))
    if replaced:
        await until(lambda: log.count("+doer") == 2)
    else:
        await until(lambda: system.directory.names() == [])
        await asyncio.sleep(0.03)
        assert log.count("+doer") == 1


async def test_on_end_hears_of_the_end_for_good_and_of_no_other(system, log, expect_log):
    ended: list[tuple[str, str]] = []
    children = Children(system, "", lambda name, error: ended.append((name, str(error))))
    expect_log("crashed", count=2)
    await children.start_and_wait(ChildSpec("temp", LoopDoer, (log,), restart=Restart.TEMPORARY))
    await children.start_and_wait(ChildSpec("trans", LoopDoer, (log,), restart=Restart.TRANSIENT))
    await children.start_and_wait(ChildSpec("exits", LoopDoer, (log,), restart=Restart.TRANSIENT))
    await children.start_and_wait(ChildSpec("stopped", LoopDoer, (log,)))
    system.address("temp").tell(Do(boom))
    system.address("trans").tell(Do(boom))
    await until(lambda: log.count("+trans") == 2)
    system.address("trans").tell(Do(lambda actor: actor.stop()))

    def leave(_actor: Any) -> None:
        raise SystemExit

    system.address("exits").tell(Do(leave))
    await until(lambda: len(ended) == 3)
    await children.stop_all()
    assert sorted(ended) == [("exits", "None"), ("temp", "boom"), ("trans", "None")]


async def test_an_on_end_that_fails_is_logged_and_ends_nothing(system, log, expect_log):
    def fail(_name: str, _error: BaseException | None) -> None:
        raise SystemExit

    children = Children(system, "", fail)
    await children.start_and_wait(ChildSpec("doer", LoopDoer, (log,), restart=Restart.TEMPORARY))
    with expect_log("failed to take note of the end of doer", count=1):
        assert await system.directory.find("doer").stop(block=False)
        await until(lambda: len(children) == 0)


async def test_a_spent_budget_gives_the_actor_up_and_says_so(io_loop, log, doer, expect_log):
    given_up: list[tuple[str, str]] = []
    system = ActorSystem(lambda name, error: given_up.append((name, str(error))))
    address = await system.spawn(ChildSpec("doer", doer, (log,), budget=QUICK))
    expect_log("crashed on Do", count=4)
    expect_log("doer: crashed 4 times in 60 seconds; given up", count=1)
    for life in range(1, 5):
        await until(lambda life=life: log.count("+doer") == life)
        address.tell(Do(boom))
    await until(lambda: given_up)
    assert given_up == [("doer", "boom")]
    assert state(system, "doer") == "failed"
    with pytest.raises(ActorUnavailable):
        await address.ask(Do(lambda actor: None))
    await system.stop()
    assert system.directory.names() == []


async def test_a_start_that_fails_at_first_is_told_to_who_waits_for_it(
    io_loop, log, flavour, expect_log
):
    heard: list[str] = []
    system = ActorSystem(lambda name, error: heard.append(name))

    class Broken(Life, flavour):
        def on_start(self) -> Any:
            raise ValueError("no start")

    expect_log("Broken broken failed to start", count=3)
    for restart in Restart:
        with pytest.raises(ActorCrashed, match="broken failed to start: no start"):
            await system.spawn(ChildSpec("broken", Broken, (log,), restart=restart))
        assert system.directory.names() == []
    await asyncio.sleep(0.05)
    assert heard == []
    assert pykka.ActorRegistry.get_all() == []


async def test_a_start_that_nobody_waits_for_is_tried_again(system, log, flavour, expect_log):
    class Broken(Life, flavour):
        def on_start(self) -> Any:
            super().on_start()
            if len(self.log) < 3:
                raise ValueError("not yet")

    expect_log("failed to start", count=2)
    system.root.start(ChildSpec("broken", Broken, (log,), budget=QUICK))
    await until(lambda: state(system, "broken") == "running")
    assert log == ["+broken"] * 3


async def test_who_gives_up_waiting_for_a_start_leaves_nothing_behind(system, log, expect_log):
    class Slow(LoopDoer):
        async def on_start(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                self.log.append("cancelled")

    spec = ChildSpec("slow", Slow, (log,), shutdown_s=0.05)
    waiting = asyncio.create_task(system.spawn(spec))
    await asyncio.sleep(0.01)
    waiting.cancel()
    expect_log(r"slow did not stop in 0\.05 seconds", count=1)
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await until(lambda: log == ["cancelled"])
    assert pykka.ActorRegistry.get_all() == []


async def test_a_factory_that_fails_at_first_fails_the_start(system, log):
    def factory(_context: ActorContext) -> LoopActor:
        raise OSError("no such file")

    with pytest.raises(OSError, match="no such file"):
        system.root.start(ChildSpec("doer", factory))
    assert system.directory.names() == []
    assert len(system.families) == 0


@pytest.mark.parametrize("error", [OSError("no such file"), SystemExit(1)])
async def test_a_factory_that_fails_on_a_restart_is_tried_again(
    system, log, doer, expect_log, error
):
    lives = 0

    def factory(context: ActorContext, log: list[str]) -> Any:
        nonlocal lives
        lives += 1
        if lives in (2, 3):
            raise error
        return doer(context, log)

    address = await system.spawn(
        ChildSpec("doer", factory, (log,), budget=QUICK, restart=Restart.PERMANENT)
    )
    expect_log("crashed", count=1)
    expect_log("doer could not be made again", count=2)
    address.tell(Do(boom))
    await until(lambda: log.count("+doer") == 2)
    assert lives == 4


async def test_a_stop_during_the_backoff_ends_it(system, log, doer, expect_log):
    slow = RestartBudget(first_delay_s=0.1)
    address = await system.spawn(ChildSpec("doer", doer, (log,), budget=slow))
    expect_log("crashed", count=1)
    address.tell(Do(boom))
    await until(lambda: state(system, "doer") == "backoff")
    await asyncio.gather(system.root.stop("doer"), system.root.stop("doer"))
    assert system.directory.names() == []
    await asyncio.sleep(0.15)
    assert log == ["+doer"]


async def test_a_stop_right_after_the_crash_is_not_followed_by_a_new_life(
    system, log, doer, expect_log
):
    address = await system.spawn(ChildSpec("doer", doer, (log,), budget=QUICK))
    expect_log("crashed", count=1)
    with pytest.raises(ActorCrashed):
        await address.ask(Do(boom))
    await system.root.stop("doer")
    assert system.directory.names() == []
    await asyncio.sleep(0.03)
    assert log == ["+doer"]


async def test_a_stop_during_on_start_waits_for_it(system, log):
    go = asyncio.Event()

    class Slow(LoopDoer):
        async def on_start(self) -> None:
            await go.wait()
            self.log.append("+slow")

    system.root.start(ChildSpec("slow", Slow, (log,)))
    stopping = asyncio.create_task(system.root.stop("slow"))
    await asyncio.sleep(0.01)
    go.set()
    await stopping
    assert log == ["+slow", "-slow"]


async def test_one_that_hangs_in_on_start_or_on_stop_is_cancelled_in_the_end(
    system, log, expect_log
):
    class Hanging(LoopDoer):
        async def on_start(self) -> None:
            if self.context.name == "in start":
                await self._hang()

        async def on_stop(self) -> None:
            await self._hang()

        async def _hang(self) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                self.log.append(f"{self.context.name} cancelled")

    for name in ("in start", "in stop"):
        system.root.start(ChildSpec(name, Hanging, (log,), shutdown_s=0.03))
    late = system.address("in start").ask(Do(lambda actor: None))
    await asyncio.sleep(0.01)
    with expect_log(r"did not stop in 0\.03 seconds", count=2):
        await system.stop()
    with pytest.raises(ActorStopped):
        await late
    assert log == ["in stop cancelled", "in start cancelled"]
    assert pykka.ActorRegistry.get_all() == []


async def test_children_start_in_order_and_stop_in_reverse(system, log, doer):
    specs = tuple(ChildSpec(name, doer, (log,)) for name in ("a", "b", "c"))
    await system.spawn(ChildSpec("top", Supervisor, (specs,)))
    assert [one.parent for one in system.directory.statistics()] == ["", "top", "top", "top"]
    await system.stop()
    assert log == ["+a", "+b", "+c", "-c", "-b", "-a"]


async def test_a_supervisor_whose_child_cannot_start_takes_the_others_down_again(
    system, log, expect_log
):
    class Broken(LoopDoer):
        def on_start(self) -> None:
            raise ValueError("no start")

    specs = (ChildSpec("a", LoopDoer, (log,)), ChildSpec("b", Broken, (log,)))
    expect_log("failed to start", count=2)
    with pytest.raises(ActorCrashed, match="top failed to start: b failed to start: no start"):
        await system.spawn(ChildSpec("top", Supervisor, (specs,)))
    assert log == ["+a", "-a"]
    assert pykka.ActorRegistry.get_all() == []


async def test_a_supervisor_fails_in_its_turn_when_a_budget_is_spent(system, log, expect_log):
    once = RestartBudget(limit=1, first_delay_s=0.005)
    specs = (ChildSpec("a", LoopDoer, (log,)), ChildSpec("b", LoopDoer, (log,), budget=once))
    await system.spawn(ChildSpec("top", Supervisor, (specs,), budget=QUICK))
    expect_log("Doer b crashed", count=2)
    expect_log("b: crashed 2 times", count=1)
    expect_log("Supervisor top crashed on its background work", count=1)
    system.address("b").tell(Do(boom))
    await until(lambda: log.count("+b") == 2)
    system.address("b").tell(Do(boom))
    await until(lambda: log.count("+b") == 3)
    assert log == ["+a", "+b", "+b", "-a", "+a", "+b"]


async def test_a_supervisor_outlives_temporary_children_and_those_that_exit(
    system, log, expect_log
):
    specs = (
        ChildSpec("a", LoopDoer, (log,), restart=Restart.TEMPORARY),
        ChildSpec("b", LoopDoer, (log,), restart=Restart.TRANSIENT),
    )
    await system.spawn(ChildSpec("top", Supervisor, (specs,)))
    expect_log("Doer a crashed", count=1)

    def leave(_actor: Any) -> None:
        raise SystemExit

    system.address("a").tell(Do(boom))
    system.address("b").tell(Do(leave))
    await until(lambda: system.directory.names() == ["top"])
    assert state(system, "top") == "running"


class Parent(LoopDoer):
    """Starts children when it is told, and forgets to stop them."""

    def __init__(self, context: ActorContext, log: list[str]) -> None:
        super().__init__(context, log)
        self.children = Children(context.system, context.name)

    def on_start(self) -> None:
        super().on_start()
        for number in range(3):
            self.children.start(ChildSpec(f"child/{number}", LoopDoer, (self.log,)))


async def test_children_of_a_crashed_parent_end_before_it_is_replaced(system, log, expect_log):
    parent = await system.spawn(ChildSpec("parent", Parent, (log,), budget=QUICK))
    before = await parent.ask(Do(lambda actor: [actor.children]))
    expect_log("crashed", count=1)
    parent.tell(Do(boom))
    await until(lambda: log.count("+child/2") == 2)
    family = ["+parent", "+child/0", "+child/1", "+child/2"]
    assert [*log[:4], *sorted(log[4:7]), *log[7:]] == [
        *family,
        *("-child/0", "-child/1", "-child/2"),
        *family,
    ]
    with pytest.raises(ActorUnavailable):
        before[0].start(ChildSpec("late", LoopDoer, (log,)))


async def test_children_that_a_stopped_parent_forgot_end_with_it(system, log):
    await system.spawn(ChildSpec("parent", Parent, (log,)))
    await until(lambda: "+child/2" in log)
    await system.root.stop("parent")
    assert system.directory.names() == []
    assert log[4] == "-parent"
    assert sorted(log[5:]) == ["-child/0", "-child/1", "-child/2"]
    assert len(system.families) == 0


async def test_children_that_another_holds_for_a_parent_outlive_its_crash(system, log, expect_log):
    parent = await system.spawn(ChildSpec("parent", LoopDoer, (log,), budget=QUICK))
    held = Children(system, "parent", outlive_parent=True)
    child = held.start(ChildSpec("child", LoopDoer, (log,)))
    first = await child.ask(Do(lambda actor: actor.actor_urn))
    expect_log("crashed", count=1)
    parent.tell(Do(boom))
    await until(lambda: log.count("+parent") == 2)
    assert await child.ask(Do(lambda actor: actor.actor_urn)) == first
    held.start(ChildSpec("later", LoopDoer, (log,)))
    await held.stop_all()
    assert log[-2:] == ["-later", "-child"]


async def test_many_children_of_a_crashed_parent_end_side_by_side(system, log, expect_log):
    class Slow(LoopDoer):
        async def on_stop(self) -> None:
            await asyncio.sleep(0.1)
            super().on_stop()

    class Many(Parent):
        def on_start(self) -> None:
            self.log.append("+many")
            for number in range(50):
                self.children.start(ChildSpec(f"slow/{number}", Slow, (self.log,)))

    many = await system.spawn(ChildSpec("many", Many, (log,), budget=QUICK))
    await until(lambda: "+slow/49" in log)
    expect_log("crashed", count=1)
    began = time.monotonic()
    many.tell(Do(boom))
    await until(lambda: log.count("+slow/49") == 2)
    assert time.monotonic() - began < 50 * 0.1
    await asyncio.gather(*(system.root.stop("many") for _ in range(2)))


async def test_children_of_an_abandoned_parent_are_abandoned_with_it(system, log, expect_log):
    class Hanging(Parent):
        async def on_stop(self) -> None:
            await asyncio.Event().wait()

    await system.spawn(ChildSpec("parent", Hanging, (log,), shutdown_s=0.02))
    await until(lambda: "+child/2" in log)
    with expect_log("parent did not stop", count=1):
        await system.stop()
    assert system.directory.names() == []
    assert pykka.ActorRegistry.get_all() == []


async def test_a_stopped_system_leaves_no_actor_and_can_be_stopped_again(system, log, flavour):
    for number in range(20):
        factory = LoopDoer if number % 2 else type("Doer", (Life, ThreadActor), {})
        await system.spawn(ChildSpec(f"doer/{number}", factory, (log,)))
    await system.stop()
    await system.stop()
    assert pykka.ActorRegistry.get_all() == []
    assert len(log) == 40
    with pytest.raises(ActorUnavailable):
        await system.address("doer/0").ask(Do(lambda actor: None))


async def test_twenty_that_stop_and_start_a_name_at_once_agree(system, log):
    async def cycle() -> None:
        await system.root.stop("doer")
        if "doer" not in system.root:
            system.root.start(ChildSpec("doer", LoopDoer, (log,)))

    await asyncio.gather(*(cycle() for _ in range(20)))
    assert system.root.names() == ["doer"]
    await system.root.stop("doer")
    assert log.count("+doer") == log.count("-doer")


async def test_statistics_show_what_an_actor_does(system, log, doer):
    address = await system.spawn(ChildSpec("doer", doer, (log,)))
    for _ in range(10):
        await address.ask(Do(lambda actor: time.sleep(0.001)))
    await until(lambda: system.directory.statistics()[0].handled == 10)
    (figures,) = system.directory.statistics()
    assert (figures.name, figures.actor, figures.parent, figures.state) == (
        "doer",
        "Doer",
        "",
        "running",
    )
    assert figures.flavour in {"loop", "thread"}
    assert (figures.mailbox_depth, figures.mailbox_limit, figures.peak_depth) == (0, 1000, 1)
    assert 0.009 < figures.busy_s < 5
    assert figures.last_error is None


async def test_a_recent_peak_lasts_a_window_and_the_highest_for_ever(system, log, doer):
    address = await system.spawn(ChildSpec("doer", doer, (log,)))

    def peaks() -> tuple[int, int]:
        (figures,) = system.directory.statistics()
        return figures.recent_peak, figures.peak_depth

    for reply in [address.ask(Do(lambda actor: time.sleep(0.01))) for _ in range(9)]:
        await reply
    recent, highest = peaks()
    assert recent == highest > 1
    system.directory.begin_window()
    assert peaks() == (0, highest)
    await address.ask(Do(lambda actor: None))
    assert peaks() == (1, highest)


def test_messages_to_the_actors_of_a_loop_that_has_ended_are_refused_at_once(log):
    async def main() -> tuple[ActorSystem, Any, pykka.ActorRef[Any]]:
        system = ActorSystem()
        address = await system.spawn(ChildSpec("doer", LoopDoer, (log,)))
        return system, address, system.directory.find("doer")

    system, address, ref = asyncio.run(main())
    with pytest.raises(ActorUnavailable):
        address.ask(Do(lambda actor: None)).get(timeout=PATIENCE_S)
    with pytest.raises(ActorUnavailable):
        address.tell(Do(lambda actor: None))
    replies: list[Any] = []
    elsewhere = threading.Thread(target=lambda: replies.append(address.ask(Do(lambda actor: None))))
    elsewhere.start()
    elsewhere.join(PATIENCE_S)
    assert replies[0].failed
    for child in list(system.root._children.values()):
        system.root._abandon(child)
    assert not ref.is_alive()


async def test_an_actor_whose_thread_cannot_be_started_leaves_nothing_behind(system, log):
    before = threading.stack_size(1 << 45)  # more than there is address space for
    try:
        with pytest.raises((RuntimeError, MemoryError)):
            system.root.start(ChildSpec("doer", type("Doer", (Life, ThreadActor), {}), (log,)))
    finally:
        threading.stack_size(before)
    assert system.directory.names() == []
    assert pykka.ActorRegistry.get_all() == []


async def test_a_supervisor_may_leave_the_decision_to_another(system, log, expect_log):
    decided: list[str] = []
    once = RestartBudget(limit=0)
    specs = (ChildSpec("a", LoopDoer, (log,), budget=once),)
    await system.spawn(
        ChildSpec("top", Supervisor, (specs, lambda name, error: decided.append(f"{name} {error}")))
    )
    expect_log("Doer a crashed", count=1)
    expect_log("a: crashed 1 times", count=1)
    system.address("a").tell(Do(boom))
    await until(lambda: decided == ["a boom"])
    assert state(system, "top") == "running"


async def test_names_that_nobody_bears_are_not_found(system):
    with pytest.raises(ActorStopped, match="nobody is not running"):
        system.directory.find("nobody")


async def test_a_name_that_is_left_over_after_the_stop_is_logged_as_a_bug(io_loop, expect_log):
    system = ActorSystem()
    system.directory.add("left", "")
    with expect_log("left is left over after the stop", count=1):
        await system.stop()


async def test_an_actor_that_is_abandoned_just_as_it_begins_to_stop_answers_who_waits(system, log):
    class Slow(LoopDoer):
        async def on_stop(self) -> None:
            self.log.append("begun")

    await system.spawn(ChildSpec("slow", Slow, (log,)))
    stop = system.directory.find("slow").stop(block=False)
    # After the drain has made the coroutine of on_stop, and before that has made a step.
    asyncio.get_running_loop().call_soon(system.root.abandon_all)
    assert await stop is True
    assert log == ["+slow"]
    assert pykka.ActorRegistry.get_all() == []
