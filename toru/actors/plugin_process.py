"""The process of a plugin, one spawn after the other, as the runner keeps it.

Runs on: the event loop, owned by one `Plugin`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import uuid
from collections.abc import Iterable
from pathlib import Path

from toru.actors.messages.plugins import FoundFile
from toru.actors.messages.runner import (
    CancelRun,
    ExitReport,
    FollowRun,
    ForgetRun,
    RunStatus,
    SignalRun,
    SpawnRun,
)
from toru.actors.plugin_places import tag_of_actor
from toru.actors.plugin_runs import RUN_PREFIX, end_run, tag_of
from toru.actors.plugin_services import PluginServices
from toru.actors.plugin_sockets import prepare
from toru.clock import utc_now
from toru.domain.plugin_install import check_pinned
from toru.domain.plugin_metadata import BrokenPlugin
from toru.domain.script_environment import clean_environment
from toru.domain.uuid7 import uuid7
from toru.errors import ToruError
from toru.storage.plugin_versions import sha256_of

OUTPUT_BYTES_PER_S = 4 * 1024 * 1024
"""About 15,000 lines; to write more would take time that the whole hub shares."""

HUB_GONE_S = 10.0
"""No plugin outlives a hub that has been gone for so long."""

DRAIN_S = 0.5
"""Whatever a plugin leaves behind may hold its pipes open, and up its end, for so long."""


class SpawnFailed(Exception):
    """There is no process; the sentence says why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class PluginProcess:
    """Starts, signals and follows a plugin's process.

    Attributes:
        run_id: the runner's name of the present process; None when there is none.
        instance: the UUID of the last spawn.
        socket_path: where the plugin listens.
        socket_address: the same place as the plugin was told it.
        data_folder: a folder of its own.
    """

    def __init__(self, plugin_id: str, owner: str, services: PluginServices) -> None:
        """Create it.

        Args:
            plugin_id: the plugin.
            owner: the name of the actor that the runner tells what happens.
            services: where the runner is, and the folders.
        """
        self.run_id: str | None = None
        self.instance = ""
        self._tag = tag_of_actor(owner)
        self.socket_path = services.socket_dir / f"{self._tag}.sock"
        self.socket_address = ""
        self.data_folder = services.data_dir / "plugins" / plugin_id
        self._owner = owner
        self._runner = services.runner
        self._leftovers: tuple[str, ...] = ()

    async def take_over(self, leftovers: tuple[str, ...]) -> bool:
        """Make the first of the runs that were left the present process, and end the others.

        Returns:
            Whether it still goes on.
        """
        self._leftovers = leftovers
        for run_id in leftovers[1:]:
            await self.end(run_id)
        return bool(leftovers) and await self._follow(leftovers[0])

    async def _follow(self, run_id: str) -> bool:
        status = await self._runner.ask(FollowRun(run_id, self._owner))
        if status is None or status.exit is not None:
            await self.forget(run_id)
            return False
        self.run_id = run_id
        return True

    async def spawn(self, file: FoundFile, protocol: int) -> int:
        """Start a process and return its pid.

        Args:
            file: the executable.
            protocol: the version that it is to speak.

        Raises:
            SpawnFailed: there is none.
            BrokenPlugin: there is none, because the file is not what was installed.
        """
        run_id = self.run_id = f"{RUN_PREFIX}{self._tag}.{uuid7()}"
        self.instance = str(uuid.uuid4())
        try:
            self.socket_address = await asyncio.to_thread(self._make_room, file)
            message = self._spawn_message(run_id, file, protocol)
            return (await self._runner.ask(message, deadline_s=30.0)).pid
        except BrokenPlugin:
            raise
        except ToruError as error:
            raise SpawnFailed(error.sentence) from None
        except OSError as error:
            sentence = f"A folder of it cannot be used: {error.strerror or error}."
            raise SpawnFailed(sentence) from None

    def _make_room(self, file: FoundFile) -> str:
        if file.pin is not None:
            try:
                found = sha256_of(Path(file.program))
            except OSError as error:
                raise BrokenPlugin(f"It cannot be read: {error.strerror}.") from None
            check_pinned(file.pin.sha256, found)
        self.data_folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return prepare(self.socket_path)

    def _spawn_message(self, run_id: str, file: FoundFile, protocol: int) -> SpawnRun:
        environment = clean_environment(os.environ) | {"TORU_PLUGIN_SOCKET": self.socket_address}
        if protocol > 1:
            environment |= {"TORU_PROTOCOLS": "1,2", "TORU_INSTANCE": self.instance}
        return SpawnRun(
            id=run_id,
            owner=self._owner,
            argv=(file.program,),
            cwd=str(Path(file.path).parent),
            env=environment,
            directory=None,
            output_limit_bytes=None,
            hub_gone_s=HUB_GONE_S,
            drain_s=DRAIN_S,
            relay_bytes_per_s=OUTPUT_BYTES_PER_S,
        )

    async def signal(self, number: int) -> None:
        """Send a signal to its process group."""
        if self.run_id is not None:
            with contextlib.suppress(ToruError):
                await self._runner.ask(SignalRun(self.run_id, number))

    async def kill(self) -> None:
        """Kill its whole tree."""
        if self.run_id is not None:
            with contextlib.suppress(ToruError):
                await self._runner.ask(CancelRun(self.run_id, 0.0))

    def note_exit(self, run_id: str) -> bool:
        """Take note that a run has ended; return whether it was the present process."""
        if run_id != self.run_id:
            return False
        self.run_id = None
        return True

    async def forget(self, run_id: str) -> None:
        """Let the runner forget a run that has ended."""
        with contextlib.suppress(ToruError):
            await self._runner.ask(ForgetRun(run_id))

    async def end(self, run_id: str) -> None:
        """End a run that is not the present process, and forget it."""
        await end_run(self._runner, run_id, self._owner)

    def fate(self, runs: Iterable[RunStatus], *, was_there: bool) -> ExitReport | None:
        """Return how the present process has ended while the runner was away, if it has.

        Args:
            runs: all of the plugin that the runner knows now.
            was_there: whether the runner has ever said that it started.
        """
        own = next((status for status in runs if status.id == self.run_id), None)
        if own is not None:
            return own.exit
        if self.run_id is None or not was_there:
            return None
        return ExitReport(self.run_id, None, "", utc_now(), reason="interrupted")

    def strangers(self, runs: Iterable[RunStatus]) -> list[str]:
        """Return those of this actor's runs that nobody knows of."""
        known = (self.run_id, *self._leftovers)
        own = (status.id for status in runs if tag_of(status.id) == self._tag)
        return [run_id for run_id in own if run_id not in known]

    def leave(self) -> None:
        """Remove the socket; nobody listens there any more."""
        with contextlib.suppress(OSError):
            self.socket_path.unlink()
