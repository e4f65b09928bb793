"""The plugin Containers and a recorded engine at a real Unix socket, alone and in a real hub."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from toru_plugin.testing import Answer, PluginTest

from tests.support import first_party
from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import Plugins
from tests.support.recorded_engine import RecordedEngine, frame, stamped

ID = "containers"
API = "/api/plugins/route/containers/api/containers"


@pytest.fixture(scope="module")
def module() -> ModuleType:
    return first_party.load(ID)


@pytest.fixture
def engine(
    module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[RecordedEngine]:
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/e.sock")
    module.finder().forget()
    with RecordedEngine(tmp_path / "e.sock") as started:
        yield started
    module.finder().forget()


@pytest.fixture
def nowhere(module: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Have one place only where an engine could be, and nothing there."""
    import container_engine.connection as connection

    path = tmp_path / "e.sock"
    monkeypatch.setattr(connection, "candidates", lambda: [str(path)])
    module.finder().forget()
    return path


def ask(module: ModuleType, *calls: Callable[[PluginTest], Awaitable[Answer]]) -> list[Answer]:
    """Make some calls to a plugin in memory."""

    async def run() -> list[Answer]:
        async with PluginTest(module.plugin) as test:
            answers = [await call(test) for call in calls]
            assert not any(record.level == "error" for record in test.logs), test.logs
            return answers

    return asyncio.run(run())


def get(path: str = "", **more: Any) -> Callable[[PluginTest], Awaitable[Answer]]:
    return lambda test: test.get(f"/api/containers{path}", **more)


def post(path: str, role: str = "admin") -> Callable[[PluginTest], Awaitable[Answer]]:
    return lambda test: test.post(f"/api/containers{path}", user="anna", role=role)


# Alone


def test_containers_are_listed_as_the_engine_tells_them(
    module: ModuleType, engine: RecordedEngine
) -> None:
    [answer] = ask(module, get())
    told = answer.json()
    assert (told["available"], told["engine"]) == (True, "Docker")
    names = [one["name"] for one in told["containers"]]
    assert names == ["db", "web", "broken", "mute", "nightly-job", "stuck"]
    web = told["containers"][1]
    assert web["ports"] == ["443/tcp", "8080 → 80/tcp", "127.0.0.1:9090 → 9090/tcp"]
    assert (web["status"], web["health"]) == ("Up 3 hours (healthy)", "healthy")
    assert (web["image"], web["project"]) == ("nginx:1.27", "shop")
    assert engine.asked == ["GET /_ping", "GET /v1.43/containers/json?all=true"]
    engine.podman = True
    module.finder().forget()
    assert ask(module, get())[0].json()["engine"] == "Podman"


def test_a_container_is_shown_without_what_is_secret(
    module: ModuleType, engine: RecordedEngine
) -> None:
    web, job, listed = ask(module, get("/web"), get("/3176a2479c92"), get())
    shown = web.json()
    assert (shown["state"], shown["health"], shown["restarts"]) == ("running", "healthy", 1)
    assert shown["ports"] == ["443/tcp", "8080 → 80/tcp"]
    assert shown["folders"] == [
        {"from": "/srv/site", "to": "/usr/share/nginx/html", "writable": False}
    ]
    assert (shown["started_s"], shown["finished_s"]) == (1795345200.0, None)
    assert job.json()["out_of_memory"] and job.json()["exit_code"] == 137
    assert "hunter2" not in web.text + listed.text


def test_only_the_admin_changes_containers_and_reads_logs(
    module: ModuleType, engine: RecordedEngine
) -> None:
    answers = ask(
        module,
        post("/web/stop", role="client"),
        get("/web/logs", role="client"),
        post("/web/kill"),
        post("/..%2Fimages/stop"),
        get("/-x"),
    )
    assert [answer.status for answer in answers] == [403, 403, 404, 400, 400]
    assert engine.asked == []


def test_refusals_of_the_engine_are_told_in_its_words(
    module: ModuleType, engine: RecordedEngine
) -> None:
    none, paused, broken, again = ask(
        module, get("/none"), post("/stuck/start"), post("/broken/start"), post("/web/start")
    )
    assert (none.status, none.json()["error"]) == (404, "No such container: none")
    assert (paused.status, paused.json()["code"]) == (409, "refused")
    assert paused.json()["error"] == "cannot start a paused container, try unpause instead"
    assert (broken.status, "port is allocated" in broken.json()["error"]) == (502, True)
    assert (again.status, again.json()["container"]["state"]) == (200, "running"), "304 is no fault"


