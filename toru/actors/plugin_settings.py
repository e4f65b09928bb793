"""The settings of one plugin: read when they are needed, changed one wish after the other.

What is declared, given and hidden changes here; its actor has the plugin know.

Runs on: the event loop, owned by one `Plugin`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import msgspec

from toru.actors.messages.plugin_settings import (
    Applied,
    LoadPluginSettings,
    PluginSettingsChanged,
    PluginSettingsView,
    SavePluginSettings,
)
from toru.actors.plugin_services import PluginServices
from toru.domain.redaction import Redactor
from toru.errors import NotFound, ToruError

if TYPE_CHECKING:
    from toru.domain.plugin_settings import SettingsForm


class PluginSettings:
    """What a plugin has for settings.

    A plugin that declares none costs nothing here, neither a question to the database nor memory.

    Attributes:
        hidden: the secrets that no log may show: those that are set, and those that were when the
            present process was started.
    """

    def __init__(
        self, plugin_id: str, schema: dict[str, Any] | None, services: PluginServices
    ) -> None:
        """Create it.

        Args:
            plugin_id: the plugin.
            schema: what its metadata declare; None for no settings.
            services: where the database is.
        """
        self.hidden: tuple[str, ...] = ()
        self._id = plugin_id
        self._services = services
        self._turn = asyncio.Lock()
        self._stored: dict[str, Any] | None = None
        self._form: SettingsForm | None = None
        self._redactor: Redactor | None = None
        self._config: dict[str, Any] = {}
        self._lacking = False
        self.declare(schema)

    def declare(self, schema: dict[str, Any] | None) -> None:
        """Take note of what the plugin's newest metadata declare."""
        if schema is None:
            self._form, self._config, self._lacking = None, {}, False
            return
        from toru.domain.plugin_settings import SettingsForm  # takes memory: see the schema

        self._form = SettingsForm(schema)
        self._take(self._form, self._stored)

    @property
    def exist(self) -> bool:
        """Whether the plugin declares any."""
        return self._form is not None

    @property
    def lacking(self) -> bool:
        """Whether something that the plugin requires has no value, as far as that is known."""
        return self._lacking

    @property
    def config(self) -> dict[str, Any]:
        """What the plugin is told, once `load` has returned."""
        return self._config

    @property
    def unusable(self) -> dict[str, str]:
        """The settings whose stored value is not allowed any more, and why."""
        return {} if self._form is None else self._form.unusable(self._stored or {})

    async def load(self) -> None:
        """Read the values, unless that was done or there are no settings.

        Raises:
            StorageUnavailable: not now.
        """
        if self._stored is None:
            await self.reload()

    async def reload(self) -> bool:
        """Read the values, unless there are no settings; return whether the plugin's are others.

        Another actor of the same plugin, for another version of it, may have changed them.

        Raises:
            StorageUnavailable: not now.
        """
        if self._form is None:
            return False
        async with self._turn:
            before = self._config
            self._take(self._form, await self._read())
            return self._config != before

    async def _read(self) -> dict[str, Any]:
        return await self._services.db_reader.ask(LoadPluginSettings(self._id))

    async def prepare(self) -> None:
        """Read the values for a process that is about to start, which knows no older secrets.

        Raises:
            StorageUnavailable: not now, and they were never read.
        """
        try:
            await self.reload()
        except ToruError:
            if self._stored is None:
                raise
        self._redactor, self.hidden = None, ()
        self._hide()

    async def view(self) -> PluginSettingsView:
        """Return what the API shows.

        Raises:
            NotFound: it has no settings.
            StorageUnavailable: they cannot be read now.
        """
        form = self._checked()
        await self.load()
        return _view(form, self._stored or {})

    async def change(self, wish: dict[str, Any], *, partly: bool = False) -> bool:
        """Change the values; return whether that has changed anything.

        Args:
            wish: see `SettingsForm.changed`.
            partly: what is left out stays as it is.

        Raises:
            NotFound: it has no settings.
            InvalidSettings: the wish is not allowed; nothing has changed.
            StorageUnavailable: they cannot be written now.
        """
        self._checked()
        async with self._turn:
            stored = await self._read()
            form = self._checked()  # which may be a newer version's by now
            new = form.changed(stored, wish, partly=partly)
            if new == stored == self._stored:
                return False
            self._hide(*form.hidden(new))
            await self._services.db_writer.ask(SavePluginSettings(self._id, new))
            self._take(self._form, new)
        return True

    async def after_change(self, applied: Applied) -> PluginSettingsChanged:
        """Return what the API answers to a change."""
        return PluginSettingsChanged(**msgspec.structs.asdict(await self.view()), applied=applied)

    def hide(self, text: str) -> str:
        """Return a text without the secrets."""
        return text if self._redactor is None else self._redactor.text(text)

    def hide_in(self, value: Any) -> Any:
        """Return a value that JSON can have without the secrets in it."""
        return value if self._redactor is None else self._redactor.value(value)

    def hide_in_end(self, text: str) -> str:
        """Return the end of a longer text without the secrets."""
        return text if self._redactor is None else self._redactor.end_of_text(text)

    def _checked(self) -> SettingsForm:
        if self._form is None:
            raise NotFound("This plugin has no settings.", code="no_settings")
        return self._form

    def _take(self, form: SettingsForm | None, stored: dict[str, Any] | None) -> None:
        """Have values, which are looked at once: to check them all takes milliseconds."""
        self._stored = stored
        if form is not None:
            self._config = form.config(stored or {})
            self._lacking = bool(form.missing(stored or {}))
        self._hide()

    def _hide(self, *more: str) -> None:
        present = () if self._form is None else self._form.hidden(self._stored or {})
        hidden = tuple(dict.fromkeys((*self.hidden, *present, *more)))
        if hidden != self.hidden:
            self.hidden, self._redactor = hidden, Redactor(hidden)


def _view(form: SettingsForm, stored: dict[str, Any]) -> PluginSettingsView:
    return PluginSettingsView(
        schema=dict(form.schema),
        values=form.shown(stored),
        secrets_set=form.secrets_set(stored),
        unusable=form.unusable(stored),
        missing=form.missing(stored),
    )
