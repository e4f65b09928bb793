"""Cases about version 2's streams and WebSockets, for plugins that name these features.

Runs on: the checker's thread.
"""

from __future__ import annotations

from toru.clock import monotonic
from toru.plugin_check.cases_v2 import SOUND, STAGE, STARTED
from toru.plugin_check.model import Broken, Group, NotApplicable
from toru.plugin_check.stage_v1 import NOWHERE
from toru.plugin_check.stage_v2 import StageV2

UP = Group("Version 2: request bodies in data frames", 2, StageV2, stage=STAGE)
DOWN = Group("Version 2: answers in data frames", 2, StageV2, stage=STAGE)
SOCKETS = Group("Version 2: WebSockets", 2, StageV2, stage=STAGE)
GROUPS = (UP, DOWN, SOCKETS)

_BEYOND = 3 * 256 * 1024
"""More than the credit of a stream."""
_CREDIT_EXPECTED = 'window {"id", "add"} once it has read, or the answer without reading.'


# Request bodies


@UP.case("v2-upload", "A body in data frames is taken, and the request answered.", needs=SOUND)
def takes_data(stage: StageV2) -> None:
    number = _begin(stage)
    stage.upload(number, b"first, ", end=False)
    stage.upload(number, b"last", end=True)
    stage.answer(number)


@UP.case("v2-upload-empty", "A body that ends with an empty data frame is taken.", needs=SOUND)
def takes_an_empty_end(stage: StageV2) -> None:
    number = _begin(stage)
    stage.upload(number, b"all of it", end=False)
    stage.upload(number, b"", end=True)
    stage.answer(number)


@UP.case("v2-upload-binary", "Bytes that are not UTF-8 are taken.", needs=SOUND)
def takes_binary(stage: StageV2) -> None:
    number = _begin(stage)
    stage.upload(number, bytes(range(256)) * 16, end=True)
    stage.answer(number)


@UP.case(
    "v2-upload-credit", "For a body beyond the credit it gives credit, or it answers.", needs=SOUND
)
def gives_credit(stage: StageV2) -> None:
    number = _begin(stage)
    if not stage.upload(number, b"x" * _BEYOND, end=True):
        raise Broken(f"It neither gives credit nor answers. {stage.why()}", _CREDIT_EXPECTED)
    stage.answer(number)


@UP.case("v2-upload-cancelled", "A body that is given up in the midst does no harm.", needs=SOUND)
def takes_cancelled_bodies(stage: StageV2) -> None:
    number = _begin(stage)
    stage.upload(number, b"x" * 1000, end=False)
    stage.give_up(number)
    stage.require_ended(number)
    stage.still_works("a body that was given up")


@UP.case("v2-upload-together", "Two bodies whose frames come in turn are told apart.", needs=SOUND)
def tells_bodies_apart(stage: StageV2) -> None:
    one, two = _begin(stage), _begin(stage)
    for _ in range(4):
        stage.upload(one, b"1" * 1000, end=False)
        stage.upload(two, b"2" * 1000, end=False)
    stage.upload(two, b"", end=True)
    stage.upload(one, b"", end=True)
    stage.answer(one)
    stage.answer(two)


@UP.case(
    "v2-upload-holds-nothing-up", "A body that stands still holds up no other request.", needs=SOUND
)
def holds_nothing_up(stage: StageV2) -> None:
    number = _begin(stage)
    stage.upload(number, b"x", end=False)
    stage.still_works("a body that stands still")
    stage.upload(number, b"", end=True)
    stage.answer(number)


def _begin(stage: StageV2) -> int:
    stage.need_feature("stream")
    return stage.request("POST", NOWHERE, body=None)


# Answers


@DOWN.case("v2-stream", "The answer comes in data frames.", needs=SOUND)
def streams(stage: StageV2) -> None:
    number = _begin_stream(stage)
    if not stage.pump(lambda: bool(stage.data(number))):
        raise Broken(f"No data after the head. {stage.why()}")
    stage.give_up(number)


@DOWN.case(
    "v2-stream-credit", "It stops where its credit ends, and goes on with more.", needs=SOUND
)
def keeps_to_its_credit(stage: StageV2) -> None:
    number = _begin_stream(stage, slow=True)
    granted = stage.session.limits["stream_credit"]
    full = stage.pump(lambda: number in stage.over or _size(stage, number) >= granted)
    if number in stage.over or not full:
        stage.give_up(number)
        if stage.is_lost():
            raise Broken(stage.why())
        raise NotApplicable(f"The answer has no {granted // 1024} KiB that could be counted.")
    stage.settle()
    if stage.is_lost():
        raise Broken(stage.why(), f"At most {granted} bytes until a window gives more.")
    stage.slow.discard(number)
    stage.session.take(number, granted, monotonic())
    stage.flush()
    if not stage.pump(lambda: number in stage.over or _size(stage, number) > granted):
        raise Broken(f"It does not go on after window. {stage.why()}")
    stage.give_up(number)


