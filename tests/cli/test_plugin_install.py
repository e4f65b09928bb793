"""``toru plugin install``, ``rollback`` and ``remove``, as a process, with a hub and without."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.support import CommandLine
from tests.plugins.installing import executable, quick
from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import Plugins, processes_of
from toru.cli import plugin_install
from toru.cli.main import main
from toru.storage.plugin_versions import PluginVersions, sha256_of


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), TORU_PLUGIN_BACKOFF="1") as running:
        yield running
        running.stop()
        assert not processes_of(running.plugins_dir)
    assert "Traceback" not in running.log, running.log


@pytest.fixture
def toru(hub: HubProcess, tmp_path: Path) -> CommandLine:
    toru = CommandLine(hub, tmp_path)
    toru.environ["TORU_PLUGINS_DIR"] = str(hub.plugins_dir)
    return toru


class Alone:
    """The command line where no hub runs, in the test's own process, with a plugins folder."""

    def __init__(
        self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        self.hub = HubProcess(folder)
        self.plugins_dir = self.hub.plugins_dir
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.delenv("TORU_URL", raising=False)
        monkeypatch.setenv("STEERING_PORT", "1")
        monkeypatch.setenv("TORU_PLUGINS_DIR", str(self.plugins_dir))
        monkeypatch.setenv("TORU_DATA_DIR", str(self.hub.data_dir))
        monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Call it to its end."""
        self._monkeypatch.setattr(sys, "argv", ["toru", *words])
        code = main()
        out, err = self._capsys.readouterr()
        return subprocess.CompletedProcess(words, code, out, err)


@pytest.fixture
def alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Alone:
    return Alone(tmp_path / "hub", monkeypatch, capsys)


def test_install_starts_a_version_rollback_brings_the_one_before_back_and_remove_ends_it(
    hub: HubProcess, toru: CommandLine, tmp_path: Path
) -> None:
    plugins = Plugins(hub)
    file = executable(tmp_path / "built", quick("tool-v2", "1.0"))
    first = toru.call("plugin", "install", str(file))
    assert first.returncode == 0, first.stderr
    assert "tool-v2: It is installed as version 1.0." in first.stdout
    assert sha256_of(file) in first.stdout
    again = toru.call("plugin", "install", str(file))
    assert again.returncode == 0
    assert "is what is installed already" in again.stdout

    executable(file, quick("tool-v2", "2.0"))
    digest = sha256_of(file)
    wrong = toru.call("plugin", "install", str(file), "--sha256", "0" * 64)
    assert wrong.returncode == 1
    assert f"Nothing was done: {file} has the SHA-256 {digest}" in wrong.stderr
    second = toru.call("plugin", "install", str(file), "--sha256", digest, "--json")
    assert second.returncode == 0, second.stderr
    told = json.loads(second.stdout)
    assert (told["outcome"], told["version"], told["previous_version"]) == ("started", "2.0", "1.0")
    assert plugins.ask("tool-v2").json == {"version": "2.0"}

    executable(file, quick("tool-v2", "3.0", serve='sys.exit("no licence")'))
    broken = toru.call("plugin", "install", str(file))
    assert broken.returncode == 1
    assert "toru: Not installed: It exited with code 1 before it was ready." in broken.stderr
    assert "no licence" in broken.stderr
    assert "Version 2.0 is as it was." in broken.stderr
    assert plugins.ask("tool-v2").json == {"version": "2.0"}

    back = toru.call("plugin", "rollback", "tool-v2")
    assert back.returncode == 0, back.stderr
    assert "It is rolled back to version 1.0 in place of 2.0." in back.stdout
    assert plugins.ask("tool-v2").json == {"version": "1.0"}

    unsure = toru.call("plugin", "remove", "tool-v2")
    assert unsure.returncode == 1
    assert "--yes" in unsure.stderr
    gone = toru.call("plugin", "remove", "tool-v2", "--yes")
    assert gone.returncode == 0, gone.stderr
    wait_until(lambda: not plugins.view("tool-v2"), what="the end of the plugin")
    assert toru.call("plugin", "remove", "tool-v2", "--yes").returncode == 1
    nothing = toru.call("plugin", "rollback", "tool-v2")
    assert nothing.returncode == 1
    assert "was not installed" in nothing.stderr


def test_what_the_plugin_is_busy_with_is_told_while_it_starts(
    hub: HubProcess, toru: CommandLine, tmp_path: Path
) -> None:
    text = quick("chatty-v2", "1").replace('return frame({"type": "ready"})', "return ready()")
    ready = (
        "def ready():\n    import threading, time\n"
        '    def later():\n        time.sleep(1)\n        held.sendall(frame({"type": "ready"}))\n'
        "    threading.Thread(target=later).start()\n"
        '    status = {"type": "status", "text": "Reading the index", "extend_ms": 60000}\n'
        "    return frame(status)\n\n\n"
    )
    text = text.replace("def receive(", f"{ready}def receive(")
    text = text.replace(
        "    data = connection.recv",
        "    global held\n    held = connection\n    data = connection.recv",
    )
    result = toru.call("plugin", "install", str(executable(tmp_path / "built", text)))
    assert result.returncode == 0, result.stderr
    assert "Reading the index" in result.stderr


def test_who_cannot_log_in_or_is_no_admin_installs_nothing(
    hub: HubProcess, toru: CommandLine, tmp_path: Path
) -> None:
    hub.add_client("guest", "Client-pass-1")
    file = executable(tmp_path / "built", quick("foreign-v2", "1"))
    wrong = toru.call("plugin", "install", str(file), TORU_PASSWORD="wrong")
    assert wrong.returncode == 125
    assert "login was refused" in wrong.stderr
    guest = toru.call("plugin", "install", str(file), "-u", "guest", TORU_PASSWORD="Client-pass-1")
    assert guest.returncode == 125
    assert "foreign-v2" not in Plugins(hub).all()
    assert not list((hub.plugins_dir / ".metadata" / "incoming").iterdir())


def test_another_folder_than_the_hubs_is_said_so(toru: CommandLine, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    file = executable(tmp_path / "built", quick("astray-v2", "1"))
    result = toru.call("plugin", "install", str(file), "--plugins-dir", str(other))
    assert result.returncode == 1
    assert "below the hub's plugins folder" in result.stderr
    assert not list((other / ".metadata" / "incoming").iterdir())


def test_what_is_asked_wrongly_is_said_in_one_sentence(alone: Alone, tmp_path: Path) -> None:
    file = executable(tmp_path / "built", quick("x-v2", "1"))
    for words, said in (
        ((str(tmp_path / "none"),), "is not a file"),
        ((str(file), "--sha256", "12"), "64 digits"),
        ((str(file), "--plugins-dir", str(tmp_path / "none")), "no plugins folder"),
    ):
        result = alone.call("plugin", "install", *words)
        assert (result.returncode, len(result.stderr.splitlines())) == (2, 1), result.stderr
        assert said in result.stderr
    unreachable = alone.call("plugin", "install", str(file), "--url", "http://127.0.0.1:1")
    assert unreachable.returncode == 125
    assert "No hub answers" in unreachable.stderr


def test_a_file_that_changes_after_it_was_looked_at_is_not_installed(
    alone: Alone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = executable(tmp_path / "built", quick("moving-v2", "1"))
    monkeypatch.setattr(plugin_install, "sha256_of", lambda _: "a" * 64)  # what it had before
    result = alone.call("plugin", "install", str(file), "--sha256", "a" * 64)
    assert result.returncode == 1
    assert "was changed just now" in result.stderr
    assert [path.name for path in alone.plugins_dir.iterdir()] == [".metadata"]
    assert not list((alone.plugins_dir / ".metadata" / "incoming").iterdir())


def test_without_a_hub_the_same_checks_are_made_and_the_file_is_there_for_its_start(
    alone: Alone, tmp_path: Path
) -> None:
    folder = alone.plugins_dir
    executable(folder / "neighbour.binary", quick("neighbour-v1", "1"))
    file = executable(tmp_path / "built", quick("early-v2", "1"))
    first = alone.call("plugin", "install", str(file))
    assert first.returncode == 0, first.stderr
    assert "Version 1 is in place, and starts with the hub." in first.stdout
    assert "No hub runs" in first.stderr
    assert "installed already" in alone.call("plugin", "install", str(file)).stdout

    for text, said in (
        ("#!/bin/sh\nexit 3\n", "exited with code 3"),
        (quick("neighbour-v1", "2").replace('"id": ID', '"id": "else"'), "is already that of"),
    ):
        refused = alone.call("plugin", "install", str(executable(tmp_path / "bad", text)))
        assert refused.returncode == 1
        assert said in refused.stderr
    with PluginVersions(folder).locked():
        busy = alone.call("plugin", "install", str(file))
    assert busy.returncode == 1
    assert "being installed just now" in busy.stderr

    executable(file, quick("early-v2", "2"))
    second = alone.call("plugin", "install", str(file), "--json")
    assert json.loads(second.stdout)["previous_version"] == "1"
    back = alone.call("plugin", "rollback", "early-v2")
    assert back.returncode == 0, back.stderr
    (folder / ".metadata" / "config.json").write_text('{"plugins": {"early-v2": false}}')
    third = alone.call("plugin", "rollback", "early-v2")
    assert "in place, but disabled" in third.stdout
    (folder / ".metadata" / "config.json").unlink()

    with alone.hub as hub:
        plugins = Plugins(hub)
        plugins.ready("early-v2", "neighbour-v1")
        assert plugins.ask("early-v2").json == {"version": "2"}
        view = plugins.view("early-v2")
        assert (view["sha256"], view["previous_version"]) == (sha256_of(file), "1")
        unnamed = alone.call("plugin", "install", str(file))
        assert unnamed.returncode == 125
        assert f"A hub runs here (pid {hub.pid})" in unnamed.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_installs_belongs_to_whoever_the_folder_belongs_to(
    alone: Alone, tmp_path: Path
) -> None:
    folder = alone.plugins_dir
    os.chown(folder, 12345, 12345)
    file = executable(tmp_path / "built", quick("owned-v2", "1"))
    assert alone.call("plugin", "install", str(file)).returncode == 0
    for path in folder.rglob("*"):
        assert path.stat().st_uid == 12345, path
