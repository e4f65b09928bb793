"""Unix stream sockets at paths of any length.

Runs on: any thread; standard library only, because the runner uses it too.

A ``sockaddr_un`` holds 108 bytes on Linux and 104 on macOS (unix(7)). A longer path is reached
through a descriptor of its folder: ``/proc/self/fd/N/name`` on Linux; elsewhere through a short
symbolic link to the folder, which is removed again at once.
"""

from __future__ import annotations

import contextlib
import os
import socket
import stat
import sys
from pathlib import Path

TYPE_CHECKING = False  # as typing has it, without the 0.4 MB that typing costs the runner
if TYPE_CHECKING:
    from collections.abc import Iterator

SUN_PATH_BYTES = 108 if sys.platform == "linux" else 104
_BACKLOG = 16
_PROC_DESCRIPTORS = "/proc/self/fd"


@contextlib.contextmanager
def reachable(path: Path | str) -> Iterator[str]:
    """Yield an address for the socket at ``path`` that is valid inside the ``with`` block.

    Raises:
        OSError: the folder cannot be opened, or the file name alone is too long.
    """
    text = os.fspath(path)
    if len(os.fsencode(text)) < SUN_PATH_BYTES:
        yield text
        return
    folder, name = os.path.split(os.path.abspath(text))  # noqa: PTH100 - resolves no link
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        direct = f"{_PROC_DESCRIPTORS}/{descriptor}"
        if Path(direct).is_dir():
            yield f"{direct}/{name}"
        else:
            with _short_link(folder) as link:
                yield f"{link}/{name}"
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _short_link(folder: str) -> Iterator[str]:
    import tempfile  # heavy, and never needed on Linux

    with tempfile.TemporaryDirectory(prefix="toru-", dir="/tmp") as holder:
        link = f"{holder}/d"
        Path(link).symlink_to(folder)
        yield link


def bind(path: Path | str, *, mode: int = 0o600) -> socket.socket:
    """Return a listening, non-blocking socket at ``path``, in place of whatever socket was there.

    Args:
        path: where; its folder must exist.
        mode: the permission bits of the socket file, in force from its first moment.

    Raises:
        OSError: the folder cannot be written, or something else than a socket is there.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        with reachable(path) as address:
            with contextlib.suppress(FileNotFoundError):
                remove(path)
            before = os.umask(0o777 & ~mode)
            try:
                listener.bind(address)
            finally:
                os.umask(before)
        listener.listen(_BACKLOG)
    except BaseException:
        listener.close()
        raise
    return listener


def remove(path: Path | str) -> None:
    """Remove the socket file at ``path``.

    Raises:
        OSError: it is not a socket, does not exist, or cannot be removed.
    """
    text = os.fspath(path)
    if not stat.S_ISSOCK(os.lstat(text).st_mode):
        raise FileExistsError(f"{text} is not a socket.")
    Path(text).unlink()


def connect(path: Path | str, *, timeout_s: float | None = None) -> socket.socket:
    """Return a socket connected to ``path``, in blocking mode with ``timeout_s``.

    Raises:
        OSError: nobody listens there, or not within ``timeout_s``.
    """
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout_s)
        with reachable(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection
