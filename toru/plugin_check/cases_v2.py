"""Cases about version 2: negotiation, requests, liveness, cancelling, calls.

Runs on: the checker's thread.
"""

from __future__ import annotations

from typing import Any

from toru.plugin_check.cases_v1 import check_bundle
from toru.plugin_check.model import Broken, Group, NotApplicable
from toru.plugin_check.stage_v1 import NOWHERE
from toru.plugin_check.stage_v2 import StageV2, shown_frames
from toru.plugin_check.store import METHODS
from toru.wire import plugin_v2 as v2
from toru.wire.frames import encode_json
from toru.wire.plugin_http import BadAnswer, checked_answer
from toru.wire.plugin_session import FEATURES, LIMITS

STAGE = "v2"
START = Group("Version 2: negotiation", 2, StageV2, stage=STAGE)
HTTP = Group("Version 2: requests", 2, StageV2, stage=STAGE)
LIFE = Group("Version 2: liveness", 2, StageV2, stage=STAGE)
SETTINGS = Group("Version 2: settings", 2, StageV2, stage=STAGE)
CANCEL = Group("Version 2: cancelling", 2, StageV2, stage=STAGE)
CALLS = Group("Version 2: calls of the plugin", 2, StageV2, stage=STAGE)
GROUPS = (START, HTTP, LIFE, SETTINGS, CANCEL, CALLS)

LISTENS, HELLO, READY, GET = "v2-listens", "v2-hello", "v2-ready", "v2-get"
STARTED = (LISTENS, HELLO, READY)
SOUND = (*STARTED, GET, "v2-status", "v2-headers", "v2-body", "v2-answers-once")
PING = "v2-ping"
_INLINE_BYTES = 200 * 1024


# Negotiation


@START.case(LISTENS, "It listens on the socket that TORU_PLUGIN_SOCKET names, within 30 s.")
def listens(stage: StageV2) -> None:
    stage.recall_start()
    stage.require("listens")


@START.case("v2-own-socket", "The socket is its own.", needs=(LISTENS,))
def owns_its_socket(stage: StageV2) -> None:
    if "owner" in stage.problems:
        raise stage.problems["owner"]


@START.case(
    HELLO,
    "It answers hello with hello_ok: protocol 2, and the instance of hello, within 5 s.",
    needs=(LISTENS,),
)
def answers_hello(stage: StageV2) -> None:
    stage.recall_start()
    try:
        stage.require("hello")
    except Broken as broken:
        expected = f'hello_ok {{"protocol": 2, "instance": "{stage.instance}", …}} within 5 s.'
        raise Broken(broken.got, expected) from None


@START.case(
    "v2-features", "The features in hello_ok are known ones.", level="should", needs=(HELLO,)
)
def names_known_features(stage: StageV2) -> None:
    unknown = [name for name in _hello_ok(stage).get("features", ()) if name not in FEATURES]
    if unknown:
        raise Broken(f"It names {', '.join(map(str, unknown))}.")


@START.case(
    "v2-limits", "The limits in hello_ok are numbers above 0.", level="should", needs=(HELLO,)
)
def names_limits(stage: StageV2) -> None:
    for name, value in (_hello_ok(stage).get("limits") or {}).items():
        if name in LIMITS and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
            raise Broken(f'The limit "{name}" is {str(value)[:40]}.')


@START.case("v2-ready-after-init", "It is not ready before init.", level="should", needs=(HELLO,))
def waits_for_init(stage: StageV2) -> None:
    stage.recall_start()
    stage.require("hello")
    if stage.quick_to_be_ready:
        raise Broken("It said ready before it was told init.")


@START.case(READY, "It answers init with ready, within 30 s.", needs=(HELLO,))
def gets_ready(stage: StageV2) -> None:
    stage.recall_start()
    stage.require()


@START.case("v2-ready-once", "It says ready once.", level="should", needs=STARTED)
def is_ready_once(stage: StageV2) -> None:
    stage.recall_start()
    stage.require()
    stage.settle()
    count = len(stage.messages("ready"))
    if count != 1:
        raise Broken(f"It said ready {count} times.")


