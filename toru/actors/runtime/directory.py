"""Names that survive a restart: an `Address` finds whichever actor bears the name now.

Runs on: any thread.
"""

from __future__ import annotations

from typing import Any, TypeVar

import pykka
from pykka._envelope import Envelope  # pykka has no public name for what an inbox holds

from toru.actors.runtime.future import Reply
from toru.actors.runtime.mailbox import ActorStopped, Mailbox
from toru.actors.runtime.message import Message
from toru.actors.runtime.statistics import ActorStatistics, Meter

R = TypeVar("R")

DEADLINE_S = 10.0
"""How long an ask waits when it does not say otherwise."""


class Entry:
    """What the directory knows of one name, for as long as the name is in use.

    Once removed from the directory it is never bound again, so an address may keep the entry that
    it found: ``mailbox`` is None as soon as it has to look again.
    """

    __slots__ = ("actor_class", "flavour", "mailbox", "meter", "parent", "ref", "state")

    def __init__(self, parent: str) -> None:
        self.parent = parent
        self.meter = Meter()
        self.state = "starting"
        self.ref: pykka.ActorRef[Any] | None = None
        self.mailbox: Mailbox | None = None
        self.actor_class = ""
        self.flavour = ""

    def bind(self, ref: pykka.ActorRef[Any], actor_class: str, flavour: str) -> None:
        """Give the name to a new actor."""
        self.actor_class = actor_class
        self.flavour = flavour
        self.state = "starting"
        self.ref = ref
        inbox = ref.actor_inbox
        assert isinstance(inbox, Mailbox)
        self.mailbox = inbox

    def note_started(self, ref: pykka.ActorRef[Any]) -> None:
        """Say that ``on_start`` is done, on any thread, if this actor still bears the name."""
        if self.ref is ref and self.state == "starting" and ref.is_alive():
            self.state = "running"

    def unbind(self) -> None:
        """Take the name from an actor that has ended."""
        self.ref = None
        self.mailbox = None


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

    def entry(self, name: str) -> Entry | None:
        """Return what is known of a name, if it is in use."""
        return self._entries.get(name)

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

    def begin_window(self) -> None:
        """Let the recent peaks of all names begin anew; for the one who publishes them."""
        for entry in list(self._entries.values()):
            entry.meter.begin_window(_depth(entry.mailbox))


_NOWHERE = Entry("")
"""What an address has found before it looked."""


class Address:
    """Where to send messages to; it stays right when the actor behind the name is replaced.

    Attributes:
        name: the name in the directory.
    """

    __slots__ = ("_directory", "_entry", "name")

    def __init__(self, directory: Directory, name: str) -> None:
        self._directory = directory
        self._entry = _NOWHERE
        self.name = name

    def __repr__(self) -> str:
        return f"<Address {self.name}>"

    def tell(self, message: Message[Any]) -> None:
        """Send a message that needs no answer. Any thread.

        Raises:
            ActorUnavailable: there is no such actor now.
            MailboxFull: it has more to do than it takes.
        """
        mailbox = self._entry.mailbox
        if mailbox is None:
            mailbox = self._find()
        mailbox.tell(message)

    def ask(self, message: Message[R], *, deadline_s: float = DEADLINE_S) -> Reply[R]:
        """Send a message at once and return the reply to await. Any thread.

        Args:
            message: the message, typed by its reply.
            deadline_s: seconds from now after which waiting raises `DeadlineExceeded`.

        The reply raises what the actor answered: a ``ToruError``; `ActorUnavailable` and
        `MailboxFull` when the message could not be delivered.
        """
        reply: Reply[R] = Reply(deadline_s=deadline_s, asked=self.name)
        mailbox = self._entry.mailbox
        if mailbox is None:
            try:
                mailbox = self._find()
            except ActorStopped as error:
                reply.settle_exception(error)
                return reply
        mailbox.put(Envelope(message, reply))
        reply.hurry = mailbox.hurry
        return reply

    def _find(self) -> Mailbox:
        entry = self._directory.entry(self.name)
        if entry is None or entry.mailbox is None:
            raise ActorStopped(f"{self.name} is not running.")
        self._entry = entry
        return entry.mailbox


def _depth(mailbox: Mailbox | None) -> int:
    return 0 if mailbox is None else len(mailbox)


def _statistics(name: str, entry: Entry) -> ActorStatistics:
    meter = entry.meter
    mailbox = entry.mailbox
    return ActorStatistics(
        name=name,
        actor=entry.actor_class,
        parent=entry.parent,
        flavour=entry.flavour,
        state=entry.state,
        mailbox_depth=_depth(mailbox),
        mailbox_limit=0 if mailbox is None else mailbox.limit,
        peak_depth=max(meter.peak_depth, meter.recent_peak),
        recent_peak=meter.recent_peak,
        handled=meter.handled,
        busy_s=round(meter.busy_s, 6),
        refused=meter.refused,
        dropped=meter.dropped,
        restarts=meter.restarts,
        last_error=meter.last_error,
    )
