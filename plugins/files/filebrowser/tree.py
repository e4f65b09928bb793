"""Files and folders below one folder, reached so that nothing leads out of it.

A path is walked name by name, each opened from the descriptor of the folder before (openat) with
``O_NOFOLLOW``. So neither ``..`` nor a symbolic link leads out, not even one that takes a folder's
place between a check and its use: there is no check apart from the use.

Runs on: any thread.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from toru_plugin import HttpError

from .errors import told

TEMPORARY = ".toru-upload-"
"""What names of uploads begin with until they are whole; nobody sees or touches them otherwise."""
MAX_DEPTH = 200
_NO_LINKS = {errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_TAKEN = (errno.EEXIST, "There is something of this name already")
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def names_of(path: str) -> list[str]:
    """Return the names that a path from the root consists of; none for the root.

    Raises:
        HttpError: 400, it is none that stays below the root.
    """
    if "\0" in path or path.startswith("/"):
        raise _outside()
    names = path.split("/") if path else []
    if any(name in ("", ".", "..") for name in names):
        raise _outside()
    if any(name.startswith(TEMPORARY) for name in names):
        raise HttpError(404, "There is no such file or folder.", "not_found")
    if len(names) > MAX_DEPTH:
        raise HttpError(400, "This path has too many folders in it.", "bad_path")
    return names


def _outside() -> HttpError:
    return HttpError(400, "This path does not stay in the folder.", "bad_path")


def check_new_name(name: str) -> None:
    """Refuse what no new file or folder should be called.

    Raises:
        HttpError: 400, with the reason.
    """
    fault = _fault_of(name)
    if fault:
        raise HttpError(400, fault, "bad_name")


def _fault_of(name: str) -> str | None:
    if not name.strip():
        return "Enter a name."
    if name in (".", "..") or "/" in name:
        return "A name cannot have a slash in it, nor be . or .. alone."
    if any(ord(char) < 32 or ord(char) == 127 for char in name):
        return "A name cannot have control characters in it."
    if name.startswith(TEMPORARY):
        return f"Names that begin with {TEMPORARY} are kept for uploads."
    try:
        size_bytes = len(name.encode())
    except UnicodeEncodeError:
        return "This name is not valid Unicode."
    return "This name is too long." if size_bytes > 255 else None


@contextlib.contextmanager
def opened_root(root: str) -> Iterator[int]:
    """Yield a descriptor of the root; the admin may have chosen it through links.

    Raises:
        HttpError: it cannot be opened.
    """
    with told():
        descriptor = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def opened_folder(root: str, names: list[str]) -> Iterator[int]:
    """Yield a descriptor of a folder below the root.

    Raises:
        HttpError: there is none, or a link stands in the way.
    """
    with contextlib.ExitStack() as stack:
        descriptor = stack.enter_context(opened_root(root))
        for name in names:
            with told():
                descriptor = os.open(name, _FOLDER, dir_fd=descriptor)
            stack.callback(os.close, descriptor)
        yield descriptor


@contextlib.contextmanager
def opened_parent(root: str, names: list[str]) -> Iterator[tuple[int, str]]:
    """Yield a descriptor of the folder that holds an entry, and the entry's name.

    Raises:
        HttpError: there is no such folder, or it is the root that is meant.
    """
    if not names:
        raise HttpError(400, "The folder itself cannot be changed here.", "bad_path")
    with opened_folder(root, names[:-1]) as parent:
        yield parent, names[-1]


def open_file(root: str, names: list[str]) -> BinaryIO:
    """Open a regular file to read; whoever gets it closes it.

    Raises:
        HttpError: there is none, or it is something else.
    """
    with opened_parent(root, names) as (parent, name), told():
        # Opening a device or a pipe may already do something.
        _check_regular(os.stat(name, dir_fd=parent, follow_symlinks=False))
        descriptor = os.open(name, _FILE, dir_fd=parent)
        try:
            _check_regular(os.fstat(descriptor))
            return open(descriptor, "rb")  # noqa: PTH123 - a descriptor, for the caller
        except BaseException:
            os.close(descriptor)
            raise


def _check_regular(status: os.stat_result) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise HttpError(403, "This is a link to another place, and links are not followed.", "link")
    if stat.S_ISDIR(status.st_mode):
        raise HttpError(400, "This is a folder, not a file.", "is_folder")
    if not stat.S_ISREG(status.st_mode):
        raise HttpError(400, "This is no ordinary file, and cannot be opened.", "not_a_file")


def make_folder(root: str, parent: list[str], name: str) -> None:
    """Make a folder; raises `HttpError` when that does not go."""
    check_new_name(name)
    with opened_folder(root, parent) as folder, told():
        os.mkdir(name, dir_fd=folder)


def rename(root: str, names: list[str], new: str) -> None:
    """Give a file or folder another name in its folder; raises `HttpError` when it is taken."""
    check_new_name(new)
    with opened_parent(root, names) as (parent, name), told():
        if name != new:
            move_to_free_name(parent, name, new)


def move_to_free_name(folder: int, name: str, new: str) -> None:
    """Rename within a folder without ever replacing anything.

    A second name is made, which fails when it is taken, and the first is removed. Folders cannot
    have two names, but a rename of one replaces nothing that is not an empty folder itself.

    Raises:
        OSError: ``EEXIST`` when the name is taken.
    """
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISDIR(status.st_mode):
        try:
            os.link(name, new, src_dir_fd=folder, dst_dir_fd=folder, follow_symlinks=False)
        except (PermissionError, NotImplementedError):
            pass  # a file system without second names
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
        else:
            os.unlink(name, dir_fd=folder)
            return
    if exists(folder, new):
        raise FileExistsError(*_TAKEN)
    os.rename(name, new, src_dir_fd=folder, dst_dir_fd=folder)


def exists(folder: int, name: str) -> bool:
    """Return whether a folder has an entry of this name, if only a link to nowhere."""
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def remove(root: str, names: list[str]) -> None:
    """Remove a file, a link itself, or a folder with all that it holds.

    Raises:
        HttpError: something of it cannot be removed; what came before it is gone.
    """
    with opened_parent(root, names) as (parent, name), told():
        _remove(parent, name, 0)


def _remove(parent: int, name: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise HttpError(400, "There are too many folders in each other here.", "bad_path")
    if not stat.S_ISDIR(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
        os.unlink(name, dir_fd=parent)
        return
    folder = os.open(name, _FOLDER, dir_fd=parent)
    try:
        with os.scandir(folder) as entries:
            inside = [entry.name for entry in entries]
        for one in inside:
            _remove(folder, one, depth + 1)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)
