"""What the set-up's steps share: places, hashes, commands, the one kind of failure.

Runs on: the set-up's one thread.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class SetupError(Exception):
    """The set-up cannot go on; its text is one sentence for the person at the terminal."""


def say(text: str) -> None:
    """Print a progress line."""
    print(f"toru: {text}", file=sys.stderr, flush=True)


def digest(paths: Iterable[Path]) -> str:
    """Return a hash of the contents of files; a missing file counts as a content of its own."""
    total = hashlib.sha256()
    for path in paths:
        content = path.read_bytes() if path.is_file() else b"\0missing"
        total.update(hashlib.sha256(content).digest())
    return total.hexdigest()


def run(
    command: list[str | Path],
    failure: str,
    *,
    cwd: Path | None = None,
    environ: Mapping[str, str] | None = None,
) -> None:
    """Run a command whose output the person sees on stderr.

    Raises:
        SetupError: it cannot be started or fails; ``failure`` is the sentence.
    """
    try:
        subprocess.run(command, cwd=cwd, env=environ, stdout=sys.stderr, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        code = getattr(error, "returncode", None)
        reason = f"exit code {code}" if code is not None else str(error)
        raise SetupError(f"{failure} ({reason}).") from None


def answer(command: list[str | Path], *, timeout_s: float = 20) -> str | None:
    """Return what a command prints, or None when it cannot be run, fails or takes too long."""
    try:
        result = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return result.stdout.strip()


class Stamps:
    """What the set-up has done, so that it does not do it again.

    Args:
        path: the JSON file; when it is missing or unreadable nothing counts as done.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def read(self, step: str) -> dict[str, object]:
        """Return what ``record`` was given for a step, or an empty object."""
        found = self._all().get(step)
        return found if isinstance(found, dict) else {}

    def record(self, step: str, **facts: object) -> None:
        """Remember that a step is done, and under which conditions."""
        everything = self._all() | {step: facts}
        fresh = self._path.with_suffix(".new")
        fresh.write_text(json.dumps(everything, indent=1))
        fresh.replace(self._path)

    def _all(self) -> dict[str, object]:
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}
