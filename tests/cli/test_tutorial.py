"""The tutorial: each of its commands is run, in its order, on the files that it has one write.

A code block with a path is a file, one of kind ``sh`` is commands. Each part in a language begins
in an empty folder, with a hub of its own.

Runs on: the test's thread.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.sdk import rust
from tests.support.hub import ADMIN_PASSWORD, HubProcess, wait_until

PAGE = (Path(__file__).parents[2] / "docs/plugins.md").read_text()
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
LANGUAGES = ["Python", "bash", "Rust"]
STEPS = ["new", "test", "dev", "build", "check", "install"]
ROUTE = "/api/plugins/route/disk-guard/disks"


class Block(NamedTuple):
    """A block of code in a part of the page."""

    kind: str
    file: str
    text: str


def blocks(part: str) -> list[Block]:
    """Return the blocks of the part with this heading."""
    _, _, rest = PAGE.partition(f"\n## {part}\n")
    assert rest, f"There is no part {part!r}."
    return [Block(*found.groups("")) for found in BLOCK.finditer(rest.partition("\n## ")[0])]


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    with HubProcess(tmp_path / "hub") as started:
        yield started
    assert "Traceback" not in started.log, started.log


class Reader:
    """Somebody who does what the page says, in a folder."""

    def __init__(self, folder: Path, hub: HubProcess) -> None:
        self.folder = folder
        self.ran: list[str] = []
        programs = folder / "bin"
        programs.mkdir(parents=True)
        (programs / "toru").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m toru "$@"\n')
        (programs / "toru").chmod(0o755)
        self.environment = {
            **os.environ,
            **rust.ENVIRONMENT,
            "PATH": f"{programs}:{os.environ['PATH']}",
            "XDG_STATE_HOME": str(folder / "state"),
            "TORU_URL": hub.base_url,
            "TORU_PASSWORD": ADMIN_PASSWORD,
            "TORU_PLUGINS_DIR": str(hub.plugins_dir),
            "TORU_DATA_DIR": str(hub.data_dir),
        }

    def follow(self, part: list[Block]) -> None:
        """Write the files and run the commands of a part."""
        for block in part:
            if block.file:
                (self.folder / block.file).write_text(block.text)
            elif block.kind == "sh":
                for command in block.text.splitlines():
                    self.run(command)

    def run(self, command: str) -> None:
        """Run a command, which must succeed; `dev` until the plugin is ready."""
        self.ran.append(command)
        with (
            (self.folder / "output").open("w+") as output,
            subprocess.Popen(
                ["bash", "-ec", command],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):

            def said() -> str:
                return (self.folder / "output").read_text()

            if command.startswith("toru plugin dev"):
                wait_until(
                    lambda: "ready" in said() or process.poll() is not None,
                    timeout_s=120,
                    what="the plugin to be ready",
                )
                os.killpg(process.pid, signal.SIGINT)
            assert process.wait(240) == 0, f"{command}\n{said()}"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_command_of_the_tutorial_works(
    tmp_path: Path, hub: HubProcess, language: str
) -> None:
    if language == "Rust":
        rust.require_rust()
    if language == "bash" and shutil.which("bash") is None:
        pytest.skip("needs bash")
    reader = Reader(tmp_path / "work", hub)
    begin, *rest = blocks(f"In {language}")
    reader.follow([begin, *blocks("The page"), *rest])
    assert [command.split()[2] for command in reader.ran[:6]] == STEPS
    assert hub.get("/api/plugins/disk-guard")["version"] == "0.1.0"
    disks = hub.get(ROUTE)["disks"]
    assert [(disk["mount"], disk["is_full"]) for disk in disks] == [
        ("/", disks[0]["percent"] >= 90)
    ]
    saved = hub.http("PUT", "/api/plugins/disk-guard/settings", {"values": {"limit_percent": 1}})
    assert saved.status == 200, saved
    wait_until(lambda: hub.get(ROUTE)["disks"][0]["is_full"], what="the new limit")
    bundle = hub.http("GET", "/api/plugins/disk-guard/bundle.js")
    assert bundle.body.decode() == blocks("The page")[0].text
