"""What a plugin says of itself: the one JSON object that it prints for ``--metadata``.

Runs on: any thread; pure.
"""

from __future__ import annotations

import json
import re
import unicodedata
from typing import Any

import msgspec

from toru.errors import Conflict

MAX_ID_CHARS = 64
MAX_NAME_CHARS = 100
MAX_VERSION_CHARS = 64
MAX_ICON_CHARS = 16_384
"""Room for a small inline image."""
MAX_ROUTE_CHARS = 128

KNOWN_PROTOCOLS = (1, 2)
RESERVED_IDS = frozenset({"route"})
"""Words that the API has under ``/api/plugins/``; a plugin of that id could not be reached."""

_MAX_SHOWN_CHARS = 60
_ID = re.compile(rf"[A-Za-z0-9-]{{1,{MAX_ID_CHARS}}}")
# What RFC 3986 never wants percent-encoded, so that a route has one spelling only.
_ROUTE = re.compile(r"(?:/[A-Za-z0-9._~@:+-]+)+")


class BrokenPlugin(Conflict):
    """A file in the plugins folder that cannot be used; the sentence says what to change."""

    default_code = "broken_plugin"


class PluginMetadata(msgspec.Struct, frozen=True):
    """What a plugin says of itself.

    Attributes:
        id: letters, digits and hyphens, unique among the plugins.
        name: for people.
        version: for people.
        route: where its HTTP routes are, such as ``/hello``; without a slash at the end.
        author: for people.
        icon: for the dashboard: a character, a name or a ``data:`` address.
        protocols: the versions of the plugin protocol that both sides know, ascending.
        health: whether it offers to be asked for its health.
        sandbox: whether its page is to be shown in a sandbox.
        settings: a JSON Schema of the settings that it has, if it has any.
    """

    id: str
    name: str
    version: str
    route: str
    author: str | None = None
    icon: str | None = None
    protocols: tuple[int, ...] = (1,)
    health: bool = False
    sandbox: bool = False
    settings: dict[str, Any] | None = None

    @property
    def protocol(self) -> int:
        """The version to speak: the highest that both sides know."""
        return self.protocols[-1]


def parse_metadata(stdout: bytes) -> PluginMetadata:
    """Return the metadata that a plugin has printed; fields that nobody knows are left out.

    Raises:
        BrokenPlugin: it is not exactly one JSON object with the fields of the contract.
    """
    return checked(_converted(_decoded(stdout)))


def checked(metadata: PluginMetadata) -> PluginMetadata:
    """Return ``metadata`` in its plain form when every value is allowed.

    Raises:
        BrokenPlugin: one is not.
    """
    _check_id(metadata.id)
    _check_text("name", metadata.name, MAX_NAME_CHARS)
    _check_text("version", metadata.version, MAX_VERSION_CHARS)
    if metadata.author is not None:
        _check_text("author", metadata.author, MAX_NAME_CHARS, may_be_empty=True)
    if metadata.icon is not None:
        _check_text("icon", metadata.icon, MAX_ICON_CHARS, may_be_empty=True)
    if metadata.settings is not None:
        from toru.domain.plugin_settings_schema import check_schema  # takes memory, see there

        check_schema(metadata.settings)
    protocols = tuple(sorted(set(metadata.protocols) & set(KNOWN_PROTOCOLS)))
    if not protocols:
        raise BrokenPlugin('Its metadata\'s "protocols" must contain 1 or 2.')
    return msgspec.structs.replace(
        metadata, route=_checked_route(metadata.route), protocols=protocols
    )


def shown(text: str, max_chars: int = _MAX_SHOWN_CHARS) -> str:
    """Return ``text`` fit for a sentence: one line, no control characters, not too long."""
    plain = "".join(" " if unicodedata.category(char)[0] in "CZ" else char for char in text)
    plain = " ".join(plain.split())
    return plain if len(plain) <= max_chars else plain[: max_chars - 1] + "…"


def _decoded(stdout: bytes) -> object:
    try:
        text = stdout.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BrokenPlugin(
            f"What it prints for --metadata is not UTF-8 (byte {error.start})."
        ) from None
    text = text.strip(" \t\r\n")
    if not text:
        raise BrokenPlugin("It prints nothing for --metadata; it must print one JSON object.")
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BrokenPlugin(_why_not_json(text, error)) from None


def _why_not_json(text: str, error: Exception) -> str:
    if not text.startswith("{"):
        before, brace, _ = text.partition("{")
        if brace:
            return (
                f'It prints other text before the JSON object of --metadata: "{shown(before)}"; '
                "only the object may be on stdout."
            )
        return f'It prints no JSON object for --metadata, but "{shown(text)}".'
    try:
        _, end = json.JSONDecoder().raw_decode(text)
    except (ValueError, RecursionError):
        end = 0
    if 0 < end < len(text):
        return (
            "It prints other text after the JSON object of --metadata: "
            f'"{shown(text[end:])}"; only the object may be on stdout.'
        )
    return f"What it prints for --metadata is not valid JSON: {shown(str(error), 120)}."


def _converted(value: object) -> PluginMetadata:
    if not isinstance(value, dict):
        raise BrokenPlugin("What it prints for --metadata is JSON, but not an object.")
    try:
        return msgspec.convert(value, PluginMetadata)
    except msgspec.ValidationError as error:
        sentence = str(error).replace("`", '"')
        raise BrokenPlugin(f"Its metadata is wrong: {shown(sentence, 160)}.") from None


def _check_id(plugin_id: str) -> None:
    if not _ID.fullmatch(plugin_id):
        raise BrokenPlugin(
            f'Its id "{shown(plugin_id)}" must be 1 to {MAX_ID_CHARS} letters, digits and hyphens.'
        )
    if plugin_id.lower() in RESERVED_IDS:
        raise BrokenPlugin(f'Its id "{plugin_id}" is a word that Toru needs; choose another.')


def _check_text(field: str, value: str, max_chars: int, *, may_be_empty: bool = False) -> None:
    if not value.strip() and not may_be_empty:
        raise BrokenPlugin(f'Its metadata\'s "{field}" must not be empty.')
    if len(value) > max_chars:
        raise BrokenPlugin(f'Its metadata\'s "{field}" is longer than {max_chars} characters.')
    if any(unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in value):
        raise BrokenPlugin(f'Its metadata\'s "{field}" has control characters or line breaks.')


def _checked_route(route: str) -> str:
    plain = route[:-1] if len(route) > 1 and route.endswith("/") else route
    if not plain.startswith("/"):
        raise BrokenPlugin(f'Its route "{shown(route)}" must begin with "/".')
    if len(plain) > MAX_ROUTE_CHARS:
        raise BrokenPlugin(f"Its route is longer than {MAX_ROUTE_CHARS} characters.")
    if not _ROUTE.fullmatch(plain):
        raise BrokenPlugin(
            f'Its route "{shown(route)}" must be "/" and a name, or several such; '
            "of letters, digits and . _ ~ @ : + - only."
        )
    if ".." in plain or "." in plain.split("/"):
        raise BrokenPlugin(f'Its route "{shown(route)}" must not have ".." or "." in it.')
    return plain
