"""Runs that start, write and end, on a real runner.

Runs on: pytest; needs /proc, sh and seq.
"""

from __future__ import annotations

import os
import signal
import stat
import sys
from pathlib import Path

import pytest

from tests.runner.support import Hub, alive, wait_for
from toru.runner.records import read_exit
from toru.runner.store import STDERR, STDOUT, OutputReader, Piece
from toru.wire.frames import DataFrame


def test_a_run_has_its_output_exit_code_figures_and_records(hub: Hub) -> None:
    started = hub.start("a", "sh", "-c", "echo one; sleep 0.05; echo two >&2; exit 7")
    exited = hub.wait("exited", id="a")
    with OutputReader(hub.directory("a")) as reader:
        pieces = [piece[:3] for piece in reader.read(0, 100).pieces]
        assert reader.finished
    assert pieces == [(STDOUT, 0, b"one\n"), (STDERR, 4, b"two\n")]
    assert (exited["code"], exited["size"], exited["reason"]) == (7, 8, "exit")
    assert exited["cancelled"] is False
    assert exited["leftovers"] == []
    assert exited["started_at"] == started["started_at"] < exited["finished_at"]
    assert exited["cpu_user_s"] + exited["cpu_system_s"] < 1
    assert exited["max_rss_bytes"] > 500_000
    assert read_exit(hub.directory("a")) == {k: v for k, v in exited.items() if k != "type"}
    assert hub.list()["a"]["state"] == "exited"
    hub.send(type="forget", id="a")
    assert hub.list() == {}


def test_progress_comes_at_once_when_the_line_was_idle(hub: Hub) -> None:
    hub.start("a", "sh", "-c", "echo one; sleep 60")
    assert hub.wait("progress", id="a")["size"] == 4
    assert hub.output("a") == b"one\n"
    assert hub.list()["a"]["state"] == "running"


def test_the_code_of_a_run_that_died_of_a_signal_is_negative(hub: Hub) -> None:
    assert hub.sh("a", "kill -SEGV $$")["code"] == -signal.SIGSEGV


def test_a_run_gets_exactly_its_environment(hub: Hub) -> None:
    hub.run("a", "/usr/bin/env", env={"ONE": "1", "PATH": "/bin"})
    lines = sorted(hub.output("a").splitlines())
    assert lines == [b"ONE=1", b"PATH=/bin", b"TORU_RUN_ID=a"]


def test_a_run_has_the_descriptors_0_1_2_and_reads_an_empty_stdin(hub: Hub) -> None:
    code = "import os, sys; print(sys.stdin.read(), sorted(os.listdir('/proc/self/fd')))"
    hub.run("a", sys.executable, "-S", "-c", code)
    # 3 is the listing itself.
    assert hub.output("a") == b" ['0', '1', '2', '3']\n"


def test_a_run_begins_with_no_signal_ignored_or_blocked_and_the_usual_limits(hub: Hub) -> None:
    hub.sh("a", "grep -E '^Sig(Ign|Blk)' /proc/self/status; ulimit -n; umask")
    mask = os.umask(0o022)
    os.umask(mask)
    import resource

    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    lines = hub.output("a").split()
    # 32 and 33 are glibc's own: GNU make leaves them ignored, and nobody can set them otherwise.
    glibc = 1 << 31 | 1 << 32
    assert int(lines[1], 16) & ~glibc == int(lines[3], 16) & ~glibc == 0
    assert int(lines[4]) == descriptors
    assert int(lines[5], 8) == mask


def test_the_files_are_for_the_owner_alone(hub: Hub) -> None:
    hub.sh("a", "echo")
    for path in [*hub.directory("a").iterdir(), hub.data / "runner" / "runner.sock"]:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(hub.directory("a").stat().st_mode) == 0o700


def script(path: Path, text: bytes, mode: int = 0o755) -> str:
    path.write_bytes(text)
    path.chmod(mode)
    return str(path)


