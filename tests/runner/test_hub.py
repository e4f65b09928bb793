"""The hub's connection: greeting, replacement, absence, silence and nonsense.

Runs on: pytest; needs /proc and sh.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

import pytest

from tests.runner.support import Hub, Runners, alive, wait_for
from toru import __version__
from toru.runner import launch
from toru.wire import unix_paths
from toru.wire.frames import encode_data, encode_json


def test_hello_tells_who_the_runner_is(hub: Hub) -> None:
    hello = hub.hello
    assert (hello["protocol"], hello["version"], hello["missing"]) == (1, __version__, [])
    assert alive(hello["pid"])


def test_nothing_is_sent_or_done_before_hello(hub: Hub) -> None:
    hub.start("a", "sh", "-c", "while :; do echo x; sleep 0.01; done")
    connection = unix_paths.connect(launch.socket_path(hub.data), timeout_s=0.2)
    with connection, pytest.raises(TimeoutError):
        connection.sendall(encode_json({"type": "list"}))
        connection.recv(100)


def test_another_protocol_is_refused(hub: Hub) -> None:
    hub.send(type="hello", protocol=2)
    assert hub.wait("error")["code"] == "protocol"


def test_a_newer_hub_replaces_the_older(hub: Hub, runners: Runners) -> None:
    hub.start("a", "sleep", "60")
    newer = runners.connect()
    assert hub.receive() == []
    assert newer.list()["a"]["state"] == "running"


def test_a_run_goes_on_without_a_hub_and_its_end_is_known_to_the_next(
    hub: Hub, runners: Runners
) -> None:
    hub.start("a", "sh", "-c", "echo $$; sleep 0.3; echo after; exit 5")
    (pid,) = hub.numbers("a", 1)
    hub.close()
    wait_for(lambda: not alive(pid), "the run ends")
    newer = runners.connect()
    newer_list = wait_for(
        lambda: run if (run := newer.list()["a"])["state"] == "exited" else None, "its end is told"
    )
    assert (newer_list["code"], newer_list["reason"]) == (5, "exit")
    assert newer.output("a").endswith(b"after\n")


def test_a_run_that_needs_the_hub_ends_when_it_is_gone_for_long(hub: Hub, runners: Runners) -> None:
    hub.start("a", "sh", "-c", "echo $$; sleep 60", hub_gone_s=0.3)
    hub.start("b", "sleep", "60")
    (pid,) = hub.numbers("a", 1)
    hub.close()
    wait_for(lambda: not alive(pid), "the run ends")
    newer = runners.connect()
    wait_for(lambda: newer.list()["a"]["state"] == "exited", "its end is told")
    runs = newer.list()
    assert (runs["a"]["reason"], runs["a"]["cancelled"]) == ("hub_gone", False)
    assert runs["b"]["state"] == "running"


def test_a_hub_that_comes_back_in_time_keeps_the_run(hub: Hub, runners: Runners) -> None:
    pid = hub.start("a", "sleep", "60", hub_gone_s=0.5)["pid"]
    for _ in range(4):
        hub.close()
        time.sleep(0.2)
        hub = runners.connect()
    assert alive(pid)


def test_a_hub_that_does_not_read_stops_neither_runs_nor_the_runner(
    hub: Hub, runners: Runners
) -> None:
    hub.start("relay", "yes", capture="relay", relay_id=1, directory=None)
    hub.start("store", "sh", "-c", "seq 300000; echo done")
    hub.send(type="list")
    store = hub.directory("store") / "exit.json"
    wait_for(store.exists, "the stored run ends though nobody reads the events")
    memory = Path(f"/proc/{hub.hello['pid']}/smaps_rollup").read_text()
    assert int(memory.split("Pss:")[1].split()[0]) < 40_000
    hub.close()
    newer = runners.connect()
    assert newer.list()["store"]["code"] == 0
    newer.send(type="cancel", id="relay", grace_s=1)
    newer.wait("exited", id="relay")


def test_events_beyond_the_buffer_drop_the_connection_and_lose_nothing(
    hub: Hub, runners: Runners
) -> None:
    hub.start("a", "true")
    hub.wait("exited", id="a")
    hub.socket.settimeout(1)
    asking = encode_json({"type": "list"}) * 200
    with pytest.raises(OSError):
        for _ in range(2_000):
            hub.socket.sendall(asking)
    assert runners.connect().list()["a"]["code"] == 0


@pytest.mark.parametrize(
    "nonsense",
    [
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"\0\0\0\2xx",
        b"\0\0\0\2{x",
        encode_data(1, b"data"),
        os.urandom(5000),
    ],
)
def test_a_hub_that_breaks_the_framing_is_dropped(
    hub: Hub, runners: Runners, nonsense: bytes
) -> None:
    hub.start("a", "sleep", "60")
    hub.socket.sendall(nonsense)
    assert hub.wait("error")["code"] == "bad_frame"
    assert hub.receive() == []
    assert runners.connect().list()["a"]["state"] == "running"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "dance"}, "unknown_type"),
        ({"type": 5}, "unknown_type"),
        ({}, "unknown_type"),
        ({"type": "cancel", "id": "nobody"}, "no_such_run"),
        ({"type": "cancel", "id": []}, "bad_request"),
        ({"type": "signal", "id": "a", "signal": 0}, "bad_request"),
        ({"type": "signal", "id": "a", "signal": 65}, "bad_request"),
        ({"type": "signal", "id": "a", "signal": "TERM"}, "bad_request"),
        ({"type": "cancel", "id": "a", "grace_s": -1}, "bad_request"),
        ({"type": "forget"}, "bad_request"),
        ({"type": "shutdown"}, "still_running"),
    ],
)
def test_a_message_that_makes_no_sense_is_answered_and_changes_nothing(
    hub: Hub, message: dict[str, object], code: str
) -> None:
    hub.start("a", "sleep", "60")
    hub.send(**message)
    assert hub.wait("error")["code"] == code
    assert hub.list()["a"]["state"] == "running"


def test_a_message_that_comes_a_byte_at_a_time_is_understood(hub: Hub) -> None:
    for byte in encode_json({"type": "ping"}):
        hub.socket.sendall(bytes([byte]))
    hub.wait("pong")


def test_shutdown_ends_the_runs_and_the_runner(runners: Runners) -> None:
    process = runners.start()
    hub = runners.connect()
    pid = hub.start("a", "sleep", "60")["pid"]
    hub.send(type="shutdown", end_runs=True)
    assert hub.wait("exited", id="a")["code"] == -signal.SIGTERM
    assert process.wait(10) == 0
    assert not alive(pid)
    assert not launch.socket_path(hub.data).exists()


def test_shutdown_without_runs_ends_the_runner(runners: Runners) -> None:
    process = runners.start()
    runners.connect().send(type="shutdown", end_runs=False)
    assert process.wait(10) == 0


def test_a_socket_deep_in_a_long_path_is_reached(tmp_path: Path) -> None:
    runners = Runners(tmp_path / ("d" * 200) / ("e" * 200))
    try:
        runners.start()
        assert runners.connect().sh("a", "echo deep")["code"] == 0
    finally:
        runners.stop()


def test_a_long_path_without_proc_goes_through_a_short_link(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / ("d" * 200) / "s"
    path.parent.mkdir()
    monkeypatch.setattr(unix_paths, "_PROC_DESCRIPTORS", "/nonexistent")
    with unix_paths.bind(path) as listener, unix_paths.connect(path) as client:
        listener.setblocking(True)
        server, _ = listener.accept()
        with server:
            client.sendall(b"x")
            assert server.recv(1) == b"x"


def test_binding_replaces_a_stale_socket_but_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "s"
    unix_paths.bind(path).close()
    with unix_paths.bind(path):
        assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    path.write_text("precious")
    with pytest.raises(FileExistsError):
        unix_paths.bind(path)
    assert path.read_text() == "precious"


def test_connecting_where_nobody_listens_fails_and_leaks_nothing(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    unix_paths.bind(tmp_path / "s").close()
    for path in (tmp_path / "s", tmp_path / "none", tmp_path / ("x" * 250)):
        with pytest.raises(OSError):
            unix_paths.connect(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_garbage_from_many_connections_at_once_leaves_the_runner_well(
    hub: Hub, runners: Runners
) -> None:
    path = launch.socket_path(hub.data)
    sockets: list[socket.socket] = [unix_paths.connect(path) for _ in range(10)]
    for connection in sockets:
        connection.close()
    assert runners.connect().list() == {}
