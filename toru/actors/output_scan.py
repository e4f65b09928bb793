"""Looks for a text in an output on disk, block after block, in either direction.

Runs on: the thread of whoever searches; it blocks on files only.

What cannot be finished in time tells where to go on, so that a search of any length is many short
ones. A block is read with a little of the next one, which takes care of matches that lie on both.
"""

from __future__ import annotations

from toru import clock
from toru.actors.messages.outputs import Match, Matches, Sought
from toru.domain.output_search import LONGEST_ESCAPE, Needle, Visible, as_line
from toru.runner.store_reader import Gap, OutputReader, Piece

BLOCK_BYTES = 256 * 1024
"""So much is looked through without a look at the clock: below a millisecond."""

_BEFORE_BYTES = 120
_AFTER_BYTES = 240
_ESCAPES_IN_A_MATCH_BYTES = 256


def search(
    reader: OutputReader, sought: Sought, give_up_at: float, block_bytes: int = BLOCK_BYTES
) -> Matches:
    """Return the matches from ``sought.start`` on, up to its limit.

    Args:
        reader: the output.
        sought: what to look for, and where.
        give_up_at: the time of ``clock.monotonic`` after which no further block is begun.
        block_bytes: how much to look through at a time.
    """
    scan = _Scan(reader, sought, block_bytes)
    step = scan.step_back if sought.backward else scan.step
    step()
    while not (scan.done or scan.full) and clock.monotonic() < give_up_at:
        step()
    return Matches(tuple(scan.matches), None if scan.done else scan.position, scan.size)


class _Scan:
    """One search: ``position`` is where it goes on."""

    def __init__(self, reader: OutputReader, sought: Sought, block_bytes: int) -> None:
        self._reader = reader
        self._needle = Needle(sought.text, match_case=sought.match_case)
        self._overlap = self._needle.longest + _ESCAPES_IN_A_MATCH_BYTES
        self._block_bytes = block_bytes
        self._limit = sought.limit
        self._backward = sought.backward
        self.size = reader.size
        start = self.size if sought.backward else 0
        self.position = min(start if sought.start is None else sought.start, self.size)
        self.matches: list[Match] = []

    @property
    def full(self) -> bool:
        return len(self.matches) >= self._limit

    @property
    def done(self) -> bool:
        return self.position <= 0 if self._backward else self.position >= self.size

    def step(self) -> None:
        """Look through the block at ``position``."""
        part = self._reader.read_plain(self.position, self._block_bytes + self._overlap)
        if part.next_offset <= self.position:
            self.position = self.size
            return
        start, data = _first_stretch(part.pieces)
        if start > self.position or not data:  # a gap comes first
            self.position = part.pieces[0].end
            return
        seen = Visible(data)
        is_last = start + len(data) < part.next_offset or part.next_offset >= self.size
        keep = len(data) if is_last else max(1, seen.border(len(data) - self._overlap))
        for first, end in self._needle.forward(seen.plain):
            begin, after = seen.offset(first), seen.offset(end - 1) + 1
            if begin >= keep:
                break
            self._add(start, data, begin, after)
            keep = max(keep, after)
            if self.full:
                keep = after
                break
        self.position = start + keep

    def step_back(self) -> None:
        """Look through the block that ends at ``position``."""
        low, end = max(0, self.position - self._block_bytes), self.position
        gap = self._reader.gap
        if gap is not None and gap[0] < end and low < gap[1]:
            if end <= gap[1]:
                self.position = gap[0]
                return
            low = gap[1]
        if end <= 0:
            return
        begin = max(low - LONGEST_ESCAPE, 0)  # not to begin within an escape sequence
        part = self._reader.read_plain(begin, end - begin + self._overlap)
        for start, data in reversed(_stretches(part.pieces)):
            if start < end and self._match_back(start, data, low, end):
                return
        self.position = low

    def _match_back(self, start: int, data: bytes, low: int, end: int) -> bool:
        """Add the matches that begin from ``low`` to ``end``; return whether they are enough."""
        seen = Visible(data)
        for first, last in self._needle.backward(seen.plain):
            begin, after = seen.offset(first), seen.offset(last - 1) + 1
            if start + begin < low:
                break
            if start + begin < end:
                self._add(start, data, begin, after)
                self.position = start + begin
                if self.full:
                    return True
        return False

    def _add(self, start: int, data: bytes, begin: int, after: int) -> None:
        line = max(data.rfind(b"\n", 0, begin) + 1, begin - _BEFORE_BYTES)
        end = data.find(b"\n", after, after + _AFTER_BYTES)
        rest = data[after : after + _AFTER_BYTES if end < 0 else end]
        self.matches.append(
            Match(
                offset=start + begin,
                length=after - begin,
                before=as_line(data[line:begin]),
                text=as_line(data[begin:after]),
                after=as_line(rest.rstrip(b"\r")),
            )
        )


def _stretches(pieces: tuple[Piece | Gap, ...]) -> list[tuple[int, bytes]]:
    """Return the bytes that follow each other without a gap, with the offset of each such run."""
    runs: list[tuple[int, list[bytes]]] = []
    end = -1
    for piece in pieces:
        if isinstance(piece, Gap):
            continue
        if piece.start != end:
            runs.append((piece.start, []))
        runs[-1][1].append(piece.data)
        end = piece.end
    return [(start, b"".join(parts)) for start, parts in runs]


def _first_stretch(pieces: tuple[Piece | Gap, ...]) -> tuple[int, bytes]:
    return next(iter(_stretches(pieces)), (0, b""))
