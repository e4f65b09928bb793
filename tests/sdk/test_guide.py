"""The guide for authors: its examples are run as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.sdk.core import SDK, CoreV2, running
from toru.cli.plugin_build import build_plugin

GUIDE = Path(__file__).parents[2] / "docs/plugins-python.md"
PLUGIN, TEST = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.DOTALL)


def test_the_plugin_of_the_guide_is_fifteen_lines_and_works(tmp_path: Path) -> None:
    assert len([line for line in PLUGIN.splitlines() if line]) <= 15
    (tmp_path / "counter").mkdir()
    (tmp_path / "counter/plugin.py").write_text(PLUGIN)
    built = build_plugin(tmp_path / "counter")
    with running([str(built.path)], tmp_path / "s") as plugin, CoreV2(plugin) as core:
        assert core.ready().http("POST", "/count")["text"] == '{"count":1,"user":"anna"}'
        assert core.http("GET", "/count")["text"] == '{"count":1,"user":"anna"}'
        assert core.kv == {"count": "1"}


def test_the_test_of_the_guide_passes(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(PLUGIN)
    (tmp_path / "test_counter.py").write_text(TEST)
    environ = {**os.environ, "PYTHONPATH": str(SDK), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-B", "-m", "unittest", "-q"]
    subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True)
