"""The misbehaving plugin misbehaves as its table says, so that the fault tests prove something."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdk.core import CoreV2, Running, request_v1, running
from tests.support import misbehaving_plugin
from tests.support.misbehaving_plugin import install

TABLE = misbehaving_plugin.__doc__ or ""


@contextlib.contextmanager
def started(folder: Path, mode: str) -> Iterator[Running]:
    with running([str(install(folder, mode))], folder / "s") as found:
        yield found


def probe(folder: Path, mode: str) -> subprocess.CompletedProcess[bytes]:
    command = [str(install(folder, mode)), "--metadata"]
    return subprocess.run(command, capture_output=True, check=False, timeout=20)


def raw_answer(
    plugin: Running, target: str = "/x", wait_s: float = 20.0, enough: int = sys.maxsize
) -> bytes:
    """Return what comes until it is enough or the connection is closed or silent for so long."""
    data = b""
    with plugin.wire() as wire:
        wire.socket.settimeout(wait_s)
        wire.send(request_v1("r1", "GET", target, None, {}))
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while len(data) < enough and (piece := wire.socket.recv(65536)):
                data += piece
    return data


def test_every_mode_of_the_table_exists_and_every_mode_is_in_the_table() -> None:
    listed = {
        re.sub(r"\[.*", "", word)
        for line in TABLE.splitlines()
        if (found := re.match(r"    ([a-z][a-z0-9, \[\].-]*?)(  |$)", line))
        for word in found[1].split(", ")
        if not word.startswith("bad-<")
    }
    named = set(misbehaving_plugin.ANSWERS)
    source = Path(misbehaving_plugin.__file__).read_text().split('"""', 2)[2]
    assert named - listed == set()
    missing = {mode for mode in listed if f'"{mode}"' not in source}
    assert missing == {"echo"}


def test_names_say_mode_number_version_and_tag() -> None:
    name = misbehaving_plugin.Name("bad-late-socket-0.5-v2+b")
    assert (name.id, name.mode, name.v2) == ("bad-late-socket-0-5-v2-b", "late-socket", True)
    assert name.number(9) == 0.5
    assert misbehaving_plugin.Name("bad-length-0").mode == "length-0"
    assert misbehaving_plugin.Name("bad-slow").number(1) == 1


