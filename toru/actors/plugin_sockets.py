"""Where plugins listen: the folder of their sockets, and addresses that any program can bind.

Runs on: any thread; file system calls.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from toru.wire.unix_paths import SUN_PATH_BYTES

_LINKS = Path("/tmp")  # noqa: S108 - nothing is written there but a link, whose owner is checked


def prepare(path: Path) -> str:
    """Make room for the socket at ``path`` and return the address to bind, which is short enough.

    A ``sockaddr_un`` holds about 100 bytes, and plugins bind what they are told. So a longer path
    is told as one through a short symbolic link to its folder.

    Raises:
        OSError: the folder cannot be used.
    """
    folder = path.parent
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if folder.stat().st_mode & stat.S_ISVTX:
        raise PermissionError(1, "it belongs to everybody, and sockets need a folder of their own")
    folder.chmod(0o700)
    path.unlink(missing_ok=True)
    if len(os.fsencode(path)) < SUN_PATH_BYTES:
        return str(path)
    return str(_link_to(folder) / path.name)


def forget(folder: Path) -> None:
    """Remove the short link to a folder, if `prepare` has made one."""
    link = _link_of(folder)
    with contextlib.suppress(OSError):
        if _is_ours(link, folder):
            link.unlink()


def _link_to(folder: Path) -> Path:
    link = _link_of(folder)
    try:
        link.symlink_to(folder)
    except FileExistsError:
        if not _is_ours(link, folder):
            raise FileExistsError(17, f"{link} is in the way") from None
    return link


def _link_of(folder: Path) -> Path:
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:12]
    return _LINKS / f"toru-{os.getuid()}-{digest}"


def _is_ours(link: Path, folder: Path) -> bool:
    facts = link.lstat()
    is_link = stat.S_ISLNK(facts.st_mode) and facts.st_uid == os.getuid()
    return is_link and link.readlink() == folder
