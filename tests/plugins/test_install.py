"""Versions of plugins are installed beside the one that serves, and nobody who asks it notices.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import json
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
    waiting,
)
from tests.support.hub import Answer, HubProcess, wait_until
from tests.support.plugin_files import Plugins, at_once, is_alive, processes_of
from tests.support.websocket import Closed
from toru.errors import Conflict
from toru.storage.plugin_versions import PluginVersions, sha256_of

EXITS = 'sys.stderr.write("no database here\\n"); sys.exit(3)'
DIES = "os.kill(os.getpid(), 9)"


def book(plugins: Plugins) -> dict[str, Any]:
    """Return what is written down of what was installed."""
    path = plugins.folder / ".metadata" / "installed.json"
    found: dict[str, Any] = json.loads(path.read_text())["plugins"] if path.exists() else {}
    return found


def processes_with(plugins: Plugins, name: str) -> list[int]:
    """Return the processes of a plugin's file, of whichever version."""
    found = processes_of(plugins.folder)
    return [one.pid for one in found if any(name in part for part in one.info["cmdline"])]


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
    assert "Version 1.5.0 is not installed: It exited with code 3" in plugins.supervisor_log()


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

    def ask(path: str) -> None:
        answers[path] = plugins.ask("streaming", path, "POST", body=pieces(), timeout_s=60)

    def crowd() -> None:
        statuses.extend(answer.status for answer in at_once([late] * 90))

    def late() -> Answer:
        return plugins.ask("streaming", "/deaf", timeout_s=60)  # more than are let in at a time

    statuses: list[int] = []
    threads = [threading.Thread(target=ask, args=(path,)) for path in ("/echo", "/up")]
    with Load(plugins, "streaming", largest=1000).poured() as load:
        for thread in threads:
            thread.start()
        load.more("1", 10)
        threads.append(threading.Thread(target=crowd))
        threads[-1].start()
        assert install(hub, streaming("2"))["outcome"] == "started"
        load.more("2", 10)
        assert is_alive(pid)
        assert not answers
        swapped.set()
        for thread in threads:
            thread.join()
    assert statuses == [408] * 90
    assert answers["/echo"].body == bytes(600_000)
    assert answers["/up"].json["bytes"] == 600_000
    with pytest.raises(Closed) as caught:
        chat.read_message()
    assert caught.value.code == 1001
    chat.close()
    with hub.websocket("/api/plugins/streaming/chat") as again:
        again.send_text("after")
        assert again.read_message() == (b"after", True)
    wait_until(lambda: not is_alive(pid), what="the end of the old version")


def test_a_version_that_does_not_work_leaves_all_as_it_was(plugins: Plugins) -> None:
    hub = plugins.hub
    assert install(hub, quick("firm-v2", "1"))["state"] == "done"
    before = plugins.view("firm-v2")
    pid = before["pid"]
    protocol_3 = quick("firm-v2", "2").replace('"protocol": 2', '"protocol": 3')
    deaf = quick("firm-v2", "2").replace('return frame({"type": "ready"})', "sys.exit(4)")
    same_route = quick("other-v2", "2").replace('"route": f"/{ID}"', '"route": "/firm-v2"')
    broken = {
        "no #! line": ("just some text\n", 'It has no "#!" line'),
        "metadata fail": ("#!/bin/sh\necho sorry >&2; exit 3\n", "sorry"),
        "no metadata": ("#!/bin/sh\necho hello\n", "prints no JSON object"),
        "killed": (quick("firm-v2", "2", serve=DIES), "ended by SIGKILL before it was ready"),
        "another protocol": (protocol_3, "broke the protocol"),
        "exits on init": (deaf, "closed its connection"),
        "another case of the id": (quick("Firm-v2", "2"), "is already that of firm-v2.binary"),
        "the route of another": (same_route, "is already that of firm-v2.binary"),
    }
    for what, (text, words) in broken.items():
        state = install(hub, text)
        assert state["state"] == "failed", what
        assert words in state["error"], (what, state["error"])
        view = plugins.view("firm-v2")
        assert (view["pid"], view["version"], view["state"]) == (pid, "1", "ready"), what
        assert plugins.ask("firm-v2").json == {"version": "1"}, what
    assert {"Firm-v2", "other-v2"}.isdisjoint(plugins.all())
    assert "crashed" not in plugins.event_types("firm-v2")
    assert not list((plugins.folder / ".metadata" / "incoming").iterdir())
    kept = {path.name for path in (plugins.folder / ".metadata" / "versions").iterdir()}
    assert kept >= {before["sha256"]}
    wait_until(lambda: processes_with(plugins, "firm-v2") == [pid], what="the end of the others")


