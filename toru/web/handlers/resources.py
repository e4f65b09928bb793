"""The machine's figures: now, over time, and process by process.

Runs on: the event loop.
"""

from __future__ import annotations

import time
from typing import Annotated, ClassVar, Literal

import msgspec

from toru.actors.messages.monitor import GetHistory, GetResources, History, Resources
from toru.actors.messages.processes import GetProcesses, ProcessList, ProcessOrder
from toru.clock import parse_time
from toru.domain.machine_history import RANGES_S
from toru.domain.permissions import Access
from toru.errors import BadRequest
from toru.web.base import ApiHandler, Query, Route
from toru.web.openapi import operation

DEFAULT_RANGE = "1h"

_Time = Annotated[str, msgspec.Meta(max_length=40)]


class ResourceHistoryQuery(Query, frozen=True):
    """Which time; ``range`` is up to now, and an hour when nothing is said.

    Attributes:
        range: a time up to now.
        start: when it begins, RFC 3339; instead of ``range``.
        end: when it ends, RFC 3339; now when it is left out.
        step: how long the steps are, in seconds; as many as give 600 points at most without it.
    """

    range: Literal["5m", "1h", "6h", "24h", "7d", "30d"] | None = None
    start: _Time | None = msgspec.field(default=None, name="from")
    end: _Time | None = msgspec.field(default=None, name="to")
    step: Annotated[int, msgspec.Meta(ge=1, le=86_400)] | None = None


class ProcessesQuery(Query, frozen=True):
    """Which processes: those that use most of the processor, or of the memory."""

    sort: ProcessOrder = "cpu"
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 15


class ResourcesHandler(ApiHandler):
    """``/api/resources``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    @operation(
        summary="Say how busy the machine is; sizes are bytes, shares per cent.", answer=Resources
    )
    async def get(self) -> None:
        """Answer with a sample that is about a second old at most."""
        self.answer(await self.services.monitor.ask(GetResources()))


class ResourceHistoryHandler(ApiHandler):
    """``/api/resources/history``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    @operation(
        summary="Give the machine's history as columns: a range up to now, or a time.",
        query=ResourceHistoryQuery,
        answer=History,
    )
    async def get(self) -> None:
        """Answer with averages and peaks of each step, and null where nothing was measured."""
        wanted = _wanted(self.query(ResourceHistoryQuery))
        self.answer(await self.services.machine_history.ask(wanted))


class ProcessesHandler(ApiHandler):
    """``/api/resources/processes``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin"}

    @operation(
        summary="List the processes that use the most; cpu_percent is a share of one core.",
        query=ProcessesQuery,
        answer=ProcessList,
    )
    async def get(self) -> None:
        """Answer with a look that is about a second old at most."""
        query = self.query(ProcessesQuery)
        message = GetProcesses(query.sort, query.limit)
        self.answer(await self.services.processes.ask(message))


def _wanted(query: ResourceHistoryQuery) -> GetHistory:
    if query.start is None:
        if query.end is not None:
            raise BadRequest("The query has 'to' without 'from'.")
        length_s = RANGES_S[query.range or DEFAULT_RANGE]
        return GetHistory(time.time() - length_s, None, query.step)
    if query.range is not None:
        raise BadRequest("The query has both 'range' and 'from'; one of them is enough.")
    end = None if query.end is None else _seconds("to", query.end)
    return GetHistory(_seconds("from", query.start), end, query.step)


def _seconds(name: str, text: str) -> float:
    try:
        return parse_time(text)
    except (ValueError, OverflowError):
        raise BadRequest(f"The query's {name!r} is no time such as 2026-11-22T14:01:30Z.") from None


ROUTES = [
    Route("/api/resources", ResourcesHandler),
    Route("/api/resources/history", ResourceHistoryHandler),
    Route("/api/resources/processes", ProcessesHandler),
]
