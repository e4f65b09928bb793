"""What the plugin manager and the store of versions are told and asked when a plugin is installed.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from toru.actors.messages.plugins import FoundFile
from toru.actors.runtime import Message
from toru.domain.plugin_metadata import PluginMetadata

Outcome = Literal["started", "disabled", "unchanged", "needs_configuration", "placed"]


class InstallState(msgspec.Struct, frozen=True):
    """How far an install is, or how it has ended.

    Attributes:
        id: its name.
        kind: whether a file is installed, or the version before is brought back.
        state: ``running``, ``done`` or ``failed``.
        step: what is being done, or what has come of it, one sentence.
        outcome: of one that is done: the plugin runs (``started``), is disabled and will run as
            this version (``disabled``), was that already (``unchanged``), waits for its settings
            (``needs_configuration``; only where no version served before), or is to start with
            the hub (``placed``; only where there is none).
        error: of one that has failed: why; what was there before is as it was.
        plugin: the plugin's id, once that is known.
        file: the name of its file.
        sha256: the checksum of the version.
        version: what its metadata say.
        previous_version: the one that it takes the place of; None for a new plugin.
        began_at: RFC 3339 UTC.
    """

    id: str
    kind: Literal["install", "rollback"]
    state: Literal["running", "done", "failed"]
    step: str
    began_at: str
    outcome: Outcome | None = None
    error: str | None = None
    plugin: str | None = None
    file: str | None = None
    sha256: str | None = None
    version: str | None = None
    previous_version: str | None = None


# For the plugin manager


class InstallPlugin(Message[InstallState], frozen=True):
    """Begin to install the file that is offered under a checksum. Conflict, NotFound."""

    sha256: str


class RollBackPlugin(Message[InstallState], frozen=True):
    """Begin to bring back the version before the present one. Conflict, NotFound."""

    id: str


class GetInstall(Message[InstallState], frozen=True):
    """How far an install is. NotFound."""

    id: str


class StartStatusSaid(Message[None], frozen=True):
    """From a plugin's actor: what the plugin says that it is busy with before it is ready."""

    actor: str
    text: str


# For a plugin's actor


class AdoptPlugin(Message[None], frozen=True):
    """It has taken the plugin's place, and this file is its own from now on."""

    metadata: PluginMetadata
    file: FoundFile


class RetirePlugin(Message[None], frozen=True):
    """Another version has taken its place: no new requests come, and it is to end after these."""


# For the store of versions


class FindPin(Message[FoundFile], frozen=True):
    """A file of the plugins folder with what it is held to. BrokenPlugin."""

    file: FoundFile


class BeginInstall(Message[FoundFile], frozen=True):
    """Be the only one who installs; returns the file that is offered. Conflict, NotFound."""

    sha256: str


class BeginRollback(Message[FoundFile], frozen=True):
    """Be the only one who installs; returns the version before, as `KeepVersion`.

    NotFound, Conflict.
    """

    id: str


class ChooseFile(Message[str], frozen=True):
    """The name of the file that a plugin gets; see `plugin_install.chosen_file`. Conflict.

    Attributes:
        known: file name, id and route of the plugins that are there.
        broken: the names of those that cannot be used.
    """

    metadata: PluginMetadata
    known: tuple[tuple[str, str, str], ...]
    broken: tuple[str, ...]


class KeepVersion(Message[FoundFile], frozen=True):
    """Keep the file that is offered as a version of a plugin's file. Unavailable.

    The answer is the plugin's file, which need not be there, run from where it is kept.
    """

    sha256: str
    name: str


class PutInPlace(Message[FoundFile], frozen=True):
    """Make a version that is kept the present one; returns the plugin's file. Unavailable.

    Attributes:
        id: the plugin.
        name: of its file.
        sha256: of the version.
        version: what its metadata say.
        present_version: what those of the file say that is there.
    """

    id: str
    name: str
    sha256: str
    version: str
    present_version: str


class EndInstall(Message[None], frozen=True):
    """Let others install, and remove what nobody needs."""


class RecoverInstalls(Message[None], frozen=True):
    """Bring to an end what an earlier hub or manager was interrupted in."""
