"""Plugins that start badly or run badly: each gets its own trouble, and nobody else any.

Runs on: the test's thread, against real hubs.
"""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import psutil
import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.outsiders import lifecycle, outsider
from tests.support.plugin_files import Plugins, is_alive, processes_of, say

BACKOFF = "0.05"

STRANGER_SHELL = """#!/bin/sh
if [ "$1" = --metadata ]; then
    echo '{"id":"robbed","name":"Robbed","version":"1","route":"/robbed"}'
    exit
fi
while :; do sleep 1; done
"""
WRAPPER_SHELL = """#!/bin/sh
if [ "$1" != --metadata ]; then
    setsid -w "$0.d/quick-wrapped-v2.binary" &
    wait
else
    "$0.d/quick-wrapped-v2.binary" "$@"
fi
"""


def crashes(plugins: Plugins, plugin_id: str) -> list[str]:
    """Return the details of the plugin's crashes."""
    events = plugins.events(plugin_id)
    return [one["details"] for one in events if one["event_type"] == "crashed"]


@pytest.fixture(scope="module", autouse=True)
def started(plugins: Plugins) -> None:
    """All that a test starts, begun together."""
    plugins.put(
        *("bad-exit-at-once-9", "bad-fork-and-exit", "bad-exit-on-init-4", "bad-exit-on-init-4-v2"),
        *("bad-late-socket-1", "bad-late-socket-1-v2", "bad-never-socket", "bad-never-ready-v2"),
        *("bad-stale-socket", "bad-deletes-socket", "bad-closes-socket", "bad-deletes-socket-v2"),
        *("quick-v2", "bad-grandchild", "bad-grandchild-v2", "bad-slow-1-v2", "bad-log-lines"),
        *("quick-live-v2", "bad-heir", "bad-heir-v2"),
    )
    plugins.write("talker", Path("tests/plugins/v2_plugin.py").read_bytes())
    plugins.ready("quick-v2", "quick-live-v2", "talker")


# Start


def test_exit_at_once_is_a_crash_with_the_code_and_the_last_words(plugins: Plugins) -> None:
    wait_until(lambda: crashes(plugins, "bad-exit-at-once-9"), what="the crash")
    details = json.loads(crashes(plugins, "bad-exit-at-once-9")[0])
    assert details["exit_code"] == 9
    assert "before it was ready" in details["reason"]
    assert "the licence file is missing" in details["reason"]
    assert plugins.wish("bad-exit-at-once-9", "disable").status == 200


def test_a_plugin_that_leaves_the_serving_to_a_child_is_ended_as_a_whole(plugins: Plugins) -> None:
    wait_until(lambda: crashes(plugins, "bad-fork-and-exit"), what="the crash")
    assert "exited with code 0" in crashes(plugins, "bad-fork-and-exit")[0]
    assert plugins.wish("bad-fork-and-exit", "disable").status == 200
    alive = [one for one in processes_of(plugins.folder) if "fork-and-exit" in str(one.cmdline())]
    assert alive == []


@pytest.mark.parametrize("plugin_id", ["bad-exit-on-init-4", "bad-exit-on-init-4-v2"])
def test_exit_when_it_is_to_begin_is_a_crash(plugins: Plugins, plugin_id: str) -> None:
    wait_until(lambda: crashes(plugins, plugin_id), what="the crash")
    assert "exited with code 4" in crashes(plugins, plugin_id)[0]
    assert plugins.wish(plugin_id, "disable").status == 200


def test_a_late_socket_is_waited_for(plugins: Plugins) -> None:
    plugins.start("bad-late-socket-1", "bad-late-socket-1-v2")
    for plugin_id in ("bad-late-socket-1", "bad-late-socket-1-v2"):
        assert plugins.ask(plugin_id).status == 200
        plugins.has_lived(plugin_id, "started")


