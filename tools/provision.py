"""The steps of the set-up: environment, Python and dashboard packages, plugins, Chromium.

Runs on: one thread; two set-ups of one checkout wait for each other. Each step is skipped when
the files that it depends on are as they were, so that a second call takes no time.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import platform
import sys
from pathlib import Path

from tools.browser import provide_chromium
from tools.common import ROOT, SetupError, Stamps, digest, run, say
from tools.node import provide_dashboard_packages
from tools.plugins import provide_plugins

MODES = {"run": False, "test": True}


def provision(arguments: list[str], root: Path = ROOT) -> int:
    """Set a checkout up.

    Args:
        arguments: ``["run"]`` or ``["test"]``; the latter adds what only the tests need.
        root: the checkout.

    Returns:
        The exit code: 0 done, 1 impossible (said in one line), 2 wrong arguments.
    """
    if len(arguments) != 1 or arguments[0] not in MODES:
        print("usage: python3 -m tools.bootstrap run|test", file=sys.stderr)
        return 2
    lock = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        _provide_all(root, for_tests=MODES[arguments[0]])
    except SetupError as error:
        say(str(error))
        return 1
    except OSError as error:
        say(f"the set-up failed: {error}.")
        return 1
    except KeyboardInterrupt:
        say("the set-up was interrupted; the same command goes on with it.")
        return 130
    finally:
        os.close(lock)
    return 0


def _provide_all(root: Path, *, for_tests: bool) -> None:
    stamps = Stamps(root / ".venv/toru-setup.json")
    _provide_environment(root, stamps)
    _provide_python_packages(root, stamps, for_tests=for_tests)
    provide_dashboard_packages(root, stamps, for_tests=for_tests)
    provide_plugins(root, stamps)
    if for_tests:
        provide_chromium(root)


def _provide_environment(root: Path, stamps: Stamps) -> None:
    # Its scripts hold absolute paths, so a moved checkout needs a new one.
    facts = {"root": str(root), "python": sys.version, "base": sys.base_prefix}
    if stamps.read("environment") == facts and (root / ".venv/bin/python").exists():
        return
    if not all(map(importlib.util.find_spec, ("venv", "ensurepip"))):
        package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
        raise SetupError(
            f"Python's venv module is not complete; on Debian and Ubuntu: apt-get install {package}"
        )
    say(f"making the virtual environment .venv with Python {platform.python_version()}")
    # Not sys.executable: that may be the environment itself, which is about to be cleared.
    python = getattr(sys, "_base_executable", sys.executable)
    command: list[str | Path] = [python, "-m", "venv", "--clear", root / ".venv"]
    run(command, "the virtual environment could not be made")
    stamps.record("environment", **facts)


def _provide_python_packages(root: Path, stamps: Stamps, *, for_tests: bool) -> None:
    inputs = digest([root / "setup.cfg", root / "pyproject.toml"])
    done = stamps.read("python packages")
    enough = done.get("tests") is True or not for_tests
    if done.get("inputs") == inputs and enough and (root / ".venv/bin/toru").exists():
        return
    say("installing the Python packages")
    what = f"{root}[test]" if for_tests else str(root)
    pip: list[str | Path] = [root / ".venv/bin/python", "-m", "pip", "install", "-qq"]
    options = ["--disable-pip-version-check", "--editable"]
    run([*pip, *options, what], "pip could not install the Python packages")
    stamps.record("python packages", inputs=inputs, tests=for_tests)
