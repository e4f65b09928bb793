"""What a case is, how it ends, and the book of all cases.

Runs on: any thread; the book is filled when the modules of cases are imported.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import msgspec

from toru.domain.plugin_metadata import PluginMetadata

Level = Literal["must", "should"]
Outcome = Literal["passed", "failed", "warned", "skipped"]

MANY_S = 6.0
"""Some things may take longer than an answer: the start, as many times as long."""


class Broken(Exception):
    """The plugin does not do what a case is about.

    Attributes:
        got: what it did, a sentence.
        expected: what it should do; the case's own sentence when it is empty.
        sent: what was sent; the frames of the case when it is empty.
    """

    def __init__(self, got: str, expected: str = "", sent: str = "") -> None:
        super().__init__(got)
        self.got = got
        self.expected = expected
        self.sent = sent


class NotApplicable(Exception):
    """A case cannot be tried with this plugin; why, as a sentence."""


class CaseResult(msgspec.Struct, frozen=True):
    """How a case has ended.

    Attributes:
        name: of the case.
        sentence: what the case is about.
        group: the theme.
        version: of the protocol; None for what both have.
        level: ``must``, where a failure fails the check, or ``should``.
        outcome: ``warned`` is the failure of a ``should``.
        sent: what was sent.
        expected: what the plugin was to do.
        got: what it did; why the case was left out.
    """

    name: str
    sentence: str
    group: str
    version: int | None
    level: Level
    outcome: Outcome
    sent: str
    expected: str
    got: str


@dataclass(frozen=True)
class Setting:
    """What is checked, and how.

    Attributes:
        path: the plugin's file.
        folder: a temporary folder for sockets and data.
        timeout_s: how long an answer may take.
        get_path: asked for with GET.
        stream_path: answers with a long body or an event stream; empty when nobody named one.
        socket_path: takes a WebSocket; empty when nobody named one.
        metadata: what the plugin says of itself; None before that is known.
        values: what was given for its settings.
        config: what it is told as its settings: these values, and its defaults.
    """

    path: Path
    folder: Path
    timeout_s: float = 5.0
    get_path: str = "/"
    stream_path: str = ""
    socket_path: str = ""
    metadata: PluginMetadata | None = None
    values: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)


class Stage(Protocol):
    """What the cases of a group are tried on: mostly a running plugin."""

    def usable(self) -> bool:
        """Return whether the next case can be tried on it too."""

    def mark(self) -> None:
        """Begin a new case: `sent` and `got` are about what comes from now on."""

    def sent(self) -> str:
        """Return what was sent since `mark`, shortened."""

    def got(self) -> str:
        """Return what came since `mark`, shortened."""

    def close(self) -> None:
        """End all that it has started."""


@dataclass(frozen=True)
class Case:
    """One thing that a plugin does or does not do."""

    name: str
    sentence: str
    level: Level
    needs: tuple[str, ...]
    check: Callable[[Any], None]


@dataclass
class Group:
    """Cases that share a stage.

    Attributes:
        title: for people.
        version: of the protocol; None for what both have.
        open: makes the stage.
        stage: groups of one name that follow each other share a stage.
        fresh: whether every case has a stage of its own.
        cases: in the order in which they are tried.
    """

    title: str
    version: int | None
    open: Callable[[Setting], Stage]
    stage: str = ""
    fresh: bool = False
    cases: list[Case] = field(default_factory=list)

    def case(
        self, name: str, sentence: str, *, level: Level = "must", needs: tuple[str, ...] = ()
    ) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
        """Return a decorator that adds a case.

        Args:
            name: unique, in kebab case.
            sentence: what the plugin does when all is well.
            level: whether it must or should.
            needs: cases without which this one makes no sense.
        """

        def add(check: Callable[[Any], None]) -> Callable[[Any], None]:
            self.cases.append(Case(name, sentence, level, needs, check))
            return check

        return add

    def named(self, pattern: str) -> list[Case]:
        """Return the cases whose name matches a pattern, or contains it."""
        wanted = pattern if any(char in pattern for char in "*?[") else f"*{pattern}*"
        return [case for case in self.cases if fnmatch.fnmatchcase(case.name, wanted)]
