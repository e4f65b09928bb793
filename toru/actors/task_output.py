"""A run's output for its viewers: the newest frames are encoded once and shared.

Runs on: the event loop, owned by one `Task`.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

from toru.actors.messages.tasks import Frames, Output
from toru.domain.output_frames import complete_length, encode_gap, encode_output
from toru.runner.store_reader import Gap, OutputReader, Piece, missing_marker

TAIL_BYTES = 64 * 1024
"""How much of the output the history keeps as text."""

_MAX_FRAME_BYTES = 256 * 1024
_MIN_FRAME_BYTES = 64 * 1024
_TURN_BYTES = 1024 * 1024
_CACHED_FRAMES = 8


class TaskOutput:
    """The output of one run, from the runner's store; ``size`` is what is known to be there."""

    def __init__(self, directory: Path, task_id: str) -> None:
        self._directory = directory
        self._task_id = task_id
        self._reader: OutputReader | None = None
        self._cache: OrderedDict[int, Frames] = OrderedDict()
        self.size = 0
        self.complete = False

    def grow(self, size: int) -> bool:
        """Take note of a new size; return whether it is one."""
        if size <= self.size:
            return False
        self.size = size
        return True

    def look(self) -> None:
        """Take note of what is on the disk, before the runner has said anything."""
        try:
            if self._reader is None:
                self._reader = OutputReader(self._directory)
            self.grow(self._reader.size)
        except OSError:
            return  # nothing was written yet

    def finish(self, size: int) -> None:
        """The output is whole."""
        self.grow(size)
        self.complete = True
        self._cache.clear()  # a held-back character at the end may be sent now

    def close(self) -> None:
        """Close the files; they are opened again when somebody looks."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def frames(self, offset: int, viewers: int) -> Frames:
        """Return the frames from ``offset`` on; viewers at the same offset share them.

        The more viewers, the smaller the stretch, so that a round of all of them keeps the loop
        for a few milliseconds only.
        """
        cached = self._cache.get(offset)
        if cached is not None:
            return cached
        share = _TURN_BYTES // max(viewers, 1)
        made = self._encode(offset, min(max(share, _MIN_FRAME_BYTES), _MAX_FRAME_BYTES))
        if viewers > 1 and made.frames:
            self._cache[offset] = made
            if len(self._cache) > _CACHED_FRAMES:
                self._cache.popitem(last=False)
        return made

    def stretch(self, offset: int, limit_bytes: int) -> Output:
        """Return raw bytes from ``offset`` on, with a marker line where some are missing."""
        parts: list[bytes] = []
        next_offset = min(offset, self.size)
        for piece in self._pieces(next_offset, limit_bytes):
            parts.append(piece.data if isinstance(piece, Piece) else missing_marker(piece))
            next_offset = piece.end
        done = self.complete and next_offset >= self.size
        return Output(b"".join(parts), offset, next_offset, self.size, done)

    def tail_text(self) -> str:
        """Return the last 64 KiB as text; NUL, which a database may refuse, becomes U+FFFD."""
        tail = self.stretch(max(0, self.size - TAIL_BYTES), TAIL_BYTES).data
        while tail and tail[0] & 0xC0 == 0x80 and self.size > TAIL_BYTES:
            tail = tail[1:]  # the rest of a character that begins before the tail
        return tail.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")

    def _encode(self, offset: int, limit_bytes: int) -> Frames:
        frames: list[bytes] = []
        pieces = self._pieces(offset, limit_bytes)
        for index, piece in enumerate(pieces):
            if isinstance(piece, Gap):
                frames.append(encode_gap(self._task_id, piece.start, piece.end))
                offset = piece.end
                continue
            data = piece.data
            if index == len(pieces) - 1 and not (self.complete and piece.end >= self.size):
                data = data[: complete_length(data)]
            if data:
                frames.append(encode_output(self._task_id, piece.stream, piece.start, data))
                offset = piece.start + len(data)
        return Frames(tuple(frames), offset)

    def _pieces(self, offset: int, limit_bytes: int) -> tuple[Piece | Gap, ...]:
        if offset >= self.size:
            return ()
        try:
            if self._reader is None:
                self._reader = OutputReader(self._directory)
            pieces = self._reader.read(offset, min(limit_bytes, self.size - offset)).pieces
        except OSError:  # removed, or never written
            pieces = ()
        return pieces or (Gap(offset, self.size),)
