"""What the hub knows of the runs in the runner, and who wants to hear of each.

Runs on: the event loop, owned by one `RunnerLink`.
"""

from __future__ import annotations

import contextlib
import itertools
import secrets
from collections.abc import Iterable

import msgspec

from toru.actors.messages.runner import (
    RunExited,
    RunOutput,
    RunProgress,
    RunStage,
    RunStarted,
    RunStatus,
)
from toru.actors.runtime import Address, Message
from toru.errors import ToruError
from toru.wire import runner as wire
from toru.wire.frames import DataFrame


class _Followed:
    """One run: its owner and what is known of it."""

    __slots__ = ("owner", "relay_id", "status")

    def __init__(self, owner: Address | None, relay_id: int | None = None) -> None:
        self.owner = owner
        self.relay_id = relay_id
        self.status: RunStatus | None = None


class FollowedRuns:
    """The runs by id; news of a run goes to its owner."""

    def __init__(self) -> None:
        self._runs: dict[str, _Followed] = {}
        self._relayed: dict[int, str] = {}
        # At random, so that data which an earlier hub has asked for is nobody's now.
        self._relay_ids = itertools.count(secrets.randbits(31))

    def expect(self, run_id: str, owner: Address, *, relay: bool) -> int | None:
        """A run is about to be started; return the number under which its output comes."""
        relay_id = next(self._relay_ids) % 2**32 if relay else None
        self._runs[run_id] = _Followed(owner, relay_id)
        if relay_id is not None:
            self._relayed[relay_id] = run_id
        return relay_id

    def follow(self, run_id: str, owner: Address) -> RunStatus | None:
        """Let ``owner`` hear of a run from now on; return what is known of it."""
        followed = self._runs.get(run_id)
        if followed is None:
            return None
        followed.owner = owner
        return followed.status

    def forget(self, run_id: str) -> None:
        """Nobody wants to hear of a run any more."""
        followed = self._runs.pop(run_id, None)
        if followed is not None and followed.relay_id is not None:
            self._relayed.pop(followed.relay_id, None)

    def statuses(self) -> tuple[RunStatus, ...]:
        """Return what is known of all runs."""
        return tuple(run.status for run in self._runs.values() if run.status is not None)

    def ids(self, prefix: str) -> list[str]:
        """Return the runs whose id begins with ``prefix``."""
        return [run_id for run_id in self._runs if run_id.startswith(prefix)]

    def renew(self, statuses: Iterable[RunStatus], keep: Iterable[str]) -> None:
        """After a new connection: the runner holds these; others are gone, but for ``keep``."""
        known = {status.id: status for status in statuses}
        for run_id, status in known.items():
            self._runs.setdefault(run_id, _Followed(None)).status = status
        for run_id in self._runs.keys() - known.keys() - set(keep):
            self.forget(run_id)

    def started(self, news: wire.Started) -> None:
        """A process is there."""
        followed = self._runs.setdefault(news.id, _Followed(None))
        if followed.status is None:
            followed.status = RunStatus(news.id, news.pid, news.started_at, 0)
        _tell(followed.owner, RunStarted(news.id, news.pid, news.started_at))

    def progressed(self, news: wire.Progress) -> None:
        """A run has written more."""
        followed = self._runs.get(news.id)
        if followed is None:
            return
        if followed.status is not None:
            followed.status = msgspec.structs.replace(followed.status, size=news.size)
        _tell(followed.owner, RunProgress(news.id, news.size))

    def staged(self, news: wire.Stage) -> None:
        """A cancel has come so far."""
        followed = self._runs.get(news.id)
        if followed is not None:
            _tell(followed.owner, RunStage(news.id, news.stage))

    def exited(self, news: wire.Exited) -> None:
        """A run has ended."""
        followed = self._runs.get(news.id)
        if followed is None:
            return
        if followed.status is not None:
            followed.status = msgspec.structs.replace(followed.status, size=news.size, exit=news)
        _tell(followed.owner, RunExited(news))

    def relayed(self, frame: DataFrame) -> None:
        """A run without a directory has written something."""
        run_id = self._relayed.get(frame.id)
        if run_id is not None:
            _tell(self._runs[run_id].owner, RunOutput(run_id, frame.payload, is_stderr=frame.text))


def _tell(owner: Address | None, message: Message[None]) -> None:
    if owner is None:
        return
    with contextlib.suppress(ToruError):  # an owner that is being replaced asks again itself
        owner.tell(message)