def test_a_new_plugin_that_does_not_get_ready_is_not_there(plugins: Plugins) -> None:
    state = install(plugins.hub, quick("stranger-v2", "1", serve=EXITS))
    assert state["state"] == "failed"
    assert "no database here" in state["error"]
    assert plugins.view("stranger-v2") == {}
    assert plugins.ask("stranger-v2").status == 404
    assert "stranger-v2" not in book(plugins)
    assert not (plugins.folder / "stranger-v2.binary").exists()
    assert plugins.event_types("stranger-v2") == ["install_failed"]


def test_only_what_is_offered_under_its_checksum_is_installed_and_one_at_a_time(
    plugins: Plugins, tmp_path: Path
) -> None:
    hub = plugins.hub
    missing = ended(hub, begin(hub, sha256="0" * 64))
    assert str(hub.plugins_dir) in missing["error"]
    forged = offer(hub, quick("forged-v2", "1"))
    (plugins.folder / ".metadata" / "incoming" / forged).write_text(quick("forged-v2", "2"))
    assert "is not the file" in ended(hub, begin(hub, sha256=forged))["error"]
    link = plugins.folder / ".metadata" / "incoming" / ("1" * 64)
    link.symlink_to("/bin/sh")
    assert ended(hub, begin(hub, sha256="1" * 64))["state"] == "failed"
    for wish in ({}, {"sha256": "../../x"}, {"sha256": "0" * 64, "rollback": "x"}):
        assert hub.http("POST", "/api/plugin-installs", wish).status == 400
    assert hub.http("GET", "/api/plugin-installs/none").status == 404

    goes_on = waiting(tmp_path / "go on")
    slow = begin(hub, sha256=offer(hub, quick("slow-v2", "1", serve=goes_on)))
    second = hub.http("POST", "/api/plugin-installs", {"rollback": "slow-v2"})
    assert (second.status, second.json["code"]) == (409, "install_under_way")
    wait_until(
        lambda: "Starting" in hub.get(f"/api/plugin-installs/{slow}")["step"], what="the start"
    )
    with pytest.raises(Conflict), PluginVersions(hub.plugins_dir).locked():
        pass
    (tmp_path / "go on").touch()
    assert ended(hub, slow)["outcome"] == "started"
    nothing = ended(hub, begin(hub, rollback="slow-v2"))
    assert "No version before" in nothing["error"]
    unknown = ended(hub, begin(hub, rollback="nobody"))
    assert "was not installed" in unknown["error"]

    again = install(hub, quick("slow-v2", "1", serve=goes_on))
    assert (again["state"], again["outcome"]) == ("done", "unchanged")


def test_a_disabled_plugin_stays_so_and_is_the_new_version_when_it_is_enabled(
    plugins: Plugins,
) -> None:
    hub = plugins.hub
    assert install(hub, quick("asleep-v2", "1"))["state"] == "done"
    assert plugins.wish("asleep-v2", "disable").status == 200
    state = install(hub, quick("asleep-v2", "2"))
    assert (state["outcome"], state["previous_version"]) == ("disabled", "1")
    view = plugins.view("asleep-v2")
    assert (view["state"], view["version"], view["pid"]) == ("disabled", "2", None)
    assert plugins.wish("asleep-v2", "enable").status == 200
    assert plugins.ask("asleep-v2").json == {"version": "2"}


def test_wishes_at_once_with_installs_leave_one_process_of_the_last_version(
    plugins: Plugins,
) -> None:
    hub = plugins.hub
    assert install(hub, quick("busy-v2", "0"))["state"] == "done"
    for version in ("1", "2", "3"):
        name = begin(hub, sha256=offer(hub, quick("busy-v2", version)))
        wishes = ("restart", "disable", "enable", "restart")
        answers = at_once([lambda wish=wish: plugins.wish("busy-v2", wish) for wish in wishes])
        assert {answer.status for answer in answers} <= {200, 409, 503}
        assert ended(hub, name)["state"] == "done"
    assert plugins.wish("busy-v2", "enable").status == 200
    assert plugins.ask("busy-v2").json == {"version": "3"}
    wait_until(lambda: len(processes_with(plugins, "busy-v2")) == 1, what="one process")


