"""The guide for authors: its examples are run as they stand."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

from tests.sdk.core import SDK, CoreV2, python_plugin, running
from toru.cli.plugin_build import build_plugin

GUIDE = Path(__file__).parents[2] / "docs/plugins-python.md"
PLUGIN, *MORE, TEST = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)
WHOLE = "\n\n".join([PLUGIN, *MORE])


def test_the_plugin_of_the_guide_is_fifteen_lines_and_works(tmp_path: Path) -> None:
    assert len([line for line in PLUGIN.splitlines() if line]) <= 15
    (tmp_path / "counter").mkdir()
    (tmp_path / "counter/plugin.py").write_text(PLUGIN)
    built = build_plugin(tmp_path / "counter")
    with running([str(built.path)], tmp_path / "s") as plugin, CoreV2(plugin) as core:
        assert core.ready().http("POST", "/count")["text"] == '{"count":1,"user":"anna"}'
        assert core.http("GET", "/count")["text"] == '{"count":1,"user":"anna"}'
        assert core.kv == {"count": "1"}


def test_the_further_examples_of_the_guide_work(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text("0123456789")
    command = python_plugin(tmp_path, WHOLE)
    data_dir = str(tmp_path / "data")
    with running(command, tmp_path / "s") as plugin, CoreV2(plugin, data_dir=data_dir) as core:
        core.ready()
        stream = core.start("POST", "/digest", body="stream")
        core.upload(stream, bytes(1_000_000))
        told = json.loads(core.until("http_head", id=stream)["text"])
        assert told == {"sha256": hashlib.sha256(bytes(1_000_000)).hexdigest()}
        counted = core.http("POST", "/lines", body="inline", text="a\nb\nc")
        assert counted["text"] == '{"lines":3}'
        squares = core.http("GET", "/squares.csv", "n=3")
        assert core.body(squares["id"]) == b"0,0\n1,1\n2,4\n"
        part = core.http("GET", "/files/a.txt", headers=[["Range", "bytes=2-4"]])
        assert (part["status"], core.body(part["id"])) == (206, b"234")
        assert core.http("GET", "/files/../plugin.py")["status"] == 404
        events = core.http("GET", "/events")
        told_event = core.until("data", id=events["id"])["bytes"]
        assert told_event == b'event: count\nid: 0\ndata: {"count":0}\n\n'
        assert_people_talk(core)
        refused = core.open_socket(f"/chat/{'x' * 21}")
        assert core.until("http_head", id=refused)["status"] == 404


def assert_people_talk(core: CoreV2) -> None:
    sockets = [core.open_socket("/chat/a") for _ in range(3)]
    for socket in sockets:
        core.until("ws_accept", id=socket)
    core.upload(sockets[0], b"hi", flags=3)
    for socket in sockets:
        while core.bodies.get(socket) != bytearray(b"anna: hi"):
            core.until("data", id=socket)


def test_the_test_of_the_guide_passes(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(WHOLE)
    (tmp_path / "test_counter.py").write_text(TEST)
    environ = {**os.environ, "PYTHONPATH": str(SDK), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-B", "-m", "unittest", "-q"]
    subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True)
