"""What those who read outputs at leisure ask: a stretch with its times, or where a text is.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from toru.actors.messages.auth import Session
from toru.actors.runtime import Message


class Pieces(msgspec.Struct, frozen=True):
    """A stretch of output and what is known of its parts.

    Attributes:
        offset: the byte that was asked for.
        next_offset: the byte where the next stretch begins.
        size: bytes that the script has written so far.
        complete: the run has ended and there is nothing after this stretch.
        pieces: ``(start, stream, time)`` each, without a hole from the first to ``next_offset``:
            stream 1 is stdout, 2 stderr, 0 a gap; time in milliseconds since the epoch, 0 when
            unknown. A gap at the beginning may start before ``offset``.
        data: the bytes of all pieces but the gaps.
    """

    offset: int
    next_offset: int
    size: int
    complete: bool
    pieces: tuple[tuple[int, int, int], ...]
    data: bytes


class ReadOutputPieces(Message[Pieces], frozen=True):
    """A stretch of a run's output from ``offset`` on. NotFound."""

    task_id: str
    session: Session
    offset: int
    limit_bytes: int


class Sought(msgspec.Struct, frozen=True):
    """What is looked for, and where.

    Attributes:
        text: as people see it, without escape sequences.
        match_case: whether capitals and small letters differ.
        start: matches begin at this byte or after it; backward, before it. None is the one end or
            the other.
        backward: from ``start`` to the beginning.
        limit: at most so many matches.
    """

    text: str
    match_case: bool = False
    start: int | None = None
    backward: bool = False
    limit: int = 100


class Match(msgspec.Struct, frozen=True):
    """A place where the text is.

    Attributes:
        offset: its first byte.
        length: its bytes, with the escape sequences in it.
        before: the line's text before it, at most the last part.
        text: the match as it is seen.
        after: the line's text after it, at most the first part.
    """

    offset: int
    length: int
    before: str
    text: str
    after: str


class Matches(msgspec.Struct, frozen=True):
    """What was found so far.

    Attributes:
        matches: in the order in which they were met.
        next_offset: where to go on; None when the end has been reached.
        size: bytes that the script has written so far.
    """

    matches: tuple[Match, ...]
    next_offset: int | None
    size: int


class SearchOutput(Message[Matches], frozen=True):
    """Look for a text in a run's output, for a part of a second at most. NotFound."""

    task_id: str
    session: Session
    sought: Sought


# Between the facade and its threads


class ReadPieces(Message[Pieces], frozen=True):
    """A stretch from a run's folder.

    Attributes:
        directory: the folder.
        offset: the first byte.
        limit_bytes: about so many bytes at most.
        ended: whether the run has ended.
        recorded_size: how much it wrote, as its row says.
        recorded_tail: the end of it, as its row keeps it: for when the files are gone.
    """

    directory: Path
    offset: int
    limit_bytes: int
    ended: bool
    recorded_size: int
    recorded_tail: str


class Search(Message[Matches], frozen=True):
    """Look for a text in a run's folder."""

    directory: Path
    sought: Sought
