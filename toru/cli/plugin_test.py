"""``toru plugin test``: run the tests in a plugin's folder, with the library for plugins at hand.

Runs on: the main thread of the command line.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from toru.cli.plugin_build import SDK_FOLDER
from toru.errors import ToruError

TEST_PROGRAM = "test"


class NoTests(ToruError):
    """There is nothing to run."""

    default_code = "no_tests"


def run_tests(folder: Path) -> int:
    """Run an executable ``test`` in the folder, else the Python tests in its ``tests``.

    Returns:
        The exit code.

    Raises:
        NoTests: there is neither.
    """
    folder = folder.resolve()
    if os.access(folder / TEST_PROGRAM, os.X_OK) and (folder / TEST_PROGRAM).is_file():
        return subprocess.run([f"./{TEST_PROGRAM}"], cwd=folder, check=False).returncode
    if not any(folder.glob("tests/test*.py")):
        raise NoTests(f"{folder} has neither tests/test_….py nor an executable named test.")
    paths = [str(folder), str(SDK_FOLDER.parent.resolve()), os.environ.get("PYTHONPATH", "")]
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    command = [sys.executable, "-B", "-m", "unittest", "discover", "-s", "tests"]
    return subprocess.run(command, cwd=folder, env=environ, check=False).returncode
