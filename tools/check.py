"""Run every linter and type checker at once: ``.venv/bin/python -m tools.check``.

Runs on: a pool of threads that only wait for processes. What fails is printed whole.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools.common import ROOT, Stamps, say
from tools.node import installed_npm, node_environ


@dataclass(frozen=True)
class Check:
    """One command that must exit with 0."""

    name: str
    command: list[str | Path]
    folder: Path


@dataclass(frozen=True)
class Outcome:
    """How a check ended."""

    check: Check
    code: int
    output: str
    seconds: float


def checks(root: Path = ROOT) -> list[Check]:
    """Return the checks of a checkout, the slowest first."""
    binaries = Path(sys.executable).parent
    mypy = Check("mypy", [binaries / "mypy", "-p", "toru", "-p", "tools"], root)
    lint = Check("ruff check", [binaries / "ruff", "check", "--quiet", "."], root)
    form = Check("ruff format", [binaries / "ruff", "format", "--check", "--quiet", "."], root)
    return [mypy, *_dashboard_checks(root / "static"), lint, form]


def has_code(static: Path) -> bool:
    """Return whether the dashboard has code of its own to check."""
    foreign = {"node_modules", "vendor"}
    return any(path.name not in foreign and _holds_code(path) for path in static.glob("*"))


def _holds_code(path: Path) -> bool:
    return path.suffix == ".js" or (path.is_dir() and any(path.rglob("*.js")))


def _dashboard_checks(static: Path) -> list[Check]:
    if not has_code(static):
        return []
    tools = static / "node_modules/.bin"
    biome: list[str | Path] = [tools / "biome", "check", "--error-on-warnings", "--colors=off", "."]
    return [
        Check("tsc", [tools / "tsc", "--project", "tsconfig.json"], static),
        Check("tsc of pages", [tools / "tsc", "--project", "../sdk/js/tsconfig.json"], static),
        Check("biome", biome, static),
    ]


def runner(environ: dict[str, str]) -> Callable[[Check], Outcome]:
    """Return the function that runs one check in an environment."""

    def run_check(check: Check) -> Outcome:
        begun = time.monotonic()
        try:
            result = subprocess.run(
                check.command,
                cwd=check.folder,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            return Outcome(check, 127, f"{error}\n", 0)
        return Outcome(check, result.returncode, result.stdout, time.monotonic() - begun)

    return run_check


def main() -> int:
    """Run all checks and return the exit code: 0 when each passed."""
    environ = node_environ(installed_npm(Stamps(ROOT / ".venv/toru-setup.json")))
    failed = 0
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for outcome in pool.map(runner(environ), checks()):
            say(f"{outcome.check.name}: {_verdict(outcome)}")
            if outcome.code:
                failed += 1
                print(outcome.output, end="", file=sys.stderr, flush=True)
    return 1 if failed else 0


def _verdict(outcome: Outcome) -> str:
    if outcome.code == 0:
        return f"passed in {outcome.seconds:.1f} s"
    return f"failed with exit code {outcome.code}"


if __name__ == "__main__":
    sys.exit(main())
