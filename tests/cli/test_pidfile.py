"""The hub's pid file: one hub a data folder, and no stranger is taken for it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from toru.cli.pidfile import NAME, find_hub, hold
from toru.errors import ConfigError

HOLDER = (
    "import sys; from pathlib import Path; from toru.cli.pidfile import hold\n"
    "with hold(Path(sys.argv[1])):\n"
    "    print('held', flush=True); sys.stdin.read()\n"
)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that is the hub of ``tmp_path`` until its stdin is closed."""
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_the_holder_is_found_and_is_private(tmp_path: Path, holder: subprocess.Popen[str]) -> None:
    found = find_hub(tmp_path)
    assert found
    assert found.pid == holder.pid
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_a_second_hub_is_refused_with_the_pid_of_the_first(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    with pytest.raises(ConfigError, match=rf"pid {holder.pid}\b.*TORU_DATA_DIR"), hold(tmp_path):
        pytest.fail("two hubs hold one data folder")


def test_looking_for_the_hub_never_keeps_one_from_starting(tmp_path: Path) -> None:
    with hold(tmp_path):
        pass
    looker = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import fcntl, sys, time; file = open(sys.argv[1])\n"
            "fcntl.flock(file, fcntl.LOCK_SH); print('looks', flush=True); time.sleep(0.3)",
            str(tmp_path / NAME),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    with looker:
        assert looker.stdout
        assert looker.stdout.readline() == "looks\n"
        with hold(tmp_path):
            found = find_hub(tmp_path)
            assert found
            assert found.pid == os.getpid()


def test_there_is_no_hub_before_the_first_and_after_the_last(tmp_path: Path) -> None:
    assert find_hub(tmp_path) is None
    with hold(tmp_path):
        assert find_hub(tmp_path)
    assert find_hub(tmp_path) is None


def test_a_hub_that_was_killed_is_not_there_although_its_file_is(
    tmp_path: Path, holder: subprocess.Popen[str]
) -> None:
    holder.kill()
    holder.wait()
    assert json.loads((tmp_path / NAME).read_bytes())["pid"] == holder.pid
    assert find_hub(tmp_path) is None


@pytest.mark.parametrize("change", [{"start": 1}, {"boot": "another"}, {"pid": 1}, {"pid": -5}])
def test_a_stranger_with_the_pid_is_never_taken_for_the_hub(
    tmp_path: Path, holder: subprocess.Popen[str], change: dict[str, object]
) -> None:
    path = tmp_path / NAME
    path.write_text(json.dumps(json.loads(path.read_bytes()) | change))
    assert find_hub(tmp_path) is None


@pytest.mark.parametrize("content", ["", "{", "[]", "null", "4711"])
def test_a_file_that_makes_no_sense_names_nobody(
    tmp_path: Path, holder: subprocess.Popen[str], content: str
) -> None:
    (tmp_path / NAME).write_text(content)
    assert find_hub(tmp_path) is None


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be written"), hold(tmp_path / "missing"):
        pytest.fail("the file was made without its folder")
