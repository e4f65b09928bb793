"""The WebSocket: run, watch live, attach, detach, cancel, subscribe; and what it refuses."""

from __future__ import annotations

import os
import resource
import signal
import time
from pathlib import Path

import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.websocket import Closed, Refused, WebSocket

ENDS = ("exit", "cancelled")


def test_a_script_is_run_and_its_output_and_exit_code_arrive(hub: HubProcess) -> None:
    hub.script("hello.sh", "echo hello\necho trouble >&2\nexit 7\n")
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "hello.sh"})
        started = socket.read()
        assert started["type"] == "started"
        messages = []
        while not messages or messages[-1]["type"] != "exit":
            messages.append(socket.read())
    by_stream = {message["type"]: message for message in messages}
    assert by_stream["stdout"]["data"] == "hello\n"
    assert by_stream["stderr"]["data"] == "trouble\n"
    assert max(m["offset"] for m in messages[:-1]) == len("hello\ntrouble\n")
    assert messages[-1] == {"type": "exit", "task_id": started["task_id"], "code": 7}


def test_the_history_has_the_run_with_its_output_and_figures(hub: HubProcess) -> None:
    hub.script("kept.sh", "echo kept\nexit 3\n")
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "kept.sh"})
        task_id = socket.read_until("exit")["task_id"]
    row = hub.get("/api/history")[0]
    assert row["id"] == task_id
    assert (row["script_name"], row["exit_code"], row["output"]) == ("kept.sh", 3, "kept\n")
    assert row["state"] == "failed"
    assert row["started_at"] <= row["finished_at"]
    assert hub.get(f"/api/tasks/{task_id}")["max_rss_bytes"] > 0


def test_output_appears_while_the_script_goes_on(hub: HubProcess) -> None:
    gate = hub.folder / "gate"
    hub.script(
        "waits.sh", f'echo first\nwhile [ ! -e "{gate}" ]; do sleep 0.02; done\necho second\n'
    )
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "waits.sh"})
        assert socket.read_until("stdout")["data"] == "first\n"
        gate.touch()
        assert socket.read_until("stdout")["data"] == "second\n"
        assert socket.read_until(*ENDS)["code"] == 0


def test_a_signal_that_ends_a_script_is_a_negative_code(hub: HubProcess) -> None:
    hub.script("dies.sh", "kill -9 $$\n")
    assert hub.run("dies.sh")[1]["code"] == -signal.SIGKILL


def test_attaching_late_and_from_an_offset_gives_the_same_bytes(hub: HubProcess) -> None:
    hub.script("lines.sh", "seq 1 20000\n")
    whole = "".join(f"{n}\n" for n in range(1, 20001))
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "lines.sh"})
        task_id = socket.read_until("started")["task_id"]
        output, _ = socket.read_run()
        assert output == whole
        for offset in (0, 1, 5000, len(whole) - 1, len(whole)):
            socket.send({"type": "attach", "task_id": task_id, "offset": offset})
            output, end = socket.read_run()
            assert (output, end["code"]) == (whole[offset:], 0)


def test_attaching_past_the_end_is_refused_with_a_sentence(hub: HubProcess) -> None:
    hub.script("short.sh", "echo short\n")
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "short.sh"})
        task_id = socket.read_until("exit")["task_id"]
        socket.send({"type": "attach", "task_id": task_id, "offset": 1000})
        error = socket.read_until("error")
        assert error["task_id"] == task_id
        assert "past its end" in error["data"]


def test_a_viewer_that_detached_hears_nothing_more(hub: HubProcess) -> None:
    gate = hub.folder / "detach-gate"
    hub.script("talks.sh", f'echo one\nwhile [ ! -e "{gate}" ]; do sleep 0.02; done\necho two\n')
    with hub.websocket() as socket, hub.websocket() as other:
        socket.send({"type": "run", "script": "talks.sh"})
        task_id = socket.read_until("stdout")["task_id"]
        socket.send({"type": "detach", "task_id": task_id})
        socket.send({"type": "ping"})
        assert socket.read()["type"] == "pong"
        other.send({"type": "attach", "task_id": task_id})
        assert other.read()["data"] == "one\n"
        gate.touch()
        assert other.read_run()[0] == "two\n"
        socket.send({"type": "ping"})
        assert socket.read()["type"] == "pong"


