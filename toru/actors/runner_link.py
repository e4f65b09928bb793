"""The hub's one connection to the runner: keeps it, starts the runner, passes its news on.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import subprocess
from pathlib import Path
from typing import Any, NoReturn

import msgspec

from toru.actors.followed_runs import FollowedRuns
from toru.actors.messages.runner import (
    CancelRun,
    DescribeRuns,
    FollowRun,
    ForgetRun,
    ListRunIds,
    RunnerConnected,
    RunStatus,
    SignalRun,
    Spawned,
    SpawnRun,
)
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.errors import BadRequest, ToruError, Unavailable
from toru.runner import launch
from toru.wire import runner as wire
from toru.wire import unix_paths
from toru.wire.frames import DataFrame, Frame, FrameDecoder, FrameError

logger = logging.getLogger("toru.runner_link")

_READ_BYTES = 256 * 1024
_CONNECT_S = 2.0
_FIRST_PAUSE_S = 0.02
_LAST_PAUSE_S = 1.0
_WAIT_FOR_RUNNER_S = 10.0


class SpawnRefused(BadRequest):
    """The runner could not start the process; the sentence says why."""

    default_code = "spawn_refused"


class RunnerLink(LoopActor):
    """Speaks the runner's protocol.

    Questions wait until the runner is there. Stopping the actor closes the connection; the
    runner and its runs go on.
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
        self._runs = FollowedRuns()
        self._spawning: dict[str, tuple[bytes, asyncio.Future[Spawned]]] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._ready = asyncio.Event()
        self._stopping = False

    def on_start(self) -> None:
        """Begin to connect."""
        self.background(self._keep_connected())

    def on_stop(self) -> None:
        """Leave the runner alone with its runs."""
        self._stopping = True
        if self._writer is not None:
            self._writer.close()

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message; all wait for the runner where it is not there."""
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
                return self._send_when_ready(wire.cancel(run_id, grace_s))
            case SignalRun(id=run_id, signal=number):
                return self._send_when_ready(wire.signal(run_id, number))
            case ForgetRun(id=run_id):
                self._runs.forget(run_id)
                return self._send_when_ready(wire.forget(run_id))
            case _:
                return super().on_receive(message)

    # Questions

    async def _spawn(self, message: SpawnRun) -> Spawned:
        answer: asyncio.Future[Spawned] = self.context.system.loop.create_future()
        owner = self.context.system.address(message.owner)
        relay_id = self._runs.expect(message.id, owner, relay=message.directory is None)
        frame = wire.spawn(message, relay_id)
        self._spawning[message.id] = (frame, answer)
        try:
            if self._ready.is_set():
                self._send(frame)
            return await asyncio.wait_for(answer, _WAIT_FOR_RUNNER_S)
        except TimeoutError:
            self._runs.forget(message.id)
            _raise_no_runner()
        finally:
            self._spawning.pop(message.id, None)

    async def _follow(self, run_id: str, owner: str) -> RunStatus | None:
        await self._wait_until_ready()
        return self._runs.follow(run_id, self.context.system.address(owner))

    async def _describe_runs(self) -> tuple[RunStatus, ...]:
        await self._wait_until_ready()
        return self._runs.statuses()

    async def _list_ids(self, prefix: str) -> list[str]:
        await self._wait_until_ready()
        return self._runs.ids(prefix)

    async def _send_when_ready(self, frame: bytes) -> None:
        await self._wait_until_ready()
        self._send(frame)

    async def _wait_until_ready(self) -> None:
        if self._ready.is_set():
            return
        try:
            await asyncio.wait_for(self._ready.wait(), _WAIT_FOR_RUNNER_S)
        except TimeoutError:
            _raise_no_runner()

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
        self._send(wire.greeting())
        while data := await reader.read(_READ_BYTES):
            for frame in decoder.feed(data):
                self._take(frame)

    def _send(self, frame: bytes) -> None:
        if self._writer is not None:
            self._writer.write(frame)

    # News from the runner

    def _take(self, frame: Frame) -> None:
        if isinstance(frame, DataFrame):
            self._runs.relayed(frame)
            return
        try:
            self._take_message(wire.decode(frame))
        except msgspec.ValidationError as error:
            logger.error("The runner sent a message that is not understood: %s", error)

    def _take_message(self, message: wire.FromRunner) -> None:
        match message:
            case wire.Progress():
                self._runs.progressed(message)
            case wire.Exited():
                self._runs.exited(message)
            case wire.Started():
                self._take_started(message)
            case wire.Refused():
                self._take_refused(message)
            case wire.Stage():
                self._runs.staged(message)
            case wire.Runs():
                self._take_runs(message.statuses())
            case wire.Hello(missing=missing):
                if missing:
                    logger.warning("This system lacks for runs: %s.", ", ".join(missing))
            case wire.Error(code=code, message=text):
                logger.error("The runner answered %s: %s", code, text)
            case wire.Pong():
                pass

    def _take_runs(self, statuses: tuple[RunStatus, ...]) -> None:
        """A new connection: what was being started has begun meanwhile, or is asked for again."""
        self._runs.renew(statuses, keep=self._spawning)
        self._ready.set()
        known = {status.id: status for status in statuses}
        for run_id, (frame, _) in list(self._spawning.items()):
            status = known.get(run_id)
            if status is None:
                self._send(frame)
            else:
                self._take_started(wire.Started(run_id, status.pid, status.started_at))
        for listener in self._listeners:
            with contextlib.suppress(ToruError):  # it is told again when it is there again
                listener.tell(RunnerConnected(statuses))

    def _take_started(self, news: wire.Started) -> None:
        self._runs.started(news)
        waiting = self._spawning.get(news.id)
        if waiting is not None and not waiting[1].done():
            waiting[1].set_result(Spawned(news.id, news.pid, news.started_at))

    def _take_refused(self, news: wire.Refused) -> None:
        self._runs.forget(news.id)
        waiting = self._spawning.get(news.id)
        if waiting is not None and not waiting[1].done():
            waiting[1].set_exception(SpawnRefused(news.error, code=news.code))


def _raise_no_runner() -> NoReturn:
    raise Unavailable("The runner is not there; it is being started again.")
