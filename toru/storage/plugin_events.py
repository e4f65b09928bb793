"""The events of plugins: added, listed the newest first, kept for thirty days.

Runs on: `insert` and `purge` on the thread of `DbWriter`, `newest` on those of `DbReader`.
"""

from __future__ import annotations

from typing import Any

import peewee
from peewee import Table

from toru import clock
from toru.actors.messages.plugin_storage import InsertPluginEvent, ListPluginEvents, PluginEvent
from toru.storage.models import columns, storable

KEPT_S = 30 * 86_400.0

_COLUMNS = PluginEvent.__struct_fields__
_plugin_events = Table("plugin_events")
_ALL = columns(_plugin_events, _COLUMNS)


def insert(database: peewee.Database, message: InsertPluginEvent) -> PluginEvent:
    """Add an event and return its row."""
    row: dict[Any, Any] = {
        _plugin_events.c.plugin_id: message.plugin_id,
        _plugin_events.c.event_type: storable(message.event_type),
        _plugin_events.c.timestamp: message.timestamp or clock.utc_now(),
        _plugin_events.c.details: None if message.details is None else storable(message.details),
    }
    added = _plugin_events.insert(row).returning(*_ALL).tuples()
    rows = list(added.execute(database))
    return PluginEvent(*rows[0])


def newest(database: peewee.Database, message: ListPluginEvents) -> list[PluginEvent]:
    """Return a plugin's events, the newest first."""
    query = _plugin_events.select(*_ALL).where(_plugin_events.c.plugin_id == message.plugin_id)
    if message.before is not None:
        query = query.where(_plugin_events.c.id < message.before)
    query = query.order_by(_plugin_events.c.id.desc()).limit(max(0, message.limit))
    return [PluginEvent(*row) for row in query.tuples().execute(database)]


def purge(database: peewee.Database, now: str) -> int:
    """Remove the events that are over thirty days old at ``now``, and return how many."""
    before = clock.format_time(clock.parse_time(now) - KEPT_S)
    query = _plugin_events.delete().where(_plugin_events.c.timestamp < before)
    return int(query.execute(database))
