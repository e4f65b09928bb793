"""``toru run`` against a real hub: raw output, true exit codes, nothing lost or doubled."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.support import CommandLine, Proxy
from tests.support.hub import HubProcess, wait_until

COUNTER = "i=0; while [ $i -lt {count} ]; do i=$((i+1)); echo line $i; sleep 0.02; done; exit 7\n"
ENDLESS = "echo begun; sleep 600\n"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture
def toru(hub: HubProcess, tmp_path: Path) -> CommandLine:
    return CommandLine(hub, tmp_path)


def state_of(hub: HubProcess, task_id: str) -> str:
    return str(hub.get(f"/api/tasks/{task_id}")["state"])


def newest(hub: HubProcess) -> dict[str, object]:
    found: dict[str, object] = hub.get("/api/history?limit=1")[0]
    return found


def test_output_is_raw_on_its_own_stream_and_the_exit_code_is_the_scripts(
    hub: HubProcess, toru: CommandLine
) -> None:
    hub.script("both.sh", r"printf 'out\033[1m\n'; echo err >&2; printf 'é no newline'; exit 3")
    result = toru.call("run", "both.sh")
    assert result.stdout == "out\x1b[1m\né no newline"
    assert result.stderr == "err\n"
    assert result.returncode == 3


def test_two_megabytes_arrive_whole(hub: HubProcess, toru: CommandLine) -> None:
    hub.script("long.sh", "seq 1 300000\n")
    result = toru.call("run", "long.sh")
    assert result.returncode == 0
    assert result.stdout == "".join(f"{number}\n" for number in range(1, 300_001))


def test_a_script_that_a_signal_ended_gives_128_and_the_signal(
    hub: HubProcess, toru: CommandLine
) -> None:
    hub.script("killed.sh", "kill -KILL $$\n")
    assert toru.call("run", "killed.sh").returncode == 137


def test_parameters_reach_the_script(hub: HubProcess, toru: CommandLine) -> None:
    hub.script("greet.sh", '#!/bin/sh\n# Parameter: NAME\necho "hello $PARAM_NAME"\n')
    assert toru.call("run", "greet.sh", "--arg", "NAME=a = b").stdout == "hello a = b\n"
    wrong = toru.call("run", "greet.sh", "--arg", "NAME")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert toru.call("run", "greet.sh", "--arg", "OTHER=1").returncode == 125


def test_a_script_that_is_not_there_is_one_sentence(toru: CommandLine) -> None:
    result = toru.call("run", "missing.sh")
    assert result.returncode == 125
    assert result.stderr.startswith("toru: ")
    assert result.stderr.count("\n") == 1


def test_a_hub_that_is_not_there_is_one_sentence(toru: CommandLine) -> None:
    result = toru.call("run", "any.sh", "--url", "http://127.0.0.1:1")
    assert result.returncode == 125
    assert "http://127.0.0.1:1" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "url", ["127.0.0.1:3000", "ftp://x", "http://", "http://a:b@c/", "http://[x"]
)
def test_an_address_that_is_none_is_one_sentence(toru: CommandLine, url: str) -> None:
    result = toru.call("run", "any.sh", "--url", url)
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1


def test_a_wrong_password_is_refused_and_keeps_no_session(
    hub: HubProcess, toru: CommandLine
) -> None:
    result = toru.call("tasks", "-u", "nobody", TORU_PASSWORD="Wrong-pass-1")
    assert result.returncode == 125
    assert "refused" in result.stderr
    assert not (toru.state / "toru").exists()


def test_without_a_password_and_a_terminal_it_says_what_to_set(toru: CommandLine) -> None:
    result = toru.call("tasks", TORU_PASSWORD="")
    assert result.returncode == 125
    assert "TORU_PASSWORD" in result.stderr


def test_the_admins_password_is_that_of_the_hub_when_no_other_is_named(
    hub: HubProcess, toru: CommandLine
) -> None:
    password = toru.environ["TORU_PASSWORD"]
    assert toru.call("tasks", TORU_PASSWORD="", ADMIN_PASSWORD=password).returncode == 0
    result = toru.call("tasks", "-u", "anna", TORU_PASSWORD="", ADMIN_PASSWORD=password)
    assert result.returncode == 125


def test_the_session_is_kept_privately_and_a_dead_one_is_replaced(
    hub: HubProcess, toru: CommandLine
) -> None:
    assert toru.call("tasks").returncode == 0
    path = toru.state / "toru/sessions.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert toru.call("tasks", TORU_PASSWORD="").returncode == 0
    kept = json.loads(path.read_bytes())
    token = kept[hub.base_url]["admin"]
    hub.http("POST", "/api/auth/logout", {}, cookie=f"session_id={token}")
    assert toru.call("tasks", TORU_PASSWORD="").returncode == 125
    hub.script("ok.sh", "echo ok\n")
    path.write_text(json.dumps(kept))
    assert toru.call("run", "ok.sh").stdout == "ok\n"
    assert json.loads(path.read_bytes())[hub.base_url]["admin"] != token


def test_no_follow_prints_the_id_and_attach_shows_the_run(
    hub: HubProcess, toru: CommandLine
) -> None:
    hub.script("counter.sh", COUNTER.format(count=20))
    started = toru.call("run", "counter.sh", "--no-follow")
    assert started.returncode == 0
    task_id = started.stdout.strip()
    whole = "".join(f"line {number}\n" for number in range(1, 21))
    live = toru.call("attach", task_id)
    assert (live.stdout, live.returncode) == (whole, 7)
    later = toru.call("attach", task_id, "--offset", "7")
    assert (later.stdout, later.returncode) == (whole[7:], 7)
    assert toru.call("attach", "no-such-run").returncode == 125


def test_tasks_lists_runs_for_people_and_for_programs(hub: HubProcess, toru: CommandLine) -> None:
    hub.script("good.sh", "exit 0\n")
    hub.script("bad.sh", "exit 9\n")
    toru.call("run", "good.sh")
    toru.call("run", "bad.sh")
    table = toru.call("tasks", "-n", "2").stdout.splitlines()
    assert len(table) == 3
    assert table[0].split() == ["State", "Script", "Started", "Took", "Code", "By", "Id"]
    assert "failed" in table[1]
    assert "bad.sh" in table[1]
    rows = json.loads(toru.call("tasks", "--json", "--state", "failed", "-n", "1").stdout)
    assert [(row["script_name"], row["exit_code"]) for row in rows] == [("bad.sh", 9)]
    assert rows[0]["id"] in table[1]
    assert toru.call("tasks", "--state", "asleep").returncode == 2


def test_ctrl_c_without_a_terminal_cancels_the_run(hub: HubProcess, toru: CommandLine) -> None:
    hub.script("endless.sh", ENDLESS)
    with toru.start("run", "endless.sh") as process:
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    assert newest(hub)["state"] == "cancelled"


def test_a_run_that_another_cancels_ends_as_by_sigterm(hub: HubProcess, toru: CommandLine) -> None:
    hub.script("endless.sh", ENDLESS)
    with toru.start("run", "endless.sh") as process:
        assert process.stdout
        assert process.stdout.readline() == "begun\n"
        hub.http("POST", f"/api/tasks/{newest(hub)['id']}/cancel", {})
        assert process.wait(30) == 143


@pytest.mark.parametrize(
    ("answer", "code", "state"),
    [("l\n", 0, "running"), ("c\n", 130, "cancelled"), ("g\n", 130, "cancelled")],
)
def test_ctrl_c_at_a_terminal_asks_what_is_wanted(
    hub: HubProcess, toru: CommandLine, answer: str, code: int, state: str
) -> None:
    hub.script("endless.sh", ENDLESS)
    master, slave = pty.openpty()
    try:
        with toru.start("run", "endless.sh", terminal=slave) as process:
            assert process.stdout
            assert process.stdout.readline() == "begun\n"
            process.send_signal(signal.SIGINT)
            read_until(master, "[g]o on")
            os.write(master, answer.encode())
            if answer == "g\n":
                # The second time, a further Ctrl-C at the question cancels.
                read_until(master, "Watching goes on.")
                process.send_signal(signal.SIGINT)
                read_until(master, "[g]o on")
                process.send_signal(signal.SIGINT)
            assert process.wait(30) == code
    finally:
        os.close(master)
        os.close(slave)
    task = newest(hub)
    assert task["state"] == state
    if state == "running":
        hub.http("POST", f"/api/tasks/{task['id']}/cancel", {})


def read_until(descriptor: int, text: str) -> None:
    seen = ""
    while text not in seen:
        ready, _, _ = select.select([descriptor], [], [], 20)
        assert ready, f"{text!r} did not come; what came is {seen!r}"
        seen += os.read(descriptor, 4096).decode()


def test_a_reader_who_leaves_does_not_end_the_run(hub: HubProcess, toru: CommandLine) -> None:
    hub.script("counter.sh", COUNTER.format(count=40))
    with toru.start("run", "counter.sh") as process:
        assert process.stdout
        assert process.stderr
        assert process.stdout.readline() == "line 1\n"
        process.stdout.close()
        assert process.wait(30) == 141
        assert process.stderr.read().count("\n") == 1
    task_id = str(newest(hub)["id"])
    wait_until(lambda: state_of(hub, task_id) == "failed", what="the end of the run")


def test_output_comes_once_through_cut_connections(hub: HubProcess, tmp_path: Path) -> None:
    proxy = Proxy(hub.port)
    toru = CommandLine(hub, tmp_path, url=proxy.url)
    hub.script("counter.sh", COUNTER.format(count=150))
    try:
        with toru.start("run", "counter.sh") as process:
            assert process.stdout
            seen = []
            for line in process.stdout:
                seen.append(line)
                if len(seen) in (10, 60, 110):
                    assert proxy.cut() > 0
            assert process.wait(30) == 7
    finally:
        proxy.close()
    assert seen == [f"line {number}\n" for number in range(1, 151)]


def test_output_comes_once_although_the_hub_is_killed_and_started_again(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        proxy = Proxy(hub.port)
        toru = CommandLine(hub, tmp_path, url=proxy.url)
        hub.script("counter.sh", COUNTER.format(count=200))
        try:
            with toru.start("run", "counter.sh") as process:
                assert process.stdout
                seen = [process.stdout.readline() for _ in range(20)]
                hub.kill()
                hub.start()
                proxy.target = hub.port
                seen += process.stdout.readlines()
                assert process.wait(30) == 7
        finally:
            proxy.close()
        assert seen == [f"line {number}\n" for number in range(1, 201)]


def test_a_person_can_stop_waiting_for_a_hub_that_is_gone(tmp_path: Path) -> None:
    with HubProcess(tmp_path / "hub") as hub:
        toru = CommandLine(hub, tmp_path)
        hub.script("endless.sh", ENDLESS)
        with toru.start("run", "endless.sh") as process:
            assert process.stdout
            assert process.stderr
            assert process.stdout.readline() == "begun\n"
            hub.kill()
            assert "lost" in process.stderr.readline()
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
            assert "toru attach" in process.stderr.read()
