"""The settings of a plugin, for the admin.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import Any, ClassVar

from toru.actors.messages.plugin_settings import (
    ChangePluginSettings,
    PluginSettingsChanged,
    PluginSettingsView,
    ReadPluginSettings,
)
from toru.domain.permissions import Access
from toru.errors import ToruError
from toru.web.base import ApiHandler, Body, Problem
from toru.web.openapi import operation

SETTINGS_BODY_BYTES = 2 * 1024 * 1024
"""256 KiB of values, of which JSON may write every byte as six."""


class SettingsWish(Body, frozen=True):
    """The values that the settings are to have.

    What is left out gets its default, but for secrets, which stay; null clears any.
    """

    values: dict[str, Any]


class SettingsProblem(Problem, frozen=True):
    """The answer when values are not allowed: a sentence by the name of each wrong setting."""

    fields: dict[str, str]


class PluginSettingsHandler(ApiHandler):
    """``/api/plugins/{id}/settings``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin", "PUT": "admin"}
    body_limit: ClassVar[int | None] = SETTINGS_BODY_BYTES

    @operation(
        summary="The settings of a plugin, but for the values of secrets.",
        answer=PluginSettingsView,
        errors=(404, 503),
    )
    async def get(self, plugin_id: str) -> None:
        """Answer with the schema and the values."""
        self.answer(await self.services.plugins.ask(ReadPluginSettings(plugin_id), deadline_s=40.0))

    @operation(
        summary="Change the settings of a plugin, which gets them at once or is restarted.",
        body=SettingsWish,
        answer=PluginSettingsChanged,
        errors=(404, 503),
    )
    async def put(self, plugin_id: str) -> None:
        """Answer when they are durable; 400 has ``fields`` when some are not allowed."""
        values = self.body(SettingsWish).values
        message = ChangePluginSettings(plugin_id, values, self.session.username)
        self.answer(await self.services.plugins.ask(message, deadline_s=40.0))

    def describe_error(self, error: ToruError) -> Any:
        """Return the body of the answer to a refusal, with what is wrong with each setting."""
        if error.code != "invalid_settings":
            return super().describe_error(error)
        fields: dict[str, str] = getattr(error, "fields", {})
        return SettingsProblem(error.sentence, error.code, fields)
