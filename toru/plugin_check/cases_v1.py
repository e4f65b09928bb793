"""Cases about version 1: start, requests, keys, faults of the hub, stop.

Runs on: the checker's thread.
"""

from __future__ import annotations

import contextlib
import signal
import socket
import struct

from toru.plugin_check.model import Broken, Group, NotApplicable
from toru.plugin_check.stage_v1 import NOWHERE, Exchange, StageV1
from toru.plugin_check.stopping import watch_stop
from toru.wire import plugin_v1 as wire
from toru.wire.frames import encode_json
from toru.wire.plugin_http import BadAnswer, checked_answer

START = Group("Version 1: start", 1, StageV1, stage="v1")
HTTP = Group("Version 1: requests", 1, StageV1, stage="v1")
KEYS = Group("Version 1: keys", 1, StageV1, stage="v1")
FAULTS = Group("Version 1: what no hub should send", 1, StageV1, stage="v1")
STOP = Group("Version 1: stop", 1, StageV1, stage="v1")
SIGNAL = Group("Version 1: SIGTERM", 1, StageV1, fresh=True)
GROUPS = (START, HTTP, KEYS, FAULTS, STOP, SIGNAL)

LISTENS, INIT, GET = "v1-listens", "v1-init", "v1-get"
STARTED = (LISTENS, INIT)
SOUND = (*STARTED, GET, "v1-request-id", "v1-status", "v1-headers", "v1-body")
_MANY = 8


# Start


@START.case(LISTENS, "It listens on the socket that TORU_PLUGIN_SOCKET names, within 30 s.")
def listens(stage: StageV1) -> None:
    stage.recall_start()
    stage.require()


@START.case("v1-own-socket", "The socket is its own.", needs=(LISTENS,))
def owns_its_socket(stage: StageV1) -> None:
    if stage.owner_problem is not None:
        raise stage.owner_problem


@START.case(INIT, "It takes lifecycle init and goes on.", needs=(LISTENS,))
def takes_init(stage: StageV1) -> None:
    stage.recall_start()
    if stage.run.wait(0.15):
        raise Broken(stage.run.how_it_ended())
    with contextlib.closing(stage.connect()):
        pass


# Requests


@HTTP.case(GET, "A GET is answered with an http message.", needs=STARTED)
def answers(stage: StageV1) -> None:
    stage.first.message()


@HTTP.case("v1-request-id", "The answer carries the request_id of its request.", needs=(GET,))
def carries_the_id(stage: StageV1) -> None:
    message = stage.first.message()
    payload = message.get("payload")
    inner = payload.get("request_id") if isinstance(payload, dict) else None
    for found in (message.get("request_id"), inner):
        if found is not None and found != stage.first.request_id:
            raise Broken(f"It answers to the request {str(found)[:60]!r}, which was not asked.")


@HTTP.case("v1-status", "The answer has a status from 100 to 599.", needs=(GET,))
def has_a_status(stage: StageV1) -> None:
    fields = stage.first.fields()
    _checked(fields.get("status"), [])


@HTTP.case("v1-headers", "The headers are an object of names and texts.", needs=(GET,))
def has_headers(stage: StageV1) -> None:
    headers = stage.first.fields().get("headers")
    if headers is None:
        return
    if not isinstance(headers, dict):
        raise Broken(f"The headers are {str(headers)[:80]}.")
    pairs = []
    for name, values in headers.items():
        for value in values if isinstance(values, list) else [values]:
            if not isinstance(value, str | int) or isinstance(value, bool):
                raise Broken(f"The header {name[:40]} is {str(value)[:60]}, no text.")
            pairs.append((name, str(value)))
    _checked(200, pairs)


@HTTP.case("v1-body", "The body is a text or null.", needs=(GET,))
def has_a_body(stage: StageV1) -> None:
    body = stage.first.fields().get("body")
    if body is not None and not isinstance(body, str):
        raise Broken(f"The body is {str(body)[:80]}.")
    try:
        checked_answer(200, [], body or "")
    except BadAnswer as bad:
        raise Broken(bad.sentence) from None


@HTTP.case("v1-answers-once", "A request has one answer.", needs=(GET,))
def answers_once(stage: StageV1) -> None:
    extra = [frame for frame in stage.first.extra if isinstance(frame, dict)]
    if extra:
        kinds = ", ".join(str(frame.get("type")) for frame in extra[:3])
        raise Broken(f"After the answer came {len(extra)} more on the connection: {kinds}.")


