"""Make one executable file of a plugin's source folder.

A folder with an executable ``build`` is built by that: it is run in the folder with the path of
the file to make. One with a ``Cargo.toml`` is built by cargo. Any other must hold Python:
``__main__.py``, ``plugin.py`` or ``main.py``, which become a zip archive that Python runs (zipapp),
the library for plugins inside. The same sources give the same bytes.

Runs on: the main thread of the command line.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shutil
import stat
import subprocess
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from toru.cli.cargo_build import MANIFEST, CargoError, build_with_cargo
from toru.domain import plugin_probe
from toru.domain.plugin_metadata import BrokenPlugin, PluginMetadata
from toru.errors import ToruError

SUFFIX = ".binary"
BUILD_PROGRAM = "build"
ENTRIES = ("__main__.py", "plugin.py", "main.py")
SDK_NAME = "toru_plugin"
SDK_FOLDER = Path(__file__).parent.parent / "_sdk" / SDK_NAME
"""A link in a checkout, files in a wheel."""

_SHEBANG = b"#!/usr/bin/env python3\n"
_STARTER = '"""Starts the plugin."""\n\nfrom toru_plugin.entry import main\n\nmain("{}")\n'
_LEFT_OUT_FOLDERS = {"__pycache__", "tests", "node_modules"}
_LEFT_OUT_SUFFIXES = {".pyc", SUFFIX}
_OLDEST_ZIP_DATE = (1980, 1, 1, 0, 0, 0)


class BuildError(ToruError):
    """The folder does not become a plugin; the sentence says why."""

    default_code = "build_failed"


class Built(NamedTuple):
    """A plugin that was built.

    Attributes:
        path: the file.
        metadata: what it says of itself.
        size_bytes: its length.
    """

    path: Path
    metadata: PluginMetadata
    size_bytes: int


def build_plugin(folder: Path, out: Path | None = None) -> Built:
    """Build a plugin; the file at ``out`` is replaced at once, and only by one that works.

    Args:
        folder: the sources.
        out: the file, or the folder that gets it; beside the sources when it is None.

    Raises:
        BuildError: the folder holds no plugin, cannot be built, or what it builds does not work.
    """
    folder = folder.resolve()
    if not folder.is_dir():
        raise BuildError(f"{folder} is not a folder.")
    target = _target(folder, out)
    try:
        with _beside(target) as fresh:
            if os.access(folder / BUILD_PROGRAM, os.X_OK):
                _run_build_program(folder, fresh)
            elif (folder / MANIFEST).is_file():
                build_with_cargo(folder, fresh)
            else:
                _write_archive(folder, fresh)
            metadata = _try(fresh)
            size_bytes = fresh.stat().st_size
            fresh.replace(target)
    except CargoError as error:
        raise BuildError(error.sentence) from None
    except OSError as error:
        raise BuildError(f"{folder} cannot be built: {error}.") from None
    return Built(target, metadata, size_bytes)


def copy_plugin(file: Path, out: Path) -> Built:
    """Copy a plugin that is built already; the file at ``out`` is replaced only by one that works.

    Args:
        file: the plugin.
        out: the file to make or replace.

    Raises:
        BuildError: it cannot be read, or does not work.
    """
    target = _target(file, out)
    try:
        with _beside(target) as fresh:
            shutil.copyfile(file, fresh)
            fresh.chmod(0o755)
            metadata = _try(fresh)
            size_bytes = fresh.stat().st_size
            fresh.replace(target)
    except OSError as error:
        raise BuildError(f"{file} cannot be used: {error}.") from None
    return Built(target, metadata, size_bytes)


def source_files(folder: Path) -> dict[str, Path]:
    """Return the files of a folder that go into the archive, by their name there.

    Hidden files, ``tests``, ``__pycache__``, ``node_modules`` and built plugins are left out.

    Raises:
        BuildError: a folder is a symbolic link; its content would be missing.
    """
    found: dict[str, Path] = {}
    for current, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not _left_out(name)]
        here = Path(current)
        for name in folders:
            if (here / name).is_symlink():
                raise BuildError(f"{here / name} is a symbolic link; put the folder itself there.")
        paths = [here / name for name in files if not _left_out(name)]
        found.update({path.relative_to(folder).as_posix(): path for path in paths})
    return found


def _left_out(name: str) -> bool:
    hidden = name.startswith(".") or name in _LEFT_OUT_FOLDERS
    return hidden or Path(name).suffix in _LEFT_OUT_SUFFIXES


def _target(folder: Path, out: Path | None) -> Path:
    name = f"{folder.name}{SUFFIX}"
    if out is None:
        return folder.parent / name
    if out.is_dir():
        return out.resolve() / name
    if out.suffix != SUFFIX:
        raise BuildError(f"The name of a built plugin must end with {SUFFIX}, unlike {out.name}.")
    if not out.parent.is_dir():
        raise BuildError(f"There is no folder {out.parent}.")
    return out.resolve()


@contextlib.contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yield a path in the target's file system that the hub does not take for a plugin."""
    with tempfile.TemporaryDirectory(prefix=".build-", dir=target.parent) as scratch:
        yield Path(scratch) / target.name


