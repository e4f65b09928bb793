"""A hub that the tests of a module share, and one of its own for a test that harms it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.hub import HubProcess


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A running hub, logged in as the admin."""
    with HubProcess(tmp_path_factory.mktemp("hub")) as process:
        yield process
        assert "Traceback" not in process.log, process.log


@pytest.fixture
def own_hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A running hub for one test alone."""
    with HubProcess(tmp_path) as process:
        yield process
