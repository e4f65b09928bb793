"""What the Scripts actor is asked: which scripts there are, and how one of them is run.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

import msgspec

from toru.actors.runtime import Message
from toru.domain.script_header import Parameter


class Script(msgspec.Struct, frozen=True):
    """A script that can be run.

    Attributes:
        name: the plain file name.
        description: the text of its ``# Description:`` header, else its first comment.
        parameters: names of the parameters that its header declares.
        parameter_details: the same parameters with their defaults and texts.
    """

    name: str
    description: str = ""
    parameters: tuple[str, ...] = ()
    parameter_details: tuple[Parameter, ...] = ()


class ResolvedScript(msgspec.Struct, frozen=True):
    """A script that was found, with all that a run of it needs.

    Attributes:
        name: the plain file name.
        argv: the argument vector; every path in it is absolute.
        cwd: the scripts folder, absolute, where the script runs.
        parameters: the parameters that its header declares.
    """

    name: str
    argv: tuple[str, ...]
    cwd: str
    parameters: tuple[Parameter, ...]


class ListScripts(Message[list[Script]], frozen=True):
    """The scripts in the scripts folder, sorted by name. Unavailable."""


class ResolveScript(Message[ResolvedScript], frozen=True):
    """Find a script by its plain file name. BadRequest, Forbidden, NotFound, Unavailable."""

    name: str


class CheckScriptsFolder(Message[None], frozen=True):
    """Whether a value would do as the setting ``scripts_dir``. BadRequest."""

    value: str
