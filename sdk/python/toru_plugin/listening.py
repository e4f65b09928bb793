"""The socket that the plugin listens on, at a path of any length.

Runs on: the loop, before it serves. A ``sockaddr_un`` holds 108 bytes on Linux and 104 on macOS
(unix(7)); a longer path is reached through its folder.
"""

from __future__ import annotations

import os
import socket
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from .errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_PATH_BYTES = 103
_BACKLOG = 128


def listen(path: str) -> socket.socket:
    """Return a listening socket at ``path``, mode 0600, in place of a stale one.

    Raises:
        PluginError: something else than a socket is there, or the folder cannot be used.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.setblocking(False)
        _remove_stale(path)
        with _reachable(path) as address:
            before = os.umask(0o177)
            try:
                listener.bind(address)
            finally:
                os.umask(before)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise PluginError(f"it is not possible to listen on {path}: {error}") from None
    except BaseException:
        listener.close()
        raise
    return listener


def identity(path: str) -> tuple[int, int] | None:
    """Return what tells the socket at ``path`` from one that takes its place; None: none there."""
    try:
        found = os.lstat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def remove(path: str, own: tuple[int, int] | None) -> None:
    """Remove the socket at ``path`` unless it is no longer the own one."""
    if own is not None and identity(path) == own:
        with suppress(OSError):
            os.unlink(path)  # noqa: PTH108 - the path is a str everywhere here


def _remove_stale(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise PluginError(f"{path} is there and is no socket")
    os.unlink(path)  # noqa: PTH108 - as above


@contextmanager
def _reachable(path: str) -> Iterator[str]:
    """Yield a short address; the folder's descriptor, or a short link, stands for the folder."""
    if len(os.fsencode(path)) <= _MAX_PATH_BYTES:
        yield path
        return
    folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100 - resolves no link
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        direct = f"/proc/self/fd/{descriptor}"
        if os.path.isdir(direct):  # noqa: PTH112 - as above
            yield f"{direct}/{name}"
            return
        import tempfile  # heavy, and never needed on Linux

        with tempfile.TemporaryDirectory(prefix="toru-", dir="/tmp") as holder:
            os.symlink(folder, f"{holder}/d")  # noqa: PTH211 - as above
            yield f"{holder}/d/{name}"
    finally:
        os.close(descriptor)
