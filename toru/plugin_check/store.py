"""The checker's part as the core that plugins call: their keys, in memory; all else in short.

Runs on: the checker's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from toru.wire.plugin_v2 import ErrorCode

METHODS = frozenset(
    {
        *("kv.get", "kv.set", "kv.delete", "kv.list", "kv.batch"),
        *("log", "event.emit", "event.subscribe", "task.run", "task.cancel"),
        *("config.get", "config.set"),
    }
)
"""What the protocol has."""
MAX_PAGE = 1000
MAX_CHANGES = 100


class Refused(Exception):
    """A call is answered with an error."""

    def __init__(self, code: ErrorCode, sentence: str) -> None:
        super().__init__(sentence)
        self.code: ErrorCode = code
        self.sentence = sentence


class Store:
    """The keys of one plugin, and its settings, which it cannot change here."""

    def __init__(self, config: Mapping[str, Any] | None = None) -> None:
        self._config = dict(config or {})
        self._entries: dict[str, tuple[str, int]] = {}
        self._version = 0

    def kv(self, action: str, key: str, value: str | None) -> str | None:
        """Do one action of version 1 and return the value that the key has then."""
        if action == "set":
            self._set(key, value or "")
        elif action == "delete":
            self._entries.pop(key, None)
        return self._entries[key][0] if key in self._entries else None

    def call(self, method: str, params: dict[str, Any]) -> Any:
        """Do one call of version 2 and return its value.

        Raises:
            Refused: it is answered with an error.
        """
        done: dict[str, Callable[[dict[str, Any]], Any]] = {
            "kv.get": self._get_call,
            "kv.set": self._set_call,
            "kv.delete": self._delete_call,
            "kv.list": self._list_call,
            "kv.batch": self._batch_call,
            "config.get": lambda _: self._config,
            "log": lambda _: None,
            "event.emit": lambda _: None,
        }
        work = done.get(method)
        if work is None:
            raise Refused("DENIED", f"The checker does not do {method[:80]!r}.")
        return work(params)

    def _get_call(self, params: dict[str, Any]) -> Any:
        value, version = self._entries.get(_text(params, "key"), (None, 0))
        return {"value": value, "version": version}

    def _set_call(self, params: dict[str, Any]) -> Any:
        key, value = _text(params, "key"), _text(params, "value")
        self._check_version(key, params)
        return {"version": self._set(key, value)}

    def _delete_call(self, params: dict[str, Any]) -> Any:
        key = _text(params, "key")
        self._check_version(key, params)
        return {"deleted": self._entries.pop(key, None) is not None}

    def _list_call(self, params: dict[str, Any]) -> Any:
        prefix, after = params.get("prefix") or "", params.get("cursor") or ""
        limit = params.get("limit") or 100
        if not isinstance(limit, int) or not 1 <= limit <= MAX_PAGE:
            raise Refused("DENIED", f"The limit must be 1 to {MAX_PAGE}.")
        keys = sorted(key for key in self._entries if key.startswith(prefix) and key > after)
        entries = [
            {"key": key, "value": value, "version": version, "expires_at": None}
            for key, (value, version) in ((key, self._entries[key]) for key in keys[:limit])
        ]
        return {"entries": entries, "cursor": keys[limit - 1] if len(keys) > limit else None}

    def _batch_call(self, params: dict[str, Any]) -> Any:
        changes = params.get("changes")
        if not isinstance(changes, list) or len(changes) > MAX_CHANGES:
            raise Refused("DENIED", f'"changes" must be a list of at most {MAX_CHANGES}.')
        before = dict(self._entries)
        try:
            return {"versions": [self._change(change) for change in changes]}
        except Refused:
            self._entries = before
            raise

    def _change(self, change: Any) -> int | None:
        if not isinstance(change, dict) or change.get("action") not in ("set", "delete"):
            raise Refused("DENIED", "A change must be a set or a delete.")
        if change["action"] == "set":
            version: int = self._set_call(change)["version"]
            return version
        self._delete_call(change)
        return None

    def _set(self, key: str, value: str) -> int:
        self._version += 1
        self._entries[key] = (value, self._version)
        return self._version

    def _check_version(self, key: str, params: dict[str, Any]) -> None:
        wanted = params.get("if_version")
        if wanted is not None and wanted != self._entries.get(key, ("", 0))[1]:
            raise Refused("CONFLICT", f"The key {key[:80]!r} has another version.")


def _text(params: dict[str, Any], name: str) -> str:
    value = params.get(name)
    if not isinstance(value, str):
        raise Refused("DENIED", f'The parameter "{name}" must be a string.')
    return value
