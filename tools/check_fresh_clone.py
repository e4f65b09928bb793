"""Prove that a clone with nothing installed starts: ``-m tools.check_fresh_clone [--test]``.

Runs on: one thread and the processes that it starts, which it ends by their ids.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from tools.common import ROOT, SetupError, run, say

START_S = 600.0
STOP_S = 30.0
_POLL_S = 0.2


def check(*, with_tests: bool, root: Path = ROOT) -> None:
    """Clone the checkout's last commit and go through the README's commands in the clone.

    Args:
        with_tests: whether to run ``make test`` there too.
        root: the checkout.

    Raises:
        SetupError: something did not happen that must.
    """
    with tempfile.TemporaryDirectory(prefix="toru-clone-") as scratch:
        clone = Path(scratch) / "toru"
        clone_command: list[str | Path] = ["git", "clone", "--quiet", "--no-hardlinks", root, clone]
        run(clone_command, "the repository could not be cloned")
        _check_run(clone, Path(scratch))
        if with_tests:
            run(["make", "test"], "make test failed in the clone", cwd=clone)
        _check_clean(clone)


def _check_run(clone: Path, scratch: Path) -> None:
    port = _free_port()
    begun = time.monotonic()
    command = ["make", "run"]
    environ = _environment(scratch, port)
    # A session of its own, so that what is signalled at the end is this start and nothing else.
    process = subprocess.Popen(command, cwd=clone, env=environ, start_new_session=True)
    try:
        _wait_for_health(process, port)
        say(f"the clone served after {time.monotonic() - begun:.1f} s")
        _check_dashboard(port)
        _check_restart_is_quick(clone)
        hub = json.loads((scratch / "data/hub.pid").read_bytes())["pid"]
        os.kill(hub, signal.SIGTERM)
        code = process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        raise SetupError(f"the hub did not stop within {STOP_S:.0f} s.") from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        _stop_runner(clone, environ)
    if code != 0:
        raise SetupError(f"make run ended with exit code {code} after SIGTERM.")
    say("the clone stopped in order")


def _stop_runner(clone: Path, environ: dict[str, str]) -> None:
    toru = clone / ".venv/bin/toru"
    if toru.exists():
        command: list[str | Path] = [toru, "stop", "--all", "--yes"]
        run(command, "the runner of the clone does not stop", cwd=clone, environ=environ)


def _environment(scratch: Path, port: int) -> dict[str, str]:
    mine = {
        "ADMIN_PASSWORD": f"Aa1!{secrets.token_hex(8)}",
        "STEERING_HOST": "127.0.0.1",
        "STEERING_PORT": str(port),
        "TORU_DATA_DIR": str(scratch / "data"),
        "TORU_LOG_DIR": str(scratch / "logs"),
    }
    # What make hands down would make the inner make part of the outer one.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
    inherited.pop("MFLAGS", None)
    return inherited | mine


def _wait_for_health(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SetupError(
                f"make run ended with exit code {process.returncode} before it served."
            )
        try:
            if json.loads(_fetch(port, "/api/health")) == {"status": "ok"}:
                return
        except (OSError, ValueError):
            time.sleep(_POLL_S)
    raise SetupError(f"make run did not serve within {START_S:.0f} s.")


def _check_dashboard(port: int) -> None:
    if b"<html" not in _fetch(port, "/").lower():
        raise SetupError("the hub of the clone serves no dashboard.")
    if not _fetch(port, "/vendor/preact.js"):
        raise SetupError("the hub of the clone does not serve the dashboard's packages.")


def _check_restart_is_quick(clone: Path) -> None:
    begun = time.monotonic()
    again: list[str | Path] = [sys.executable, "-m", "tools.bootstrap", "run"]
    run(again, "the second set-up failed", cwd=clone)
    if time.monotonic() - begun > 1:
        raise SetupError("a set-up with nothing to do took longer than a second.")


def _check_clean(clone: Path) -> None:
    command = ["git", "status", "--porcelain"]
    changed = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True).stdout
    if changed:
        raise SetupError(f"the set-up left files that git sees: {changed.split()}")


def _fetch(port: int, path: str) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
        content: bytes = response.read()
        return content


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main(arguments: list[str]) -> int:
    """Run the check and return the exit code."""
    if arguments not in ([], ["--test"]):
        print("usage: python3 -m tools.check_fresh_clone [--test]", file=sys.stderr)
        return 2
    try:
        check(with_tests=bool(arguments))
    except SetupError as error:
        say(f"the fresh clone failed: {error}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
