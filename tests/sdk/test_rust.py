"""The Rust library and the hello plugin in Rust, driven by a core that knows only the pages."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.sdk import rust
from tests.sdk.core import STREAM_CREDIT, CoreV2, Running, data_frame, request_v1, running, v1
from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import Plugins
from tools.common import Stamps
from tools.plugins import provide_plugins
from toru.cli import cargo_build
from toru.cli.plugin_build import BuildError, build_plugin

HELLO = "hello-plugin-rust"
PAGE = (rust.ROOT / "docs/plugins-rust.md").read_text()
[MANIFEST] = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
PROGRAM, LARGER, TESTS = re.findall(r"```rust\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def built(rust_plugins: Path) -> Path:
    return rust_plugins


@pytest.fixture
def hello(built: Path, tmp_path: Path) -> Iterator[Running]:
    with running([str(built / f"{HELLO}.binary")], tmp_path / "s") as found:
        yield found


@pytest.fixture
def sample_command(built: Path) -> list[str]:
    return [str(built / "rust_sample.binary")]


@pytest.fixture
def plugin(sample_command: list[str], tmp_path: Path) -> Iterator[Running]:
    with running(sample_command, tmp_path / "s") as found:
        yield found


@pytest.fixture
def core(plugin: Running) -> Iterator[CoreV2]:
    with CoreV2(plugin, config={"colour": "blue"}) as found:
        yield found.ready()


# The hello plugin


def test_the_hello_plugin_says_who_it_is_and_takes_no_other_word(built: Path) -> None:
    program = built / f"{HELLO}.binary"
    metadata = json.loads(subprocess.check_output([program, "--metadata"]))
    assert (metadata["id"], metadata["name"]) == (HELLO, "Hello World (Rust)")
    assert (metadata["route"], metadata["protocols"]) == ("/hello-rust", [1, 2])
    assert metadata["health"] is True
    for arguments, words in (([], "TORU_PLUGIN_SOCKET is not set"), (["--help"], "no arguments")):
        command = [str(program), *arguments]
        refused = subprocess.run(command, capture_output=True, text=True, check=False, env={})
        assert (refused.returncode, words in refused.stderr) == (2, True)


def test_the_hello_plugin_greets_and_counts_over_version_2(hello: Running) -> None:
    with CoreV2(hello) as core:
        core.ready().kv["count"] = "41"
        assert json.loads(core.http("GET", "/")["text"]) == {"message": "Hello, anna!"}
        assert json.loads(core.http("GET", "/", "name=Bo")["text"]) == {"message": "Hello, Bo!"}
        assert json.loads(core.http("GET", "/api/counter")["text"]) == {"count": 41}
        assert json.loads(core.http("POST", "/api/counter")["text"]) == {"count": 42}
        streams = [core.start("POST", "/api/counter") for _ in range(20)]
        for _ in streams:
            core.until("http_head")
        assert core.kv["count"] == "62", "presses at one moment are all counted"
        assert "bundle" in core.hello_ok["features"]
        bundle = core.http("GET", "/bundle.js")
        assert f'window.ToruPlugins["{HELLO}"]' in bundle["text"]
        assert core.http("GET", "/none")["status"] == 404
        assert core.http("PUT", "/api/counter")["status"] == 405


def test_the_hello_plugin_greets_and_counts_over_version_1(hello: Running) -> None:
    kv = {"count": "1"}
    hello.init_v1()
    assert json.loads(hello.http_v1("GET", "/?name=Bo")["body"]) == {"message": "Hello, Bo!"}
    assert json.loads(hello.http_v1("POST", "/api/counter", kv=kv)["body"]) == {"count": 2}
    assert kv == {"count": "2"}
    assert hello.http_v1("GET", "/bundle.js")["status"] == 200
    hello.shut_down_v1()
    assert hello.ended()[0] == 0


def test_a_real_hub_runs_the_hello_plugin_and_keeps_its_counter(
    built: Path, tmp_path: Path
) -> None:
    with HubProcess(tmp_path) as hub:
        plugins = Plugins(hub)
        plugins.write(HELLO, (built / f"{HELLO}.binary").read_bytes())
        plugins.ready(HELLO)
        view = plugins.view(HELLO)
        assert (view["has_page"], view["route"], view["protocol"]) == (True, "/hello-rust", 2)
        route = "/api/plugins/route/hello-rust"
        assert hub.get(f"{route}/") == {"message": "Hello, admin!"}
        assert hub.http("GET", f"/api/plugins/{HELLO}/bundle.js").status == 200
        for count in (1, 2):
            assert hub.http("POST", f"{route}/api/counter").json == {"count": count}
        assert plugins.kv(HELLO, "get", "count").json == {"value": "2"}
        assert hub.stop() == 0
        hub.start()
        hub.log_in()
        plugins.ready(HELLO)
        assert hub.get(f"{route}/api/counter") == {"count": 2}
        lines = [line["message"] for line in plugins.logs(HELLO)]
        assert "The button was pressed." in lines
        assert "Hello plugin 1.0.0 speaks protocol 2." in lines


def test_the_bundle_is_that_of_the_hello_plugin_in_python() -> None:
    of_python = (rust.ROOT / "plugins/hello-plugin-python/bundle.js").read_text()
    of_rust = (rust.ROOT / rust.HELLO / "bundle.js").read_text()
    assert of_rust == of_python.replace("hello-plugin-python", HELLO)


# The library


@pytest.mark.parametrize("folder", [rust.LIBRARY, rust.LICENCES])
def test_the_libraries_pass_their_own_tests_and_their_pages_have_no_faults(folder: Path) -> None:
    rust.require_rust()
    assert "0 failed" in rust.cargo("test", "--release", folder=folder)
    rust.cargo("doc", "--release", "--no-deps", folder=folder)


def test_requests_of_version_1_reach_the_plugin_with_all_that_belongs_to_them(
    plugin: Running,
) -> None:
    headers = {"X-One": "1", "X-Toru-User": "J%C3%B6rg", "X-Toru-Role": "client"}
    answer = plugin.http_v1("POST", "/echo/a%20b?a=1&a=%C3%BC", headers=headers, body="grüße")
    assert (answer["status"], answer["headers"]) == (200, {"Content-Type": "application/json"})
    assert json.loads(answer["body"]) == {
        "method": "POST",
        "path": "/echo/a%20b",
        "a": "ü",
        "user": "Jörg",
        "role": "client",
        "header": "1",
        "body": "grüße",
    }
    assert plugin.http_v1("GET", "/nothing") == {"status": 204, "headers": {}, "body": None}
    made = plugin.http_v1("GET", "/made")
    assert made["headers"] == {"Content-Type": "text/tea", "X-A": "1, 2"}
    assert plugin.http_v1("HEAD", "/text")["body"] is None
    with plugin.wire() as wire:
        wire.send(v1("http", {"type": "http", "payload": {"path": 3}}, "r"))
        assert wire.receive()["payload"]["status"] == 400


@pytest.mark.parametrize("path", ["/panic", "/fails", "/bytes", "/header", "/big/17000000"])
def test_a_handler_that_fails_gives_500_and_its_reason_only_to_the_log(
    plugin: Running, path: str
) -> None:
    answer = plugin.http_v1("GET", path)
    assert answer["status"] == 500
    assert json.loads(answer["body"])["error"] == "The plugin failed; see its log."
    assert plugin.http_v1("GET", "/text")["body"] == "grüße"
    code, stderr = plugin.end()
    assert code == 0
    lines = [json.loads(line) for line in stderr.splitlines() if line.startswith("{")]
    failed = next(line for line in lines if line["level"] == "error")
    assert failed["error"]
    if path in ("/panic", "/fails"):
        assert "secret detail" in failed["error"]
        assert failed["message"] == f"GET {path} failed"


def test_keys_of_version_1_travel_over_the_connection_of_the_request(plugin: Running) -> None:
    kv: dict[str, str] = {}
    assert json.loads(plugin.http_v1("GET", "/kv", kv=kv)["body"]) == ["1", None]
    assert kv == {}
    assert json.loads(plugin.http_v1("GET", "/call")["body"])["code"] == "UNKNOWN_TYPE"
    with plugin.wire() as wire:
        wire.send(request_v1("r1", "GET", "/kv", None, {}))
        asked = wire.receive()
        assert (asked["payload"]["action"], asked["payload"]["payload"]["value"]) == ("set", "1")
        wire.send(v1("kv", {"value": None, "error": "It is too large."}, asked["request_id"]))
        assert wire.receive()["payload"]["status"] == 500
    assert "It is too large." in plugin.end()[1]


def test_a_core_of_version_1_may_ask_the_plugin_for_its_keys(plugin: Running) -> None:
    with plugin.wire() as wire:
        inner = {"action": "Set", "key": "k", "value": "v"}
        wire.send(v1("kv", {"type": "kv", "request_id": "q", **inner, "payload": inner}, "q"))
        asked = wire.receive()
        assert asked["payload"]["value"] == "v"
        wire.send(v1("kv", {"value": "v"}, asked["request_id"]))
        answer = wire.receive()
        assert (answer["request_id"], answer["payload"]) == ("q", {"value": "v"})
        wire.send(v1("kv", {"action": "delete", "key": "k"}, "q2"))
        assert "reading and setting" in wire.receive()["payload"]["error"]


def test_version_1_begins_with_init_and_ends_with_shutdown(plugin: Running) -> None:
    plugin.init_v1()
    about = json.loads(plugin.http_v1("GET", "/about")["body"])
    assert (about["protocol"], about["instance_id"], about["log_path"]) == (1, "i-1", "l")
    plugin.shut_down_v1()
    code, stderr = plugin.ended()
    assert code == 0
    assert "stopped in order" in stderr
    assert not plugin.path.exists()


def test_requests_are_served_side_by_side_and_answered_to_half_closed_connections(
    plugin: Running,
) -> None:
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(plugin.http_v1("GET", "/slow/1")["status"]))
        for _ in range(30)
    ]
    for thread in threads:
        thread.start()
    with plugin.wire() as wire:
        wire.send(request_v1("r1", "GET", "/slow/0.2", None, {}))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.receive()["payload"]["status"] == 200
        assert wire.is_closed()
    for thread in threads:
        thread.join(15)
    assert statuses == [200] * 30


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_requests_end_first(plugin: Running, number: signal.Signals) -> None:
    with plugin.wire() as wire:
        wire.send(request_v1("r1", "GET", "/slow/0.4", None, {}))
        plugin.http_v1("GET", "/text")
        plugin.process.send_signal(number)
        assert wire.receive()["payload"]["status"] == 200
    code, stderr = plugin.ended()
    assert (code, "stopped in order" in stderr) == (0, True)
    assert not plugin.path.exists()


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (struct.pack(">I", 0xFFFFFFFF), "over the limit"),
        (struct.pack(">I", 4) + b"nope", "0x6e"),
        (struct.pack(">I", 5) + b"{nope", "not JSON"),
        (struct.pack(">IBBHI", 8, 1, 0, 0, 1), "must be JSON"),
        (struct.pack(">I", 16) + b'{"type":"thing"}', "not known"),
    ],
)
def test_a_broken_frame_ends_its_connection_and_nothing_else(
    plugin: Running, sent: bytes, words: str
) -> None:
    with plugin.wire() as wire:
        wire.socket.sendall(sent)
        assert wire.is_closed()
    assert plugin.http_v1("GET", "/text")["status"] == 200
    assert words in plugin.end()[1]


@pytest.mark.parametrize(("start", "code"), [("configuration", 78), ("crash", 1)])
def test_a_start_that_fails_ends_the_process(
    sample_command: list[str], tmp_path: Path, start: str, code: int
) -> None:
    with running(sample_command, tmp_path / "s", SAMPLE_START=start) as plugin:
        with CoreV2(plugin) as core:
            assert core.until("error")["code"] == "INTERNAL"
        ended, stderr = plugin.ended()
    assert ended == code
    assert "cannot start" in stderr
    assert "stopped in order" not in stderr


def test_the_socket_may_lie_behind_300_characters_and_replaces_a_stale_one(
    sample_command: list[str], tmp_path: Path
) -> None:
    folder = tmp_path / ("d" * 150) / ("e" * 150)
    folder.mkdir(parents=True)
    link = tmp_path / "short"
    link.symlink_to(folder)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(link / "s"))
    environ = {"TORU_PLUGIN_SOCKET": str(folder / "s")}
    with running(sample_command, link / "s", **environ) as plugin:
        assert plugin.http_v1("GET", "/text")["status"] == 200
        assert (folder / "s").stat().st_mode & 0o777 == 0o600
        assert plugin.end()[0] == 0
    assert not (folder / "s").exists()
    (tmp_path / "file").write_text("kept")
    environ = {"TORU_PLUGIN_SOCKET": str(tmp_path / "file")}
    refused = subprocess.run(
        sample_command, env=os.environ | environ, capture_output=True, text=True, check=False
    )
    assert (refused.returncode, "is no socket" in refused.stderr) == (1, True)
    assert (tmp_path / "file").read_text() == "kept"


# Version 2


def test_version_2_greets_and_tells_the_plugin_where_it_is(core: CoreV2) -> None:
    assert (core.hello_ok["protocol"], core.hello_ok["instance"]) == (2, "spawn-1")
    assert core.hello_ok["features"] == ["stream", "ws", "health"], "of those that were offered"
    assert core.hello_ok["sdk"].startswith("toru-plugin-api/")
    assert core.hello_ok["limits"]["streams"] == 64
    assert json.loads(core.http("GET", "/about")["text"]) == {
        "protocol": 2,
        "config": {"colour": "blue"},
        "instance_id": "hub-1",
        "data_dir": "/d",
        "log_path": "/l",
    }
    answer = core.http("GET", "/echo/x", "a=1", headers=[["X-One", "1"]])
    assert (answer["status"], answer["body"]) == (200, "inline")
    told = json.loads(answer["text"])
    assert (told["user"], told["role"], told["header"], told["a"]) == ("anna", "client", "1", "1")
    made = core.http("GET", "/made")
    assert made["headers"] == [["Content-Type", "text/tea"], ["X-A", "1"], ["X-A", "2"]]
    nothing = core.http("GET", "/nothing")
    assert (nothing["status"], nothing["body"], "text" in nothing) == (204, "none", False)
    assert core.http("HEAD", "/text")["body"] == "none"
    assert core.http("POST", "/json", body="inline", text='{"ü":[1]}')["text"] == '{"ü":[1]}'


def test_version_2_answers_what_is_wrong_with_the_right_status(core: CoreV2) -> None:
    for path, status in (("/none", 404), ("/teapot", 409), ("/panic", 500), ("/header", 500)):
        answer = core.http("GET", path)
        assert (answer["status"], "secret" in answer["text"]) == (status, False)
    assert core.http("POST", "/json", body="inline", text="{")["status"] == 400
    assert core.http("GET", "/text")["status"] == 200
    while len(logs := [call for call in core.calls if call["method"] == "log"]) < 2:
        core.http("GET", "/text")
    assert "secret detail" in logs[0]["params"]["fields"]["error"]


def test_bodies_go_both_ways_in_pieces_as_credit_allows(core: CoreV2) -> None:
    raw = core.http("GET", "/bytes")
    assert (raw["status"], raw["body"], core.body(raw["id"])) == (200, "stream", b"\xff")
    big = core.http("GET", "/big/6000000")
    assert core.body(big["id"]) == b"x" * 6_000_000
    stream = core.start("POST", "/digest", body="stream")
    core.upload(stream, b"\xff" * 5_000_000)
    told = json.loads(core.until("http_head", id=stream)["text"])
    assert told == {"size": 5_000_000, "sum": 5_000_000 * 255}
    stream = core.start("POST", "/digest", body="stream")
    core.upload(stream, bytes(8 * 1024 * 1024 + 1), flags=0)
    assert core.until("http_head", id=stream)["status"] == 413
    core.wire.socket.sendall(data_frame(stream, b"too late", 1))
    assert core.http("GET", "/text")["status"] == 200


def test_a_body_that_is_left_aside_holds_nothing_up(built: Path, tmp_path: Path) -> None:
    command = [str(built / "streams.binary")]
    with running(command, tmp_path / "s") as plugin, CoreV2(plugin) as core:
        stream = core.ready().start("POST", "/left", body="stream")
        core.slow.add(stream)
        core.upload(stream, bytes(3_000_000))
        core.slow.remove(stream)
        core.wire.send({"type": "window", "id": stream, "add": core.sizes.get(stream, 0)})
        core._granted[stream] = STREAM_CREDIT
        assert len(core.body(stream)) == 1_000_000


def test_event_streams_last_until_the_browser_leaves(core: CoreV2) -> None:
    head = core.http("GET", "/events", deadline_ms=100)
    assert ["Content-Type", "text/event-stream"] in head["headers"]
    while b"data: 9\n" not in core.bodies.get(head["id"], b""):
        core.until("data", id=head["id"])
    core.wire.send({"type": "cancel", "id": head["id"], "reason": "gone"})
    assert core.until("error", id=head["id"])["code"] == "CANCELLED"
    while not any(call["params"].get("message") == "the events are over" for call in core.calls):
        core.http("GET", "/text")
    broken = core.http("GET", "/broken")
    assert core.until("error", id=broken["id"])["code"] == "INTERNAL"
    assert bytes(core.bodies[broken["id"]]) == b"the first half"


def test_keys_events_and_log_lines_are_calls(core: CoreV2) -> None:
    assert json.loads(core.http("GET", "/kv")["text"]) == ["1", None]
    told = json.loads(core.http("GET", "/call")["text"])
    assert told == {"code": "DENIED", "message": "not task.run"}
    assert core.http("GET", "/report")["status"] == 204
    while not any(call["method"] == "log" for call in core.calls):
        core.http("GET", "/text")
    methods = {call["method"]: call["params"] for call in core.calls}
    assert methods["log"] == {"level": "info", "message": "seen", "fields": {"size": 3}}
    assert methods["event.emit"] == {"name": "seen", "data": {"size": 3}}
    assert len({call["id"] for call in core.calls}) == len(core.calls)


def test_new_settings_and_events_reach_the_plugin_in_their_order(
    plugin: Running, core: CoreV2
) -> None:
    def logged(message: str) -> list[dict[str, Any]]:
        logs = [call["params"] for call in core.calls if call["method"] == "log"]
        return [log["fields"] for log in logs if log["message"] == message]

    core.wire.send({"type": "config", "config": {"colour": "red"}})
    assert json.loads(core.http("GET", "/about")["text"])["config"] == {"colour": "red"}
    core.wire.send({"type": "config", "config": {"colour": "none"}})
    while not logged("Taking new settings failed"):
        core.http("GET", "/text")
    assert logged("new settings")[-1] == {"colour": "none"}
    core.wire.send({"type": "config", "config": "nonsense"})
    assert json.loads(core.http("GET", "/about")["text"])["config"] == {"colour": "none"}
    assert core.http("POST", "/subscribe/backup.done")["status"] == 204
    assert core.calls[-1]["params"] == {"name": "backup.done"}
    event = {"type": "event", "name": "backup.done", "timestamp": "2026-11-22T14:01:30.123Z"}
    for data in ("bad", 1, {"n": 2}):
        core.wire.send({**event, "data": data})
    while len(logged("an event")) < 3:
        core.http("GET", "/text")
    assert [told["data"] for told in logged("an event")] == ["bad", 1, {"n": 2}]
    assert logged("an event")[0]["at"] == "2026-11-22T14:01:30.123Z"
    assert "it is no event" in logged("Handling the event backup.done failed")[0]["error"]
    with CoreV2(plugin) as again:
        subscribed = [call for call in again.ready().calls if call["method"] == "event.subscribe"]
    assert [call["params"] for call in subscribed] == [{"name": "backup.done"}]


def test_a_real_hub_serves_versions_times_to_live_and_lists_of_keys(
    sample_command: list[str], tmp_path: Path
) -> None:
    with HubProcess(tmp_path) as hub:
        plugins = Plugins(hub)
        plugins.write("sample", Path(sample_command[0]).read_bytes())
        plugins.ready("sample")
        answer = plugins.ask("sample", "/kv2").json
        assert answer == [True, "2", {"b": "2", "b/c": "3"}, "CONFLICT"]
        assert plugins.ask("sample", "/about").json["config"] == {"colour": "blue"}
        pid = plugins.view("sample")["pid"]
        changed = hub.http("PUT", "/api/plugins/sample/settings", {"values": {"colour": "red"}})
        assert changed.json["applied"] == "live"
        wait_until(
            lambda: plugins.ask("sample", "/about").json["config"] == {"colour": "red"},
            what="the new settings",
        )
        assert plugins.view("sample")["pid"] == pid
        assert plugins.ask("sample", "/subscribe/plugin.sample.seen", "POST").status == 204
        assert plugins.ask("sample", "/report").status == 204
        wait_until(
            lambda: "an event" in {line["message"] for line in plugins.logs("sample")},
            what="the event that it has subscribed to",
        )
        raw = hub.http("POST", "/api/plugins/sample/digest", b"\xff" * 3_000_000)
        assert raw.json == {"size": 3_000_000, "sum": 3_000_000 * 255}
        assert hub.http("POST", "/api/plugins/sample/digest", bytes(9_000_000)).status == 413
        assert len(plugins.ask("sample", "/big/20000000").body) == 20_000_000


# How it is built


def test_the_plugin_of_the_page_for_authors_is_built_and_counts(tmp_path: Path) -> None:
    rust.require_rust()
    path = rust.build_source("counter", MANIFEST, PROGRAM, tmp_path)
    with running([str(path)], tmp_path / "s") as plugin, CoreV2(plugin) as core:
        core.ready().kv["count"] = "41"
        counted = core.http("POST", "/count")
        assert json.loads(counted["text"]) == {"count": 42, "user": "anna"}
        assert core.http("GET", "/count")["status"] == 404


def test_the_larger_plugin_of_the_page_streams_talks_and_passes_its_tests(tmp_path: Path) -> None:
    rust.require_rust()
    manifest = MANIFEST.replace('"counter"', '"talk"').replace('["sync"]', '["sync", "time"]')
    path = rust.build_source("talk", manifest, f"{LARGER}\n{TESTS}", tmp_path)
    assert "2 passed" in rust.cargo("test", "--release", folder=Path("talk"))
    with running([str(path)], tmp_path / "s") as plugin, CoreV2(plugin) as core:
        stream = core.ready().start("POST", "/measure", body="stream")
        core.upload(stream, bytes(1_000_000))
        assert core.until("http_head", id=stream)["text"] == '{"bytes":1000000}'
        squares = core.http("GET", "/squares.csv")
        assert core.until("data", id=squares["id"])["bytes"].startswith(b"0,0\n")
        core.wire.send({"type": "cancel", "id": squares["id"], "reason": "The browser has left."})
        sockets = [core.open_socket("/chat") for _ in range(3)]
        for socket in sockets:
            core.until("ws_accept", id=socket)
        core.upload(sockets[0], b"hi", flags=3)
        for socket in sockets:
            while core.bodies.get(socket) != bytearray(b"anna: hi"):
                core.until("data", id=socket)


def test_the_check_for_authors_finds_no_fault(built: Path) -> None:
    checks = [
        ("rust_sample", ["--stream", "/big/20000000"]),
        ("streams", ["--stream", "/blob/20000000", "--websocket", "/ws/echo/a"]),
        ("streams", ["--stream", "/events", "--only", "v2-stream*"]),
    ]

    def check(name: str, more: list[str]) -> str:
        command = [sys.executable, "-m", "toru", "plugin", "check", str(built / f"{name}.binary")]
        checked = subprocess.run([*command, *more], capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout
        assert " 0 failed" in checked.stdout
        assert "could be better" not in checked.stdout or name == "rust_sample", checked.stdout
        return checked.stdout

    with ThreadPoolExecutor() as side_by_side:
        _, of_streams, _ = side_by_side.map(lambda one: check(*one), checks)
    assert re.findall(r"(.) v2-(?:upload|stream|socket)", of_streams) == ["✓"] * 17


def test_a_folder_that_cargo_cannot_build_is_refused_with_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "Cargo.toml").write_text("[package]\n")
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(BuildError, match="cargo is not installed"):
        build_plugin(folder)


def test_crates_that_cannot_be_had_are_said_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cargo = tmp_path / "bin/cargo"
    cargo.parent.mkdir()
    cargo.write_text("#!/bin/sh\necho 'error: no such crate: tokio' >&2\nexit 101\n")
    cargo.chmod(0o755)
    monkeypatch.setenv("PATH", f"{cargo.parent}:{os.environ['PATH']}")
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "Cargo.toml").write_text("[package]\n")
    with pytest.raises(BuildError, match=r"cannot be had: error: no such crate: tokio"):
        build_plugin(folder)
    monkeypatch.setenv(cargo_build.FLAGS_VARIABLE, "--offline")
    with pytest.raises(BuildError, match="cargo could not build"):
        build_plugin(folder)


def test_the_first_start_leaves_them_out_and_the_set_up_goes_on_where_there_is_no_cargo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "plugins/one"
    folder.mkdir(parents=True)
    (folder / "Cargo.toml").write_text("[package]\n")
    stamps = Stamps(tmp_path / "stamps.json")
    provide_plugins(tmp_path, stamps)
    said = capfd.readouterr().err
    assert said == "toru: the plugin one is left out: make plugins builds it, too.\n"
    monkeypatch.setattr(shutil, "which", lambda _: None)
    provide_plugins(tmp_path, stamps, with_compiled=True)
    said = capfd.readouterr().err
    assert said == "toru: the plugin one is left out: cargo, which builds it, is not installed.\n"
    assert not (tmp_path / "plugins/one.binary").exists()
