"""Why a file in the plugins folder cannot be used, in words that a person can act on.

Runs on: any thread; pure. Looking at the file and running it is somebody else's part.
"""

from __future__ import annotations

import errno
import os
import signal
from typing import Literal

import msgspec

from toru.domain.plugin_metadata import BrokenPlugin, PluginMetadata, parse_metadata, shown

PROBE_TIMEOUT_S = 5.0
PROBE_OUTPUT_BYTES = 64 * 1024
"""The most that a plugin may print for ``--metadata``."""
BEING_WRITTEN = "being_written"
"""The code of the error for a file that may be sound in a moment."""
HEAD_BYTES = 256
"""How much of a file's beginning the functions here need; the kernel looks at no more for #!."""

_LAST_WORDS = " The end of its stderr: "
_LAST_LINES = 5
_LAST_LINES_CHARS = 600
_NOT_FOUND_EXIT = 127

# e_machine of the ELF specification, and the same machines as uname(2) calls them.
_ELF_MACHINES = {
    3: ("i386", "i486", "i586", "i686", "x86"),
    8: ("mips", "mips64"),
    20: ("ppc",),
    21: ("ppc64le", "ppc64"),
    22: ("s390x", "s390"),
    40: ("arm", "armv6l", "armv7l", "armv8l"),
    62: ("x86_64", "amd64"),
    183: ("aarch64", "arm64"),
    243: ("riscv64", "riscv32"),
    258: ("loongarch64",),
}
_FOREIGN_FORMATS = (
    (b"MZ", "a program for Windows"),
    (b"\xcf\xfa\xed\xfe", "a program for macOS"),
    (b"\xce\xfa\xed\xfe", "a program for macOS"),
    (b"\xca\xfe\xba\xbe", "a program for macOS or Java classes"),
    (b"\x1f\x8b", "a gzip archive"),
)

FileKind = Literal["file", "folder", "other", "missing"]


class FileFacts(msgspec.Struct, frozen=True):
    """What the file system says of a file in the plugins folder, links followed.

    Attributes:
        kind: what it is; ``missing`` also for a link that leads nowhere.
        executable: whether the hub's user may execute it.
        size_bytes: its length.
        escapes: whether it is, or lies behind, a link out of the plugins folder.
    """

    kind: FileKind
    executable: bool
    size_bytes: int
    escapes: bool = False


class ProbeOutcome(msgspec.Struct, frozen=True):
    """How a run with ``--metadata`` has ended.

    Attributes:
        exit_code: negative is the signal; None when it had to be ended.
        stdout: what it printed, at most a little over `PROBE_OUTPUT_BYTES`.
        stderr: the end of what it complained.
        timed_out: it was ended because it took longer than `PROBE_TIMEOUT_S`.
        overflowed: it was ended because it printed more than `PROBE_OUTPUT_BYTES`.
    """

    exit_code: int | None
    stdout: bytes = b""
    stderr: bytes = b""
    timed_out: bool = False
    overflowed: bool = False


def check_file(facts: FileFacts) -> None:
    """Refuse what need not even be run.

    Raises:
        BrokenPlugin: it is no regular, executable, non-empty file inside the folder.
    """
    if facts.escapes:
        raise BrokenPlugin(
            "It is a symbolic link that leads out of the plugins folder; put the file itself there."
        )
    if facts.kind == "missing":
        raise BrokenPlugin("It is a symbolic link that leads nowhere.")
    if facts.kind != "file":
        what = "a folder" if facts.kind == "folder" else "no regular file"
        raise BrokenPlugin(f"It is {what}; a plugin is an executable file.")
    if facts.size_bytes == 0:
        raise BrokenPlugin("The file is empty.")
    if not facts.executable:
        raise BrokenPlugin("It is not executable; make it so with chmod +x.")


def unreadable(error_number: int) -> BrokenPlugin:
    """Return what to say when looking at the file failed with ``error_number`` (errno(3))."""
    if error_number == errno.EACCES:
        return BrokenPlugin("The hub may not read it; check its owner and mode.")
    if error_number == errno.ELOOP:
        return BrokenPlugin("It is a symbolic link that leads back to itself.")
    if error_number == errno.ENOENT:
        return BrokenPlugin("It went away while it was being looked at.")
    return BrokenPlugin(f"It cannot be read: {os.strerror(error_number)}.")


def read_probe(outcome: ProbeOutcome, head: bytes = b"") -> PluginMetadata:
    """Return the metadata of a plugin that was run with ``--metadata``.

    Args:
        outcome: how that ended.
        head: the first `HEAD_BYTES` of the file.

    Raises:
        BrokenPlugin: it took too long, printed too much, failed, or printed something else.
    """
    if outcome.overflowed or len(outcome.stdout) > PROBE_OUTPUT_BYTES:
        raise BrokenPlugin(
            f"It prints more than {PROBE_OUTPUT_BYTES // 1024} KiB for --metadata; "
            "it must print one JSON object and exit."
        )
    if outcome.timed_out or outcome.exit_code is None:
        raise BrokenPlugin(
            f"It did not exit within {PROBE_TIMEOUT_S:g} seconds of being run with --metadata."
            + last_words(outcome.stderr)
        )
    if outcome.exit_code != 0:
        raise BrokenPlugin(_failed(outcome.exit_code, outcome.stderr, head))
    return parse_metadata(outcome.stdout)


