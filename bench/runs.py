"""Runs on a real hub: throughput, first byte, many at once, much output, beside bare programs.

Called as ``python -m bench.runs [lines|first-byte|many|pour|viewers]``; without a name all are
measured. Exit code 1 when a budget is missed.

Runs on: a process of its own, which starts a hub and its runner in a temporary folder.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support import load
from tests.support.hub import HubProcess

ROUNDS = 5
LAG_BUDGET_S = 0.020
GROWTH_BUDGET = 64 * load.MIB
POUR_BYTES = 1024 * load.MIB


@contextmanager
def _hub(**settings: object) -> Iterator[HubProcess]:
    with (
        tempfile.TemporaryDirectory(prefix="toru-bench-") as folder,
        HubProcess(Path(folder)) as hub,
    ):
        for key, value in settings.items():
            assert hub.http("PUT", f"/api/settings/{key}", {"value": str(value)}).status == 200
        hub.run(hub.script("warm.sh", "echo warm\n"))
        yield hub


def lines() -> bool:
    """3,000,000 lines to one client, against a loop that copies the same pipe to a socket."""
    with _hub() as hub:
        pairs = [(load.lines_to_one_client(hub), load.bare_copy_s()) for _ in range(ROUNDS)]
    ours = statistics.median(taken.seconds for taken, _ in pairs)
    bare = statistics.median(bare_s for _, bare_s in pairs)
    ratio = statistics.median(taken.seconds / bare_s for taken, bare_s in pairs)
    print(f"3,000,000 lines to one client: {ours:.3f} s, bare copy {bare:.3f} s")
    return _verdict("ratio", ratio, 5.0)


def first_byte() -> bool:
    """The first byte of ``echo hi``, against a bare Popen and read."""
    with _hub() as hub:
        rounds = [load.first_byte(hub) for _ in range(3)]
    ratio = statistics.median(taken.toru_s / taken.bare_s for taken in rounds)
    ours, bare = rounds[0].toru_s * 1000, rounds[0].bare_s * 1000
    print(f"first byte of echo hi, p50: {ours:.2f} ms, bare Popen and read {bare:.2f} ms")
    return _verdict("ratio", ratio, 5.0)


def many() -> bool:
    """200 runs of ``echo; sleep 2; echo`` at once, against one of them."""
    with _hub() as hub:
        taken = load.many_runs(hub, 200)
    assert list(taken.codes.values()) == [0] * 200
    print(f"200 runs at once: {taken.together_s:.2f} s, one alone {taken.alone_s:.2f} s")
    return _verdict("ratio", taken.together_s / taken.alone_s, 1.5)


def pour() -> bool:
    """1 GiB to two viewers that read and one that never does."""
    rounds = []
    for _ in range(3):
        with _hub(max_output_bytes=2 * POUR_BYTES) as hub:
            rounds.append(load.pour(hub, POUR_BYTES, viewers=2, stalled=1))
    whole = all(
        (viewer.next_offset, viewer.gaps) == (POUR_BYTES, 0)
        for taken in rounds
        for viewer in taken.viewers
    )
    seconds = statistics.median(taken.seconds for taken in rounds)
    print(f"1 GiB to two viewers, a third stalled: {seconds:.1f} s, every byte: {whole}")
    return _memory_and_lag(rounds) and whole


def viewers() -> bool:
    """1 GiB with 50 viewers and the usual cap: each gets the same bytes, or a marked gap."""
    with _hub() as hub:
        taken = load.pour(hub, POUR_BYTES, viewers=50)
    ended = all(viewer.ended for viewer in taken.viewers)
    print(f"1 GiB poured, 50 viewers: {taken.seconds:.1f} s, all came to the end: {ended}")
    return _memory_and_lag([taken]) and ended


def _memory_and_lag(rounds: list[load.Pour]) -> bool:
    growth = max(taken.growth_bytes for taken in rounds) / load.MIB
    grown = _verdict("hub and runner grow, MiB", growth, 64.0)
    machine_ms = statistics.median(taken.machine_lag_p99_s for taken in rounds) * 1000
    slowest_ms = max(taken.slowest_answer_s for taken in rounds) * 1000
    print(
        f"  the machine wakes a process that only sleeps {machine_ms:.1f} ms late (p99); "
        f"slowest answer of /api/health {slowest_ms:.0f} ms"
    )
    own_s = statistics.median(taken.lag_p99_s - taken.machine_lag_p99_s for taken in rounds)
    lag = _verdict("loop lag p99 above the machine's, ms", own_s * 1000, LAG_BUDGET_S * 1000)
    return grown and lag


def _verdict(what: str, value: float, budget: float) -> bool:
    kept = value <= budget
    print(f"  {what}: {value:.2f} (budget {budget:g}) {'ok' if kept else 'MISSED'}")
    return kept


MEASURES: dict[str, Callable[[], bool]] = {
    "lines": lines,
    "first-byte": first_byte,
    "many": many,
    "pour": pour,
    "viewers": viewers,
}


def main(names: list[str]) -> int:
    """Measure what is named, or everything."""
    results = [MEASURES[name]() for name in names or MEASURES]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
