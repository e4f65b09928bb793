"""The Hub: events go to the clients that are subscribed to their topic and may see them.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import Any

import msgspec

from toru.actors.messages.auth import Session
from toru.actors.messages.hub import (
    CountSubscribers,
    EndSession,
    Join,
    Leave,
    Publish,
    Push,
    SessionsEnded,
    Subscribe,
    Topic,
    Unsubscribe,
    whole_of,
)
from toru.actors.messages.monitor import WatchResources
from toru.actors.messages.tasks import TaskReplaced
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.domain.permissions import owns
from toru.errors import BadRequest, Forbidden, Unavailable

ADMIN_TOPICS: frozenset[Topic] = frozenset({"actors", "plugin-logs"})
ACTORS_INTERVAL_S = 1.0
MAX_TOPICS = 64
"""Topics of one connection; there is one for each plugin that emits something."""


class _Event(msgspec.Struct, frozen=True):
    topic: Topic
    data: msgspec.Raw
    type: str = "event"


class _PublishActors(Message[None], frozen=True):
    """Publish the figures of the actors."""


class Member:
    """A client: whose it is and what it wants to hear of."""

    __slots__ = ("session", "topics")

    def __init__(self, session: Session) -> None:
        self.session = session
        self.topics: set[Topic] = set()

    def hears(self, topic: Topic) -> Topic | None:
        """Return the name under which it hears of a topic; None when it does not."""
        whole = whole_of(topic)
        if whole in self.topics:
            return whole
        return topic if topic in self.topics else None


Members = dict[str, Member]
"""Clients by the name of their actor. The composition root hands it to the Hub, so that who is
subscribed survives a restart of the actor; nobody else touches it."""


class Hub(LoopActor):
    """Knows every WebSocket client and its subscriptions."""

    mailbox_limit = 20_000

    def __init__(self, context: ActorContext, members: Members, monitor: Address) -> None:
        super().__init__(context)
        self._members = members
        self._monitor = monitor

    def on_start(self) -> None:
        """Take up what an earlier Hub of this name did."""
        for topic in {topic for member in self._members.values() for topic in member.topics}:
            self._watch(topic)

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message."""
        match message:
            case Publish():
                self._publish(message)
            case Join(name=name, session=session):
                self._members[name] = Member(session)
            case Leave(name=name):
                self._forget(name)
            case Subscribe(name=name, topics=topics):
                self._subscribe(name, topics)
            case Unsubscribe(name=name, topics=topics):
                self._unsubscribe(name, topics)
            case SessionsEnded(ids=ids):
                self._end_sessions(ids)
            case TaskReplaced():
                for name in tuple(self._members):
                    self._tell(name, message)
            case CountSubscribers(topic=topic):
                return self._count(topic)
            case _PublishActors():
                self._publish_actors()
            case _:
                return super().on_receive(message)
        return None

    def _publish(self, event: Publish) -> None:
        frames: dict[Topic, bytes] = {}
        for name, member in tuple(self._members.items()):
            topic = member.hears(event.topic)
            if topic is None:
                continue
            if event.owned and not owns(member.session, event.owner_id):
                continue
            if event.clients_only if member.session.is_admin else event.admin_only:
                continue
            if topic not in frames:
                frames[topic] = msgspec.json.encode(_Event(topic, event.data))
            self._tell(name, Push(frames[topic]))

    def _publish_actors(self) -> None:
        directory = self.context.system.directory
        figures = directory.statistics()
        directory.begin_window()
        self._publish(Publish("actors", msgspec.Raw(msgspec.json.encode(figures))))

    def _subscribe(self, name: str, topics: tuple[Topic, ...]) -> None:
        member = self._members.get(name)
        if member is None:
            return
        if not member.session.is_admin and ADMIN_TOPICS.intersection(topics):
            raise Forbidden("Only an admin may subscribe to this topic.")
        if len(member.topics.union(topics)) > MAX_TOPICS:
            raise BadRequest(f"A connection may subscribe to {MAX_TOPICS} topics at most.")
        for topic in topics:
            member.topics.add(topic)
            self._watch(topic)

    def _unsubscribe(self, name: str, topics: tuple[Topic, ...]) -> None:
        member = self._members.get(name)
        if member is not None:
            member.topics.difference_update(topics)
            self._rest(topics)

    def _forget(self, name: str) -> None:
        member = self._members.pop(name, None)
        if member is not None:
            self._rest(tuple(member.topics))

    def _watch(self, topic: Topic) -> None:
        """See to it that a topic's events are made, now that somebody listens."""
        if topic == "resources":
            self._tell_monitor(on=True)
        elif topic == "actors":
            if self._count(topic) <= 1:
                self.context.system.directory.begin_window()
            self.timers.every("actors", ACTORS_INTERVAL_S, _PublishActors())

    def _rest(self, topics: tuple[Topic, ...]) -> None:
        """Make no events of topics that nobody listens to any more."""
        if "resources" in topics and not self._count("resources"):
            self._tell_monitor(on=False)
        if "actors" in topics and not self._count("actors"):
            self.timers.cancel("actors")

    def _count(self, topic: Topic) -> int:
        """Return how many hear of a topic and may."""
        return sum(
            member.hears(topic) is not None
            and (member.session.is_admin or topic not in ADMIN_TOPICS)
            for member in self._members.values()
        )

    def _end_sessions(self, ids: tuple[str, ...]) -> None:
        ended = frozenset(ids)
        for name, member in tuple(self._members.items()):
            if member.session.id in ended:
                self._tell(name, EndSession())

    def _tell(self, name: str, message: Message[Any]) -> None:
        try:
            self.context.system.address(name).tell(message)
        except Unavailable:
            return  # it is on its way out, and says so itself

    def _tell_monitor(self, *, on: bool) -> None:
        try:
            self._monitor.tell(WatchResources(on))
        except Unavailable:
            return  # the monitor asks who listens when it is there again
