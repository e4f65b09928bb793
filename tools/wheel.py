"""Build the wheel, the dashboard inside: ``.venv/bin/python -m tools.wheel [--no-isolation] DIR``.

Runs on: one thread. It builds from a copy, so that no file of an earlier build gets in.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from tools.common import ROOT, SetupError, run, say
from tools.node import vendor_is_complete

FILES = ["setup.cfg", "pyproject.toml", "README.md", "LICENSE"]


def build_wheel(out: Path, *, isolated: bool = True, root: Path = ROOT) -> Path:
    """Build the wheel of a checkout.

    Args:
        out: the folder that gets it; made when it is missing.
        isolated: whether pip fetches the build tools anew; otherwise this Python's are used.
        root: the checkout.

    Returns:
        The wheel.

    Raises:
        SetupError: the dashboard's packages are not set up, or the build fails.
    """
    if not vendor_is_complete(root / "static"):
        raise SetupError("static/vendor is not filled; run: make wheel")
    with tempfile.TemporaryDirectory(prefix="toru-wheel-") as scratch:
        source, made = Path(scratch) / "source", Path(scratch) / "made"
        source.mkdir()
        for name in FILES:
            shutil.copy(root / name, source / name)
        ignored = shutil.ignore_patterns("__pycache__", "node_modules", "target")
        shutil.copytree(root / "toru", source / "toru", ignore=ignored)
        pip: list[str | Path] = [sys.executable, "-m", "pip", "wheel", "-qq", "--no-deps"]
        options = ["--disable-pip-version-check", *([] if isolated else ["--no-build-isolation"])]
        run([*pip, *options, "--wheel-dir", made, source], "the wheel could not be built")
        out.mkdir(parents=True, exist_ok=True)
        return Path(shutil.copy(next(made.glob("toru-*.whl")), out))


def main(arguments: list[str]) -> int:
    """Build the wheel and return the exit code."""
    folders = [item for item in arguments if item != "--no-isolation"]
    if len(folders) != 1:
        print("usage: python -m tools.wheel [--no-isolation] DIR", file=sys.stderr)
        return 2
    try:
        wheel = build_wheel(Path(folders[0]), isolated="--no-isolation" not in arguments)
    except SetupError as error:
        say(str(error))
        return 1
    print(wheel)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
