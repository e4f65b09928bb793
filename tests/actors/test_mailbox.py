"""The mailboxes by themselves: limits, policies, and no asked message without its answer."""

from __future__ import annotations

import asyncio
import queue
import sys
import threading
from collections import deque
from collections.abc import Iterator
from typing import Any

import pykka
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pykka._envelope import Envelope
from pykka.messages import _ActorStop

from toru.actors.runtime import ActorStopped, Overflow, Reply
from toru.actors.runtime.loop_mailbox import Haste, LoopMailbox
from toru.actors.runtime.mailbox import Mailbox, ThreadMailbox
from toru.actors.runtime.statistics import Meter
from toru.errors import MailboxFull, Unavailable

PATIENCE_S = 20.0


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    made = asyncio.new_event_loop()
    yield made
    made.close()


def make(
    kind: str, loop: asyncio.AbstractEventLoop, limit: int, overflow: Overflow = Overflow.REFUSE
) -> Any:
    if kind == "thread":
        return ThreadMailbox("box", limit, overflow, Meter())
    box = LoopMailbox("box", limit, overflow, Meter(), Haste(loop), threading.get_ident())
    box.rest()
    return box


@pytest.fixture(params=["loop", "thread"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def asked(message: object = "asked") -> tuple[Envelope[Any], Reply[Any]]:
    reply: Reply[Any] = Reply()
    return Envelope(message, reply), reply


def outcome(reply: Reply[Any]) -> str:
    try:
        return str(reply.get(timeout=PATIENCE_S))
    except (Unavailable, pykka.ActorDeadError) as error:
        return type(error).__name__


def test_messages_come_out_in_envelopes_as_they_went_in(kind, loop):
    box = make(kind, loop, 10)
    envelope, reply = asked()
    box.tell("told")
    box.put(envelope)
    assert len(box) == 2
    first, second = box.get(), box.get()
    assert (first.message, first.reply_to) == ("told", None)
    assert (second.message, second.reply_to) == ("asked", reply)
    assert box.empty()


def test_a_full_mailbox_raises_for_a_tell_and_answers_an_ask(kind, loop):
    box = make(kind, loop, 1)
    box.tell("fits")
    with pytest.raises(MailboxFull):
        box.tell("does not")
    with pytest.raises(MailboxFull):
        box.put(Envelope("does not"))
    envelope, reply = asked()
    box.put(envelope)
    assert outcome(reply) == "MailboxFull"
    assert len(box) == 1


def test_a_closed_mailbox_raises_for_a_tell_and_answers_an_ask(kind, loop):
    box = make(kind, loop, 5)
    before, waiting = asked()
    stop, stopping = asked(_ActorStop())
    box.put(before)
    box.put(stop)
    box.close()
    box.close()
    assert outcome(waiting) == "ActorStopped"
    assert stopping.get() is None
    with pytest.raises(ActorStopped):
        box.tell("too late")
    with pytest.raises(ActorStopped):
        box.put(Envelope(_ActorStop()))
    late, reply = asked()
    box.put(late)
    assert outcome(reply) == "ActorStopped"


def test_a_stop_that_is_the_oldest_is_kept_when_there_is_no_room(kind, loop):
    box = make(kind, loop, 1, Overflow.DROP_OLDEST)
    box.put(Envelope(_ActorStop()))
    box.stopping = False  # as for a sender that looked a moment before the stop came
    box.tell("newer")
    assert _ActorStop() in [box.get().message for _ in range(len(box))]


def test_a_foreign_future_that_is_answered_already_does_no_harm(kind, loop):
    box = make(kind, loop, 5)
    foreign: pykka.Future[Any] = pykka.ThreadingFuture()
    foreign.set("before")
    box.put(Envelope("asked", foreign))
    box.close()
    assert foreign.get() == "before"


def test_when_the_loop_has_ended_nothing_waits_for_ever(loop):
    box = make("loop", loop, 5)
    loop.close()
    envelope, reply = asked()
    box.put(envelope)
    assert outcome(reply) == "ActorStopped"
    with pytest.raises(ActorStopped):
        box.tell("anyone?")
    assert box.empty()


def test_one_drain_is_scheduled_however_many_messages_come(loop):
    box = make("loop", loop, 100)
    drains: list[int] = []

    def drain() -> None:
        drains.append(len(box))
        while not box.empty():
            box.get()
        box.rest()

    box.drain = drain
    for number in range(10):
        box.tell(number)
    box.nudge()
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    assert drains == [10]


def test_a_mailbox_that_dozes_wakes_for_a_stop(loop):
    box = make("loop", loop, 100)
    drains: list[int] = []
    box.drain = lambda: drains.append(len(box))
    box.tell("waits")
    loop.run_until_complete(asyncio.sleep(0))
    box.doze()
    loop.run_until_complete(asyncio.sleep(0))
    assert drains == [1]
    box.put(Envelope(_ActorStop()))
    loop.run_until_complete(asyncio.sleep(0))
    assert drains == [1, 2]
    box.doze()
    loop.run_until_complete(asyncio.sleep(0))
    assert drains == [1, 2, 2]


class Model:
    """A mailbox written for clarity: what the real ones must do, step by step."""

    def __init__(self, limit: int, overflow: Overflow) -> None:
        self.limit = limit
        self.overflow = overflow
        self.items: deque[int] = deque()
        self.closed = False
        self.dropped = 0
        self.refused = 0

    def add(self, number: int) -> str:
        if self.closed:
            return "ActorStopped"
        if len(self.items) >= self.limit:
            if self.overflow is Overflow.REFUSE:
                self.refused += 1
                return "MailboxFull"
            self.items.popleft()
            self.dropped += 1
        self.items.append(number)
        return "accepted"


STEPS = st.lists(st.sampled_from(["tell", "ask", "get", "close"]), max_size=40)


@given(st.sampled_from(["loop", "thread"]), STEPS, st.integers(1, 5), st.sampled_from(Overflow))
def test_any_sequence_of_steps_does_what_the_model_does(kind, steps, limit, overflow):
    loop = asyncio.new_event_loop()
    try:
        box: Mailbox = make(kind, loop, limit, overflow)
        model = Model(limit, overflow)
        replies: dict[int, Reply[Any]] = {}
        for number, step in enumerate(steps):
            _take_step(step, number, box, model, replies)
        box.close()
        assert all(reply.settled for reply in replies.values())
        assert (box._meter.dropped, box._meter.refused) == (model.dropped, model.refused)
    finally:
        loop.close()


def _take_step(step: str, number: int, box: Any, model: Model, replies: dict[int, Any]) -> None:
    if step == "close":
        box.close()
        model.closed = True
        model.items.clear()
    elif step == "get" and model.items:
        envelope = box.get()
        assert envelope.message == model.items.popleft()
        if envelope.reply_to is not None:
            envelope.reply_to.settle("handled")
    elif step == "tell":
        try:
            box.tell(number)
        except Unavailable as error:
            assert model.add(number) == type(error).__name__
        else:
            assert model.add(number) == "accepted"
    elif step == "ask":
        envelope, replies[number] = asked(number)
        expected = model.add(number)
        box.put(envelope)
        now = outcome(replies[number]) if replies[number].settled else "accepted"
        assert now == expected
    if not model.closed:
        assert len(box) == len(model.items)


def test_what_threads_put_while_the_mailbox_is_closed_is_answered(kind, loop):
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(60):
            _close_amid_threads(make(kind, loop, 100_000))
    finally:
        sys.setswitchinterval(before)


def _close_amid_threads(box: Any) -> None:
    kept: queue.SimpleQueue[Reply[Any]] = queue.SimpleQueue()
    running = threading.Barrier(4)

    def send() -> None:
        running.wait()
        closed_for = 0
        while closed_for < 5:
            closed_for += box.closed
            envelope, reply = asked()
            box.put(envelope)
            kept.put(reply)

    threads = [threading.Thread(target=send) for _ in range(3)]
    for thread in threads:
        thread.start()
    running.wait()
    while kept.qsize() < 20:
        pass
    box.close()
    for thread in threads:
        thread.join()
    assert all(kept.get().settled for _ in range(kept.qsize()))