@HTTP.case("v1-envelope", "The answer has a timestamp.", level="should", needs=(GET,))
def has_a_timestamp(stage: StageV1) -> None:
    if not isinstance(stage.first.message().get("timestamp"), str):
        raise Broken('The answer has no "timestamp".')


@HTTP.case("v1-known-types", "It sends messages of known types only.", level="should", needs=(GET,))
def sends_known_types(stage: StageV1) -> None:
    if stage.first.others:
        raise Broken(f"It sent messages of type {', '.join(stage.first.others)}.")


@HTTP.case(
    "v1-own-headers", "It sets no cookies and no X-Toru- headers.", level="should", needs=SOUND
)
def sets_no_cookies(stage: StageV1) -> None:
    names = [name for name, _ in stage.first.answer().headers]
    dropped = [one for one in names if one.lower().startswith(("set-cookie", "x-toru-"))]
    if dropped:
        raise Broken(f"The hub drops these headers: {', '.join(dropped)}.")


@HTTP.case(
    "v1-no-500",
    "The GET is not answered with 500 or above.",
    level="should",
    needs=SOUND,
)
def answers_well(stage: StageV1) -> None:
    status = stage.first.answer().status
    if status >= 500:
        raise Broken(f"GET {stage.setting.get_path} is answered with {status}.")


@HTTP.case("v1-query", "A request with a query is answered.", needs=SOUND)
def takes_a_query(stage: StageV1) -> None:
    stage.exchange("GET", f"{stage.setting.get_path}?a=1&b=%20x&a=2&c").answer()


@HTTP.case("v1-unknown-path", "A path that it does not have is answered.", needs=SOUND)
def answers_unknown_paths(stage: StageV1) -> None:
    stage.exchange("GET", NOWHERE).answer()


@HTTP.case(
    "v1-unknown-path-404",
    "A path that it does not have is answered with 400 to 499.",
    level="should",
    needs=SOUND,
)
def refuses_unknown_paths(stage: StageV1) -> None:
    status = stage.exchange("GET", NOWHERE).answer().status
    if not 400 <= status < 500:
        raise Broken(f"GET {NOWHERE} is answered with {status}.")


@HTTP.case("v1-odd-path", "A path with percent signs and more is answered.", needs=SOUND)
def answers_odd_paths(stage: StageV1) -> None:
    stage.exchange("GET", f"{NOWHERE}/%E2%9C%93%00%2F..%2f;a=b/").answer()


@HTTP.case("v1-post", "A POST with a body is answered.", needs=SOUND)
def answers_a_post(stage: StageV1) -> None:
    stage.exchange("POST", NOWHERE, '{"text": "Grüße, 世界 ✓"}'.encode()).answer()


@HTTP.case("v1-methods", "HEAD, PUT, PATCH and DELETE are answered.", needs=SOUND)
def answers_methods(stage: StageV1) -> None:
    for method in ("HEAD", "PUT", "PATCH", "DELETE"):
        try:
            stage.exchange(method, NOWHERE).answer()
        except Broken as broken:
            raise Broken(f"{method}: {broken.got}") from None


@HTTP.case("v1-large-body", "A request with a body of 2 MiB is answered.", needs=SOUND)
def takes_large_bodies(stage: StageV1) -> None:
    stage.exchange("POST", NOWHERE, b"0123456789abcdef" * 128 * 1024).answer()


@HTTP.case("v1-pieces", "A message that comes in pieces is put together.", needs=SOUND)
def takes_pieces(stage: StageV1) -> None:
    stage.exchange("GET", stage.setting.get_path, pieces=5).answer()


@HTTP.case("v1-many", f"{_MANY} connections at once are all answered.", needs=SOUND)
def answers_many(stage: StageV1) -> None:
    with contextlib.ExitStack() as stack:
        asked = []
        for _ in range(_MANY):
            connection = stack.enter_context(stage.connect())
            request_id, frame = stage.request("GET", stage.setting.get_path)
            stage.send(connection, frame)
            asked.append((connection, request_id))
        for number, (connection, request_id) in enumerate(asked, start=1):
            try:
                with connection:
                    stage.finish(connection, request_id).answer()
            except Broken as broken:
                raise Broken(f"Request {number} of {_MANY}: {broken.got}") from None


@HTTP.case("v1-browser-leaves", "A hub that closes before the answer does no harm.", needs=SOUND)
def survives_leaving(stage: StageV1) -> None:
    for _ in range(3):
        _, frame = stage.request("GET", stage.setting.get_path)
        with contextlib.closing(stage.connect()) as connection:
            stage.send(connection, frame)
    _goes_on(stage, "the hub closed three connections before the answer")


