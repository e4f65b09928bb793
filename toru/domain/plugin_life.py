"""The words of a plugin's life: its state, what happens to it, and what is to be done.

Runs on: any thread; pure. ``toru.domain.plugin_lifecycle`` decides with them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from toru.domain.plugin_metadata import BrokenPlugin
from toru.errors import BadGateway, Conflict, NotFound, ToruError, Unavailable

Phase = Literal[
    "discovered",
    "starting",
    "ready",
    "unhealthy",
    "backoff",
    "stopping",
    "stopped",
    "disabled",
    "broken",
]
Wish = Literal["enable", "disable", "restart"]
EventType = Literal["started", "stopped", "crashed", "restarted", "disabled", "enabled"]
"""The values of ``plugin_events.event_type``."""

TimerKind = Literal[
    "start", "retire", "goaway", "shutdown", "terminate", "kill", "backoff", "healthy"
]
"""``start``: until it must be ready; ``retire``: until all that was asked of it is answered;
``goaway`` to ``kill``: until the next, harder step of a stop; ``backoff``: until the next start;
``healthy``: until its failures are forgotten."""

RefusalCode = Literal[
    "superseded",
    "disabled",
    "broken_plugin",
    "start_failed",
    "needs_configuration",
    "removed",
    "shutting_down",
]


class Ask(msgspec.Struct, frozen=True):
    """Somebody who waits for an answer.

    Attributes:
        wish: what was asked.
        token: whom to answer; the caller's own name for it.
    """

    wish: Wish
    token: str


class PluginState(msgspec.Struct, frozen=True):
    """Where a plugin is in its life.

    Attributes:
        phase: the step.
        enabled: the wish that is persisted.
        protocol: the version that its newest metadata choose.
        process: ``none``; ``spawning`` from the instruction to its answer; ``alive`` until the
            whole tree is gone.
        spawn: the number of the last spawn; 0 before the first.
        speaks: the version that the present process speaks.
        pid: of the present process.
        was_ready: the present process has been ready.
        spawned_at: monotonic seconds.
        start_deadline: monotonic seconds; when it must be ready.
        healthy_since: monotonic seconds; None while it is not ready.
        failures: in a row.
        restarts: starts that a pause after a failure has led to, whether it got ready or not.
        misses: pings without an answer, in a row.
        degraded: it says itself that it is not well; that never restarts it.
        timer: the one that runs; every phase has at most one.
        serial: the number of the timer that was armed last.
        fault: why the process is being ended, when that is its own fault.
        again: it was up before, and its next start is a restart.
        broken: why its file cannot be used.
        removed: its file is gone, or another version has its place.
        trial: it is a new version beside the one that serves, which must get ready at once; its
            failure is no failure of the plugin.
        shutting_down: the hub goes away.
        reason: what to tell people who look at it, one sentence.
        asks: who waits for an answer.
    """

    phase: Phase = "discovered"
    enabled: bool = True
    protocol: int = 1
    process: Literal["none", "spawning", "alive"] = "none"
    spawn: int = 0
    speaks: int = 1
    pid: int | None = None
    was_ready: bool = False
    spawned_at: float = 0.0
    start_deadline: float = 0.0
    healthy_since: float | None = None
    failures: int = 0
    restarts: int = 0
    misses: int = 0
    degraded: bool = False
    timer: TimerKind | None = None
    serial: int = 0
    fault: str | None = None
    again: bool = False
    broken: str | None = None
    removed: bool = False
    trial: bool = False
    shutting_down: bool = False
    reason: str | None = None
    asks: tuple[Ask, ...] = ()

    @property
    def takes_requests(self) -> bool:
        """Whether HTTP requests may be sent to the process."""
        return self.phase in ("ready", "unhealthy")

    @property
    def health(self) -> Literal["healthy", "unhealthy", "disabled"]:
        """The word of the API."""
        if not self.enabled:
            return "disabled"
        return "healthy" if self.phase == "ready" else "unhealthy"

    @property
    def is_gone(self) -> bool:
        """Whether nothing of it runs or is going to without a further event."""
        return self.process == "none" and self.timer is None


# Events. Those about a process carry the number of its spawn; others' are ignored.


class Boot(msgspec.Struct, frozen=True):
    """The hub has started and knows the plugin; the first event of every life.

    Attributes:
        leftover: a process of an earlier hub still runs and has to go first. Its end is
            ``Exited(0, …)``.
    """

    leftover: bool = False


class Enable(msgspec.Struct, frozen=True):
    """Somebody wants it to run, now and after every start of the hub."""

    token: str


class Disable(msgspec.Struct, frozen=True):
    """Somebody wants it not to run."""

    token: str


class Restart(msgspec.Struct, frozen=True):
    """Somebody wants a fresh process, at once and whatever has failed before."""

    token: str


class Spawned(msgspec.Struct, frozen=True):
    """The runner has started the process. Every ``Spawn`` ends in this or ``SpawnRefused``."""

    spawn: int
    pid: int


class SpawnRefused(msgspec.Struct, frozen=True):
    """The runner could not start it; there is no process."""

    spawn: int
    sentence: str


class BecameReady(msgspec.Struct, frozen=True):
    """It takes requests: version 1 was connected to and sent ``init``, version 2 said ``ready``."""

    spawn: int


class StartExtended(msgspec.Struct, frozen=True):
    """It asks for more time to start: ready within ``extend_s`` from now."""

    spawn: int
    extend_s: float


class ConnectionLost(msgspec.Struct, frozen=True):
    """Its socket is gone, its connection closed, or it broke the protocol.

    Attributes:
        sentence: why, with "It" for the plugin.
    """

    spawn: int
    sentence: str


class PingMissed(msgspec.Struct, frozen=True):
    """A ping (version 2) or probe (version 1) had no answer in time."""

    spawn: int


class Healthy(msgspec.Struct, frozen=True):
    """It answers again."""

    spawn: int


class HealthReported(msgspec.Struct, frozen=True):
    """Its answer to ``health``, when it offers that."""

    spawn: int
    degraded: bool
    text: str = ""


class Drained(msgspec.Struct, frozen=True):
    """After ``SendGoaway``: no request or call is open any more."""

    spawn: int


class ShutdownUnsent(msgspec.Struct, frozen=True):
    """The ``shutdown`` message could not be delivered."""

    spawn: int


class Exited(msgspec.Struct, frozen=True):
    """The process has ended and nothing is left of its tree.

    Attributes:
        code: the exit code; negative is the signal; None when nobody knows.
        detail: more sentences after a space, such as ``plugin_probe.last_words`` makes.
    """

    spawn: int
    code: int | None
    detail: str = ""


class TimerFired(msgspec.Struct, frozen=True):
    """A timer has run down; one that has been replaced in the meantime is ignored."""

    kind: TimerKind
    serial: int


class BinaryChanged(msgspec.Struct, frozen=True):
    """Another file has taken the place of its own, or its own is back; it has been probed."""

    protocol: int


class BrokenFound(msgspec.Struct, frozen=True):
    """Its file cannot be used."""

    reason: str


class Removed(msgspec.Struct, frozen=True):
    """Its file is gone."""


class Adopted(msgspec.Struct, frozen=True):
    """The version on trial has taken the plugin's place; from now on it lives as any other."""


