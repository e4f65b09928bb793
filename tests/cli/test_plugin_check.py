"""``toru plugin check`` on plugins that are well and on plugins that are not, as processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import tests.support.quick_plugin
import tests.support.streaming_plugin
from tests.sdk import rust
from tests.support import misbehaving_plugin
from tests.support.hub import wait_until
from tests.support.plugin_files import processes_of
from toru.cli.plugin_build import build_plugin

PLUGINS = Path(__file__).parents[2] / "plugins"
PATIENT = ("--timeout", "20")
"""For plugins that are well: a busy machine is not their fault."""


class Fault(NamedTuple):
    """A misbehaviour, the case that is to catch it, and what the message says."""

    mode: str
    case: str
    says: str
    timeout_s: float = 4.0
    outcome: str = "failed"


FAULTS = (
    Fault("meta-garbage", "metadata-object", "It prints no JSON object"),
    Fault("meta-exit-3", "metadata-exits", "exited with code 3"),
    Fault("meta-hang", "metadata-exits", "did not exit within 5 seconds"),
    Fault("meta-bad-route", "metadata-route", "/a/../api"),
    Fault("stale-socket", "v1-listens", "nobody listens on it", 0.5),
    Fault("exit-on-init", "v1-init", "exited with code 1"),
    Fault("hello-instance-v2", "v2-hello", "wrong instance"),
    Fault("hello-silent-v2", "v2-hello", "Nothing came within 1 s", 1.0),
    Fault("never-ready-v2", "v2-ready", "Nothing came within", 0.5),
    Fault("wrong-id-v2", "v2-get", "There never was a request 999999"),
    Fault("silent", "v1-get", "No answer within 1 s", 1.0),
    Fault("crash-v2", "v2-get", "SIGKILL"),
    Fault("half-frame", "v1-get", "bytes of a frame that is not whole", 1.0),
    Fault("length-max-v2", "v2-get", "a length of 4294967295 bytes"),
    Fault("data-before-head-v2", "v2-get", "data before its head"),
    Fault("call-odd-v2", "v2-get", "a plugin's ids are even"),
    Fault("status-99-v2", "v2-status", "the status 99"),
    Fault("crlf-header-v2", "v2-headers", "X-Bad has a line break"),
    Fault("half-character", "v1-body", "half a character"),
    Fault("flow-v2", "v2-body", "beyond its credit"),
    Fault("data-after-end-v2", "v2-answers-once", "After the end of the answer came data"),
    Fault("repeated", "v1-answers-once", "came 1 more"),
    Fault("repeated-v2", "v2-answers-once", "After the end of the answer came http_head"),
    Fault("unknown-type-v2", "v2-known-types", "dance", outcome="warned"),
    Fault("call-flood-v2", "v2-call-limits", "refused with BUSY", outcome="warned"),
    Fault("ping-deaf-v2", "v2-ping", "No pong with n 7", 1.0),
    Fault("health-bad-v2", "v2-healthy", "the disk is slow", outcome="warned"),
    Fault("slow-30-v2", "v2-cancel", "It has not ended the request 1 after cancel", 1.0),
    Fault("ignore-shutdown", "v1-shutdown", "s after shutdown", 1.0),
    Fault("ignore-shutdown-v2", "v2-shutdown", "s after shutdown", 1.0),
    Fault("ignore-sigterm", "v1-sigterm", "s after SIGTERM", 1.0),
    Fault("grandchild-v2", "v2-shutdown-leaves-nothing", "bad-grandchild", outcome="warned"),
)


class Checked(NamedTuple):
    """What a check came to."""

    exit_code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stdout)
        return found

    def case(self, name: str) -> dict[str, Any]:
        return next(case for case in self.report["cases"] if case["name"] == name)

    def names(self, outcome: str) -> list[str]:
        return [case["name"] for case in self.report["cases"] if case["outcome"] == outcome]


def command(*words: str | Path) -> list[str]:
    return [sys.executable, "-m", "toru", "plugin", "check", *map(str, words)]


def environ() -> dict[str, str]:
    names = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_CONFIG")
    kept = {name: value for name, value in os.environ.items() if name in names}
    return kept | {"PYTHONWARNINGS": "error"}


def check(*words: str | Path) -> Checked:
    result = subprocess.run(
        command(*words),
        env=environ(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    return Checked(result.returncode, result.stdout, result.stderr)


def copied(module: Any, path: Path) -> Path:
    program = Path(module.__file__).read_text().split("\n", 1)[1]
    path.write_text(f"#!{sys.executable}\n{program}")
    path.chmod(0o755)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("plugins")


@pytest.fixture(scope="module")
def checks(folder: Path) -> Iterator[dict[str, Future[Checked]]]:
    """Every check of this module under its name; six run at a time, since most wait."""
    streams = ("--get", "/left", "--stream", "/down/2000000", "--websocket", "/chat")
    with ThreadPoolExecutor(6) as pool:

        def submit(path: Path, *words: str) -> Future[Checked]:
            return pool.submit(check, path, "--json", *words)

        found = {}
        for fault in sorted(FAULTS, key=lambda fault: fault.timeout_s):
            path = misbehaving_plugin.install(folder, fault.mode)
            only = ("--only", fault.case, "--timeout", str(fault.timeout_s))
            found[fault.mode] = submit(path, *only)
        built = [build_plugin(PLUGINS / f"hello-plugin-{name}", folder) for name in GOOD_EXAMPLES]
        for name, plugin in zip(GOOD_EXAMPLES, built, strict=True):
            get = ("--get", "/api/counter") if name == "python" else ()
            found[name] = submit(plugin.path, *PATIENT, *get)
        streaming = copied(tests.support.streaming_plugin, folder / "streaming.binary")
        found["streaming"] = submit(streaming, *PATIENT, *streams)
        for name in ("quick-v1", "quick-v2"):
            path = copied(tests.support.quick_plugin, folder / f"{name}.binary")
            found[name] = submit(path, *PATIENT)
        yield found


GOOD_EXAMPLES = ("python", "plain")
WELL = (*GOOD_EXAMPLES, "streaming", "quick-v1", "quick-v2")


@pytest.mark.parametrize("name", WELL)
def test_a_plugin_that_is_well_passes(checks: dict[str, Future[Checked]], name: str) -> None:
    checked = checks[name].result()
    assert checked.names("failed") == []
    assert checked.exit_code == 0, checked.stderr
    assert checked.stderr == ""
    assert checked.report["passed"] >= 40


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.mode)
def test_a_fault_is_caught_by_a_case_that_names_it(
    checks: dict[str, Future[Checked]], fault: Fault
) -> None:
    checked = checks[fault.mode].result()
    case = checked.case(fault.case)
    assert case["outcome"] == fault.outcome, case
    assert fault.says in case["got"]
    assert case["expected"]
    assert checked.exit_code == (1 if fault.outcome == "failed" else 0)


@pytest.mark.parametrize("name", GOOD_EXAMPLES)
def test_examples_have_nothing_that_could_be_better(
    checks: dict[str, Future[Checked]], name: str
) -> None:
    checked = checks[name].result()
    quick = ("metadata-quick",)  # which a busy machine makes slow
    assert [case for case in checked.names("warned") if case not in quick] == []


def test_nearly_all_cases_apply_to_the_example_in_python(
    checks: dict[str, Future[Checked]],
) -> None:
    checked = checks["python"].result()
    assert checked.report["passed"] >= 110
    assert checked.case("v2-call-refused")["outcome"] == "passed", "its keys were asked for"


def test_streams_and_sockets_are_tried_where_paths_are_named(
    checks: dict[str, Future[Checked]],
) -> None:
    passed = checks["streaming"].result().names("passed")
    assert {"v2-upload-credit", "v2-stream-credit", "v2-stream-cancelled"} <= set(passed)
    assert {"v2-socket", "v2-socket-text", "v2-socket-closed"} <= set(passed)


def test_cases_that_do_not_apply_say_why(checks: dict[str, Future[Checked]]) -> None:
    quick = checks["quick-v1"].result()
    assert quick.case("v2-hello")["outcome"] == "skipped"
    assert "do not announce version 2" in quick.case("v2-hello")["got"]
    assert "asks for no key" in quick.case("v1-kv")["got"]
    second = checks["quick-v2"].result()
    assert 'the feature "stream"' in second.case("v2-upload")["got"]


def test_the_json_says_what_was_sent_expected_and_got(checks: dict[str, Future[Checked]]) -> None:
    report = checks["python"].result().report
    assert report["plugin"]["id"] == "hello-plugin-python"
    assert report["plugin"]["protocols"] == [1, 2]
    counts = [report[outcome] for outcome in ("passed", "failed", "warned", "skipped")]
    assert sum(counts) == len(report["cases"])
    ping = checks["python"].result().case("v2-ping")
    assert ping["sent"] == 'ping {"n": 7}'
    assert ping["got"] == 'pong {"n": 7}'
    assert ping["version"] == 2
    assert ping["level"] == "must"


def test_the_example_in_rust_passes(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rust.require_rust()
    built = rust.build(rust.HELLO, folder, monkeypatch)
    checked = check(built, "--json", *PATIENT, "--get", "/api/counter")
    assert checked.names("failed") == checked.names("warned") == []
    assert checked.exit_code == 0
    assert checked.report["passed"] >= 110


def test_what_depends_on_a_failed_case_is_left_out(folder: Path) -> None:
    path = misbehaving_plugin.install(folder, "silent-v2+whole")
    checked = check(path, "--json", "--timeout", "1", "--only", "v2*")
    assert checked.exit_code == 1
    assert "v2-get" in checked.names("failed")
    assert checked.case("v2-query")["got"] == "v2-get has failed."
    assert checked.case("v2-ping")["outcome"] == "passed"


def test_the_table_shows_each_case_the_failures_and_a_summary(folder: Path) -> None:
    path = misbehaving_plugin.install(folder, "status-99-v2+table")
    checked = check(path, "--only", "v[12]-status")
    assert checked.exit_code == 1
    assert "✗ v2-status" in checked.stdout
    assert "The head has a status from 100 to 599." in checked.stdout
    words = " ".join(checked.stdout.split())
    assert 'sent http {"id": 1, "method": "GET", "path": "/"' in words
    assert "got The plugin answered with the status 99, which is none." in words
    assert words.endswith("bad-status-99-v2-table 1.0.0: 0 passed, 2 failed.")
    assert "\x1b" not in checked.stdout
    plain = check(misbehaving_plugin.install(folder, "echo+table"), "--only", "v2-c*").stdout
    assert " 4 cases " in plain
    assert plain.count("do not announce version 2") == 2, "once for each group"


def test_what_cannot_be_run_is_one_sentence_and_exit_code_2(tmp_path: Path) -> None:
    plain, text = tmp_path / "plain.binary", tmp_path / "text.binary"
    plain.write_text("x")
    text.write_text("no program")
    text.chmod(0o755)
    for path, says in (
        (tmp_path / "missing.binary", "No such file"),
        (tmp_path, "It is a folder"),
        (plain, "chmod +x"),
        (text, '"#!" line'),
    ):
        checked = check(path, "--json")
        assert checked.exit_code == 2
        assert checked.stdout == ""
        assert checked.stderr.startswith("toru: ")
        assert checked.stderr.count("\n") == 1
        assert says in checked.stderr


def test_a_pattern_that_names_no_case_is_refused(folder: Path) -> None:
    checked = check(sys.executable, "--only", "no-such-case")
    assert checked.exit_code == 2
    assert "--list" in checked.stderr


def test_the_list_has_more_than_sixty_cases_of_both_versions() -> None:
    checked = check("--list", "--json")
    cases = json.loads(checked.stdout)
    names = [case["name"] for case in cases]
    assert len(names) == len(set(names)) > 100
    assert {case["version"] for case in cases} == {None, 1, 2}
    assert all(case["sentence"].endswith(".") for case in cases)
    listed = check("--list", "--only", "v2-socket*").stdout
    assert "v2-socket-text" in listed
    assert "v2-ping" not in listed


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_check_leaves_no_process(tmp_path: Path, number: signal.Signals) -> None:
    path = misbehaving_plugin.install(tmp_path, "never-socket")
    process = subprocess.Popen(
        command(path, "--only", "v1-listens", "--timeout", "20"),
        env=environ(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            wait_until(lambda: _is_started(tmp_path), what="the plugin")
            process.send_signal(number)
            _, stderr = process.communicate(timeout=30)
        finally:
            process.kill()
    assert "Traceback" not in stderr
    # Python may end itself by the signal once it has cleaned up; to a shell that is the same.
    assert process.returncode in (128 + number, -number)
    assert processes_of(tmp_path) == []


def test_no_process_is_left_when_all_checks_are_done(
    checks: dict[str, Future[Checked]], folder: Path
) -> None:
    for future in checks.values():
        future.result()
    assert processes_of(folder) == []


def _is_started(folder: Path) -> bool:
    """Return whether the plugin runs to serve, and not only to say who it is."""
    lines = [process.info["cmdline"] for process in processes_of(folder)]
    return any("--metadata" not in line and "check" not in line for line in lines)