@HTTP.case(
    "v1-bundle",
    "GET /bundle.js is a script that fills window.ToruPlugins, or 404.",
    level="should",
    needs=SOUND,
)
def serves_a_bundle(stage: StageV1) -> None:
    answer = stage.exchange("GET", "/bundle.js").answer()
    check_bundle(answer.status, (answer.body or b"").decode("utf-8", "replace"))


# Keys


@KEYS.case("v1-kv", "It asks for its keys as the protocol has it.", needs=SOUND)
def asks_for_keys(stage: StageV1) -> None:
    asked = _asked(stage)
    for frame in asked:
        found = wire.parse_message(frame, "")
        if isinstance(found, wire.BadKv):
            raise Broken(f"A kv message is not understood: {found.sentence}")


@KEYS.case("v1-kv-id", "A question for a key has a request_id.", level="should", needs=SOUND)
def names_its_questions(stage: StageV1) -> None:
    for frame in _asked(stage):
        payload = frame.get("payload")
        inner = payload.get("request_id") if isinstance(payload, dict) else None
        if frame.get("request_id") is None and inner is None:
            raise Broken("A kv message has no request_id.")


@KEYS.case("v1-kv-kept", "It goes on when its keys have values.", needs=SOUND)
def goes_on_with_values(stage: StageV1) -> None:
    _asked(stage)
    stage.exchange("GET", stage.setting.get_path).answer()


@KEYS.case("v1-kv-refused", "It still answers when a key is refused.", needs=SOUND)
def survives_refusals(stage: StageV1) -> None:
    _asked(stage)
    stage.kv_error = "The storage cannot be read now."
    try:
        stage.exchange("GET", stage.setting.get_path).answer()
    except Broken as broken:
        expected = "The request is answered, with a status of 500 for instance."
        raise Broken(f"After a kv answer with an error: {broken.got}", expected) from None
    finally:
        stage.kv_error = ""
    _goes_on(stage, "a kv answer with an error")


def _asked(stage: StageV1) -> list[dict[str, object]]:
    stage.require()
    if not stage.first.asked:
        raise NotApplicable(f"It asks for no key during GET {stage.setting.get_path}.")
    return stage.first.asked


# What no hub should send


@FAULTS.case("v1-unknown-type", "A message of an unknown type does no harm.", needs=SOUND)
def survives_unknown_types(stage: StageV1) -> None:
    _say(stage, encode_json({"type": "toru-check", "timestamp": "", "payload": {}}))
    _goes_on(stage, 'a message of type "toru-check"')


@FAULTS.case("v1-unknown-action", "An unknown lifecycle action does no harm.", needs=SOUND)
def survives_unknown_actions(stage: StageV1) -> None:
    payload = {"type": "lifecycle", "action": "toru-check"}
    _say(stage, encode_json({"type": "lifecycle", "timestamp": "", "payload": payload}))
    _goes_on(stage, 'the lifecycle action "toru-check"')


@FAULTS.case("v1-kv-unasked", "A kv message that it did not ask for does no harm.", needs=SOUND)
def survives_kv(stage: StageV1) -> None:
    _say(stage, wire.kv_answer(request_id="nobody", value="x", timestamp=""))
    _goes_on(stage, "an answer to a kv question that it never asked")


@FAULTS.case("v1-empty-connection", "A connection without a message does no harm.", needs=SOUND)
def survives_empty_connections(stage: StageV1) -> None:
    stage.log.note_sent("(a connection that is closed at once)")
    stage.connect().close()
    _goes_on(stage, "a connection that was closed at once")