def test_a_file_that_is_not_what_was_installed_is_refused_until_it_is_installed_again(
    plugins: Plugins,
) -> None:
    hub = plugins.hub
    assert install(hub, quick("pinned-v2", "1"))["state"] == "done"
    path = plugins.folder / "pinned-v2.binary"
    executable(plugins.folder / "draft", quick("pinned-v2", "9")).rename(path)
    view = plugins.wait("pinned-v2", "broken")
    assert "not the one that was installed" in view["reason"]
    assert "toru plugin install" in view["reason"]
    assert plugins.ask("pinned-v2").status == 404
    assert plugins.wish("pinned-v2", "enable").status == 409
    assert install(hub, quick("pinned-v2", "1"))["outcome"] == "started"
    assert plugins.ask("pinned-v2").json == {"version": "1"}

    kept = next((plugins.folder / ".metadata" / "versions").glob("*/pinned-v2.binary"))
    executable(kept, quick("pinned-v2", "10"))
    plugins.wish("pinned-v2", "restart")
    assert "not the one that was installed" in plugins.wait("pinned-v2", "broken")["reason"]
    assert install(hub, quick("pinned-v2", "2"))["outcome"] == "started"
    refused = roll_back(hub, "pinned-v2")
    assert refused["state"] == "failed"
    assert plugins.ask("pinned-v2").json == {"version": "2"}


def test_a_plugin_that_was_put_there_by_hand_is_not_held_to_anything_and_kept_when_replaced(
    plugins: Plugins,
) -> None:
    hub = plugins.hub
    plugins.write("by-hand", quick("manual-v1", "1"))
    plugins.ready("manual-v1")
    view = plugins.view("manual-v1")
    assert (view["sha256"], view["installed_at"], view["previous_version"]) == (None, None, None)
    state = install(hub, quick("manual-v1", "2"))
    assert (state["file"], state["previous_version"]) == ("by-hand.binary", "1")
    assert roll_back(hub, "manual-v1")["version"] == "1"
    assert plugins.ask("manual-v1").json == {"version": "1"}
    assert plugins.view("manual-v1")["previous_version"] == "2"


def test_a_version_that_falls_just_after_it_was_ready_is_supervised_as_any(
    plugins: Plugins, tmp_path: Path
) -> None:
    hub = plugins.hub
    assert install(hub, quick("weak-v2", "1"))["state"] == "done"
    end = "\n    ".join(waiting(tmp_path / "fall", "os._exit(5)").splitlines())
    falls = f"import threading\ndef fall():\n    {end}\nthreading.Thread(target=fall).start()"
    assert install(hub, quick("weak-v2", "2", serve=falls))["outcome"] == "started"
    (tmp_path / "fall").touch()
    wait_until(lambda: "crashed" in plugins.event_types("weak-v2"), what="the crash")
    assert plugins.wait("weak-v2", "backoff", "ready", "starting")["version"] == "2"
    assert roll_back(hub, "weak-v2")["outcome"] == "started"
    assert plugins.ask("weak-v2").json == {"version": "1"}


def test_whoever_watches_the_plugins_hears_of_the_new_version(plugins: Plugins) -> None:
    hub = plugins.hub
    assert install(hub, quick("seen-v2", "1"))["state"] == "done"
    with hub.websocket() as socket:
        socket.send({"type": "subscribe", "topics": ["plugins"]})
        socket.send({"type": "ping"})
        socket.read_until("pong")
        assert install(hub, quick("seen-v2", "2"))["state"] == "done"
        while True:
            data = socket.read_until("event")["data"]
            found = data.get("plugin") if data["type"] == "plugin" else None
            if found and found["id"] == "seen-v2" and found["version"] == "2":
                break
    assert (found["state"], found["previous_version"]) == ("ready", "1")


def test_a_hub_that_is_killed_while_it_installs_leaves_one_whole_version(
    own_hub: HubProcess,
) -> None:
    plugins = Plugins(own_hub)
    own_hub.start()
    own_hub.log_in()
    assert install(own_hub, quick("lasting-v2", "0"))["state"] == "done"
    version = "0"
    for number, after_s in enumerate((0.0, 0.1, 0.25, 0.5)):
        coming = f"1.{number}"
        begin(own_hub, sha256=offer(own_hub, quick("lasting-v2", coming)))
        threading.Event().wait(after_s)
        own_hub.kill()
        own_hub.start()
        plugins.ready("lasting-v2")
        found = plugins.ask("lasting-v2").json["version"]
        assert found in (version, coming)
        version = found
        view = plugins.view("lasting-v2")
        assert view["version"] == version
        assert view["sha256"] == sha256_of(plugins.folder / "lasting-v2.binary")
        entry = book(plugins)["lasting-v2"]
        assert entry["current"]["sha256"] == view["sha256"]
        assert "next" not in entry
        wait_until(lambda: len(processes_with(plugins, "lasting-v2")) == 1, what="one process")
    assert install(own_hub, quick("lasting-v2", "2"))["outcome"] == "started"
    kept = {path.name for path in (plugins.folder / ".metadata" / "versions").iterdir()}
    assert len(kept) == 2
