"""What a script says about itself in the comment block at its top.

Runs on: any thread; pure.

    #!/bin/sh
    # Description: Restart a service and show its log
    # Parameter: SERVICE =nginx Name of the unit
    # Parameter: LINES ="50" How many lines of the log
"""

from __future__ import annotations

import re
import unicodedata

import msgspec

HEADER_BYTES = 16_384
"""How much of a script is read to find its header."""

MAX_PARAMETERS = 64
MAX_TEXT = 300

_FIELD = re.compile(r"(description|parameter)\s*:\s*(.*)", re.IGNORECASE)
_PARAMETER = re.compile(
    r"""(?P<name>[A-Za-z_][A-Za-z0-9_]{0,63})
        (?:\s*=(?P<default>"[^"]*"|'[^']*'|\S*))?
        (?:\s+(?P<text>.*))?""",
    re.VERBOSE,
)
_DIRECTIVE = re.compile(r"shellcheck\s|-\*-|vim?:|ex:|SPDX-|Copyright\b", re.IGNORECASE)


class Parameter(msgspec.Struct, frozen=True):
    """A parameter that a script declares.

    Attributes:
        name: letters, digits and underscores.
        default: its value when a run does not give one; None leaves the variable unset.
        description: the text after it.
    """

    name: str
    default: str | None = None
    description: str = ""


class Header(msgspec.Struct, frozen=True):
    """What the header says.

    Attributes:
        description: empty when there is no comment.
        parameters: in the order of the file; of names that differ only in case, the first.
    """

    description: str = ""
    parameters: tuple[Parameter, ...] = ()


def parse_header(head: bytes) -> Header:
    """Read the header from the first ``HEADER_BYTES`` of a script; nothing in it is an error."""
    stated: str | None = None
    first = ""
    parameters: dict[str, Parameter] = {}
    for text in _comments(head):
        field = _FIELD.fullmatch(text)
        if field is None:
            first = first or _prose(text)
        elif field[1].lower() == "description":
            stated = stated or _shortened(field[2])
        elif len(parameters) < MAX_PARAMETERS:
            parameter = _parameter(field[2])
            if parameter is not None:
                parameters.setdefault(parameter.name.upper(), parameter)
    return Header(stated or first, tuple(parameters.values()))


def _comments(head: bytes) -> list[str]:
    """Return the text of the comment lines at the top, up to the first line of code."""
    comments = []
    for number, line in enumerate(head.decode("utf-8", "replace").splitlines()):
        stripped = line.strip().lstrip("\ufeff")
        if number == 0 and stripped.startswith("#!"):
            continue
        if stripped and not stripped.startswith("#"):
            break
        comments.append(stripped.lstrip("#").strip())
    return comments


def _prose(text: str) -> str:
    """Return a comment unless it is for a program or only a line of signs."""
    if _DIRECTIVE.match(text) or not any(map(str.isalnum, text)):
        return ""
    return _shortened(text)


def _parameter(text: str) -> Parameter | None:
    match = _PARAMETER.fullmatch(text.strip())
    if match is None:
        return None
    default = match["default"]
    if default is not None and default[:1] in ("'", '"') and default[-1:] == default[:1]:
        default = default[1:-1]
    if default is not None:
        default = _without_controls(default)
    return Parameter(match["name"], default, _shortened(match["text"] or ""))


def _without_controls(text: str) -> str:
    return "".join(" " if unicodedata.category(char)[0] == "C" else char for char in text)


def _shortened(text: str) -> str:
    shown = _without_controls(text).strip()
    return shown if len(shown) <= MAX_TEXT else shown[: MAX_TEXT - 1] + "…"
