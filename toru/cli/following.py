"""Following one run: what the hub's messages mean, decided without any connection or terminal.

Runs on: any thread; pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from toru.cli.failure import FAILED, INTERRUPTED

_CANCELLED = 128 + 15


@dataclass(frozen=True)
class Started:
    """The hub took the run, which may have to wait, and gave it this id."""

    task_id: str


@dataclass(frozen=True)
class Write:
    """Text of the script, to be written as it is."""

    stream: Literal["stdout", "stderr"]
    text: str


@dataclass(frozen=True)
class Notice:
    """A sentence for the person, not of the script."""

    sentence: str


@dataclass(frozen=True)
class Ended:
    """The run is over for this viewer, with what the command exits with."""

    exit_code: int


Effect = Started | Write | Notice | Ended


class Following:
    """The state of one run's viewer through any number of connections.

    Args:
        task_id: the run; None until the hub has said which it is.
        offset: the byte of the output that comes next.
    """

    def __init__(self, task_id: str | None = None, offset: int = 0) -> None:
        self.task_id = task_id
        self.offset = offset
        self._cancel_asked = False
        self._cancel_unanswered = False

    def ask_cancel(self) -> None:
        """Note that the person wants the run cancelled, and that the hub is being told."""
        self._cancel_asked = self._cancel_unanswered = True

    @property
    def wants_cancel(self) -> bool:
        """Whether the run is to be cancelled, which a new connection has to say again."""
        return self._cancel_asked

    def take(self, message: Mapping[str, Any]) -> list[Effect]:
        """Return what a message of the hub calls for; those of other runs call for nothing."""
        kind, about = message.get("type"), message.get("task_id")
        if self.task_id is None and isinstance(about, str):
            # Whatever is said first about a run says that it was taken.
            self.task_id = about
            return [Started(about), *self.take(message)]
        if about is not None and about != self.task_id:
            return []
        match kind:
            case "stdout" | "stderr":
                return self._chunk(kind, str(message.get("data", "")), message.get("offset"))
            case "gap":
                return self._gap(message.get("from"), message.get("to"))
            case "exit":
                return self._exit(message.get("code"))
            case "cancelled":
                return self._cancelled()
            case "error":
                return self._error(str(message.get("data")), of_run=about is not None)
            case _:
                return []

    def _error(self, sentence: str, *, of_run: bool) -> list[Effect]:
        refused_cancel, self._cancel_unanswered = self._cancel_unanswered, False
        if refused_cancel or (self.task_id is not None and not of_run):
            return [Notice(sentence)]
        return [Notice(sentence), Ended(FAILED)]

    def _chunk(
        self, stream: Literal["stdout", "stderr"], text: str, following: object
    ) -> list[Effect]:
        # A chunk that was on its way when the run was attached again comes twice.
        if isinstance(following, int):
            if following <= self.offset:
                return []
            self.offset = following
        return [Write(stream, text)]

    def _gap(self, begin: object, end: object) -> list[Effect]:
        if not isinstance(begin, int) or not isinstance(end, int) or end <= self.offset:
            return []
        missing = end - max(begin, self.offset)
        self.offset = end
        return [Notice(f"{missing} bytes of output are not kept.")]

    def _exit(self, code: object) -> list[Effect]:
        if not isinstance(code, int):
            return [Notice("The run was interrupted; its exit code is not known."), Ended(FAILED)]
        if code < 0:
            return [Notice(f"Signal {-code} ended the script."), Ended(128 - code)]
        return [Ended(code)]

    def _cancelled(self) -> list[Effect]:
        return [
            Notice("The run was cancelled."),
            Ended(INTERRUPTED if self._cancel_asked else _CANCELLED),
        ]
