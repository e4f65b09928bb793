"""What the plugin manager, the plugins' actors and their helpers are told and asked.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from toru.actors.messages.auth import Session
from toru.actors.messages.plugin_storage import KvPage
from toru.actors.messages.runner import RunStatus
from toru.actors.runtime import Message
from toru.domain.plugin_install import Pin
from toru.domain.plugin_metadata import PluginMetadata
from toru.domain.plugin_probe import FileFacts

Health = Literal["healthy", "unhealthy", "disabled"]


class FoundFile(msgspec.Struct, frozen=True):
    """A ``*.binary`` in the plugins folder.

    Attributes:
        name: the file's name.
        path: where it is, absolute, links not followed.
        facts: what the file system says of it.
        head: its first bytes.
        signature: differs when the file is another one or was written to.
        trouble: a sentence when it could not even be looked at.
        kept: where the copy is that an installed plugin runs from; None to run the file itself.
        pin: what an installed file is held to; None of one that was put there by hand.
    """

    name: str
    path: str
    facts: FileFacts
    head: bytes
    signature: tuple[int, ...]
    trouble: str | None = None
    kept: str | None = None
    pin: Pin | None = None

    @property
    def program(self) -> str:
        """What is executed."""
        return self.kept or self.path


class PluginFigures(msgspec.Struct, frozen=True):
    """The figures of one plugin since the hub's start.

    Attributes:
        cpu_percent: share of one core since the last look; None when it does not run.
        memory_bytes: resident memory of its process; None when it does not run.
        requests: requests that were forwarded to it.
        errors: those that the hub had to answer 5xx for it.
        latency_p50_ms: the median of its last 1,000 answers.
        latency_p99_ms: the 99th of 100 of them.
        restarts: how often it was started again after a failure, whether it got ready or not.
        uptime_s: seconds since it last got ready; None when it is not.
    """

    cpu_percent: float | None = None
    memory_bytes: int | None = None
    requests: int = 0
    errors: int = 0
    latency_p50_ms: float | None = None
    latency_p99_ms: float | None = None
    restarts: int = 0
    uptime_s: float | None = None


class PluginView(msgspec.Struct, frozen=True):
    """A plugin as the API shows it.

    Attributes:
        id: its identity; of a broken file that says none, the file's name without ``.binary``.
        state: a state of its lifecycle.
        reason: why it is broken, disabled or in trouble, for people.
        degraded: it says of itself that not all is well; it is not restarted for that.
        pid: its process; None for a client and when it does not run.
        socket_path: where it listens; None for a client.
        has_page: whether there is a bundle that draws its page in the dashboard: its file, or the
            plugin's word; None while that is not known.
        sandboxed: whether its page is shown in a sandbox: by its own wish, or by an admin's.
        sandbox_forced: whether an admin wants it so.
        has_settings: whether it declares settings.
        needs_settings: whether a setting that it requires has no value, or it has ended itself
            because it needs configuration.
        sha256: the checksum that its file is held to; None when it was put there by hand.
        installed_at: when it was installed, RFC 3339 UTC.
        previous_version: what a rollback would bring back.
    """

    id: str
    name: str
    version: str
    author: str | None
    icon: str | None
    route: str | None
    enabled: bool
    running: bool
    health: Health
    state: str
    reason: str | None
    degraded: bool
    file: str
    protocol: int | None
    pid: int | None
    socket_path: str | None
    has_page: bool | None
    figures: PluginFigures
    sandboxed: bool = False
    sandbox_forced: bool = False
    has_settings: bool = False
    needs_settings: bool = False
    sha256: str | None = None
    installed_at: str | None = None
    previous_version: str | None = None


# For the plugin manager


class ListPlugins(Message[list[PluginView]], frozen=True):
    """All plugins by name, the broken ones too (for an admin)."""

    session: Session


class GetPlugin(Message[PluginView], frozen=True):
    """One plugin. NotFound."""

    id: str
    session: Session


class EnablePlugin(Message[None], frozen=True):
    """Enable it; answered when it is ready. NotFound, Conflict when broken, `BadGateway`."""

    id: str


class DisablePlugin(Message[None], frozen=True):
    """Disable it; answered when its process is gone. NotFound."""

    id: str


class RestartPlugin(Message[None], frozen=True):
    """Restart it; answered when it is ready. NotFound, Conflict when disabled, `BadGateway`."""

    id: str


class PluginRequest(msgspec.Struct, frozen=True):
    """A browser's request, as far as a plugin gets to see it.

    Attributes:
        method: the HTTP method.
        target: raw, as it came: ``/<rest>?query``.
        headers: name and value pairs, filtered already.
        body: the whole body; None when it follows by `WriteBody`.
        user: the name of the session's user.
        role: the session's role.
        id: its number in the hub, by which all that follows is about it.
    """

    method: str
    target: str
    headers: tuple[tuple[str, str], ...]
    body: bytes | None
    user: str
    role: str
    id: int


class PluginAnswer(msgspec.Struct, frozen=True):
    """A plugin's answer, checked; the body is None when it is to be read by `ReadBody`."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes | None


class BodyPiece(msgspec.Struct, frozen=True):
    """A piece of an answer's body; empty without ``end`` means that there is nothing yet."""

    data: bytes
    end: bool


class SocketMessage(msgspec.Struct, frozen=True):
    """A message on a WebSocket."""

    data: bytes
    text: bool


class SocketMessages(msgspec.Struct, frozen=True):
    """What a plugin has sent on a WebSocket, and the code when it has closed it after that."""

    messages: tuple[SocketMessage, ...]
    code: int | None