@DOWN.case("v2-stream-holds-nothing-up", "An answer without credit holds up no other.", needs=SOUND)
def slow_readers_hold_nothing_up(stage: StageV2) -> None:
    number = _begin_stream(stage, slow=True)
    granted = stage.session.limits["stream_credit"]
    stage.pump(lambda: number in stage.over or _size(stage, number) >= granted, 1.0)
    stage.still_works("an answer that nobody reads")
    stage.give_up(number)


@DOWN.case("v2-stream-cancelled", "After cancel it stops within 5 s.", needs=SOUND)
def stops_streams(stage: StageV2) -> None:
    number = _begin_stream(stage, slow=True)
    stage.give_up(number)
    stage.require_ended(number)
    stage.settle()
    more = stage.after_end(number)
    if more:
        raise Broken(f"After its end came {len(more)} more frames.")


def _begin_stream(stage: StageV2, *, slow: bool = False) -> int:
    stage.require()
    path = stage.setting.stream_path
    if not path:
        raise NotApplicable("Name a path with a long answer or an event stream: --stream /PATH.")
    number = stage.request("GET", path)
    if slow:
        stage.slow.add(number)
    head = stage.head(number)
    if head.get("body") != "stream":
        raise Broken(f'GET {path} has a body of the kind "{head.get("body")}".', 'body: "stream".')
    return number


def _size(stage: StageV2, number: int) -> int:
    return sum(len(frame.payload) for frame in stage.data(number))


# WebSockets


@SOCKETS.case(
    "v2-socket-unknown", "A WebSocket at a path that it does not have is refused.", needs=STARTED
)
def refuses_sockets(stage: StageV2) -> None:
    stage.need_feature("ws")
    number = stage.open_socket(NOWHERE)
    if not _wait_for_verdict(stage, number):
        raise Broken(
            f"No verdict about the WebSocket. {stage.why()}",
            "http_head with the status of the refusal (or ws_accept, or ws_close).",
        )
    _close(stage, number)
    stage.still_works("a WebSocket that it does not have")


@SOCKETS.case("v2-socket-given-up", "A WebSocket that is cancelled at once ends.", needs=STARTED)
def ends_cancelled_sockets(stage: StageV2) -> None:
    stage.need_feature("ws")
    number = stage.open_socket(stage.setting.socket_path or NOWHERE)
    stage.give_up(number)
    stage.require_ended(number)
    stage.still_works("a WebSocket that was given up")


@SOCKETS.case("v2-socket", "A WebSocket is taken with ws_accept.", needs=STARTED)
def accepts_sockets(stage: StageV2) -> None:
    number = _open(stage)
    _close(stage, number)


@SOCKETS.case("v2-socket-text", "Messages of text and of bytes do no harm.", needs=STARTED)
def takes_messages(stage: StageV2) -> None:
    number = _open(stage)
    stage.upload(number, "Grüße".encode(), end=True, text=True)
    stage.upload(number, bytes(range(256)), end=True)
    stage.settle()
    if stage.is_lost():
        raise Broken(stage.why())
    _close(stage, number)
    stage.still_works("messages on a WebSocket")


@SOCKETS.case("v2-socket-fragments", "A message in fragments does no harm.", needs=STARTED)
def takes_fragments(stage: StageV2) -> None:
    number = _open(stage)
    stage.upload(number, b"one ", end=False, text=True)
    stage.upload(number, b"message", end=True, text=True)
    stage.settle()
    if stage.is_lost():
        raise Broken(stage.why())
    _close(stage, number)
    stage.still_works("a message in fragments")


@SOCKETS.case("v2-socket-closed", "After ws_close nothing follows.", level="should", needs=STARTED)
def is_silent_after_close(stage: StageV2) -> None:
    number = _open(stage)
    _close(stage, number)
    stage.settle()
    before = len(stage.data(number))
    stage.settle()
    if len(stage.data(number)) > before:
        raise Broken(f"It went on with {len(stage.data(number)) - before} data frames.")


def _open(stage: StageV2) -> int:
    stage.need_feature("ws")
    if not stage.setting.socket_path:
        raise NotApplicable("Name a path that takes a WebSocket: --websocket /PATH.")
    number = stage.open_socket(stage.setting.socket_path)
    if not _wait_for_verdict(stage, number) or not stage.messages("ws_accept", number):
        raise Broken(f"It is not taken. {stage.why()}", "ws_accept")
    return number


def _wait_for_verdict(stage: StageV2, number: int) -> bool:
    return stage.pump(lambda: number in stage.over or bool(stage.messages("ws_accept", number)))


def _close(stage: StageV2, number: int) -> None:
    if number not in stage.over:
        stage.session.close_socket(number, 1000, monotonic())
        stage.flush()
