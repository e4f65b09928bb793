"""The plugin protocol, version 1: one request a connection, JSON only.

Runs on: any thread; pure.

    message = {"type", "timestamp", "request_id"?, "payload"}      in a frame of at most 16 MiB

Plugins in the field answer ``http`` in two shapes, and both are read:

    payload: {status, headers, body}
    payload: {…, "payload": {…, "body": "<JSON text of {status, headers, body}>"}}
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal

import msgspec

from toru.domain.plugin_headers import Header
from toru.errors import TooLarge
from toru.wire.frames import MAX_JSON_BYTES, DataFrame, Frame, FrameDecoder, encode_payload
from toru.wire.plugin_http import BadAnswer, HttpAnswer, ProtocolFault, checked_answer, text_of

KvAction = Literal["get", "set", "delete"]
_KV_ACTIONS: dict[str, KvAction] = {"get": "get", "set": "set", "delete": "delete"}


class KvRequest(msgspec.Struct, frozen=True):
    """A plugin asks for its own keys, over a connection that the core has opened.

    Attributes:
        request_id: what the answer is to carry; None when the plugin named none.
        action: what to do.
        key: the key.
        value: for ``set``.
    """

    request_id: str | None
    action: KvAction
    key: str
    value: str | None = None


class BadKv(msgspec.Struct, frozen=True):
    """A plugin asked for its keys in a way that means nothing; the sentence is the answer."""

    request_id: str | None
    sentence: str


class Ignored(msgspec.Struct, frozen=True):
    """A message of a type that needs no answer."""

    type: str


def decoder() -> FrameDecoder:
    """Return what cuts the bytes of one connection into frames."""
    return FrameDecoder(max_json_bytes=MAX_JSON_BYTES)


# To the plugin


def lifecycle_init(
    *,
    instance_id: str,
    plugin_socket: str,
    log_path: str,
    timestamp: str,
    config: dict[str, Any] | None = None,
) -> bytes:
    """Return the frame of ``lifecycle`` ``init``; it has no answer.

    A plugin without settings gets no ``config``, as plugins of before there were any know it.
    """
    more = {"config": config} if config else {}
    return _lifecycle(
        timestamp,
        action="init",
        instance_id=instance_id,
        plugin_socket=plugin_socket,
        log_path=log_path,
        **more,
    )


def lifecycle_shutdown(*, timestamp: str) -> bytes:
    """Return the frame of ``lifecycle`` ``shutdown``; it has no answer."""
    return _lifecycle(timestamp, action="shutdown")


def http_request(
    *,
    request_id: str,
    method: str,
    path: str,
    headers: Iterable[Header],
    body: bytes,
    timestamp: str,
) -> bytes:
    """Return the frame of a request.

    Args:
        request_id: at most 64 characters; the answer carries it.
        method: the HTTP method.
        path: ``/<rest>?query``, raw.
        headers: values of one name are joined by a comma (RFC 9110, 5.2).
        body: empty for none.
        timestamp: RFC 3339 UTC.

    Raises:
        BodyNotText: the body is not UTF-8.
        TooLarge: the message is over 16 MiB.
    """
    request = {
        "method": method,
        "path": path,
        "headers": _joined(headers),
        "body": text_of(body) if body else None,
    }
    payload = {"type": "http", "request_id": request_id, "payload": request}
    try:
        return _message("http", timestamp, payload, request_id)
    except ValueError:
        raise TooLarge("The body is too large for this plugin (16 MiB with all else).") from None


def kv_request(
    *, request_id: str, action: KvAction, key: str, value: str | None = None, timestamp: str
) -> bytes:
    """Return the frame of a ``kv`` request."""
    fields: dict[str, Any] = {"action": action, "key": key}
    if value is not None:
        fields["value"] = value
    head = {"type": "kv", "request_id": request_id}
    return _message("kv", timestamp, {**head, **fields, "payload": fields}, request_id)


def kv_answer(
    *, request_id: str | None, value: str | None, timestamp: str, error: str | None = None
) -> bytes:
    """Return the frame of the answer to a plugin's ``kv``.

    Args:
        request_id: of the request.
        value: what the key has, or had set.
        timestamp: RFC 3339 UTC.
        error: why nothing was done, one sentence.
    """
    payload = {"value": value} if error is None else {"value": None, "error": error}
    return _message("kv", timestamp, payload, request_id)


def _lifecycle(timestamp: str, **fields: Any) -> bytes:
    return _message("lifecycle", timestamp, {"type": "lifecycle", **fields}, None)


def _message(kind: str, timestamp: str, payload: dict[str, Any], request_id: str | None) -> bytes:
    message: dict[str, Any] = {"type": kind, "timestamp": timestamp}
    if request_id is not None:
        message["request_id"] = request_id
    message["payload"] = payload
    return encode_payload(msgspec.json.encode(message))


def _joined(headers: Iterable[Header]) -> dict[str, str]:
    joined: dict[str, str] = {}
    spelling: dict[str, str] = {}
    for name, value in headers:
        known = spelling.setdefault(name.lower(), name)
        joined[known] = f"{joined[known]}, {value}" if known in joined else value
    return joined


# From the plugin


def parse_message(frame: Frame, request_id: str) -> HttpAnswer | KvRequest | BadKv | Ignored:
    """Return what a plugin sent on the connection of the request ``request_id``.

    What a message of an unknown type carries is not looked at.

    Raises:
        ProtocolFault: it is no message, or the answer to another request.
    """
    kind = frame.get("type") if isinstance(frame, dict) else None
    if isinstance(kind, str) and kind not in ("http", "kv"):
        return Ignored(kind)
    message, payload = _opened(frame)
    if kind == "kv":
        return _kv(message, payload)
    _check_request_id(request_id, message.get("request_id"), payload.get("request_id"))
    fields = payload if "status" in payload else _nested(payload)
    body = fields.get("body")
    if body is not None and not isinstance(body, str):
        raise BadAnswer("The plugin's answer has a body that is neither a string nor null.")
    return checked_answer(fields.get("status"), _header_pairs(fields.get("headers")), body or "")


def parse_kv_answer(frame: Frame, request_id: str) -> str | None:
    """Return the value that a plugin answers to the core's ``kv`` request ``request_id``.

    Raises:
        ProtocolFault: it is no such answer.
    """
    message, payload = _opened(frame)
    value = payload.get("value")
    if message["type"] != "kv" or "value" not in payload or not isinstance(value, str | None):
        raise ProtocolFault("The plugin's answer to kv has no value.")
    _check_request_id(request_id, message.get("request_id"), payload.get("request_id"))
    return value


def _opened(frame: Frame) -> tuple[dict[str, Any], dict[str, Any]]:
    if isinstance(frame, DataFrame):
        raise ProtocolFault("The plugin sent a data frame, which version 1 does not have.")
    payload = frame.get("payload")
    if not isinstance(frame.get("type"), str) or not isinstance(payload, dict):
        raise ProtocolFault("The plugin sent a message without a type or a payload.")
    return frame, payload


def _check_request_id(expected: str, *found: object) -> None:
    """An absent id is none to compare: the connection has one request only."""
    for request_id in found:
        if request_id is not None and request_id != expected:
            raise ProtocolFault("The plugin answered to another request than was asked.")


def _nested(payload: dict[str, Any]) -> dict[str, Any]:
    """Return the answer that is JSON text in the body of what the core had sent."""
    inner = payload.get("payload")
    text = inner.get("body") if isinstance(inner, dict) else None
    if not isinstance(text, str):
        raise BadAnswer("The plugin's answer has no status.")
    try:
        fields = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        raise BadAnswer("The body of the plugin's answer is not the JSON of an answer.") from None
    if not isinstance(fields, dict):
        raise BadAnswer("The body of the plugin's answer is not the JSON of an answer.")
    return fields


def _header_pairs(headers: object) -> list[Header]:
    if headers is None:
        return []
    if not isinstance(headers, dict):
        raise BadAnswer("The headers of the plugin's answer are not an object.")
    return [
        (name, _header_text(value))
        for name, values in headers.items()
        for value in (values if isinstance(values, list) else [values])
    ]


def _header_text(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    raise BadAnswer("A header of the plugin's answer is not a string.")


def _kv(message: dict[str, Any], payload: dict[str, Any]) -> KvRequest | BadKv:
    inner = payload.get("payload")
    said = {name: value for name, value in payload.items() if value is not None}
    fields = {**inner, **said} if isinstance(inner, dict) else said
    request_id = message.get("request_id") or payload.get("request_id")
    if not isinstance(request_id, str | None):
        raise ProtocolFault("The plugin sent a request_id that is not a string.")
    named, key, value = fields.get("action"), fields.get("key"), fields.get("value")
    action = _KV_ACTIONS.get(named.lower()) if isinstance(named, str) else None
    if action is None:
        return BadKv(request_id, "The action must be get, set or delete.")
    if not isinstance(key, str):
        return BadKv(request_id, "The key must be a string.")
    if action == "set" and not isinstance(value, str):
        return BadKv(request_id, "The value must be a string.")
    return KvRequest(request_id, action, key, value if action == "set" else None)