def _hello_ok(stage: StageV2) -> dict[str, Any]:
    stage.recall_start()
    stage.require("hello")
    return stage.messages("hello_ok")[0]


# Requests


@HTTP.case(GET, "A GET is answered with http_head.", needs=STARTED)
def answers(stage: StageV2) -> None:
    stage.require()
    stage.head(stage.first)


@HTTP.case("v2-status", "The head has a status from 100 to 599.", needs=(GET,))
def has_a_status(stage: StageV2) -> None:
    _checked(stage.head(stage.first).get("status"), ())


@HTTP.case(
    "v2-headers", "The headers are pairs of a name and a text, without line breaks.", needs=(GET,)
)
def has_headers(stage: StageV2) -> None:
    headers = stage.head(stage.first).get("headers", [])
    pairs = []
    for pair in headers if isinstance(headers, list) else [headers]:
        if not isinstance(pair, list) or [str] * 2 != [type(one) for one in pair]:
            raise Broken(f"A header is {str(pair)[:80]}.", 'Headers are pairs: [["Name", "text"]].')
        pairs.append((pair[0], pair[1]))
    _checked(200, tuple(pairs))


@HTTP.case(
    "v2-body", "The body is none, inline text, or data frames within the credit.", needs=(GET,)
)
def has_a_body(stage: StageV2) -> None:
    head = stage.head(stage.first)
    kind = head.get("body", "none")
    if kind == "inline" and not isinstance(head.get("text"), str):
        raise Broken('The body is "inline", and "text" is no text.')
    if stage.is_lost():
        raise Broken(stage.why())
    if stage.first not in stage.over:
        raise Broken(f"The body does not end. {stage.why()}", "A data frame with the flag end.")
    failure = stage.failure(stage.first)
    try:
        _checked(head.get("status"), ())
        has_headers(stage)
    except Broken:
        return  # those cases say it
    if failure:
        raise Broken(failure)


@HTTP.case("v2-answers-once", "A request has one answer.", needs=(GET,))
def answers_once(stage: StageV2) -> None:
    number = stage.first
    more = stage.after_end(number)
    if more:
        raise Broken(f"After the end of the answer came {shown_frames(more)}.")
    if stage.is_lost():
        raise Broken(stage.why())


@HTTP.case("v2-known-types", "It sends messages of known types only.", level="should", needs=(GET,))
def sends_known_types(stage: StageV2) -> None:
    stage.head(stage.first)
    kinds = {str(frame.get("type")) for frame in stage.json_frames()}
    unknown = kinds - KNOWN
    if unknown:
        raise Broken(f"It sent messages of type {', '.join(sorted(unknown))}.")


@HTTP.case(
    "v2-own-headers", "It sets no cookies and no X-Toru- headers.", level="should", needs=SOUND
)
def sets_no_cookies(stage: StageV2) -> None:
    names = [pair[0] for pair in stage.head(stage.first).get("headers", ())]
    dropped = [one for one in names if one.lower().startswith(("set-cookie", "x-toru-"))]
    if dropped:
        raise Broken(f"The hub drops these headers: {', '.join(dropped)}.")


@HTTP.case(
    "v2-no-500",
    "The GET is not answered with 500 or above.",
    level="should",
    needs=SOUND,
)
def answers_well(stage: StageV2) -> None:
    status = stage.head(stage.first)["status"]
    if status >= 500:
        raise Broken(f"GET {stage.setting.get_path} is answered with {status}.")


@HTTP.case("v2-query", "A request with a query is answered.", needs=SOUND)
def takes_a_query(stage: StageV2) -> None:
    stage.ask("GET", stage.setting.get_path, "a=1&b=%20x&a=2&c")


@HTTP.case("v2-repeated-headers", "Headers of one name that repeat are taken.", needs=SOUND)
def takes_repeated_headers(stage: StageV2) -> None:
    more = (("X-Check", "1"), ("X-Check", "2"), ("x-check", ""))
    stage.ask("GET", stage.setting.get_path, headers=more)