class PluginKv(Message[str | None], frozen=True):
    """One action on a plugin's keys, from a browser; the answer is the value. NotFound."""

    id: str
    action: Literal["get", "set", "delete"]
    key: str
    value: str | None = None


class ListPluginKv(Message[KvPage], frozen=True):
    """A page of a plugin's keys, for a browser; see `KvList`. NotFound, BadRequest."""

    id: str
    prefix: str = ""
    cursor: str | None = None
    limit: int = 100


class ForceSandbox(Message[None], frozen=True):
    """Have a plugin's page shown in a sandbox, or leave that to the plugin. NotFound."""

    id: str
    forced: bool


class GetBundle(Message[bytes], frozen=True):
    """The bundle of a plugin: its file, else what it answers. NotFound."""

    id: str
    session: Session


class LookAtFolder(Message[None], frozen=True):
    """Look at the plugins folder again."""


class PluginChanged(Message[None], frozen=True):
    """From a plugin's actor: what people see of it is this now."""

    view: PluginView
    actor: str = ""


class PluginDisposed(Message[None], frozen=True):
    """From a plugin's actor: its file is gone, and so is all else of it."""

    id: str
    actor: str


# For a plugin's actor


class Forward(Message[PluginAnswer], frozen=True):
    """Forward a request.

    NotFound, Unavailable, `BodyNotText`, TooLarge, `BadGateway`, DeadlineExceeded.
    """

    request: PluginRequest


class WriteBody(Message[None], frozen=True):
    """A piece of a request's body; answered when the next may follow. Dropped when it is over."""

    id: int
    data: bytes
    end: bool


class ReadBody(Message[BodyPiece], frozen=True):
    """The next piece of an answer's body. `BadGateway` and others when the rest does not come."""

    id: int


class GiveUpForward(Message[None], frozen=True):
    """Nobody waits for the answer to the request of this id any more."""

    id: int


class OpenSocket(Message[PluginAnswer | None], frozen=True):
    """Open a WebSocket to a plugin; None when it is open, an answer when the plugin refuses it.

    Further errors are those of `Forward`; BadRequest when the plugin takes no WebSockets.
    """

    request: PluginRequest


class WriteSocket(Message[None], frozen=True):
    """A message from the browser; answered when the next may follow. Dropped when it is over."""

    id: int
    message: SocketMessage


class ReadSocket(Message[SocketMessages], frozen=True):
    """What the plugin has sent. `BadGateway` when the connection to it is lost."""

    id: int


class CloseSocket(Message[None], frozen=True):
    """The browser has closed its WebSocket, or is gone."""

    id: int
    code: int


class RunsKnown(Message[None], frozen=True):
    """The runner is there (again), and knows these runs of the plugin and no others."""

    runs: tuple[RunStatus, ...]


class PluginPlan(msgspec.Struct, frozen=True):
    """All that a plugin's actor is made of.

    Attributes:
        metadata: what it says of itself.
        file: its executable.
        enabled: whether it is to run.
        has_bundle: whether its bundle is there as a file.
        leftovers: runs of it that an earlier hub has left in the runner.
        role: it serves, is tried beside the one that does, or has nothing left to do but to end.
    """

    metadata: PluginMetadata
    file: FoundFile
    enabled: bool
    has_bundle: bool = False
    leftovers: tuple[str, ...] = ()
    role: Literal["serves", "trial", "retired"] = "serves"


class Replace(Message[None], frozen=True):
    """Its file is another one now."""

    metadata: PluginMetadata
    file: FoundFile


class NoteBundle(Message[None], frozen=True):
    """The file of its bundle has come or gone."""

    is_there: bool


class NoteBundleAnswer(Message[None], frozen=True):
    """It was asked for its bundle, and served it or said that it has none."""

    was_served: bool


class MarkBroken(Message[None], frozen=True):
    """Its file cannot be used any more."""

    reason: str


class MarkRemoved(Message[None], frozen=True):
    """Its file is gone."""


class StopPlugin(Message[None], frozen=True):
    """The hub goes away; answered when nothing of the plugin is left."""


class DescribePlugin(Message[PluginView], frozen=True):
    """What people see of it now, figures included."""


# For the actor that looks at the plugins folder


class FolderContent(msgspec.Struct, frozen=True):
    """What is in the plugins folder.

    Attributes:
        files: the ``*.binary`` files by name.
        bundles: the ids of plugins that have a file ``<id>/bundle.js``.
    """

    files: list[FoundFile]
    bundles: frozenset[str]


class ScanFolder(Message[FolderContent], frozen=True):
    """Look at the plugins folder; one that is not there is empty. Unavailable."""


class LoadEnabled(Message[dict[str, bool]], frozen=True):
    """Which plugins are enabled, as ``.metadata/config.json`` has it."""


class SetEnabled(Message[None], frozen=True):
    """Write down whether a plugin is enabled; answered when it is durable. Unavailable."""

    id: str
    enabled: bool


class LoadSandboxForced(Message[frozenset[str]], frozen=True):
    """The plugins whose page an admin wants in a sandbox, as ``.metadata/config.json`` has it."""


class SetSandboxForced(Message[None], frozen=True):
    """Write down whether an admin wants it so; answered when it is durable. Unavailable."""

    id: str
    forced: bool


class LoadBundle(Message[bytes | None], frozen=True):
    """The file ``<id>/bundle.js``; None when there is none."""

    id: str


# For the actor that runs plugins with --metadata


class Probe(Message[PluginMetadata], frozen=True):
    """Run a file with ``--metadata``. BrokenPlugin (with the reason), Unavailable."""

    file: FoundFile


class ProbeTimedOut(Message[None], frozen=True):
    """A probe has taken too long."""

    run_id: str