def refused_spawn(code: str, sentence: str, head: bytes, machine: str) -> BrokenPlugin:
    """Return what to say when the plugin could not even be started.

    Args:
        code: the runner's word, such as ``exec_format``.
        sentence: the runner's sentence, used where there is nothing better to say.
        head: the first `HEAD_BYTES` of the file.
        machine: what uname(2) calls this machine, such as ``x86_64``.
    """
    if code == "exec_format":
        return BrokenPlugin(_format_reason(head, machine))
    if code == "missing_interpreter":
        return BrokenPlugin(_interpreter_reason(head) or sentence)
    if code == "not_executable":
        return BrokenPlugin(
            "It may not be executed; check its mode (chmod +x), and that its file system is not "
            "mounted noexec."
        )
    if code == "busy":
        return BrokenPlugin(
            "It is being written just now; it is looked at again after that.", code=BEING_WRITTEN
        )
    if code == "no_such_program":
        return BrokenPlugin("It went away while it was being started.")
    return BrokenPlugin(sentence)


def exit_words(code: int | None) -> str:
    """Return how a process ended, to follow "It": ``exited with code 3``."""
    if code is None:
        return "ended, and nobody knows how"
    if code >= 0:
        return f"exited with code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"


def last_words(stderr: bytes) -> str:
    """Return a sentence with the last lines of ``stderr``, after a space; nothing without any."""
    lines = [shown(line, 200) for line in stderr.decode("utf-8", "replace").splitlines()]
    lines = [line for line in lines if line][-_LAST_LINES:]
    text = " | ".join(lines)
    if len(text) > _LAST_LINES_CHARS:
        text = "…" + text[-_LAST_LINES_CHARS:]
    return f"{_LAST_WORDS}{text}" if text else ""


def without_last_words(sentence: str) -> str:
    """Return ``sentence`` without what `last_words` added at its end."""
    return sentence.partition(_LAST_WORDS)[0]


def _failed(code: int, stderr: bytes, head: bytes) -> str:
    named = _interpreter(head)
    if code == _NOT_FOUND_EXIT and named is not None:
        line_ends = _windows_line_ends(named)
        if line_ends:
            return line_ends
        program = _program_of_env(named)
        if program:
            return (
                f'Its interpreter "{shown(program)}" is not installed, or not in the hub\'s PATH.'
                + last_words(stderr)
            )
    return f"Run with --metadata, it {exit_words(code)}.{last_words(stderr)}"


def _interpreter(head: bytes) -> str | None:
    """Return what follows ``#!`` on the first line, with whatever ends it."""
    if not head.startswith(b"#!"):
        return None
    return head[2:].partition(b"\n")[0].decode("utf-8", "replace").strip(" \t")


def _interpreter_reason(head: bytes) -> str | None:
    if head.startswith(b"\x7fELF"):
        return (
            "The program loader that it was linked for is missing on this machine; "
            "build it for this system, or link it statically."
        )
    named = _interpreter(head)
    if named is None:
        return None
    line_ends = _windows_line_ends(named)
    if line_ends:
        return line_ends
    words = named.split(maxsplit=1)
    if not words:
        return 'Its "#!" line names no interpreter.'
    return f'Its interpreter "{shown(words[0])}" is missing; install it or change the "#!" line.'


def _windows_line_ends(named: str) -> str | None:
    if not named.endswith("\r"):
        return None
    return "Its first line ends with CRLF; save the file with Unix line ends (LF)."


def _program_of_env(named: str) -> str | None:
    """Return the program that env(1) is to look for."""
    words = named.split()
    if not words or words[0].rpartition("/")[2] != "env":
        return None
    programs = (word for word in words[1:] if not word.startswith("-") and "=" not in word)
    return next(programs, None)


def _format_reason(head: bytes, machine: str) -> str:
    if head.startswith(b"\x7fELF"):
        return _elf_reason(head, machine)
    for magic, what in _FOREIGN_FORMATS:
        if head.startswith(magic):
            return f"It is {what}, which this machine cannot execute."
    if head.startswith(b"#!"):
        return _windows_line_ends(_interpreter(head) or "") or (
            'The interpreter that its "#!" line names cannot be executed on this machine.'
        )
    if head.startswith(b"PK"):
        return (
            'It is a zip archive without a "#!" line; build it so that it begins with one '
            "(python -m zipapp -p)."
        )
    if b"\0" in head or not head.strip():
        return "It is in no format that this machine executes."
    return (
        'It has no "#!" line, so nothing says which interpreter runs it; its first line must be '
        'like "#!/usr/bin/env python3", with nothing before it.'
    )


def _elf_reason(head: bytes, machine: str) -> str:
    if len(head) < 20:
        return "It is only the beginning of a program; copy it again."
    order: Literal["little", "big"] = "big" if head[5] == 2 else "little"
    number = int.from_bytes(head[18:20], order)
    names = _ELF_MACHINES.get(number, (f"machine number {number}",))
    if machine in names:
        return f"It is a program for {machine}, as this machine is, but it is damaged."
    return f"It is a program for {names[0]}, and this machine is {machine}; build it for this one."