@HTTP.case("v2-unknown-path", "A path that it does not have is answered.", needs=SOUND)
def answers_unknown_paths(stage: StageV2) -> None:
    stage.ask("GET", NOWHERE)


@HTTP.case(
    "v2-unknown-path-404",
    "A path that it does not have is answered with 400 to 499.",
    level="should",
    needs=SOUND,
)
def refuses_unknown_paths(stage: StageV2) -> None:
    status = stage.ask("GET", NOWHERE)["status"]
    if not 400 <= status < 500:
        raise Broken(f"GET {NOWHERE} is answered with {status}.")


@HTTP.case("v2-odd-path", "A path with percent signs and more is answered.", needs=SOUND)
def answers_odd_paths(stage: StageV2) -> None:
    stage.ask("GET", f"{NOWHERE}/%E2%9C%93%00%2F..%2f;a=b/")


@HTTP.case("v2-post", "A POST with an inline body is answered.", needs=SOUND)
def answers_a_post(stage: StageV2) -> None:
    stage.ask("POST", NOWHERE, body='{"text": "Grüße, 世界 ✓"}'.encode())


@HTTP.case("v2-post-empty", "A POST without a body is answered.", needs=SOUND)
def answers_an_empty_post(stage: StageV2) -> None:
    stage.ask("POST", NOWHERE)


@HTTP.case("v2-methods", "HEAD, PUT, PATCH and DELETE are answered.", needs=SOUND)
def answers_methods(stage: StageV2) -> None:
    for method in ("HEAD", "PUT", "PATCH", "DELETE"):
        try:
            stage.ask(method, NOWHERE)
        except Broken as broken:
            raise Broken(f"{method}: {broken.got}") from None


@HTTP.case("v2-large-inline", "An inline body of 200 KiB is taken.", needs=SOUND)
def takes_large_inline_bodies(stage: StageV2) -> None:
    stage.require()
    if stage.session.limits["json_bytes"] < _INLINE_BYTES * 2:
        raise NotApplicable("It has agreed to smaller messages only.")
    stage.ask("POST", NOWHERE, body=b"x" * _INLINE_BYTES)


@HTTP.case("v2-pieces", "A message that comes in pieces is put together.", needs=SOUND)
def takes_pieces(stage: StageV2) -> None:
    stage.answer(stage.request("GET", stage.setting.get_path, pieces=5))


@HTTP.case("v2-together", "Messages that come in one piece are told apart.", needs=SOUND)
def tells_messages_apart(stage: StageV2) -> None:
    stage.require()
    stage.write(b"".join(encode_json({"type": "ping", "n": n}) for n in (301, 302, 303)))
    if not stage.pump(lambda: stage.pongs[-3:] == [301, 302, 303]):
        raise Broken(f"Three pings in one piece: {stage.why()}", "Three pongs, in that order.")


@HTTP.case("v2-many", "As many requests at once as were agreed on are all answered.", needs=SOUND)
def answers_many(stage: StageV2) -> None:
    stage.require()
    count = stage.session.limits["streams"]
    numbers = [stage.request("GET", stage.setting.get_path) for _ in range(count)]
    for place, number in enumerate(numbers, start=1):
        try:
            stage.answer(number)
        except Broken as broken:
            raise Broken(f"Request {place} of {count}: {broken.got}") from None


@HTTP.case("v2-unknown-fields", "Fields that it does not know do no harm.", needs=SOUND)
def takes_unknown_fields(stage: StageV2) -> None:
    stage.say(type="ping", n=401, toru_check={"a": [1, None]})
    if not stage.pump(lambda: 401 in stage.pongs):
        raise Broken(stage.why(), "pong with n 401")
    stage.still_works("a ping with an unknown field")


