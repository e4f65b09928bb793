"""Runs: starting, looking, cancelling and removing one, and the history of all.

Runs on: the event loop.

A handler awaits one ask, with two exceptions that would else hold much in memory: the raw output,
and a history of more than one page. They ask again for each piece that they send.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import AsyncIterator
from typing import Annotated, ClassVar, Literal

import msgspec

from toru.actors.messages.storage import RunNames, RunState
from toru.actors.messages.tasks import (
    CancelTask,
    DeleteTask,
    GetTask,
    ListTaskNames,
    ListTasks,
    Output,
    ReadOutput,
    StartTask,
    TaskStarted,
)
from toru.clock import format_time, parse_time
from toru.domain.permissions import Access
from toru.domain.run_view import RunView, view_of
from toru.errors import BadRequest
from toru.web.base import ApiHandler, Body, Query, Route, Success
from toru.web.openapi import operation
from toru.web.streaming import send_pieces

PAGE_RUNS = 100
RAW_PIECE_BYTES = 256 * 1024
MAX_TEXT_BYTES = 1024 * 1024
_LONGEST_CHARACTER = 4
_RFC_3339 = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)

_Text = Annotated[str, msgspec.Meta(max_length=255)]
_RunId = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
_Time = Annotated[str, msgspec.Meta(max_length=64, extra_json_schema={"format": "date-time"})]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=2**62)]


class HistoryQuery(Query, frozen=True):
    """Which runs.

    Attributes:
        limit: at most so many.
        before: the id of a run; only older ones.
        script: only of the script of this name.
        state: only in this state.
        user: only of the user of this name.
        q: only where the script's name or the output contains this text.
        output: 0 leaves the outputs empty.
        after: only what was asked for at this time or later, RFC 3339.
        until: only what was asked for before this time, RFC 3339.
    """

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    before: _RunId | None = None
    script: _Text | None = None
    state: RunState | None = None
    user: _Text | None = None
    q: _Text | None = None
    output: Literal[0, 1] = 1
    after: _Time | None = None
    until: _Time | None = None


class OutputQuery(Query, frozen=True):
    """Which stretch of the output.

    Attributes:
        offset: the first byte.
        limit: at most so many bytes; ``text`` gives 256 KiB without it, and 1 MiB at most.
        format: ``text`` in JSON, or the ``raw`` bytes up to what there is now.
    """

    offset: _Offset = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=2**62)] | None = None
    format: Literal["text", "raw"] = "text"


class NewTask(Body, frozen=True):
    """A script to run, and its arguments by parameter name."""

    script: str
    args: dict[str, str] = msgspec.field(default_factory=dict)


class Cancelled(msgspec.Struct, frozen=True):
    """The run is asked to end; ``state`` is what it is now."""

    state: RunState
    success: bool = True


class OutputText(msgspec.Struct, frozen=True):
    """A stretch of output as text; what is not UTF-8 is replaced.

    Attributes:
        data: the text.
        offset: the byte where it begins.
        next_offset: the byte where the next stretch begins.
        size: bytes that the script has written so far.
        complete: the run has ended and there is nothing after this stretch.
    """

    data: str
    offset: int
    next_offset: int
    size: int
    complete: bool


class HistoryHandler(ApiHandler):
    """``/api/history``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    @operation(
        summary="List runs, the newest first; a client sees its own.",
        query=HistoryQuery,
        answer=list[RunView],
    )
    async def get(self) -> None:
        """Answer with one page, or send several after each other."""
        query = self.query(HistoryQuery)
        first = await self._page(query, query.limit, query.before)
        if query.limit <= PAGE_RUNS or len(first) < PAGE_RUNS:
            self.answer(first)
            return
        self.set_header("Content-Type", "application/json; charset=utf-8")
        await send_pieces(self, self._pages(query, first))

    async def _page(self, query: HistoryQuery, limit: int, before: str | None) -> list[RunView]:
        message = ListTasks(
            self.session,
            limit=min(limit, PAGE_RUNS),
            before=before,
            state=query.state,
            script=query.script,
            username=query.user,
            query=query.q or None,
            with_output=bool(query.output),
            after=_moment("after", query.after),
            until=_moment("until", query.until),
        )
        return [view_of(run) for run in await self.services.tasks.ask(message)]

    async def _pages(self, query: HistoryQuery, page: list[RunView]) -> AsyncIterator[bytes]:
        left = query.limit
        start = b"["
        while page:
            yield start + msgspec.json.encode(page)[1:-1]
            start = b","
            left -= len(page)
            if left <= 0 or len(page) < PAGE_RUNS:
                break
            page = await self._page(query, left, page[-1].id)
        yield b"]"


