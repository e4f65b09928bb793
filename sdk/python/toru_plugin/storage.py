"""The plugin's own keys and values, which the core keeps.

Runs on: the plugin's loop, where each method is awaited, or any other thread of the plugin, where
it returns when the core has answered. Every method may raise `CallError`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import CallError

if TYPE_CHECKING:
    from .plugin import Plugin


class Entry(NamedTuple):
    """One key.

    Attributes:
        key: its name.
        value: its value; None where only keys were asked for.
        version: of the change that made it, for ``if_version``.
        expires_at: RFC 3339 UTC; None when it stays.
    """

    key: str
    value: str | None
    version: int | None = None
    expires_at: str | None = None


class Page(NamedTuple):
    """Some entries in the order of their keys.

    Attributes:
        entries: the entries.
        cursor: for the next page; None when this is the last.
    """

    entries: list[Entry]
    cursor: str | None


class Kv:
    """``plugin.kv``: keys and values are text, at most 256 bytes and 256 KiB of UTF-8.

    In an ``async`` handler every method is awaited; in a plain one it is simply called::

        count = int(await plugin.kv.get("count") or 0)     # in `async def`
        count = int(plugin.kv.get("count") or 0)           # in `def`
    """

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def get(self, key: str) -> Any:
        """Return the value of a key (str), or None when it is not there."""
        return self._call("kv.get", {"key": key}, _value)

    def entry(self, key: str) -> Any:
        """Return the `Entry` of a key with its version, or None. Protocol 2 only."""
        return self._call("kv.get", {"key": key}, lambda found: _entry(found, key))

    def set(
        self, key: str, value: str, *, ttl_s: float | None = None, if_version: int | None = None
    ) -> Any:
        """Set a key and return its new version (None with protocol 1).

        Args:
            key: its name.
            value: its value.
            ttl_s: seconds after which it is gone. Protocol 2 only.
            if_version: only when it has this version, else `CallError` with ``CONFLICT``; 0 is
                only when it is not there. Protocol 2 only.

        Raises:
            TypeError: the value is not text.
        """
        if not isinstance(value, str):
            raise TypeError(f"a value must be a str, not {type(value).__name__}; see json.dumps")
        more = {"ttl_s": ttl_s, "if_version": if_version}
        return self._call("kv.set", {"key": key, "value": value, **_given(more)}, _version)

    def delete(self, key: str, *, if_version: int | None = None) -> Any:
        """Delete a key and return None; it need not be there."""
        params = {"key": key, **_given({"if_version": if_version})}
        return self._call("kv.delete", params, lambda _: None)

    def list(self, prefix: str = "", *, cursor: str | None = None, limit: int = 100) -> Any:
        """Return a `Page` of the entries whose keys begin with ``prefix``. Protocol 2 only."""
        params = {"prefix": prefix, "limit": limit, **_given({"cursor": cursor})}
        return self._call("kv.list", params, _page)

    def batch(self, changes: Iterable[dict[str, Any]]) -> Any:
        """Make at most 100 changes, all or none; return each one's new version. Protocol 2 only.

        The version of a key that was deleted is None.

        Args:
            changes: each ``{"action": "set", "key", "value", "ttl_s"?, "if_version"?}`` or
                ``{"action": "delete", "key", "if_version"?}``.
        """
        return self._call("kv.batch", {"changes": [dict(change) for change in changes]}, _versions)

    def _call(self, method: str, params: dict[str, Any], convert: Any) -> Any:
        return self._plugin.call(method, params, convert)


def _versions(found: Any) -> Any:
    return found.get("versions", []) if isinstance(found, dict) else found


def _given(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _value(found: Any) -> str | None:
    value = found.get("value") if isinstance(found, dict) else found
    if value is not None and not isinstance(value, str):
        raise CallError("INTERNAL", f"the core answered a {type(value).__name__} as a value")
    return value


def _version(found: Any) -> int | None:
    version = found.get("version") if isinstance(found, dict) else found
    return version if isinstance(version, int) else None


def _entry(found: Any, key: str) -> Entry | None:
    value = _value(found)
    if value is None:
        return None
    more = found if isinstance(found, dict) else {}
    return Entry(more.get("key", key), value, more.get("version"), more.get("expires_at"))


def _page(found: Any) -> Page:
    items = found.get("entries", []) if isinstance(found, dict) else []
    entries = [
        Entry(item["key"], item.get("value"), item.get("version"), item.get("expires_at"))
        for item in items
    ]
    return Page(entries, found.get("cursor") if isinstance(found, dict) else None)
