"""One runner after another: killed, restarted, rebooted, idle, twice at once.

Runs on: pytest; needs /proc and sh.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.runner.support import TIMEOUT_S, Hub, Runners, alive, wait_for
from tests.runner.test_trees import STUBBORN, misbehave
from toru.runner import launch
from toru.runner.records import read_exit
from toru.runner.store import OutputReader


def interrupted(hub: Hub, run: str) -> dict[str, object]:
    """Wait until the run of the killed runner has ended, and return its end."""

    def ended() -> dict[str, object] | None:
        found = hub.list()[run]
        return found if found["state"] == "exited" else None

    found = wait_for(ended, f"{run} has ended")
    assert isinstance(found, dict)
    assert read_exit(hub.directory(run)) == {
        name: value for name, value in found.items() if name not in {"state", "pid"}
    }
    return found


@pytest.mark.parametrize("how", ["keeps", "closes", "forgets"])
def test_what_a_killed_runner_leaves_is_ended_and_reported(runners: Runners, how: str) -> None:
    first = runners.start()
    hub = runners.connect()
    leader = hub.start("a", *misbehave("daemon", how, "stay"))["pid"]
    (daemon,) = hub.numbers("a", 1)
    size = len(hub.output("a"))
    runners.kill(first)
    runners.start()
    hub = runners.connect()
    end = interrupted(hub, "a")
    assert (end["reason"], end["code"], end["size"]) == ("interrupted", None, size)
    assert {item["pid"]: item["ended"] for item in end["leftovers"]} == {  # type: ignore[attr-defined] - a list
        pid: True for pid in (leader, daemon) if pid
    }
    assert not alive(leader)
    assert not alive(daemon)
    assert hub.output("a") == f"{daemon}\n".encode()
    assert hub.sh("b", "echo next")["code"] == 0
    assert hub.list()["b"]["state"] == "exited"
    assert not any((hub.data / "runner" / "live").iterdir())


def test_survivors_that_ignore_term_are_killed(runners: Runners) -> None:
    first = runners.start()
    hub = runners.connect()
    hub.start("a", "sh", "-c", STUBBORN)
    (pid,) = hub.numbers("a", 1)
    runners.kill(first)
    runners.start()
    interrupted(runners.connect(), "a")
    assert not alive(pid)


def test_after_a_reboot_no_process_is_signalled(runners: Runners) -> None:
    first = runners.start()
    hub = runners.connect()
    pid = hub.start("a", "sh", "-c", "echo $$; exec sleep 60")["pid"]
    hub.numbers("a", 1)
    runners.kill(first)
    for path in (hub.data / "runner" / "live" / "a", hub.directory("a") / "spawn.json"):
        record = json.loads(path.read_text())
        path.write_text(json.dumps({**record, "boot_id": "another"}))
    runners.start()
    end = interrupted(runners.connect(), "a")
    assert (end["reason"], end["leftovers"]) == ("interrupted", [])
    assert alive(pid)
    os.kill(pid, signal.SIGKILL)


def test_a_stranger_with_a_pid_used_again_is_not_signalled(runners: Runners) -> None:
    # Before the run, because start times are told in hundredths of a second.
    stranger = subprocess.Popen(["sleep", "60"])
    try:
        first = runners.start()
        hub = runners.connect()
        pid = hub.start("a", "sleep", "60")["pid"]
        runners.kill(first)
        os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not alive(pid), "the run's own process is gone")
        path = hub.data / "runner" / "live" / "a"
        path.write_text(json.dumps({**json.loads(path.read_text()), "pid": stranger.pid}))
        runners.start()
        assert interrupted(runners.connect(), "a")["leftovers"] == []
        assert stranger.poll() is None
    finally:
        stranger.kill()
        stranger.wait()


def test_a_marker_that_is_garbage_or_has_no_folder_does_not_stop_the_start(
    runners: Runners,
) -> None:
    live = runners.data / "runner" / "live"
    live.mkdir(parents=True)
    (live / "a").write_bytes(b"\xff{")
    (live / "b").write_text(json.dumps({"directory": str(runners.data / "gone"), "pid": 1}))
    (live / "c.new").write_text("{")
    runners.start()
    hub = runners.connect()
    wait_for(lambda: {r["state"] for r in hub.list().values()} == {"exited"}, "both have ended")
    wait_for(lambda: not (live / "b").exists(), "the markers are gone")


def test_a_run_that_ended_before_the_runner_was_killed_keeps_its_end(runners: Runners) -> None:
    first = runners.start()
    hub = runners.connect()
    end = hub.sh("a", "exit 3")
    runners.kill(first)
    runners.start()
    hub = runners.connect()
    assert hub.list() == {}
    found = read_exit(hub.directory("a"))
    assert found is not None
    assert found["code"] == end["code"] == 3


def test_output_that_came_before_the_kill_can_be_read(runners: Runners) -> None:
    first = runners.start()
    hub = runners.connect()
    hub.start("a", "sh", "-c", "while :; do echo line; done", output_limit_bytes=1 << 16)
    wait_for(lambda: len(hub.list()) and hub.list()["a"]["size"] > 1 << 18, "the ring is in use")
    runners.kill(first)
    with OutputReader(hub.directory("a")) as reader:
        size = reader.size
        assert not reader.finished
        assert reader.gap is not None
        output = b"".join(reader.raw())
        assert reader.tail(4000).next_offset == size
    assert set(output.split(b"\n")[:6000]) == {b"line"}
    runners.start()
    end = interrupted(runners.connect(), "a")
    assert end["size"] == size


def test_the_start_takes_no_longer_for_the_runs_that_have_ended(runners: Runners) -> None:
    for number in range(10_000):
        directory = runners.data / "runs" / f"{number:05}"
        directory.mkdir(parents=True)
        (directory / "spawn.json").touch()
        (directory / "exit.json").touch()
    begun = time.monotonic()
    runners.start()
    hub = runners.connect()
    assert time.monotonic() - begun < 2
    assert hub.list() == {}


def test_a_second_runner_leaves_with_0_and_disturbs_nobody(runners: Runners) -> None:
    runners.start()
    hub = runners.connect()
    hub.start("a", "sleep", "60")
    assert runners.start().wait(TIMEOUT_S) == 0
    assert hub.list()["a"]["state"] == "running"


def test_starting_detached_is_safe_twenty_times_and_leaves_no_child(tmp_path: Path) -> None:
    runners = Runners(tmp_path)
    for _ in range(20):
        launch.start(tmp_path)
    hub = runners.connect()
    wait_for(lambda: len(serving(tmp_path)) == 1, "the others have found the lock taken")
    assert (os.getppid() != hub.hello["pid"], os.getpid() in session_of(hub)) == (True, False)
    own = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    assert str(hub.hello["pid"]) not in own
    hub.send(type="shutdown", end_runs=True)
    wait_for(lambda: not alive(hub.hello["pid"]), "it leaves")
    hub.close()


def serving(data: Path) -> list[str]:
    """Return the processes that serve, or are about to find out that another does."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            words = path.read_bytes().split(b"\0")
            if os.fsencode(data) in words and b"-P" in words:
                found.append(path.parent.name)
    return found


