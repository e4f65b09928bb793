"""Ending runs of plugins that no actor looks after.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import contextlib

from toru.actors.messages.runner import CancelRun, FollowRun, ForgetRun, ListRunIds
from toru.actors.runtime import Address
from toru.clock import monotonic
from toru.errors import ToruError

RUN_PREFIX = "plugin-"
"""A run is named ``plugin-<id>.<uuid>``; of a version that was started beside another one
``plugin-<id>_<number>.<uuid>``, after its actor ``plugin/<id>_<number>``."""

_GONE_S = 5.0
_POLL_S = 0.02


def plugin_of(run_id: str) -> str:
    """Return the plugin that a run is of."""
    return tag_of(run_id).partition("_")[0]


def tag_of(run_id: str) -> str:
    """Return the name of the actor of a run, without ``plugin/``."""
    return run_id.removeprefix(RUN_PREFIX).rpartition(".")[0]


async def runs_of(runner: Address, plugin_id: str) -> list[str]:
    """Return the runs of a plugin that the runner knows, the newest first. Unavailable."""
    found = await runner.ask(ListRunIds(f"{RUN_PREFIX}{plugin_id}"))
    own = (run_id for run_id in found if plugin_of(run_id) == plugin_id)
    return sorted(own, key=lambda run_id: run_id.rpartition(".")[2], reverse=True)


async def end_run(runner: Address, run_id: str, owner: str) -> None:
    """Kill the whole tree of a run and return when it is gone, after some seconds at the latest.

    Args:
        runner: the link to the runner.
        run_id: the run.
        owner: the name of the actor that is told of its end.
    """
    deadline = monotonic() + _GONE_S
    with contextlib.suppress(ToruError):
        await runner.ask(CancelRun(run_id, 0.0))
        while monotonic() < deadline:
            status = await runner.ask(FollowRun(run_id, owner))
            if status is None or status.exit is not None:
                break
            await asyncio.sleep(_POLL_S)
        await runner.ask(ForgetRun(run_id))
