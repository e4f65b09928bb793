"""What the database actors are told and asked for plugins: their keys and values, their events.

`DbWriter` takes the changes, `DbReader` the questions. Every message names the plugin whose rows it
is about, and reaches no other's. Times are RFC 3339 UTC texts with milliseconds.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

import msgspec

from toru.actors.runtime import Message


class KvEntry(msgspec.Struct, frozen=True):
    """One key of a plugin.

    Attributes:
        key: 1 to 256 bytes of UTF-8.
        value: at most 256 KiB of UTF-8; None where only the keys were asked for.
        version: the number of the change that made it, higher than that of all before it in the
            plugin's namespace; so it never comes again, not even after the key was deleted.
        expires_at: from when on it is not there any more.
    """

    key: str
    value: str | None
    version: int
    expires_at: str | None = None


class KvPage(msgspec.Struct, frozen=True):
    """Some entries in the order of their keys' code points.

    Attributes:
        entries: the entries.
        cursor: where the next page goes on; None when this is the last.
    """

    entries: list[KvEntry]
    cursor: str | None = None


class KvPut(msgspec.Struct, frozen=True, tag_field="action", tag="set", forbid_unknown_fields=True):
    """Set a key, in a batch; see `KvSet`."""

    key: str
    value: str
    ttl_s: float | None = None
    if_version: int | None = None


class KvRemove(
    msgspec.Struct, frozen=True, tag_field="action", tag="delete", forbid_unknown_fields=True
):
    """Delete a key, in a batch; see `KvDelete`."""

    key: str
    if_version: int | None = None


class PluginEvent(msgspec.Struct, frozen=True):
    """A row of ``plugin_events``; ``details`` is a JSON text, if there are any."""

    id: int
    plugin_id: str
    event_type: str
    timestamp: str
    details: str | None


# Changes, for DbWriter


class KvSet(Message[int], frozen=True):
    """Set a key; the answer is its new version.

    BadRequest: the key or the time to live is none. TooLarge: the key, the value, or all that the
    plugin stores. Conflict: another version is there. After an error nothing has changed.

    Attributes:
        plugin_id: whose key.
        key: its name.
        value: its value.
        ttl_s: seconds after which it is gone; None for never, also when it had an end before.
        if_version: only when this is its version now; 0 is only when it is not there.
    """

    plugin_id: str
    key: str
    value: str
    ttl_s: float | None = None
    if_version: int | None = None


class KvDelete(Message[bool], frozen=True):
    """Delete a key; the answer is whether it was there. Conflict: as for `KvSet`."""

    plugin_id: str
    key: str
    if_version: int | None = None


class KvBatch(Message[list[int | None]], frozen=True):
    """Make at most 100 changes in their order, all or none.

    The answer has the new version of each key that was set and None for each that was deleted.
    Errors as for `KvSet`.
    """

    plugin_id: str
    changes: tuple[KvPut | KvRemove, ...]


class InsertPluginEvent(Message[PluginEvent], frozen=True):
    """Record an event; without a timestamp it is now."""

    plugin_id: str
    event_type: str
    details: str | None = None
    timestamp: str | None = None


# Questions, for DbReader


class KvGet(Message[KvEntry | None], frozen=True):
    """One key."""

    plugin_id: str
    key: str


class KvList(Message[KvPage], frozen=True):
    """Keys that begin with ``prefix``, in the order of their code points.

    BadRequest: the limit is not 1 to 1,000.

    Attributes:
        plugin_id: whose keys.
        prefix: what they begin with; empty is all.
        cursor: that of the page before.
        limit: at most so many.
        with_values: read the values too.
        max_bytes: with values, the page ends with the entry that reaches this size in sum.
    """

    plugin_id: str
    prefix: str = ""
    cursor: str | None = None
    limit: int = 100
    with_values: bool = True
    max_bytes: int = 512 * 1024


class ListPluginEvents(Message[list[PluginEvent]], frozen=True):
    """A plugin's events, the newest first; with ``before``, an id, only older ones."""

    plugin_id: str
    limit: int = 100
    before: int | None = None