def session_of(hub: Hub) -> set[int]:
    return {os.getsid(hub.hello["pid"])}


def test_a_runner_has_no_secret_of_the_hub_in_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADMIN_PASSWORD", "Secret-1-Secret")
    launch.start(tmp_path)
    hub = Runners(tmp_path).connect()
    pid = hub.hello["pid"]
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    hub.send(type="shutdown", end_runs=True)
    wait_for(lambda: not alive(pid), "it leaves")
    hub.close()
    assert b"PATH=" in environment
    assert b"Secret" not in environment


def test_a_runner_inside_a_run_of_another_is_ended_with_it(
    hub: Hub, runners: Runners, tmp_path: Path
) -> None:
    inner = Runners(tmp_path / "inner")
    hub.start("outer", *launch.command(inner.data))
    inner_hub = inner.connect()
    inner_pid = inner_hub.start("a", "sh", "-c", STUBBORN)["pid"]
    inner_hub.numbers("a", 1)
    hub.send(type="cancel", id="outer", grace_s=0)
    hub.wait("exited", id="outer")
    assert not alive(inner_pid)
    assert not alive(inner_hub.hello["pid"])
    inner_hub.close()


def test_a_runner_with_nothing_to_hold_leaves_after_a_while(runners: Runners) -> None:
    process = runners.start(TORU_RUNNER_IDLE_S="0.2")
    assert process.wait(TIMEOUT_S) == 0


def test_a_runner_stays_while_a_hub_is_there_or_a_run_goes_on(runners: Runners) -> None:
    process = runners.start(TORU_RUNNER_IDLE_S="0.2")
    hub = runners.connect()
    hub.start("a", "sh", "-c", "sleep 0.8")
    time.sleep(0.4)
    hub.close()
    time.sleep(0.3)
    assert process.poll() is None
    assert process.wait(TIMEOUT_S) == 0
    found = read_exit(hub.directory("a"))
    assert found is not None
    assert found["code"] == 0


def test_term_ends_the_runs_in_order_and_then_the_runner(runners: Runners) -> None:
    process = runners.start()
    hub = runners.connect()
    hub.start(
        "a", "sh", "-c", "trap 'echo bye; exit 2' TERM; echo $$; while :; do sleep 0.01; done"
    )
    hub.numbers("a", 1)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGINT)
    hub.send(type="ping")
    hub.wait("pong")
    process.send_signal(signal.SIGTERM)
    assert hub.wait("exited", id="a")["code"] == 2
    assert process.wait(TIMEOUT_S) == 0
    assert b"bye\n" in hub.output("a")


def test_the_runner_needs_nothing_but_the_standard_library(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.append(sys.argv[1]); import pkgutil, importlib, toru.runner as r\n"
        "for module in pkgutil.iter_modules(r.__path__, 'toru.runner.'):\n"
        "    importlib.import_module(module.name)\n"
        "import toru.wire.frames, toru.wire.unix_paths\n"
        "known = set(sys.stdlib_module_names) | {'toru', '__main__'}\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} - known))"
    )
    root = str(Path(launch.__file__).parents[2])
    command = [sys.executable, "-S", "-E", "-P", "-c", code, root]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert result.stdout.strip() == "[]"


def test_the_runner_is_small(hub: Hub) -> None:
    memory = Path(f"/proc/{hub.hello['pid']}/smaps_rollup").read_text()
    assert int(memory.split("Pss:")[1].split()[0]) < 16_000
