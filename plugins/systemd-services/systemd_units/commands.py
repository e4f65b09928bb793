"""Runs ``systemctl`` and ``journalctl``: argument vectors only, in English, never for long.

Runs on: the loop.

    SystemdError       systemctl refused; the sentence says what it said
    ├── NoSystemd      there is none here to ask
    ├── NotAllowed     the user that Toru runs as may not do this
    ├── NoSuchUnit     there is no such service
    └── TooSlow        it did not answer in time
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import re
from pathlib import Path
from typing import NamedTuple

ASK_TIMEOUT_S = 10.0
PIPES_TIMEOUT_S = 1.0
MAX_LINE_BYTES = 1024 * 1024
SCOPES = ("system", "user")

# systemctl's own words; they are English because of LC_ALL.
_NO_MANAGER = re.compile(
    r"not been booted with systemd|Failed to (connect to|get D-Bus connection)|"
    r"No medium found|Host is down",
    re.IGNORECASE,
)
_REFUSED = re.compile(
    r"Interactive authentication required|Access denied|Permission denied|not permitted|"
    r"Authentication is required",
    re.IGNORECASE,
)
_UNKNOWN = re.compile(r"not loaded|not found|could not be found|No such file", re.IGNORECASE)


class SystemdError(Exception):
    """What systemctl did not do; the text is a sentence for people."""


class NoSystemd(SystemdError):
    """There is no systemd to ask."""


class NotAllowed(SystemdError):
    """The user that Toru runs as may not do this."""


class NoSuchUnit(SystemdError):
    """There is no such service."""


class TooSlow(SystemdError):
    """No answer in time."""


class Output(NamedTuple):
    """What a command that has ended left behind."""

    code: int
    out: str
    err: str


def environment() -> dict[str, str]:
    """Return the environment of the commands: English, and where the user's systemd listens."""
    environ = {**os.environ, "LC_ALL": "C", "SYSTEMD_COLORS": "0", "SYSTEMD_PAGER": "cat"}
    environ.setdefault("XDG_RUNTIME_DIR", f"/run/user/{os.getuid()}")
    return environ


async def run(*command: str, timeout_s: float | None = None) -> Output:
    """Run a command to its end.

    Raises:
        NoSystemd: the program is not there.
        TooSlow: it took longer; it is ended.
    """
    timeout_s = timeout_s or ASK_TIMEOUT_S
    process = await start(*command)
    try:
        out, err = await asyncio.wait_for(process.communicate(), timeout_s)
    except asyncio.TimeoutError:  # noqa: UP041 - not the same before Python 3.11
        raise TooSlow(f"{command[0]} gave no answer within {timeout_s:g} seconds.") from None
    finally:
        await end(process)
    code = process.returncode if process.returncode is not None else -1
    return Output(code, out.decode("utf-8", "replace"), err.decode("utf-8", "replace"))


async def start(*command: str) -> asyncio.subprocess.Process:
    """Start a command whose output is read by the caller, who must `end` it.

    Raises:
        NoSystemd: the program is not there, or cannot be run.
    """
    try:
        return await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=environment(),
            limit=MAX_LINE_BYTES,
        )
    except OSError:
        raise NoSystemd(
            f"There is no systemd on this machine: the program {command[0]} is not there."
        ) from None


async def end(process: asyncio.subprocess.Process) -> None:
    """End a command, whatever it does, and leave nothing of it."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        # Its pipes are read to their ends, which closes them; a child of its own may hold them.
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.communicate(), PIPES_TIMEOUT_S)


async def systemctl(scope: str, *arguments: str, timeout_s: float | None = None) -> str:
    """Ask systemctl something and return what it prints.

    Args:
        scope: ``system``, or ``user`` for the services of the user that Toru runs as.
        arguments: the rest of the command line.
        timeout_s: how long it may take.

    Raises:
        SystemdError: it did not do it; see above.
    """
    manager = ["--user"] if scope == "user" else []
    output = await run(
        "systemctl", *manager, "--no-pager", "--no-ask-password", *arguments, timeout_s=timeout_s
    )
    if output.code:
        raise failure(scope, output)
    return output.out


def failure(scope: str, output: Output) -> SystemdError:
    """Return what a failed systemctl means."""
    said = output.err.strip() or output.out.strip()
    if _REFUSED.search(said):
        return NotAllowed(
            f"Toru runs as the user “{_user()}”, who may not do this. "
            "A rule of polkit can allow it, or a sudo rule behind a script."
        )
    if _NO_MANAGER.search(said):
        return NoSystemd(_absence(scope))
    if _UNKNOWN.search(said):
        return NoSuchUnit(_first_line(said) or "There is no such service.")
    return SystemdError(_first_line(said) or f"systemctl ended with exit code {output.code}.")


def _absence(scope: str) -> str:
    if scope == "user":
        return (
            f"There is no systemd for the services of the user “{_user()}”. It starts when "
            "somebody logs in, or at boot after “loginctl enable-linger”."
        )
    return (
        "There is no systemd running on this machine, so there are no services to show. "
        "That is so in most containers, and where another init system starts the machine."
    )


def own_unit() -> str | None:
    """Return the service that this process is a part of."""
    try:
        text = Path("/proc/self/cgroup").read_text("utf-8", "replace")
    except OSError:
        return None
    found = re.findall(r"([^/\n]+\.service)(?=/|\n|$)", text)
    return found[-1] if found else None


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())


def _first_line(said: str) -> str:
    return said.splitlines()[0].strip()[:500] if said else ""
