"""The plugins folder: which files are there, which plugins are enabled, and their bundles.

Runs on: a thread of its own, because file systems may be slow.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
from pathlib import Path
from typing import Any, ClassVar

from toru.actors.messages.plugins import (
    FolderContent,
    FoundFile,
    LoadBundle,
    LoadEnabled,
    LoadSandboxForced,
    ScanFolder,
    SetEnabled,
    SetSandboxForced,
)
from toru.actors.runtime import ActorContext, Message, ThreadActor
from toru.domain.plugin_probe import HEAD_BYTES, FileFacts, FileKind, unreadable
from toru.errors import Unavailable

logger = logging.getLogger("toru.plugins")

SUFFIX = ".binary"
BUNDLE_LIMIT_BYTES = 16 * 1024 * 1024
_NOTHING = FileFacts("missing", executable=False, size_bytes=0)
_NO_UTF8 = "Its file name is not UTF-8; rename it."

_Config = dict[str, Any]


class PluginFolder(ThreadActor):
    """Reads and writes below one folder, which may come and go."""

    mailbox_limit: ClassVar[int] = 500

    def __init__(self, context: ActorContext, folder: Path) -> None:
        super().__init__(context)
        self._folder = folder

    @property
    def _config_path(self) -> Path:
        return self._folder / ".metadata" / "config.json"

    def on_receive(self, message: Message[Any]) -> Any:
        """Handle one message."""
        match message:
            case ScanFolder():
                return self._scan()
            case LoadEnabled():
                return self._load_enabled()
            case SetEnabled(id=plugin_id, enabled=enabled):
                return self._write_down("plugins", plugin_id, enabled)
            case LoadSandboxForced():
                return self._load_sandbox_forced()
            case SetSandboxForced(id=plugin_id, forced=forced):
                return self._write_down("sandboxed", plugin_id, forced)
            case LoadBundle(id=plugin_id):
                return self._load_bundle(plugin_id)
            case _:
                return super().on_receive(message)

    def _scan(self) -> FolderContent:
        try:
            names = sorted(entry.name for entry in os.scandir(self._folder))
        except FileNotFoundError:
            names = []
        except OSError as error:
            raise Unavailable(f"The plugins folder cannot be read: {error.strerror}.") from None
        files = [
            look_at(self._folder / name, self._folder) for name in names if name.endswith(SUFFIX)
        ]
        others = (name for name in names if not name.endswith(SUFFIX))
        return FolderContent(files, frozenset(filter(self._has_bundle, others)))

    def _load_enabled(self) -> dict[str, bool]:
        try:
            plugins = _read_config(self._config_path)["plugins"]
        except (OSError, ValueError) as error:
            logger.warning(
                "Which plugins are enabled cannot be read from %s (%s); all are taken as enabled.",
                self._config_path,
                error,
            )
            return {}
        return {key: value for key, value in plugins.items() if isinstance(value, bool)}

    def _load_sandbox_forced(self) -> frozenset[str]:
        try:
            sandboxed = _read_config(self._config_path).get("sandboxed", {})
        except (OSError, ValueError):
            return frozenset()  # `_load_enabled` says why
        entries = sandboxed.items() if isinstance(sandboxed, dict) else ()
        return frozenset(plugin_id for plugin_id, forced in entries if forced is True)

    def _write_down(self, section: str, plugin_id: str, value: bool) -> None:
        """Replace the file as a whole; what others have written into it stays."""
        path = self._config_path
        draft = path.with_suffix(".json.new")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            config = _kept_config(path)
            if not isinstance(config.get(section), dict):
                config[section] = {}
            config[section][plugin_id] = value
            with draft.open("w", encoding="utf-8") as file:
                json.dump(config, file, indent=2, sort_keys=True)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise Unavailable(f"{path} cannot be written: {error.strerror}.") from None

    def _has_bundle(self, name: str) -> bool:
        """Return whether `_load_bundle` would find something."""
        path = self._folder / name / "bundle.js"
        try:
            found = path.stat()
            return found.st_size <= BUNDLE_LIMIT_BYTES and self._may_be_read(path, found)
        except OSError:
            return False

    def _load_bundle(self, plugin_id: str) -> bytes | None:
        path = self._folder / plugin_id / "bundle.js"
        try:
            if not self._may_be_read(path, path.stat()):
                return None
            with path.open("rb") as file:
                data = file.read(BUNDLE_LIMIT_BYTES + 1)
        except OSError:
            return None
        return data if len(data) <= BUNDLE_LIMIT_BYTES else None

    def _may_be_read(self, path: Path, found: os.stat_result) -> bool:
        """Return whether it is a plain file of this folder; OSError when it is gone."""
        is_inside = path.resolve(strict=True).is_relative_to(self._folder.resolve())
        return is_inside and stat.S_ISREG(found.st_mode) and os.access(path, os.R_OK)


def look_at(path: Path, folder: Path) -> FoundFile:
    """Return what the file system says of a file in, or below, the plugins folder."""
    name = path.name
    readable = os.fsencode(name).decode("utf-8", "backslashreplace")
    if readable != name:
        return FoundFile(readable, readable, _NOTHING, b"", (), _NO_UTF8)
    try:
        found = path.stat()
        facts = _facts(path, found, folder)
        head = _head(path) if facts.kind == "file" and facts.size_bytes else b""
    except FileNotFoundError:
        return FoundFile(name, str(path), _NOTHING, b"", ())
    except OSError as error:
        trouble = unreadable(error.errno or 0).sentence
        return FoundFile(name, str(path), _NOTHING, b"", (error.errno or 0,), trouble)
    signature = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_mode)
    return FoundFile(name, str(path), facts, head, signature)


def _facts(path: Path, found: os.stat_result, folder: Path) -> FileFacts:
    escapes = path.is_symlink() and not path.resolve().is_relative_to(folder.resolve())
    kind: FileKind = "other"
    if stat.S_ISREG(found.st_mode):
        kind = "file"
    elif stat.S_ISDIR(found.st_mode):
        kind = "folder"
    return FileFacts(kind, os.access(path, os.X_OK), found.st_size, escapes)


def _head(path: Path) -> bytes:
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return os.read(descriptor, HEAD_BYTES)
    finally:
        os.close(descriptor)


def _read_config(path: Path) -> _Config:
    """Return the file's object, which has an object ``plugins``; ValueError when it is none."""
    try:
        value = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {"plugins": {}}
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(value, dict) or not isinstance(value.setdefault("plugins", {}), dict):
        raise ValueError('it is no object with an object "plugins"')
    return value


def _kept_config(path: Path) -> _Config:
    """Return what is to stay; a file that cannot be understood stays beside the next one."""
    try:
        return _read_config(path)
    except ValueError:
        path.with_suffix(".json.damaged").write_bytes(path.read_bytes())
        return {"plugins": {}}
