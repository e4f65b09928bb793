"""Names that survive a restart: an `Address` finds whichever actor bears the name now.

Runs on: any thread.
"""

from __future__ import annotations

from typing import Any, TypeVar

import pykka

from toru.actors.runtime.future import Reply
from toru.actors.runtime.mailbox import ActorStopped, LoopMailbox, ThreadMailbox
from toru.actors.runtime.message import Message
from toru.actors.runtime.statistics import ActorStatistics, Meter
from toru.errors import ToruError

R = TypeVar("R")

DEADLINE_S = 10.0
"""How long an ask waits when it does not say otherwise."""


class Entry:
    """What the directory knows of one name."""

    __slots__ = ("actor_class", "flavour", "meter", "parent", "ref", "state")

    def __init__(self, parent: str) -> None:
        self.parent = parent
        self.meter = Meter()
        self.state = "starting"
        self.ref: pykka.ActorRef[Any] | None = None
        self.actor_class = ""
        self.flavour = ""


class Directory:
    """The names of one system."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}

    def add(self, name: str, parent: str) -> Entry:
        """Reserve a name.

        Raises:
            ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"There is an actor named {name!r} already.")
        entry = self._entries[name] = Entry(parent)
        return entry

    def remove(self, name: str) -> None:
        """Give a name back."""
        self._entries.pop(name, None)

    def names(self) -> list[str]:
        """Return the names that are in use."""
        return list(self._entries)

    def find(self, name: str) -> pykka.ActorRef[Any]:
        """Return the actor that bears the name now.

        Raises:
            ActorStopped: there is none, or it is being replaced.
        """
        entry = self._entries.get(name)
        if entry is None or entry.ref is None:
            raise ActorStopped(f"{name} is not running.")
        return entry.ref

    def statistics(self) -> list[ActorStatistics]:
        """Return the figures of every name, in the order of their first start."""
        return [_statistics(name, entry) for name, entry in list(self._entries.items())]


class Address:
    """Where to send messages to; it stays right when the actor behind the name is replaced.

    Attributes:
        name: the name in the directory.
    """

    __slots__ = ("_directory", "name")

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory = directory
        self.name = name

    def __repr__(self) -> str:
        return f"<Address {self.name}>"

    def tell(self, message: Message[Any]) -> None:
        """Send a message that needs no answer. Any thread.

        Raises:
            ActorUnavailable: there is no such actor now.
            MailboxFull: it has more to do than it takes.
        """
        try:
            self._directory.find(self.name).tell(message)
        except ToruError:
            raise
        except pykka.ActorDeadError as error:
            raise ActorStopped(f"{self.name} is not running.") from error

    def ask(self, message: Message[R], *, deadline_s: float = DEADLINE_S) -> Reply[R]:
        """Send a message at once and return the reply to await. Any thread.

        Args:
            message: the message, typed by its reply.
            deadline_s: seconds after which an ``await`` raises `DeadlineExceeded`.

        The reply raises what the actor answered: a ``ToruError``; `ActorUnavailable` and
        `MailboxFull` when the message could not be delivered.
        """
        reply: Reply[R] = Reply(deadline_s=deadline_s, asked=self.name)
        try:
            ref = self._directory.find(self.name)
            if not ref.is_alive():
                raise ActorStopped(f"{self.name} is not running.")
            ref.actor_inbox.put(_envelope(message, reply))
        except ToruError as error:
            reply.settle_exception(error)
        return reply


def _statistics(name: str, entry: Entry) -> ActorStatistics:
    meter = entry.meter
    inbox = entry.ref.actor_inbox if entry.ref is not None else None
    bounded = isinstance(inbox, LoopMailbox | ThreadMailbox)
    return ActorStatistics(
        name=name,
        actor=entry.actor_class,
        parent=entry.parent,
        flavour=entry.flavour,
        state=entry.state,
        mailbox_depth=len(inbox) if bounded else 0,  # type: ignore[arg-type]  # checked: bounded
        mailbox_limit=entry.ref.actor_class.mailbox_limit if entry.ref and bounded else 0,
        peak_depth=meter.peak_depth,
        handled=meter.handled,
        busy_s=round(meter.busy_s, 6),
        refused=meter.refused,
        dropped=meter.dropped,
        restarts=meter.restarts,
        last_error=meter.last_error,
    )


_envelope = pykka._envelope.Envelope  # pykka has no public name for what an inbox holds