@HTTP.case(
    "v2-bundle",
    "With the feature bundle, GET /bundle.js is a script that fills window.ToruPlugins.",
    needs=SOUND,
)
def serves_a_bundle(stage: StageV2) -> None:
    stage.need_feature("bundle")
    number = stage.request("GET", "/bundle.js")
    head = stage.answer(number)
    text = head.get("text") or b"".join(one.payload for one in stage.data(number)).decode()
    if head["status"] == 404:
        raise Broken('GET /bundle.js is answered with 404, and hello_ok names "bundle".')
    check_bundle(head["status"], text)


def _checked(status: object, pairs: tuple[tuple[str, str], ...]) -> None:
    try:
        checked_answer(status, pairs, None)
    except BadAnswer as bad:
        raise Broken(bad.sentence) from None


# Liveness


@LIFE.case(PING, "A ping is answered with a pong of the same n within 5 s.", needs=STARTED)
def answers_pings(stage: StageV2) -> None:
    stage.require()
    stage.ping(7)


@LIFE.case("v2-pings", "Ten pings are answered in their order.", needs=(PING,))
def answers_all_pings(stage: StageV2) -> None:
    stage.require()
    wanted = list(range(501, 511))
    for number in wanted:
        stage.say(type="ping", n=number)
    if not stage.pump(lambda: len(stage.pongs) >= 10 and stage.pongs[-1] == 510):
        raise Broken(f"The last pongs had n {stage.pongs[-10:]}. {stage.why()}")
    if stage.pongs[-10:] != wanted:
        raise Broken(f"The pongs had n {stage.pongs[-10:]}.")


@LIFE.case("v2-ping-at-work", "A ping is answered while requests wait.", needs=(PING, GET))
def answers_pings_at_work(stage: StageV2) -> None:
    numbers = [stage.request("GET", stage.setting.get_path) for _ in range(16)]
    stage.ping(601)
    stage.wait_over(*numbers)


@LIFE.case("v2-pong-unasked", "A pong that it did not ask for does no harm.", needs=(PING,))
def survives_pongs(stage: StageV2) -> None:
    stage.require()
    stage.say(type="pong", n=1)
    stage.ping(602)


@LIFE.case("v2-health", 'A plugin that offers "health" says how it is.', needs=STARTED)
def says_how_it_is(stage: StageV2) -> None:
    stage.require()
    metadata = stage.setting.metadata
    if metadata is None or not metadata.health:
        raise NotApplicable('Its metadata have no "health": true.')
    found = stage.ask_health()
    if found is None:
        raise Broken(stage.why(), 'health {"id", "ok"} or result.')


@LIFE.case(
    "v2-healthy",
    'A plugin that offers "health" says that it is well.',
    level="should",
    needs=("v2-health",),
)
def is_well(stage: StageV2) -> None:
    stage.require()
    metadata = stage.setting.metadata
    if metadata is None or not metadata.health:
        raise NotApplicable('Its metadata have no "health": true.')
    found = stage.ask_health()
    if found is not None and not found.ok:
        raise Broken(f"It says that it is not well: {found.text or 'no reason given'}.")


# Cancelling


@CANCEL.case(
    "v2-cancel", "A cancelled request ends within 5 s, with an answer or an error.", needs=STARTED
)
def ends_what_is_cancelled(stage: StageV2) -> None:
    number = stage.request("GET", stage.setting.get_path)
    stage.give_up(number)
    stage.require_ended(number)


@CANCEL.case(
    "v2-cancel-many", "16 requests that are cancelled at once all end.", needs=("v2-cancel",)
)
def ends_all_that_is_cancelled(stage: StageV2) -> None:
    numbers = [stage.request("GET", stage.setting.get_path) for _ in range(16)]
    for number in numbers:
        stage.give_up(number)
    stage.require_ended(*numbers)


@CANCEL.case("v2-cancel-late", "A cancel for what is answered does no harm.", needs=SOUND)
def survives_late_cancels(stage: StageV2) -> None:
    stage.require()
    stage.say(type="cancel", id=stage.first, reason="The browser has left.")
    stage.still_works("a cancel for a request that is answered")


