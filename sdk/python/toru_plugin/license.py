"""Licences for proprietary plugins: who may run what until when, verified without any network.

    from toru_plugin import license

    license.verify(text, PUBLIC_KEY, plugin.instance_id, plugin.id)

A licence is a line ``TORU1.<payload>.<signature>``. The payload is JSON with ``instance``,
``plugin``, ``expires`` (the last day, in UTC, or null) and ``to``; the Ed25519 signature is of all
that stands before its dot. Both are base64url without padding. ``toru license`` makes them.

Runs on: any thread.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import date, datetime, timezone
from typing import Any, NamedTuple

from . import ed25519
from .errors import PluginError

_PREFIX = "TORU1"
_MAX_CHARACTERS = 8192
_DATE = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class LicenseError(PluginError):
    """The licence does not hold; the text is a sentence for whoever runs the plugin.

    Attributes:
        code: ``damaged``, ``wrong_key``, ``other_plugin``, ``other_instance`` or ``expired``.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class License(NamedTuple):
    """A licence that holds.

    Attributes:
        instance: the id of the installation that may run the plugin.
        plugin: the plugin's id.
        expires: the last day on which it holds, in UTC; None when it does not end.
        to: who it was given to; empty when that was not said.
    """

    instance: str
    plugin: str
    expires: date | None
    to: str


def verify(
    text: str,
    public_key: str,
    instance_id: str | None,
    plugin_id: str,
    now: datetime | None = None,
) -> License:
    """Return a licence if it holds here and now.

    Args:
        text: the licence; blanks and line breaks, as mails put them in, do not matter.
        public_key: of its author, as ``toru license keygen`` shows it.
        instance_id: of this installation: `Plugin.instance_id`, known from ``on_start`` on.
        plugin_id: of the plugin that asks.
        now: the moment that counts; the present when it is None.

    Raises:
        LicenseError: it does not hold; says why.
        PluginError: the public key is none, or the plugin has not started yet.
    """
    key = _key_of(public_key)
    if not instance_id:
        raise PluginError("the instance id is known when the plugin has started; use on_start")
    found = _read(text, key)
    if found.plugin != plugin_id:
        sentence = f"This licence is for the plugin {found.plugin}, not for {plugin_id}."
        raise LicenseError("other_plugin", sentence)
    if found.instance.lower() != instance_id.lower():
        sentence = (
            f"This licence is for the installation {found.instance}; this one is {instance_id}."
        )
        raise LicenseError("other_instance", sentence)
    today = (now or datetime.now(timezone.utc)).astimezone(timezone.utc).date()
    if found.expires is not None and today > found.expires:
        raise LicenseError("expired", f"This licence expired on {found.expires.isoformat()}.")
    return found


def _key_of(text: str) -> bytes:
    key = _decoded(text.strip())
    if key is None or not ed25519.is_public_key(key):
        raise PluginError("this is no public key as `toru license keygen` shows it")
    return key


def _read(text: str, key: bytes) -> License:
    plain = "".join(text.split())
    parts = plain.split(".")
    if len(plain) > _MAX_CHARACTERS or len(parts) != 3 or parts[0] != _PREFIX:
        raise _damaged()
    payload, signature = _decoded(parts[1]), _decoded(parts[2])
    if payload is None or signature is None or len(signature) != ed25519.SIGNATURE_BYTES:
        raise _damaged()
    if not ed25519.verify(key, f"{_PREFIX}.{parts[1]}".encode(), signature):
        raise LicenseError(
            "wrong_key",
            "This licence was not signed by the author of this plugin, or was changed afterwards.",
        )
    return _license_of(payload)


def _license_of(payload: bytes) -> License:
    try:
        said: Any = json.loads(payload)
        instance, plugin, expires = said["instance"], said["plugin"], said["expires"]
        to = said.get("to", "")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _damaged() from None
    if not all(isinstance(value, str) for value in (instance, plugin, to)):
        raise _damaged()
    return License(instance, plugin, _day(expires), to)


def _day(text: Any) -> date | None:
    if text is None:
        return None
    try:
        if not _DATE.fullmatch(text):
            raise _damaged()
        return date.fromisoformat(text)
    except (TypeError, ValueError):
        raise _damaged() from None


def _decoded(text: str) -> bytes | None:
    """Return what base64url without padding stands for; None when it is not its only spelling."""
    try:
        raw = text.encode("ascii")
        found = base64.urlsafe_b64decode(raw + b"=" * (-len(raw) % 4))
    except (UnicodeEncodeError, binascii.Error):
        return None
    return found if base64.urlsafe_b64encode(found).rstrip(b"=") == raw else None


def _damaged() -> LicenseError:
    return LicenseError(
        "damaged",
        "This is no whole licence: it is one line that begins with TORU1, to be copied whole.",
    )
