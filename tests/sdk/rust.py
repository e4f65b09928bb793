"""The plugins in Rust, built once with the crates that Debian packages.

Runs on: the test's thread. They are built in ``build/rust``, from copies: cargo writes beside the
sources what belongs to the place where they are built. The crates are those that the set-up has
built there, as long as it has them from the same place.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from toru.cli.cargo_build import DEBIAN_CRATES, DEBIAN_FLAGS, FLAGS_VARIABLE
from toru.cli.plugin_build import build_plugin

ROOT = Path(__file__).parents[2]
PLACE = ROOT / "build/rust"
LIBRARY = Path("sdk/rust/toru-plugin-api")
HELLO = Path("plugins/hello-plugin-rust")
SAMPLE = Path("tests/sdk/rust_sample")
CRATES = ("serde", "serde_derive", "serde_json", "tokio", "tokio-macros")
PACKAGES = "librust-tokio-dev librust-serde-dev librust-serde-json-dev"
ENVIRONMENT = {
    "CARGO_TARGET_DIR": str(PLACE / "target"),
    # The same for all of them, so that the crates are built once.
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
    "CARGO_PROFILE_RELEASE_STRIP": "true",
    "RUSTDOCFLAGS": "-D warnings",
    FLAGS_VARIABLE: " ".join(f'"{flag}"' for flag in DEBIAN_FLAGS),
}


def require_rust() -> None:
    """Skip the tests, with the reason, where Rust cannot be built.

    Where ``TORU_WITH_RUST`` is 1 that is an error: ``.ci/run`` has seen that the crates are there.
    """
    missing = None
    if shutil.which("cargo") is None:
        missing = "cargo is not installed"
    elif not all(list(DEBIAN_CRATES.glob(f"{name}-[0-9]*")) for name in CRATES):
        missing = f"crates are missing; on Debian and Ubuntu: apt-get install {PACKAGES}"
    if missing is None:
        return
    if os.environ.get("TORU_WITH_RUST") == "1":
        raise AssertionError(f"Plugins in Rust cannot be tested: {missing}.")
    pytest.skip(f"plugins in Rust cannot be tested: {missing}")


def copied(folder: Path) -> Path:
    """Copy a source folder of the checkout, and return where it is now.

    Times are kept, so that cargo builds only what has changed.
    """
    target = PLACE / "source" / folder
    kept = {"Cargo.lock", "target"}
    if target.exists():
        wanted = {path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*")}
        for path in sorted(target.rglob("*"), reverse=True):
            name = path.relative_to(target)
            if path.is_file() and name not in wanted and not kept & set(name.parts):
                path.unlink()
    ignored = shutil.ignore_patterns(*kept)
    shutil.copytree(ROOT / folder, target, dirs_exist_ok=True, ignore=ignored)
    return target


def build(folder: Path, out: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Build a plugin as ``toru plugin build`` does, and return the file.

    Args:
        folder: below the checkout; an absolute one is built where it is.
        out: the folder that gets the file.
        monkeypatch: sets what cargo is to know.
    """
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    copied(LIBRARY)
    return build_plugin(folder if folder.is_absolute() else copied(folder), out).path


def cargo(*arguments: str) -> str:
    """Run cargo on the library, and return what it prints; it must not fail."""
    result = subprocess.run(
        ["cargo", *arguments, *DEBIAN_FLAGS],
        cwd=copied(LIBRARY),
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
