"""A hub that the tests of a module share, with plugins that are started again without jitter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.plugins.slow_stories import Stories, begin_all
from tests.support.hub import HubProcess
from tests.support.plugin_files import Plugins, processes_of


@pytest.fixture(scope="module")
def hub(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[HubProcess]:
    """A running hub, logged in as the admin; afterwards no plugin's process is left.

    A module's ``BACKOFF`` is the factor of the pauses before a restart.
    """
    backoff = getattr(request.module, "BACKOFF", "1")
    with HubProcess(tmp_path_factory.mktemp("hub"), TORU_PLUGIN_BACKOFF=backoff) as process:
        yield process
        process.stop()
        assert not processes_of(process.plugins_dir)
    assert "Traceback" not in process.log, process.log


@pytest.fixture(scope="module")
def plugins(hub: HubProcess) -> Plugins:
    """Its plugins."""
    return Plugins(hub)


@pytest.fixture(scope="package", autouse=True)
def begun(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stories | None]:
    """Begin what takes half a minute of waiting, if ``test_slow`` is going to ask for it."""
    if not any(item.path.name == "test_slow.py" for item in request.session.items):
        yield None
        return
    with HubProcess(tmp_path_factory.mktemp("slow"), TORU_PLUGIN_BACKOFF="1") as process:
        told = begin_all(Plugins(process), tmp_path_factory.mktemp)
        yield told
        told.close()
        process.stop()
        assert not processes_of(process.plugins_dir)
    assert "Traceback" not in process.log, process.log


@pytest.fixture
def own_hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A hub for one test alone, which the test starts."""
    process = HubProcess(tmp_path, TORU_PLUGIN_BACKOFF="1")
    try:
        yield process
    finally:
        process.end()
    assert "Traceback" not in process.log, process.log
