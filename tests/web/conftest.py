"""A real hub that the tests of one module share, and raw connections to it.

Runs on: the test's thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tornado.ioloop import IOLoop

from tests.support.hub import HubProcess
from tests.support.web_app import WebStage


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """Return a hub with an admin logged in; no test may make it log a traceback."""
    with HubProcess(tmp_path_factory.mktemp("hub")) as running:
        yield running
        log = running.log
    assert "Traceback" not in log, log
    assert " ERROR " not in log, log


@pytest.fixture
def web(io_loop: IOLoop, tmp_path: Path) -> Iterator[WebStage]:
    """Return a stage for an application in this process; it is stopped after the test."""
    stage = WebStage(tmp_path)
    yield stage
    io_loop.run_sync(stage.stop)
