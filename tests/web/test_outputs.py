"""Stretches of outputs and searches through them, on a real hub with real scripts."""

from __future__ import annotations

import json
import statistics
import threading
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import psutil
import pytest

from tests.support.hub import HubProcess
from tests.support.web import finish, run_script, serving, start

MIB = 1024**2
MISSING = "01890000-0000-7000-8000-000000000000"


class Stretch(NamedTuple):
    """An answer of ``output/pieces``; ``pieces`` are (start, stream, time, bytes or None)."""

    head: dict[str, Any]
    pieces: list[tuple[int, int, int, bytes | None]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub for all tests of this file."""
    with serving(tmp_path_factory.mktemp("outputs")) as hub:
        yield hub


def stretch(hub: HubProcess, task_id: str, query: str = "", **options: Any) -> Stretch:
    answer = hub.http("GET", f"/api/tasks/{task_id}/output/pieces?{query}", **options)
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/octet-stream"
    length = int.from_bytes(answer.body[:4], "big")
    head = json.loads(answer.body[4 : 4 + length])
    data, at = answer.body[4 + length :], 0
    pieces: list[tuple[int, int, int, bytes | None]] = []
    starts = [piece[0] for piece in head["pieces"]]
    ends = [*starts[1:], head["next_offset"]][: len(starts)]
    for (begin, stream, time_ms), end in zip(head["pieces"], ends, strict=True):
        taken = data[at : at + end - begin] if stream else None
        at += len(taken or b"")
        pieces.append((begin, stream, time_ms, taken))
    assert at == len(data)
    return Stretch(head, pieces)


def search(hub: HubProcess, task_id: str, query: str) -> dict[str, Any]:
    found: dict[str, Any] = hub.get(f"/api/tasks/{task_id}/output/search?{query}")
    return found


def test_a_stretch_tells_stream_and_time_of_its_parts(hub: HubProcess) -> None:
    hub.script("both.sh", "echo one; sleep 0.2; echo two >&2; sleep 0.2; printf 'th\\377\\000'\n")
    run = run_script(hub, "both.sh")
    found = stretch(hub, run["id"])
    assert found.head | {"pieces": []} == {
        "offset": 0,
        "next_offset": 12,
        "size": 12,
        "complete": True,
        "pieces": [],
    }
    assert [(piece[0], piece[1], piece[3]) for piece in found.pieces] == [
        (0, 1, b"one\n"),
        (4, 2, b"two\n"),
        (8, 1, b"th\xff\0"),
    ]
    times = [piece[2] for piece in found.pieces]
    assert 150 < times[1] - times[0] < 5000
    assert abs(times[2] / 1000 - time.time()) < 60
    middle = stretch(hub, run["id"], "offset=5&limit=4")
    assert [(piece[0], piece[3]) for piece in middle.pieces] == [(5, b"wo\n"), (8, b"t")]
    assert middle.head["complete"] is False
    after = stretch(hub, run["id"], "offset=99")
    assert (after.head["next_offset"], after.pieces) == (12, [])


def test_a_stretch_of_the_same_stream_has_a_time_for_each_line_that_came_by_itself(
    hub: HubProcess,
) -> None:
    hub.script("slow.sh", "for i in 1 2 3 4; do echo $i; sleep 0.1; done\n")
    run = run_script(hub, "slow.sh")
    times = [piece[2] for piece in stretch(hub, run["id"]).pieces]
    assert len(times) == 4
    assert times == sorted(set(times))


def test_what_was_not_kept_is_one_gap_from_wherever_it_is_met(hub: HubProcess) -> None:
    assert hub.http("PUT", "/api/settings/max_output_bytes", {"value": str(MIB)}).status == 200
    hub.script("long.sh", "seq -f %0999.f 1 3000\n")
    run = run_script(hub, "long.sh")
    hub.http("PUT", "/api/settings/max_output_bytes", {"value": str(64 * MIB)})
    before = stretch(hub, run["id"], f"offset={MIB // 2 - 10}")
    assert [(piece[0], piece[1]) for piece in before.pieces[:2]] == [
        (MIB // 2 - 10, 1),
        (MIB // 2, 0),
    ]
    inside = stretch(hub, run["id"], f"offset={MIB}")
    assert inside.pieces[0] == (MIB // 2, 0, 0, None)
    end = inside.pieces[1][0] if len(inside.pieces) > 1 else inside.head["next_offset"]
    assert end == pytest.approx(3_000_000 - MIB // 2, abs=300_000)
    assert stretch(hub, run["id"], "offset=2999998").pieces[0][3] == b"0\n"


def test_an_output_whose_files_are_gone_is_a_gap_and_the_end_that_the_history_kept(
    hub: HubProcess,
) -> None:
    hub.script("gone.sh", "seq 20000\n")
    run = run_script(hub, "gone.sh")
    for path in (hub.data_dir / "runs" / run["id"]).iterdir():
        path.unlink()
    found = stretch(hub, run["id"])
    assert [piece[:2] for piece in found.pieces] == [(0, 0), (run["output_size"] - 65_536, 1)]
    assert str(found.pieces[1][3]).endswith("20000\\n'")
    assert search(hub, run["id"], "q=20000")["matches"] == []


def test_a_run_that_goes_on_can_be_read_and_searched(hub: HubProcess) -> None:
    hub.script("wait.sh", "echo begun; sleep 60\n")
    task_id = start(hub, "wait.sh")
    deadline = time.monotonic() + 20
    while stretch(hub, task_id).head["size"] < 6:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert stretch(hub, task_id).head["complete"] is False
    assert len(search(hub, task_id, "q=BEGUN")["matches"]) == 1
    hub.http("POST", f"/api/tasks/{task_id}/cancel")
    finish(hub, task_id)
    assert stretch(hub, task_id).head["complete"] is True


def test_matches_are_told_with_their_place_and_their_line(hub: HubProcess) -> None:
    hub.script("words.sh", "printf 'a Word\\nno\\n\\033[31mwo\\033[0mrd two\\nWORD\\n'\n")
    task_id = run_script(hub, "words.sh")["id"]
    found = search(hub, task_id, "q=word")
    assert (found["next_offset"], found["size"]) == (None, 33)
    assert found["matches"][0] == {
        "offset": 2,
        "length": 4,
        "before": "a ",
        "text": "Word",
        "after": "",
    }
    assert [match["text"] for match in found["matches"]] == ["Word", "word", "WORD"]
    offsets = [match["offset"] for match in found["matches"]]
    assert len(search(hub, task_id, "q=word&case=1")["matches"]) == 1
    first = search(hub, task_id, "q=word&limit=1")
    assert 2 < first["next_offset"] <= 6
    (second,) = search(hub, task_id, f"q=word&limit=1&from={first['next_offset']}")["matches"]
    assert second["offset"] == offsets[1]
    (last,) = search(hub, task_id, "q=word&direction=backward&limit=1")["matches"]
    assert last["offset"] == offsets[2]
    (before,) = search(hub, task_id, f"q=word&direction=backward&limit=1&from={offsets[1]}")[
        "matches"
    ]
    assert before["offset"] == offsets[0]


def test_a_client_reads_and_searches_its_own_runs_only(hub: HubProcess) -> None:
    hub.script("hi.sh", "echo hi\n")
    hub.http("POST", "/api/quick-actions", {"name": "hi", "script_path": "hi.sh"})
    paul, anna = hub.add_client("paul"), hub.add_client("anna")
    task_id = start(hub, "hi.sh", cookie=paul)
    finish(hub, task_id)
    for path in ("pieces", "search?q=hi"):
        url = f"/api/tasks/{task_id}/output/{path}"
        assert hub.http("GET", url, cookie=paul).status == 200
        assert hub.http("GET", url).status == 200
        assert hub.http("GET", url, cookie=anna).status == 404
        assert hub.http("GET", url, cookie="").status == 401


@pytest.mark.parametrize(
    "path",
    [
        "pieces?offset=-1",
        "pieces?limit=0",
        f"pieces?limit={MIB + 1}",
        "pieces?q=1",
        "search",
        "search?q=",
        "search?q=" + "x" * 257,
        "search?q=%ff",
        "search?q=a&from=-1",
        "search?q=a&direction=up",
        "search?q=a&limit=1001",
        "search?q=a&case=2",
        "search?q=a&start=1",
    ],
)
def test_a_bad_query_is_refused(hub: HubProcess, path: str) -> None:
    answer = hub.http("GET", f"/api/tasks/{MISSING}/output/{path}")
    assert answer.status == 400, answer
    assert answer.json["error"].endswith(".")


def test_searches_through_much_leave_the_hub_responsive_and_its_memory_flat(
    hub: HubProcess,
) -> None:
    hub.http("PUT", "/api/settings/max_output_bytes", {"value": str(300 * MIB)})
    hub.script(
        "much.sh", "yes 'a line with some words in it, as scripts write' | head -c 200000000\n"
    )
    run = run_script(hub, "much.sh")
    assert run["output_size"] == 200_000_000
    process = psutil.Process(hub.pid)
    before = process.memory_info().rss
    over = threading.Event()

    def look_through() -> None:
        while not over.is_set():
            start_at: int | None = 0
            while start_at is not None and not over.is_set():
                found = search(hub, run["id"], f"q=nowhere&from={start_at}")
                assert found["matches"] == []
                start_at = found["next_offset"]

    searchers = [threading.Thread(target=look_through) for _ in range(2)]
    for thread in searchers:
        thread.start()
    waited, grown = [], 0
    for _ in range(60):
        begun = time.perf_counter()
        hub.get("/api/health")
        waited.append(time.perf_counter() - begun)
        grown = max(grown, process.memory_info().rss - before)
        time.sleep(0.01)
    begun = time.perf_counter()
    assert len(stretch(hub, run["id"], "offset=100000000").pieces) >= 1
    assert time.perf_counter() - begun < 1.0  # a stretch does not wait behind searches
    over.set()
    for thread in searchers:
        thread.join()
    assert statistics.median(waited) < 0.05
    assert max(waited) < 0.5
    assert grown < 24 * MIB
