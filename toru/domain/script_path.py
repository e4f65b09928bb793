"""Which names a script may have, and which command runs it.

Runs on: any thread; pure. The files themselves are looked at in ``toru.actors.script_files``.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from pathlib import PurePosixPath

from toru.errors import BadRequest, ToruError, Unavailable

SHELLS = {".sh": "sh", ".bash": "bash"}
"""The shell of each suffix that a script may have."""

MAX_NAME_BYTES = 255
"""The longest file name that Linux and macOS file systems take."""

_REFUSED_CATEGORIES = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def check_name(name: str) -> str:
    """Return a script's name when it is a plain file name with a script's suffix.

    Raises:
        BadRequest: it is not.
    """
    if name in ("", ".", ".."):
        raise BadRequest("A script's name must not be empty, '.' or '..'.", code="bad_script_name")
    if "/" in name or "\\" in name:
        raise BadRequest("A script's name must not contain slashes.", code="bad_script_name")
    if any(unicodedata.category(character) in _REFUSED_CATEGORIES for character in name):
        raise BadRequest(
            "A script's name must not contain control characters.", code="bad_script_name"
        )
    if name.startswith("-"):
        raise BadRequest("A script's name must not begin with '-'.", code="bad_script_name")
    if len(name.encode()) > MAX_NAME_BYTES:
        raise BadRequest(
            f"A script's name must be at most {MAX_NAME_BYTES} bytes long.", code="bad_script_name"
        )
    if shell_of(name) is None:
        raise BadRequest("A script's name must end in .sh or .bash.", code="bad_script_name")
    return name


def is_script_name(name: str) -> bool:
    """Return whether a file name may be a script's."""
    try:
        check_name(name)
    except ToruError:
        return False
    return True


def shell_of(name: str) -> str | None:
    """Return the shell that a name's suffix stands for."""
    stem, dot, suffix = name.rpartition(".")
    return SHELLS.get(dot + suffix) if stem else None


def interpreter_line(head: bytes) -> str | None:
    """Return the text after ``#!`` in a script's first line; None without one.

    Raises:
        BadRequest: the line has a Windows end, which no kernel or shell understands.
    """
    if not head.startswith(b"#!"):
        return None
    line, _, _ = head[2:].partition(b"\n")
    if line.endswith(b"\r"):
        raise BadRequest(
            "The script has Windows line ends (CRLF); save it with Unix line ends (LF).",
            code="windows_line_ends",
        )
    return line.decode("utf-8", "replace").strip()


def interpreter_path(line: str | None) -> str | None:
    """Return the absolute path of the program that a ``#!`` line names, if it names one."""
    words = (line or "").split(maxsplit=1)
    return words[0] if words and PurePosixPath(words[0]).is_absolute() else None


def command_for(
    name: str, path: str, *, runs_itself: bool, shells: Mapping[str, str | None]
) -> tuple[str, ...]:
    """Return the argument vector that runs a script.

    Args:
        name: the plain file name, whose suffix chooses the shell.
        path: the script's absolute path.
        runs_itself: whether it is executable and its ``#!`` line names an interpreter.
        shells: the absolute path of each shell, None where it is not installed.

    Raises:
        Unavailable: the shell is not installed.
    """
    if runs_itself:
        return (path,)
    shell = shell_of(name) or "sh"
    program = shells.get(shell)
    if program is None:
        raise Unavailable(f"The script needs {shell}, which is not installed on this machine.")
    return (program, path)
