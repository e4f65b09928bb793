"""Policy as data: what a supervisor starts, and how it treats its end.

Runs on: any thread; pure.
"""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import msgspec

from toru.actors.runtime.loop_actor import LoopActor
from toru.actors.runtime.thread_actor import ThreadActor
from toru.domain.restart_budget import RestartBudget


class Restart(enum.Enum):
    """When a child is replaced (the names are Erlang/OTP's)."""

    PERMANENT = "permanent"
    """Always, unless its supervisor stops it."""

    TRANSIENT = "transient"
    """Only after a crash; a ``SystemExit`` is none."""

    TEMPORARY = "temporary"
    """Never."""


class ChildSpec(msgspec.Struct, frozen=True):
    """Policy as data: what to start and how to treat its end.

    Attributes:
        name: the name in the directory.
        factory: called as ``factory(context, *args, **kwargs)``; mostly the actor's class.
        args: further positional arguments.
        kwargs: keyword arguments.
        restart: when it is replaced.
        shutdown_s: seconds it has for its stop before it is given up.
        budget: how many restarts are tolerated in which time.
    """

    name: str
    factory: Callable[..., LoopActor | ThreadActor]
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = {}
    restart: Restart = Restart.PERMANENT
    shutdown_s: float = 5.0
    budget: RestartBudget = RestartBudget()
