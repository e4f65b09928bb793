"""What the Settings actor is asked, and what it tells its listeners.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

import msgspec

from toru.actors.runtime import Message
from toru.domain.settings import SettingsInForce


class SettingRow(msgspec.Struct, frozen=True):
    """One setting as a person sees it.

    Attributes:
        key: its name.
        value: the value in force.
        default: the value without a change.
        description: what it does, one sentence or two.
        read_only: whether it cannot be changed.
    """

    key: str
    value: str
    default: str
    description: str
    read_only: bool


class DescribeSettings(Message[list[SettingRow]], frozen=True):
    """All settings with their defaults and descriptions."""


class GetInForce(Message[SettingsInForce], frozen=True):
    """All settings in force, each with its own type."""


class ChangeSetting(Message[str], frozen=True):
    """Set a setting, at once in force; the answer is its value. BadRequest, NotFound."""

    key: str
    value: str


class SettingsChanged(Message[None], frozen=True):
    """Told to the listeners: a setting was changed and the change is durable."""

    key: str
    value: str
