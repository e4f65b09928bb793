"""Plugins: their list, their state, their logs and keys, and all that is forwarded to them.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import msgspec

from toru.actors.messages.logs import Level, LogPage, ReadLogPage
from toru.actors.messages.plugin_storage import KvEntry, ListPluginEvents, PluginEvent
from toru.actors.messages.plugins import (
    DisablePlugin,
    EnablePlugin,
    ForceSandbox,
    GetBundle,
    GetPlugin,
    ListPluginKv,
    ListPlugins,
    PluginKv,
    PluginView,
    RestartPlugin,
)
from toru.actors.runtime import Message
from toru.domain.permissions import Access
from toru.errors import BadRequest
from toru.web.base import ApiHandler, Body, Query, Route, Success
from toru.web.handlers.plugin_settings import PluginSettingsHandler
from toru.web.openapi import operation

FORWARDED_BODY_BYTES = 100 * 1024 * 1024
FORWARDED_IDLE_S = 60.0
KV_BODY_BYTES = 2 * 1024 * 1024
"""A value of 256 KiB, of which JSON may write every byte as six."""
WISH_DEADLINE_S = 700.0
"""Enabling answers when the plugin is ready, which it may put off for ten minutes."""

_ANY: dict[str, Access] = {
    "GET": "any",
    "POST": "any",
    "PUT": "any",
    "DELETE": "any",
    "PATCH": "any",
}


class LogQuery(Query, frozen=True):
    """Which page of a log, counted from its end, and which lines.

    Those of that level and above that say ``q``, in capitals or not.
    """

    page: Annotated[int, msgspec.Meta(ge=0, le=1_000_000)] = 0
    page_size: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    level: Level = "info"
    q: Annotated[str, msgspec.Meta(max_length=200)] = ""


class EventQuery(Query, frozen=True):
    """Which events: at most ``limit``, only those older than the one with the id ``before``."""

    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100
    before: Annotated[int, msgspec.Meta(ge=0, le=2**62)] | None = None


class KvAction(Body, frozen=True):
    """What to do with one of the plugin's keys, or which of them to list.

    A list has those that begin with ``prefix``, ``limit`` of them, from ``cursor`` on, which the
    page before has told.
    """

    action: Literal["get", "set", "delete", "list"]
    key: str | None = None
    value: str | None = None
    prefix: str = ""
    cursor: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 100


class KvAnswer(msgspec.Struct, frozen=True):
    """The value that the key has; of a list, its entries, and where the next page goes on."""

    value: str | msgspec.UnsetType | None = msgspec.UNSET
    entries: list[KvEntry] | msgspec.UnsetType = msgspec.UNSET
    cursor: str | msgspec.UnsetType | None = msgspec.UNSET


class SandboxWish(Body, frozen=True):
    """Whether the plugin's page is shown in a sandbox, whatever the plugin says itself."""

    forced: bool


class PluginsHandler(ApiHandler):
    """``/api/plugins``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    @operation(
        summary="List the plugins; an admin sees the broken ones too.", answer=list[PluginView]
    )
    async def get(self) -> None:
        """Answer with all plugins by name."""
        self.answer(await self.services.plugins.ask(ListPlugins(self.session)))


class PluginHandler(ApiHandler):
    """``/api/plugins/{id}``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    @operation(summary="Show one plugin.", answer=PluginView, errors=(404,))
    async def get(self, plugin_id: str) -> None:
        """Answer with one plugin."""
        self.answer(await self.services.plugins.ask(GetPlugin(plugin_id, self.session)))


class _WishHandler(ApiHandler):
    """A wish about a plugin; answered when it is so."""

    roles: ClassVar[dict[str, Access]] = {"POST": "admin"}
    wish: ClassVar[type[Any]]

    @operation(
        summary="Change the state of a plugin; answered when it is so, or why it cannot start.",
        errors=(404, 409, 502, 503),
    )
    async def post(self, plugin_id: str) -> None:
        """Answer when the plugin is ready, or gone; 502 when it does not get ready."""
        message: Message[None] = self.wish(plugin_id)
        await self.services.plugins.ask(message, deadline_s=WISH_DEADLINE_S)
        self.answer(Success())


class EnableHandler(_WishHandler):
    """``/api/plugins/{id}/enable``."""

    wish = EnablePlugin


class DisableHandler(_WishHandler):
    """``/api/plugins/{id}/disable``."""

    wish = DisablePlugin


class RestartHandler(_WishHandler):
    """``/api/plugins/{id}/restart``."""

    wish = RestartPlugin


class BundleHandler(ApiHandler):
    """``/api/plugins/{id}/bundle.js``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "any"}

    @operation(summary="The script of the plugin's page.", answer=bytes, errors=(404, 502, 503))
    async def get(self, plugin_id: str) -> None:
        """Answer with the bundle's file, or what the plugin says it is."""
        data = await self.services.plugins.ask(GetBundle(plugin_id, self.session), deadline_s=60.0)
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.finish(data)


