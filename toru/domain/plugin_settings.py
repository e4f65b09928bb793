"""The settings of one plugin: what its schema makes of the values that were given for it.

Runs on: any thread; pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from toru.domain.plugin_settings_schema import (
    Schema,
    fault,
    is_secret,
    uncapitalised,
    validator,
)
from toru.errors import BadRequest

Values = Mapping[str, Any]

MAX_VALUES_BYTES = 256 * 1024
"""The most JSON that the values of a plugin may have; they go to it in one message of 1 MiB."""

NEEDED = "This is needed."


class InvalidSettings(BadRequest):
    """Values that are not allowed; nothing has changed.

    Attributes:
        fields: a sentence by the name of each setting that is wrong.
    """

    default_code = "invalid_settings"

    def __init__(self, sentence: str, fields: dict[str, str]) -> None:
        super().__init__(sentence)
        self.fields = fields


class SettingsForm:
    """What a schema that `check_schema` has found sound makes of values.

    Attributes:
        schema: the schema.
        secrets: the names of the settings that are secrets.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._settings: Mapping[str, Schema] = schema["properties"]
        self._required: frozenset[str] = frozenset(schema.get("required", ()))
        self._rules = {name: validator(setting) for name, setting in self._settings.items()}
        self.secrets = tuple(name for name, each in self._settings.items() if is_secret(each))

    def changed(self, stored: Values, given: Values, *, partly: bool = False) -> dict[str, Any]:
        """Return what is to be stored once ``given`` was asked for.

        A None clears a setting. A setting that is left out is cleared too, unless it is a secret.
        What is stored under names that the schema does not know stays, for whoever goes back to
        the version before.

        Args:
            stored: what is stored now.
            given: the wish.
            partly: what is left out of it stays as it is.

        Raises:
            InvalidSettings: something of it is not allowed, or missing.
        """
        _check_size(given)
        kept = {
            name: value
            for name, value in stored.items()
            if partly or name not in self._settings or name in self.secrets
        }
        values = {name: self._plain(name, value) for name, value in given.items()}
        new = {name: value for name, value in {**kept, **values}.items() if value is not None}
        faults = {name: found for name in given if (found := self._fault(name, values[name]))}
        for name in self.missing(new):
            if name in given or not partly:
                faults.setdefault(name, NEEDED)
        if faults:
            raise InvalidSettings(self._summary(faults), faults)
        _check_size(new)
        return new

    def config(self, stored: Values) -> dict[str, Any]:
        """Return what the plugin is told: what is stored, where it is allowed, and the defaults."""
        config = {}
        for name, setting in self._settings.items():
            if name in stored and self._fault(name, stored[name]) is None:
                config[name] = stored[name]
            elif "default" in setting:
                config[name] = setting["default"]
        return config

    def shown(self, stored: Values) -> dict[str, Any]:
        """Return what was given and is allowed, without the secrets."""
        return {
            name: stored[name]
            for name in self._settings
            if name in stored and name not in self.secrets and not self._fault(name, stored[name])
        }

    def secrets_set(self, stored: Values) -> list[str]:
        """Return the names of the secrets that have a value."""
        return [name for name in self.secrets if name in stored and name in self.config(stored)]

    def unusable(self, stored: Values) -> dict[str, str]:
        """Return the settings whose stored value the schema does not allow any more, and why."""
        return {
            name: found
            for name in self._settings
            if name in stored and (found := self._fault(name, stored[name]))
        }

    def missing(self, stored: Values) -> list[str]:
        """Return the names of the settings that are required and have no value."""
        config = self.config(stored)
        return [name for name in self._settings if name in self._required and name not in config]

    def hidden(self, stored: Values) -> tuple[str, ...]:
        """Return the texts that no log may show, whether the schema allows them or not."""
        values = (stored.get(name) for name in self.secrets)
        return tuple(value for value in values if isinstance(value, str))

    def _fault(self, name: str, value: object) -> str | None:
        rules = self._rules.get(name)
        if rules is None:
            return "The plugin has no such setting."
        return None if value is None else fault(rules, value)

    def _plain(self, name: str, value: Any) -> Any:
        """Return 3.0 as 3 where a whole number is asked for, as JSON Schema allows it."""
        is_whole = self._settings.get(name, {}).get("type") == "integer"
        if is_whole and isinstance(value, float) and value.is_integer():
            return int(value)
        return value

    def _summary(self, faults: Mapping[str, str]) -> str:
        if len(faults) > 1:
            return f"{len(faults)} settings are not right; nothing was changed."
        (name, sentence), *_ = faults.items()
        title = self._settings.get(name, {}).get("title") or name[:64]
        return f"The setting {title} is not right: {uncapitalised(sentence)}"


def _check_size(values: Values) -> None:
    try:
        size = len(msgspec.json.encode(values))
    except (RecursionError, UnicodeEncodeError):
        raise BadRequest("The values are nested too deeply, or no text.") from None
    if size > MAX_VALUES_BYTES:
        raise BadRequest(f"The settings are over {MAX_VALUES_BYTES // 1024} KiB in all.")
