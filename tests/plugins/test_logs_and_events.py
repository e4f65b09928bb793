"""What a plugin writes and what happens to it: in the files, by the API and live.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

import tests.support.quick_plugin
from tests.support.hub import HubProcess, wait_until
from tests.support.load import memory_bytes, runner_pid
from tests.support.plugin_files import Plugins, kill
from tests.support.websocket import WebSocket

QUICK = Path(tests.support.quick_plugin.__file__).read_text()
LEVELS = ("trace", "debug", "info", "warn", "error")
TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
MIB = 1024 * 1024


def printing(statements: str) -> str:
    """Return the quick plugin, which executes statements before it serves."""
    before, line, after = QUICK.rpartition("        serve()\n")
    indented = "".join(f"        {one}\n" for one in statements.splitlines())
    return before + indented + line + after


def log_path(plugins: Plugins, plugin_id: str) -> Path:
    """Return where a plugin's log is."""
    return plugins.hub.folder / "logs" / "plugins" / f"{plugin_id}.log"


def lines_of(path: Path) -> list[dict[str, Any]]:
    """Return a log's lines, each of which must be one JSON object on one harmless line."""
    data = path.read_bytes() if path.exists() else b""
    assert data.endswith(b"\n") or not data
    lines = []
    for line in data.split(b"\n")[:-1]:
        text = line.decode("utf-8")
        assert text.splitlines() == [text], line
        assert text.isprintable(), line
        assert len(line) < 64 * 1024
        found = json.loads(text)
        assert list(found)[:4] == ["timestamp", "level", "plugin", "message"]
        assert found["level"] in LEVELS
        assert TIMES.fullmatch(found["timestamp"])
        lines.append(found)
    return lines


def wait_for_line(plugins: Plugins, plugin_id: str, message: str) -> list[dict[str, Any]]:
    """Return the lines of a plugin's log once one of them has this message."""
    path = log_path(plugins, plugin_id)

    def written() -> list[dict[str, Any]] | None:
        if not path.exists() or not path.read_bytes().endswith(b"\n"):
            return None
        lines = lines_of(path)
        return lines if any(line["message"] == message for line in lines) else None

    found: list[dict[str, Any]] = wait_until(written, what=f"the line {message!r}")
    return found


def supervisor_lines(plugins: Plugins, plugin_id: str) -> list[dict[str, Any]]:
    """Return the lines of the supervisor's log about a plugin."""
    lines = lines_of(plugins.hub.folder / "logs" / "plugin-supervisor.log")
    return [line for line in lines if line["plugin"] == plugin_id]


NASTY = r"""
import json
def say(text):
    sys.stdout.buffer.write(text.encode("utf-8", "surrogatepass") + b"\n")
say("over\rwritten \x1b]0;title\x07 \x1b[2J \x00 \x7f \x85 \u2028 \u2029 \u202e \x9b31m end")
say(json.dumps({"message": "two\nlines\r\n", "level": "WARNING", "a\nb\x1b": ["\u2028"]}))
say(json.dumps({"message": "forged", "plugin": "other", "pid": 1, "timestamp": "never"}))
say(json.dumps({"message": 5, "error": {"why": ["x"]}, "level": 7, "time": 0}))
say('{"message": "deep", "a": ' + "[" * 5000 + "]" * 5000 + "}")
say('{"message": "numbers", "big": 1e400, "nan": NaN}')
say('{"message": "half a pair \\ud800"}')
say('{"message": "twice", "message": "last"}')
say("x" * 1_000_000)
say(json.dumps({"message": "y" * 100_000, "kept": False}))
say('{"timestamp":"","level":"error","plugin":"p","message":""}')
say("")
say("   ")
say("the end")
sys.stdout.flush()
"""
CHATTER = f"""
levels = {LEVELS!r}
for n in range(250):
    print(json.dumps({{"level": levels[n % 5], "message": "line %d" % n, "n": n}}), flush=n == 249)
"""


@pytest.fixture(scope="module")
def written(plugins: Plugins) -> Plugins:
    """Plugins that have printed: two all sorts of lines, one 250 of the five levels in turn."""
    plugins.write("quick-chatty-v2", printing(CHATTER.strip()))
    plugins.write("quick-nasty-v2", printing(NASTY.strip()))
    plugins.start("bad-log-lines", "quick-eventful-v2", "quick-calm-v2")
    plugins.ready("quick-nasty-v2", "quick-chatty-v2")
    wait_for_line(plugins, "quick-chatty-v2", "line 249")
    return plugins