@pytest.mark.parametrize(
    ("name", "text", "mode", "code", "words"),
    [
        ("missing", None, 0, "no_such_program", "There is no program"),
        ("plain", b"#!/bin/sh\n", 0o644, "not_executable", "may not be executed"),
        ("lost", b"#!/no/such/sh\n", 0o755, "missing_interpreter", "'/no/such/sh' is missing"),
        ("dos", b"#!/bin/sh\r\necho\r\n", 0o755, "missing_interpreter", r"'/bin/sh\r' is missing"),
        ("text", b"hello\n", 0o755, "exec_format", "no format"),
        ("empty", b"", 0o755, "exec_format", "no format"),
        ("elf", b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\0\x28\0", 0o755, "exec_format", ""),
        ("n" * 300, None, 0, "no_such_program", "too long a name"),
    ],
)
def test_a_program_that_cannot_start_is_refused_with_a_sentence(
    hub: Hub, name: str, text: bytes | None, mode: int, code: str, words: str
) -> None:
    program = hub.data / name
    hub.spawn("a", str(program) if text is None else script(program, text, mode))
    refused = hub.wait("refused", "started")
    assert refused["code"] == code, refused
    assert words in refused["error"]
    assert refused["error"].endswith(".")
    assert hub.list() == {}
    assert not any(hub.directory("a").iterdir())
    assert not any((hub.data / "runner" / "live").iterdir())
    assert hub.sh("a", "echo")["code"] == 0, "the same id may be tried again"


def test_a_folder_and_a_fifo_are_no_programs(hub: Hub) -> None:
    hub.spawn("a", str(hub.data))
    assert hub.wait("refused")["code"] == "not_executable"
    os.mkfifo(hub.data / "fifo", 0o755)
    hub.spawn("b", str(hub.data / "fifo"))
    assert hub.wait("refused")["code"] == "not_executable"


@pytest.mark.parametrize("cwd", ["/no/such/folder", "/dev/null"])
def test_a_folder_that_cannot_be_entered_is_named(hub: Hub, cwd: str) -> None:
    hub.spawn("a", "true", cwd=cwd)
    refused = hub.wait("refused")
    assert (refused["code"], cwd in refused["error"]) == ("no_such_cwd", True)


def test_arguments_that_are_too_long_are_refused(hub: Hub) -> None:
    hub.spawn("a", "true", "x" * 3_000_000)
    assert hub.wait("refused")["code"] == "too_long"


def test_a_folder_that_cannot_be_written_refuses_the_run(hub: Hub) -> None:
    (hub.data / "runs").write_text("a file")
    hub.spawn("a", "true")
    assert hub.wait("refused")["code"] == "storage"


@pytest.mark.parametrize(
    "change",
    [
        {"id": "../a"},
        {"id": ".hidden"},
        {"id": "a/b"},
        {"id": ""},
        {"id": 7},
        {"argv": []},
        {"argv": [""]},
        {"argv": "sh"},
        {"argv": ["sh", 1]},
        {"argv": ["a\0b"]},
        {"argv": ["sh", "\ud800"]},
        {"cwd": None},
        {"env": {"A=B": "1"}},
        {"env": {"A": 1}},
        {"env": []},
        {"directory": None},
        {"directory": "/tmp/\ud800"},
        {"capture": "keep"},
        {"capture": "relay"},
        {"capture": "relay", "relay_id": 1 << 32},
        {"output_limit_bytes": 1},
        {"output_limit_bytes": True},
        {"output_limit_bytes": 1.5},
        {"hub_gone_s": -1},
        {"drain_s": -1},
        {"drain_s": 2.5},
        {"time_limit_s": "9"},
        {"leftovers": "kill"},
    ],
)
def test_a_wrong_field_is_refused_and_changes_nothing(hub: Hub, change: dict[str, object]) -> None:
    argv = change.pop("argv", ["true"])
    message = {"id": "a", "argv": argv, "cwd": "/", "env": {}, "capture": "store"}
    message |= {"directory": str(hub.directory("a")), "output_limit_bytes": 4096}
    hub.send(type="spawn", **{**message, **change})
    assert hub.wait("refused")["code"] in {"bad_request", "storage"}
    assert hub.list() == {}


def test_a_spawn_that_is_sent_again_starts_nothing(hub: Hub) -> None:
    first = hub.start("a", "sh", "-c", "echo $$; sleep 60")
    assert hub.start("a", "sh", "-c", "echo $$; sleep 60") == first
    hub.numbers("a", 1)
    hub.send(type="cancel", id="a", grace_s=5)
    exited = hub.wait("exited", id="a")
    hub.spawn("a", "true")
    assert hub.wait("started") == first
    assert hub.wait("exited") == exited
    assert hub.output("a").count(b"\n") == 1


def test_a_run_that_was_forgotten_is_not_started_again(hub: Hub) -> None:
    hub.sh("a", "echo once")
    hub.send(type="forget", id="a")
    hub.spawn("a", "true")
    assert hub.wait("refused")["code"] == "already_ran"
    assert hub.output("a") == b"once\n"


def test_a_run_that_goes_on_cannot_be_forgotten(hub: Hub) -> None:
    hub.start("a", "sleep", "60")
    hub.send(type="forget", id="a")
    assert hub.wait("error", id="a")["code"] == "still_running"


def test_a_time_limit_ends_a_run(hub: Hub) -> None:
    exited = hub.run("a", "sleep", "60", time_limit_s=0.2)
    assert (exited["code"], exited["reason"]) == (-signal.SIGTERM, "time_limit")
    assert exited["cancelled"] is False


def test_a_signal_reaches_the_whole_tree(hub: Hub) -> None:
    child = "trap 'echo got; exit 3' USR1; echo $$; while :; do sleep 0.01; done"
    hub.start("a", "sh", "-c", 'trap : USR1; sh -c "$0" & wait; wait; echo end', child)
    hub.numbers("a", 1)
    hub.send(type="signal", id="a", signal=signal.SIGUSR1)
    assert hub.wait("exited", id="a")["reason"] == "exit"
    assert {b"got", b"end"} <= set(hub.output("a").splitlines())


def test_a_script_that_is_changed_while_it_runs_ends_all_the_same(hub: Hub) -> None:
    path = hub.data / "self.sh"
    script(path, b"echo before\nsleep 0.3\necho after\n")
    hub.start("a", "sh", str(path))
    hub.wait("progress", id="a")
    path.with_suffix(".new").write_bytes(b"exit 9\n")
    path.with_suffix(".new").replace(path)
    assert hub.wait("exited", id="a")["code"] == 0
    assert hub.output("a") == b"before\nafter\n"


def test_stdout_closed_early_does_not_end_the_run(hub: Hub) -> None:
    assert hub.sh("a", "echo one; exec >&- 2>&-; sleep 0.2; exit 4")["code"] == 4
    assert hub.output("a") == b"one\n"


def relayed(hub: Hub, run: str) -> tuple[bytes, bytes, dict[str, object]]:
    exited = hub.wait("exited", id=run)
    frames = [frame for frame in hub.events if isinstance(frame, DataFrame)]
    out = b"".join(frame.payload for frame in frames if not frame.text)
    err = b"".join(frame.payload for frame in frames if frame.text)
    assert {frame.id for frame in frames} <= {42}
    return out, err, exited


def test_relayed_output_comes_as_data_frames_before_the_exit(hub: Hub) -> None:
    hub.spawn(
        "a", "sh", "-c", "echo out; echo err >&2", capture="relay", relay_id=42, directory=None
    )
    out, err, exited = relayed(hub, "a")
    assert (out, err, exited["size"]) == (b"out\n", b"err\n", 8)


def test_a_relay_of_any_length_arrives_whole_at_a_hub_that_reads(hub: Hub) -> None:
    hub.spawn("a", "seq", "2000000", capture="relay", relay_id=42, directory=None)
    out, _, exited = relayed(hub, "a")
    assert out == b"".join(b"%d\n" % n for n in range(1, 2_000_001))
    assert exited["code"] == 0


def test_a_relay_limit_drops_the_rest_and_lets_the_run_end(hub: Hub) -> None:
    script = "seq 1000000; echo not seen >&2"
    hub.spawn(
        "a",
        "sh",
        "-c",
        script,
        capture="relay",
        relay_id=42,
        directory=None,
        relay_limit_bytes=100_000,
    )
    out, err, exited = relayed(hub, "a")
    assert (len(out), err, exited["code"]) == (100_000, b"", 0)
    assert exited["size"] == 6_888_896 + 9


def test_binary_output_and_text_split_between_writes_are_kept_as_they_are(hub: Hub) -> None:
    code = (
        "import os, time; os.write(1, bytes(range(256)) + b'\\xc3'); time.sleep(0.1); "
        "os.write(1, b'\\xa4')"
    )
    hub.run("a", sys.executable, "-S", "-c", code)
    assert hub.output("a") == bytes(range(256)) + "ä".encode()


def test_writes_of_one_byte_do_not_need_a_record_each(hub: Hub) -> None:
    code = "import os\nfor _ in range(20000): os.write(1, b'x')"
    hub.run("a", sys.executable, "-S", "-c", code)
    assert hub.output("a") == b"x" * 20_000
    assert (hub.directory("a") / "output.idx").stat().st_size < 20_000
    with OutputReader(hub.directory("a")) as reader:
        assert [len(piece.data) for piece in reader.read(0, 1 << 20).pieces
                if isinstance(piece, Piece)] == [20_000]  # fmt: skip


def test_a_run_killed_from_outside_has_that_signal_as_its_code(hub: Hub) -> None:
    pid = hub.start("a", "sleep", "60")["pid"]
    os.kill(pid, signal.SIGKILL)
    assert hub.wait("exited", id="a")["code"] == -signal.SIGKILL
    wait_for(lambda: not alive(pid), "no zombie is left")
