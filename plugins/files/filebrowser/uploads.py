"""Uploads in slices: to a temporary name beside the place where they are to be, then renamed.

What is known of an upload is written down before its temporary file is made, so an upload goes on
after a restart of the plugin, and none can be left behind that nobody knows of.

Runs on: any thread; a slice is written on the thread of its request.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from toru_plugin import HttpError

from .errors import told
from .listing import entry_of
from .tree import TEMPORARY, check_new_name, exists, move_to_free_name, names_of, opened_folder

KEPT_S = 24 * 3600
"""How long an upload may stand still before it is given up."""
MAX_UPLOADS = 500
_ID = re.compile(r"[0-9a-f]{32}")
_UMASK = os.umask(0o022)
os.umask(_UMASK)


class Upload(NamedTuple):
    """What is known of an upload.

    Attributes:
        id: 32 hexadecimal digits.
        root: the root when it began.
        path: the folder that gets it, from there.
        name: what it will be called.
        size: how many bytes it will have.
        modified: when the person's own file was changed last, to know it again.
        replace: whether it takes the place of a file of that name.
    """

    id: str
    root: str
    path: str
    name: str
    size: int
    modified: int
    replace: bool

    @property
    def temporary(self) -> str:
        """Its name until it is whole."""
        return TEMPORARY + self.id


class Uploads:
    """The uploads that are not whole yet.

    Args:
        folder: where they are written down; made when it is needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._turn = threading.Lock()
        self._busy: set[str] = set()

    def begin(self, upload: Upload) -> None:
        """Begin an upload.

        Raises:
            HttpError: its name or size is not possible, or the name is taken.
        """
        check_new_name(upload.name)
        if len(self._known()) >= MAX_UPLOADS:
            raise HttpError(503, "Too many uploads are unfinished. Try again later.", "busy")
        with opened_folder(upload.root, names_of(upload.path)) as folder, told():
            _check_place(folder, upload)
            self._write(upload)
            try:
                flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
                os.close(os.open(upload.temporary, flags, 0o600, dir_fd=folder))
            except BaseException:
                self._forget(upload.id)
                raise

    def find(self, id: str, root: str) -> Upload:  # noqa: A002 - as the protocol calls it
        """Return an upload; raises `HttpError` with 404 when there is none in this root."""
        upload = self._read(id)
        if upload is None or upload.root != root:
            raise HttpError(404, "This upload has ended or was given up.", "no_upload")
        return upload

    def same(self, wanted: Upload) -> Upload | None:
        """Return an unfinished upload of the same file to the same place."""
        for found in self._uploads():
            if found._replace(id=wanted.id, replace=wanted.replace) == wanted:
                return found
        return None

    def offset(self, upload: Upload) -> int:
        """Return how many bytes have come."""
        with _opened(upload, os.O_RDONLY) as descriptor:
            return os.fstat(descriptor).st_size

    def write(self, upload: Upload, offset: int, pieces: Iterable[bytes]) -> int:
        """Write a slice as it comes, and return how many bytes have come in all.

        Raises:
            HttpError: it does not begin where the last one ended, or is too long.
        """
        with self._alone(upload.id), _opened(upload, os.O_WRONLY) as descriptor:
            if os.fstat(descriptor).st_size != offset:
                raise HttpError(409, "This part does not follow the one before.", "wrong_offset")
            os.lseek(descriptor, offset, os.SEEK_SET)
            for piece in pieces:
                offset += len(piece)
                if offset > upload.size:
                    raise HttpError(400, "There is more than was announced.", "too_long")
                with told():
                    _write_all(descriptor, piece)
            return offset

    def finish(self, upload: Upload) -> dict[str, Any]:
        """Put an upload that is whole in its place, and return what is there then.

        Raises:
            HttpError: it is not whole, or its name was taken meanwhile.
        """
        with self._alone(upload.id):
            with _opened(upload, os.O_RDWR) as descriptor, told():
                if os.fstat(descriptor).st_size != upload.size:
                    raise HttpError(409, "Some of the file has not come yet.", "not_whole")
                os.fchmod(descriptor, 0o666 & ~_UMASK)
                os.fsync(descriptor)
            with opened_folder(upload.root, names_of(upload.path)) as folder, told():
                _put_in_place(folder, upload)
                entry = entry_of(upload.name, os.stat(upload.name, dir_fd=folder))
            self._forget(upload.id)
            return entry

    def discard(self, upload: Upload) -> None:
        """Give an upload up; nothing is left of it."""
        with self._alone(upload.id):
            self._discard(upload)

    def clean(self, root: str | None) -> int:
        """Give up what has stood still for long or belongs to another root; return how many."""
        given_up = 0
        for upload in self._uploads():
            if upload.root == root and not _stands_still(upload):
                continue
            with contextlib.suppress(HttpError, OSError), self._alone(upload.id):
                self._discard(upload)
                given_up += 1
        return given_up

    def _discard(self, upload: Upload) -> None:
        try:
            with opened_folder(upload.root, names_of(upload.path)) as folder, told():
                os.unlink(upload.temporary, dir_fd=folder)
        except HttpError as error:
            if error.code != "not_found":
                raise
        self._forget(upload.id)

    @contextlib.contextmanager
    def _alone(self, id: str) -> Iterator[None]:  # noqa: A002 - as above
        with self._turn:
            if id in self._busy:
                raise HttpError(409, "Another part of this file is still coming.", "busy")
            self._busy.add(id)
        try:
            yield
        finally:
            with self._turn:
                self._busy.discard(id)

    def _known(self) -> list[str]:
        try:
            return [path.stem for path in self._folder.iterdir() if _ID.fullmatch(path.stem)]
        except FileNotFoundError:
            return []

    def _uploads(self) -> Iterator[Upload]:
        for one in self._known():
            found = self._read(one)
            if found is not None:
                yield found

    def _read(self, id: str) -> Upload | None:  # noqa: A002 - as above
        if not _ID.fullmatch(id):
            return None
        try:
            return Upload(**json.loads((self._folder / f"{id}.json").read_text("utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def _write(self, upload: Upload) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        draft = self._folder / f".{upload.id}"
        draft.write_text(json.dumps(upload._asdict()), "utf-8")
        draft.replace(self._folder / f"{upload.id}.json")

    def _forget(self, id: str) -> None:  # noqa: A002 - as above
        with contextlib.suppress(FileNotFoundError):
            (self._folder / f"{id}.json").unlink()


def new_id() -> str:
    """Return an id that nobody can guess."""
    return secrets.token_hex(16)


def _check_place(folder: int, upload: Upload) -> None:
    if exists(folder, upload.name):
        status = os.stat(upload.name, dir_fd=folder, follow_symlinks=False)
        if not upload.replace or not stat.S_ISREG(status.st_mode):
            raise HttpError(409, "There is something of this name already.", "exists")
    space = os.fstatvfs(folder)
    if upload.size > space.f_bavail * space.f_frsize:
        raise HttpError(507, "There is not enough space on the disk.", "disk_full")


def _put_in_place(folder: int, upload: Upload) -> None:
    if not upload.replace:
        move_to_free_name(folder, upload.temporary, upload.name)
        return
    _check_place(folder, upload._replace(size=0))
    os.rename(upload.temporary, upload.name, src_dir_fd=folder, dst_dir_fd=folder)


@contextlib.contextmanager
def _opened(upload: Upload, access: int) -> Iterator[int]:
    with opened_folder(upload.root, names_of(upload.path)) as folder, told():
        flags = access | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(upload.temporary, flags, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _stands_still(upload: Upload) -> bool:
    try:
        with _opened(upload, os.O_RDONLY) as descriptor:
            return time.time() - os.fstat(descriptor).st_mtime > KEPT_S
    except HttpError:
        return True


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
