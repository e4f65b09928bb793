"""The libraries over protocol version 2: one connection, many requests and calls at once.

What both do in the same way is tried on both.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdk.core import CoreV2, Running, data_frame, python_plugin, running

SAMPLE = (Path(__file__).parent / "sample.py").read_text()


only_python = pytest.mark.parametrize("command", ["python"], indirect=True)


@pytest.fixture(params=["python", "rust"])
def command(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    if request.param == "rust":
        return [str(request.getfixturevalue("rust_plugins") / "rust_sample.binary")]
    return python_plugin(tmp_path, SAMPLE)


@pytest.fixture
def plugin(command: list[str], tmp_path: Path) -> Iterator[Running]:
    with running(command, tmp_path / "s", TORU_INSTANCE="spawn-1") as found:
        yield found


@pytest.fixture
def core(plugin: Running) -> Iterator[CoreV2]:
    with CoreV2(plugin, config={"colour": "blue"}) as connected:
        yield connected.ready()


def test_the_greeting_says_who_answers_and_takes_the_smaller_limits(plugin: Running) -> None:
    with CoreV2(plugin, instance="another") as core:
        answer = core.hello_ok
    assert answer["protocol"] == 2
    assert answer["instance"] == "spawn-1", "its own, so that a core notices a stale process"
    assert answer["features"] == ["stream", "ws", "health"]
    assert answer["limits"]["streams"] == 64
    assert answer["sdk"].startswith(("toru-plugin-python/", "toru-plugin-api/"))


@only_python
def test_requests_reach_their_handlers_with_all_that_belongs_to_them(core: CoreV2) -> None:
    answer = core.http("GET", "/echo/a%20b/c/d", "a=1&a=2", headers=[["X-One", "1"]])
    assert (answer["status"], answer["body"]) == (200, "inline")
    assert answer["headers"] == [["Content-Type", "application/json"]]
    told = json.loads(answer["text"])
    assert (told["first"], told["rest"], told["many"]) == ("a b", "c/d", ["1", "2"])
    assert (told["user"], told["role"], told["header"]) == ("anna", "client", "1")
    posted = core.http("POST", "/json", body="inline", text='{"ü":[1]}')
    assert posted["text"] == '{"ü":[1]}'
    about = json.loads(core.http("GET", "/about")["text"])
    assert about == {
        "protocol": 2,
        "config": {"colour": "blue"},
        "instance_id": "hub-1",
        "data_dir": "/d",
    }


@only_python
def test_answers_carry_repeated_headers_and_may_have_no_body(core: CoreV2) -> None:
    made = core.http("GET", "/made")
    assert made["status"] == 418
    assert made["headers"] == [["X-A", "1"], ["X-A", "2"], ["Content-Type", "text/tea"]]
    nothing = core.http("GET", "/nothing")
    assert (nothing["status"], nothing["body"], "text" in nothing) == (204, "none", False)
    assert core.http("HEAD", "/text")["body"] == "none"


@only_python
def test_wrong_requests_and_failing_handlers_have_the_right_status(core: CoreV2) -> None:
    assert core.http("GET", "/none")["status"] == 404
    assert core.http("PUT", "/text")["status"] == 405
    assert core.http("POST", "/json", body="inline", text="{")["status"] == 400
    for path in ("/crash", "/header"):
        answer = core.http("GET", path)
        assert (answer["status"], "secret" in answer["text"]) == (500, False)
    assert core.http("GET", "/text")["status"] == 200
    logs = [call["params"] for call in core.calls if call["method"] == "log"]
    assert [log["level"] for log in logs] == ["error"] * 2
    assert "secret detail" in logs[0]["fields"]["error"]


def test_bodies_that_are_long_or_no_text_come_in_pieces(core: CoreV2) -> None:
    raw = core.http("GET", "/bytes")
    assert (raw["status"], raw["body"], "text" in raw) == (200, "stream", False)
    core.until("body", id=raw["id"])
    assert core.bodies[raw["id"]] == b"\xff"
    big = core.http("GET", "/big/6000000")
    core.until("body", id=big["id"])
    assert core.bodies[big["id"]] == b"x" * 6_000_000


def test_a_text_that_json_makes_too_long_comes_in_pieces(plugin: Running) -> None:
    with CoreV2(plugin, limits={"json_bytes": 100_000, "data_bytes": 1000}) as core:
        answer = core.ready().http("GET", "/control/20000")
        assert answer["body"] == "stream"
        core.until("body", id=answer["id"])
        assert core.bodies[answer["id"]] == b"\x01" * 20_000
        assert core.http("GET", "/control/10000")["text"] == "\x01" * 10_000


def test_no_more_is_sent_than_the_core_gives_credit_for(core: CoreV2) -> None:
    core.give_credit = False
    big = core.http("GET", "/big/1000000")
    while core.held < 256 * 1024:
        core.wire.send({"type": "ping", "n": 1})
        core.until("pong", n=1)
    core.wire.send({"type": "ping", "n": 2})
    core.until("pong", n=2)
    assert len(core.bodies[big["id"]]) == 256 * 1024
    assert core.http("GET", "/text")["text"] == "grüße", "others go on meanwhile"
    core.wire.send({"type": "cancel", "id": big["id"], "reason": "gone"})
    assert core.until("error", id=big["id"])["code"] == "CANCELLED"


def test_a_slow_answer_holds_up_no_other_and_may_come_later(core: CoreV2) -> None:
    slow = core.start("GET", "/slow/0.5")
    assert core.http("GET", "/text")["text"] == "grüße"
    assert core.until("http_head", id=slow)["status"] == 200


def test_sixty_four_requests_run_at_once_and_the_next_is_told_busy(core: CoreV2) -> None:
    streams = {core.start("GET", "/slow/1") for _ in range(64)}
    refused = core.http("GET", "/text")
    assert (refused["type"], refused["code"], refused["retryable"]) == ("error", "BUSY", True)
    while streams:
        head = core.until("http_head")
        assert head["status"] == 200
        streams.remove(head["id"])
    assert core.http("GET", "/text")["status"] == 200


@only_python
def test_keys_are_asked_for_by_calls_from_async_and_plain_handlers(core: CoreV2) -> None:
    assert json.loads(core.http("GET", "/kv/async")["text"]) == ["1", None, None]
    assert json.loads(core.http("GET", "/kv/sync")["text"]) == ["2", None]
    assert core.kv == {"a": "2"}
    version = json.loads(core.http("GET", "/kv/version")["text"])
    assert version == {"set": 7, "entry": ["v", "x", 7, None]}
    assert len({call["id"] for call in core.calls}) == len(core.calls)


@only_python
def test_the_core_s_refusal_of_a_call_is_raised_with_its_code(core: CoreV2) -> None:
    told = json.loads(core.http("GET", "/call")["text"])
    assert told == {"code": "DENIED", "sentence": "not task.run"}


@only_python
def test_log_lines_and_events_are_calls_and_prints_never_reach_the_protocol(
    core: CoreV2,
) -> None:
    assert core.http("GET", "/report")["status"] == 200
    methods = {call["method"]: call["params"] for call in core.calls}
    assert methods["log"] == {"level": "info", "message": "seen", "fields": {"size": 3}}
    assert methods["event.emit"] == {"name": "seen", "data": {"size": 3}}


@only_python
def test_ping_is_answered_while_handlers_are_busy(core: CoreV2) -> None:
    for _ in range(10):
        core.start("GET", "/stuck")
    core.wire.send({"type": "ping", "n": 41})
    assert core.until("pong")["n"] == 41


def test_health_is_told_when_asked(core: CoreV2) -> None:
    core.wire.send({"type": "health", "id": 1001})
    assert core.until("health") == {"type": "health", "id": 1001, "ok": True}
    core.http("POST", "/health", body="inline", text="the disk is slow")
    core.wire.send({"type": "health", "id": 1003})
    answer = core.until("health")
    assert (answer["id"], answer["ok"], answer["text"]) == (1003, False, "the disk is slow")


def test_cancel_ends_a_request_and_a_deadline_does_too(core: CoreV2) -> None:
    slow = core.start("GET", "/slow/60")
    core.wire.send({"type": "cancel", "id": slow, "reason": "gone"})
    assert core.until("error", id=slow)["code"] == "CANCELLED"
    late = core.http("GET", "/slow/60", deadline_ms=100)
    assert late["code"] == "DEADLINE"
    assert core.http("GET", "/text")["status"] == 200


def test_what_is_unknown_or_comes_too_late_does_no_harm(core: CoreV2) -> None:
    answered = core.http("GET", "/text")["id"]
    core.wire.socket.sendall(struct.pack(">IBBHI", 11, 1, 1, 0, answered) + b"abc")
    core.wire.send({"type": "ws_close", "id": 901, "code": 1000})
    core.wire.send({"type": "cancel", "id": answered, "reason": "The request is answered."})
    core.wire.send({"type": "dance"})
    assert core.until("error", id=0)["code"] == "UNKNOWN_TYPE"
    core.wire.socket.sendall(data_frame(901, b"abc"))
    core.wire.send({"type": "window", "id": 0, "add": 10})
    core.wire.send({"type": "window", "id": 907, "add": 10})
    core.wire.send({"type": "result", "id": 888, "value": 1})
    assert core.http("GET", "/text")["status"] == 200


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        (struct.pack(">I", 0), "BAD_FRAME"),
        (struct.pack(">I", 2 * 1024 * 1024) + b"{", "TOO_LARGE"),
        (struct.pack(">IBBHI", 70_000, 1, 0, 0, 1), "TOO_LARGE"),
        (struct.pack(">IBBHI", 8, 1, 0, 7, 1), "BAD_FRAME"),
        (struct.pack(">I", 2) + b"\x02a", "BAD_FRAME"),
        (struct.pack(">I", 22) + b'{"type":"http","id":2}', "BAD_FRAME"),
        (struct.pack(">I", 16) + b'{"type":"hello"}', "BAD_FRAME"),
    ],
)
def test_a_broken_frame_ends_the_connection_after_an_error(
    plugin: Running, core: CoreV2, sent: bytes, code: str
) -> None:
    core.wire.socket.sendall(sent)
    assert core.until("error")["code"] == code
    assert core.wire.is_closed()
    with CoreV2(plugin) as again:
        assert again.ready().http("GET", "/text")["status"] == 200


def test_a_slow_start_says_what_it_does_and_takes_no_request_before(
    command: list[str], tmp_path: Path
) -> None:
    with running(command, tmp_path / "s", SAMPLE_START="slow") as plugin, CoreV2(plugin) as core:
        early = core.http("GET", "/text")
        assert (early["code"], early["retryable"]) == ("NOT_READY", True)
        core.ready()
        status = next(message for message in core.other if message["type"] == "status")
        assert (status["text"], status["extend_ms"]) == ("Reading the index", 60000)
        assert core.http("GET", "/text")["status"] == 200


def test_a_start_that_needs_configuration_exits_with_78(command: list[str], tmp_path: Path) -> None:
    with (
        running(command, tmp_path / "s", SAMPLE_START="configuration") as plugin,
        CoreV2(plugin) as core,
    ):
        assert core.until("error")["code"] == "INTERNAL"
        assert plugin.ended()[0] == 78


def test_goaway_drains_and_shutdown_ends_it_in_order(plugin: Running, core: CoreV2) -> None:
    slow = core.start("GET", "/slow/0.4")
    core.wire.send({"type": "goaway", "last_id": slow})
    assert core.until("http_head", id=slow)["status"] == 200
    assert core.http("GET", "/text")["code"] == "BUSY"
    core.wire.send({"type": "shutdown"})
    with pytest.raises(EOFError):
        core.until("never")
    assert core.calls[-1]["params"]["message"] == "stopped in order"
    assert plugin.ended()[0] == 0
    assert not plugin.path.exists()


def test_both_versions_are_served_on_one_socket(plugin: Running, core: CoreV2) -> None:
    assert plugin.http_v1("GET", "/text")["body"] == "grüße"
    assert core.http("GET", "/text")["text"] == "grüße"


def test_a_core_that_comes_back_is_the_only_one(plugin: Running, core: CoreV2) -> None:
    with CoreV2(plugin) as second:
        second.ready()
        assert core.wire.is_closed()
        assert second.http("GET", "/text")["status"] == 200
    plugin.process.terminate()
    assert plugin.ended()[0] == 0


def test_more_log_lines_than_the_core_takes_are_written_to_stderr(plugin: Running) -> None:
    with CoreV2(plugin) as core:
        core.ready().http("GET", "/flood")
        core.wire.send({"type": "shutdown"})
        with pytest.raises(EOFError):
            core.until("never")
    lines = [json.loads(line) for line in plugin.ended()[1].splitlines()]
    sent = [call["params"]["fields"].get("n") for call in core.calls]
    written = [line["n"] for line in lines if "n" in line]
    assert written
    in_order = [n for n in sent if n is not None]
    assert sorted(in_order + written) == list(range(500))
    assert in_order == sorted(in_order)
