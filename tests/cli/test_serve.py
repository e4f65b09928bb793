"""How the hub starts and why it does not: one sentence, exit code 2, no traceback."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.hub import HubProcess
from toru.cli.pidfile import find_hub


def refused(folder: Path, *flags: str, **environ: str) -> str:
    """Start a hub that must be refused, and return its sentence."""
    kept = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG")}
    own = {
        "ADMIN_PASSWORD": "Correct-horse-7",
        "STEERING_PORT": "0",
        "TORU_DATA_DIR": str(folder / "data"),
        "TORU_LOG_DIR": str(folder / "logs"),
    }
    result = subprocess.run(
        [sys.executable, "-m", "toru", "serve", *flags],
        env=kept | own | environ,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert result.returncode == 2, result.stderr
    assert result.stdout == ""
    return result.stderr


def assert_one_sentence(text: str) -> None:
    assert text.startswith("toru: ")
    assert text.count("\n") == 1
    assert "Traceback" not in text


def test_a_missing_password_is_one_sentence_and_leaves_no_file(tmp_path: Path) -> None:
    text = refused(tmp_path, ADMIN_PASSWORD="")
    assert_one_sentence(text)
    assert "ADMIN_PASSWORD" in text
    assert list(tmp_path.iterdir()) == []


def test_a_taken_port_is_one_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for flags, environ in ((["-p", str(port)], {}), ([], {"STEERING_PORT": str(port)})):
            text = refused(tmp_path, *flags, **environ)
            assert_one_sentence(text)
            assert f"Port {port}" in text


@pytest.mark.parametrize("variable", ["TORU_DATA_DIR", "TORU_SOCKET_DIR"])
def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path, variable: str) -> None:
    (tmp_path / "file").touch()
    text = refused(tmp_path, **{variable: str(tmp_path / "file/below")})
    assert_one_sentence(text)
    assert variable in text


def test_an_address_of_another_machine_is_one_sentence(tmp_path: Path) -> None:
    assert_one_sentence(refused(tmp_path, "-H", "192.0.2.1"))
    assert_one_sentence(refused(tmp_path, "-H", "no-such-host.invalid"))


def test_a_database_that_is_none_is_one_sentence_and_stays_as_it_was(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir(mode=0o700)
    (data / "steering.db").write_bytes(b"no database" * 1000)
    text = refused(tmp_path)
    assert text.splitlines()[-1].startswith("toru: ")
    assert "Traceback" not in text
    assert (data / "steering.db").read_bytes() == b"no database" * 1000


def test_flags_that_make_no_sense_are_refused_with_their_name(tmp_path: Path) -> None:
    assert "--port" in refused(tmp_path, "-p", "http")
    assert "--port" in refused(tmp_path, "-p", "70000")


def test_a_second_hub_on_one_data_folder_is_refused(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        text = refused(tmp_path, TORU_DATA_DIR=str(hub.data_dir))
        assert_one_sentence(text)
        assert f"pid {hub.pid}" in text
        assert hub.get("/api/health") == {"status": "ok"}


def test_the_hub_is_in_its_pid_file_until_it_has_stopped_in_order(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        found = find_hub(hub.data_dir)
        assert found
        assert found.pid == hub.pid
        assert hub.stop() == 0
        assert find_hub(hub.data_dir) is None


def test_ctrl_c_stops_the_hub_in_order(tmp_path: Path) -> None:
    with HubProcess(tmp_path) as hub:
        assert hub.process
        hub.process.send_signal(signal.SIGINT)
        assert hub.process.wait(30) == 0


def test_warnings_of_the_configuration_are_logged_once(tmp_path: Path) -> None:
    with HubProcess(tmp_path, ADMIN_PASSWORD="Correct-horse-7", TORU_LOG_DIR="/proc/x") as hub:
        assert hub.log.count("/proc/x") == 1
        assert (hub.data_dir / "logs/toru.log").read_bytes()


def test_the_words_of_the_command_line_load_nothing_heavy() -> None:
    code = (
        "import sys, toru.cli.main\n"
        "print([name for name in ('rich', 'tornado', 'pykka', 'peewee') if name in sys.modules])"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=30
    )
    assert result.stdout == "[]\n"


def test_every_command_explains_itself_with_examples() -> None:
    for word in ("serve", "run", "attach", "tasks", "stop"):
        result = subprocess.run(
            [sys.executable, "-m", "toru", word, "--help"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
        assert f"toru {word}" in result.stdout
        assert "For example:" in result.stdout


def test_the_version_is_that_of_the_package() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "toru", "--version"],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert result.stdout.startswith("toru 0.")
