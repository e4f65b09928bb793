"""Timers of both flavours: messages to oneself, later, and none after the end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest

from toru.actors.runtime import ActorContext, ActorSystem, Address, ChildSpec, Message

pytestmark = pytest.mark.gen_test

PATIENCE_S = 20.0


class Tick(Message[None], frozen=True):
    number: int


class Do(Message[Any], frozen=True):
    """Carries code for the actor to run: fit for tests, not for a message of Toru's."""

    work: Callable[[Any], Any]


@pytest.fixture
def ticks() -> list[int]:
    return []


@pytest.fixture
def ticker_class(flavour: Any) -> Any:
    class Ticker(flavour):
        mailbox_limit = 2

        def __init__(self, context: ActorContext, ticks: list[int]) -> None:
            super().__init__(context)
            self._ticks = ticks

        def on_receive(self, message: Message[Any]) -> Any:
            if isinstance(message, Do):
                return message.work(self)
            assert isinstance(message, Tick)
            self._ticks.append(message.number)
            return None

    return Ticker


async def spawn(system: ActorSystem, ticker_class: Any, ticks: list[int]) -> Address:
    return await system.spawn(ChildSpec("ticker", ticker_class, (ticks,)))


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.002)


async def test_after_tells_once_and_not_too_early(system, ticker_class, ticks):
    ticker = await spawn(system, ticker_class, ticks)
    began = time.monotonic()
    await ticker.ask(Do(lambda actor: actor.timers.after("a", 0.03, Tick(1))))
    await until(lambda: ticks)
    assert time.monotonic() - began >= 0.029
    await asyncio.sleep(0.05)
    assert ticks == [1]


async def test_every_tells_again_and_again_until_it_is_cancelled(system, ticker_class, ticks):
    ticker = await spawn(system, ticker_class, ticks)
    await ticker.ask(Do(lambda actor: actor.timers.every("e", 0.005, Tick(1))))
    await until(lambda: len(ticks) >= 5)
    await ticker.ask(Do(lambda actor: actor.timers.cancel("e")))
    await ticker.ask(Do(lambda actor: None))
    told = len(ticks)
    await asyncio.sleep(0.03)
    assert len(ticks) <= told + 1  # one may have been in the mailbox


async def test_a_key_replaces_its_older_timer(system, ticker_class, ticks):
    ticker = await spawn(system, ticker_class, ticks)

    def arm(actor: Any) -> None:
        actor.timers.every("key", 0.01, Tick(1))
        actor.timers.after("key", 0.02, Tick(2))
        actor.timers.after("other", 0.04, Tick(3))

    await ticker.ask(Do(arm))
    await until(lambda: 3 in ticks)
    assert ticks == [2, 3]


async def test_no_timer_outlives_its_actor(system, ticker_class, ticks):
    ticker = await spawn(system, ticker_class, ticks)
    actor = await ticker.ask(Do(lambda actor: [actor]))

    def arm(actor: Any) -> None:
        actor.timers.every("e", 0.005, Tick(1))
        actor.timers.after("a", 0.01, Tick(2))

    await ticker.ask(Do(arm))
    await system.root.stop("ticker")
    told = list(ticks)
    actor[0].timers.after("late", 0.0, Tick(9))
    await asyncio.sleep(0.03)
    assert ticks == told


async def test_a_repeating_timer_goes_on_though_a_full_mailbox_refused_ticks(
    system, ticker_class, ticks
):
    ticker = await spawn(system, ticker_class, ticks)
    (actor,) = await ticker.ask(Do(lambda actor: [actor]))

    def arm_and_hold(actor: Any) -> None:
        actor.timers.every("e", 0.001, Tick(1))
        time.sleep(0.05)

    await ticker.ask(Do(arm_and_hold))
    for _ in range(3):
        actor.timers.after("hold", 0.0, Do(lambda actor: time.sleep(0.05)))
        await asyncio.sleep(0.06)
    told = len(ticks)
    await until(lambda: len(ticks) > told + 3)
    actor.timers.cancel("e")
    (figures,) = system.directory.statistics()
    assert figures.refused > 0 or figures.flavour == "loop"  # whose timers wait with its loop


async def test_a_timer_cannot_repeat_without_a_pause(system, ticker_class, ticks):
    ticker = await spawn(system, ticker_class, ticks)

    def arm(actor: Any) -> str:
        with pytest.raises(ValueError, match="cannot repeat every 0 seconds"):
            actor.timers.every("e", 0, Tick(1))
        return "refused"

    assert await ticker.ask(Do(arm)) == "refused"
