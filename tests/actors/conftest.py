"""Stages for actors: a system on the test's own loop, and three flavours side by side.

Runs on: the test's main thread; a `Stage` of this runtime has its event loop on another.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import threading
from collections.abc import Iterator
from typing import Any

import pykka
import pytest
from tornado.ioloop import IOLoop

from toru.actors.runtime import ActorSystem, ChildSpec, LoopActor, Restart, ThreadActor

PATIENCE_S = 20.0


@pytest.fixture
def system(io_loop: IOLoop) -> Iterator[ActorSystem]:
    """Return an actor system on the test's loop; it is stopped after the test."""

    async def make() -> ActorSystem:
        return ActorSystem()

    made: ActorSystem = io_loop.run_sync(make)
    yield made
    io_loop.run_sync(made.stop, timeout=PATIENCE_S)


class Stage:
    """One flavour of actor, used as pykka's own actors are: by references, off the loop.

    Attributes:
        name: ``pykka``, ``loop`` or ``thread``.
        logger: where the flavour logs its failures.
    """

    name = "pykka"
    logger = "pykka"

    def __init__(self) -> None:
        self._others = set(threading.enumerate())
        self._closed = False

    def start(self, behaviour: type, *args: Any) -> pykka.ActorRef[Any]:
        """Start an actor that behaves as ``behaviour`` says."""
        base = type("Base", (pykka.ThreadingActor,), {"use_daemon_thread": True})
        return type(behaviour.__name__, (behaviour, base), {}).start(*args)

    def close(self) -> None:
        """Stop what the test has started and see its threads end. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._stop()
            for thread in set(threading.enumerate()) - self._others:
                thread.join(PATIENCE_S)

    def _stop(self) -> None:
        pykka.ActorRegistry.stop_all(timeout=PATIENCE_S)


class RuntimeStage(Stage):
    """A flavour of this runtime, in a system whose loop runs on a thread of its own."""

    logger = "toru.actors"

    def __init__(self, flavour: type[LoopActor] | type[ThreadActor]) -> None:
        super().__init__()
        self.name = "thread" if flavour is ThreadActor else "loop"
        self._flavour = flavour
        self._numbers = itertools.count(1)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="stage")
        self._thread.start()
        self.system: ActorSystem = self.run(self._make())

    @staticmethod
    async def _make() -> ActorSystem:
        return ActorSystem()

    def run(self, work: Any) -> Any:
        """Run a coroutine on the loop and return its result."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE_S)

    def start(self, behaviour: type, *args: Any) -> pykka.ActorRef[Any]:
        """Start an actor that behaves as ``behaviour`` says."""
        factory = type(behaviour.__name__, (behaviour, self._flavour), {})
        started: concurrent.futures.Future[pykka.ActorRef[Any]] = concurrent.futures.Future()

        def start() -> None:  # answers before the loop is held up by what the actor does
            name = f"actor-{next(self._numbers)}"
            self.system.root.start(ChildSpec(name, factory, args, restart=Restart.TEMPORARY))
            started.set_result(self.system.directory.find(name))

        self._loop.call_soon_threadsafe(start)
        return started.result(PATIENCE_S)

    def _stop(self) -> None:
        self.run(self.system.stop())
        self.run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_S)
        self._loop.close()


@pytest.fixture(params=["pykka", "loop", "thread"])
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    """Return each flavour in turn: pykka's own, and the two of this runtime."""
    made = {
        "pykka": Stage,
        "loop": lambda: RuntimeStage(LoopActor),
        "thread": lambda: RuntimeStage(ThreadActor),
    }[request.param]()
    yield made
    made.close()


@pytest.fixture(params=["loop", "thread"])
def our_stage(request: pytest.FixtureRequest) -> Iterator[RuntimeStage]:
    """Return the two flavours of this runtime in turn."""
    made = RuntimeStage(LoopActor if request.param == "loop" else ThreadActor)
    yield made
    made.close()


@pytest.fixture(params=["loop", "thread"])
def flavour(request: pytest.FixtureRequest) -> type[LoopActor] | type[ThreadActor]:
    """Return each class of actor in turn, for tests that run on the system's own loop."""
    return LoopActor if request.param == "loop" else ThreadActor
