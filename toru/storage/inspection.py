"""Whether a database file can be used, found out without changing one byte of it.

Runs on: the main thread, before any actor uses the database.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

import peewee

from toru.errors import ConfigError
from toru.storage import migrations
from toru.storage.database import (
    SQLITE_FLOOR,
    SqliteLocation,
    close,
    execute,
    reason,
    sqlite_version,
)

CHECKED_BYTES = 64 * 1024 * 1024
"""Files to this size are checked page by page; larger ones would hold up the start."""

_MAGIC = b"SQLite format 3\0"
_SIDE_FILES = ("-wal", "-shm", "-journal")


def inspect(location: SqliteLocation) -> None:
    """Refuse a file that is no database of Toru's, is damaged, read-only or newer.

    A file that is not there yet is fine. Nothing is written, except that a transaction which a
    crash has left half done in a rollback journal is rolled back, as every SQLite program does.

    Raises:
        ConfigError: the file cannot be used.
    """
    if sqlite_version() < SQLITE_FLOOR:
        raise ConfigError("Python is linked with an SQLite older than 3.35; install a newer one.")
    path = location.path
    _check_folder(path)
    if not os.path.lexists(path):
        _check_alone(path)
        return
    _check_file(path)
    if path.stat().st_size == 0:
        _check_alone(path)
    else:
        _check_content(location)


def secure(path: Path) -> None:
    """Make the file, and let nobody but its owner read it or the files beside it.

    Raises:
        ConfigError: the file system does not allow it.
    """
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for name in (path, *(_beside(path, suffix) for suffix in _SIDE_FILES)):
            if name.exists() and stat.S_IMODE(name.stat().st_mode) != 0o600:
                name.chmod(0o600)
    except OSError as error:
        raise ConfigError(f"The database {str(path)!r} cannot be made: {error.strerror}.") from None


def _check_folder(path: Path) -> None:
    try:
        if not path.parent.is_dir():
            raise ConfigError(f"The folder of the database {str(path)!r} does not exist.")
    except OSError as error:
        raise ConfigError(
            f"The database {str(path)!r} cannot be reached: {error.strerror}."
        ) from None


def _check_alone(path: Path) -> None:
    """Refuse an empty file beside the log of a full one: it was cut off, not made new."""
    log = _beside(path, "-wal")
    if _has_content(log):
        raise ConfigError(
            f"The database {str(path)!r} is empty, but its log {log.name} is not: the file was "
            "lost or cut off; restore it from a backup."
        )


def _check_file(path: Path) -> None:
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise ConfigError(f"The database {str(path)!r} is not a file.")
        # The superuser may write every file; one that nobody may write is still meant as such.
        if not mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH) or not os.access(path, os.W_OK):
            raise ConfigError(f"The database {str(path)!r} is read-only; make it writable.")
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
    except OSError as error:
        raise ConfigError(f"The database {str(path)!r} cannot be read: {error.strerror}.") from None
    if magic not in {b"", _MAGIC}:
        raise ConfigError(f"The file {str(path)!r} is not an SQLite database, or it is damaged.")


def _check_content(location: SqliteLocation) -> None:
    database = None
    try:
        database = _opened(location)
        version = migrations.schema_version(database)
        migrations.check_version(version)
        if version == 0:
            migrations.check_owner(database.get_tables())
        _check_pages(location.path, database)
    except peewee.DatabaseError as error:
        raise ConfigError(sentence(location.path, error)) from None
    finally:
        if database is not None:
            close(database)


def sentence(path: Path, error: Exception) -> str:
    """Return why SQLite refused a file, for the person who starts Toru."""
    cause = reason(error)
    name = repr(str(path))
    if "malformed" in cause or "not a database" in cause or "disk I/O" in cause:
        return f"The database {name} is damaged ({cause}); restore it from a backup."
    if "readonly" in cause:
        return f"The database {name} is read-only; make it and its folder writable."
    if "locked" in cause:
        return f"The database {name} is in use by another program; end that one first."
    if "full" in cause:
        return f"The database {name} cannot be written: the disk is full."
    return f"The database {name} cannot be used: {cause}."


def _opened(location: SqliteLocation) -> peewee.SqliteDatabase:
    """Open the file so that opening changes nothing.

    An ``immutable`` connection makes no files beside the database, but does not see them either.
    """
    path = location.path
    if _has_content(_beside(path, "-journal")):
        mode = "rw"
    elif _has_content(_beside(path, "-wal")):
        mode = "ro"
    else:
        mode = "immutable"
    database = peewee.SqliteDatabase(
        location.uri(mode), uri=True, timeout=location.busy_timeout_s, autoconnect=False
    )
    database.connect()
    return database


def _check_pages(path: Path, database: peewee.SqliteDatabase) -> None:
    if path.stat().st_size > CHECKED_BYTES:
        return
    found = str(execute(database, "PRAGMA quick_check(1)").fetchall()[0][0])
    if found != "ok":
        cause = " ".join(found.removeprefix("*** in database main ***").split())
        raise ConfigError(
            f"The database {str(path)!r} is damaged ({cause}); restore it from a backup."
        )


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _has_content(path: Path) -> bool:
    try:
        return path.stat().st_size > 0
    except OSError:
        return False
