"""Lines of logs: bytes of a plugin become lines, lines become JSON of one fixed order and size.

Runs on: any thread; pure, apart from what a `LineSplitter` holds.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec

from toru.actors.messages.logs import LEVELS, Level, LogLine
from toru.clock import format_time, parse_time
from toru.json_lines import json_line

LINE_LIMIT_BYTES = 64 * 1024
"""The most that a line has in the file, newline included, and a plugin's line before that."""

CUT = " … [cut]"
"""Stands at the end of a text of which more was there."""

_CUT_BYTES = CUT.encode()
_RESERVED = ("timestamp", "level", "plugin", "message", "error", "pid")
_MESSAGE_NAMES = ("message", "msg", "event")
_LEVEL_FIELDS = ("level", "levelname", "severity")
_TIME_NAMES = ("timestamp", "time", "ts")
_MILLISECONDS_FROM = 1e11  # numbers from here on cannot be seconds of this or the next millennium
_LEVEL_NAMES: dict[str, Level] = {
    **{level: level for level in LEVELS},
    "verbose": "debug",
    "information": "info",
    "notice": "info",
    "warning": "warn",
    "err": "error",
    "critical": "error",
    "alert": "error",
    "emergency": "error",
    "fatal": "error",
    "panic": "error",
}


class LineSplitter:
    """Parts a stream of bytes into lines, without holding more than one line's limit.

    A line that is longer is given out at once when it reaches the limit, with a mark, and what
    follows of it is left out. Empty lines are not given out; a carriage return before the newline
    is not part of the line.

    Attributes:
        left_out_bytes: how much of too long lines was left out so far.
    """

    def __init__(self, limit_bytes: int = LINE_LIMIT_BYTES) -> None:
        self.left_out_bytes = 0
        self._limit = limit_bytes
        self._held = bytearray()
        self._skipping = False
        self._lines: list[bytes] = []

    def feed(self, data: bytes) -> list[bytes]:
        """Take the next bytes and return the lines that they complete."""
        *complete, rest = data.split(b"\n")
        for part in complete:
            self._add(part)
            self._end_line()
        self._add(rest)
        lines, self._lines = self._lines, []
        return lines

    def end(self) -> list[bytes]:
        """Return the last line, if the stream ended without a newline."""
        self._end_line()
        lines, self._lines = self._lines, []
        return lines

    def resync(self) -> None:
        """Go on with the next whole line, after a part of the stream was lost."""
        self._held.clear()
        self._skipping = True

    def _add(self, part: bytes) -> None:
        if self._skipping:
            self.left_out_bytes += len(part)
            return
        self._held += part
        over = len(self._held) - self._limit
        if over > 0:
            self.left_out_bytes += over
            self._lines.append(bytes(self._held[: self._limit]) + _CUT_BYTES)
            self._held.clear()
            self._skipping = True

    def _end_line(self) -> None:
        line = bytes(self._held).removesuffix(b"\r")
        if line:
            self._lines.append(line)
        self._held.clear()
        self._skipping = False


def line_from_plugin(text: bytes, plugin: str, pid: int | None, now: str) -> LogLine:
    """Return a line that a plugin wrote to its stdout or stderr.

    A JSON object keeps its fields; the names that other logging libraries give to the message, the
    level and the time are understood. Any other text is the message, at level info, whichever
    stream it came from: well-meaning programs write what is no error to stderr.

    Args:
        text: the line without its newline; need not be UTF-8.
        plugin: the id of the plugin.
        pid: the process that wrote it, if it is known.
        now: the time of lines that have none of their own.
    """
    found = _object(text)
    if found is None:
        return LogLine(now, "info", plugin, text.decode("utf-8", "replace"), pid=pid)
    return line_from_fields(found, plugin, pid, now)


def line_from_fields(
    fields: dict[str, Any], plugin: str, pid: int | None, now: str, level: Level = "info"
) -> LogLine:
    """Return the line of an object with the fields of any logging library.

    The plugin's id and a known ``pid`` win over fields of those names, which stay under a name
    with an underscore behind it.

    Args:
        fields: the object; it is not changed.
        plugin: the id of the plugin.
        pid: the process that wrote it, if it is known.
        now: the time, when the object has none.
        level: the level, when the object has none.
    """
    rest = _flattened(fields)
    timestamp = _taken(rest, _TIME_NAMES, _time) or now
    level = _taken(rest, _LEVEL_FIELDS, _level) or level
    message = _taken(rest, _MESSAGE_NAMES, _text)
    error = _taken(rest, ("error",), _text)
    own_pid = _taken(rest, ("pid",), _number) if pid is None else None
    if rest.get("plugin") == plugin:
        del rest["plugin"]
    if pid is not None and rest.get("pid") == pid:
        del rest["pid"]
    rest = {f"{name}_" if name in _RESERVED else name: value for name, value in rest.items()}
    return LogLine(timestamp, level, plugin, message or "", error, pid or own_pid, rest)