def test_stop_and_restart_during_the_start_are_obeyed(plugins: Plugins) -> None:
    for plugin_id in ("bad-never-socket", "bad-never-ready-v2", "bad-stale-socket"):
        view = plugins.wait(plugin_id, "starting")
        began = time.monotonic()
        assert plugins.wish(plugin_id, "disable").status == 200
        assert time.monotonic() - began < 3
        assert view["pid"] is None or not is_alive(view["pid"])


def test_a_stale_socket_file_is_removed_before_the_start(plugins: Plugins) -> None:
    place = plugins.hub.data_dir / "run" / "bad-echo.sock"
    place.parent.mkdir(exist_ok=True)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(place))
    plugins.start("bad-echo")
    assert plugins.ask("bad-echo").status == 200


@pytest.mark.parametrize("version", [1, 2])
def test_another_process_on_the_socket_is_refused(plugins: Plugins, version: int) -> None:
    text = STRANGER_SHELL.replace("robbed", f"robbed{version}")
    if version == 2:
        text = text.replace('"version":"1"', '"version":"1","protocols":[2]')
    plugins.write(f"robbed{version}", text)
    plugins.wait(f"robbed{version}", "starting")
    wait_until(lambda: plugins.view(f"robbed{version}")["pid"], what="the process")
    place = plugins.hub.data_dir / "run" / f"robbed{version}.sock"
    with socket.socket(socket.AF_UNIX) as stranger:
        stranger.bind(str(place))
        stranger.listen()
        wait_until(lambda: crashes(plugins, f"robbed{version}"), what="the refusal")
    assert f"Another process ({os.getpid()}) listens" in crashes(plugins, f"robbed{version}")[0]
    assert plugins.wish(f"robbed{version}", "disable").status == 200


def test_a_script_that_starts_its_server_is_served(plugins: Plugins) -> None:
    inner = plugins.folder / "wrapped.binary.d"
    inner.mkdir()
    server = inner / "quick-wrapped-v2.binary"
    server.write_bytes(Path("tests/support/quick_plugin.py").read_bytes())
    server.chmod(0o755)
    plugins.write("wrapped", WRAPPER_SHELL)
    plugins.ready("quick-wrapped-v2")
    assert plugins.ask("quick-wrapped-v2").status == 200
    assert plugins.wish("quick-wrapped-v2", "disable").status == 200
    assert not [one for one in processes_of(plugins.folder) if "wrapped" in str(one.cmdline())]


def test_a_socket_folder_of_three_hundred_characters_works(own_hub: HubProcess) -> None:
    deep = own_hub.folder.joinpath(*["d" * 60] * 5)
    own_hub.environment["TORU_SOCKET_DIR"] = str(deep)
    own_hub.start()
    own_hub.log_in()
    plugins = Plugins(own_hub)
    plugins.write("plain", outsider("plain"))  # binds the address as it is told
    plugins.start("quick-v2", "bad-echo-v2")
    plugins.ready("plain")
    for plugin_id in ("plain", "quick-v2", "bad-echo-v2"):
        assert plugins.ask(plugin_id, "/x").status == 200
    assert plugins.view("plain")["socket_path"] == str(deep / "plain.sock")
    assert plugins.wish("plain", "restart").status == 200
    found = wait_until(
        lambda: (heard := lifecycle(plugins, "plain", "init"))[1:] and heard, what="the messages"
    )
    told = found[0]["payload"]["plugin_socket"]
    assert len(told) < 104
    assert own_hub.stop() == 0
    assert not Path(told).parent.exists()


def test_a_socket_folder_of_everybody_is_not_taken_over(own_hub: HubProcess) -> None:
    shared = own_hub.folder / "shared"
    shared.mkdir()
    shared.chmod(0o1777)
    own_hub.environment["TORU_SOCKET_DIR"] = str(shared)
    own_hub.start()
    own_hub.log_in()
    plugins = Plugins(own_hub)
    plugins.put("quick-v2")
    wait_until(lambda: crashes(plugins, "quick-v2"), what="the refusal")
    assert "folder of their own" in crashes(plugins, "quick-v2")[0]
    assert shared.stat().st_mode & 0o7777 == 0o1777


