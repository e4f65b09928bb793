"""``toru plugin test``: run the tests in a plugin's folder, with the library for plugins at hand.

Runs on: the main thread of the command line.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from toru.cli.cargo_build import MANIFEST, cargo_flags
from toru.cli.plugin_build import SDK_FOLDER
from toru.errors import ToruError

TEST_PROGRAM = "test"


class NoTests(ToruError):
    """There is nothing to run."""

    default_code = "no_tests"


def run_tests(folder: Path) -> int:
    """Run an executable ``test`` in the folder, or cargo's, else the Python tests in its ``tests``.

    Returns:
        The exit code.

    Raises:
        NoTests: there are none, or cargo is missing.
        BuildError: a crate cannot be had.
    """
    folder = folder.resolve()
    if os.access(folder / TEST_PROGRAM, os.X_OK) and (folder / TEST_PROGRAM).is_file():
        return subprocess.run([f"./{TEST_PROGRAM}"], cwd=folder, check=False).returncode
    if (folder / MANIFEST).is_file():
        return _run_cargo_tests(folder)
    if not any(folder.glob("tests/test*.py")):
        raise NoTests(
            f"{folder} has neither tests/test_….py nor Cargo.toml nor an executable named test."
        )
    paths = [str(folder), str(SDK_FOLDER.parent.resolve()), os.environ.get("PYTHONPATH", "")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests"]
    return subprocess.run(command, cwd=folder, env=environ, check=False).returncode


def _run_cargo_tests(folder: Path) -> int:
    cargo = shutil.which("cargo")
    if cargo is None:
        raise NoTests(f"{folder} is a plugin in Rust, and cargo is not installed here.")
    # What is compiled for the release serves here too.
    command = [cargo, "test", "--release", *cargo_flags(cargo, folder)]
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=False).returncode
