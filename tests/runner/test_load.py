"""Much output, many runs, storage that refuses: the runner stays small, fast and alive.

Runs on: pytest; needs /proc, sh, seq and head.
"""

from __future__ import annotations

import hashlib
import os
import random
import resource
import subprocess
import time
from pathlib import Path

from tests.runner.support import Hub, Runners, alive, wait_for
from toru.runner.records import read_exit
from toru.runner.store import Gap, OutputReader, Piece


def pss_kb(pid: int) -> int:
    return int(Path(f"/proc/{pid}/smaps_rollup").read_text().split("Pss:")[1].split()[0])


def descriptors(pid: int) -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))


def seconds_of_a_bare_loop(*argv: str) -> float:
    begun = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        while os.read(process.stdout.fileno(), 1 << 16):
            pass
    return time.perf_counter() - begun


def test_three_million_lines_are_kept_whole_and_not_much_slower_than_a_bare_loop(hub: Hub) -> None:
    bare, captured = [], []
    for number in range(5):
        bare.append(seconds_of_a_bare_loop("seq", "3000000"))
        begun = time.perf_counter()
        assert hub.run(f"r{number}", "seq", "3000000")["size"] == 22_888_896
        captured.append(time.perf_counter() - begun)
    expected = hashlib.sha256(subprocess.check_output(["seq", "3000000"])).digest()
    assert hashlib.sha256(hub.output("r0")).digest() == expected
    assert min(captured) < 6 * min(bare), (captured, bare)


def test_a_gigabyte_without_a_newline_is_capped_and_costs_no_memory(hub: Hub) -> None:
    pid = hub.hello["pid"]
    hub.sh("warm", "seq 100000")
    before = pss_kb(pid)
    exited = hub.sh("a", "head -c 1073741824 /dev/zero; echo end", output_limit_bytes=1 << 20)
    assert (exited["code"], exited["size"]) == (0, (1 << 30) + 4)
    assert pss_kb(pid) - before < 4_000
    assert (hub.directory("a") / "output.log").stat().st_size == 1 << 20
    with OutputReader(hub.directory("a")) as reader:
        assert reader.gap == (1 << 19, (1 << 30) + 4 - (1 << 19))
        last = reader.tail(10).pieces[-1]
        assert isinstance(last, Piece)
        assert last.data == bytes(6) + b"end\n"


def test_two_hundred_runs_at_once_take_hardly_longer_than_one_and_leave_nothing(hub: Hub) -> None:
    pid = hub.hello["pid"]
    script = "echo a; sleep 2; echo b"
    begun = time.monotonic()
    hub.sh("one", script)
    one = time.monotonic() - begun
    held, memory = descriptors(pid), pss_kb(pid)
    begun = time.monotonic()
    for number in range(200):
        hub.spawn(f"r{number}", "sh", "-c", script)
    for number in range(200):
        assert hub.wait("started", id=f"r{number}")
    assert len(list(Path(f"/proc/{pid}/task").iterdir())) == 1
    for number in range(200):
        assert hub.wait("exited", id=f"r{number}")["code"] == 0
    assert time.monotonic() - begun < 1.5 * one + 1
    assert {hub.output(f"r{number}") for number in range(200)} == {b"a\nb\n"}
    assert descriptors(pid) == held
    for number in range(200):
        hub.send(type="forget", id=f"r{number}")
    assert list(hub.list()) == ["one"]
    assert pss_kb(pid) - memory < 4_000


def test_a_thousand_short_runs_leave_no_zombie_and_no_descriptor(hub: Hub) -> None:
    pid = hub.hello["pid"]
    held = descriptors(pid)
    for number in range(1000):
        hub.spawn(f"r{number}", "true")
    for number in range(1000):
        assert hub.wait("exited", id=f"r{number}")["code"] == 0
    assert descriptors(pid) == held
    assert not Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    assert all(run["state"] == "exited" for run in hub.list().values())
    assert not any((hub.data / "runner" / "live").iterdir())


def test_more_runs_than_descriptors_are_refused_and_the_others_live(runners: Runners) -> None:
    process = runners.start()
    hub = runners.connect()
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (60, 60))
    for number in range(40):
        hub.spawn(f"r{number}", "sleep", "60")
    answers = [hub.wait("started", "refused") for _ in range(40)]
    refused = {answer["code"] for answer in answers if answer["type"] == "refused"}
    assert refused <= {"too_many_files", "storage"}
    assert refused
    assert len(hub.list()) == sum(answer["type"] == "started" for answer in answers) > 5
    hub.send(type="shutdown", end_runs=True)
    assert process.wait(20) == 0


