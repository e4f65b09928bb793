"""What the hub may ask: the shapes of its messages, checked.

Runs on: any thread; no I/O of its own.
"""

from __future__ import annotations

import os
import re

from toru.runner.ending import DRAIN_S

PROTOCOL = 1
_ID = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_MAX_SIGNAL = 64
_MAX_SECONDS = 10.0 * 365 * 86_400


class RequestError(Exception):
    """The runner cannot or will not do what was asked.

    Attributes:
        code: the snake_case name that programs compare.
        sentence: why, for people.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence


class SpawnRequest:
    """A run to start; see docs/runner.md for what the fields mean."""

    __slots__ = (
        "argv",
        "cwd",
        "directory",
        "drain_s",
        "env",
        "hub_gone_s",
        "id",
        "leave",
        "output_limit_bytes",
        "relay",
        "relay_bytes_per_s",
        "relay_id",
        "relay_limit_bytes",
        "time_limit_s",
    )

    def __init__(self, message: dict[str, object]) -> None:
        """Check a ``spawn`` message.

        Raises:
            RequestError: a field is missing or wrong.
        """
        self.id = run_id(message)
        self.argv = _strings(message.get("argv"), "argv")
        if not self.argv or not self.argv[0]:
            raise _wrong("argv", "a list that starts with a program")
        self.cwd = text(message, "cwd")
        self.env = _environment(message.get("env"))
        self.directory = text(message, "directory") if message.get("directory") else None
        capture = message.get("capture", "store")
        if capture not in ("store", "relay"):
            raise _wrong("capture", '"store" or "relay"')
        self.relay = capture == "relay"
        if not self.relay and self.directory is None:
            raise _wrong("directory", "a folder when the output is to be stored")
        default = 0 if self.relay else None
        self.output_limit_bytes = integer(message, "output_limit_bytes", 0, default)
        if not self.relay and self.output_limit_bytes < 2:
            raise _wrong("output_limit_bytes", "at least 2")
        self.relay_id = integer(message, "relay_id", 0, None if self.relay else 0)
        if self.relay_id >= 1 << 32:
            raise _wrong("relay_id", "a 32-bit number")
        limit = message.get("relay_limit_bytes")
        self.relay_limit_bytes = (
            None if limit is None else integer(message, "relay_limit_bytes", 0, None)
        )
        rate = message.get("relay_bytes_per_s")
        self.relay_bytes_per_s = (
            None if rate is None else integer(message, "relay_bytes_per_s", 1, None)
        )
        drain_s = seconds(message, "drain_s")
        self.drain_s = DRAIN_S if drain_s is None else drain_s
        if self.drain_s > DRAIN_S:
            raise _wrong("drain_s", f"at most {DRAIN_S:g} seconds")
        self.hub_gone_s = seconds(message, "hub_gone_s")
        self.time_limit_s = seconds(message, "time_limit_s")
        leftovers = message.get("leftovers", "end")
        if leftovers not in ("end", "leave"):
            raise _wrong("leftovers", '"end" or "leave"')
        self.leave = leftovers == "leave"


def _wrong(field: str, wanted: str) -> RequestError:
    return RequestError("bad_request", f"The field {field} must be {wanted}.")


def run_id(message: dict[str, object]) -> str:
    """Return the ``id`` of a message; it must be fit for a file name.

    Raises:
        RequestError: it is not.
    """
    value = message.get("id")
    if not isinstance(value, str) or not _ID.match(value):
        raise _wrong("id", "1 to 128 letters, digits, '_', '.' and '-'")
    return value


def text(message: dict[str, object], field: str) -> str:
    """Return a text that is not empty.

    Raises:
        RequestError: it is something else, or holds a NUL.
    """
    value = message.get(field)
    if not isinstance(value, str) or not value or not _fit_for_the_system(value):
        raise _wrong(field, "a text without NUL")
    return value


def _fit_for_the_system(value: str) -> bool:
    try:
        return b"\0" not in os.fsencode(value)
    except UnicodeEncodeError:
        return False


def integer(message: dict[str, object], field: str, least: int, default: int | None) -> int:
    """Return a whole number of at least ``least``.

    Raises:
        RequestError: it is something else; or missing, and there is no default.
    """
    value = message.get(field, default)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value < 1 << 62:
        raise _wrong(field, f"a whole number of at least {least}")
    return value


def seconds(message: dict[str, object], field: str, default: float | None = None) -> float | None:
    """Return a time in seconds, or the default when there is none.

    Raises:
        RequestError: it is no number, or negative, or over ten years.
    """
    value = message.get(field)
    if value is None:
        return default
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(field, "a number of seconds")
    if not 0 <= value <= _MAX_SECONDS:
        raise _wrong(field, "a number of seconds from 0 to ten years")
    return float(value)


def signal_number(message: dict[str, object]) -> int:
    """Return the ``signal`` of a message.

    Raises:
        RequestError: it is no signal.
    """
    value = integer(message, "signal", 1, None)
    if value > _MAX_SIGNAL:
        raise _wrong("signal", f"a number up to {_MAX_SIGNAL}")
    return value


def _strings(value: object, field: str) -> list[str]:
    if not isinstance(value, list):
        raise _wrong(field, "a list of texts")
    for item in value:
        if not isinstance(item, str) or not _fit_for_the_system(item):
            raise _wrong(field, "a list of texts without NUL")
    return value


def _environment(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise _wrong("env", "an object of texts")
    for name, item in value.items():
        if not name or "=" in name or not isinstance(item, str):
            raise _wrong("env", "an object of texts")
        if not _fit_for_the_system(name) or not _fit_for_the_system(item):
            raise _wrong("env", "an object of texts without NUL")
    return value
