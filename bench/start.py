"""How soon the hub answers, and what hub and runner weigh when nothing is to be done.

Called as ``python -m bench.start``; exit code 1 when a budget is missed. The reference is a bare
interpreter: the time to start one and the memory it needs.

Runs on: a process of its own, which starts a hub and its runner in a temporary folder.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.support import load
from tests.support.hub import HubProcess

ROUNDS = 5
START_BUDGET_S = 1.0
MEMORY_BUDGET = 80_000_000


def pss_bytes(pid: int) -> int:
    """Return the proportional set size of a process (proc_pid_smaps(5))."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    found = re.search(r"^Pss:\s+(\d+) kB", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def _start_s(folder: Path) -> tuple[float, int]:
    """Return the seconds to the first 200, and the memory of hub and runner after it."""
    hub = HubProcess(folder)
    began = time.perf_counter()
    try:
        hub.start()
        assert hub.get("/api/health") == {"status": "ok"}
        took_s = time.perf_counter() - began
        hub.log_in()
        hub.run(hub.script("warm.sh", "echo warm\n"))
        return took_s, pss_bytes(hub.pid) + pss_bytes(load.runner_pid(hub))
    finally:
        hub.end()


def _bare_s() -> float:
    began = time.perf_counter()
    subprocess.run([sys.executable, "-c", "pass"], check=True)
    return time.perf_counter() - began


def main() -> int:
    """Measure both and compare them with their budgets."""
    starts, weights = [], []
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory(prefix="toru-bench-") as folder:
            took_s, weight = _start_s(Path(folder))
        starts.append(took_s)
        weights.append(weight)
    start_s, weight = statistics.median(starts), statistics.median(weights)
    bare_s = statistics.median(_bare_s() for _ in range(ROUNDS))
    fast, light = start_s <= START_BUDGET_S, weight <= MEMORY_BUDGET
    print(f"start to the first 200: {start_s:.2f} s, a bare interpreter {bare_s:.2f} s")
    print(f"  budget {START_BUDGET_S:g} s: {'ok' if fast else 'MISSED'}")
    print(f"hub and runner, proportional set size: {weight / 1e6:.1f} MB")
    print(f"  budget {MEMORY_BUDGET / 1e6:g} MB: {'ok' if light else 'MISSED'}")
    return 0 if fast and light else 1


if __name__ == "__main__":
    sys.exit(main())
