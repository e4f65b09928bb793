"""``toru plugin new``: each template builds, passes its own test, and lives in a real hub."""

from __future__ import annotations

import ast
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdk import rust
from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import Plugins
from toru.cli.plugin_build import BuildError, build_plugin
from toru.cli.plugin_new import TEMPLATES, NewPluginError, languages, make_plugin
from toru.cli.plugin_test import NoTests, run_tests

needs_bash = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
LANGUAGES = [
    "python",
    pytest.param("bash", marks=needs_bash),
    "rust",
]
ROOT = Path(__file__).parents[2]
STRANGE = 'a "b" \\ $(id) `id` ü\n\t{}, %s'


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub")) as process:
        yield process
        assert process.stop() == 0
    assert "Traceback" not in process.log, process.log


def toru(*words: str | Path, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", "-m", "toru", "plugin", *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        cwd=cwd,
    )


def prepared_for_rust(monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that is always the same, so that cargo compiles for one place only."""
    rust.require_rust()
    for name, value in rust.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    folder = rust.PLACE / "new"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_new_plugin_passes_its_test_and_counts_in_a_real_hub(
    hub: HubProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    folder = prepared_for_rust(monkeypatch) if language == "rust" else tmp_path
    name = f"my-{language}"
    made = toru("new", name, "--lang", language, "--dir", folder)
    assert made.returncode == 0, made.stderr
    assert made.stdout.splitlines()[0] == str(folder / name)
    assert f"toru plugin dev {folder / name}" in made.stdout
    tested = toru("test", folder / name)
    assert tested.returncode == 0, tested.stderr
    assert "OK" in tested.stderr or "test result: ok" in tested.stdout
    built = build_plugin(folder / name, hub.plugins_dir)
    checked = toru("check", built.path, "--timeout", "20")
    assert checked.returncode == 0, checked.stdout
    assert " 0 failed" in checked.stdout
    assert Plugins(hub).wait(name, "ready")["name"] == f"My {language}"
    route = f"/api/plugins/route/{name}"
    assert hub.get(f"{route}/") == {"message": "Hello, admin!"}
    assert [hub.http("POST", f"{route}/api/counter").json for _ in range(2)] == [
        {"count": 1},
        {"count": 2},
    ]
    kept = hub.http("POST", f"/api/plugins/{name}/kv", {"action": "get", "key": "count"})
    assert kept.json == {"value": "2"}
    assert hub.http("DELETE", f"{route}/api/counter").json == {"count": 0}
    assert hub.get(f"{route}/api/counter") == {"count": 0}
    assert hub.http("GET", f"{route}/none").status == 404
    bundle = hub.http("GET", f"/api/plugins/{name}/bundle.js").body.decode()
    assert f'window.ToruPlugins["{name}"]' in bundle


SCRIPT = r"""#!/usr/bin/env bash
set -euo pipefail
case "$REQUEST_METHOD $REQUEST_PATH" in
  "POST /echo") status 201; header X-Kind echo; cat ;;
  "POST /param") json "text=$(param text)" "list:=$(param list)" "other=$(param other none)" ;;
  "POST /keep") kv set note "$(param text)"; json "note=$(kv get note)" ;;
  "GET /told") json "place=$(config place none)" "on:=$(config on)" "all=$(config all)" ;;
  "GET /missing") kv get nothing || echo "nothing there" ;;
  "GET /fails") echo "what went wrong" >&2; exit 3 ;;
  "GET /wrong") json "number:=x" ;;
  "GET /child") bash -c 'echo "${BASH_ENV:-clean}"; (sleep 60 &)' ;;
  "GET /user") json "who=$REQUEST_USER $REQUEST_ROLE" "query=$REQUEST_QUERY" ;;
  *) fail 404 'There is "nothing" here.' ;;
esac
"""


SETTINGS = """
    settings={
        "type": "object",
        "properties": {
            "place": {"type": "string"},
            "on": {"type": "boolean", "default": True},
            "all": {"type": "array", "items": {"type": "string"}, "default": ["a", "b c"]},
        },
    },
