"""Find Chromium for the tests: named, the machine's, from apt when root, or from Playwright.

Runs on: the set-up's one thread. The path is kept in ``.venv/chromium-path``.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from tools.common import SetupError, answer, run, say

NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"]
MAC_PATH = "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"


def provide_chromium(root: Path) -> Path:
    """Return the path of a Chromium that starts, and keep it for the tests.

    Raises:
        SetupError: none is here and none can be installed.
    """
    record = root / ".venv/chromium-path"
    named = os.environ.get("CHROMIUM")
    known = recorded_chromium(root)
    if known and (not named or str(known) == named):
        return known
    found = find_chromium(named) or _from_apt() or _from_playwright(root)
    record.write_text(f"{found}\n")
    return found


def recorded_chromium(root: Path) -> Path | None:
    """Return the Chromium that an earlier set-up found, if it is still there."""
    try:
        path = Path((root / ".venv/chromium-path").read_text().strip())
    except OSError:
        return None
    return path if os.access(path, os.X_OK) and path.is_file() else None


def find_chromium(named: str | None = None) -> Path | None:
    """Return the Chromium that is named, else the machine's, if it starts.

    Raises:
        SetupError: the one that is named does not start.
    """
    if named:
        if _starts(named):
            return Path(named)
        raise SetupError(f"CHROMIUM names {named}, which does not start.")
    candidates = [shutil.which(name) for name in NAMES] + [MAC_PATH]
    return next((Path(path) for path in candidates if path and _starts(path)), None)


def _starts(path: str) -> bool:
    # Some distributions install a script under this name that only tells how to get the browser.
    return answer([path, "--version"]) is not None


def _from_apt() -> Path | None:
    apt = shutil.which("apt-get")
    if not apt or os.geteuid() != 0:
        return None
    say("installing Chromium with apt-get")
    environ = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    install: list[str | Path] = [apt, "install", "-qq", "-y", "--no-install-recommends", "chromium"]
    try:
        run([apt, "update", "-qq"], "apt-get update failed", environ=environ)
        run(install, "apt-get could not install chromium", environ=environ)
    except SetupError as error:
        say(str(error))
        return None
    return find_chromium()


def _from_playwright(root: Path) -> Path:
    python = root / ".venv/bin/python"
    say("downloading Chromium with Playwright")
    run(
        [python, "-m", "playwright", "install", "chromium"],
        "there is no Chromium on this machine and Playwright could not download one; "
        "install the package chromium or set CHROMIUM to its path",
    )
    code = (
        "from playwright.sync_api import sync_playwright as p\n"
        "with p() as w: print(w.chromium.executable_path)"
    )
    path = answer([python, "-c", code])
    if path is None or not _starts(path):
        raise SetupError("Playwright's Chromium does not start; install the package chromium.")
    return Path(path)
