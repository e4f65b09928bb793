"""Licences for proprietary plugins: what is in one, how it is written, and whether it holds.

A licence is a line ``TORU1.<payload>.<signature>``. The payload is JSON, the signature is Ed25519
of all that stands before its dot; both are base64url without padding. The library for plugins in
Python reads the same format on its own.

Runs on: any thread; pure. Signing and verifying are given to it.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable
from datetime import date
from typing import Any, NamedTuple

from toru.errors import BadRequest, ToruError

PREFIX = "TORU1"
SIGNATURE_BYTES = 64
MAX_CHARACTERS = 8192
_PLUGIN_ID = re.compile(r"[A-Za-z0-9-]{1,64}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class LicenseRefused(ToruError):
    """The licence does not hold: ``damaged``, ``wrong_key``, ``other_plugin``… is its code."""

    status = 403
    default_code = "license_refused"


class License(NamedTuple):
    """Who may run what until when.

    Attributes:
        instance: the id of an installation of Toru.
        plugin: the plugin's id.
        expires: the last day on which it holds, in UTC; None when it does not end.
        to: who it is given to, for people; may be empty.
    """

    instance: str
    plugin: str
    expires: date | None
    to: str = ""


def check(wanted: License) -> None:
    """Refuse to write a licence that could never hold.

    Raises:
        BadRequest: an id is none.
    """
    if not _PLUGIN_ID.fullmatch(wanted.plugin):
        raise BadRequest(f"{wanted.plugin!r} is no id of a plugin: letters, digits and hyphens.")
    try:
        uuid.UUID(wanted.instance)
    except ValueError:
        raise BadRequest(
            f"{wanted.instance!r} is no id of an installation: it is the hub's setting instance_id."
        ) from None
    if len(wanted.to.encode("utf-8", "replace")) > 512:
        raise BadRequest("The name of who it is given to is longer than 512 bytes.")


def write(wanted: License, sign: Callable[[bytes], bytes]) -> str:
    """Return a licence as text.

    Args:
        wanted: what it says.
        sign: returns the signature of a message.

    Raises:
        BadRequest: an id is none.
    """
    check(wanted)
    said = {
        "instance": wanted.instance.lower(),
        "plugin": wanted.plugin,
        "expires": wanted.expires and wanted.expires.isoformat(),
        "to": wanted.to,
    }
    signed = f"{PREFIX}.{encoded(json.dumps(said, separators=(',', ':')).encode())}"
    return f"{signed}.{encoded(sign(signed.encode()))}"


def read(text: str, is_signed: Callable[[bytes, bytes], bool]) -> License:
    """Return what a licence says that is signed as it should be.

    Args:
        text: the licence; blanks and line breaks in it do not matter.
        is_signed: returns whether a message has a signature.

    Raises:
        LicenseRefused: it is damaged or signed by somebody else.
    """
    plain = "".join(text.split())
    parts = plain.split(".")
    if len(plain) > MAX_CHARACTERS or len(parts) != 3 or parts[0] != PREFIX:
        raise _damaged()
    payload, signature = decoded(parts[1]), decoded(parts[2])
    if payload is None or signature is None or len(signature) != SIGNATURE_BYTES:
        raise _damaged()
    if not is_signed(f"{PREFIX}.{parts[1]}".encode(), signature):
        raise LicenseRefused(
            "This licence was not signed with this key, or was changed afterwards.",
            code="wrong_key",
        )
    return _license_of(payload)


def judge(found: License, *, instance: str, plugin: str, today: date) -> None:
    """Refuse a licence that does not hold here and now.

    Args:
        found: the licence.
        instance: the installation that it should be for.
        plugin: the plugin that it should be for.
        today: the day, in UTC.

    Raises:
        LicenseRefused: says why.
    """
    if found.plugin != plugin:
        sentence = f"This licence is for the plugin {found.plugin}, not for {plugin}."
        raise LicenseRefused(sentence, code="other_plugin")
    if found.instance.lower() != instance.lower():
        sentence = f"This licence is for the installation {found.instance}, not for {instance}."
        raise LicenseRefused(sentence, code="other_instance")
    if found.expires is not None and today > found.expires:
        raise LicenseRefused(f"This licence expired on {found.expires}.", code="expired")


def day_of(text: str) -> date:
    """Return the day that ``YYYY-MM-DD`` names; raises ValueError when it names none."""
    if not _DAY.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(text)


def encoded(content: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def decoded(text: str) -> bytes | None:
    """Return what base64url without padding stands for; None when it is not its only spelling."""
    try:
        found = base64.urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except (UnicodeEncodeError, binascii.Error):
        return None
    return found if encoded(found) == text else None


def _license_of(payload: bytes) -> License:
    try:
        said: Any = json.loads(payload)
        instance, plugin, expires = said["instance"], said["plugin"], said["expires"]
        found = License(
            instance, plugin, None if expires is None else day_of(expires), said.get("to", "")
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _damaged() from None
    if not all(isinstance(value, str) for value in (found.instance, found.plugin, found.to)):
        raise _damaged()
    return found


def _damaged() -> LicenseRefused:
    return LicenseRefused(
        "This is no whole licence: it is one line that begins with TORU1, to be copied whole.",
        code="damaged",
    )
