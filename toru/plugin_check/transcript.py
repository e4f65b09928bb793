"""What was said on the plugin's sockets, in words short enough for a report.

Runs on: any thread, one at a time; pure.
"""

from __future__ import annotations

import json
from typing import Literal

from toru.domain.plugin_metadata import shown
from toru.wire.frames import DataFrame, Frame

MAX_FRAME_CHARS = 220
MAX_FRAMES = 5
_MAX_KEPT = 5000


class Transcript:
    """The frames of one spawn, both ways; only the first few thousand are kept."""

    def __init__(self) -> None:
        self._lines: list[tuple[Literal["sent", "got"], str]] = []
        self._mark = 0
        self._recalled = slice(0, 0)

    @property
    def position(self) -> int:
        """How many frames there were."""
        return len(self._lines)

    def mark(self) -> None:
        """Forget what came before, for `sent` and `got`."""
        self._mark = len(self._lines)
        self._recalled = slice(0, 0)

    def recall(self, begin: int, end: int) -> None:
        """Have `sent` and `got` tell also what was between two positions, until the next mark."""
        self._recalled = slice(begin, min(end, self._mark))

    def note_sent(self, what: Frame | str) -> None:
        """Take down what was sent."""
        self._note("sent", what if isinstance(what, str) else short(_plain(what)))

    def note_got(self, what: Frame | str) -> None:
        """Take down what came."""
        self._note("got", what if isinstance(what, str) else short(what))

    def sent(self) -> str:
        """Return what was sent since the mark."""
        return self._shown("sent")

    def got(self) -> str:
        """Return what came since the mark."""
        return self._shown("got")

    def _note(self, way: Literal["sent", "got"], line: str) -> None:
        if len(self._lines) < _MAX_KEPT:
            self._lines.append((way, line))

    def _shown(self, way: str) -> str:
        every = [*self._lines[self._recalled], *self._lines[self._mark :]]
        lines = [line for one, line in every if one == way]
        if len(lines) > MAX_FRAMES:
            left_out = f"… {len(lines) - MAX_FRAMES} more …"
            lines = [*lines[:2], left_out, *lines[len(lines) - MAX_FRAMES + 2 :]]
        return "\n".join(lines)


def short(frame: Frame) -> str:
    """Return a frame in one line."""
    if isinstance(frame, DataFrame):
        flags = [name for name, is_set in (("end", frame.end), ("text", frame.text)) if is_set]
        return f"data {{id: {frame.id}, {', '.join([f'{len(frame.payload)} bytes', *flags])}}}"
    rest = {name: value for name, value in frame.items() if name not in ("type", "timestamp")}
    text = json.dumps(rest, ensure_ascii=False)
    return shown(f"{frame.get('type')} {text}", MAX_FRAME_CHARS)


def _plain(frame: Frame) -> Frame:
    """Return a request without its headers, which are always the same and hide the rest."""
    if isinstance(frame, DataFrame) or frame.get("type") not in ("http", "ws_open"):
        return frame
    return {name: _headless(value) for name, value in frame.items() if name != "headers"}


def _headless(value: object) -> object:
    if not isinstance(value, dict):
        return value
    return {name: _headless(inner) for name, inner in value.items() if name != "headers"}
