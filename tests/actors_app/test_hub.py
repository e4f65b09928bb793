"""The Hub: who hears of what, under which name, and how often.

Runs on: the test's event loop.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec
import pytest

from toru.actors.hub import Hub
from toru.actors.messages.auth import Session
from toru.actors.messages.hub import (
    CountSubscribers,
    Join,
    Publish,
    Push,
    Subscribe,
    Topic,
    Unsubscribe,
)
from toru.actors.runtime import ActorContext, ActorSystem, Address, ChildSpec, LoopActor, Message
from toru.errors import Forbidden

Heard = list[tuple[str, str]]


class Flush(Message[None], frozen=True):
    """Answered once everything that was told before is there."""


class Listener(LoopActor):
    """A client that keeps the topic and the data of each event."""

    def __init__(self, context: ActorContext, heard: Heard) -> None:
        super().__init__(context)
        self._heard = heard

    def on_receive(self, message: Message[Any]) -> None:
        """Keep an event."""
        if isinstance(message, Push):
            event = json.loads(message.frame)
            self._heard.append((event["topic"], event["data"]))


class Stage:
    """A Hub and its clients."""

    def __init__(self, system: ActorSystem, hub: Address) -> None:
        self.system = system
        self.hub = hub
        self.clients: list[Address] = []

    async def join(self, name: str, role: Literal["admin", "client"], *topics: Topic) -> Heard:
        """Start a client and return what it hears from now on."""
        heard: Heard = []
        self.clients.append(await self.system.spawn(ChildSpec(name, Listener, (heard,))))
        session = Session(name, 1, name, name, role, "2999-01-01T00:00:00.000Z")
        await self.hub.ask(Join(name, session))
        await self.hub.ask(Subscribe(name, topics))
        return heard

    async def publish(self, topic: Topic, data: str, **options: bool) -> None:
        """Publish something, and return when every client has what it gets of it."""
        self.hub.tell(Publish(topic, msgspec.Raw(msgspec.json.encode(data)), **options))
        await self.count(topic)
        for client in self.clients:
            await client.ask(Flush())

    async def count(self, topic: Topic) -> int:
        """Return how many hear of a topic; what the Hub was told before is done then."""
        return await self.hub.ask(CountSubscribers(topic))


@asynccontextmanager
async def on_stage() -> AsyncIterator[Stage]:
    """Start a Hub."""
    system = ActorSystem()
    try:
        yield Stage(system, await system.spawn(ChildSpec("hub", Hub, ({}, system.address("m")))))
    finally:
        await system.stop()


@pytest.mark.gen_test
async def test_the_whole_of_a_topic_has_its_parts_and_nobody_hears_anything_twice() -> None:
    async with on_stage() as stage:
        whole = await stage.join("whole", "admin", "plugins")
        part = await stage.join("part", "admin", "plugin-states")
        both = await stage.join("both", "admin", "plugin-states", "plugins", "plugin-logs")
        await stage.publish("plugin-states", "ready")
        await stage.publish("plugin-logs", "a line", admin_only=True)
        assert whole == [("plugins", "ready"), ("plugins", "a line")]
        assert part == [("plugin-states", "ready")]
        assert both == whole
        await stage.hub.ask(Unsubscribe("both", ("plugins",)))
        await stage.publish("plugin-states", "stopped")
        assert both[2:] == [("plugin-states", "stopped")]


@pytest.mark.gen_test
async def test_log_lines_are_for_admins_and_count_as_wanted_by_them_only() -> None:
    async with on_stage() as stage:
        client = await stage.join("client", "client", "plugins")
        assert await stage.count("plugin-logs") == 0
        await stage.publish("plugin-logs", "a line", admin_only=True)
        await stage.publish("plugin-states", "ready")
        assert client == [("plugins", "ready")]
        with pytest.raises(Forbidden):
            await stage.hub.ask(Subscribe("client", ("plugin-logs",)))
        await stage.join("states", "admin", "plugin-states")
        assert await stage.count("plugin-logs") == 0
        await stage.join("old", "admin", "plugins")
        await stage.join("new", "admin", "plugin-logs")
        assert await stage.count("plugin-logs") == 2