class Superseded(msgspec.Struct, frozen=True):
    """Another version has taken its place: it gets no new requests, and ends after those it has."""


class Quiet(msgspec.Struct, frozen=True):
    """After ``AwaitQuiet``: nobody waits for an answer of it any more."""

    spawn: int


class Shutdown(msgspec.Struct, frozen=True):
    """The hub goes away; the wish for the next start stays what it is."""


ProcessEvent = (
    Spawned
    | SpawnRefused
    | BecameReady
    | StartExtended
    | ConnectionLost
    | PingMissed
    | Healthy
    | HealthReported
    | Quiet
    | Drained
    | ShutdownUnsent
    | Exited
)
Event = (
    Boot
    | Enable
    | Disable
    | Restart
    | ProcessEvent
    | TimerFired
    | BinaryChanged
    | BrokenFound
    | Removed
    | Adopted
    | Superseded
    | Shutdown
)


# Instructions


class Spawn(msgspec.Struct, frozen=True):
    """Have the runner start the process; answer with ``Spawned`` or ``SpawnRefused``."""

    spawn: int
    protocol: int


class Connect(msgspec.Struct, frozen=True):
    """Connect to its socket as soon as it listens, and begin the protocol."""

    spawn: int
    protocol: int


class Disconnect(msgspec.Struct, frozen=True):
    """Close every connection to it."""