def test_lines_of_both_streams_are_in_the_log_with_the_pid(written: Plugins) -> None:
    pid = written.view("bad-log-lines")["pid"]
    wait_for_line(written, "bad-log-lines", "{broken")
    assert written.wish("bad-log-lines", "disable").status == 200
    lines = wait_for_line(written, "bad-log-lines", "no newline")
    assert {(line["plugin"], line["pid"]) for line in lines} == {("bad-log-lines", pid)}
    by_message = {line["message"]: line for line in lines}
    assert set(by_message) == {
        "plain line",
        "as JSON",
        "broken \ufffd utf-8",
        "\x1b[31mred\x1b[0m",
        "[1, 2]",
        "{broken",
        "no newline",
    }
    assert (by_message["as JSON"]["level"], by_message["as JSON"]["code"]) == ("error", 7)
    assert {line["level"] for line in lines if line["message"] != "as JSON"} == {"info"}
    assert written.logs("bad-log-lines") == lines[::-1]


def test_whatever_a_plugin_prints_stays_one_json_line_each(written: Plugins) -> None:
    pid = written.view("quick-nasty-v2")["pid"]
    lines = wait_for_line(written, "quick-nasty-v2", "the end")
    assert {(line["plugin"], line["pid"]) for line in lines} == {("quick-nasty-v2", pid)}
    assert lines[0]["message"].startswith("over\rwritten \x1b]0;title\x07 \x1b[2J \x00 \x7f \x85")
    assert lines[0]["message"].endswith("\u2028 \u2029 \u202e \x9b31m end")
    assert (lines[1]["message"], lines[1]["level"]) == ("two\nlines\r\n", "warn")
    assert lines[1]["a\nb\x1b"] == ["\u2028"]
    assert (lines[2]["message"], lines[2]["plugin_"], lines[2]["pid_"]) == ("forged", "other", 1)
    assert lines[2]["timestamp"] != "never"
    assert (lines[3]["message"], lines[3]["timestamp"][:4]) == ("5", "1970")
    assert any(line["message"].startswith("x" * 1000) for line in lines)
    assert any("y" * 1000 in line["message"] for line in lines), "too long to be read as JSON"
    assert 12 <= len(lines) <= 14, "one line each, and none for those without text"
    assert written.logs("quick-nasty-v2", "trace") == lines[::-1]


def page(plugins: Plugins, query: str) -> list[int]:
    """Return the numbers of the lines on a page of the chatty plugin's log."""
    answer = plugins.hub.get(f"/api/plugins/quick-chatty-v2/logs?{query}")
    return [line["n"] for line in answer["logs"]]


def test_pages_count_from_the_newest_line(written: Plugins) -> None:
    numbers = list(range(249, -1, -1))
    assert page(written, "page_size=100&level=trace") == numbers[:100]
    assert page(written, "page=1&page_size=100&level=trace") == numbers[100:200]
    assert page(written, "page=2&page_size=100&level=trace") == numbers[200:]
    assert page(written, "page=3&page_size=100&level=trace") == []
    assert page(written, "page=1000000&page_size=1000&level=trace") == []
    assert page(written, "page=249&page_size=1&level=trace") == [0]
    answer = written.hub.get("/api/plugins/quick-chatty-v2/logs?page=1&page_size=7")
    assert (answer["page"], answer["page_size"], len(answer["logs"])) == (1, 7, 7)


def test_a_level_means_that_level_and_above(written: Plugins) -> None:
    for rank, level in enumerate(LEVELS):
        wanted = [number for number in range(249, -1, -1) if number % 5 >= rank]
        assert page(written, f"page_size=1000&level={level}") == wanted
    info = [number for number in range(249, -1, -1) if number % 5 >= 2]
    assert page(written, "") == info[:100], "info and 100 lines, unless it is said otherwise"
    assert page(written, "page=2&page_size=30&level=error") == []
    assert page(written, "page=1&page_size=30&level=error") == list(range(99, -1, -5))


BAD_QUERIES = [
    "page=-1",
    "page=x",
    "page=1.5",
    "page=",
    "page=1000001",
    "page_size=0",
    "page_size=1001",
    "level=loud",
    "level=INFO",
    "levels=info",
    "page=1&page=2",
]


def test_bad_queries_are_refused_with_a_sentence(written: Plugins) -> None:
    paths = [f"logs?{query}" for query in BAD_QUERIES]
    paths += [
        f"events?{query}" for query in ("limit=0", "limit=1001", "before=-1", "before=x", "a=1")
    ]
    for path in paths:
        answer = written.hub.http("GET", f"/api/plugins/quick-chatty-v2/{path}")
        assert answer.status == 400, (path, answer)
        assert answer.json["error"], path
    assert written.hub.http("GET", "/api/plugins/no%20id/logs").status in (400, 404)


