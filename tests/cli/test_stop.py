"""``toru stop``: the hub goes, scripts stay, unless they are to go too."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.support import CommandLine
from tests.cli.test_pidfile import HOLDER
from tests.support.hub import HubProcess, wait_until
from toru.runner.platform import find_process


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path / "hub") as running:
        yield running


def start_endless(hub: HubProcess, toru: CommandLine) -> int:
    """Start a script that does not end, and return its pid."""
    hub.script("endless.sh", "echo $$ > pid; sleep 600\n")
    assert toru.call("run", "endless.sh", "--no-follow").returncode == 0
    path = hub.scripts_dir / "pid"
    wait_until(lambda: path.exists() and path.read_text().strip(), what="the script's pid")
    return int(path.read_text())


def lives(pid: int) -> bool:
    found = find_process(pid)
    return found is not None and not found.zombie


def test_stop_ends_the_hub_and_leaves_the_scripts(hub: HubProcess, tmp_path: Path) -> None:
    toru = CommandLine(hub, tmp_path)
    script = start_endless(hub, toru)
    result = toru.call("stop")
    assert result.returncode == 0, result.stderr
    assert hub.process
    assert hub.process.wait(5) == 0
    assert lives(script)
    again = toru.call("stop")
    assert again.returncode == 0
    assert "No hub runs" in again.stderr


def test_stop_all_asks_first_and_then_ends_scripts_and_runner(
    hub: HubProcess, tmp_path: Path
) -> None:
    toru = CommandLine(hub, tmp_path)
    script = start_endless(hub, toru)
    unsure = toru.call("stop", "--all")
    assert unsure.returncode == 1
    assert "--yes" in unsure.stderr
    assert lives(script)
    sure = toru.call("stop", "--all", "--yes")
    assert sure.returncode == 0, sure.stderr
    assert not lives(script)
    assert not hub.runner_socket.exists()


def test_stop_all_ends_an_idle_runner_without_a_question(hub: HubProcess, tmp_path: Path) -> None:
    result = CommandLine(hub, tmp_path).call("stop", "--all")
    assert result.returncode == 0, result.stderr
    assert "The runner is stopped." in result.stderr
    assert not hub.runner_socket.exists()


def test_a_stranger_who_has_the_pid_of_a_dead_hub_is_left_alone(
    hub: HubProcess, tmp_path: Path
) -> None:
    hub.kill()
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        (hub.data_dir / "hub.pid").write_text(f'{{"pid": {stranger.pid}}}')
        result = CommandLine(hub, tmp_path).call("stop")
        assert result.returncode == 0
        assert "No hub runs" in result.stderr
        assert stranger.poll() is None
        stranger.kill()


def test_stop_waits_until_the_hub_is_gone(tmp_path: Path) -> None:
    """A process that takes two seconds to end, as a hub that drains its requests."""
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: (time.sleep(2), sys.exit(0)))\n"
    )
    command = [sys.executable, "-c", HOLDER.replace("\n", f"\n{code}", 1), str(tmp_path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == "held\n"
        stopping = subprocess.run(
            [sys.executable, "-m", "toru", "stop"],
            env=os.environ | {"TORU_DATA_DIR": str(tmp_path)},
            timeout=60,
            capture_output=True,
            text=True,
            check=False,
        )
        assert holder.poll() == 0
        assert stopping.returncode == 0
        assert f"pid {holder.pid}" in stopping.stderr
