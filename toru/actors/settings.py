"""The settings in force: read at the start, changed durably, told to whom they concern.

Runs on: the event loop.
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from toru.actors.messages.scripts import CheckScriptsFolder
from toru.actors.messages.settings import (
    ChangeSetting,
    DescribeSettings,
    GetInForce,
    SettingRow,
    SettingsChanged,
)
from toru.actors.messages.storage import GetSettings, SaveSetting
from toru.actors.runtime import ActorContext, Address, LoopActor, Message
from toru.domain.settings import (
    check_change,
    settings_table,
    typed,
    values_in_force,
)
from toru.errors import ActorUnavailable, MailboxFull

logger = logging.getLogger("toru.settings")

COMMIT_DEADLINE_S = 60.0
"""Longer than any asker waits, so that what is in force is what was committed in the end."""

TELL_AGAIN_S = 0.1


class _TellAgain(Message[None], frozen=True):
    """A listener's mailbox was full when this setting changed."""

    listener: str
    key: str


class Settings(LoopActor):
    """Keeps all settings in memory, written through.

    Args:
        db_reader: where the settings are read at the start.
        db_writer: where changes are made durable.
        scripts: who looks at a folder that is to become ``scripts_dir``.
        listeners: who is told `SettingsChanged`, after the commit and before the answer.
        scripts_dir: the default of the setting of that name.
    """

    def __init__(
        self,
        context: ActorContext,
        db_reader: Address,
        db_writer: Address,
        scripts: Address,
        listeners: tuple[Address, ...],
        scripts_dir: Path,
    ) -> None:
        super().__init__(context)
        self._db_reader = db_reader
        self._db_writer = db_writer
        self._scripts = scripts
        self._listeners = {listener.name: listener for listener in listeners}
        self._table = settings_table(scripts_dir)
        self._values: dict[str, str] = {}
        self._changing = asyncio.Lock()

    async def on_start(self) -> None:  # type: ignore[override]  # pykka's hook, awaited here
        """Read the settings."""
        stored = await self._db_reader.ask(GetSettings())
        self._values, complaints = values_in_force(self._table, stored)
        for complaint in complaints:
            logger.warning(complaint)

    def on_receive(self, message: Message[Any]) -> Any:
        """Answer one message."""
        match message:
            case DescribeSettings():
                return [self._row(key) for key in self._table]
            case GetInForce():
                return typed(self._table, self._values)
            case ChangeSetting(key=key, value=value):
                return self._change(key, value)
            case _TellAgain(listener=listener, key=key):
                self._tell(self._listeners[listener], key)
        return None

    def _row(self, key: str) -> SettingRow:
        setting = self._table[key]
        return SettingRow(
            key, self._values[key], setting.default, setting.description, setting.read_only
        )

    async def _change(self, key: str, value: str) -> str:
        text = check_change(self._table, key, value)
        async with self._changing:
            if key == "scripts_dir":
                await self._scripts.ask(CheckScriptsFolder(text))
            await self._save(key, text)
        for listener in self._listeners.values():
            self._tell(listener, key)
        return text

    async def _save(self, key: str, value: str) -> None:
        await self._db_writer.ask(SaveSetting(key, value), deadline_s=COMMIT_DEADLINE_S)
        self._values[key] = value

    def _tell(self, listener: Address, key: str) -> None:
        try:
            listener.tell(SettingsChanged(key, self._values[key]))
        except ActorUnavailable:
            logger.debug("%s is not there; it reads the settings when it starts.", listener.name)
        except MailboxFull:
            again = _TellAgain(listener.name, key)
            self.timers.after((listener.name, key), TELL_AGAIN_S, again)
