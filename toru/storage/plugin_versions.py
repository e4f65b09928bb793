"""The versions of plugins in the plugins folder: staged, kept, put in place, pinned.

    <plugins>/<name>.binary                 what the hub finds; of an installed plugin a second name
                                            (hard link) of its version
    <plugins>/.metadata/incoming/<sha256>   what somebody with access to the folder offers
    <plugins>/.metadata/versions/<sha256>/  the present version and the one before; installed
                                            plugins run from there, so that no file is replaced
                                            while somebody runs it
    <plugins>/.metadata/installed.json      what was installed, with checksums
    <plugins>/.metadata/install.lock        held while something is being installed

Runs on: any thread; file system calls, and checksums of large files.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from toru.domain import plugin_install
from toru.domain.plugin_install import Book, Installed, Pin, Version
from toru.domain.plugin_metadata import BrokenPlugin
from toru.errors import Conflict, NotFound, Unavailable

_PIECE_BYTES = 1024 * 1024
_STALE_S = 86_400.0
_MODE = 0o755


class _Stored(msgspec.Struct, frozen=True):
    plugins: dict[str, Installed] = {}


class PluginVersions:
    """The versions below one plugins folder.

    Args:
        folder: the plugins folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._metadata = folder / ".metadata"
        self._incoming = self._metadata / "incoming"
        self._versions = self._metadata / "versions"
        self._book_path = self._metadata / "installed.json"

    @property
    def are_any(self) -> bool:
        """Whether anything was ever installed here, or offered."""
        return any(path.exists() for path in (self._book_path, self._versions, self._incoming))

    # What is written down

    def book(self) -> dict[str, Installed]:
        """Return what was installed.

        Raises:
            Unavailable: it cannot be read.
        """
        try:
            return msgspec.json.decode(self._book_path.read_bytes(), type=_Stored).plugins
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except OSError as error:
            raise Unavailable(f"{self._book_path} cannot be read: {error.strerror}.") from None
        except (msgspec.DecodeError, RecursionError) as error:
            raise Unavailable(
                f"What was installed cannot be understood ({error}); repair or remove "
                f"{self._book_path}."
            ) from None

    def write(self, book: Book) -> None:
        """Write down what was installed, durably and at once as a whole. OSError."""
        content = msgspec.json.format(msgspec.json.encode(_Stored(dict(book))), indent=2)
        draft = self._book_path.with_suffix(".json.new")
        self._make(self._metadata)
        with draft.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self._own(draft)
        draft.replace(self._book_path)
        _sync_folder(self._metadata)

    def pin(self, name: str) -> Pin | None:
        """Return what a file is held to; None when it was not installed.

        Raises:
            BrokenPlugin: it is not what was installed, or that cannot be found out.
        """
        try:
            entry = plugin_install.entry_of(self.book(), name)
            if entry is None:
                return None
            return plugin_install.pin_of(entry, sha256_of(self.folder / name))
        except Unavailable as error:
            raise BrokenPlugin(error.sentence) from None
        except OSError as error:
            raise BrokenPlugin(f"It cannot be read: {error.strerror}.") from None

    # Under the lock

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only one who installs until the end of the block.

        Raises:
            Conflict: somebody else is.
            Unavailable: the folder cannot be written.
        """
        descriptor = self.lock()
        try:
            yield
        finally:
            os.close(descriptor)

    def lock(self) -> int:
        """Be the only one who installs until the descriptor is closed; see `locked`."""
        try:
            self._make(self._metadata)
            path = self._metadata / "install.lock"
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise Unavailable(
                f"The plugins folder {self.folder} cannot be written: {error.strerror}."
            ) from None
        try:
            self._own(path)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise Conflict(
                "Another plugin is being installed just now; try again when that is over.",
                code="install_under_way",
            ) from None
        return descriptor

    def recover(self) -> None:
        """Bring to an end what was interrupted, and remove what nobody needs. OSError."""
        book = self.book()
        waiting = [entry.file for entry in book.values() if entry.next is not None]
        if waiting:
            found = {name: self._sha256_or_none(name) for name in waiting}
            book = plugin_install.recovered(book, found)
            self.write(book)
        self.tidy(book)

    def tidy(self, book: Book) -> None:
        """Remove copies that are not of the present version or the one before, and old offers."""
        kept = plugin_install.kept_versions(book)
        for path in _content(self._versions):
            if path.name not in kept:
                shutil.rmtree(path, ignore_errors=True)
        for path in _content(self._incoming):
            with contextlib.suppress(OSError):
                if time.time() - path.lstat().st_mtime > _STALE_S:
                    path.unlink()
        for path in _content(self.folder):
            if path.name.startswith(".coming-"):
                path.unlink(missing_ok=True)

    def stage(self, source: Path) -> str:
        """Offer a copy of a file and return its checksum. OSError."""
        self._make(self._metadata)
        self._make(self._incoming)
        draft = self._incoming / f".{os.getpid()}.part"
        try:
            with source.open("rb") as whole, draft.open("wb") as copy:
                shutil.copyfileobj(whole, copy, _PIECE_BYTES)
                copy.flush()
                os.fsync(copy.fileno())
            draft.chmod(_MODE)
            self._own(draft)
            sha256 = sha256_of(draft)
            draft.replace(self._incoming / sha256)
        finally:
            draft.unlink(missing_ok=True)
        return sha256

    def staged(self, sha256: str) -> Path:
        """Return the file that is offered under a checksum, which it has.

        Raises:
            NotFound: there is none.
            Conflict: it is another one.
        """
        sha256 = plugin_install.checked_sha256(sha256)
        path = self._incoming / sha256
        try:
            is_file = stat.S_ISREG(path.lstat().st_mode)
            found = sha256_of(path) if is_file else ""
        except OSError as error:
            raise NotFound(
                f"No file with this checksum is offered below the hub's plugins folder "
                f"({self.folder}): {error.strerror}.",
                code="not_staged",
            ) from None
        if found != sha256:
            raise Conflict(f"{path} is not the file that its name says.", code="not_staged")
        return path

    def unstage(self, sha256: str) -> None:
        """Take an offer back."""
        with contextlib.suppress(OSError):
            (self._incoming / plugin_install.checked_sha256(sha256)).unlink()

    def keep(self, source: Path, sha256: str, name: str) -> Path:
        """Keep a version under the name of the plugin's file, and return where. OSError."""
        self._make(self._versions)
        home = self._versions / sha256
        self._make(home)
        path = home / name
        if not path.exists() or sha256_of(path) != sha256:
            draft = home / ".draft"
            _link_or_copy(source.resolve(), draft)
            self._own(draft)
            draft.replace(path)
            _sync_folder(home)
            _sync_folder(self._versions)
        return path

    def kept(self, sha256: str, name: str) -> Path:
        """Return where a version is kept, if it is."""
        return self._versions / sha256 / name

    def present(self, name: str, version: str) -> Version | None:
        """Return the version of the file that is there, kept; None when there is none. OSError.

        Args:
            name: the file's name.
            version: what its metadata say, where nothing is written down of it.
        """
        entry = plugin_install.entry_of(self.book(), name)
        if entry is not None and entry.current is not None:
            return entry.current
        sha256 = self._sha256_or_none(name)
        if sha256 is None:
            return None
        self.keep(self.folder / name, sha256, name)
        return Version(sha256, version)

    def put_in_place(
        self, plugin_id: str, name: str, coming: Version, present_version: str
    ) -> None:
        """Make a version that is kept the present one. OSError; then nothing has changed."""
        book = self.book()
        present = self.present(name, present_version)
        book = plugin_install.begun(book, plugin_id, name, coming, present)
        book = {key: one for key, one in book.items() if one.file != name or key == plugin_id}
        self.write(book)
        draft = self.folder / f".coming-{coming.sha256[:16]}"
        try:
            _link_or_copy(self.kept(coming.sha256, name), draft)
            self._own(draft)
            draft.replace(self.folder / name)
            _sync_folder(self.folder)
        except OSError:
            self.write(plugin_install.withdrawn(book, plugin_id))
            raise
        finally:
            draft.unlink(missing_ok=True)  # of the same file under both names, rename does nothing
        self.write(plugin_install.done(book, plugin_id))

    def remove(self, plugin_id: str, name: str) -> None:
        """Take a plugin's file away, and what is written down and kept of it. OSError."""
        (self.folder / name).unlink(missing_ok=True)
        _sync_folder(self.folder)
        book = {key: entry for key, entry in self.book().items() if key != plugin_id}
        self.write(book)
        self.tidy(book)

    def _sha256_or_none(self, name: str) -> str | None:
        try:
            return sha256_of(self.folder / name)
        except OSError:
            return None

    def _make(self, folder: Path) -> None:
        if not folder.is_dir():
            folder.mkdir(exist_ok=True)
            self._own(folder)

    def _own(self, path: Path) -> None:
        """Give what root makes to whoever the folder belongs to, which is the hub's user."""
        if os.geteuid() == 0:
            facts = self.folder.stat()
            os.chown(path, facts.st_uid, facts.st_gid)


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's content, in hex. OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:  # noqa: PTH123 - a pipe is not to be waited for
        return hashlib.file_digest(file, "sha256").hexdigest()


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or where the file system has none, copy it durably."""
    target.unlink(missing_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        with source.open("rb") as whole, target.open("wb") as copy:
            shutil.copyfileobj(whole, copy, _PIECE_BYTES)
            copy.flush()
            os.fsync(copy.fileno())
        target.chmod(_MODE)


def _content(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
