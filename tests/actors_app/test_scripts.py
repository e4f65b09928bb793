"""The Scripts actor over real files, folders, links, pipes and sockets.

Runs on: the test's event loop.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from toru.actors.messages.scripts import ListScripts, ResolvedScript, ResolveScript
from toru.domain.script_header import Parameter
from toru.errors import BadRequest, Forbidden, NotFound, Unavailable

if TYPE_CHECKING:
    from tests.actors_app.conftest import Stage

SH = shutil.which("sh")
BASH = shutil.which("bash")

_READ_AS_NOBODY = """
import os, pathlib, sys
from toru.actors.script_files import open_script
from toru.errors import ToruError
os.setgid(65534)
os.setuid(65534)
try:
    open_script(pathlib.Path(sys.argv[1]), "a.sh")
except ToruError as error:
    print(f"{type(error).__name__}: {error.sentence}")
"""


async def resolve(stage: Stage, name: str) -> ResolvedScript:
    """Ask a new Scripts actor for one script."""
    await stage.open()
    return await (await stage.scripts()).ask(ResolveScript(name))


@pytest.mark.gen_test
async def test_a_script_runs_by_its_suffix_in_the_scripts_folder(stage: Stage) -> None:
    path = stage.script("a.sh")
    other = stage.script("b.bash", "#!/bin/bash\necho hi\n")
    script = await resolve(stage, "a.sh")
    assert script.argv == (SH, str(path))
    assert script.cwd == str(stage.scripts_dir)
    found = await stage.system.address("scripts").ask(ResolveScript("b.bash"))
    assert found.argv == (BASH, str(other))


@pytest.mark.gen_test
async def test_an_executable_script_with_an_interpreter_line_runs_itself(stage: Stage) -> None:
    path = stage.script("a.sh", f"#!{sys.executable}\nprint('hi')\n", 0o755)
    assert (await resolve(stage, "a.sh")).argv == (str(path),)


@pytest.mark.gen_test
async def test_an_executable_script_without_one_runs_by_its_suffix(stage: Stage) -> None:
    path = stage.script("a.sh", "echo hi\n", 0o755)
    assert (await resolve(stage, "a.sh")).argv == (SH, str(path))


@pytest.mark.gen_test
async def test_the_command_really_runs_whatever_the_name_has_in_it(stage: Stage) -> None:
    name = "a '\"$(touch x);&|*? ü.sh"
    stage.script(name, 'echo "$0" in "$PWD"\n')
    script = await resolve(stage, name)
    done = subprocess.run(script.argv, cwd=script.cwd, capture_output=True, text=True, check=True)
    assert done.stdout == f"{stage.scripts_dir / name} in {stage.scripts_dir}\n"
    assert [each.name for each in stage.scripts_dir.iterdir()] == [name]


@pytest.mark.gen_test
async def test_the_declared_parameters_come_with_it(stage: Stage) -> None:
    stage.script("a.sh", "# Parameter: LEVEL =info How much\necho\n")
    assert (await resolve(stage, "a.sh")).parameters == (Parameter("LEVEL", "info", "How much"),)


@pytest.mark.gen_test
async def test_windows_line_ends_are_named_before_anything_runs(stage: Stage) -> None:
    (stage.scripts_dir / "a.sh").write_bytes(b"#!/bin/sh\r\necho hi\r\n")
    with pytest.raises(BadRequest, match="Windows line ends"):
        await resolve(stage, "a.sh")


@pytest.mark.gen_test
async def test_a_missing_interpreter_is_named(stage: Stage) -> None:
    stage.script("a.sh", "#!/no/such/interpreter -x\n", 0o755)
    with pytest.raises(BadRequest, match="'/no/such/interpreter' does not exist"):
        await resolve(stage, "a.sh")


@pytest.mark.gen_test
async def test_a_missing_script_is_not_found(stage: Stage) -> None:
    with pytest.raises(NotFound):
        await resolve(stage, "a.sh")


@pytest.mark.gen_test
async def test_a_folder_is_no_script(stage: Stage) -> None:
    (stage.scripts_dir / "a.sh").mkdir()
    with pytest.raises(BadRequest, match="is a folder"):
        await resolve(stage, "a.sh")


@pytest.mark.gen_test
async def test_a_pipe_is_no_script_and_is_not_waited_for(stage: Stage) -> None:
    os.mkfifo(stage.scripts_dir / "a.sh")
    with pytest.raises(BadRequest, match="is a named pipe"):
        await resolve(stage, "a.sh")
    assert await stage.system.address("scripts").ask(ListScripts()) == []


@pytest.mark.gen_test
async def test_a_socket_is_no_script(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(stage.scripts_dir)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("a.sh")
        with pytest.raises(BadRequest, match="is a socket"):
            await resolve(stage, "a.sh")


@pytest.mark.gen_test
async def test_a_link_to_a_device_is_no_way_out(stage: Stage) -> None:
    (stage.scripts_dir / "a.sh").symlink_to("/dev/zero")
    with pytest.raises(Forbidden, match="out of the scripts folder"):
        await resolve(stage, "a.sh")


@pytest.mark.gen_test
async def test_a_link_out_of_the_folder_is_refused_and_not_listed(stage: Stage) -> None:
    outside = stage.folder / "outside.sh"
    outside.write_text("echo out\n")
    beside = stage.folder / "scripts-evil"
    beside.mkdir()
    (beside / "x.sh").write_text("echo out\n")
    (stage.scripts_dir / "a.sh").symlink_to("../outside.sh")
    (stage.scripts_dir / "b.sh").symlink_to(beside / "x.sh")
    for name in ("a.sh", "b.sh"):
        with pytest.raises(Forbidden, match="out of the scripts folder"):
            await resolve(stage, name)
        await stage.stop()
    await stage.open()
    assert await (await stage.scripts()).ask(ListScripts()) == []


@pytest.mark.gen_test
async def test_a_link_inside_the_folder_is_a_script(stage: Stage) -> None:
    library = stage.scripts_dir / "lib"
    library.mkdir()
    (library / "real").write_text("# Description: linked\necho hi\n")
    (stage.scripts_dir / "a.sh").symlink_to("lib/real")
    script = await resolve(stage, "a.sh")
    assert script.argv == (SH, str(library / "real"))
    listed = await stage.system.address("scripts").ask(ListScripts())
    assert [(each.name, each.description) for each in listed] == [("a.sh", "linked")]


@pytest.mark.gen_test
async def test_links_that_lead_nowhere_or_in_a_circle_are_refused(stage: Stage) -> None:
    (stage.scripts_dir / "gone.sh").symlink_to("nothing.sh")
    (stage.scripts_dir / "a.sh").symlink_to("b.sh")
    (stage.scripts_dir / "b.sh").symlink_to("a.sh")
    with pytest.raises(NotFound):
        await resolve(stage, "gone.sh")
    scripts = stage.system.address("scripts")
    with pytest.raises(BadRequest, match="circle"):
        await scripts.ask(ResolveScript("a.sh"))
    assert await scripts.ask(ListScripts()) == []


@pytest.mark.gen_test
async def test_the_scripts_folder_itself_may_be_a_link(stage: Stage) -> None:
    real = stage.folder / "real"
    real.mkdir()
    (real / "a.sh").write_text("echo hi\n")
    stage.scripts_dir.rmdir()
    stage.scripts_dir.symlink_to(real)
    assert (await resolve(stage, "a.sh")).argv == (SH, str(real / "a.sh"))


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "name", ["", "..", "../a.sh", "/etc/passwd", "-a.sh", "a\n.sh", "x" * 5000]
)
async def test_a_malformed_name_is_refused(stage: Stage, name: str) -> None:
    with pytest.raises(BadRequest):
        await resolve(stage, name)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which only root may")
def test_a_script_that_toru_may_not_read_is_forbidden() -> None:
    with tempfile.TemporaryDirectory() as name:  # `tmp_path` lies where only its owner may go
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "a.sh").write_text("echo secret\n")
        (folder / "a.sh").chmod(0o600)
        done = subprocess.run(
            [sys.executable, "-c", _READ_AS_NOBODY, str(folder)],
            capture_output=True,
            text=True,
            check=True,
        )
    assert done.stdout == "Forbidden: The script 'a.sh' cannot be read by Toru.\n"


@pytest.mark.gen_test
async def test_the_list_has_the_scripts_sorted_with_what_their_headers_say(stage: Stage) -> None:
    stage.script("b.sh", "# Second\n")
    stage.script("a.bash", "# Description: First\n# Parameter: X =1 text\n")
    stage.script("c.py")
    stage.script("a\nb.sh")
    (stage.scripts_dir / "folder.sh").mkdir()
    Path(os.fsdecode(os.fsencode(stage.scripts_dir) + b"/bad\xff.sh")).write_text("echo")
    await stage.open()
    listed = await (await stage.scripts()).ask(ListScripts())
    assert [(each.name, each.description, each.parameters) for each in listed] == [
        ("a.bash", "First", ("X",)),
        ("b.sh", "Second", ()),
    ]
    assert listed[0].parameter_details == (Parameter("X", "1", "text"),)


@pytest.mark.gen_test
async def test_the_list_follows_edits_additions_and_removals(stage: Stage) -> None:
    path = stage.script("a.sh", "# Old\n")
    await stage.open()
    scripts = await stage.scripts()
    assert [each.description for each in await scripts.ask(ListScripts())] == ["Old"]
    path.write_text("# Newer\n")
    stage.script("b.sh", "# Added\n")
    listed = await scripts.ask(ListScripts())
    assert [each.description for each in listed] == ["Newer", "Added"]
    path.unlink()
    assert [each.name for each in await scripts.ask(ListScripts())] == ["b.sh"]


@pytest.mark.gen_test
async def test_a_scripts_folder_that_vanished_is_named_and_may_come_back(stage: Stage) -> None:
    stage.script("a.sh")
    await stage.open()
    scripts = await stage.scripts()
    aside = stage.scripts_dir.rename(stage.folder / "aside")
    for message in (ListScripts(), ResolveScript("a.sh")):
        with pytest.raises(Unavailable, match=r"scripts folder .* cannot be read"):
            await scripts.ask(message)
    aside.rename(stage.scripts_dir)
    assert len(await scripts.ask(ListScripts())) == 1


@pytest.mark.gen_test
async def test_ten_thousand_scripts_are_listed_and_the_second_time_faster(stage: Stage) -> None:
    for number in range(10_000):
        (stage.scripts_dir / f"s{number:05}.sh").write_text(f"# Script {number}\n")
    await stage.open()
    scripts = await stage.scripts()
    took = []
    for _ in range(2):
        began = time.perf_counter()
        listed = await scripts.ask(ListScripts(), deadline_s=60.0)
        took.append(time.perf_counter() - began)
        assert len(listed) == 10_000
        assert listed[9_999].description == "Script 9999"
    assert took[1] < took[0]
