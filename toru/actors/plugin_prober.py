"""Runs plugins with ``--metadata``: a few at a time, through the runner, each only so long.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
from typing import Any

from toru.actors.messages.plugins import FoundFile, Probe, ProbeTimedOut
from toru.actors.messages.runner import (
    CancelRun,
    ExitReport,
    ForgetRun,
    RunExited,
    RunOutput,
    RunProgress,
    RunStage,
    RunStarted,
    SpawnRun,
)
from toru.actors.runner_link import SpawnRefused
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.domain.plugin_metadata import BrokenPlugin, PluginMetadata
from toru.domain.plugin_probe import (
    PROBE_OUTPUT_BYTES,
    PROBE_TIMEOUT_S,
    ProbeOutcome,
    check_file,
    read_probe,
    refused_spawn,
)
from toru.domain.script_environment import clean_environment
from toru.domain.uuid7 import uuid7
from toru.errors import ToruError, Unavailable

PROBES_AT_A_TIME = 4
RUN_PREFIX = "probe-"
_STDERR_BYTES = 16 * 1024
_HUB_GONE_S = 10.0
_END_S = 10.0
"""How long the runner may take to end a probe, and to say so."""


class _Running:
    """One probe under way."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.stdout = bytearray()
        self.stderr = bytearray()
        self.timed_out = False
        self.overflowed = False
        self.ended: asyncio.Future[ExitReport] = loop.create_future()


class PluginProber(LoopActor):
    """Answers `Probe` with a plugin's metadata, or with why there is none."""

    def __init__(self, context: ActorContext, runner: Address) -> None:
        super().__init__(context)
        self._runner = runner
        self._places = asyncio.Semaphore(PROBES_AT_A_TIME)
        self._running: dict[str, _Running] = {}

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message."""
        match message:
            case Probe(file=file):
                return self._probe(file)
            case RunOutput():
                self._take_output(message)
            case RunExited(report=report):
                self._take_exit(report)
            case ProbeTimedOut(run_id=run_id):
                return self._time_out(run_id)
            case RunStarted() | RunProgress() | RunStage():
                return None
            case _:
                return super().on_receive(message)
        return None

    async def _probe(self, file: FoundFile) -> PluginMetadata:
        if file.trouble is not None:
            raise BrokenPlugin(file.trouble)
        check_file(file.facts)
        async with self._places:
            outcome = await self._run(file)
        if b'"settings"' in outcome.stdout:
            # What checks them is slow to import, which the loop need not wait for.
            return await asyncio.to_thread(read_probe, outcome, file.head)
        return read_probe(outcome, file.head)

    async def _run(self, file: FoundFile) -> ProbeOutcome:
        run_id = RUN_PREFIX + uuid7()
        running = self._running[run_id] = _Running(self.context.system.loop)
        try:
            await self._runner.ask(_spawn(run_id, self.context.name, file.program))
            self.timers.after(run_id, PROBE_TIMEOUT_S, ProbeTimedOut(run_id))
            report = await asyncio.wait_for(running.ended, PROBE_TIMEOUT_S + _END_S)
        except TimeoutError:
            raise Unavailable("The runner did not say how the probe has ended.") from None
        except SpawnRefused as error:
            machine = platform.machine()
            raise refused_spawn(error.code, error.sentence, file.head, machine) from None
        finally:
            self.timers.cancel(run_id)
            del self._running[run_id]
        with contextlib.suppress(ToruError):
            await self._runner.ask(ForgetRun(run_id))
        return ProbeOutcome(
            report.code,
            bytes(running.stdout),
            bytes(running.stderr),
            running.timed_out,
            running.overflowed,
        )

    def _take_output(self, output: RunOutput) -> None:
        running = self._running.get(output.id)
        if running is None:
            return
        if output.is_stderr:
            running.stderr += output.data
            del running.stderr[:-_STDERR_BYTES]
            return
        running.stdout += output.data
        if len(running.stdout) > PROBE_OUTPUT_BYTES and not running.overflowed:
            running.overflowed = True
            del running.stdout[PROBE_OUTPUT_BYTES:]
            self.background(self._end(output.id))

    def _take_exit(self, report: ExitReport) -> None:
        running = self._running.get(report.id)
        if running is not None and not running.ended.done():
            running.ended.set_result(report)

    async def _time_out(self, run_id: str) -> None:
        running = self._running.get(run_id)
        if running is not None:
            running.timed_out = True
            await self._end(run_id)

    async def _end(self, run_id: str) -> None:
        with contextlib.suppress(ToruError):
            await self._runner.ask(CancelRun(run_id, 0.0))


def _spawn(run_id: str, owner: str, path: str) -> SpawnRun:
    return SpawnRun(
        id=run_id,
        owner=owner,
        argv=(path, "--metadata"),
        cwd="/",
        env=clean_environment(os.environ),
        directory=None,
        output_limit_bytes=None,  # what it complains must not use up what it may say
        hub_gone_s=_HUB_GONE_S,
    )
