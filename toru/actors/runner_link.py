"""The hub's one connection to the runner: keeps it, starts the runner, passes its news on.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import secrets
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import msgspec

from toru.actors.messages.runner import (
    CancelRun,
    DescribeRuns,
    ExitReport,
    FollowRun,
    ForgetRun,
    ListRunIds,
    RunExited,
    RunnerConnected,
    RunOutput,
    RunProgress,
    RunStage,
    RunStarted,
    RunStatus,
    SignalRun,
    Spawned,
    SpawnRun,
    StopRunner,
)
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.errors import BadRequest, ToruError, Unavailable
from toru.runner import launch
from toru.wire import unix_paths
from toru.wire.frames import DataFrame, Frame, FrameDecoder, FrameError, encode_json

logger = logging.getLogger("toru.runner_link")

PROTOCOL = 1
_READ_BYTES = 256 * 1024
_CONNECT_S = 2.0
_FIRST_PAUSE_S = 0.02
_LAST_PAUSE_S = 1.0
_WAIT_FOR_RUNNER_S = 10.0


class SpawnRefused(BadRequest):
    """The runner could not start the process; the sentence says why."""

    default_code = "spawn_refused"


class _Followed:
    """What the link knows of one run, and who wants to hear of it."""

    __slots__ = ("owner", "status")

    def __init__(self, owner: Address | None, status: RunStatus | None = None) -> None:
        self.owner = owner
        self.status = status


class RunnerLink(LoopActor):
    """Speaks the runner's protocol (``docs/runner.md``).

    Stopping it closes the connection; the runner and its runs go on.
    """

    mailbox_limit = 20_000

    def __init__(
        self,
        context: ActorContext,
        data_dir: Path,
        listeners: tuple[Address, ...],
        descriptors: int | None = None,
    ) -> None:
        """Create the link.

        Args:
            context: given by the supervisor.
            data_dir: whose runner it is.
            listeners: who is told `RunnerConnected`, each time.
            descriptors: the soft limit of open files that scripts begin with.
        """
        super().__init__(context)
        self._data_dir = data_dir
        self._listeners = listeners
        self._descriptors = descriptors
        self._relay_ids = itertools.count(secrets.randbits(31))
        self._relayed: dict[int, str] = {}
        self._runs: dict[str, _Followed] = {}
        self._spawning: dict[str, tuple[bytes, asyncio.Future[Spawned]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()
        self._stopping = False

    def on_start(self) -> None:
        """Begin to connect; questions wait until the runner is there."""
        self.background(self._keep_connected())

    def on_stop(self) -> None:
        """Leave the runner alone with its runs."""
        self._stopping = True
        if self._writer is not None:
            self._writer.close()

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message; those that need the runner wait for it."""
        match message:
            case SpawnRun():
                return self._spawn(message)
            case FollowRun(id=run_id, owner=owner):
                return self._follow(run_id, owner)
            case DescribeRuns():
                return self._describe_runs()
            case ListRunIds(prefix=prefix):
                return self._list_ids(prefix)
            case CancelRun(id=run_id, grace_s=grace_s):
                return self._send_when_ready({"type": "cancel", "id": run_id, "grace_s": grace_s})
            case SignalRun(id=run_id, signal=number):
                return self._send_when_ready({"type": "signal", "id": run_id, "signal": number})
            case ForgetRun(id=run_id):
                self._drop(run_id)
                return self._send_when_ready({"type": "forget", "id": run_id})
            case StopRunner():
                return self._stop_runner()
            case _:
                return super().on_receive(message)

    # Questions

    async def _spawn(self, message: SpawnRun) -> Spawned:
        answer: asyncio.Future[Spawned] = self.context.system.loop.create_future()
        frame = encode_json(_spawn_frame(message) | self._capture(message))
        self._spawning[message.id] = (frame, answer)
        self._runs[message.id] = _Followed(self.context.system.address(message.owner))
        try:
            if self._ready.is_set():
                self._send(frame)
            return await asyncio.wait_for(answer, _WAIT_FOR_RUNNER_S)
        except TimeoutError:
            self._drop(message.id)
            _raise_no_runner()
        finally:
            self._spawning.pop(message.id, None)

    def _capture(self, message: SpawnRun) -> dict[str, object]:
        """Return where the output of a run goes: into its folder, or here under a number."""
        if message.directory is not None:
            limit = message.output_limit_bytes
            return {"capture": "store", "directory": message.directory, "output_limit_bytes": limit}
        relay_id = next(self._relay_ids) % 2**32
        self._relayed[relay_id] = message.id
        return {
            "capture": "relay",
            "directory": None,
            "relay_id": relay_id,
            "relay_limit_bytes": message.output_limit_bytes,
        }

    async def _follow(self, run_id: str, owner: str) -> RunStatus | None:
        await self._wait_until_ready()
        followed = self._runs.get(run_id)
        if followed is None:
            return None
        followed.owner = self.context.system.address(owner)
        return followed.status

    async def _describe_runs(self) -> tuple[RunStatus, ...]:
        await self._wait_until_ready()
        return tuple(run.status for run in self._runs.values() if run.status is not None)

    async def _list_ids(self, prefix: str) -> list[str]:
        await self._wait_until_ready()
        return [run_id for run_id in self._runs if run_id.startswith(prefix)]

    async def _send_when_ready(self, message: dict[str, object]) -> None:
        await self._wait_until_ready()
        self._send(encode_json(message))

    async def _wait_until_ready(self) -> None:
        if self._ready.is_set():
            return
        try:
            await asyncio.wait_for(self._ready.wait(), _WAIT_FOR_RUNNER_S)
        except TimeoutError:
            _raise_no_runner()

    async def _stop_runner(self) -> None:
        await self._wait_until_ready()
        self._stopping = True
        self._send(encode_json({"type": "shutdown", "end_runs": True}))

    # The connection

    async def _keep_connected(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while not self._stopping:
            try:
                reader, writer = await self._connect()
            except OSError as error:
                pause_s = await self._start_runner(error, pause_s)
                continue
            pause_s = _FIRST_PAUSE_S
            try:
                await self._talk(reader, writer)
            except (OSError, FrameError) as error:
                logger.warning("The connection to the runner broke: %s", error)
            finally:
                self._ready.clear()
                self._writer = None
                writer.close()
            if not self._stopping:
                logger.info("The runner is gone; connecting again.")
                await asyncio.sleep(_FIRST_PAUSE_S)

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        path = launch.socket_path(self._data_dir)
        connection = await asyncio.to_thread(unix_paths.connect, path, timeout_s=_CONNECT_S)
        connection.setblocking(False)
        return await asyncio.open_unix_connection(sock=connection)

    async def _start_runner(self, why: OSError, pause_s: float) -> float:
        """Start the runner, wait a moment, and return how long to wait next time."""
        logger.debug("No runner answers (%s); starting it.", why)
        try:
            if pause_s == _FIRST_PAUSE_S:
                start = launch.start
                await asyncio.to_thread(start, self._data_dir, descriptors=self._descriptors)
        except (OSError, subprocess.SubprocessError) as error:
            logger.error("The runner cannot be started: %s", error)
        await asyncio.sleep(pause_s)
        following = pause_s * 1.5
        return following if following < _LAST_PAUSE_S else _FIRST_PAUSE_S

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = FrameDecoder()
        self._writer = writer
        self._send(encode_json({"type": "hello", "protocol": PROTOCOL}))
        self._send(encode_json({"type": "list"}))
        while data := await reader.read(_READ_BYTES):
            for frame in decoder.feed(data):
                self._take(frame)

    def _send(self, frame: bytes) -> None:
        if self._writer is not None:
            self._writer.write(frame)

    # News from the runner

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, DataFrame):
            self._take_output(frame)
            return
        handler = self._handlers.get(str(frame.get("type")))
        if handler is None:
            logger.warning("The runner sent a message of unknown type: %r", frame.get("type"))
            return
        try:
            handler(self, frame)
        except msgspec.ValidationError as error:
            logger.error("The runner sent a message that is not understood: %s", error)

    def _take_output(self, frame: DataFrame) -> None:
        followed = self._runs.get(self._relayed.get(frame.id, ""))
        if followed is not None:
            run_id = self._relayed[frame.id]
            self._tell(followed.owner, RunOutput(run_id, frame.payload, is_stderr=frame.text))

    def _take_hello(self, frame: dict[str, Any]) -> None:
        missing = frame.get("missing") or []
        if missing:
            logger.warning("This system lacks for runs: %s.", ", ".join(map(str, missing)))

    def _take_runs(self, frame: dict[str, Any]) -> None:
        statuses = [_status(item) for item in frame["runs"]]
        known = {status.id for status in statuses}
        for status in statuses:
            self._runs.setdefault(status.id, _Followed(None)).status = status
        for run_id in [key for key in self._runs if key not in known]:
            if run_id not in self._spawning:
                self._drop(run_id)
        self._ready.set()
        self._settle_spawning(statuses)
        for listener in self._listeners:
            self._tell(listener, RunnerConnected(tuple(statuses)))

    def _settle_spawning(self, statuses: list[RunStatus]) -> None:
        """After a lost connection: what the runner has was started, the rest is asked again."""
        by_id = {status.id: status for status in statuses}
        for run_id, (frame, answer) in self._spawning.items():
            status = by_id.get(run_id)
            if status is None:
                self._send(frame)
            elif not answer.done():
                answer.set_result(Spawned(run_id, status.pid, status.started_at))

    def _take_started(self, frame: dict[str, Any]) -> None:
        spawned = msgspec.convert(frame, Spawned)
        followed = self._runs.setdefault(spawned.id, _Followed(None))
        if followed.status is None:
            followed.status = RunStatus(spawned.id, spawned.pid, spawned.started_at, 0)
        self._tell(followed.owner, RunStarted(spawned.id, spawned.pid, spawned.started_at))
        waiting = self._spawning.get(spawned.id)
        if waiting is not None and not waiting[1].done():
            waiting[1].set_result(spawned)

    def _take_refused(self, frame: dict[str, Any]) -> None:
        run_id = str(frame.get("id"))
        self._drop(run_id)
        waiting = self._spawning.get(run_id)
        if waiting is not None and not waiting[1].done():
            refusal = SpawnRefused(str(frame.get("error")), code=str(frame.get("code")))
            waiting[1].set_exception(refusal)

    def _take_progress(self, frame: dict[str, Any]) -> None:
        run_id, size = str(frame["id"]), int(frame["size"])
        followed = self._runs.get(run_id)
        if followed is None:
            return
        if followed.status is not None:
            followed.status = msgspec.structs.replace(followed.status, size=size)
        self._tell(followed.owner, RunProgress(run_id, size))

    def _take_stage(self, frame: dict[str, Any]) -> None:
        run_id = str(frame["id"])
        followed = self._runs.get(run_id)
        if followed is not None:
            self._tell(followed.owner, RunStage(run_id, str(frame["stage"])))

    def _take_exited(self, frame: dict[str, Any]) -> None:
        report = msgspec.convert(frame, ExitReport)
        followed = self._runs.get(report.id)
        if followed is None:
            return
        if followed.status is not None:
            followed.status = msgspec.structs.replace(
                followed.status, size=report.size, exit=report
            )
        self._tell(followed.owner, RunExited(report))

    def _take_error(self, frame: dict[str, Any]) -> None:
        logger.error("The runner answered %s: %s", frame.get("code"), frame.get("message"))

    def _take_pong(self, frame: dict[str, Any]) -> None:
        """Nothing is to be done: that it came is the answer."""

    def _drop(self, run_id: str) -> None:
        self._runs.pop(run_id, None)
        for relay_id in [key for key, value in self._relayed.items() if value == run_id]:
            del self._relayed[relay_id]

    def _tell(self, owner: Address | None, message: Message[Any]) -> None:
        if owner is None:
            return
        with contextlib.suppress(ToruError):  # an owner that is being replaced asks again itself
            owner.tell(message)

    _handlers: ClassVar[dict[str, Callable[[RunnerLink, dict[str, Any]], None]]] = {
        "hello_ok": _take_hello,
        "runs": _take_runs,
        "started": _take_started,
        "refused": _take_refused,
        "progress": _take_progress,
        "stage": _take_stage,
        "exited": _take_exited,
        "error": _take_error,
        "pong": _take_pong,
    }


def _raise_no_runner() -> NoReturn:
    raise Unavailable("The runner is not there; it is being started again.")


def _status(item: dict[str, Any]) -> RunStatus:
    ended = msgspec.convert(item, ExitReport) if item.get("state") == "exited" else None
    return RunStatus(
        id=str(item["id"]),
        pid=int(item.get("pid") or 0),
        started_at=str(item.get("started_at") or ""),
        size=int(item.get("size") or 0),
        exit=ended,
    )


def _spawn_frame(message: SpawnRun) -> dict[str, object]:
    return {
        "type": "spawn",
        "id": message.id,
        "argv": list(message.argv),
        "cwd": message.cwd,
        "env": message.env,
        "hub_gone_s": message.hub_gone_s,
        "leftovers": message.leftovers,
        "time_limit_s": message.time_limit_s,
    }
