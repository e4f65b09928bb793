"""Build the plugins whose sources lie in ``plugins/``: ``.venv/bin/python -m tools.plugins``.

Runs on: one thread. A plugin is built anew when its sources, the library or the builder changed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tools.common import ROOT, Stamps, digest, say

_MADE = {"__pycache__", "node_modules", "target", "Cargo.lock"}


def provide_plugins(root: Path, stamps: Stamps, *, with_compiled: bool = False) -> None:
    """Make ``plugins/<name>.binary`` of each folder ``plugins/<name>``.

    One that cannot be built is said and left out: the hub has to start nevertheless.

    Args:
        root: the checkout, whose environment is set up.
        stamps: what was built before, and of what.
        with_compiled: whether to build those that a compiler needs half a minute for.
    """
    builders = (root / "toru/cli/plugin_build.py", root / "toru/cli/cargo_build.py")
    tools = [*builders, *_files(root / "sdk")]
    for folder in sorted((root / "plugins").glob("[!._]*/")):
        if not folder.is_dir():
            continue
        made = folder.with_name(f"{folder.name}.binary")
        step, inputs = f"plugin {folder.name}", digest([*tools, *_files(folder)])
        if stamps.read(step).get("inputs") == inputs and made.exists():
            continue
        if (folder / "Cargo.toml").exists() and not with_compiled:
            say(f"the plugin {folder.name} is left out: make plugins builds it, too.")
            continue
        if (folder / "Cargo.toml").exists() and shutil.which("cargo") is None:
            say(f"the plugin {folder.name} is left out: cargo, which builds it, is not installed.")
            continue
        say(f"building the plugin {folder.name}")
        if _build(root, folder, made):
            stamps.record(step, inputs=inputs)


def _files(folder: Path) -> Iterable[Path]:
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path for path in found if not _MADE & set(path.parts))


def _build(root: Path, folder: Path, made: Path) -> bool:
    command: list[str | Path] = [root / ".venv/bin/toru", "plugin", "build", folder, "--out", made]
    crates = {"CARGO_TARGET_DIR": str(root / "build/rust/target")}  # the tests use them, too
    try:
        subprocess.run(
            command,
            env=crates | os.environ,
            stdin=subprocess.DEVNULL,
            stdout=sys.stderr,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        say(f"the plugin {folder.name} could not be built and is left out.")
        return False
    return True


def main() -> int:
    """Build what changed and return the exit code."""
    provide_plugins(ROOT, Stamps(ROOT / ".venv/toru-setup.json"), with_compiled=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