@CANCEL.case("v2-cancel-then-answers", "After a cancel the next request is answered.", needs=SOUND)
def goes_on_after_cancels(stage: StageV2) -> None:
    stage.give_up(stage.request("GET", stage.setting.get_path))
    stage.still_works("a cancel")


# Settings


def _takes_settings(stage: StageV2) -> None:
    stage.require()
    metadata = stage.setting.metadata
    if metadata is None or metadata.settings is None:
        raise NotApplicable('Its metadata have no "settings".')
    if "config" not in stage.features:
        raise NotApplicable('It does not name the feature "config": it is restarted instead.')


@SETTINGS.case("v2-settings", "It goes on when it is told its settings while it runs.", needs=SOUND)
def takes_settings(stage: StageV2) -> None:
    _takes_settings(stage)
    stage.say(type="config", config=dict(stage.setting.config))
    stage.still_works("config")


@SETTINGS.case(
    "v2-settings-many",
    "It goes on when its settings change many times in a row.",
    needs=("v2-settings",),
)
def takes_settings_again(stage: StageV2) -> None:
    _takes_settings(stage)
    for _ in range(20):
        stage.say(type="config", config=dict(stage.setting.config))
    stage.still_works("20 times config")


# Calls of the plugin


@CALLS.case("v2-call-known", "It calls methods that there are.", level="should", needs=SOUND)
def calls_known_methods(stage: StageV2) -> None:
    unknown = {one for one in _calls(stage) if one not in METHODS}
    if unknown:
        raise Broken(f"It calls {', '.join(sorted(unknown))[:200]}.")


@CALLS.case("v2-call-ids", "Its calls have even ids, each used once.", needs=SOUND)
def numbers_its_calls(stage: StageV2) -> None:
    _calls(stage)
    ids = [frame.get("id") for frame in stage.messages("call")]
    odd = [one for one in ids if not isinstance(one, int) or one % 2 or one == 0]
    if odd or len(set(ids)) != len(ids):
        raise Broken(f"The ids of its calls are {ids[:20]}.")


@CALLS.case(
    "v2-call-limits",
    "It has at most 32 calls open, and makes 200 a second.",
    level="should",
    needs=SOUND,
)
def keeps_to_its_calls(stage: StageV2) -> None:
    _calls(stage)
    if stage.busy_calls:
        raise Broken(f"{stage.busy_calls} calls were refused with BUSY.")


@CALLS.case("v2-call-kept", "It goes on when its keys have values.", needs=SOUND)
def goes_on_with_values(stage: StageV2) -> None:
    _calls(stage)
    stage.still_works("the first request")


@CALLS.case("v2-call-refused", "It still answers when its calls are refused.", needs=SOUND)
def survives_refusals(stage: StageV2) -> None:
    _calls(stage)
    stage.refuse_calls = "The storage is busy."
    try:
        stage.still_works("calls that are refused with BUSY")
    finally:
        stage.refuse_calls = ""
    stage.still_works("calls that were refused with BUSY")


@CALLS.case("v2-result-unasked", "A result that it did not ask for does no harm.", needs=SOUND)
def survives_results(stage: StageV2) -> None:
    stage.require()
    stage.say(type="result", id=4_000_002, value=None)
    stage.still_works("a result for a call that it never made")


def _calls(stage: StageV2) -> list[str]:
    stage.require()
    _ = stage.first
    if not stage.calls:
        raise NotApplicable(
            f"It makes no calls at its start or during GET {stage.setting.get_path}."
        )
    return stage.calls


KNOWN = frozenset(
    str(kind.__struct_config__.tag)
    for kind in (
        *(v2.HelloOk, v2.Ready, v2.Status, v2.HttpHead, v2.Cancel, v2.Window, v2.WsAccept),
        *(v2.WsClose, v2.Call, v2.Result, v2.Error, v2.Ping, v2.Pong, v2.Goaway, v2.Health),
    )
)
"""The types of the messages that a plugin may send."""
