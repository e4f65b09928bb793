"""What is asked and told about the settings of plugins.

None of these messages shows its values when it is printed: there are secrets among them.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from toru.actors.runtime import Message

Applied = Literal["live", "restart", "start", "unchanged"]
"""How a plugin gets changed settings: told while it runs; by a restart, which has begun; when it is
started the next time; or not at all, as nothing was changed."""


class PluginSettingsView(msgspec.Struct, frozen=True):
    """The settings of a plugin as the API shows them: never the value of a secret.

    Attributes:
        schema: what the plugin declares.
        values: what was given and is allowed; for all others the defaults hold.
        secrets_set: the names of the secrets that have a value.
        unusable: settings whose stored value is not allowed by the plugin's newest version, and
            why; their defaults hold.
        missing: the names of the settings that are required and have no value.
    """

    schema: dict[str, Any]
    values: dict[str, Any]
    secrets_set: list[str]
    unusable: dict[str, str]
    missing: list[str]


class PluginSettingsChanged(PluginSettingsView, frozen=True, kw_only=True):
    """The settings after a change, and how the plugin gets them."""

    applied: Applied


# For the plugin manager, which passes them on to the plugin's actor


class ReadPluginSettings(Message[PluginSettingsView], frozen=True):
    """The settings of a plugin. NotFound: there is no such plugin, or it has none."""

    id: str


class ChangePluginSettings(Message[PluginSettingsChanged], frozen=True):
    """Change the settings of a plugin; answered when that is durable.

    NotFound, Unavailable. `InvalidSettings`: something is not allowed, and nothing has changed.

    Attributes:
        id: the plugin.
        values: the wish; see `SettingsForm.changed`.
        user: who wants it, for the log.
    """

    id: str
    values: dict[str, Any]
    user: str

    def __repr__(self) -> str:
        return f"ChangePluginSettings({self.id!r}, …)"


# For DbWriter and DbReader


class SavePluginSettings(Message[None], frozen=True):
    """Put all settings of a plugin in the place of those that it had."""

    plugin_id: str
    values: dict[str, Any]

    def __repr__(self) -> str:
        return f"SavePluginSettings({self.plugin_id!r}, …)"


class LoadPluginSettings(Message[dict[str, Any]], frozen=True):
    """All settings that a plugin was given; an empty object when there are none."""

    plugin_id: str
