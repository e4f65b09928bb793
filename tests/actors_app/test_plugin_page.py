"""Whether a plugin has a page: when it is asked, how often, and what comes of each answer.

Runs on: the test's event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from toru.actors import plugin_page
from toru.actors.messages.plugins import PluginAnswer, PluginRequest
from toru.actors.plugin_page import PluginPage
from toru.errors import BadGateway, DeadlineExceeded, ToruError, Unavailable


class Link:
    """A link whose answers are laid out; what is not laid out never comes."""

    def __init__(self, *answers: int | ToruError) -> None:
        self.answers = list(answers)
        self.asked: list[PluginRequest] = []
        self.open: list[asyncio.Future[PluginAnswer]] = []

    def forward(self, request: PluginRequest) -> asyncio.Future[PluginAnswer]:
        """Answer a request."""
        self.asked.append(request)
        future: asyncio.Future[PluginAnswer] = asyncio.get_running_loop().create_future()
        self.open.append(future)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, ToruError):
            future.set_exception(answer)
        elif answer is not None:
            future.set_result(PluginAnswer(answer, (), b""))
        return future


class Kept:
    """A page with what it was told and has told."""

    def __init__(self, has_file: bool = False) -> None:
        self.told: list[bool] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.page = PluginPage(has_file, self._begin, lambda: self.told.append(self.page.exists))

    def _begin(self, work: Any) -> asyncio.Task[None]:
        self.tasks.append(asyncio.get_running_loop().create_task(work))
        return self.tasks[-1]

    async def ask(self, link: Link) -> Link:
        """Ask, and return when it is settled."""
        self.page.ask(link)  # type: ignore[arg-type]  # as much of a link as is needed
        await asyncio.gather(*self.tasks, return_exceptions=True)
        return link


async def until(condition: Callable[[], Any]) -> None:
    """Wait for a condition."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.001)


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the pauses short."""
    monkeypatch.setattr(plugin_page, "PAUSES_S", (0.0, 0.001, 0.001))


@pytest.mark.gen_test
async def test_one_that_is_busy_is_asked_again_and_the_last_answer_holds() -> None:
    kept = Kept()
    link = await kept.ask(Link(Unavailable("Busy."), DeadlineExceeded("Slow."), 200))
    assert (len(link.asked), kept.page.exists, kept.told) == (3, True, [True])
    assert (link.asked[0].method, link.asked[0].target) == ("GET", "/bundle.js")
    await kept.ask(Link(*[Unavailable("Busy.")] * 5))
    assert (kept.page.exists, kept.told) == (True, [True])
    await kept.ask(Link(404))
    assert (kept.page.exists, kept.told) == (False, [True, False])


@pytest.mark.gen_test
async def test_one_that_fails_over_the_question_is_not_asked_before_it_is_another_one() -> None:
    kept = Kept()
    kept.page.ask(waiting := Link())  # type: ignore[arg-type]
    await until(lambda: waiting.asked)
    kept.page.note_failure()
    assert not (await kept.ask(Link(200))).asked
    kept.page.note_other_binary()
    await kept.ask(Link(BadGateway("It answered nonsense.")))
    assert not (await kept.ask(Link(200))).asked
    kept.page.note_other_binary()
    await kept.ask(Link(200))
    kept.page.note_failure()  # of something else, later
    assert (await kept.ask(Link(200))).asked
    assert kept.told == [True]


@pytest.mark.gen_test
async def test_one_that_is_to_leave_is_not_waited_for_and_did_not_fail() -> None:
    kept = Kept()
    kept.page.ask(waiting := Link())  # type: ignore[arg-type]
    await until(lambda: waiting.asked)
    kept.page.stop_asking()
    await until(waiting.open[0].cancelled)
    kept.page.note_failure()  # that it is gone
    assert (await kept.ask(Link(200))).asked


@pytest.mark.gen_test
async def test_one_with_a_file_is_not_asked_until_the_file_is_gone() -> None:
    kept = Kept(has_file=True)
    link = await kept.ask(Link(200, 404))
    assert (kept.page.exists, link.asked) == (True, [])
    kept.page.note_file(False)
    await asyncio.gather(*kept.tasks)
    assert (len(link.asked), kept.page.exists, kept.told) == (1, True, [False, True])
