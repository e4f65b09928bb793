"""``toru plugin build``: one executable file of a folder, or a sentence why not."""

from __future__ import annotations

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.sdk.core import SDK, running
from tools import plugins
from tools.common import Stamps
from toru.cli import plugin_build
from toru.cli.plugin_build import BuildError, build_plugin

ROOT = Path(__file__).parents[2]
SOURCE = """
from toru_plugin import Plugin
from texts import HELLO

print("an author's print while the metadata are asked for")
plugin = Plugin(id="one", name="One", version="1.0.0", route="/one")
plugin.bundle("bundle.js")
plugin.asset("/logo.svg", "images/logo.svg")

@plugin.get("/")
def index(request):
    return HELLO
"""

TEXTS = "name='A', version='1', route='/a'"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "source" / "one"
    (made / "images").mkdir(parents=True)
    (made / "plugin.py").write_text(SOURCE)
    (made / "texts.py").write_text('HELLO = "hello"\n')
    (made / "bundle.js").write_text("window.ToruPlugins = {};\n")
    (made / "images/logo.svg").write_text("<svg/>\n")
    for left_out in (".secret", "old.pyc", "old.binary"):
        (made / left_out).write_text("no")
    for left_out in ("__pycache__", "tests", ".git"):
        (made / left_out).mkdir()
        (made / left_out / "file.py").write_text("no")
    return made


def test_a_folder_becomes_one_file_that_runs_alone(folder: Path, tmp_path: Path) -> None:
    built = build_plugin(folder)
    assert built.path == folder.parent / "one.binary"
    assert (built.metadata.id, built.metadata.route) == ("one", "/one")
    assert built.metadata.protocols == (1, 2)
    assert built.size_bytes == built.path.stat().st_size
    moved = built.path.rename(tmp_path / "moved.binary")
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    with running([str(moved)], tmp_path / "s") as plugin:
        assert plugin.http_v1("GET", "/")["body"] == "hello"
        bundle = plugin.http_v1("GET", "/bundle.js")
        assert bundle["body"] == "window.ToruPlugins = {};\n"
        assert bundle["headers"]["Content-Type"] == "text/javascript; charset=utf-8"
        logo = plugin.http_v1("GET", "/logo.svg")
        assert (logo["body"], logo["headers"]["Content-Type"]) == ("<svg/>\n", "image/svg+xml")
        assert plugin.end()[0] == 0


def test_the_archive_holds_the_sources_and_the_library_and_nothing_else(folder: Path) -> None:
    with zipfile.ZipFile(build_plugin(folder).path) as archive:
        names = set(archive.namelist())
    own = {name for name in names if not name.startswith("toru_plugin/")}
    assert own == {"__main__.py", "plugin.py", "texts.py", "bundle.js", "images/logo.svg"}
    library = {f"toru_plugin/{path.name}" for path in (SDK / "toru_plugin").glob("*.py")}
    assert names - own == library


def test_the_same_sources_give_the_same_bytes(folder: Path, tmp_path: Path) -> None:
    first = build_plugin(folder, tmp_path).path.read_bytes()
    for path in folder.rglob("*.py"):
        path.touch()
    assert build_plugin(folder, tmp_path / "again.binary").path.read_bytes() == first


def test_a_build_that_does_not_work_leaves_the_one_before(folder: Path) -> None:
    good = build_plugin(folder).path
    before = good.read_bytes()
    (folder / "plugin.py").write_text("import missing_module\n")
    with pytest.raises(BuildError, match=r"does not work.*missing_module"):
        build_plugin(folder)
    assert good.read_bytes() == before
    assert sorted(path.name for path in folder.parent.iterdir()) == ["one", "one.binary"]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("readme.txt", "", "holds neither __main__.py, plugin.py nor main.py"),
        ("plugin.py", "x = 1", "must hold one Plugin at its top level; it holds 0"),
        ("plugin.py", "def f(:", "SyntaxError"),
        ("main.py", f"import toru_plugin\ntoru_plugin.Plugin(id='a b', {TEXTS})", "a b"),
        ("main.py", "import toru_plugin\nx = toru_plugin.Plugin(id='a', route='a')", "TypeError"),
        ("__main__.py", "print('noise')", "prints no JSON object"),
        ("__main__.py", "import time; time.sleep(60)", "did not exit within"),
    ],
)
def test_what_is_no_plugin_is_refused_with_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, content: str, words: str
) -> None:
    if "sleep" in content:
        monkeypatch.setattr(plugin_build.plugin_probe, "PROBE_TIMEOUT_S", 0.5)
    folder = tmp_path / "two"
    folder.mkdir()
    (folder / name).write_text(content)
    with pytest.raises(BuildError, match=words):
        build_plugin(folder)
    assert [path.name for path in tmp_path.iterdir()] == ["two"]