def test_a_cancelled_run_says_cancelled_and_never_exit(hub: HubProcess) -> None:
    hub.script("long.sh", "echo going\nsleep 600\n")
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "long.sh"})
        task_id = socket.read_until("stdout")["task_id"]
        began = time.monotonic()
        socket.send({"type": "cancel", "task_id": task_id})
        assert socket.read_until(*ENDS)["type"] == "cancelled"
        assert time.monotonic() - began < 4
        socket.send({"type": "ping"})
        assert socket.read()["type"] == "pong"
        socket.send({"type": "cancel", "task_id": task_id})
        assert "ended already" in socket.read_until("error")["data"]
    assert hub.get(f"/api/tasks/{task_id}")["state"] == "cancelled"


def test_whoever_cancels_a_run_of_another_connection_hears_of_its_end(hub: HubProcess) -> None:
    hub.script("other.sh", "echo going\nsleep 600\n")
    with hub.websocket() as runner, hub.websocket() as other:
        runner.send({"type": "run", "script": "other.sh"})
        task_id = runner.read_until("stdout")["task_id"]
        other.send({"type": "cancel", "task_id": task_id})
        assert other.read_until(*ENDS) == {"type": "cancelled", "task_id": task_id}
        assert runner.read_until(*ENDS)["type"] == "cancelled"


def _alive(pid_file: Path) -> list[int]:
    pids = [int(line) for line in pid_file.read_text().split()]
    return [pid for pid in pids if Path(f"/proc/{pid}/status").exists() and not _zombie(pid)]


def _zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_nothing_is_left_of_a_script_that_ignores_term_and_double_forks(hub: HubProcess) -> None:
    pids = hub.folder / "stubborn.pids"
    settled = hub.folder / "stubborn.settled"
    daemon = hub.folder / "daemon.bash"
    daemon.write_text(
        f"""trap '' TERM
( trap '' TERM; echo $BASHPID >> "{pids}"; touch "{settled}"; while :; do sleep 600; done ) &
"""
    )
    hub.script(
        "stubborn.bash",
        f"""trap '' TERM
echo $$ >> "{pids}"
( trap '' TERM; echo $BASHPID >> "{pids}"; sleep 600 ) &
setsid bash "{daemon}" &
wait %2
echo ready
while :; do sleep 600; done
""",
    )
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "stubborn.bash"})
        task_id = socket.read_until("stdout")["task_id"]
        wait_until(settled.exists, what="the daemon")
        wait_until(lambda: len(_alive(pids)) == 3, what="three processes")
        began = time.monotonic()
        socket.send({"type": "cancel", "task_id": task_id})
        stages = []
        while True:
            message = socket.read()
            if message["type"] == "cancelling":
                stages.append(message["stage"])
            elif message["type"] in ENDS:
                break
        took = time.monotonic() - began
    assert message["type"] == "cancelled"
    assert stages == ["term", "kill"]
    assert 4.5 < took < 9
    assert _alive(pids) == []


def test_a_stopped_script_can_be_cancelled(hub: HubProcess) -> None:
    hub.script("stops.sh", "echo $$\nkill -STOP $$\necho never\n")
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "stops.sh"})
        message = socket.read_until("stdout")
        pid = int(message["data"])
        wait_until(
            lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"
        )
        socket.send({"type": "cancel", "task_id": message["task_id"]})
        assert socket.read_until(*ENDS)["type"] == "cancelled"


def test_a_daemon_that_keeps_the_pipe_does_not_keep_the_run(hub: HubProcess) -> None:
    pids = hub.folder / "daemon.pids"
    hub.script(
        "daemon.bash",
        f"setsid bash -c 'echo $BASHPID >> \"{pids}\"; sleep 600' &\n"
        f'while [ ! -s "{pids}" ]; do sleep 0.01; done\necho left\n',
    )
    began = time.monotonic()
    output, end = hub.run("daemon.bash")
    assert (output, end["code"]) == ("left\n", 0)
    assert time.monotonic() - began < 6
    assert _alive(pids) == []


