"""What plugins may ask of the hub: their keys, log lines, events, runs, configuration.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import Annotated, Any, Protocol, TypeVar

import msgspec

from toru.actors.messages.auth import Session
from toru.actors.messages.logs import LEVELS, Level, LogLine, LogLines
from toru.actors.messages.plugin_settings import Applied
from toru.actors.messages.plugin_storage import (
    KvBatch,
    KvDelete,
    KvGet,
    KvList,
    KvPage,
    KvPut,
    KvRemove,
    KvSet,
)
from toru.actors.messages.tasks import CancelTask, StartTask
from toru.actors.plugin_emitted import MAX_NAME_CHARS, EmittedEvents
from toru.actors.plugin_services import PluginServices
from toru.actors.plugin_settings import PluginSettings
from toru.actors.plugin_subscriptions import PluginSubscriptions
from toru.clock import utc_now
from toru.errors import BadRequest, NotFound

T = TypeVar("T")

PAGE_BYTES = 1_000_000
"""The most JSON of a page of keys; with what is around it, it is below a frame's 1 MiB."""


class _Params(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass


class _Key(_Params, frozen=True):
    key: str


class _Set(_Params, frozen=True):
    key: str
    value: str
    ttl_s: float | None = None
    if_version: int | None = None


class _Delete(_Params, frozen=True):
    key: str
    if_version: int | None = None


class _List(_Params, frozen=True):
    prefix: str = ""
    cursor: str | None = None
    limit: int = 100


class _Batch(_Params, frozen=True):
    changes: list[KvPut | KvRemove]


class _Log(_Params, frozen=True):
    message: str
    level: Level = "info"
    fields: dict[str, Any] = {}


class _Emit(_Params, frozen=True):
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_NAME_CHARS)]
    data: Any = None


class _Subscribe(_Params, frozen=True):
    name: str


class _Run(_Params, frozen=True):
    script: str
    args: dict[str, str] = {}


class _Task(_Params, frozen=True):
    task_id: str


class _Config(_Params, frozen=True):
    values: dict[str, Any]