def test_places_that_cannot_be_used_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BuildError, match="is not a folder"):
        build_plugin(tmp_path / "none")
    with pytest.raises(BuildError, match=r"must end with \.binary"):
        build_plugin(folder, tmp_path / "one.exe")
    with pytest.raises(BuildError, match="There is no folder"):
        build_plugin(folder, tmp_path / "none/one.binary")
    (folder / "linked").symlink_to(tmp_path)
    with pytest.raises(BuildError, match="is a symbolic link"):
        build_plugin(folder)
    (folder / "linked").unlink()
    (folder / "toru_plugin").mkdir()
    (folder / "toru_plugin/x.py").write_text("")
    with pytest.raises(BuildError, match="of its own"):
        build_plugin(folder)


def test_a_folder_with_a_build_program_is_built_by_it(tmp_path: Path) -> None:
    folder = tmp_path / "three"
    folder.mkdir()
    program = folder / "build"
    metadata = '{"id": "three", "name": "Three", "version": "1", "route": "/three"}'
    (folder / "three.sh").write_text(f"#!/bin/sh\necho '{metadata}'\n")
    program.write_text('#!/bin/sh\ninstall -m 755 three.sh "$1"\n')
    program.chmod(0o755)
    assert build_plugin(folder).metadata.id == "three"
    program.write_text("#!/bin/sh\nexit 4\n")
    with pytest.raises(BuildError, match="exit code 4"):
        build_plugin(folder)
    program.write_text("#!/bin/sh\n")
    with pytest.raises(BuildError, match="has not made the file"):
        build_plugin(folder)


def test_the_command_prints_what_was_built_or_one_sentence(folder: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "toru", "plugin", "build"]
    built = subprocess.run(
        [*command, folder, "-o", tmp_path], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert built.stdout.splitlines()[0] == str(tmp_path / "one.binary")
    assert "/one" in built.stdout
    failed = subprocess.run(
        [*command, tmp_path], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert failed.returncode == 1
    assert failed.stderr.startswith("toru: ")
    assert len(failed.stderr.splitlines()) == 1


def test_the_set_up_builds_what_changed_and_goes_on_after_a_failure(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    root = folder.parent
    (root / "plugins").mkdir()
    folder.rename(root / "plugins/one")
    (root / "plugins/broken").mkdir()
    (root / "plugins/.metadata").mkdir()
    (root / ".venv/bin").mkdir(parents=True)
    (root / ".venv/bin/toru").write_text(f'#!/bin/sh\nexec {sys.executable} -m toru "$@"\n')
    (root / ".venv/bin/toru").chmod(0o755)
    stamps = Stamps(root / ".venv/stamps.json")
    binary = root / "plugins/one.binary"
    plugins.provide_plugins(root, stamps)
    first = binary.stat().st_ino
    assert "building the plugin one" in capfd.readouterr().err
    plugins.provide_plugins(root, stamps)
    said = capfd.readouterr().err
    assert "the plugin broken could not be built" in said
    assert "building the plugin one" not in said
    assert binary.stat().st_ino == first
    (root / "plugins/one/texts.py").write_text('HELLO = "changed"\n')
    plugins.provide_plugins(root, stamps)
    assert binary.stat().st_ino != first


# The library


def library_files() -> list[Path]:
    return sorted((SDK / "toru_plugin").glob("*.py"))


def test_the_library_and_the_examples_need_the_standard_library_only() -> None:
    examples = sorted((ROOT / "plugins").glob("*/*.py"))
    plain = ROOT / "plugins/hello-plugin-plain/hello-plugin-plain"
    for path in [*library_files(), *examples, plain]:
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            foreign = {name.split(".")[0] for name in names} - sys.stdlib_module_names
            beside = {other.stem for other in path.parent.iterdir()}
            assert foreign <= {"toru_plugin"} | beside, path


def test_the_library_and_the_examples_are_python_3_9() -> None:
    examples = sorted((ROOT / "plugins").glob("*/*.py"))
    assert examples
    for path in [*library_files(), *examples]:
        ast.parse(path.read_text(), feature_version=(3, 9))


def test_the_metadata_are_told_without_loading_asyncio(tmp_path: Path) -> None:
    (tmp_path / "plugin.py").write_text(SOURCE.replace("from texts import HELLO", ""))
    script = f"""
import sys
sys.path[:0] = [{str(SDK)!r}, {str(tmp_path)!r}]
sys.argv = ["plugin", "--metadata"]
from toru_plugin.entry import main
try:
    main("plugin")
except SystemExit as ending:
    assert ending.code == 0
    assert "asyncio" not in sys.modules
    assert "inspect" not in sys.modules
    sys.exit(9)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, check=False)
    assert result.returncode == 9, result.stderr
    assert result.stdout.startswith(b'{"id": "one"')
    assert b"an author's print" in result.stderr


def test_a_plugin_that_is_started_by_hand_says_what_it_is(folder: Path) -> None:
    path = build_plugin(folder).path
    by_hand = subprocess.run(
        [path], capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin"}
    )
    assert by_hand.returncode == 2
    assert "TORU_PLUGIN_SOCKET is not set" in by_hand.stderr
    wrong = subprocess.run([path, "--help"], capture_output=True, text=True, check=False)
    assert (wrong.returncode, "takes no arguments" in wrong.stderr) == (2, True)