def fields_of(line: LogLine) -> dict[str, Any]:
    """Return a line as the object that it is in the file and in answers, in its fixed order."""
    fields: dict[str, Any] = {
        "timestamp": line.timestamp,
        "level": line.level,
        "plugin": line.plugin,
        "message": line.message,
    }
    if line.error is not None:
        fields["error"] = line.error
    if line.pid is not None:
        fields["pid"] = line.pid
    fields.update((name, value) for name, value in line.fields.items() if name not in _RESERVED)
    return fields


def says(fields: dict[str, Any], sought: str) -> bool:
    """Return whether a line says something: its message, its error, or a further field.

    Capitals and small letters are the same.

    Args:
        fields: the line, as `fields_of` returns it.
        sought: any text.
    """
    further = {name: value for name, value in fields.items() if name not in _RESERVED}
    texts = (fields["message"], fields.get("error", ""), *map(_field_text, further.items()))
    wanted = sought.lower()
    return any(wanted in text.lower() for text in texts)


def _field_text(field: tuple[str, Any]) -> str:
    """Return a further field as people see it."""
    name, value = field
    return f"{name}={json.dumps(value, ensure_ascii=False, separators=(',', ':'))}"


def encode_line(line: LogLine) -> bytes:
    """Return a line as it is in the file, newline included, at most `LINE_LIMIT_BYTES` long.

    What is too long loses its further fields first, then the ends of its texts.
    """
    if len(line.message) + len(line.error or "") > LINE_LIMIT_BYTES:
        error = None if line.error is None else _bounded(line.error)
        line = msgspec.structs.replace(line, message=_bounded(line.message), error=error)
    try:
        encoded = json_line(fields_of(line))
    except (ValueError, TypeError, RecursionError):  # fields that JSON has no form for
        line = msgspec.structs.replace(line, fields={}, message=line.message + CUT)
        encoded = json_line(fields_of(line))
    if len(encoded) <= LINE_LIMIT_BYTES:
        return encoded
    line = msgspec.structs.replace(line, fields={}, message=_cut(line.message, 1.0))
    encoded = json_line(fields_of(line))
    while len(encoded) > LINE_LIMIT_BYTES:
        share = 0.9 * LINE_LIMIT_BYTES / len(encoded)
        error = None if line.error is None else _cut(line.error, share)
        line = msgspec.structs.replace(line, message=_cut(line.message, share), error=error)
        encoded = json_line(fields_of(line))
    return encoded


def _flattened(fields: dict[str, Any]) -> dict[str, Any]:
    """Return a copy in which the object ``fields``, where Rust's tracing has them, is dissolved."""
    nested = fields.get("fields")
    if not isinstance(nested, dict) or any(name in fields for name in _MESSAGE_NAMES):
        return dict(fields)
    left = {name: value for name, value in nested.items() if name in fields}
    flat = {**nested, **fields, "fields": left}
    if not left:
        del flat["fields"]
    return flat


def _bounded(text: str) -> str:
    return text if len(text) <= LINE_LIMIT_BYTES else text[:LINE_LIMIT_BYTES] + CUT


def _cut(text: str, share: float) -> str:
    text = text.removesuffix(CUT)
    return text[: int(len(text) * share)] + CUT


def _object(text: bytes) -> dict[str, Any] | None:
    if not text.lstrip().startswith(b"{"):
        return None
    try:
        found = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _taken(fields: dict[str, Any], names: tuple[str, ...], read: Any) -> Any:
    """Take the first of the fields that can be read out of the object; None when there is none."""
    for name in names:
        if name in fields:
            value = read(fields[name])
            if value is not None:
                del fields[name]
                return value
    return None


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json_line({"": value})[4:-2].decode()


def _number(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _level(value: object) -> Level | None:
    if isinstance(value, str):
        return _LEVEL_NAMES.get(value.strip().lower())
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return LEVELS[min(max(int(value) // 10 - 1, 0), len(LEVELS) - 1)]  # as pino and bunyan count


def _time(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        if isinstance(value, str):
            return format_time(parse_time(value))
        return format_time(value / 1000 if value >= _MILLISECONDS_FROM else value)
    except (ValueError, OverflowError, OSError):
        return None