def _write_archive(folder: Path, target: Path) -> None:
    entry = next((name for name in ENTRIES if (folder / name).is_file()), None)
    if entry is None:
        raise BuildError(
            f"{folder} holds neither {', '.join(ENTRIES[:-1])} nor {ENTRIES[-1]}, "
            f"nor {MANIFEST}, nor an executable named {BUILD_PROGRAM}."
        )
    files = source_files(folder)
    if any(name.split("/")[0] in (SDK_NAME, f"{SDK_NAME}.py") for name in files):
        raise BuildError(f"{folder} has a {SDK_NAME} of its own; the build brings it along.")
    contents = {name: path.read_bytes() for name, path in files.items()}
    contents |= _sdk_contents()
    if entry != ENTRIES[0]:
        contents[ENTRIES[0]] = _STARTER.format(entry.removesuffix(".py")).encode()
    with target.open("wb") as file:
        file.write(_SHEBANG)
        _write_zip(zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED), contents)
    target.chmod(0o755)


def _sdk_contents() -> dict[str, bytes]:
    files = {f"{SDK_NAME}/{path.name}": path.read_bytes() for path in SDK_FOLDER.glob("*.py")}
    if not files:
        raise BuildError(f"The library for plugins is missing at {SDK_FOLDER}; install Toru again.")
    return files


def _write_zip(archive: zipfile.ZipFile, contents: dict[str, bytes]) -> None:
    with archive:
        for name in sorted(contents):
            info = zipfile.ZipInfo(name, _OLDEST_ZIP_DATE)
            info.create_system = 3  # Unix, on whatever it is built
            info.external_attr = (stat.S_IFREG | 0o644) << 16
            archive.writestr(info, contents[name], zipfile.ZIP_DEFLATED, compresslevel=9)


def _run_build_program(folder: Path, target: Path) -> None:
    command = [f"./{BUILD_PROGRAM}", str(target)]
    result = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=False)
    if result.returncode:
        raise BuildError(f"{folder / BUILD_PROGRAM} failed with exit code {result.returncode}.")
    if not target.is_file():
        raise BuildError(f"{folder / BUILD_PROGRAM} has not made the file that it was given.")


def probe_plugin(path: Path) -> PluginMetadata:
    """Run a file with ``--metadata``, as the hub does, and return what it says.

    Raises:
        BrokenPlugin: it is no plugin.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(plugin_probe.HEAD_BYTES)
    return plugin_probe.read_probe(_probe(path, head), head)


def _try(path: Path) -> PluginMetadata:
    try:
        return probe_plugin(path)
    except BrokenPlugin as error:
        raise BuildError(f"What was built does not work: {error.sentence}") from None


def _probe(path: Path, head: bytes) -> plugin_probe.ProbeOutcome:
    try:
        result = subprocess.run(
            [str(path), "--metadata"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=plugin_probe.PROBE_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return plugin_probe.ProbeOutcome(None, b"", late.stderr or b"", timed_out=True)
    except PermissionError as error:
        raise plugin_probe.refused_spawn("not_executable", str(error), head, "") from None
    except FileNotFoundError as error:
        raise plugin_probe.refused_spawn("missing_interpreter", str(error), head, "") from None
    except OSError as error:
        machine = platform.machine()
        raise plugin_probe.refused_spawn("exec_format", str(error), head, machine) from None
    return plugin_probe.ProbeOutcome(result.returncode, result.stdout, result.stderr[-65536:])
