"""The project's set-up: what is done is skipped, what is missing is said in one line."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import bootstrap, browser, check, node, provision, wheel
from tools.common import ROOT, SetupError, Stamps, digest, run

STATIC = ROOT / "static"


def program(path: Path, script: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


# Stamps and steps


def test_a_stamp_is_read_back_and_a_broken_file_counts_as_nothing_done(tmp_path: Path) -> None:
    stamps = Stamps(tmp_path / "stamps.json")
    assert stamps.read("npm") == {}
    stamps.record("npm", inputs="a", tests=True)
    stamps.record("pip", inputs="b")
    assert Stamps(tmp_path / "stamps.json").read("npm") == {"inputs": "a", "tests": True}
    for content in ("{", "[]", '{"npm": 3}'):
        (tmp_path / "stamps.json").write_text(content)
        assert stamps.read("npm") == {}


def test_a_digest_changes_with_content_order_and_absence(tmp_path: Path) -> None:
    one, two = tmp_path / "1", tmp_path / "2"
    one.write_text("a")
    without = digest([one, two])
    two.write_text("")
    digests = {without, digest([one, two]), digest([two, one])}
    assert len(digests) == 3
    assert digest([one, two]) == digest([one, two])


def test_the_environment_is_made_once_and_again_when_the_checkout_has_moved(
    tmp_path: Path,
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    provision._provide_environment(before, Stamps(before / ".venv/toru-setup.json"))
    marker = before / ".venv/marker"
    marker.touch()
    provision._provide_environment(before, Stamps(before / ".venv/toru-setup.json"))
    assert marker.exists()
    after = before.rename(tmp_path / "after")
    provision._provide_environment(after, Stamps(after / ".venv/toru-setup.json"))
    assert not (after / ".venv/marker").exists()
    assert str(after) in (after / ".venv/bin/pip").read_text()


def test_a_python_without_venv_is_one_line_that_names_the_debian_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ensurepip", None)
    assert provision.provision(["run"], tmp_path) == 1
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert re.search(r"apt-get install python3\.\d+-venv$", lines[0])


def test_wrong_arguments_are_refused() -> None:
    assert provision.provision([]) == 2
    assert provision.provision(["everything"]) == 2


def test_a_python_that_is_too_old_says_so_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bootstrap, "OLDEST", (99, 0))
    monkeypatch.setenv("PATH", "")
    assert bootstrap.main() == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_the_first_file_is_readable_by_old_pythons() -> None:
    for path in (ROOT / "tools/bootstrap.py", ROOT / "tools/__init__.py"):
        ast.parse(path.read_text(), feature_version=(3, 4))


def test_a_failing_command_is_one_sentence() -> None:
    with pytest.raises(SetupError, match=r"^it failed \(exit code 3\)\.$"):
        run(["sh", "-c", "exit 3"], "it failed")
    with pytest.raises(SetupError, match="it is missing"):
        run(["/no/such/program"], "it is missing")


# npm and the dashboard's packages


def test_npm_is_used_only_with_a_node_that_is_new_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    npm = program(tmp_path / "npm", "echo 10.1.0")
    program(tmp_path / "node", "echo v12.22.12")
    assert node.find_npm() is None
    program(tmp_path / "node", "echo v22.1.0")
    assert node.find_npm() == [npm]
    program(tmp_path / "npm", "exit 1")
    assert node.find_npm() is None
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    assert node.find_npm() is None


def test_programs_of_npm_find_the_node_that_belongs_to_it(tmp_path: Path) -> None:
    assert node.node_environ([Path("/usr/bin/npm")])["PATH"] == os.environ["PATH"]
    carried = node.node_environ([tmp_path / "bin/node", tmp_path / "npm-cli.js"])
    assert carried["PATH"].startswith(f"{tmp_path}/bin{os.pathsep}")


def test_vendor_gets_what_the_dashboard_loads_with_licences_and_without_source_maps(
    tmp_path: Path,
) -> None:
    static = tmp_path / "static"
    static.mkdir()
    (static / "package.json").write_bytes((STATIC / "package.json").read_bytes())
    (static / "node_modules").symlink_to(STATIC / "node_modules")
    (static / "vendor").mkdir()
    (static / "vendor/stale.js").touch()
    assert not node.vendor_is_complete(static)
    node.fill_vendor(static)
    assert node.vendor_is_complete(static)
    names = {path.name for path in (static / "vendor").iterdir()}
    assert names == {*node.vendor_files(static), "LICENSES"}
    contents = [(static / "vendor" / name).read_text() for name in node.vendor_files(static)]
    assert not [text for text in contents if "sourceMappingURL" in text]
    packages = {node.package_of(source) for source in node.vendor_files(static).values()}
    assert len(list((static / "vendor/LICENSES").iterdir())) == len(packages)


def test_a_package_that_lacks_a_file_is_one_sentence_and_keeps_the_old_vendor(
    tmp_path: Path,
) -> None:
    (tmp_path / "package.json").write_text('{"vendor": {"a.js": "a/missing.js"}}')
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor/a.js").touch()
    with pytest.raises(SetupError, match=r"a/missing\.js"):
        node.fill_vendor(tmp_path)
    assert (tmp_path / "vendor/a.js").exists()


def test_the_import_map_names_exactly_the_modules_of_vendor() -> None:
    page = (STATIC / "index.html").read_text()
    found = re.search(r'<script type="importmap">(.*?)</script>', page, re.DOTALL)
    assert found
    imports = json.loads(found[1])["imports"].values()
    modules = {name for name in node.vendor_files(STATIC) if name.endswith(".js")}
    assert {Path(address).name for address in imports} == modules
    assert all("/vendor/" in address for address in imports)


def test_the_lock_file_names_no_registry() -> None:
    lock = json.loads((STATIC / "package-lock.json").read_bytes())
    assert not [name for name, entry in lock["packages"].items() if "resolved" in entry]


def test_the_lock_file_lists_every_optional_package_so_that_npm_ci_accepts_it() -> None:
    packages = json.loads((STATIC / "package-lock.json").read_bytes())["packages"]
    wanted = {
        f"node_modules/{name}"
        for entry in packages.values()
        for name in entry.get("optionalDependencies", {})
    }
    assert wanted
    assert wanted <= packages.keys()


# Chromium


def test_a_chromium_that_is_named_must_start(tmp_path: Path) -> None:
    good = program(tmp_path / "good", "echo Chromium 140")
    bad = program(tmp_path / "bad", "echo install it first; exit 1")
    assert browser.find_chromium(str(good)) == good
    with pytest.raises(SetupError, match="CHROMIUM"):
        browser.find_chromium(str(bad))


def test_a_script_that_only_tells_how_to_get_chromium_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path / "chromium", "exit 1")
    later = program(tmp_path / "google-chrome", "echo Chrome 140")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    assert browser.find_chromium() == later


def test_a_chromium_that_is_gone_is_looked_for_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".venv").mkdir()
    first = program(tmp_path / "first/chromium", "echo Chromium 1")
    second = program(tmp_path / "second/chromium", "echo Chromium 2")
    monkeypatch.delenv("CHROMIUM", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path}/first:{tmp_path}/second:/bin")
    assert browser.provide_chromium(tmp_path) == first
    assert browser.recorded_chromium(tmp_path) == first
    first.unlink()
    assert browser.recorded_chromium(tmp_path) is None
    assert browser.provide_chromium(tmp_path) == second
    monkeypatch.setenv("CHROMIUM", str(program(tmp_path / "named", "echo Chromium 3")))
    assert browser.provide_chromium(tmp_path) == tmp_path / "named"


# Checks


def test_the_dashboard_is_checked_as_soon_as_it_has_code(tmp_path: Path) -> None:
    static = tmp_path / "static"
    (static / "vendor").mkdir(parents=True)
    (static / "vendor/foreign.js").touch()
    (static / "node_modules/x").mkdir(parents=True)
    (static / "node_modules/x/foreign.js").touch()
    assert not check.has_code(static)
    names = {item.name for item in check.checks(tmp_path)}
    assert names == {"mypy", "ruff check", "ruff format"}
    (static / "lib").mkdir()
    (static / "lib/own.js").touch()
    names = {item.name for item in check.checks(tmp_path)}
    assert names == {"mypy", "ruff check", "ruff format", "tsc", "tsc of pages", "biome"}


def test_a_check_that_fails_or_is_missing_is_a_failure_with_its_output(tmp_path: Path) -> None:
    run_check = check.runner(dict(os.environ))
    failed = run_check(check.Check("a", ["sh", "-c", "echo why >&2; exit 4"], tmp_path))
    assert (failed.code, failed.output) == (4, "why\n")
    missing = run_check(check.Check("b", [tmp_path / "missing"], tmp_path))
    assert missing.code == 127
    assert "missing" in missing.output


def test_types_and_lint_of_the_dashboard_are_really_looked_at(tmp_path: Path) -> None:
    """The configuration in static/ finds a wrong type and an unused variable."""
    for name in ("biome.json", "tsconfig.json"):
        (tmp_path / name).write_bytes((STATIC / name).read_bytes())
    (tmp_path / "node_modules").symlink_to(STATIC / "node_modules")
    (tmp_path / "wrong.js").write_text(
        "/** @type {number} */\nexport const count = 'text';\nlet unused;\n"
    )
    environ = node.node_environ(node.installed_npm(Stamps(ROOT / ".venv/toru-setup.json")))
    run_check = check.runner(environ)
    found = {item.name: run_check(item) for item in check._dashboard_checks(tmp_path)}
    assert found["tsc"].code
    assert "wrong.js(2,14): error TS2322" in found["tsc"].output
    assert found["biome"].code
    assert "noUnusedVariables" in found["biome"].output


# The Makefile and the wheel


def test_make_alone_lists_the_targets() -> None:
    result = subprocess.run(["make"], cwd=ROOT, capture_output=True, text=True, check=True)
    assert {"make run", "make test", "make lint", "make bench", "make clean"} <= {
        " ".join(line.split()[:2]) for line in result.stdout.splitlines()
    }


def test_the_wheel_carries_the_whole_dashboard_and_nothing_of_its_tools(tmp_path: Path) -> None:
    built = wheel.build_wheel(tmp_path, isolated=False)
    with zipfile.ZipFile(built) as archive:
        names = set(archive.namelist())
    carried = {
        name.removeprefix("toru/_static/") for name in names if name.startswith("toru/_static/")
    }
    wanted = {
        str(path.relative_to(STATIC))
        for path in STATIC.rglob("*")
        if path.is_file() and "node_modules" not in path.parts and path.suffix != ".json"
    } - {".npmrc"}
    assert carried == wanted
    assert "index.html" in carried
    assert "vendor/preact.js" in carried
    packages = {str(path.relative_to(ROOT)) for path in (ROOT / "toru").rglob("*.py")}
    assert packages <= names
    for folder, pattern in (("toru/cli/templates", "*"), ("toru/_sdk_rust/toru-plugin-api", "*.*")):
        files = [path for path in (ROOT / folder).rglob(pattern) if path.is_file()]
        own = {str(path.relative_to(ROOT)) for path in files if not {"target"} & set(path.parts)}
        assert own <= names | {name for name in own if "__pycache__" in name}, folder
    assert not [name for name in names if name.startswith(("tests/", "tools/"))]
