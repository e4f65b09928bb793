"""Messages a second to actors, against a plain ``pykka.ThreadingActor`` in the same run.

A told message counts when it has been handled, an asked one when the answer is there. The budget:
tell to a `LoopActor` at least 5 times, ask from the loop at least 3 times what pykka does; the
figures are medians of rounds that are run in turns.

Called as ``python -m bench.actors [--messages N] [--rounds N]``; exit code 1 when a budget is
missed.

Runs on: a process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pykka

from bench.common import Row, measure_in_turns, median, rate, report
from toru.actors.runtime import (
    ActorContext,
    ActorSystem,
    Address,
    ChildSpec,
    LoopActor,
    Message,
    ThreadActor,
)

TELL_BUDGET = 5.0
ASK_BUDGET = 3.0
ASK_SHARE = 10  # asks are slower: a tenth of the messages is enough


class Count(Message[None], frozen=True):
    """What is sent: the smallest message that there is."""

    number: int


COUNT = Count(1)


class Counter:
    """Counts down and says when it is done; the same code for every flavour."""

    def __init__(self, *context: Any, messages: int, done: threading.Event) -> None:
        super().__init__(*context)
        self._left = messages
        self._done = done

    def on_receive(self, _message: Any) -> None:
        """Count one message."""
        self._left -= 1
        if self._left == 0:
            self._done.set()


class PykkaCounter(Counter, pykka.ThreadingActor):
    """What the others are compared with."""

    use_daemon_thread = True


class LoopCounter(Counter, LoopActor):
    """On the loop."""

    mailbox_limit = sys.maxsize


class ThreadCounter(Counter, ThreadActor):
    """On a thread."""

    mailbox_limit = sys.maxsize


class LoopWaiter(LoopCounter):
    """Also wakes a coroutine when it is done."""

    def __init__(self, context: ActorContext, messages: int, done: asyncio.Event) -> None:
        super().__init__(context, messages=messages, done=done)


def pykka_tell(messages: int) -> float:
    """Tell a pykka actor."""
    done = threading.Event()
    ref = PykkaCounter.start(messages=messages, done=done)
    began = time.perf_counter()
    for _ in range(messages):
        ref.tell(COUNT)
    done.wait()
    took = time.perf_counter() - began
    ref.stop()
    return messages / took


def pykka_ask(messages: int) -> float:
    """Ask a pykka actor, one question after the other."""
    ref = PykkaCounter.start(messages=messages, done=threading.Event())
    began = time.perf_counter()
    for _ in range(messages):
        ref.ask(COUNT)
    took = time.perf_counter() - began
    ref.stop()
    return messages / took


def on_system(run: Callable[[ActorSystem, int], Any]) -> Callable[[int], float]:
    """Give a coroutine function a system and a loop of its own for each round."""

    async def main(messages: int) -> float:
        system = ActorSystem()
        try:
            return messages / await run(system, messages)
        finally:
            await system.stop()

    return lambda messages: asyncio.run(main(messages))


@on_system
async def loop_tell(system: ActorSystem, messages: int) -> float:
    """Tell a loop actor from the loop."""
    done = asyncio.Event()
    address = await system.spawn(ChildSpec("counter", LoopWaiter, (messages, done)))
    began = time.perf_counter()
    for _ in range(messages):
        address.tell(COUNT)
    await done.wait()
    return time.perf_counter() - began


@on_system
async def loop_tell_from_thread(system: ActorSystem, messages: int) -> float:
    """Tell a loop actor from another thread."""
    done = asyncio.Event()
    address = await system.spawn(ChildSpec("counter", LoopWaiter, (messages, done)))

    def send() -> None:
        for _ in range(messages):
            address.tell(COUNT)

    sender = threading.Thread(target=send)
    began = time.perf_counter()
    sender.start()
    await done.wait()
    took = time.perf_counter() - began
    sender.join()
    return took


@on_system
async def loop_ask(system: ActorSystem, messages: int) -> float:
    """Ask a loop actor from the loop, one question after the other."""
    address = await system.spawn(ChildSpec("counter", LoopWaiter, (messages, asyncio.Event())))
    return await _ask_in_turn(address, messages)


@on_system
async def thread_ask(system: ActorSystem, messages: int) -> float:
    """Ask a thread actor from the loop, one question after the other."""
    arguments = {"messages": messages, "done": threading.Event()}
    address = await system.spawn(ChildSpec("counter", ThreadCounter, kwargs=arguments))
    return await _ask_in_turn(address, messages)


@on_system
async def thread_tell(system: ActorSystem, messages: int) -> float:
    """Tell a thread actor from the loop."""
    done = threading.Event()
    arguments = {"messages": messages, "done": done}
    address = await system.spawn(ChildSpec("counter", ThreadCounter, kwargs=arguments))
    began = time.perf_counter()
    for _ in range(messages):
        address.tell(COUNT)
    done.wait()
    return time.perf_counter() - began


async def _ask_in_turn(address: Address, messages: int) -> float:
    began = time.perf_counter()
    for _ in range(messages):
        await address.ask(COUNT)
    return time.perf_counter() - began


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--messages", type=int, default=50_000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    asks = max(1, options.messages // ASK_SHARE)
    figures = measure_in_turns(
        {
            "pykka tell": lambda: pykka_tell(options.messages),
            "loop tell": lambda: loop_tell(options.messages),
            "loop tell from a thread": lambda: loop_tell_from_thread(options.messages),
            "thread tell": lambda: thread_tell(options.messages),
            "pykka ask": lambda: pykka_ask(asks),
            "loop ask": lambda: loop_ask(asks),
            "thread ask": lambda: thread_ask(asks),
        },
        options.rounds,
    )
    return 0 if _print({name: median(rounds) for name, rounds in figures.items()}) else 1


def _print(figures: dict[str, float]) -> bool:
    def row(name: str, base: str, what: str, budget: float | None = None) -> Row:
        return Row(what, rate(figures[name]), figures[name] / figures[base], budget)

    return report(
        "Messages to one actor",
        [
            row("pykka tell", "pykka tell", "tell: pykka ThreadingActor"),
            row("loop tell", "pykka tell", "tell: LoopActor, from the loop", TELL_BUDGET),
            row("loop tell from a thread", "pykka tell", "tell: LoopActor, from a thread"),
            row("thread tell", "pykka tell", "tell: ThreadActor, from the loop"),
            row("pykka ask", "pykka ask", "ask: pykka ThreadingActor"),
            row("loop ask", "pykka ask", "ask: LoopActor, from the loop", ASK_BUDGET),
            row("thread ask", "pykka ask", "ask: ThreadActor, from the loop"),
        ],
    )


if __name__ == "__main__":
    sys.exit(main())