@pytest.mark.parametrize(
    ("mode", "stdout"),
    [
        ("meta-garbage", b"Segmentation"),
        ("meta-array", b"[1, 2]"),
        ("meta-noise", b"Loading the plugin...\n{"),
        ("meta-utf8", b"\xff\xfe"),
        ("meta-bad-id", b'"bad id/"'),
        ("meta-bad-route", b'"/a/../api"'),
        ("meta-same-id", b'"collision"'),
        ("meta-same-route", b'"/collision"'),
        ("meta-child", b"{"),
        ("echo-v2", b'"protocols": [1, 2]'),
    ],
)
def test_metadata_modes_print_what_they_should(tmp_path: Path, mode: str, stdout: bytes) -> None:
    path = install(tmp_path, mode)
    process = subprocess.Popen(
        [path, "--metadata"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, process_group=0
    )
    assert process.stdout
    assert process.stderr
    with process, process.stdout, process.stderr:
        assert process.wait(20) == 0
        assert stdout in os.read(process.stdout.fileno(), 65536)
        if mode == "meta-child":
            os.set_blocking(process.stdout.fileno(), False)
            with pytest.raises(BlockingIOError):
                os.read(process.stdout.fileno(), 1)
            end_daemons(str(path))


def end_daemons(command: str) -> None:
    """Kill the daemons that a mode leaves behind, found by their command line."""
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if command.encode() in words:
                os.kill(int(entry.name), signal.SIGKILL)


def test_metadata_modes_exit_as_they_should(tmp_path: Path) -> None:
    complained = probe(tmp_path, "meta-exit")
    assert (complained.returncode, b"licence file" in complained.stderr) == (3, True)
    assert probe(tmp_path, "meta-exit-7").returncode == 7
    assert probe(tmp_path, "meta-killed").returncode == -signal.SIGKILL
    assert probe(tmp_path, "meta-nothing").stdout == b""
    with pytest.raises(subprocess.TimeoutExpired):
        subprocess.run([install(tmp_path, "meta-hang"), "--metadata"], timeout=1, check=False)
    huge = subprocess.Popen([install(tmp_path, "meta-huge"), "--metadata"], stdout=subprocess.PIPE)
    assert huge.stdout
    with huge:
        for _ in range(64):
            assert huge.stdout.read(65536) == b"x" * 65536
        huge.kill()


def test_start_modes_exit_or_do_not_listen(tmp_path: Path) -> None:
    environ = {**os.environ, "TORU_PLUGIN_SOCKET": str(tmp_path / "s")}

    def start(mode: str) -> int:
        command = [str(install(tmp_path, mode))]
        return subprocess.run(
            command, env=environ, stderr=subprocess.DEVNULL, timeout=20, check=False
        ).returncode

    assert start("exit-at-once") == 1
    assert start("exit-at-once-78") == 78
    assert start("flaky") == 1
    with started(tmp_path, "flaky") as plugin:
        assert plugin.http_v1("GET", "/x")["status"] == 200
    process = subprocess.Popen([install(tmp_path, "stale-socket")], env=environ)
    with process:
        while not (tmp_path / "s").exists():
            assert process.poll() is None
            time.sleep(0.01)
        with pytest.raises(ConnectionRefusedError), socket.socket(socket.AF_UNIX) as probe_socket:
            while True:  # bind and close are two moments
                probe_socket.connect(str(tmp_path / "s"))
        process.kill()


@pytest.mark.parametrize(
    ("mode", "raw"),
    [
        ("length-0", bytes(4)),
        ("length-max", b"\xff" * 4),
        ("half-header", bytes(2)),
        ("half-header-close", bytes(2)),
        ("bad-json", struct.pack("!I", 9) + b'{"type": '),
        ("not-object", struct.pack("!I", 3) + b"[1]"),
        ("data-frame", struct.pack("!IBBHI", 11, 1, 1, 0, 4_000_001) + b"abc"),
        ("silent", b""),
        ("close", b""),
    ],
)
def test_wire_modes_answer_these_bytes_and_ok_is_ok(tmp_path: Path, mode: str, raw: bytes) -> None:
    with started(tmp_path, mode) as plugin:
        assert raw_answer(plugin, wait_s=0.4) == raw
        assert plugin.http_v1("GET", "/ok")["status"] == 200


def test_wire_modes_answer_wrong_fields(tmp_path: Path) -> None:
    def message(mode: str) -> dict[str, object]:
        with started(tmp_path, mode) as plugin, plugin.wire() as wire:
            wire.send(request_v1("r1", "GET", "/x", None, {}))
            return wire.receive()

    assert message("wrong-id")["request_id"] == "another"
    assert message("status-99")["payload"]["status"] == 99  # type: ignore[index] # a message
    assert message("no-status")["payload"]["status"] is None  # type: ignore[index] # a message
    assert "\r\n" in message("crlf-header")["payload"]["headers"]["X-Bad"]  # type: ignore[index] # a message
    assert message("unknown-type")["type"] == "dance"
    nested = message("echo-nested")["payload"]["payload"]["body"]  # type: ignore[index] # a message
    assert json.loads(json.loads(nested)["body"])["path"] == "/x"


def test_wire_modes_send_halves_and_twice(tmp_path: Path) -> None:
    with started(tmp_path, "half-frame-close") as plugin:
        half = raw_answer(plugin)
        assert 4 < len(half) < 4 + struct.unpack("!I", half[:4])[0]
    with started(tmp_path, "repeated") as plugin:
        twice = raw_answer(plugin, wait_s=0.7)
        assert len(twice) == 2 * (4 + struct.unpack("!I", twice[:4])[0])
    with started(tmp_path, "drip-20") as plugin:
        began = time.monotonic()
        assert len(raw_answer(plugin, enough=6)) == 6
        assert time.monotonic() - began >= 0.2


@pytest.mark.parametrize("mode", ["kv", "kv-title", "kv-upper"])
def test_keys_are_asked_for_in_the_spelling_of_the_mode(tmp_path: Path, mode: str) -> None:
    kv: dict[str, str] = {}
    with started(tmp_path, mode) as plugin:
        plugin.http_v1("GET", "/set/a/1", kv=kv)
        assert kv == {"a": "1"}
        told = plugin.http_v1("GET", "/get/a", kv=kv)
        assert json.loads(told["body"]) == {"value": "1"}


def test_run_modes_die_or_stay_as_they_should(tmp_path: Path) -> None:
    with started(tmp_path, "crash") as plugin:
        assert raw_answer(plugin) == b""
        assert plugin.ended()[0] == -signal.SIGKILL
    with started(tmp_path, "exit-on-request-78") as plugin:
        raw_answer(plugin)
        assert plugin.ended()[0] == 78
    with started(tmp_path, "crash-after-0.1") as plugin:
        assert plugin.ended()[0] == -signal.SIGKILL
    with started(tmp_path, "ignore-sigterm") as plugin:
        plugin.process.terminate()
        plugin.shut_down_v1()
        assert plugin.http_v1("GET", "/x")["status"] == 200
        assert plugin.process.poll() is None
    with started(tmp_path, "deletes-socket") as plugin:
        assert plugin.http_v1("GET", "/x")["status"] == 200
        assert not plugin.path.exists()
        assert plugin.process.poll() is None
    with started(tmp_path, "echo") as plugin:
        plugin.shut_down_v1()
        assert plugin.ended()[0] == 0


def test_run_modes_wait_pour_and_hold(tmp_path: Path) -> None:
    with started(tmp_path, "flood-stderr") as plugin:
        assert plugin.process.stderr
        assert b"\n" not in os.read(plugin.process.stderr.fileno(), 65536)
        assert plugin.http_v1("GET", "/x")["status"] == 200
    with started(tmp_path, "sequential-0.05") as plugin, plugin.wire(), plugin.wire() as second:
        second.socket.settimeout(0.5)
        second.send(request_v1("r1", "GET", "/x", None, {}))
        with pytest.raises(TimeoutError):
            second.receive()
    with started(tmp_path, "grandchild") as plugin:
        plugin.process.kill()
        plugin.process.wait(20)
        assert plugin.process.stderr
        os.set_blocking(plugin.process.stderr.fileno(), False)
        with pytest.raises(BlockingIOError):
            os.read(plugin.process.stderr.fileno(), 1)
        end_daemons(str(tmp_path / "bad-grandchild.binary"))


def test_version_2_modes_greet_and_answer(tmp_path: Path) -> None:
    with started(tmp_path, "echo-v2") as plugin, CoreV2(plugin) as core:
        seen = json.loads(core.ready().http("GET", "/x", "a=1", headers=[["X-A", "1"]])["text"])
        assert (seen["path"], seen["query"], seen["user"]) == ("/x", "a=1", "anna")
    with started(tmp_path, "hello-instance-v2") as plugin, CoreV2(plugin) as core:
        assert core.hello_ok["instance"] == "another"
    with started(tmp_path, "slow-ready-0.2-v2") as plugin, CoreV2(plugin) as core:
        assert core.ready().other[0]["extend_ms"] == 5200
    with started(tmp_path, "status-99-v2") as plugin, CoreV2(plugin) as core:
        assert core.ready().http("GET", "/x")["status"] == 99
        assert core.http("GET", "/ok")["status"] == 200
    with started(tmp_path, "kv-v2") as plugin, CoreV2(plugin) as core:
        core.ready().http("GET", "/set/a/1")
        assert core.kv == {"a": "1"}
    with started(tmp_path, "health-bad-v2") as plugin, CoreV2(plugin) as core:
        core.ready().wire.send({"type": "health", "id": 5})
        assert core.until("health")["ok"] is False
