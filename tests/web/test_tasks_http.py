"""The routes of runs and of the history, on a real hub with real scripts.

Runs on: pytest's main thread, against a hub in a process of its own.
"""

from __future__ import annotations

import http.client
import signal
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from urllib.parse import quote

import psutil
import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.web import finish, run_script, serving, start

MISSING = "01890000-0000-7000-8000-000000000000"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub for all tests of this file."""
    with serving(tmp_path_factory.mktemp("tasks")) as hub:
        hub.script("hi.sh", "echo hi\n")
        hub.script("wait.sh", "echo waiting; sleep 60\n")
        hub.script("fail.sh", "echo oops >&2; exit 3\n")
        yield hub


@pytest.fixture(scope="module")
def client(hub: HubProcess) -> str:
    """The cookie of a user of role client who may run ``hi.sh`` and ``wait.sh``."""
    for script in ("hi.sh", "wait.sh"):
        answer = hub.http("POST", "/api/quick-actions", {"name": script, "script_path": script})
        assert answer.status == 200, answer
    return hub.add_client("paul")


def running(hub: HubProcess, script: str = "wait.sh", cookie: str | None = None) -> str:
    """Start a run and return its id once it has written something."""
    task_id = start(hub, script, cookie=cookie)
    wait_until(lambda: hub.get(f"/api/tasks/{task_id}/output")["size"], what="the first output")
    return task_id


def test_a_run_is_started_and_shown_as_it_ended(hub: HubProcess) -> None:
    run = run_script(hub, "fail.sh")
    assert (run["state"], run["exit_code"], run["signal"]) == ("failed", 3, None)
    assert (run["script_name"], run["username"], run["trigger"]) == ("fail.sh", "admin", "api")
    assert run["output"] == "oops\n"
    assert run["output_size"] == 5
    assert run["user_id"] is None
    assert 0 <= run["duration_s"] < 20
    assert run["created_at"] <= run["started_at"] <= run["finished_at"]


def test_a_signal_is_a_positive_number(hub: HubProcess) -> None:
    hub.script("die.sh", "kill -9 $$\n")
    run = run_script(hub, "die.sh")
    assert (run["exit_code"], run["signal"]) == (-signal.SIGKILL, signal.SIGKILL)


def test_a_cancelled_run_ends_and_cannot_be_cancelled_again(hub: HubProcess) -> None:
    task_id = running(hub)
    answer = hub.http("POST", f"/api/tasks/{task_id}/cancel")
    assert answer.status == 200
    assert answer.json["success"] is True
    assert answer.json["state"] in ("running", "cancelled")
    assert finish(hub, task_id)["state"] == "cancelled"
    again = hub.http("POST", f"/api/tasks/{task_id}/cancel")
    assert (again.status, again.json["code"]) == (409, "conflict")


def test_only_an_ended_run_is_removed_and_its_output_with_it(hub: HubProcess) -> None:
    task_id = running(hub)
    path = f"/api/tasks/{task_id}"
    assert hub.http("DELETE", path).status == 409
    hub.http("POST", f"{path}/cancel")
    finish(hub, task_id)
    directory = hub.data_dir / "runs" / task_id
    assert directory.is_dir()
    assert hub.http("DELETE", path).json == {"success": True}
    assert not directory.exists()
    for method, below in (("GET", ""), ("GET", "/output"), ("POST", "/cancel"), ("DELETE", "")):
        assert hub.http(method, path + below).status == 404


@pytest.mark.parametrize(
    "task_id", [MISSING, "x", "%2e%2e", "..%2f..%2fetc", "a%00b", "%252e", "é", "x" * 2000]
)
def test_an_id_that_names_nothing_is_not_found(hub: HubProcess, task_id: str) -> None:
    quoted = task_id.replace("é", "%C3%A9")
    for method, below in (("GET", ""), ("GET", "/output"), ("POST", "/cancel"), ("DELETE", "")):
        answer = hub.http(method, f"/api/tasks/{quoted}{below}")
        assert answer.status in (400, 404), (method, below, answer)
        assert answer.json["error"].endswith(".")


def test_a_client_sees_its_own_runs_only(hub: HubProcess, client: str) -> None:
    own = start(hub, "hi.sh", cookie=client)
    finish(hub, own)
    foreign = running(hub)
    for method, below in (("GET", ""), ("GET", "/output"), ("POST", "/cancel"), ("DELETE", "")):
        path = f"/api/tasks/{foreign}{below}"
        unknown = hub.http(method, f"/api/tasks/{MISSING}{below}", cookie=client)
        assert hub.http(method, path, cookie=client)[:2] == unknown[:2]
        assert unknown.status == 404
        assert hub.http(method, path, cookie="").status == 401
    assert hub.get(f"/api/tasks/{own}", cookie=client)["output"] == "hi\n"
    assert {run["username"] for run in hub.get("/api/history", cookie=client)} == {"paul"}
    assert {foreign, own} <= {run["id"] for run in hub.get("/api/history")}
    assert hub.get("/api/history?user=admin", cookie=client) == []
    hub.http("POST", f"/api/tasks/{foreign}/cancel")
    finish(hub, foreign)


def test_the_output_is_text_in_stretches_that_cut_no_character(hub: HubProcess) -> None:
    hub.script("text.sh", "printf 'a€b\\377c'\n")
    task_id = run_script(hub, "text.sh")["id"]
    whole = hub.get(f"/api/tasks/{task_id}/output")
    assert whole == {"data": "a€b�c", "offset": 0, "next_offset": 7, "size": 7, "complete": True}
    parts = []
    offset = 0
    while offset < 7:
        part = hub.get(f"/api/tasks/{task_id}/output?offset={offset}&limit=1")
        assert part["next_offset"] > offset
        parts.append(part["data"])
        offset = part["next_offset"]
    assert "".join(parts) == "a€b�c"
    after = hub.get(f"/api/tasks/{task_id}/output?offset=1000")
    assert (after["data"], after["size"], after["complete"]) == ("", 7, True)


def test_the_raw_output_is_every_byte_as_a_file(hub: HubProcess) -> None:
    hub.script("raw.sh", "printf 'a\\000\\377\\r\\n'\n")
    task_id = run_script(hub, "raw.sh")["id"]
    path = f"/api/tasks/{task_id}/output?format=raw"
    answer = hub.http("GET", path)
    assert (answer.status, answer.body) == (200, b"a\0\xff\r\n")
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{task_id}.log"'
    assert hub.http("GET", f"{path}&offset=2").body == b"\xff\r\n"
    assert hub.http("GET", f"{path}&offset=1&limit=2").body == b"\0\xff"
    assert hub.http("GET", f"{path}&offset=99").body == b""
    head = hub.http("HEAD", path)
    assert (head.status, head.body) == (200, b"")


def test_a_raw_download_of_a_run_that_goes_on_ends_at_what_there_is(hub: HubProcess) -> None:
    task_id = running(hub)
    answer = hub.http("GET", f"/api/tasks/{task_id}/output?format=raw", timeout_s=10)
    assert answer.body == b"waiting\n"
    hub.http("POST", f"/api/tasks/{task_id}/cancel")
    finish(hub, task_id)


def test_a_big_raw_download_is_whole_and_costs_no_memory(hub: HubProcess) -> None:
    hub.script("big.sh", "seq 6000000\n")
    task_id = run_script(hub, "big.sh")["id"]
    process = psutil.Process(hub.pid)
    before = process.memory_info().rss
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
    headers = {"Cookie": hub.cookie}
    connection.request("GET", f"/api/tasks/{task_id}/output?format=raw", headers=headers)
    response = connection.getresponse()
    peak = 0
    next_number = 1
    rest = b""
    while piece := response.read(1 << 20):
        peak = max(peak, process.memory_info().rss)
        *lines, rest = (rest + piece).split(b"\n")
        last = next_number + len(lines)
        assert lines == [b"%d" % number for number in range(next_number, last)]
        next_number = last
    connection.close()
    assert (next_number, rest) == (6_000_001, b"")
    assert peak - before < 32 * 1024 * 1024


def test_a_download_whose_rest_is_gone_is_cut_and_never_looks_whole(hub: HubProcess) -> None:
    hub.script("lost.sh", "seq 6000000\n")
    run = run_script(hub, "lost.sh")
    path = f"/api/tasks/{run['id']}"
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
    connection.request("GET", f"{path}/output?format=raw", headers={"Cookie": hub.cookie})
    response = connection.getresponse()
    got = len(response.read(1 << 20))
    assert hub.http("DELETE", path).status == 200
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        while piece := response.read(1 << 20):
            got += len(piece)
    connection.close()
    assert got < run["output_size"]


def test_a_client_that_leaves_in_mid_download_leaves_nothing_behind(hub: HubProcess) -> None:
    hub.script("much.sh", "seq 3000000\n")
    task_id = run_script(hub, "much.sh")["id"]
    for _ in range(5):
        connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
        headers = {"Cookie": hub.cookie}
        connection.request("GET", f"/api/tasks/{task_id}/output?format=raw", headers=headers)
        connection.getresponse().read(1000)
        connection.close()
    assert hub.get("/api/health") == {"status": "ok"}
    tasks = psutil.Process(hub.pid)
    wait_until(lambda: len(tasks.net_connections("tcp")) <= 3, what="the end of the connections")


@pytest.mark.parametrize(
    "query",
    [
        "offset=-1",
        "offset=x",
        "offset=1.5",
        "offset=9999999999999999999999",
        "limit=0",
        "format=html",
        "other=1",
        "offset=0&offset=1",
        "offset=%ff",
    ],
)
def test_a_bad_query_for_output_is_refused(hub: HubProcess, query: str) -> None:
    answer = hub.http("GET", f"/api/tasks/{MISSING}/output?{query}")
    assert answer.status == 400, answer
    assert answer.json["error"].endswith(".")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=1&limit=2",
        "state=ended",
        "before=",
        "page=1",
        "user=%ff",
        "q=" + "x" * 256,
        "script=" + "x" * 300,
        "after=yesterday",
        "until=2026-11-22",
        "after=2026-11-22T14:01:30",
        "until=2026-02-30T00:00:00Z",
        "after=2026-11-22T14:01:30+01:00",
        "after=1764000000",
    ],
)
def test_a_bad_query_for_the_history_is_refused(hub: HubProcess, query: str) -> None:
    answer = hub.http("GET", f"/api/history?{query}")
    assert answer.status == 400, answer
    assert answer.json["error"].endswith(".")


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        {},
        {"script": 1},
        {"script": "hi.sh", "x": 1},
        {"script": "hi.sh", "args": []},
        {"script": "hi.sh", "args": {"A": None}},
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_a_bad_start_is_refused(hub: HubProcess, body: object) -> None:
    answer = hub.http("POST", "/api/tasks", body)
    assert answer.status == 400, answer
    assert answer.json["error"].endswith(".")


def test_the_history_is_filtered_and_the_newest_comes_first(hub: HubProcess) -> None:
    hub.script("needle.sh", "echo a hay%stack_\n")
    ids = [run_script(hub, script)["id"] for script in ("hi.sh", "fail.sh", "needle.sh")]
    newest = hub.get("/api/history?limit=3")
    assert [run["id"] for run in newest] == ids[::-1]
    assert hub.get(f"/api/history?limit=1&before={ids[2]}")[0]["id"] == ids[1]
    failed = hub.get("/api/history?state=failed&script=fail.sh")
    assert {run["state"] for run in failed} == {"failed"}
    assert ids[1] in {run["id"] for run in failed}
    assert [run["id"] for run in hub.get("/api/history?q=hay%25stack_")] == [ids[2]]
    assert hub.get("/api/history?q=hay_stack") == []
    assert hub.get("/api/history?user=nobody") == []
    assert newest[0]["duration_s"] is not None


def test_the_history_is_cut_at_times_of_any_zone(hub: HubProcess) -> None:
    ids = [run_script(hub, "hi.sh")["id"] for _ in range(3)]
    times = [hub.get(f"/api/tasks/{task_id}")["created_at"] for task_id in ids]
    late = hub.get(f"/api/history?after={times[1]}")
    assert [run["id"] for run in late] == ids[:0:-1]
    middle = f"/api/history?after={times[1]}&until={times[2]}"
    assert [run["id"] for run in hub.get(middle)] == [ids[1]]
    moment = datetime.fromisoformat(times[1]).astimezone(timezone(timedelta(hours=-5, minutes=-30)))
    zoned = quote(moment.isoformat(timespec="milliseconds"))
    assert [run["id"] for run in hub.get(f"/api/history?after={zoned}&script=hi.sh&q=hi")] == (
        ids[:0:-1]
    )
    assert hub.get(f"/api/history?after={times[2]}&until={times[0]}") == []
    refused = hub.http("GET", "/api/history?until=noon").json["error"]
    assert refused == (
        "The query's field 'until' must be a time with its zone, such as 2026-11-22T14:01:30Z."
    )


def test_the_names_in_the_history_are_those_that_one_may_see(hub: HubProcess, client: str) -> None:
    run_script(hub, "fail.sh")
    finish(hub, start(hub, "hi.sh", cookie=client))
    names = hub.get("/api/history/names")
    assert names["scripts"] == sorted(set(names["scripts"]))
    assert {"fail.sh", "hi.sh"} <= set(names["scripts"])
    assert names["users"] == ["admin", "paul"]
    own = hub.get("/api/history/names", cookie=client)
    assert own["users"] == ["paul"]
    assert "fail.sh" not in own["scripts"]


def test_a_long_history_comes_whole_and_in_order(hub: HubProcess) -> None:
    hub.script("many.sh", "# Parameter: N\necho $PARAM_N\n")
    ids = [start(hub, "many.sh", N=str(number)) for number in range(230)]
    wait_until(
        lambda: all(run["state"] == "finished" for run in hub.get("/api/history?script=many.sh")),
        what="the end of the runs",
    )
    finish(hub, ids[0])
    for limit in (1, 100, 101, 200, 229, 230, 1000):
        runs = hub.get(f"/api/history?script=many.sh&limit={limit}")
        assert [run["id"] for run in runs] == ids[::-1][:limit]
    runs = hub.get("/api/history?script=many.sh&limit=1000")
    assert [run["output"] for run in runs] == [f"{number}\n" for number in range(229, -1, -1)]
