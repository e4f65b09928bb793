"""A real hub that the tests of one module share, and raw connections to it.

Runs on: the test's thread.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.hub import HubProcess


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """Return a hub with an admin logged in; no test may make it log a traceback."""
    with HubProcess(tmp_path_factory.mktemp("hub")) as running:
        yield running
        log = running.log
    assert "Traceback" not in log, log
    assert " ERROR " not in log, log
