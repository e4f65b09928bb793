"""Versions of plugins are installed beside the one that serves, and nobody who asks it notices.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.installing import (
    Load,
    begin,
    ended,
    executable,
    install,
    offer,
    quick,
    roll_back,
    streaming,
)
from tests.support.hub import Answer, HubProcess, wait_until
from tests.support.plugin_files import Plugins, is_alive, processes_of
from tests.support.websocket import Closed
from toru.storage.plugin_versions import PluginVersions, sha256_of

EXITS = 'sys.stderr.write("no database here\\n"); sys.exit(3)'
NEVER_LISTENS = "signal.pause()"
SAYS_AND_WAITS = "signal.signal(signal.SIGTERM, signal.SIG_DFL)\nsignal.pause()"


def book(plugins: Plugins) -> dict[str, dict[str, object]]:
    """Return what is written down of what was installed."""
    path = plugins.folder / ".metadata" / "installed.json"
    found: dict[str, dict[str, object]] = json.loads(path.read_text())["plugins"]
    return found


def processes_with(plugins: Plugins, name: str) -> list[int]:
    """Return the processes of a plugin's file, of whichever version."""
    found = processes_of(plugins.folder)
    return [one.pid for one in found if any(name in part for part in one.cmdline())]


@pytest.mark.parametrize("plugin_id", ["swap-v1", "swap-v2"])
def test_good_and_broken_versions_are_swapped_under_load_without_a_failed_request(
    plugins: Plugins, plugin_id: str
) -> None:
    hub = plugins.hub
    first = install(hub, quick(plugin_id, "1.0.0"))
    assert (first["state"], first["outcome"], first["error"]) == ("done", "started", None)
    assert (first["plugin"], first["previous_version"]) == (plugin_id, None)
    first_pid = plugins.view(plugin_id)["pid"]
    with Load(plugins, plugin_id).poured() as load:
        load.more("1.0.0")
        broken = install(hub, quick(plugin_id, "1.5.0", serve=EXITS))
        assert broken["state"] == "failed"
        assert "exited with code 3" in broken["error"]
        assert "no database here" in broken["error"]
        load.more("1.0.0")
        assert plugins.view(plugin_id)["pid"] == first_pid

        second = install(hub, quick(plugin_id, "2.0.0"))
        assert (second["outcome"], second["previous_version"]) == ("started", "1.0.0")
        load.more("2.0.0")
        view = plugins.view(plugin_id)
        assert (view["version"], view["previous_version"]) == ("2.0.0", "1.0.0")
        assert view["sha256"] == second["sha256"] == sha256_of(plugins.folder / view["file"])
        assert view["pid"] != first_pid

        back = roll_back(hub, plugin_id)
        assert (back["outcome"], back["version"]) == ("started", "1.0.0")
        load.more("1.0.0")
        assert install(hub, quick(plugin_id, "3.0.0"))["outcome"] == "started"
        load.more("3.0.0")
    assert load.answers("1.5.0") == 0
    wait_until(lambda: len(processes_with(plugins, plugin_id)) == 1, what="one process")
    assert not is_alive(first_pid)
    wait_until(
        lambda: plugins.event_types(plugin_id).count("stopped") == 3, what="the ends of the old"
    )
    kinds = plugins.event_types(plugin_id)
    assert "crashed" not in kinds
    assert [kind for kind in kinds if kind not in ("started", "stopped")] == [
        "installed",
        "install_failed",
        "installed",
        "rolled_back",
        "installed",
    ]
    sockets = [path.name for path in (hub.data_dir / "run").iterdir() if plugin_id in path.name]
    assert len(sockets) == 1
    assert f"Version 1.5.0 is not installed: It exited with code 3" in plugins.supervisor_log()


def test_what_is_under_way_at_a_swap_comes_to_its_end(plugins: Plugins) -> None:
    hub = plugins.hub
    assert install(hub, streaming("1"))["state"] == "done"
    pid = plugins.view("streaming")["pid"]
    chat = hub.websocket("/api/plugins/streaming/chat")
    chat.send_text("before")
    assert chat.read_message() == (b"before", True)
    answers: dict[str, Answer] = {}
    swapped = threading.Event()

    def pieces() -> Iterator[bytes]:
        yield bytes(300_000)
        assert swapped.wait(30)
        yield bytes(300_000)

    def ask(path: str, method: str = "GET", body: Any = None) -> None:
        answers[path] = plugins.ask("streaming", path, method, body=body, timeout_s=60)

    asked: list[tuple[Any, ...]] = [("/slow/0.025",), ("/deaf",), ("/up", "POST", pieces())]
    threads = [threading.Thread(target=ask, args=one) for one in asked]
    with Load(plugins, "streaming", largest=1000).poured() as load:
        for thread in threads:
            thread.start()
        load.more("1", 10)
        assert install(hub, streaming("2"))["outcome"] == "started"
        load.more("2", 10)
        assert is_alive(pid)
        assert not answers
        swapped.set()
        for thread in threads:
            thread.join()
    assert answers["/slow/0.025"].body == b"." * 100
    assert answers["/deaf"].status == 408
    assert answers["/up"].json["bytes"] == 600_000
    with pytest.raises(Closed) as caught:
        chat.read_message()
    assert caught.value.code == 1001
    chat.close()
    with hub.websocket("/api/plugins/streaming/chat") as again:
        again.send_text("after")
        assert again.read_message() == (b"after", True)
    wait_until(lambda: not is_alive(pid), what="the end of the old version")