@pytest.fixture(scope="module")
def client_cookie(hub: HubProcess) -> str:
    """The cookie of a client."""
    return hub.add_client("reader")


def test_logs_and_events_are_for_admins(written: Plugins, client_cookie: str) -> None:
    for what in ("logs", "events"):
        path = f"/api/plugins/quick-chatty-v2/{what}"
        assert written.hub.http("GET", path, cookie=client_cookie).status == 403
        assert written.hub.http("GET", path, cookie="session_id=none").status == 401


def test_a_line_that_others_append_to_the_file_is_read_as_a_line(written: Plugins) -> None:
    path = log_path(written, "quick-chatty-v2")
    with path.open("a") as file:
        file.write('no JSON\n{"n": 250, "msg": "from elsewhere", "level": "fatal"}\n{"n": 251')
    newest = written.logs("quick-chatty-v2", "trace")[:2]
    assert [line["message"] for line in newest] == ["from elsewhere", "no JSON"]
    assert (newest[0]["level"], newest[0]["plugin"]) == ("error", "quick-chatty-v2")


@pytest.fixture(scope="module")
def eventful(written: Plugins) -> Plugins:
    """A plugin that was restarted, disabled, enabled and killed."""
    for wish in ("restart", "disable", "enable"):
        assert written.wish("quick-eventful-v2", wish).status == 200
    pid = written.view("quick-eventful-v2")["pid"]
    kill(pid)
    wait_until(
        lambda: written.event_types("quick-eventful-v2")[-1] == "restarted", what="a restart"
    )
    return written


def test_events_are_listed_newest_first_and_in_pages(eventful: Plugins) -> None:
    base = "/api/plugins/quick-eventful-v2/events"
    events = eventful.hub.get(base)
    assert [event["event_type"] for event in events[::-1]] == [
        *("started", "stopped", "restarted", "disabled", "stopped", "enabled", "started"),
        *("crashed", "restarted"),
    ]
    ids = [event["id"] for event in events]
    assert ids == sorted(ids, reverse=True)
    times = [event["timestamp"] for event in events]
    assert times == sorted(times, reverse=True)
    assert {event["plugin_id"] for event in events} == {"quick-eventful-v2"}
    crashed = json.loads(events[1]["details"])
    assert "SIGKILL" in json.dumps(crashed)
    paged: list[dict[str, Any]] = []
    while found := eventful.hub.get(
        f"{base}?limit=4" + (f"&before={paged[-1]['id']}" if paged else "")
    ):
        assert len(found) <= 4
        paged += found
    assert paged == events
    assert eventful.hub.get(f"{base}?before=0") == []


def test_the_supervisors_log_tells_the_same_life(eventful: Plugins) -> None:
    lines = supervisor_lines(eventful, "quick-eventful-v2")
    messages = [line["message"] for line in lines]
    assert messages.count("It is ready.") == eventful.event_types("quick-eventful-v2").count(
        "started"
    ) + eventful.event_types("quick-eventful-v2").count("restarted")
    fatal = next(line for line in lines if "SIGKILL" in line["message"])
    assert fatal["level"] in ("warn", "error")
    assert all(isinstance(line["pid"], int) for line in lines if line["message"] == "It is ready.")
    eventful.remove("quick-eventful-v2")
    wait_until(
        lambda: any(
            "gone" in line["message"] for line in supervisor_lines(eventful, "quick-eventful-v2")
        ),
        what="the line about its end",
    )


@pytest.fixture
def watchers(hub: HubProcess, client_cookie: str) -> Iterator[tuple[WebSocket, WebSocket]]:
    """The WebSockets of an admin and of a client, both subscribed to the plugins."""
    with hub.websocket() as admin, hub.websocket(cookie=client_cookie) as client:
        for socket in (admin, client):
            socket.send({"type": "subscribe", "topics": ["plugins"]})
            socket.send({"type": "ping"})
            socket.read_until("pong")
        yield admin, client


def read_until_line(socket: WebSocket, message: str) -> list[dict[str, Any]]:
    """Return the data of all events up to the log line with this message."""
    seen: list[dict[str, Any]] = []
    while not (seen and seen[-1]["type"] == "log" and seen[-1]["line"]["message"] == message):
        seen.append(socket.read_until("event")["data"])
    return seen


def read_all(socket: WebSocket) -> list[dict[str, Any]]:
    """Return the data of all events that were sent so far."""
    socket.send({"type": "ping"})
    seen = []
    while (message := socket.read())["type"] != "pong":
        assert message["topic"] == "plugins"
        seen.append(message["data"])
    return seen