"""


@needs_bash
def test_a_plugin_in_bash_takes_any_text_and_says_what_fails(
    hub: HubProcess, tmp_path: Path
) -> None:
    folder = make_plugin("rough", "bash", tmp_path)
    (folder / "plugin.sh").write_text(SCRIPT)
    main = folder / "main.py"
    main.write_text(main.read_text().replace("\n)\nplugin.bundle", f"{SETTINGS})\nplugin.bundle"))
    build_plugin(folder, hub.plugins_dir)
    Plugins(hub).ready("rough")
    route = "/api/plugins/route/rough"
    body = bytes(range(256)) * 1000
    echo = hub.http("POST", f"{route}/echo", body)
    assert (echo.status, echo.headers["X-Kind"], echo.body) == (201, "echo", body)
    sent = {"text": STRANGE, "list": [1, {"a": STRANGE}]}
    assert hub.http("POST", f"{route}/param", sent).json == {**sent, "other": "none"}
    assert hub.http("POST", f"{route}/keep", {"text": STRANGE}).json == {"note": STRANGE}
    assert hub.get(f"{route}/told") == {"place": "none", "on": True, "all": "a\nb c"}
    wish = {"values": {"place": STRANGE, "on": False, "all": []}}
    assert hub.http("PUT", "/api/plugins/rough/settings", wish).json["applied"] == "live"
    wait_until(lambda: not hub.get(f"{route}/told")["on"], what="the new settings")
    assert hub.get(f"{route}/told")["place"] == STRANGE
    assert hub.http("GET", f"{route}/missing").body == b"nothing there\n"
    assert hub.http("GET", f"{route}/child").body == b"clean\n"
    assert hub.get(f"{route}/user?a=%22b") == {"who": "admin admin", "query": "a=%22b"}
    assert hub.http("GET", f"{route}/none").json == {"error": 'There is "nothing" here.'}
    for path in ("fails", "wrong"):
        failed = hub.http("GET", f"{route}/{path}")
        assert (failed.status, failed.json["code"]) == (500, "script_failed")
    for words in ("what went wrong", "json: "):
        wait_until(lambda words=words: is_logged(hub, "rough", words), what=f"the line {words}")


def is_logged(hub: HubProcess, name: str, words: str) -> bool:
    lines = hub.get(f"/api/plugins/{name}/logs")["logs"]
    return any(line["message"].startswith(words) for line in lines)


@needs_bash
def test_a_mistake_in_a_shell_script_is_found_when_it_is_built(tmp_path: Path) -> None:
    folder = make_plugin("wrong", "bash", tmp_path)
    (folder / "plugin.sh").write_text("#!/usr/bin/env bash\n\nif true; then\n")
    with pytest.raises(BuildError, match=r"plugin\.sh: line \d+: .*end of file"):
        build_plugin(folder)


@needs_bash
def test_a_shell_script_that_hangs_is_ended_with_all_that_it_started(tmp_path: Path) -> None:
    folder = make_plugin("slow", "bash", tmp_path)
    (folder / "plugin.sh").write_text("sleep 60 | sleep 60\n")
    main = folder / "main.py"
    main.write_text(main.read_text().replace("limit_s=60.0", "limit_s=0.2"))
    (folder / "tests/test_plugin.py").write_text(
        "import unittest\n"
        "from main import plugin\n"
        "from toru_plugin.testing import PluginTest\n"
        "class Slow(unittest.IsolatedAsyncioTestCase):\n"
        "    async def test_it_is_ended(self):\n"
        "        async with PluginTest(plugin) as test:\n"
        "            self.assertEqual((await test.get('/')).status, 504)\n"
    )
    tested = toru("test", folder)
    assert tested.returncode == 0, tested.stderr


@needs_bash
@pytest.mark.parametrize("guide", ["README.md", "docs/plugins-python.md"])
def test_the_commands_that_the_guides_begin_with_work(tmp_path: Path, guide: str) -> None:
    (tmp_path / "plugins").mkdir()
    blocks = re.findall(r"```sh\n(.*?)```", (ROOT / guide).read_text(), re.DOTALL)
    begin = next(block for block in blocks if "toru plugin new" in block)
    commands = [shlex.split(line, comments=True) for line in begin.splitlines()]
    assert [words[:2] for words in commands] == [["toru", "plugin"]] * len(commands)
    for _, _, *words in commands:
        if words[0] != "dev":  # which goes on until Ctrl-C: test_plugin_dev
            done = toru(*words, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
    assert (tmp_path / "disk-guard").is_dir()


@pytest.mark.parametrize("name", ["", "1a", "-a", "a_b", "a b", "../a", "a/b", "ä", "a" * 65])
def test_a_name_that_cannot_be_an_id_is_refused_in_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(NewPluginError, match="must be letters, digits and hyphens"):
        make_plugin(name, "python", tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_exists_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "file").write_text("kept")
    for name in ("mine", "file"):
        with pytest.raises(NewPluginError, match="exists already; nothing was changed"):
            make_plugin(name, "python", tmp_path)
    assert list((tmp_path / "mine").iterdir()) == []
    assert (tmp_path / "file").read_text() == "kept"
    with pytest.raises(NewPluginError, match="a word that Toru needs"):
        make_plugin("route", "python", tmp_path)
    with pytest.raises(NewPluginError, match="cannot be made"):
        make_plugin("new", "python", tmp_path / "none")


def test_an_unknown_language_is_one_sentence(tmp_path: Path) -> None:
    refused = toru("new", "mine", "--lang", "cobol", "--dir", tmp_path)
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "toru: There is no template for cobol; there are bash, python, rust."
    )
    assert refused.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_program_named_test_is_run_instead_of_python(tmp_path: Path) -> None:
    with pytest.raises(NoTests, match="neither tests"):
        run_tests(tmp_path)
    program = tmp_path / "test"
    program.write_text("#!/bin/sh\n[ -f here ] && exit 0\ntouch here\nexit 4\n")
    program.chmod(0o755)
    assert [run_tests(tmp_path), run_tests(tmp_path)] == [4, 0]


@pytest.mark.parametrize("language", languages())
def test_the_templates_are_sound_files(tmp_path: Path, language: str) -> None:
    folder = make_plugin("x-1", language, tmp_path)
    files = [path for path in folder.rglob("*") if path.is_file()]
    template = [path for path in (TEMPLATES / language).rglob("*") if path.is_file()]
    own = [path for path in files if "toru-plugin-api" not in path.parts]
    assert len(own) == len([path for path in template if "__pycache__" not in path.parts])
    for path in files:
        text = path.read_text()
        assert "__plugin_" not in text
        assert bool(path.stat().st_mode & 0o100) == text.startswith("#!")
        if path.suffix == ".py":
            ast.parse(text, feature_version=(3, 9))
        if path.suffix == ".sh" and shutil.which("bash"):
            subprocess.run(["bash", "-n", path], check=True)
        if path.suffix == ".js" and shutil.which("node"):
            subprocess.run(["node", "--check", path], check=True)