class AwaitQuiet(msgspec.Struct, frozen=True):
    """Say ``Quiet`` when nobody waits for an answer of it any more."""

    spawn: int


class SendGoaway(msgspec.Struct, frozen=True):
    """Send ``goaway``; say ``Drained`` when nothing is open any more."""


class SendShutdown(msgspec.Struct, frozen=True):
    """Send ``shutdown``; say ``ShutdownUnsent`` when that cannot be."""


class Terminate(msgspec.Struct, frozen=True):
    """SIGTERM to its process group."""


class Kill(msgspec.Struct, frozen=True):
    """SIGKILL to its whole tree."""


class ArmTimer(msgspec.Struct, frozen=True):
    """Say ``TimerFired(kind, serial)`` after ``delay_s`` seconds."""

    kind: TimerKind
    delay_s: float
    serial: int


class CancelTimer(msgspec.Struct, frozen=True):
    """The timer is not needed any more."""

    kind: TimerKind


class FailWaiting(msgspec.Struct, frozen=True):
    """Answer every waiting request with 502 and ``sentence``."""

    sentence: str


class RecordEvent(msgspec.Struct, frozen=True):
    """Store a row of ``plugin_events``."""

    event_type: EventType
    details: dict[str, Any]


class PersistEnabled(msgspec.Struct, frozen=True):
    """Write the wish down, before anybody is answered."""

    enabled: bool


class Refusal(msgspec.Struct, frozen=True):
    """Why somebody does not get what was asked."""

    code: RefusalCode
    sentence: str


class Answer(msgspec.Struct, frozen=True):
    """Answer whoever asked: it is so (ready, or gone), or why not.

    Attributes:
        ask: who.
        refusal: None when it is so.
    """

    ask: Ask
    refusal: Refusal | None = None


class LogLine(msgspec.Struct, frozen=True):
    """A line for the supervisor's log."""

    level: Literal["info", "warning", "error"]
    message: str


class TellManager(msgspec.Struct, frozen=True):
    """What people see of it has changed."""


class Dispose(msgspec.Struct, frozen=True):
    """Its file is gone and so is everything else of it; forget it."""


Instruction = (
    Spawn
    | Connect
    | Disconnect
    | AwaitQuiet
    | SendGoaway
    | SendShutdown
    | Terminate
    | Kill
    | ArmTimer
    | CancelTimer
    | FailWaiting
    | RecordEvent
    | PersistEnabled
    | Answer
    | LogLine
    | TellManager
    | Dispose
)


def refusal_error(refusal: Refusal) -> ToruError:
    """Return the error that answers an ask."""
    match refusal.code:
        case "broken_plugin":
            return BrokenPlugin(refusal.sentence)
        case "removed":
            return NotFound(refusal.sentence)
        case "start_failed" | "needs_configuration":
            return BadGateway(refusal.sentence, code=refusal.code)
        case "shutting_down":
            return Unavailable(refusal.sentence, code=refusal.code)
        case "superseded" | "disabled":
            return Conflict(refusal.sentence, code=refusal.code)


def request_error(state: PluginState) -> ToruError | None:
    """Return why a request cannot be forwarded now: 404 or 503; None when it can."""
    if state.takes_requests:
        return None
    if state.removed or state.phase in ("disabled", "broken") or not state.enabled:
        return NotFound("This plugin is disabled.", code="plugin_disabled")
    if state.phase == "backoff":
        return Unavailable("The plugin has failed and is started again soon.", code="plugin_down")
    if state.phase in ("stopping", "stopped"):
        return Unavailable("The plugin is being stopped.", code="plugin_stopping")
    return Unavailable("The plugin is being started.", code="plugin_starting")