# Run


@pytest.mark.parametrize("mode", ["deletes-socket", "closes-socket"])
def test_a_plugin_of_version_1_that_loses_its_socket_is_restarted(
    plugins: Plugins, mode: str
) -> None:
    plugin_id = f"bad-{mode}"
    plugins.start(plugin_id)
    pid = plugins.view(plugin_id)["pid"]
    assert plugins.ask(plugin_id, "/x").status == 200
    assert plugins.ask(plugin_id).status == 502
    wait_until(lambda: plugins.view(plugin_id)["pid"] not in (pid, None), what="the restart")
    plugins.ready(plugin_id)
    assert plugins.ask(plugin_id).status == 200
    assert "socket" in crashes(plugins, plugin_id)[0]


def test_a_plugin_of_version_2_needs_its_socket_no_more_once_it_is_connected(
    plugins: Plugins,
) -> None:
    plugins.start("bad-deletes-socket-v2")
    for _ in range(3):
        assert plugins.ask("bad-deletes-socket-v2", "/x").status == 200
    assert plugins.event_types("bad-deletes-socket-v2") == ["started"]


def test_a_grandchild_that_keeps_the_pipes_holds_up_no_stop(plugins: Plugins) -> None:
    plugins.start("bad-grandchild", "bad-grandchild-v2")
    for plugin_id in ("bad-grandchild", "bad-grandchild-v2"):
        pid = plugins.view(plugin_id)["pid"]
        began = time.monotonic()
        assert plugins.wish(plugin_id, "restart").status == 200
        assert time.monotonic() - began < 8
        assert not is_alive(pid)
        name = f"{plugin_id}.binary"
        running = [one for one in processes_of(plugins.folder) if one.cmdline()[-1].endswith(name)]
        assert len(running) == 2  # the new one and its own grandchild


def test_a_grandchild_does_not_keep_the_requests_of_the_dead_waiting(plugins: Plugins) -> None:
    plugins.start("bad-grandchild-v2")
    pid = plugins.view("bad-grandchild-v2")["pid"]
    os.kill(pid, 9)
    began = time.monotonic()
    answer = plugins.ask("bad-grandchild-v2")
    assert answer.status in (502, 503)
    assert time.monotonic() - began < 1
    wait_until(lambda: crashes(plugins, "bad-grandchild-v2"), what="the crash")
    plugins.ready("bad-grandchild-v2")
    assert plugins.ask("bad-grandchild-v2").status == 200


@pytest.mark.parametrize("plugin_id", ["bad-heir", "bad-heir-v2"])
def test_a_grandchild_that_keeps_connections_and_pipes_delays_the_news_by_half_a_second(
    plugins: Plugins, plugin_id: str
) -> None:
    plugins.start(plugin_id)
    pid = plugins.view(plugin_id)["pid"]
    began = time.monotonic()
    answer = plugins.ask(plugin_id, "/x")
    waited_s = time.monotonic() - began
    wait_until(lambda: plugins.view(plugin_id)["pid"] not in (pid, None), what="the restart")
    plugins.ready(plugin_id)
    say(f"{plugin_id}: 502 after {waited_s:.2f} s, back after {time.monotonic() - began:.2f} s")
    assert answer.status == 502
    assert waited_s < 1.5  # what scripts leave behind has 2 s
    name = f"{plugin_id}.binary"
    running = [one for one in processes_of(plugins.folder) if one.cmdline()[-1].endswith(name)]
    assert [one.pid for one in running] == [plugins.view(plugin_id)["pid"]]
    plugins.has_lived(plugin_id, "started", "crashed", "restarted")
    assert "was ended by SIGKILL" in crashes(plugins, plugin_id)[0]
    assert plugins.ask(plugin_id).status == 200