def test_a_run_lives_on_when_its_output_cannot_be_stored(runners: Runners) -> None:
    process = runners.start()
    hub = runners.connect()
    before = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (100_000, before[1]))
    hub.start("a", "sh", "-c", "seq 100000; while [ ! -e go ]; do sleep 0.01; done; echo end")
    wait_for(lambda: hub.list()["a"]["size"] == 588_895, "all is read, though it cannot be kept")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, before)
    time.sleep(1.1)
    (hub.data / "go").touch()
    assert hub.wait("exited", id="a")["code"] == 0
    with OutputReader(hub.directory("a")) as reader:
        pieces = reader.read(0, 1 << 20).pieces
        assert [type(piece) for piece in pieces] == [Piece, Gap, Piece]
        assert (pieces[0].end, pieces[2][:3]) == (100_000, (1, 588_895, b"end\n"))


def test_records_that_cannot_be_written_break_nothing_and_are_tried_again(hub: Hub) -> None:
    blocked = [hub.directory("a") / f"{name}.json.new" for name in ("spawn", "exit")]
    for path in blocked:
        path.mkdir(parents=True)
    assert hub.sh("a", "exit 6")["code"] == 6
    assert read_exit(hub.directory("a")) is None
    assert hub.list()["a"]["code"] == 6
    for path in blocked:
        path.rmdir()
    end = wait_for(lambda: read_exit(hub.directory("a")), "the end is written down later")
    assert isinstance(end, dict)
    assert end["code"] == 6


def test_a_folder_that_is_deleted_during_the_run_breaks_nothing(hub: Hub) -> None:
    pid = hub.start("a", "sh", "-c", "while [ ! -e go ]; do sleep 0.01; done; exit 8")["pid"]
    for path in hub.directory("a").iterdir():
        path.unlink()
    hub.directory("a").rmdir()
    (hub.data / "go").touch()
    assert hub.wait("exited", id="a")["code"] == 8
    assert not alive(pid)


def test_a_quiet_run_is_served_while_another_floods(hub: Hub) -> None:
    hub.start("flood", "sh", "-c", "cat /dev/zero", output_limit_bytes=1 << 20)
    delays = []
    for number in range(20):
        begun = time.monotonic()
        hub.sh(f"r{number}", "echo hi")
        delays.append(time.monotonic() - begun)
    assert sorted(delays)[10] < 0.25, delays


SCRIPTS = [
    "echo a",
    "sleep 60",
    "trap '' TERM; while :; do sleep 0.05; done",
    "(setsid sleep 60 >/dev/null 2>&1 &); exit 1",
    "seq 20000",
    "kill -STOP $$",
    "exec >&- 2>&-; sleep 0.1",
    "sleep 0.05 & sleep 0.05 & wait",
]


def test_whatever_is_asked_in_whatever_order_every_run_ends_once(
    hub: Hub, runners: Runners
) -> None:
    generator = random.Random(11)
    pid, held = hub.hello["pid"], descriptors(hub.hello["pid"])
    asked = [f"r{number}" for number in range(120)]
    for number, run in enumerate(asked):
        relay = generator.random() < 0.3
        capture = {"capture": "relay", "relay_id": 1, "directory": None} if relay else {}
        hub.spawn(run, "sh", "-c", generator.choice(SCRIPTS), **capture)
        for _ in range(generator.randrange(3)):
            other = generator.choice(asked[: number + 1])
            match generator.randrange(4):
                case 0:
                    hub.send(type="cancel", id=other, grace_s=generator.choice([0, 0.1, 1]))
                case 1:
                    hub.send(type="signal", id=other, signal=generator.choice([1, 15, 18, 19]))
                case 2:
                    hub.send(type="forget", id=other)
                case 3:
                    hub.spawn(other, "true")
        if number % 40 == 39:
            hub.close()
            hub = runners.connect()
    for run in asked:
        hub.send(type="cancel", id=run, grace_s=0.2)
    wait_for(lambda: all(r["state"] == "exited" for r in hub.list().values()), "all end", 40)
    stored = [run for run in asked if (hub.directory(run) / "output.idx").exists()]
    for run in stored:
        end = read_exit(hub.directory(run))
        assert end is not None
        assert len(hub.output(run)) == end["size"]
    wait_for(lambda: not Path(f"/proc/{pid}/task/{pid}/children").read_text().split(), "no child")
    assert descriptors(pid) == held
    assert not any((hub.data / "runner" / "live").iterdir())
    assert alive(pid)
