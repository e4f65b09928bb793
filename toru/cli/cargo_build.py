"""Make a plugin of a folder that cargo, the build tool of Rust, knows how to build.

The crates come from wherever cargo is set up to get them. Where that cannot be reached, those that
Debian packages (``librust-…-dev``) are used, if they are installed. ``TORU_CARGO_FLAGS`` holds
flags for cargo, and leaves both to whoever sets it.

Runs on: the main thread of the command line.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from toru.errors import ToruError

MANIFEST = "Cargo.toml"
FLAGS_VARIABLE = "TORU_CARGO_FLAGS"
DEBIAN_CRATES = Path("/usr/share/cargo/registry")
DEBIAN_FLAGS = (
    "--offline",
    "--config=source.crates-io.replace-with='debian'",
    f"--config=source.debian.directory='{DEBIAN_CRATES}'",
)

_FETCH_TIMEOUT_S = 300.0
_IMPATIENT = {"CARGO_NET_RETRY": "0", "CARGO_HTTP_TIMEOUT": "10"}
"""A registry that cannot be reached must not hold the start of the hub up."""


class CargoError(ToruError):
    """Cargo makes no program of the folder; the sentence says why."""

    default_code = "build_failed"


def build_with_cargo(folder: Path, target: Path) -> None:
    """Build the one program of a folder and copy it to ``target``.

    Args:
        folder: has a ``Cargo.toml``.
        target: the file to make.

    Raises:
        CargoError: cargo or a crate is missing, the build fails, or makes no or several programs.
        OSError: the program cannot be copied.
    """
    cargo = shutil.which("cargo")
    if cargo is None:
        raise CargoError(f"{folder} is a plugin in Rust, and cargo is not installed here.")
    command = [cargo, "build", "--release", "--message-format=json-render-diagnostics"]
    built = subprocess.run(
        [*command, *cargo_flags(cargo, folder)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
    )
    if built.returncode:
        raise CargoError(f"cargo could not build {folder}; it says why above.")
    programs = _programs(built.stdout)
    if len(programs) != 1:
        raise CargoError(f"{folder} must have one program for cargo to build, not {len(programs)}.")
    shutil.copyfile(programs[0], target)
    target.chmod(0o755)


def cargo_flags(cargo: str, folder: Path) -> list[str]:
    """Return the flags with which all crates of a folder are there.

    Args:
        cargo: the program.
        folder: has a ``Cargo.toml``.

    Raises:
        BuildError: a crate cannot be had.
    """
    if FLAGS_VARIABLE in os.environ:
        return shlex.split(os.environ[FLAGS_VARIABLE])
    trouble = _fetch(cargo, folder, [])
    if trouble is None:
        return []
    if DEBIAN_CRATES.is_dir() and _fetch(cargo, folder, [*DEBIAN_FLAGS]) is None:
        return [*DEBIAN_FLAGS]
    raise CargoError(f"The crates that {folder} needs cannot be had: {trouble}")


def _fetch(cargo: str, folder: Path, flags: list[str]) -> str | None:
    """Get the crates; return what cargo says when that is not possible."""
    try:
        result = subprocess.run(
            [cargo, "fetch", "--quiet", *flags],
            cwd=folder,
            env=os.environ | _IMPATIENT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_FETCH_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"cargo took longer than {_FETCH_TIMEOUT_S:.0f} s."
    if result.returncode == 0:
        return None
    lines = [line.strip() for line in result.stderr.splitlines() if line.strip()]
    return lines[-1] if lines else f"cargo fetch ended with {result.returncode}."


def _programs(output: bytes) -> list[Path]:
    """Return the programs that cargo says it has made."""
    found = []
    for line in output.splitlines():
        try:
            message = json.loads(line)
        except ValueError:
            sys.stderr.buffer.write(line + b"\n")  # what a build script prints
            continue
        if isinstance(message, dict) and message.get("executable"):
            found.append(Path(message["executable"]))
    return found