def test_a_file_replaced_while_requests_run_is_restarted_gracefully(plugins: Plugins) -> None:
    from concurrent.futures import ThreadPoolExecutor

    plugins.start("bad-slow-1-v2")
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(plugins.ask, "bad-slow-1-v2", "/x", timeout_s=20) for _ in range(8)]
        time.sleep(0.2)  # until they are with the plugin, which tells nobody
        pid = plugins.view("bad-slow-1-v2")["pid"]
        assert plugins.wish("bad-slow-1-v2", "restart").status == 200
        assert [one.result().status for one in asked] == [200] * 8
    assert plugins.view("bad-slow-1-v2")["pid"] != pid


# Logs


def test_every_kind_of_output_becomes_one_json_line(plugins: Plugins) -> None:
    plugins.start("bad-log-lines")
    pid = plugins.view("bad-log-lines")["pid"]
    plugins.wish("bad-log-lines", "disable")
    path = plugins.hub.folder / "logs" / "plugins" / "bad-log-lines.log"
    wait_until(lambda: b"no newline" in path.read_bytes(), what="the last line")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    messages = [line["message"] for line in lines]
    assert "plain line" in messages
    assert "as JSON" in messages
    as_json = lines[messages.index("as JSON")]
    assert (as_json["level"], as_json["code"]) == ("error", 7)
    assert any("broken" in message and "\r" not in message for message in messages)
    assert "no newline" in messages
    assert not any("\x1b" in line for line in path.read_text().splitlines())
    assert {line["plugin"] for line in lines} == {"bad-log-lines"}
    assert {line["pid"] for line in lines} == {pid}
    assert [line["message"] for line in plugins.logs("bad-log-lines", "error")] == ["as JSON"]


def test_pages_of_the_log_come_newest_first_and_for_admins_only(plugins: Plugins) -> None:
    plugins.ask("talker", "/log/250")
    wait_until(lambda: len(plugins.logs("talker")) == 250, what="the lines")
    base = "/api/plugins/talker/logs?page_size=100&page="
    pages = [plugins.hub.get(f"{base}{number}") for number in range(4)]
    found = [line["message"] for page in pages for line in page["logs"]]
    assert found == [f"line {number}" for number in range(249, -1, -1)]
    assert [len(page["logs"]) for page in pages] == [100, 100, 50, 0]
    assert [page["page"] for page in pages] == [0, 1, 2, 3]
    assert plugins.logs("talker", "error") == []
    cookie = plugins.hub.add_client("reader")
    for what in ("logs", "events"):
        assert plugins.ask("talker", f"/{what}", cookie=cookie).status == 403
        assert plugins.ask("talker", f"/{what}?page=-1&limit=0").status == 400
    assert plugins.ask("talker", "/logs?level=loud").status == 400


def test_changes_of_a_plugin_are_told_live(plugins: Plugins) -> None:
    plugins.start("quick-live-v2")
    cookie = plugins.hub.add_client("watcher")
    with plugins.hub.websocket() as admin, plugins.hub.websocket(cookie=cookie) as client:
        for socket_ in (admin, client):
            socket_.send({"type": "subscribe", "topics": ["plugins"]})
            socket_.send({"type": "ping"})
            socket_.read_until("pong")
        plugins.wish("quick-live-v2", "restart")
        for socket_ in (admin, client):
            states: list[str] = []
            while states[-1:] != ["ready"]:
                data = socket_.read_until("event")["data"]
                if data["type"] == "plugin" and data["plugin"]["id"] == "quick-live-v2":
                    states.append(data["plugin"]["state"])
                    assert data["plugin"]["pid"] is None or socket_ is admin
                    assert data["plugin"]["socket_path"] is None or socket_ is admin
            assert states[0] == "stopping"
            assert "starting" in states


def test_nothing_is_left_in_the_hub_of_all_this(plugins: Plugins) -> None:
    hub = psutil.Process(plugins.hub.pid)
    before = hub.num_fds()
    for _ in range(5):
        plugins.wish("quick-v2", "restart")
    assert hub.num_fds() <= before + 2
    assert hub.num_threads() < 60
