"""The hub's log: one line a record whatever it holds, rotation without loss, no stall."""

from __future__ import annotations

import io
import json
import logging
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.log import JsonLinesFile, json_line, logging_to, visible

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


def test_rotation_is_by_rename_and_loses_no_line(tmp_path: Path) -> None:
    file = JsonLinesFile(tmp_path / "toru.log", rotate_bytes=1000, kept=50)
    for number in range(500):
        file.write(json_line({"n": number}))
    file.close()
    paths = sorted(tmp_path.iterdir(), key=lambda path: -int(path.suffix[1:].replace("log", "0")))
    assert len(paths) > 3
    assert all(path.stat().st_size <= 1000 for path in paths)
    assert [line["n"] for path in paths for line in lines_of(path)] == list(range(500))


def test_only_so_many_old_files_stay(tmp_path: Path) -> None:
    file = JsonLinesFile(tmp_path / "toru.log", rotate_bytes=100, kept=3)
    for number in range(200):
        file.write(json_line({"n": number}))
    file.close()
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["toru.log", "toru.log.1", "toru.log.2", "toru.log.3"]


def test_a_follower_of_the_old_file_reads_all_of_it(tmp_path: Path) -> None:
    path = tmp_path / "toru.log"
    file = JsonLinesFile(path, rotate_bytes=200, kept=5)
    file.write(json_line({"n": 0}))
    with path.open("rb") as follower:
        file.write(json_line({"n": 1, "pad": "x" * 150}))
        file.write(json_line({"n": 2, "pad": "x" * 150}))
        assert b'"n":0' in follower.read()
    file.close()


def test_a_full_disk_is_survived_counted_and_leaves_no_torn_line(tmp_path: Path) -> None:
    """A file size limit stands for the disk: writes are cut, then fail."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from toru.log import JsonLinesFile, json_line\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "file = JsonLinesFile(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (500, resource.RLIM_INFINITY))\n"
        "for n in range(100): file.write(json_line({'n': n}))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)\n"
        "file.write(json_line({'n': 100}))\n"
    )
    if resource.getrlimit(resource.RLIMIT_FSIZE)[1] != resource.RLIM_INFINITY:
        pytest.skip("the file size limit of this shell cannot be raised again")
    path = tmp_path / "toru.log"
    subprocess.run([sys.executable, "-c", code, str(path)], check=True, timeout=30)
    whole, torn = [], []
    for line in path.read_bytes().splitlines():
        try:
            whole.append(json.loads(line))
        except ValueError:
            torn.append(line)
    assert len(torn) <= 1
    written = [line["n"] for line in whole if "n" in line]
    lost = next(str(line["message"]) for line in whole if "message" in line)
    assert written == [*range(len(written) - 1), 100]
    assert lost.startswith(f"{101 - len(written)} log lines could not be written")


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