def test_standard_input_is_empty_and_the_environment_has_no_secret(hub: HubProcess) -> None:
    hub.script("looks.sh", "cat | wc -c\nls /proc/self/fd | wc -l\nenv\n")
    output, end = hub.run("looks.sh")
    assert end["code"] == 0
    lines = output.splitlines()
    assert lines[0].strip() == "0"
    assert lines[1].strip() == "4"  # 0, 1, 2 and the folder that ls itself reads
    names = {line.split("=")[0] for line in lines[2:]}
    assert {"PATH", "TORU_RUN_ID"} <= names
    assert not {name for name in names if name.startswith(("ADMIN", "STEERING", "DATABASE"))}
    assert "Correct-horse" not in output


def test_scripts_begin_with_the_descriptor_limit_that_the_hub_was_started_with(
    hub: HubProcess,
) -> None:
    hub.script("limit.sh", "ulimit -Sn\n")
    assert int(hub.run("limit.sh")[0]) == resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def test_bytes_that_are_no_text_arrive_marked_and_raw(hub: HubProcess) -> None:
    hub.script("raw.sh", "printf 'a\\000b\\377c\\n'\n")
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": "raw.sh"})
        task_id = socket.read_until("started")["task_id"]
        output, _ = socket.read_run()
    assert output == "a\0b\N{REPLACEMENT CHARACTER}c\n"
    assert hub.http("GET", f"/api/tasks/{task_id}/output?format=raw").body == b"a\0b\xffc\n"


def test_a_character_written_in_two_halves_is_not_torn(hub: HubProcess) -> None:
    hub.script("halves.sh", "printf '\\342\\202'\nsleep 0.2\nprintf '\\254\\n'\nprintf '\\303'\n")
    output, _ = hub.run("halves.sh")
    assert output == "€\n\N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[]",
        "null",
        "{}",
        '{"type":"nonsense"}',
        '{"type":"run"}',
        '{"type":"run","script":7}',
        '{"type":"run","script":"hello.sh","extra":1}',
        '{"type":"run","script":"hello.sh","args":{"a":1}}',
        '{"type":"attach","task_id":"x","offset":-1}',
        '{"type":"attach","task_id":"x","offset":1e400}',
        '{"type":"attach","task_id":"x","offset":NaN}',
        '{"type":"attach"}',
        '{"type":"attach","task_id":"nothing"}',
        '{"type":"cancel","task_id":"nothing"}',
        '{"type":"cancel","task_id":"' + "x" * 5000 + '"}',
        '{"type":"subscribe","topics":["everything"]}',
        '{"type":"subscribe","topics":"tasks"}',
        "[" * 50_000,
        '{"type":"run","script":"\\ud800"}',
    ],
)
def test_a_message_that_is_not_understood_gets_an_error_and_the_connection_stays(
    hub: HubProcess, text: str
) -> None:
    with hub.websocket() as socket:
        socket.send_text(text)
        assert socket.read()["type"] == "error"
        socket.send({"type": "ping"})
        assert socket.read() == {"type": "pong"}


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../hello.sh",
        "/etc/passwd",
        "sub/hello.sh",
        "-x.sh",
        "a\nb.sh",
        "a\0b.sh",
        "x" * 5000 + ".sh",
        "missing.sh",
        "folder.sh",
        "pipe.sh",
        "outside.sh",
        "text.txt",
        "dos.sh",
    ],
)
def test_a_name_that_is_no_script_is_refused_and_nothing_is_recorded(
    hub: HubProcess, name: str
) -> None:
    (hub.scripts_dir / "folder.sh").mkdir(exist_ok=True)
    if not (hub.scripts_dir / "pipe.sh").exists():
        os.mkfifo(hub.scripts_dir / "pipe.sh")
        (hub.folder / "target.sh").write_text("echo outside\n")
        (hub.scripts_dir / "outside.sh").symlink_to(hub.folder / "target.sh")
        (hub.scripts_dir / "text.txt").write_text("echo text\n")
        (hub.scripts_dir / "dos.sh").write_bytes(b"#!/bin/sh\r\necho dos\r\n")
        (hub.scripts_dir / "dos.sh").chmod(0o755)
    before = len(hub.get("/api/history?limit=1000"))
    with hub.websocket() as socket:
        socket.send({"type": "run", "script": name})
        message = socket.read()
    assert message["type"] == "error", message
    assert message["data"].endswith((".", "?")), message
    assert len(hub.get("/api/history?limit=1000")) == before


