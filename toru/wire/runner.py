"""The runner's protocol as the hub speaks it (``docs/runner.md``): what is sent, what comes.

Runs on: any thread; pure. The runner itself is standard library only and has its own side of it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from toru.actors.messages.runner import ExitReport, RunStatus, SpawnRun
from toru.wire.frames import encode_json

PROTOCOL = 1


class Hello(msgspec.Struct, frozen=True, tag="hello_ok"):
    """The runner is there; ``missing`` names what this system lacks."""

    missing: tuple[str, ...] = ()


class Runs(msgspec.Struct, frozen=True, tag="runs"):
    """All runs that the runner holds, or whose end it has not been told to forget."""

    runs: tuple[dict[str, Any], ...]

    def statuses(self) -> tuple[RunStatus, ...]:
        """Return them as the hub knows them.

        Raises:
            msgspec.ValidationError: one of them is not understood.
        """
        return tuple(map(_status, self.runs))


class Started(msgspec.Struct, frozen=True, tag="started"):
    """A process is there."""

    id: str
    pid: int
    started_at: str


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """A process could not be started."""

    id: str
    code: str
    error: str


class Progress(msgspec.Struct, frozen=True, tag="progress"):
    """A run has written so much."""

    id: str
    size: int


class Stage(msgspec.Struct, frozen=True, tag="stage"):
    """A cancel has come so far."""

    id: str
    stage: str


class Exited(ExitReport, frozen=True, tag="exited"):
    """A run has ended."""


class Error(msgspec.Struct, frozen=True, tag="error"):
    """A message of the hub's was not understood or could not be done."""

    code: str
    message: str
    id: str | None = None


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """The answer to a ping."""


FromRunner = Hello | Runs | Started | Refused | Progress | Stage | Exited | Error | Pong


def decode(frame: dict[str, object]) -> FromRunner:
    """Return a frame as its message.

    Raises:
        msgspec.ValidationError: it is none.
    """
    message: FromRunner = msgspec.convert(frame, FromRunner)
    return message


def greeting() -> bytes:
    """Return the frames that begin a connection: ``hello`` and ``list``."""
    return encode_json({"type": "hello", "protocol": PROTOCOL}) + encode_json({"type": "list"})


def spawn(message: SpawnRun, relay_id: int | None) -> bytes:
    """Return the frame that starts a process; with ``relay_id`` its output is relayed."""
    return encode_json(
        {
            "type": "spawn",
            "id": message.id,
            "argv": list(message.argv),
            "cwd": message.cwd,
            "env": message.env,
            "hub_gone_s": message.hub_gone_s,
            "drain_s": message.drain_s,
            "leftovers": message.leftovers,
            "time_limit_s": message.time_limit_s,
            "directory": message.directory,
            **_capture(message, relay_id),
        }
    )


def signal(run_id: str, number: int) -> bytes:
    """Return the frame that signals a run's tree."""
    return encode_json({"type": "signal", "id": run_id, "signal": number})


def cancel(run_id: str, grace_s: float) -> bytes:
    """Return the frame that ends a run's tree."""
    return encode_json({"type": "cancel", "id": run_id, "grace_s": grace_s})


def forget(run_id: str) -> bytes:
    """Return the frame that says that a run's end is recorded."""
    return encode_json({"type": "forget", "id": run_id})


def _capture(message: SpawnRun, relay_id: int | None) -> dict[str, object]:
    if relay_id is None:
        return {"capture": "store", "output_limit_bytes": message.output_limit_bytes}
    return {
        "capture": "relay",
        "relay_id": relay_id,
        "relay_limit_bytes": message.output_limit_bytes,
        "relay_bytes_per_s": message.relay_bytes_per_s,
    }


def _status(item: dict[str, Any]) -> RunStatus:
    ended = msgspec.convert(item, ExitReport) if item.get("state") == "exited" else None
    return RunStatus(
        id=str(item["id"]),
        pid=int(item.get("pid") or 0),
        started_at=str(item.get("started_at") or ""),
        size=int(item.get("size") or 0),
        exit=ended,
    )
