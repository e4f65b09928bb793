"""What the Settings actor is asked.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

from toru.actors.runtime import Message


class GetSetting(Message[str], frozen=True):
    """One setting's value in force. NotFound."""

    key: str


class ListSettings(Message[dict[str, str]], frozen=True):
    """All settings in force, defaults included."""


class ChangeSetting(Message[str], frozen=True):
    """Set a setting, at once in force; the answer is its value. BadRequest, NotFound."""

    key: str
    value: str
