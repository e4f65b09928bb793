"""A fresh runner for each test that asks for one.

Runs on: pytest, blocking.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.runner.support import Hub, Runners


@pytest.fixture
def runners(tmp_path: Path) -> Iterator[Runners]:
    """Runners for ``tmp_path``; none of them logs a bug."""
    runners = Runners(tmp_path)
    yield runners
    runners.stop()
    log = (tmp_path / "runner" / "runner.log").read_text()
    assert "This is a bug" not in log, log


@pytest.fixture
def hub(runners: Runners) -> Hub:
    """A hub connected to a fresh runner."""
    runners.start()
    return runners.connect()
