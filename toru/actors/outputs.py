"""Outputs as they are read at leisure: anywhere in them, with times, and searched.

Runs on: `Outputs` on the hub's event loop, `OutputFiles` on a thread of its own each.

A live viewer is served by its `Task`, from bytes that were written a moment ago. What is read here
may be years old and on no page of memory, so it is read on threads: one for stretches, which a
person waits for while scrolling, and one for searches, which may be behind each other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

from toru import clock
from toru.actors.messages.auth import Session
from toru.actors.messages.outputs import (
    Matches,
    Pieces,
    ReadOutputPieces,
    ReadPieces,
    Search,
    SearchOutput,
)
from toru.actors.messages.storage import Run
from toru.actors.messages.tasks import GetTask
from toru.actors.output_scan import search
from toru.actors.runtime import (
    ActorContext,
    ActorSystem,
    Address,
    ChildSpec,
    LoopActor,
    Message,
    ThreadActor,
)
from toru.errors import Unavailable
from toru.runner.store_format import STDOUT
from toru.runner.store_reader import Gap, OutputReader, Piece, Slice

OUTPUTS = "outputs"
_READER, _SEARCHER = "output_reader", "output_searcher"

SEARCH_S = 0.2
"""How long one search may take; then it tells where to go on."""

_OPEN = ("queued", "running")


class Outputs(LoopActor):
    """Finds the run, which says who may see it, and lets a thread read its output.

    Args:
        runs_dir: where the folders of the runs are.
        tasks: the task manager.
        reader: the thread for stretches.
        searcher: the thread for searches.
    """

    mailbox_limit = 2_000

    def __init__(
        self,
        context: ActorContext,
        runs_dir: Path,
        tasks: Address,
        reader: Address,
        searcher: Address,
    ) -> None:
        super().__init__(context)
        self._runs_dir = runs_dir
        self._tasks = tasks
        self._reader = reader
        self._searcher = searcher

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message."""
        match message:
            case ReadOutputPieces():
                return self._read(message)
            case SearchOutput():
                return self._search(message)
            case _:
                return super().on_receive(message)

    async def _read(self, message: ReadOutputPieces) -> Pieces:
        run = await self._find(message.task_id, message.session)
        return await self._reader.ask(
            ReadPieces(
                directory=self._runs_dir / run.id,
                offset=message.offset,
                limit_bytes=message.limit_bytes,
                ended=run.state not in _OPEN,
                recorded_size=run.output_size,
                recorded_tail=run.output,
            )
        )

    async def _search(self, message: SearchOutput) -> Matches:
        run = await self._find(message.task_id, message.session)
        return await self._searcher.ask(Search(self._runs_dir / run.id, message.sought))

    async def _find(self, task_id: str, session: Session) -> Run:
        return await self._tasks.ask(GetTask(task_id, session))


class OutputFiles(ThreadActor):
    """Reads what is asked for, one question after the other; keeps nothing open in between.

    The mailbox holds 100 questions and refuses more.
    """

    mailbox_limit: ClassVar[int] = 100

    def on_receive(self, message: Message[Any]) -> Any:
        """Answer one question."""
        try:
            match message:
                case ReadPieces():
                    return _read(message)
                case Search():
                    return _search(message)
        except OSError as error:
            raise Unavailable(f"The output cannot be read: {error.strerror}.") from error
        return super().on_receive(message)


def output_specs(system: ActorSystem, runs_dir: Path) -> tuple[ChildSpec, ...]:
    """Return the specs of the threads and, after them, of the actor that is asked."""
    at = system.address
    return (
        ChildSpec(_READER, OutputFiles),
        ChildSpec(_SEARCHER, OutputFiles),
        ChildSpec(OUTPUTS, Outputs, (runs_dir, at("task_manager"), at(_READER), at(_SEARCHER))),
    )


def _read(message: ReadPieces) -> Pieces:
    try:
        with OutputReader(message.directory) as reader:
            found = reader.read_records(message.offset, message.limit_bytes)
    except FileNotFoundError:  # removed, or never written
        found = _from_row(message)
    is_end = message.ended and found.next_offset >= found.size
    return Pieces(
        offset=message.offset,
        next_offset=found.next_offset,
        size=found.size,
        complete=is_end,
        pieces=tuple(map(_mark, found.pieces)),
        data=b"".join(piece.data for piece in found.pieces if isinstance(piece, Piece)),
    )


def _search(message: Search) -> Matches:
    try:
        with OutputReader(message.directory) as reader:
            return search(reader, message.sought, clock.monotonic() + SEARCH_S)
    except FileNotFoundError:
        return Matches((), None, 0)


def _from_row(message: ReadPieces) -> Slice:
    """Return what is left of an output whose files are gone: a gap, and the end as text."""
    tail = message.recorded_tail.encode()
    size = max(message.recorded_size, len(tail))
    start = size - len(tail)
    pieces: list[Piece | Gap] = []
    if message.offset < start:
        pieces.append(Gap(0, start))
    if message.offset < size and tail:
        begin = max(message.offset, start)
        pieces.append(Piece(STDOUT, begin, tail[begin - start :], 0.0))
    return Slice(tuple(pieces), size, size)


def _mark(piece: Piece | Gap) -> tuple[int, int, int]:
    if isinstance(piece, Gap):
        return piece.start, 0, 0
    return piece.start, piece.stream, round(piece.time * 1000)
