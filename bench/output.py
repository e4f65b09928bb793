"""Outputs that are looked at: stretches anywhere in 200 MB and searches through it.

Called as ``python -m bench.output``. A search is compared with ``grep`` over the same bytes, a
stretch with the raw download of as many bytes from the same place. Exit code 1 when a budget is
missed.

Runs on: a process of its own, which starts a hub and its runner in a temporary folder.
"""

from __future__ import annotations

import http.client
import json
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from urllib.parse import quote

from bench.common import Row, measure_in_turns, median, report
from tests.support.hub import HubProcess, wait_until

MIB = 1024**2
SIZE = 200_000_000
LINE = "a line that is as long as those that a program writes when it tells what it does"
STRETCH_BYTES = 64 * 1024
ROUNDS = 5


class Client:
    """One connection to the hub that stays open, as a browser's does."""

    def __init__(self, hub: HubProcess, task_id: str) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=60)
        self._headers = {"Cookie": hub.cookie}
        self._path = f"/api/tasks/{task_id}/output"

    def get(self, rest: str) -> bytes:
        """Return the body of an answer about the output."""
        self._connection.request("GET", self._path + rest, headers=self._headers)
        response = self._connection.getresponse()
        body = response.read()
        assert response.status == 200, body[:200]
        return body

    def search(self, text: str) -> int:
        """Look through everything, call after call; return how many matches there are."""
        start: int | None = 0
        count = 0
        while start is not None:
            rest = f"/search?q={quote(text)}&limit=1000&from={start}"
            found = json.loads(self.get(rest))
            count += len(found["matches"])
            start = found["next_offset"]
        return count


def main() -> int:
    """Measure, print, and return the exit code."""
    with (
        tempfile.TemporaryDirectory(prefix="toru-bench-") as folder,
        HubProcess(Path(folder)) as hub,
    ):
        task_id = _pour(hub)
        log = hub.data_dir / "runs" / task_id / "output.log"
        client = Client(hub, task_id)
        kept = _searches(client, log)
        kept = _stretches(client) and kept
        kept = _others(hub, task_id) and kept
    return 0 if kept else 1


def _pour(hub: HubProcess) -> str:
    hub.http("PUT", "/api/settings/max_output_bytes", {"value": str(2 * SIZE)})
    hub.script("pour.sh", f"yes '{LINE}' | head -c {SIZE}; echo the needle\n")
    task_id: str = hub.http("POST", "/api/tasks", {"script": "pour.sh"}).json["task_id"]
    wait_until(lambda: hub.get(f"/api/tasks/{task_id}")["state"] == "finished", timeout_s=60)
    return task_id


def _searches(client: Client, log: Path) -> bool:
    def hub_finds() -> None:
        assert client.search("THE NEEDLE") == 1

    def grep_finds() -> None:
        command = ["grep", "-F", "-i", "-c", "THE NEEDLE", str(log)]
        assert subprocess.run(command, capture_output=True, check=True).stdout == b"1\n"

    def python_finds() -> None:
        with log.open("rb") as file:
            while block := file.read(MIB):
                block.lower().find(b"the needle")

    taken = measure_in_turns({"hub": hub_finds, "python": python_finds, "grep": grep_finds}, ROUNDS)
    ours, bare = median(taken["hub"]), median(taken["python"])
    return report(
        "A search through 200 MB, capitals and small letters alike",
        [
            Row("grep -F -i", f"{median(taken['grep']):.2f} s"),
            Row("a bare loop of lower() and find()", f"{bare:.2f} s"),
            Row("the hub, over HTTP", f"{ours:.2f} s", ours / bare, 3.0, at_most=True),
        ],
    )


def _stretches(client: Client) -> bool:
    places = random.Random(1)

    def read(rest: str) -> float:
        begun = time.perf_counter()
        for _ in range(50):
            offset = places.randrange(SIZE - STRETCH_BYTES)
            client.get(rest.format(offset=offset, limit=STRETCH_BYTES))
        return (time.perf_counter() - begun) / 50

    taken = measure_in_turns(
        {
            "pieces": lambda: read("/pieces?offset={offset}&limit={limit}"),
            "raw": lambda: read("?format=raw&offset={offset}&limit={limit}"),
        },
        ROUNDS,
    )
    ours, bare = median(taken["pieces"]), median(taken["raw"])
    return report(
        "64 KiB from anywhere in 200 MB",
        [
            Row("raw bytes", f"{bare * 1000:.2f} ms"),
            Row("with streams and times", f"{ours * 1000:.2f} ms", ours / bare, 3.0, at_most=True),
        ],
    )


def _others(hub: HubProcess, task_id: str) -> bool:
    """Ask for the health meanwhile: idle, and while two others search without a pause."""
    idle = _answers(hub)
    over = threading.Event()

    def look_through() -> None:
        client = Client(hub, task_id)
        while not over.is_set():
            client.search("nowhere to be found")

    threads = [threading.Thread(target=look_through) for _ in range(2)]
    for thread in threads:
        thread.start()
    busy = _answers(hub)
    over.set()
    for thread in threads:
        thread.join()
    return report(
        "Answers of /api/health",
        [
            Row("nobody searches, p50", f"{idle * 1000:.1f} ms"),
            Row("two search without a pause, p50", f"{busy * 1000:.1f} ms"),
        ],
    )


def _answers(hub: HubProcess) -> float:
    taken = []
    for _ in range(200):
        begun = time.perf_counter()
        hub.get("/api/health")
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


if __name__ == "__main__":
    sys.exit(main())