class LogsHandler(ApiHandler):
    """``/api/plugins/{id}/logs``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin"}

    @operation(
        summary="A page of a plugin's log, the newest line first.", query=LogQuery, answer=LogPage
    )
    async def get(self, plugin_id: str) -> None:
        """Answer with one page."""
        query = self.query(LogQuery)
        message = ReadLogPage(plugin_id, query.page, query.page_size, query.level, query.q)
        self.answer(await self.services.log_reader.ask(message))


class EventsHandler(ApiHandler):
    """``/api/plugins/{id}/events``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin"}

    @operation(
        summary="What has happened to a plugin, the newest first.",
        query=EventQuery,
        answer=list[PluginEvent],
    )
    async def get(self, plugin_id: str) -> None:
        """Answer with the newest events."""
        query = self.query(EventQuery)
        message = ListPluginEvents(plugin_id, query.limit, query.before)
        self.answer(await self.services.reader.ask(message))


class KvHandler(ApiHandler):
    """``/api/plugins/{id}/kv``."""

    roles: ClassVar[dict[str, Access]] = {"POST": "any"}
    body_limit: ClassVar[int | None] = KV_BODY_BYTES

    @operation(
        summary="Read or change one of the plugin's keys, or list them.",
        body=KvAction,
        answer=KvAnswer,
        errors=(404, 409, 413),
    )
    async def post(self, plugin_id: str) -> None:
        """Answer with the value, or with a page of the list."""
        wanted = self.body(KvAction)
        if wanted.action == "list":
            if wanted.key is not None or wanted.value is not None:
                raise BadRequest("A list is asked for by a prefix, not by a key.")
            question = ListPluginKv(plugin_id, wanted.prefix, wanted.cursor, wanted.limit)
            page = await self.services.plugins.ask(question)
            self.answer(KvAnswer(entries=page.entries, cursor=page.cursor))
            return
        if wanted.key is None:
            raise BadRequest("Name the key, which is a string.")
        if wanted.action == "set" and wanted.value is None:
            raise BadRequest("To set a key, give it a value, which is a string.")
        message = PluginKv(plugin_id, wanted.action, wanted.key, wanted.value)
        self.answer(KvAnswer(value=await self.services.plugins.ask(message)))


class SandboxHandler(ApiHandler):
    """``/api/plugins/{id}/sandbox``."""

    roles: ClassVar[dict[str, Access]] = {"PUT": "admin"}

    @operation(
        summary="Have the plugin's page shown in a sandbox, or leave that to the plugin.",
        body=SandboxWish,
        errors=(404,),
    )
    async def put(self, plugin_id: str) -> None:
        """Answer when it is written down."""
        await self.services.plugins.ask(ForceSandbox(plugin_id, self.body(SandboxWish).forced))
        self.answer(Success())


class ForwardHandler(ApiHandler):
    """``/api/plugins/route/<route>/<rest>`` and ``/api/plugins/{id}/<rest>``.

    Says who may use them and how long their bodies may be. The requests themselves, but for
    OPTIONS, are answered by ``toru.web.forwarding`` and never reach a handler.
    """

    roles: ClassVar[dict[str, Access]] = _ANY
    body_limit: ClassVar[int | None] = FORWARDED_BODY_BYTES
    body_timeout_s: ClassVar[float | None] = None
    body_idle_s: ClassVar[float | None] = FORWARDED_IDLE_S

    @operation(summary="Forwarded to the plugin.", answer=bytes, errors=(404, 502, 503, 504))
    def get(self, **_path: str) -> None:
        """Be declared; the application has ``ForwardExchange`` answer."""
        raise NotImplementedError("Forwarded requests are answered by ForwardExchange.")

    post = put = delete = patch = get


ROUTES = [
    Route("/api/plugins", PluginsHandler),
    Route("/api/plugins/route/{rest:path}", ForwardHandler),
    Route("/api/plugins/{plugin_id}", PluginHandler),
    Route("/api/plugins/{plugin_id}/enable", EnableHandler),
    Route("/api/plugins/{plugin_id}/disable", DisableHandler),
    Route("/api/plugins/{plugin_id}/restart", RestartHandler),
    Route("/api/plugins/{plugin_id}/bundle.js", BundleHandler),
    Route("/api/plugins/{plugin_id}/logs", LogsHandler),
    Route("/api/plugins/{plugin_id}/events", EventsHandler),
    Route("/api/plugins/{plugin_id}/kv", KvHandler),
    Route("/api/plugins/{plugin_id}/sandbox", SandboxHandler),
    Route("/api/plugins/{plugin_id}/settings", PluginSettingsHandler),
    Route("/api/plugins/{plugin_id}/{rest:path}", ForwardHandler),
]