class PluginKeys:
    """The keys of one plugin.

    Args:
        plugin_id: whose.
        services: where they are.
    """

    def __init__(self, plugin_id: str, services: PluginServices) -> None:
        self._id = plugin_id
        self._services = services

    async def kv(self, action: str, key: str, value: str | None) -> str | None:
        """Do one action of version 1 and return the value that the key has then, or had set.

        Raises:
            ToruError: why not; nothing has changed.
        """
        match action:
            case "set":
                await self._services.db_writer.ask(KvSet(self._id, key, value or ""))
                return value
            case "delete":
                await self._services.db_writer.ask(KvDelete(self._id, key))
                return None
            case _:
                entry = await self._services.db_reader.ask(KvGet(self._id, key))
                return None if entry is None else entry.value

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Do one call of version 2 and return its value.

        Raises:
            ToruError: why not; nothing has changed.
        """
        writer, reader = self._services.db_writer, self._services.db_reader
        match method:
            case "kv.get":
                entry = await reader.ask(KvGet(self._id, _read(params, _Key).key))
                found = {"value": None, "version": 0}
                return found if entry is None else {"value": entry.value, "version": entry.version}
            case "kv.set":
                wanted = _read(params, _Set)
                message = KvSet(self._id, wanted.key, wanted.value, wanted.ttl_s, wanted.if_version)
                return {"version": await writer.ask(message)}
            case "kv.delete":
                gone = _read(params, _Delete)
                deleted = await writer.ask(KvDelete(self._id, gone.key, gone.if_version))
                return {"deleted": deleted}
            case "kv.list":
                asked = _read(params, _List)
                question = KvList(self._id, asked.prefix, asked.cursor, asked.limit)
                return _fitting(await reader.ask(question))
            case _:
                changes = tuple(_read(params, _Batch).changes)
                return {"versions": await writer.ask(KvBatch(self._id, changes))}


class SettingsChanged(Protocol):
    """What is called when settings have changed; returns how the plugin gets them."""

    def __call__(self, *, may_restart: bool) -> Applied: ...


class PluginCalls:
    """Does what one plugin asks; everything is bound to its id.

    Args:
        plugin_id: whose.
        services: who does it.
        settings: the plugin's settings.
        changed: called when the plugin itself has changed them.
        subscriptions: the events that it wants to hear of.
    """

    def __init__(
        self,
        plugin_id: str,
        services: PluginServices,
        settings: PluginSettings,
        changed: SettingsChanged,
        subscriptions: PluginSubscriptions,
    ) -> None:
        self._id = plugin_id
        self._services = services
        self._settings = settings
        self._changed = changed
        self._subscriptions = subscriptions
        self._emitted = EmittedEvents(plugin_id, services)
        self.keys = PluginKeys(plugin_id, services)

    def close(self) -> None:
        """Pass on nothing that waits any more."""
        self._emitted.close()

    async def call(self, method: str, params: dict[str, Any]) -> Any:
        """Do one call of version 2 and return its value.

        Raises:
            ToruError: why not; nothing has changed.
        """
        match method:
            case "kv.get" | "kv.set" | "kv.delete" | "kv.list" | "kv.batch":
                return await self.keys.call(method, params)
            case "log":
                return self._log(_read(params, _Log))
            case "event.emit":
                return self._emit(_read(params, _Emit))
            case "event.subscribe":
                return await self._subscriptions.add(_read(params, _Subscribe).name)
            case "task.run" | "task.cancel":
                return await self._task_call(method, params)
            case "config.get":
                return self._settings.config
            case "config.set":
                return await self._set_config(_read(params, _Config))
            case _:
                raise NotFound(f"There is no call {method[:80]!r}.", code="unknown_method")

    def _log(self, line: _Log) -> None:
        level: Level = line.level if line.level in LEVELS else "info"
        text, fields = self._settings.hide(line.message), self._settings.hide_in(line.fields)
        message = LogLine(utc_now(), level, self._id, text, fields=fields)
        self._services.log_sink(self._id).tell(LogLines((message,)))

    async def _set_config(self, wish: _Config) -> dict[str, Any]:
        if await self._settings.change(wish.values, partly=True):
            # It has the answer, so that a restart would tell it nothing new.
            self._changed(may_restart=False)
        return self._settings.config

    def _emit(self, event: _Emit) -> None:
        shown = self._settings.hide_in({"name": event.name, "data": event.data})
        self._emitted.emit(shown["name"], shown["data"])

    async def _task_call(self, method: str, params: dict[str, Any]) -> Any:
        if method == "task.cancel":
            task_id = _read(params, _Task).task_id
            await self._services.tasks.ask(CancelTask(task_id, self._session()))
            return None
        wanted = _read(params, _Run)
        message = StartTask(wanted.script, self._session(), wanted.args, trigger="plugin")
        started = await self._services.tasks.ask(message, deadline_s=30.0)
        return {"task_id": started.task_id}

    def _session(self) -> Session:
        """Return whom the task manager sees: the admin, who put the plugin there."""
        name = f"plugin {self._id}"
        return Session(
            id="", user_id=None, username=name, display_name=name, role="admin", expires_at=""
        )


def _fitting(page: KvPage) -> KvPage:
    """Return so much of a page as a frame has room for, but one entry at least."""
    size_bytes = 0
    for count, entry in enumerate(page.entries):
        size_bytes += len(msgspec.json.encode(entry)) + 1
        if count and size_bytes > PAGE_BYTES:
            return KvPage(page.entries[:count], page.entries[count - 1].key)
    return page


def _read(params: dict[str, Any], kind: type[T]) -> T:
    try:
        return msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise BadRequest(f"The parameters are not right: {error}.") from None
