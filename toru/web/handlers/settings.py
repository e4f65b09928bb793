"""The settings: all of them, and the change of one.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from toru.actors.messages.settings import ChangeSetting, DescribeSettings, SettingRow
from toru.domain.permissions import Access
from toru.web.base import ApiHandler, Body, Route
from toru.web.openapi import operation


class AllSettings(msgspec.Struct, frozen=True):
    """Every setting in force."""

    settings: list[SettingRow]


class NewValue(Body, frozen=True):
    """What a setting is to be."""

    value: str | int | float


class ChangedSetting(msgspec.Struct, frozen=True):
    """What a setting is now."""

    key: str
    value: str


class SettingsHandler(ApiHandler):
    """``/api/settings``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin"}

    @operation(summary="List the settings in force.", answer=AllSettings)
    async def get(self) -> None:
        """Answer with every setting, its default and what it does."""
        self.answer(AllSettings(await self.services.settings.ask(DescribeSettings())))


class SettingHandler(ApiHandler):
    """``/api/settings/{key}``."""

    roles: ClassVar[dict[str, Access]] = {"PUT": "admin"}

    @operation(
        summary="Change a setting, at once in force.",
        body=NewValue,
        answer=ChangedSetting,
        errors=(404,),
    )
    async def put(self, key: str) -> None:
        """Answer when the change is durable and in force."""
        value = str(self.body(NewValue).value)
        self.answer(
            ChangedSetting(key, await self.services.settings.ask(ChangeSetting(key, value)))
        )


ROUTES = [
    Route("/api/settings", SettingsHandler),
    Route("/api/settings/{key}", SettingHandler),
]
