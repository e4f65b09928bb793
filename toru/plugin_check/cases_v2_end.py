"""Cases about version 2's errors and its end: unknown things, drain, shutdown, SIGTERM.

Runs on: the checker's thread.
"""

from __future__ import annotations

import struct

from toru.plugin_check.cases_v1 import check_output
from toru.plugin_check.cases_v2 import GET, SOUND, STAGE, STARTED
from toru.plugin_check.model import Broken, Group
from toru.plugin_check.stage_v1 import NOWHERE
from toru.plugin_check.stage_v2 import StageV2
from toru.wire.frames import encode_data

UNKNOWN = Group("Version 2: what it cannot know", 2, StageV2, stage=STAGE)
STOP = Group("Version 2: drain and shutdown", 2, StageV2, stage=STAGE)
FAULTS = Group("Version 2: what no hub should send", 2, StageV2, fresh=True)
SIGNAL = Group("Version 2: SIGTERM", 2, StageV2, fresh=True)
GROUPS = (UNKNOWN, STOP, FAULTS, SIGNAL)

_SHUTDOWN = "v2-shutdown"


@UNKNOWN.case("v2-unknown-type", "A message of an unknown type does no harm.", needs=SOUND)
def survives_unknown_types(stage: StageV2) -> None:
    stage.require()
    stage.say(type="toru-check", id=1)
    stage.still_works('a message of type "toru-check"')


@UNKNOWN.case(
    "v2-unknown-type-said",
    "A message of an unknown type is answered with UNKNOWN_TYPE.",
    level="should",
    needs=SOUND,
)
def refuses_unknown_types(stage: StageV2) -> None:
    stage.require()
    before = len(stage.messages("error"))
    stage.say(type="toru-check")
    stage.settle()
    errors = stage.messages("error")[before:]
    if not any(error.get("code") == "UNKNOWN_TYPE" for error in errors):
        raise Broken("Nothing came.", 'error {"code": "UNKNOWN_TYPE", …}')


@UNKNOWN.case("v2-error-unasked", "An error about nothing does no harm.", needs=SOUND)
def survives_errors(stage: StageV2) -> None:
    stage.require()
    stage.say(type="error", id=4_000_002, code="INTERNAL", message="?", retryable=False)
    stage.still_works("an error about a call that it never made")


@UNKNOWN.case("v2-event-unasked", "An event that it did not ask for does no harm.", needs=SOUND)
def survives_events(stage: StageV2) -> None:
    stage.require()
    stage.say(type="event", name="toru-check", data={"a": 1})
    stage.still_works("an event")


@UNKNOWN.case("v2-window-late", "Credit for what is over does no harm.", needs=SOUND)
def survives_late_credit(stage: StageV2) -> None:
    stage.require()
    stage.say(type="window", id=stage.first, add=1000)
    stage.still_works("credit for a request that is answered")


@UNKNOWN.case("v2-data-late", "Data for what is answered is dropped.", needs=SOUND)
def survives_late_data(stage: StageV2) -> None:
    stage.need_feature("stream")
    number = stage.request("POST", NOWHERE, body=None)
    stage.upload(number, b"x", end=True)
    stage.answer(number)
    stage.write(encode_data(number, b"late"))
    stage.still_works("data for a request that is answered")


# Drain and shutdown


@STOP.case("v2-drain", "What is under way at goaway is still answered.", needs=SOUND)
def drains(stage: StageV2) -> None:
    stage.require()
    for number in stage.drained:
        stage.answer(number)


@STOP.case("v2-goaway", "It does not end before shutdown.", level="should", needs=SOUND)
def waits_for_shutdown(stage: StageV2) -> None:
    stage.require()
    _ = stage.drained
    stage.settle()
    if stage.is_lost():
        raise Broken(f"After goaway: {stage.why()}")


@STOP.case(_SHUTDOWN, "It ends within 5 s of shutdown.", needs=STARTED)
def ends(stage: StageV2) -> None:
    stage.stop().require_end("shutdown")


@STOP.case(
    "v2-shutdown-code",
    "It ends with exit code 0 after shutdown.",
    level="should",
    needs=(_SHUTDOWN,),
)
def ends_with_0(stage: StageV2) -> None:
    if stage.stop().exit_code != 0:
        raise Broken(stage.stop().words)


@STOP.case(
    "v2-shutdown-leaves-nothing",
    "Nothing of it runs on, or holds its output, half a second later.",
    level="should",
    needs=(_SHUTDOWN,),
)
def ends_whole(stage: StageV2) -> None:
    stage.stop().require_nothing_left()


@STOP.case("v2-output", "What it printed is UTF-8.", level="should", needs=(_SHUTDOWN,))
def prints_text(stage: StageV2) -> None:
    stage.stop()
    check_output(stage.run.stdout, stage.run.stderr)


# What no hub should send


@FAULTS.case(
    "v2-no-json", "A frame that is no JSON ends the connection.", level="should", needs=(GET,)
)
def refuses_no_json(stage: StageV2) -> None:
    stage.require()
    stage.write(struct.pack("!I", 6) + b"{oops}", note="(a frame of the bytes {oops})")
    _must_end(stage, "BAD_FRAME")


@FAULTS.case(
    "v2-too-long", "A length of 4 GiB ends the connection at once.", level="should", needs=(GET,)
)
def refuses_lengths(stage: StageV2) -> None:
    stage.require()
    stage.write(b"\xff\xff\xff\xff{}", note="(the length 0xFFFFFFFF, and a few bytes)")
    _must_end(stage, "TOO_LARGE")


@FAULTS.case("v2-hub-gone", "When the hub has gone it still ends by SIGTERM.", needs=STARTED)
def ends_without_a_hub(stage: StageV2) -> None:
    stage.require()
    stage.hang_up()
    stage.terminate().require_end("SIGTERM")


@SIGNAL.case("v2-sigterm", "It ends within 5 s of SIGTERM.", needs=STARTED)
def ends_by_sigterm(stage: StageV2) -> None:
    stop = stage.terminate()
    stop.require_end("SIGTERM")
    stop.require_nothing_left()


def _must_end(stage: StageV2, code: str) -> None:
    expected = f'error {{"code": "{code}", …}}, and the end of the connection.'
    stage.pump(lambda: False, min(1.0, stage.timeout_s))
    if not stage.is_lost():
        raise Broken("The connection goes on.", expected)
    if stage.run.exit_code not in (None, 0) and not stage.messages("error"):
        raise Broken(f"It has died of it. {stage.run.how_it_ended()}", expected)