@FAULTS.case(
    "v1-half-frame", "A connection that ends in the midst of a frame does no harm.", needs=SOUND
)
def survives_half_frames(stage: StageV1) -> None:
    _, frame = stage.request("GET", stage.setting.get_path)
    stage.log.note_sent("(half of a frame, and the end of the connection)")
    with contextlib.closing(stage.connect()) as connection:
        connection.sendall(frame[: len(frame) // 2])
    _goes_on(stage, "half of a frame")


@FAULTS.case("v1-no-json", "A frame that is no JSON does no harm.", level="should", needs=SOUND)
def survives_no_json(stage: StageV1) -> None:
    stage.log.note_sent("(a frame of the bytes {oops})")
    _say_raw(stage, struct.pack("!I", 6) + b"{oops}")
    _goes_on(stage, "a frame that is no JSON")


@FAULTS.case("v1-too-long", "A length over 16 MiB is refused at once.", level="should", needs=SOUND)
def refuses_lengths(stage: StageV1) -> None:
    stage.log.note_sent("(the length 0xFFFFFFFF, and a few bytes)")
    if not _say_raw(stage, b"\xff\xff\xff\xff{}"):
        raise Broken("It waits for the 4 GiB that were promised.", "It closes the connection.")
    _goes_on(stage, "a length of 4 GiB")


# Stop


@STOP.case("v1-shutdown", "It ends within 5 s of lifecycle shutdown.", needs=STARTED)
def ends(stage: StageV1) -> None:
    stage.stop().require_end("shutdown")


@STOP.case(
    "v1-shutdown-code",
    "It ends with exit code 0 after shutdown.",
    level="should",
    needs=("v1-shutdown",),
)
def ends_with_0(stage: StageV1) -> None:
    if stage.stop().exit_code != 0:
        raise Broken(stage.stop().words)


@STOP.case(
    "v1-shutdown-leaves-nothing",
    "Nothing of it runs on, or holds its output, half a second later.",
    level="should",
    needs=("v1-shutdown",),
)
def ends_whole(stage: StageV1) -> None:
    stage.stop().require_nothing_left()


@STOP.case("v1-output", "What it printed is UTF-8.", level="should", needs=("v1-shutdown",))
def prints_text(stage: StageV1) -> None:
    stage.stop()
    check_output(stage.run.stdout, stage.run.stderr)


@STOP.case("v1-init-silent", "It says nothing in answer to init.", level="should", needs=STARTED)
def answers_init_with_nothing(stage: StageV1) -> None:
    stage.stop()
    if stage.said_on_init:
        raise Broken(f"It said {stage.said_on_init[0]}.", "There is no answer to lifecycle init.")


@SIGNAL.case("v1-sigterm", "It ends within 5 s of SIGTERM.", needs=STARTED)
def ends_by_sigterm(stage: StageV1) -> None:
    stage.require()
    stage.log.note_sent("SIGTERM")
    stage.run.signal(signal.SIGTERM)
    stop = watch_stop(stage.run, stage.timeout_s)
    stop.require_end("SIGTERM")
    stop.require_nothing_left()


def check_bundle(status: int, text: str) -> None:
    """Look at the answer to ``GET /bundle.js``; raises `Broken`."""
    if status == 404:
        return
    if status != 200:
        raise Broken(f"GET /bundle.js is answered with {status}.")
    if "ToruPlugins" not in text and "toru_plugin_" not in text:
        raise Broken("The script names neither window.ToruPlugins nor window.toru_plugin_….")


def check_output(stdout: bytes, stderr: bytes) -> None:
    """Look at what was printed; raises `Broken`."""
    for name, output in (("stdout", stdout), ("stderr", stderr)):
        try:
            output.decode("utf-8")
        except UnicodeDecodeError as error:
            if len(output) - error.start > 4:  # else it may be cut off in the midst of a character
                raise Broken(f"Its {name} is not UTF-8 (byte {error.start}).") from None


def _checked(status: object, pairs: list[tuple[str, str]]) -> None:
    try:
        checked_answer(status, pairs, None)
    except BadAnswer as bad:
        raise Broken(bad.sentence) from None


def _say(stage: StageV1, frame: bytes) -> None:
    with contextlib.closing(stage.connect()) as connection:
        stage.send(connection, frame)
        _wait_for_end(connection)


def _say_raw(stage: StageV1, data: bytes) -> bool:
    """Send bytes and return whether the plugin closes the connection by itself."""
    with contextlib.closing(stage.connect()) as connection:
        connection.sendall(data)
        return _ends_itself(connection, min(1.0, stage.timeout_s))


def _ends_itself(connection: socket.socket, timeout_s: float) -> bool:
    connection.settimeout(timeout_s)
    try:
        while connection.recv(65536):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True


def _wait_for_end(connection: socket.socket) -> None:
    """Give the plugin the time to read what was sent, and to say something."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_WR)
    _ends_itself(connection, 0.2)


def _goes_on(stage: StageV1, after: str) -> None:
    try:
        again: Exchange = stage.exchange("GET", stage.setting.get_path)
        again.answer()
    except Broken as broken:
        expected = "It goes on, and answers the next request."
        raise Broken(f"After {after}: {broken.got}", expected) from None
