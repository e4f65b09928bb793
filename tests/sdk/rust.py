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
LICENCES = Path("sdk/rust/toru-plugin-licence")
HELLO = Path("plugins/hello-plugin-rust")
SAMPLE = Path("tests/sdk/rust_sample")
CRATES = ("ring", "serde", "serde_derive", "serde_json", "tokio", "tokio-macros")
PACKAGES = "librust-ring-dev librust-tokio-dev librust-serde-dev librust-serde-json-dev"
FLAGS = (*DEBIAN_FLAGS, "--config=profile.release.package.toru-plugin-api.opt-level=0")
"""The library is compiled for each of its changes, several times as fast like this."""
ENVIRONMENT = {
    "CARGO_TARGET_DIR": str(PLACE / "target"),
    # The same for all of them, so that the crates are built once.
    "CARGO_PROFILE_RELEASE_OPT_LEVEL": "1",
    "CARGO_PROFILE_RELEASE_STRIP": "true",
    "RUSTDOCFLAGS": "-D warnings",
    FLAGS_VARIABLE: " ".join(f'"{flag}"' for flag in FLAGS),
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
    copied(LICENCES)
    return build_plugin(folder if folder.is_absolute() else copied(folder), out).path


def build_source(name: str, manifest: str, program: str, out: Path) -> Path:
    """Build a plugin of a page for authors, in a folder beside ``sdk``."""
    folder = PLACE / "source" / name
    (folder / "src").mkdir(parents=True, exist_ok=True)
    (folder / "Cargo.toml").write_text(manifest)
    (folder / "src/main.rs").write_text(program)
    with pytest.MonkeyPatch.context() as patch:
        return build(folder, out, patch)


def cargo(*arguments: str, folder: Path = LIBRARY) -> str:
    """Run cargo on a library, or on what `build_source` has made; it must not fail.

    Returns:
        What it prints.
    """
    copied(LIBRARY)
    result = subprocess.run(
        ["cargo", *arguments, *FLAGS],
        cwd=copied(folder) if (ROOT / folder).exists() else PLACE / "source" / folder,
        env=os.environ | ENVIRONMENT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout
