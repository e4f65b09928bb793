"""Outputs for those who look at any part of them: stretches with streams and times, and searches.

Runs on: the event loop.
"""

from __future__ import annotations

import struct
from typing import Annotated, ClassVar, Literal

import msgspec

from toru.actors.messages.outputs import Matches, ReadOutputPieces, SearchOutput, Sought
from toru.domain.output_search import MAX_CHARACTERS
from toru.domain.permissions import Access
from toru.web.base import ApiHandler, Query, Route
from toru.web.openapi import operation

PIECES_BYTES = 64 * 1024
MAX_PIECES_BYTES = 1024 * 1024

_Offset = Annotated[int, msgspec.Meta(ge=0, le=2**62)]
_LENGTH = struct.Struct(">I")


class PiecesQuery(Query, frozen=True):
    """Which stretch.

    Attributes:
        offset: the first byte.
        limit: at most so many bytes; there may be fewer before the end.
    """

    offset: _Offset = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_PIECES_BYTES)] = PIECES_BYTES


class PiecesHead(msgspec.Struct, frozen=True):
    """What stands before the bytes; `toru.actors.messages.outputs.Pieces` says what it means."""

    offset: int
    next_offset: int
    size: int
    complete: bool
    pieces: tuple[tuple[int, int, int], ...]


class SearchQuery(Query, frozen=True):
    """What to look for, and where.

    Attributes:
        q: plain text, as it is seen: colours do not matter.
        start: matches begin at this byte or after it; backward, before it.
        direction: from the beginning on, or from the end back.
        limit: at most so many matches.
        case: 1 tells capitals and small letters apart.
    """

    q: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_CHARACTERS)]
    start: _Offset | None = msgspec.field(name="from", default=None)
    direction: Literal["forward", "backward"] = "forward"
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    case: Literal[0, 1] = 0


class OutputPiecesHandler(ApiHandler):
    """``/api/tasks/{task_id}/output/pieces``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    @operation(
        summary="Give a stretch of a run's output with the stream and the time of its parts: four "
        "bytes (big-endian) with the length of a JSON object, that object, then the bytes.",
        query=PiecesQuery,
        answer=bytes,
        errors=(404,),
    )
    async def get(self, task_id: str) -> None:
        """Answer with what is there now."""
        query = self.query(PiecesQuery)
        found = await self.services.outputs.ask(
            ReadOutputPieces(task_id, self.session, query.offset, query.limit)
        )
        head = msgspec.json.encode(
            PiecesHead(found.offset, found.next_offset, found.size, found.complete, found.pieces)
        )
        self.set_header("Content-Type", "application/octet-stream")
        self.finish(b"".join((_LENGTH.pack(len(head)), head, found.data)))


class OutputSearchHandler(ApiHandler):
    """``/api/tasks/{task_id}/output/search``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    @operation(
        summary="Find a text in a run's output. It takes a fraction of a second at most: where "
        "next_offset is not null, ask again from there.",
        query=SearchQuery,
        answer=Matches,
        errors=(404,),
    )
    async def get(self, task_id: str) -> None:
        """Answer with what was found in the time there is."""
        query = self.query(SearchQuery)
        sought = Sought(
            text=query.q,
            match_case=bool(query.case),
            start=query.start,
            backward=query.direction == "backward",
            limit=query.limit,
        )
        self.answer(await self.services.outputs.ask(SearchOutput(task_id, self.session, sought)))


ROUTES = [
    Route("/api/tasks/{task_id}/output/pieces", OutputPiecesHandler),
    Route("/api/tasks/{task_id}/output/search", OutputSearchHandler),
]
