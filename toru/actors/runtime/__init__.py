"""The pykka seam: two flavours of actor, addresses that survive restarts, and supervision.

What this adds to pykka, and no more: awaitable replies, bounded mailboxes, names, timers,
supervision with restart budgets, and a live picture of itself. ``docs/actors.md`` lists what
differs from pykka and what is the same; ``tests/actors`` holds both to it.
"""

from toru.actors.runtime.actor import ActorContext, Delivery
from toru.actors.runtime.child_spec import ChildSpec, Restart
from toru.actors.runtime.children import Children
from toru.actors.runtime.directory import Address, Directory
from toru.actors.runtime.future import Reply, WouldBlockLoop
from toru.actors.runtime.loop_actor import LoopActor
from toru.actors.runtime.mailbox import ActorStopped, Overflow
from toru.actors.runtime.message import Message
from toru.actors.runtime.statistics import ActorStatistics
from toru.actors.runtime.supervisor import Supervisor
from toru.actors.runtime.system import ActorSystem
from toru.actors.runtime.thread_actor import ThreadActor
from toru.actors.runtime.timers import Timers

__all__ = [
    "ActorContext",
    "ActorStatistics",
    "ActorStopped",
    "ActorSystem",
    "Address",
    "ChildSpec",
    "Children",
    "Delivery",
    "Directory",
    "LoopActor",
    "Message",
    "Overflow",
    "Reply",
    "Restart",
    "Supervisor",
    "ThreadActor",
    "Timers",
    "WouldBlockLoop",
]
