"""What ``toru plugin dev`` shows: builds, states and log lines, one after the other.

Runs on: the event loop of the command.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import typer

from toru.cli.plugin_build import Built
from toru.log import visible

_STATE_COLOURS = {"ready": "green", "unhealthy": "yellow", "backoff": "red", "broken": "red"}
_LEVEL_COLOURS = {"warn": "yellow", "error": "red", "debug": "bright_black"}
_KNOWN_FIELDS = {"timestamp", "level", "plugin", "message", "error", "pid"}
_INDENT = " " * 20
_LAST_WORDS = " The end of its stderr: "


class Screen:
    """Prints lines on stdout, in colour where that is a terminal and ``NO_COLOR`` is not set."""

    def __init__(self) -> None:
        self._in_colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")

    def hub(self, url: str, password: str) -> None:
        """Say where the hub is and how to log in."""
        self._line("hub", f"{url}   log in as admin with {password}", bold=True)
        self._line("hub", "It and all its data go away with Ctrl-C.", colour="bright_black")

    def changed(self, names: list[str]) -> None:
        """Say that files were saved."""
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        self._line("saved", ", ".join(names[:3]) + more, colour="cyan")

    def built(self, built: Built) -> None:
        """Say that a build is done."""
        metadata = built.metadata
        size = f"{max(1, built.size_bytes // 1024):,} KiB"
        self._line("built", f"{metadata.name} {metadata.version}, {size}", colour="cyan")

    def places(self, built: Built, url: str) -> None:
        """Say where the plugin's page and routes are."""
        self._more(f"page    {url}/plugins/{built.metadata.id}")
        self._more(f"routes  {url}/api/plugins/route{built.metadata.route}")

    def failed(self, sentence: str, *, serves: bool) -> None:
        """Say that a build failed, and what goes on."""
        self._sentence("failed", sentence, colour="red")
        if serves:
            self._more("The one before goes on serving.")

    def state(self, state: str, reason: str | None, seconds: float | None) -> None:
        """Say what the plugin does now.

        Args:
            state: as the hub calls it.
            reason: why, if there is one to tell.
            seconds: since the files were saved, when it has just got ready.
        """
        after = "" if seconds is None else f"{seconds:.2f} s after the save"
        colour = _STATE_COLOURS.get(state, "bright_black")
        self._sentence(state, after or reason or "", colour=colour)

    def log(self, line: bytes) -> None:
        """Show a line of the plugin's log."""
        try:
            fields = json.loads(line)
        except ValueError:
            return
        level = str(fields.get("level", "info"))
        more = [f"{key}={_short(value)}" for key, value in fields.items() if _is_own(key)]
        text = "  ".join([str(fields.get("message", "")), *more])
        self._line(level, text, colour=_LEVEL_COLOURS.get(level), moment=_moment(fields))
        if fields.get("error"):
            self._more(*str(fields["error"]).splitlines())

    def note(self, text: str) -> None:
        """Say something about the command itself."""
        self._line("dev", text, colour="bright_black")

    def _sentence(self, word: str, sentence: str, *, colour: str) -> None:
        """Show a sentence; the last lines of a stderr, which may end it, one by one below."""
        said, _, last = sentence.partition(_LAST_WORDS)
        self._line(word, said, colour=colour)
        if last:
            self._more(*last.split(" | "))

    def _line(
        self,
        word: str,
        text: str,
        *,
        colour: str | None = None,
        bold: bool = False,
        moment: datetime | None = None,
    ) -> None:
        time = (moment or datetime.now(UTC)).astimezone().strftime("%H:%M:%S")
        said = self._styled(f"{word:<9}", fg=colour, bold=bold)
        shown = f"{self._styled(time, fg='bright_black')}  {said} {visible(text)}"
        print(shown.rstrip(), flush=True)

    def _more(self, *lines: str) -> None:
        for line in lines:
            print(f"{_INDENT}{visible(line)}", flush=True)

    def _styled(self, text: str, **style: Any) -> str:
        return typer.style(text, **style) if self._in_colour else text


def _is_own(key: str) -> bool:
    return key not in _KNOWN_FIELDS


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _moment(fields: Mapping[str, Any]) -> datetime | None:
    try:
        return datetime.fromisoformat(str(fields["timestamp"]))
    except (KeyError, ValueError):
        return None
