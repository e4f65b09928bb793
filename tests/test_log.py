"""The hub's log: one line a record whatever it holds, rotation without loss, no stall."""

from __future__ import annotations

import io
import json
import logging
import os
import threading
from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from toru.json_lines import json_line
from toru.log import logging_to, visible

ExpectLog = Callable[..., object]

log = logging.getLogger("toru.test")


def lines_of(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_a_record_is_one_line_for_people_and_one_json_line(tmp_path: Path) -> None:
    stream = io.StringIO()
    with logging_to(tmp_path, "info", stream=stream):
        log.info("Run %s started.", 7)
    assert stream.getvalue().endswith("INFO    toru.test: Run 7 started.\n")
    (line,) = lines_of(tmp_path / "toru.log")
    assert line["message"] == "Run 7 started."
    assert line["level"] == "info"
    assert line["logger"] == "toru.test"
    assert str(line["timestamp"]).endswith("Z")
    assert line["pid"] == os.getpid()


HOSTILE = "a\r\nb\x1b[2J\x9b31m\u2028c\x00\x7f\u202e\udc80"


def test_control_characters_in_a_message_make_no_second_line_and_no_escape_sequence(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("Login of")
    stream = io.StringIO()
    with logging_to(tmp_path, "info", stream=stream):
        log.warning("Login of %s", HOSTILE)
    text = stream.getvalue()
    assert len(text.splitlines()) == 1
    assert r"a\r\nb\x1b[2J\x9b31m\u2028c\x00\x7f\u202e\udc80" in text
    raw = (tmp_path / "toru.log").read_bytes()
    assert len(raw.decode().splitlines()) == 1
    assert json.loads(raw)["message"] == f"Login of {HOSTILE}"


@given(st.text(st.characters(codec=None)))
def test_any_text_stays_on_one_line_and_survives_the_way_through_json(text: str) -> None:
    assert len(visible(text).splitlines()) <= 1
    line = json_line({"message": text})
    assert len(line.decode().splitlines()) == 1
    assert json.loads(line)["message"] == text


def test_a_traceback_follows_in_barred_lines_and_stays_in_one_json_line(
    tmp_path: Path, expect_log: ExpectLog
) -> None:
    expect_log("It failed")
    stream = io.StringIO()
    with logging_to(tmp_path, "info", stream=stream):
        try:
            raise ValueError("first\n2026-01-01 00:00:00 INFO    forged")
        except ValueError:
            log.exception("It failed.")
    first, *rest = stream.getvalue().splitlines()
    assert first.endswith("It failed.")
    assert rest
    assert all(line.startswith("    | ") for line in rest)
    (line,) = lines_of(tmp_path / "toru.log")
    assert "ValueError: first" in str(line["error"])


def test_levels_apply_to_toru_and_never_open_the_flood_of_other_packages(tmp_path: Path) -> None:
    stream = io.StringIO()
    with logging_to(tmp_path, "debug", stream=stream):
        log.debug("mine")
        logging.getLogger("peewee").debug("SELECT")
    with logging_to(tmp_path, "error", stream=stream):
        log.warning("not shown")
        logging.getLogger("other").warning("not shown")
    messages = [line["message"] for line in lines_of(tmp_path / "toru.log")]
    assert messages == ["mine"]


def test_logging_is_as_before_once_it_ended(tmp_path: Path) -> None:
    before = (logging.getLogger().handlers[:], logging.getLogger().level, threading.excepthook)
    with logging_to(tmp_path, "debug", stream=io.StringIO()):
        pass
    assert before == (
        logging.getLogger().handlers[:],
        logging.getLogger().level,
        threading.excepthook,
    )


def test_a_thread_that_fails_is_logged(tmp_path: Path, expect_log: ExpectLog) -> None:
    expect_log("The thread doomed failed")
    with logging_to(tmp_path, "info", stream=io.StringIO()):
        thread = threading.Thread(target=lambda: 1 // 0, name="doomed")
        thread.start()
        thread.join()
    (line,) = lines_of(tmp_path / "toru.log")
    assert "doomed" in str(line["message"])
    assert "ZeroDivisionError" in str(line["error"])


def test_a_flood_drops_the_oldest_counts_them_and_never_blocks_the_caller(tmp_path: Path) -> None:
    release = threading.Event()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            release.wait(30)
            return super().write(text)

    with logging_to(tmp_path, "info", stream=Stuck(), queue_limit=10):
        for number in range(1000):
            log.info("line %d", number)
        release.set()
    messages = [str(line["message"]) for line in lines_of(tmp_path / "toru.log")]
    assert messages[-1] == "line 999"
    dropped = sum(int(text.split()[0]) for text in messages if "were dropped" in text)
    assert dropped + sum(text.startswith("line ") for text in messages) == 1000
    assert dropped > 900
