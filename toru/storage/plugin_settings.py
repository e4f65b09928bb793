"""The settings of plugins: one JSON object each, written and read as a whole.

Runs on: `save` on the thread of `DbWriter`, `load` on those of `DbReader`.
"""

from __future__ import annotations

from typing import Any

import msgspec
import peewee
from peewee import Table

from toru.actors.messages.plugin_settings import LoadPluginSettings, SavePluginSettings

_plugin_settings = Table("plugin_settings")
_CONTENT = msgspec.json.Decoder(dict[str, Any])


def save(database: peewee.Database, message: SavePluginSettings) -> None:
    """Put a plugin's settings in the place of those that it had."""
    # As JSON writes them: PostgreSQL keeps no NUL and no lone surrogate as they are.
    content = msgspec.json.encode(message.values).decode()
    row = {_plugin_settings.c.plugin_id: message.plugin_id, _plugin_settings.c.content: content}
    insert = _plugin_settings.insert(row).on_conflict(
        conflict_target=[_plugin_settings.c.plugin_id],
        update={_plugin_settings.c.content: content},
    )
    insert.as_rowcount().execute(database)


def load(database: peewee.Database, message: LoadPluginSettings) -> dict[str, Any]:
    """Return a plugin's settings; none when nobody has given any.

    What is no JSON object, because somebody else has written it, is as good as nothing.
    """
    query = _plugin_settings.select(_plugin_settings.c.content)
    query = query.where(_plugin_settings.c.plugin_id == message.plugin_id)
    rows = list(query.tuples().execute(database))
    if not rows:
        return {}
    try:
        return _CONTENT.decode(rows[0][0])
    except msgspec.DecodeError:
        return {}