def test_admins_see_log_lines_and_events_live_and_clients_only_states(
    plugins: Plugins, watchers: tuple[WebSocket, WebSocket]
) -> None:
    admin, client = watchers
    secret = "print('my secret', file=sys.stderr, flush=True)"
    plugins.write("quick-live-v2", printing(secret))
    plugins.ready("quick-live-v2")
    view = plugins.view("quick-live-v2")
    seen = read_until_line(admin, "my secret")
    path = log_path(plugins, "quick-live-v2")
    assert seen[-1] == {"type": "log", "plugin": "quick-live-v2", "line": lines_of(path)[-1]}
    assert plugins.wish("quick-live-v2", "disable").status == 200
    seen += read_all(admin)
    events = [data for data in seen if data["type"] == "event"]
    rows = [data["event"] for data in events if data["plugin"] == "quick-live-v2"]
    assert rows == plugins.events("quick-live-v2")
    assert [row["event_type"] for row in rows] == ["started", "disabled", "stopped"]

    shown = read_all(client)
    for views in (seen, shown):
        told = [data["plugin"] for data in views if data["type"] == "plugin"]
        states = [view["state"] for view in told if view["id"] == "quick-live-v2"]
        assert states[0] == "starting"
        assert states[-1] == "disabled"
        assert "ready" in states
    assert {data["type"] for data in shown} <= {"plugin", "plugins"}
    text = json.dumps(shown)
    for hidden in (str(view["pid"]), view["socket_path"], "secret"):
        assert hidden not in text
    for data in shown:
        if data["type"] == "plugin":
            assert (data["plugin"]["pid"], data["plugin"]["socket_path"]) == (None, None)
    plugins.remove("quick-live-v2")


def test_who_unsubscribes_hears_no_more(
    written: Plugins, watchers: tuple[WebSocket, WebSocket]
) -> None:
    admin, client = watchers
    client.send({"type": "unsubscribe", "topics": ["plugins"]})
    assert isinstance(read_all(client), list)
    assert written.wish("quick-calm-v2", "restart").status == 200
    assert read_all(admin)
    assert read_all(client) == []


def test_what_a_plugin_says_on_stderr_before_it_dies_is_not_for_clients(
    plugins: Plugins, watchers: tuple[WebSocket, WebSocket], client_cookie: str
) -> None:
    admin, client = watchers
    plugins.put("bad-exit-at-once")
    view = plugins.wait("bad-exit-at-once", "backoff")
    told = "It exited with code 1 before it was ready."
    assert view["reason"].startswith(f"{told} The end of its stderr: ")
    assert "licence file" in view["reason"]
    assert "licence file" in json.dumps(read_all(admin))
    for shown in (
        plugins.hub.get("/api/plugins", cookie=client_cookie),
        plugins.hub.get("/api/plugins/bad-exit-at-once", cookie=client_cookie),
        read_all(client),
    ):
        assert told in json.dumps(shown)
        assert "licence" not in json.dumps(shown)
    plugins.remove("bad-exit-at-once")


@pytest.mark.parametrize("mode", ["flood-stderr", "flood-lines"])
def test_a_flood_waits_in_its_pipe_costs_no_memory_and_delays_nobody(
    written: Plugins, mode: str
) -> None:
    plugin_id = f"bad-{mode}"
    pids = written.hub.pid, runner_pid(written.hub)
    before = memory_bytes(*pids)
    written.start(plugin_id)
    flood = psutil.Process(written.view(plugin_id)["pid"])
    growth, waits = 0, []

    started = time.monotonic()

    def poured() -> bool:
        nonlocal growth
        began = time.monotonic()
        assert written.ask("quick-calm-v2").status == 200
        waits.append(time.monotonic() - began)
        assert written.hub.get("/api/health") == {"status": "ok"}
        growth = max(growth, memory_bytes(*pids) - before)
        has_waited = time.monotonic() - started > 2.0  # it pours as fast as the runner lets it
        return has_waited and int(flood.io_counters().write_chars) > MIB / 2

    wait_until(poured, timeout_s=30, what="two seconds of output")
    assert written.ask(plugin_id).status == 200
    assert written.logs(plugin_id)
    assert written.wish(plugin_id, "disable").status == 200
    assert growth < 64 * MIB, waits
    assert sorted(waits)[len(waits) // 2] < 0.25
    assert max(waits) < 0.5
    folder = written.hub.folder / "logs" / "plugins"
    files = [path for path in folder.iterdir() if path.name.startswith(f"{plugin_id}.log")]
    assert 1 <= len(files) <= 6
    assert sum(path.stat().st_size for path in files) <= 61_000_000
    newest = lines_of(log_path(written, plugin_id))
    assert {line["plugin"] for line in newest} == {plugin_id}
    written.remove(plugin_id)
