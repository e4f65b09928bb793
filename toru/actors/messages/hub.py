"""What the Hub and the WebSocket clients are told and asked.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from toru.actors.messages.auth import Session
from toru.actors.runtime import Message
from toru.domain.plugin_topics import EMITTED

Topic = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(resources|tasks|plugins|plugin-states|plugin-logs|actors"
        r"|plugin-emitted/[A-Za-z0-9-]{1,64})$"
    ),
]


def whole_of(topic: Topic) -> Topic:
    """Return the topic that a topic is a part of; most are their own whole.

    What is published on a part reaches those who are subscribed to the whole under the whole's
    name, and under no other, so that nobody gets anything twice.
    """
    is_part = topic in ("plugin-states", "plugin-logs") or topic.startswith(EMITTED)
    return "plugins" if is_part else topic


class Publish(Message[None], frozen=True):
    """Send an event to every client that is subscribed to the topic and may see it.

    Attributes:
        topic: what it is about.
        data: the ``data`` of the event, as JSON.
        owner_id: with ``owned``, only the admin and this user get it.
        owned: whether the event belongs to one user.
        admin_only: whether only admins get it.
        clients_only: whether admins do not get it, because they get another one.
    """

    topic: Topic
    data: msgspec.Raw
    owner_id: int | None = None
    owned: bool = False
    admin_only: bool = False
    clients_only: bool = False


class SessionsEnded(Message[None], frozen=True):
    """These sessions have ended: their connections are closed with 4401."""

    ids: tuple[str, ...]


class Join(Message[None], frozen=True):
    """A client is there: the name of its actor, and the session that it came with."""

    name: str
    session: Session


class Leave(Message[None], frozen=True):
    """A client is gone."""

    name: str


class Subscribe(Message[None], frozen=True):
    """A client wants the events of topics."""

    name: str
    topics: tuple[Topic, ...]


class Unsubscribe(Message[None], frozen=True):
    """A client no longer wants the events of topics."""

    name: str
    topics: tuple[Topic, ...]


class CountSubscribers(Message[int], frozen=True):
    """How many clients are subscribed to a topic."""

    topic: Topic


# For a Client


class Received(Message[None], frozen=True):
    """A text frame came in."""

    text: str


class Push(Message[None], frozen=True):
    """Send this text frame, already encoded."""

    frame: bytes


class EndSession(Message[None], frozen=True):
    """The session has ended: say so and close with 4401."""
