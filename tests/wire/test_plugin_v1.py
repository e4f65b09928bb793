"""Version 1 of the plugin protocol, as plugins in the field speak it."""

from __future__ import annotations

import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.errors import TooLarge, ToruError
from toru.wire import plugin_v1 as v1
from toru.wire.frames import DataFrame, FrameDecoder, FrameError, encode_json
from toru.wire.plugin_http import BadAnswer, BodyNotText, HttpAnswer, ProtocolFault

AT = "2026-11-22T14:00:00.000Z"
ANSWER = {"status": 201, "headers": {"Content-Type": "text/plain"}, "body": "hä"}


def message(frame: bytes) -> dict[str, Any]:
    (length,) = struct.unpack("!I", frame[:4])
    assert length == len(frame) - 4
    found: dict[str, Any] = json.loads(frame[4:])
    return found


def request(body: bytes = b"", headers: tuple[tuple[str, str], ...] = ()) -> bytes:
    return v1.http_request(
        request_id="r1", method="GET", path="/a?b=%2e", headers=headers, body=body, timestamp=AT
    )


def http(payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "http", "timestamp": AT, "request_id": "r1", "payload": payload, **more}


def kv(payload: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"type": "kv", "timestamp": AT, "payload": payload, **more}


# To the plugin


def test_lifecycle_messages_are_as_in_the_contract() -> None:
    sent = v1.lifecycle_init(
        instance_id="i", plugin_socket="/run/x.sock", log_path="/log/x.log", timestamp=AT
    )
    assert message(sent) == {
        "type": "lifecycle",
        "timestamp": AT,
        "payload": {
            "type": "lifecycle",
            "action": "init",
            "instance_id": "i",
            "plugin_socket": "/run/x.sock",
            "log_path": "/log/x.log",
        },
    }
    assert message(v1.lifecycle_shutdown(timestamp=AT))["payload"] == {
        "type": "lifecycle",
        "action": "shutdown",
    }


def test_a_request_is_nested_as_in_the_contract() -> None:
    headers = (("X-One", "1"), ("x-one", "2"), ("Accept", "*/*"))
    assert message(request("hä".encode(), headers)) == {
        "type": "http",
        "timestamp": AT,
        "request_id": "r1",
        "payload": {
            "type": "http",
            "request_id": "r1",
            "payload": {
                "method": "GET",
                "path": "/a?b=%2e",
                "headers": {"X-One": "1, 2", "Accept": "*/*"},
                "body": "hä",
            },
        },
    }
    assert message(request())["payload"]["payload"]["body"] is None


def test_a_body_that_is_not_text_answers_415() -> None:
    with pytest.raises(BodyNotText) as caught:
        request(b"\xff")
    assert caught.value.status == 415


def test_a_message_over_16_mib_answers_413() -> None:
    with pytest.raises(TooLarge):
        request(b'"' * (9 * 1024 * 1024))


def test_kv_messages_carry_their_fields_twice() -> None:
    sent = v1.kv_request(request_id="k", action="set", key="a", value="b", timestamp=AT)
    fields = {"action": "set", "key": "a", "value": "b"}
    assert message(sent)["payload"] == {
        "type": "kv",
        "request_id": "k",
        **fields,
        "payload": fields,
    }
    answer = message(v1.kv_answer(request_id="k", value=None, timestamp=AT))
    assert (answer["request_id"], answer["payload"]) == ("k", {"value": None})
    refused = message(v1.kv_answer(request_id=None, value=None, timestamp=AT, error="Too large."))
    assert refused["payload"] == {"value": None, "error": "Too large."}
    assert "request_id" not in refused


# Answers


@pytest.mark.parametrize(
    "frame",
    [
        http(ANSWER),
        http({**ANSWER, "request_id": "r1", "type": "http"}),
        http(ANSWER, request_id=None),
        {"type": "http", "payload": ANSWER},
        http({"type": "http", "request_id": "r1", "payload": {"body": json.dumps(ANSWER)}}),
        http({"payload": {"method": "GET", "headers": {}, "body": json.dumps(ANSWER)}}),
    ],
)
def test_both_shapes_of_an_answer_are_read(frame: dict[str, Any]) -> None:
    found = v1.parse_message(frame, "r1")
    assert found == HttpAnswer(201, (("Content-Type", "text/plain"),), "hä".encode())


@pytest.mark.parametrize(
    ("fields", "answer"),
    [
        ({"status": 204}, HttpAnswer(204, (), b"")),
        ({"status": 200, "headers": None, "body": None}, HttpAnswer(200, (), b"")),
        (
            {"status": 200, "headers": {"A": ["1", "2"], "B": 3}, "body": ""},
            HttpAnswer(200, (("A", "1"), ("A", "2"), ("B", "3")), b""),
        ),
    ],
)
def test_what_an_answer_leaves_out_is_empty(fields: dict[str, Any], answer: HttpAnswer) -> None:
    assert v1.parse_message(http(fields), "r1") == answer
    assert v1.parse_message(http({"payload": {"body": json.dumps(fields)}}), "r1") == answer


@pytest.mark.parametrize(
    "fields",
    [
        *({"status": wrong} for wrong in (99, 600, -1, 0, 10**30, "200", 200.0, True, None, [])),
        *({"status": 200, "body": wrong} for wrong in (1, {}, [], True, "\ud800")),
        *({"status": 200, "headers": wrong} for wrong in ([], "a", 1)),
        *({"status": 200, "headers": {"A": wrong}} for wrong in (None, {}, 1.5, True, [None])),
        *({"status": 200, "headers": {"A": wrong}} for wrong in ("a\r\nB: c", "\n", "\0", "€")),
        *({"status": 200, "headers": {wrong: "a"}} for wrong in ("", "A B", "A\r\nB", "A:", "ä")),
        {"body": "hello"},
        {},
    ],
)
def test_an_answer_that_cannot_be_passed_on_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer) as caught:
        v1.parse_message(http(fields), "r1")
    assert caught.value.status == 502
    with pytest.raises(BadAnswer):
        v1.parse_message(http({"payload": {"body": json.dumps(fields)}}), "r1")


