"""The plugins in Rust, built once for all tests of the libraries."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.sdk import rust


@pytest.fixture(scope="session")
def rust_plugins(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the hello plugin and the samples; skips where Rust cannot be built."""
    rust.require_rust()
    folder = tmp_path_factory.mktemp("rust")
    with pytest.MonkeyPatch.context() as patch:
        rust.build(rust.HELLO, folder, patch)
        sample = rust.build(rust.SAMPLE, folder, patch)
    shutil.copy(sample, folder / "streams.binary")
    return folder
