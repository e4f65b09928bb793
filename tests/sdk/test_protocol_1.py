"""The Python library over protocol version 1, as a core speaks it that knows no other."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdk.core import Running, python_plugin, request_v1, running, v1

SAMPLE = (Path(__file__).parent / "sample.py").read_text()


@pytest.fixture
def plugin(tmp_path: Path) -> Iterator[Running]:
    with running(python_plugin(tmp_path, SAMPLE), tmp_path / "s") as found:
        yield found


def test_requests_reach_their_handlers_with_all_that_belongs_to_them(plugin: Running) -> None:
    headers = {"X-One": "1", "X-Toru-User": "J%C3%B6rg", "X-Toru-Role": "client"}
    answer = plugin.http_v1("GET", "/echo/a%20b/c/d?a=1&a=2&e=", headers=headers)
    assert answer["status"] == 200
    assert answer["headers"] == {"Content-Type": "application/json"}
    assert json.loads(answer["body"]) == {
        "first": "a b",
        "rest": "c/d",
        "query": {"a": "2", "e": ""},
        "many": ["1", "2"],
        "user": "Jörg",
        "role": "client",
        "header": "1",
        "thread": True,
    }
    assert plugin.http_v1("POST", "/json", body='{"ü":[1]}')["body"] == '{"ü":[1]}'


def test_every_kind_of_result_becomes_the_answer_that_it_means(plugin: Running) -> None:
    text = plugin.http_v1("GET", "/text")
    assert (text["body"], text["headers"]["Content-Type"]) == ("grüße", "text/plain; charset=utf-8")
    assert plugin.http_v1("GET", "/nothing") == {"status": 204, "headers": {}, "body": None}
    assert plugin.http_v1("GET", "/made") == {
        "status": 418,
        "headers": {"X-A": "1, 2", "Content-Type": "text/tea"},
        "body": "tea",
    }
    head = plugin.http_v1("HEAD", "/text")
    assert (head["status"], head["body"]) == (200, None)


def test_wrong_requests_get_the_status_that_says_what_is_wrong(plugin: Running) -> None:
    missing = plugin.http_v1("GET", "/none")
    assert (missing["status"], json.loads(missing["body"])["code"]) == (404, "not_found")
    method = plugin.http_v1("DELETE", "/text")
    assert (method["status"], method["headers"]["Allow"]) == (405, "GET, HEAD")
    assert plugin.http_v1("POST", "/json", body="{")["status"] == 400
    told = plugin.http_v1("GET", "/teapot")
    assert (told["status"], json.loads(told["body"])["error"]) == (409, "There is tea already.")
    with plugin.wire() as wire:
        wire.send(v1("http", {"type": "http", "payload": {"path": 3}}, "r"))
        assert wire.receive()["payload"]["status"] == 400


@pytest.mark.parametrize("path", ["/crash", "/bytes", "/header", "/big/17000000"])
def test_a_handler_that_fails_gives_500_and_its_reason_only_to_the_log(
    plugin: Running, path: str
) -> None:
    answer = plugin.http_v1("GET", path)
    assert answer["status"] == 500
    assert json.loads(answer["body"])["error"] == "The plugin failed; see its log."
    code, stderr = plugin.end()
    assert code == 0
    lines = [json.loads(line) for line in stderr.splitlines()]
    failed = next(line for line in lines if line["level"] == "error")
    assert failed["error"]
    if path == "/crash":
        assert "secret detail" in failed["error"]
        assert failed["message"] == "GET /crash failed"


def test_keys_travel_over_the_connection_of_the_request(plugin: Running) -> None:
    kv: dict[str, str] = {}
    assert json.loads(plugin.http_v1("GET", "/kv/async", kv=kv)["body"]) == ["1", None, None]
    assert json.loads(plugin.http_v1("GET", "/kv/sync", kv=kv)["body"]) == ["2", None]
    assert kv == {"a": "2"}


def test_what_version_1_does_not_have_is_refused_with_words(plugin: Running) -> None:
    assert json.loads(plugin.http_v1("GET", "/call")["body"])["code"] == "UNKNOWN_TYPE"


def test_an_error_in_an_answer_about_a_key_is_raised_in_the_handler(plugin: Running) -> None:
    with plugin.wire() as wire:
        wire.send(request_v1("r1", "GET", "/kv/sync", None, {}))
        asked = wire.receive()
        refusal = {"value": None, "error": "The value is too large."}
        wire.send(v1("kv", refusal, asked["request_id"]))
        assert wire.receive()["payload"]["status"] == 500
    assert "The value is too large." in plugin.end()[1]


def test_fifty_slow_requests_are_served_side_by_side(plugin: Running) -> None:
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(plugin.http_v1("GET", "/slow/0.5")["status"])

    threads = [threading.Thread(target=ask) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    assert statuses == [200] * 50


def test_logs_and_events_are_json_lines_on_stderr(plugin: Running) -> None:
    assert plugin.http_v1("GET", "/report")["status"] == 200
    lines = [json.loads(line) for line in plugin.end()[1].splitlines()]
    seen = next(line for line in lines if line["message"] == "seen")
    assert (seen["level"], seen["size"]) == ("info", 3)
    assert seen["timestamp"].endswith("Z")
    assert any(line.get("event") == "seen" and line["data"] == {"size": 3} for line in lines)


def test_init_tells_who_the_core_is_and_shutdown_ends_it_in_order(plugin: Running) -> None:
    plugin.init_v1()
    about = json.loads(plugin.http_v1("GET", "/about")["body"])
    assert (about["protocol"], about["instance_id"]) == (1, "i-1")
    plugin.shut_down_v1()
    code, stderr = plugin.ended()
    assert code == 0
    assert "stopped in order" in stderr
    assert not plugin.path.exists()


def test_a_request_is_answered_although_the_core_has_closed_its_half(plugin: Running) -> None:
    with plugin.wire() as wire:
        wire.send(request_v1("r1", "GET", "/slow/0.2", None, {}))
        wire.socket.shutdown(socket.SHUT_WR)
        assert wire.receive()["payload"]["status"] == 200
        assert wire.is_closed()


def test_a_stop_lets_requests_end_first(plugin: Running) -> None:
    with plugin.wire() as wire:
        wire.send(request_v1("r1", "GET", "/slow/0.5", None, {}))
        plugin.http_v1("GET", "/text")
        plugin.process.terminate()
        assert wire.receive()["payload"]["status"] == 200
    assert plugin.ended()[0] == 0


def test_a_handler_that_hangs_does_not_hold_the_end_up(plugin: Running) -> None:
    with plugin.wire() as wire:
        wire.send(request_v1("r1", "GET", "/stuck", None, {}))
        plugin.http_v1("GET", "/text")
        code, stderr = plugin.end()
    assert code == 0
    assert "stopped in order" in stderr


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        (struct.pack(">I", 0), "length of 0"),
        (struct.pack(">I", 0xFFFFFFFF), "over the limit"),
        (struct.pack(">I", 4) + b"nope", "0x6e"),
        (struct.pack(">I", 5) + b"{nope", "not JSON"),
        (struct.pack(">I", 9) + b'{"a":NaN}', "not JSON"),
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


def test_a_frame_may_come_byte_by_byte(plugin: Running) -> None:
    payload = json.dumps(request_v1("r1", "GET", "/text", None, {})).encode()
    with plugin.wire() as wire:
        for byte in struct.pack(">I", len(payload)) + payload:
            wire.socket.sendall(bytes([byte]))
        assert wire.receive()["payload"]["status"] == 200


def test_a_start_that_needs_configuration_exits_with_78(tmp_path: Path) -> None:
    command = python_plugin(tmp_path, SAMPLE)
    with running(command, tmp_path / "s", SAMPLE_START="configuration") as plugin:
        plugin.init_v1()
        code, stderr = plugin.ended()
    assert code == 78
    assert "It needs configuration: set the address" in stderr


def test_a_start_that_fails_exits_with_1_and_answers_who_waits(tmp_path: Path) -> None:
    with running(python_plugin(tmp_path, SAMPLE), tmp_path / "s", SAMPLE_START="crash") as plugin:
        assert plugin.http_v1("GET", "/text")["status"] == 503
        code, stderr = plugin.ended()
    assert code == 1
    assert "cannot start" in stderr
    assert "stopped in order" not in stderr


def test_the_socket_may_lie_behind_300_characters_and_replaces_a_stale_one(tmp_path: Path) -> None:
    folder = tmp_path / ("d" * 150) / ("e" * 150)
    folder.mkdir(parents=True)
    link = tmp_path / "short"
    link.symlink_to(folder)
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(link / "s"))
    command = python_plugin(tmp_path, SAMPLE)
    environ = {"TORU_PLUGIN_SOCKET": str(folder / "s")}
    with running(command, link / "s", **environ) as plugin:
        assert plugin.http_v1("GET", "/text")["status"] == 200
        assert (folder / "s").stat().st_mode & 0o777 == 0o600
        plugin.end()
    assert not (folder / "s").exists()


def test_a_file_in_the_socket_s_place_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("precious")
    with (
        pytest.raises(AssertionError, match="is there and is no socket"),
        running(python_plugin(tmp_path, SAMPLE), tmp_path / "s"),
    ):
        pass
    assert (tmp_path / "s").read_text() == "precious"
