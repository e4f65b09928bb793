"""The file system's side of scripts: what is in the folder, and whether a file can be run.

Runs on: the thread of the Scripts actor; every function here may block.
"""

from __future__ import annotations

import errno
import os
import shutil
import stat
from pathlib import Path

import msgspec

from toru.domain.script_environment import DEFAULT_PATH
from toru.domain.script_header import HEADER_BYTES
from toru.domain.script_path import (
    SHELLS,
    check_name,
    command_for,
    interpreter_line,
    interpreter_path,
    is_script_name,
)
from toru.errors import BadRequest, Forbidden, NotFound, ToruError, Unavailable

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


class ScriptFile(msgspec.Struct, frozen=True):
    """A script that was opened and read from.

    Attributes:
        name: the plain file name that was asked for.
        path: its absolute path, symbolic links resolved.
        head: its first ``HEADER_BYTES``.
        is_executable: whether this process may execute it.
    """

    name: str
    path: str
    head: bytes
    is_executable: bool


class Listed(msgspec.Struct, frozen=True):
    """A script as the folder's listing shows it; ``stamp`` changes whenever its content may."""

    name: str
    stamp: tuple[int, int, int]


def check_folder(path: Path) -> None:
    """Check that a folder can be the scripts folder.

    Raises:
        BadRequest: it does not exist, is no folder, or cannot be read.
    """
    try:
        if not path.is_dir():
            raise BadRequest(f"There is no folder {str(path)!r}.")
        readable = os.access(path, os.R_OK | os.X_OK)
    except OSError as error:
        reason = os.strerror(error.errno or 0)
        raise BadRequest(f"The folder {str(path)!r} cannot be used: {reason}.") from None
    if not readable:
        raise BadRequest(f"The folder {str(path)!r} cannot be read.")


def list_files(folder: Path) -> list[Listed]:
    """Return the scripts directly in a folder, sorted by name.

    Raises:
        Unavailable: the folder is gone or cannot be read.
    """
    root = _real_folder(folder)
    try:
        with os.scandir(root) as entries:
            listed = [_listed(entry, root) for entry in entries if is_script_name(entry.name)]
    except OSError as error:
        raise _folder_error(folder, error) from None
    return sorted((item for item in listed if item is not None), key=lambda item: item.name)


def open_script(folder: Path, name: str) -> ScriptFile:
    """Find a script by its plain name and read its head.

    The file that is read is the one that was checked, whatever happens to the name meanwhile.

    Raises:
        BadRequest: the name is malformed, or names something else than a regular file.
        Forbidden: the file is outside the folder or cannot be read.
        NotFound: there is no such file.
        Unavailable: the folder is gone or cannot be read.
    """
    check_name(name)
    root = _real_folder(folder)
    try:
        path = os.path.realpath(f"{root}/{name}", strict=True)
        if not _is_inside(path, root):
            raise Forbidden(
                f"The script {name!r} leads out of the scripts folder.", code="outside_folder"
            )
        # Opening a device or a pipe can have effects, so its kind is looked at before.
        _check_kind(name, os.lstat(path).st_mode)
        head = _read_head(name, path)
        return ScriptFile(name, path, head, os.access(path, os.X_OK))
    except OSError as error:
        raise _file_error(name, error) from None


def argv_of(script: ScriptFile) -> tuple[str, ...]:
    """Return the argument vector that runs a script.

    Raises:
        BadRequest: its ``#!`` line cannot work.
        Unavailable: its shell is not installed.
    """
    line = interpreter_line(script.head)
    runs_itself = script.is_executable and bool(line)
    interpreter = interpreter_path(line)
    if runs_itself and interpreter is not None and not Path(interpreter).exists():
        raise BadRequest(
            f"The script's interpreter {interpreter!r} does not exist.", code="no_interpreter"
        )
    search = os.environ.get("PATH", DEFAULT_PATH)
    shells = {shell: shutil.which(shell, path=search) for shell in SHELLS.values()}
    return command_for(script.name, script.path, runs_itself=runs_itself, shells=shells)


def read_head_of(folder: Path, name: str) -> bytes:
    """Return the head of a listed script; nothing when it is gone or cannot be read."""
    try:
        return open_script(folder, name).head
    except ToruError:
        return b""


def _real_folder(folder: Path) -> str:
    try:
        return os.path.realpath(folder, strict=True)
    except OSError as error:
        raise _folder_error(folder, error) from None


def _listed(entry: os.DirEntry[str], root: str) -> Listed | None:
    """Return what the listing shows of an entry; None for what ``open_script`` would refuse."""
    try:
        status = entry.stat()
        if not stat.S_ISREG(status.st_mode):
            return None
        if entry.is_symlink() and not _is_inside(os.path.realpath(entry.path), root):
            return None
    except OSError:
        return None
    return Listed(entry.name, (status.st_mtime_ns, status.st_size, status.st_ino))


def _is_inside(path: str, root: str) -> bool:
    return os.path.commonpath((path, root)) == root


def _read_head(name: str, path: str) -> bytes:
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    descriptor = os.open(path, flags)
    try:
        _check_kind(name, os.fstat(descriptor).st_mode)
        return os.read(descriptor, HEADER_BYTES)
    finally:
        os.close(descriptor)


def _check_kind(name: str, mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = _KINDS.get(stat.S_IFMT(mode), "no regular file")
        raise BadRequest(f"{name!r} is {kind}, not a script.", code="not_a_file")


def _file_error(name: str, error: OSError) -> ToruError:
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return NotFound(f"There is no script {name!r}.", code="script_not_found")
        case errno.EACCES | errno.EPERM:
            return Forbidden(f"The script {name!r} cannot be read by Toru.", code="unreadable")
        case errno.ELOOP:
            return BadRequest(f"The script {name!r} is a symbolic link that leads in a circle.")
        case errno.ENXIO:
            return BadRequest(f"{name!r} is a socket, not a script.", code="not_a_file")
    return Unavailable(f"The script {name!r} cannot be read: {os.strerror(error.errno or 0)}.")


def _folder_error(folder: Path, error: OSError) -> Unavailable:
    reason = os.strerror(error.errno or 0)
    return Unavailable(
        f"The scripts folder {str(folder)!r} cannot be read: {reason}.", code="no_scripts_folder"
    )
