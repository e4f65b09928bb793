"""What people get to see of plugins: clients less than the admin, and broken files too.

Runs on: any thread; pure, but for `publish`.
"""

from __future__ import annotations

import contextlib

import msgspec

from toru.actors.messages.auth import Session
from toru.actors.messages.hub import Publish
from toru.actors.messages.plugins import PluginFigures, PluginView
from toru.actors.plugin_files import KnownFile
from toru.actors.runtime import Address
from toru.domain.plugin_probe import without_last_words
from toru.errors import Unavailable


def view_for(session: Session, view: PluginView) -> PluginView:
    """Return what somebody may see of a plugin."""
    return view if session.is_admin else _without_secrets(view)


def broken_view(known: KnownFile, reason: str) -> PluginView:
    """Return what is shown of a file that has no place."""
    metadata = known.metadata
    stem = known.file.name.removesuffix(".binary")
    return PluginView(
        id=stem if metadata is None else metadata.id,
        name=stem if metadata is None else metadata.name,
        version="" if metadata is None else metadata.version,
        author=None if metadata is None else metadata.author,
        icon=None if metadata is None else metadata.icon,
        route=None if metadata is None else metadata.route,
        enabled=False,
        running=False,
        health="unhealthy",
        state="broken",
        reason=reason,
        degraded=False,
        file=known.file.name,
        protocol=None,
        pid=None,
        socket_path=None,
        has_page=False,
        figures=PluginFigures(),
    )


def publish(hub: Address, kind: str, view: PluginView | None) -> None:
    """Tell who watches the plugins' states; only admins learn what stderr said.

    Args:
        hub: knows who watches.
        kind: ``plugin`` for one that has changed, ``plugins`` when others are there.
        view: the one that has changed.
    """
    told = None if view is None else msgspec.structs.replace(view, pid=None, socket_path=None)
    with contextlib.suppress(Unavailable):
        if view is None or view.reason is None:
            hub.tell(Publish("plugin-states", _event(kind, told)))
            return
        hub.tell(Publish("plugin-states", _event(kind, told), admin_only=True))
        data = _event(kind, _without_secrets(view))
        hub.tell(Publish("plugin-states", data, clients_only=True))


def _without_secrets(view: PluginView) -> PluginView:
    """Return what a client may see; logs, and so the end of stderr in a reason, are for admins."""
    reason = None if view.reason is None else without_last_words(view.reason)
    return msgspec.structs.replace(view, pid=None, socket_path=None, reason=reason)


def _event(kind: str, view: PluginView | None) -> msgspec.Raw:
    return msgspec.Raw(msgspec.json.encode({"type": kind, "plugin": view}))