def test_a_binary_frame_closes_with_1003(hub: HubProcess) -> None:
    with hub.websocket() as socket:
        socket.send_bytes(b"\x00")
        with pytest.raises(Closed) as closed:
            socket.read()
    assert closed.value.code == 1003


def test_no_session_no_websocket(hub: HubProcess) -> None:
    for cookie in ("", "session_id=nonsense", "session_id=" + "A" * 43):
        with pytest.raises(Refused) as refused:
            hub.websocket(cookie=cookie)
        assert refused.value.status == 401


def test_a_foreign_origin_gets_no_websocket(hub: HubProcess) -> None:
    with pytest.raises(Refused) as refused:
        WebSocket(
            "127.0.0.1",
            hub.port,
            "/api/ws",
            {"Cookie": hub.cookie, "Origin": "http://evil.example"},
        )
    assert refused.value.status == 403


def test_subscribers_hear_of_runs_and_figures(hub: HubProcess) -> None:
    hub.script("event.sh", "echo event\n")
    with hub.websocket() as socket, hub.websocket() as runner:
        socket.send({"type": "subscribe", "topics": ["tasks", "resources", "actors"]})
        runner.send({"type": "run", "script": "event.sh"})
        task_id = runner.read_until("exit")["task_id"]
        seen: dict[str, list[object]] = {"tasks": [], "resources": [], "actors": []}
        while not (all(seen.values()) and seen["tasks"][-1] == "finished"):
            event = socket.read_until("event", timeout_s=10)
            if event["topic"] == "tasks":
                if event["data"]["id"] == task_id:  # a run of another test may still be ending
                    seen["tasks"].append(event["data"]["state"])
            else:
                seen[event["topic"]].append(event["data"])
    assert seen["tasks"][-2:] == ["running", "finished"]
    resources = seen["resources"][0]
    assert isinstance(resources, dict)
    assert resources["memory_total"] > 0


def test_a_logout_ends_the_websocket_within_a_second(hub: HubProcess) -> None:
    own = hub.cookie
    cookie = hub.log_in()
    hub.cookie = own
    with hub.websocket(cookie=cookie) as socket:
        began = time.monotonic()
        assert hub.http("POST", "/api/auth/logout", cookie=cookie).status == 200
        assert socket.read()["type"] == "error"
        with pytest.raises(Closed) as closed:
            socket.read()
        assert closed.value.code == 4401
        assert time.monotonic() - began < 1


def test_events_of_a_connection_that_was_not_read_for_a_while_come_when_it_is(
    hub: HubProcess,
) -> None:
    hub.script("much.sh", "yes | head -c 20000000\n")
    with hub.websocket() as socket:
        socket.send({"type": "subscribe", "topics": ["tasks"]})
        socket.send({"type": "run", "script": "much.sh"})
        # So much waits for this connection that no more is sent on it; the run ends all the same.
        wait_until(
            lambda: hub.get("/api/history")[:1] and hub.get("/api/history")[0]["exit_code"] == 0
        )
        task_id = hub.get("/api/history")[0]["id"]
        states, ended = [], False
        while not ended or "finished" not in states:
            message = socket.read()
            ended = ended or message["type"] == "exit"
            if message["type"] == "event" and message["data"]["id"] == task_id:
                states.append(message["data"]["state"])
    assert states[-1] == "finished"