def test_a_daemon_that_hangs_is_given_up(
    module: ModuleType, engine: RecordedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    import container_engine.connection as connection
    import container_engine.containers as containers

    monkeypatch.setattr(connection, "ASK_TIMEOUT_S", 0.3)
    monkeypatch.setattr(containers, "ACTION_TIMEOUT_S", 0.3)
    ask(module, get())
    engine.hangs = True
    known, change = ask(module, get(), post("/web/stop"))
    assert (known.status, change.status) == (504, 504)
    assert known.json()["error"] == "Docker gave no answer within 0.3 seconds."
    module.finder().forget()
    monkeypatch.setattr(connection, "candidates", lambda: [str(engine.server_address)])
    [new] = ask(module, get())
    assert "gave no answer" in new.json()["reason"]


def test_where_there_is_no_engine_it_says_so_and_logs_nothing(
    module: ModuleType, nowhere: Path
) -> None:
    async def run() -> None:
        async with PluginTest(module.plugin) as test:
            told = (await test.get("/api/containers")).json()
            assert (told["available"], told["containers"]) == (False, [])
            assert told["reason"].startswith("There is no container engine on this machine")
            assert (await test.get("/api/containers/web")).status == 503
            assert test.logs == []

    asyncio.run(run())


def test_a_socket_that_refuses_is_told_with_what_to_do(
    module: ModuleType, nowhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import container_engine.connection as connection

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(nowhere))
        [stopped] = ask(module, get())
        assert "has been stopped or is just starting" in stopped.json()["reason"]

        def refuse(path: str) -> None:
            raise PermissionError(13, "Permission denied", path)

        # The tests may run as root, whom no socket refuses.
        monkeypatch.setattr(connection, "greet", refuse)
        [refused] = ask(module, get())
    assert f"socket {nowhere} is there, but Toru runs as the user" in refused.json()["reason"]
    assert "usermod -aG" in refused.json()["reason"]


def test_what_listens_but_is_no_engine_is_told(module: ModuleType, nowhere: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(nowhere))
        listener.listen()

        def answer() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example.org ESMTP\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        [told] = ask(module, get())
        thread.join()
    assert "it speaks no HTTP" in told.json()["reason"]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_a_socket_of_somebody_else_is_told_as_such(tmp_path: Path) -> None:
    import subprocess
    import sys

    folder = Path(os.path.realpath("/tmp")) / f"toru-engine-{os.getpid()}"
    folder.mkdir(mode=0o755)
    path = folder / "e.sock"
    try:
        with RecordedEngine(path):
            path.chmod(0o660)
            program = f"""
import os, sys
sys.dont_write_bytecode = True
sys.path.insert(0, {str(first_party.SOURCES / ID)!r})
from container_engine import connection
connection.candidates = lambda: [{str(path)!r}]
os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    connection.Finder().find()
except connection.NoEngine as error:
    print(error)
"""
            told = subprocess.check_output([sys.executable, "-c", program], text=True, timeout=20)
    finally:
        folder.rmdir()
    assert f"socket {path} is there" in told
    assert "Add that user to the group" in told


def test_logs_are_taken_apart_wherever_they_are_cut(module: ModuleType) -> None:
    from container_engine.log_stream import BadStream, LogDecoder, split_time

    text = frame(1, "one\ntw") + frame(2, "wrong\r\n") + frame(1, "o\nthree") + frame(0, "\n")
    expected = [("stdout", "one"), ("stderr", "wrong"), ("stdout", "two"), ("stdout", "three")]
    for size in (1, 3, 7, 8, 9, len(text)):
        decoder = LogDecoder(tty=False)
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        lines = [line for piece in pieces for line in decoder.feed(piece)]
        assert [*lines, *decoder.finish()] == expected
    raw = LogDecoder(tty=True)
    assert raw.feed(b"\x1b[32mgreen\x1b[0m\r\nre") == [("stdout", "green")]
    assert raw.feed(b"st \xff") == []
    assert raw.finish() == [("stdout", "rest \ufffd")]
    endless = LogDecoder(tty=True)
    assert len(endless.feed(b"x" * 200_000)) == 1, "a line without end is not kept for ever"
    with pytest.raises(BadStream):
        LogDecoder(tty=False).feed(b"HTTP/1.1 200 OK")
    assert split_time("2026-11-22T14:01:00.5+01:00 a b") == ("2026-11-22T14:01:00.5+01:00", "a b")
    assert split_time("no time") == (None, "no time")


def test_a_place_in_a_log_is_found_again_though_times_are_whole_seconds(module: ModuleType) -> None:
    from container_engine.log_stream import Place

    stamps = [f"2026-11-22T14:02:0{second}Z" for second in (0, 1, 1, 1, 2)]
    first = Place(None)
    ids = [first.step(stamp) for stamp in stamps]
    assert all(is_new for is_new, _ in ids)
    for at, (_, here) in enumerate(ids):
        again = Place(here)
        told = [again.step(stamp) for stamp in stamps]
        new = [here for is_new, here in told if is_new]
        assert new == [here for _, here in ids[at + 1 :]], at
    assert Place("nonsense#x").step(stamps[0]) == (True, f"{stamps[0]}#1")


def test_times_of_engines_are_compared_to_the_nanosecond(module: ModuleType) -> None:
    from container_engine.containers import seconds, time_key

    assert time_key("2026-11-22T14:01:00.123456789Z") == (1795356060, 123456789)
    assert time_key("2026-11-22T15:01:00.1+01:00") == (1795356060, 100000000)
    assert seconds("2026-11-22T14:01:00Z") == 1795356060.0
    assert (time_key("0001-01-01T00:00:00Z"), time_key(None), time_key("x")) == (None,) * 3


# In a hub


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Plugins, RecordedEngine]]:
    folder = tmp_path_factory.mktemp("hub")
    path = tmp_path_factory.mktemp("e") / "e.sock"
    with RecordedEngine(path) as engine:
        with HubProcess(folder) as hub:
            yield first_party.install(hub, ID, DOCKER_HOST=f"unix://{path}"), engine
            assert hub.stop() == 0
        assert "Traceback" not in hub.log, hub.log