class HistoryNamesHandler(ApiHandler):
    """``/api/history/names``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    @operation(
        summary="List the scripts and users in the history; a client sees those of its own runs.",
        answer=RunNames,
    )
    async def get(self) -> None:
        """Answer with the names, each once and sorted."""
        self.answer(await self.services.tasks.ask(ListTaskNames(self.session)))


class TasksHandler(ApiHandler):
    """``/api/tasks``."""

    roles: ClassVar[dict[str, Access]] = {"POST": "any"}

    @operation(
        summary="Run a script; a client may run those that a quick action names.",
        body=NewTask,
        answer=TaskStarted,
        errors=(403, 404),
    )
    async def post(self) -> None:
        """Answer with the run's id once its row is durable."""
        new = self.body(NewTask)
        self.answer(await self.services.tasks.ask(StartTask(new.script, self.session, new.args)))


class TaskHandler(ApiHandler):
    """``/api/tasks/{task_id}``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any", "DELETE": "any"}

    @operation(summary="Show a run.", answer=RunView, errors=(404,))
    async def get(self, task_id: str) -> None:
        """Answer with the run as it is now."""
        self.answer(view_of(await self.services.tasks.ask(GetTask(task_id, self.session))))

    @operation(summary="Remove a run that has ended, with its output.", errors=(404, 409))
    async def delete(self, task_id: str) -> None:
        """Answer once it is gone."""
        await self.services.tasks.ask(DeleteTask(task_id, self.session))
        self.answer(Success())


class CancelHandler(ApiHandler):
    """``/api/tasks/{task_id}/cancel``."""

    roles: ClassVar[dict[str, Access]] = {"POST": "any"}

    @operation(summary="End a run.", answer=Cancelled, errors=(404, 409))
    async def post(self, task_id: str) -> None:
        """Answer once the end is under way; SIGKILL follows where SIGTERM does not do."""
        self.answer(Cancelled(await self.services.tasks.ask(CancelTask(task_id, self.session))))


class OutputHandler(ApiHandler):
    """``/api/tasks/{task_id}/output``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    @operation(
        summary="Give a run's output from an offset: text in JSON, or with format=raw its bytes.",
        query=OutputQuery,
        answer=OutputText,
        errors=(404,),
    )
    async def get(self, task_id: str) -> None:
        """Answer with a stretch, or stream all that there is."""
        query = self.query(OutputQuery)
        if query.format == "text":
            limit = min(max(query.limit or RAW_PIECE_BYTES, _LONGEST_CHARACTER), MAX_TEXT_BYTES)
            self.answer(as_text(await self._read(task_id, query.offset, limit)))
            return
        piece = min(query.limit or RAW_PIECE_BYTES, RAW_PIECE_BYTES)
        first = await self._read(task_id, query.offset, piece)
        self.set_header("Content-Type", "application/octet-stream")
        self.set_header("Content-Disposition", f'attachment; filename="{_file_name(task_id)}"')
        if self.request.method != "HEAD":
            await send_pieces(self, self._raw(task_id, first, query.limit))

    async def _read(self, task_id: str, offset: int, limit: int) -> Output:
        return await self.services.tasks.ask(ReadOutput(task_id, self.session, offset, limit))

    async def _raw(self, task_id: str, stretch: Output, limit: int | None) -> AsyncIterator[bytes]:
        """Yield the bytes up to the size of now: a script that goes on does not hold it open."""
        end = stretch.size if limit is None else min(stretch.size, stretch.offset + limit)
        while stretch.data:
            yield stretch.data
            left = end - stretch.next_offset
            if left <= 0:
                break
            piece = min(left, RAW_PIECE_BYTES)
            stretch = await self._read(task_id, stretch.next_offset, piece)


def as_text(stretch: Output) -> OutputText:
    """Return a stretch as text; a character that its end cuts is left for the next stretch."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(stretch.data, final=stretch.complete)
    cut = len(decoder.getstate()[0])
    return OutputText(
        text, stretch.offset, stretch.next_offset - cut, stretch.size, stretch.complete
    )


def _moment(name: str, text: str | None) -> str | None:
    """Return a time of the query as the database has it.

    Raises:
        BadRequest: it is no time with a zone.
    """
    if text is None:
        return None
    try:
        if _RFC_3339.fullmatch(text):
            return format_time(parse_time(text.upper()))
    except (ValueError, OverflowError, OSError):
        pass  # such as the 30th of February
    raise BadRequest(
        f"The query's field '{name}' must be a time with its zone, such as 2026-11-22T14:01:30Z."
    )


def _file_name(task_id: str) -> str:
    kept = "".join(char for char in task_id if char.isascii() and (char.isalnum() or char == "-"))
    return f"{kept}.log"


ROUTES = [
    Route("/api/history", HistoryHandler),
    Route("/api/history/names", HistoryNamesHandler),
    Route("/api/tasks", TasksHandler),
    Route("/api/tasks/{task_id}", TaskHandler),
    Route("/api/tasks/{task_id}/cancel", CancelHandler),
    Route("/api/tasks/{task_id}/output", OutputHandler),
]