@pytest.mark.parametrize("text", ["", "hello", "[]", "null", "{", '{"status":NaN}', "[" * 100_000])
def test_a_nested_body_that_is_no_answer_is_refused(text: str) -> None:
    with pytest.raises(BadAnswer):
        v1.parse_message(http({"payload": {"body": text}}), "r1")


@pytest.mark.parametrize(
    "frame",
    [
        http(ANSWER, request_id="r2"),
        http(ANSWER, request_id=""),
        http(ANSWER, request_id=1),
        http({**ANSWER, "request_id": "r2"}),
        http({"request_id": "r2", "payload": {"body": json.dumps(ANSWER)}}),
    ],
)
def test_the_answer_to_another_request_is_a_fault(frame: dict[str, Any]) -> None:
    with pytest.raises(ProtocolFault, match="another request"):
        v1.parse_message(frame, "r1")


@pytest.mark.parametrize(
    "frame",
    [
        DataFrame(1, b"x"),
        {},
        {"type": "http"},
        {"type": "http", "payload": "x"},
        {"payload": ANSWER},
        {"type": 1, "payload": ANSWER},
    ],
)
def test_what_is_no_message_is_a_fault(frame: Any) -> None:
    with pytest.raises(ProtocolFault):
        v1.parse_message(frame, "r1")


def test_messages_of_other_types_are_left_aside() -> None:
    assert v1.parse_message({"type": "log", "payload": {}}, "r1") == v1.Ignored("log")


# Keys and values


@pytest.mark.parametrize(
    ("payload", "found"),
    [
        ({"action": "get", "key": "a"}, v1.KvRequest("k", "get", "a")),
        ({"action": "Get", "key": "a"}, v1.KvRequest("k", "get", "a")),
        ({"action": "SET", "key": "a", "value": "b"}, v1.KvRequest("k", "set", "a", "b")),
        ({"action": "Delete", "key": "", "value": "b"}, v1.KvRequest("k", "delete", "")),
        ({"payload": {"action": "get", "key": "a"}}, v1.KvRequest("k", "get", "a")),
        (
            {"action": "set", "key": "a", "value": None, "payload": {"value": "b"}},
            v1.KvRequest("k", "set", "a", "b"),
        ),
    ],
)
def test_a_plugin_asks_for_its_keys_in_any_case(
    payload: dict[str, Any], found: v1.KvRequest
) -> None:
    assert v1.parse_message(kv(payload, request_id="k"), "r1") == found
    assert v1.parse_message(kv({**payload, "request_id": "k"}), "r1") == found


@pytest.mark.parametrize(
    "payload",
    [
        {},
        {"action": "list", "key": "a"},
        {"action": 1, "key": "a"},
        {"action": "get"},
        {"action": "get", "key": 1},
        {"action": "set", "key": "a"},
        {"action": "set", "key": "a", "value": 1},
    ],
)
def test_a_kv_that_means_nothing_has_a_sentence_as_its_answer(payload: dict[str, Any]) -> None:
    found = v1.parse_message(kv(payload, request_id="k"), "r1")
    assert isinstance(found, v1.BadKv)
    assert (found.request_id, found.sentence[-1]) == ("k", ".")


def test_a_kv_with_an_id_that_is_none_is_a_fault() -> None:
    with pytest.raises(ProtocolFault):
        v1.parse_message(kv({"action": "get", "key": "a"}, request_id=[1]), "r1")


def test_the_value_of_a_kv_answer_is_read() -> None:
    assert v1.parse_kv_answer(kv({"value": "v"}, request_id="k"), "k") == "v"
    assert v1.parse_kv_answer(kv({"value": None}), "k") is None
    for wrong in (kv({}), kv({"value": 1}), kv({"value": "v"}, request_id="x"), http(ANSWER)):
        with pytest.raises(ProtocolFault):
            v1.parse_kv_answer(wrong, "k")


# Nonsense

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["status", "headers", "body", "payload", "action", "key", "value"])
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)


@given(kind=st.sampled_from(["http", "kv", "log"]) | JSON, payload=JSON, request_id=JSON)
def test_nonsense_is_an_answer_or_a_refusal_and_nothing_else(
    kind: Any, payload: Any, request_id: Any
) -> None:
    frame = {"type": kind, "payload": payload, "request_id": request_id}
    for parse in (v1.parse_message, v1.parse_kv_answer):
        try:
            parse(frame, "r1")
        except ToruError as error:
            assert error.status == 502


def test_an_answer_cut_at_every_byte_is_the_same_answer_or_none_yet() -> None:
    data = encode_json(http({"payload": {"body": json.dumps(ANSWER)}}))
    for cut in range(len(data)):
        decoder = v1.decoder()
        assert decoder.feed(data[:cut]) == []
        (frame,) = decoder.feed(data[cut:])
        assert isinstance(v1.parse_message(frame, "r1"), HttpAnswer)


def test_the_limit_of_a_frame_is_16_mib() -> None:
    decoder: FrameDecoder = v1.decoder()
    with pytest.raises(FrameError):
        decoder.feed(struct.pack("!I", 16 * 1024 * 1024 + 1) + b"{")
