"""The settings that a plugin declares, and the values that it has for them.

Runs on: any thread.
"""

from __future__ import annotations

from typing import Any

from .errors import PluginError

TYPES = ("string", "number", "integer", "boolean", "array")


def checked_schema(schema: Any) -> dict[str, Any]:
    """Return the JSON Schema of the settings if it can be one; the core looks more closely.

    Raises:
        PluginError: it is none.
    """
    if not isinstance(schema, dict) or schema.get("type") != "object":
        raise PluginError('the settings must be a JSON Schema with "type": "object"')
    settings = schema.get("properties")
    if not isinstance(settings, dict) or not settings:
        raise PluginError('the settings need "properties", which name each of them')
    for name, setting in settings.items():
        if not isinstance(setting, dict) or setting.get("type") not in TYPES:
            raise PluginError(f'the setting {name!r} needs a "type", one of {", ".join(TYPES)}')
    return schema


def with_defaults(schema: dict[str, Any] | None, config: dict[str, Any]) -> dict[str, Any]:
    """Return the values with the defaults of those that are left out."""
    settings = {} if schema is None else schema["properties"]
    defaults = {name: each["default"] for name, each in settings.items() if "default" in each}
    return {**defaults, **config}