def test_containers_are_listed_stopped_and_started_through_the_hub(
    world: tuple[Plugins, RecordedEngine],
) -> None:
    plugins, engine = world
    hub = plugins.hub
    assert engine.asked == [], "nothing is asked before somebody looks"
    assert len(hub.get(API)["containers"]) == 6
    for action, state in (("stop", "exited"), ("start", "running"), ("restart", "running")):
        answer = hub.http("POST", f"{API}/web/{action}")
        assert (answer.status, answer.json["container"]["state"]) == (200, state), answer
    changes = [line for line in engine.asked if line.startswith("POST")]
    at = "POST /v1.43/containers/web"
    assert changes == [f"{at}/stop?t=10", f"{at}/start", f"{at}/restart?t=10"]
    client = hub.add_client("bert")
    assert hub.http("POST", f"{API}/web/stop", cookie=client).status == 403
    assert hub.http("GET", f"{API}/web/logs", cookie=client).status == 403
    assert hub.http("GET", API, cookie=client).status == 200
    assert [line["message"] for line in plugins.logs(ID)] == [
        "restart web",
        "start web",
        "stop web",
    ]


def test_the_settings_say_which_engine_is_asked(world: tuple[Plugins, RecordedEngine]) -> None:
    plugins, engine = world
    path = f"/api/plugins/{ID}/settings"
    pid = plugins.view(ID)["pid"]
    wrong = plugins.hub.http("PUT", path, {"values": {"socket": "tcp://elsewhere"}})
    assert (wrong.status, list(wrong.json["fields"])) == (400, ["socket"])
    nowhere = {"values": {"socket": "/nowhere/engine.sock"}}
    assert plugins.hub.http("PUT", path, nowhere).json["applied"] == "live"
    wait_until(lambda: not plugins.hub.get(API)["available"], what="the engine to be left")
    assert "/nowhere/engine.sock" in plugins.hub.get(API)["reason"]
    there = {"values": {"socket": f"unix://{engine.server_address!s}"}}
    assert plugins.hub.http("PUT", path, there).status == 200
    wait_until(lambda: plugins.hub.get(API)["available"], what="the engine to be found")
    assert plugins.hub.http("PUT", path, {"values": {}}).status == 200
    assert plugins.view(ID)["pid"] == pid


def test_a_log_is_followed_until_the_browser_leaves(
    world: tuple[Plugins, RecordedEngine],
) -> None:
    plugins, engine = world
    both = frame(1, stamped(1, "GET /")) + frame(2, stamped(2, "no such file"))
    engine.write("web", both[:5], both[5:40], both[40:])
    path = f"{API}/web/logs"
    with first_party.events(plugins.hub, path) as stream:
        kind, *_ = next(stream)
        out, err = next(stream), next(stream)
        assert (kind, out.data["text"], out.data["source"]) == ("open", "GET /", "stdout")
        assert (err.data["text"], err.data["source"]) == ("no such file", "stderr")
        assert err.data["time_ms"] == 1795356062123
        engine.write("web", frame(1, stamped(3, "later")))
        assert next(stream).data["text"] == "later"
    wait_until(lambda: engine.left == ["web"], what="the engine to see that nobody reads")
    with first_party.events(plugins.hub, path, after=err.id) as stream:
        assert [next(stream).kind, next(stream).data["text"]] == ["open", "later"]
    assert any("since=1795356062.123456789" in line for line in engine.asked)
    engine.write("db", stamped(4, "ready\r").encode())
    with first_party.events(plugins.hub, f"{API}/db/logs?lines=5") as stream:
        assert [next(stream).kind, next(stream).data["text"]] == ["open", "ready"]
        assert plugins.hub.http("POST", f"{API}/db/stop").status == 200
        assert [event.data["sentence"] for event in stream] == [
            "The container has ended, or its log has."
        ]
    with first_party.events(plugins.hub, f"{API}/mute/logs") as stream:
        assert [event.data["sentence"] for event in stream] == [
            "configured logging driver does not support reading"
        ]
