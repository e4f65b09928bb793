"""Finds what a runner that was killed has left behind.

Runs on: the runner's only thread, at its start.
"""

from __future__ import annotations

from pathlib import Path

from toru.runner.process import Identity
from toru.runner.records import EXIT_NAME, LiveMarkers
from toru.runner.store_format import HEADER_BYTES, INDEX_NAME, Header

TYPE_CHECKING = False  # as typing has it, without the 0.4 MB that typing costs the runner
if TYPE_CHECKING:
    from collections.abc import Callable


def recover(
    live: LiveMarkers,
    boot_id: str,
    adopt: Callable[[dict[str, object], Identity | None, int], None],
) -> None:
    """Hand every run that has no end to ``adopt``.

    Args:
        live: the markers of the runs that had not ended.
        boot_id: the present boot.
        adopt: takes what was written down at the start, by what the processes are known, and the
            size of the output. None instead of an identity says that no process can be left,
            because the machine was started again since: its pids mean nothing now.
    """
    for run_id, record in live.all().items():
        directory = record.get("directory")
        if isinstance(directory, str) and Path(directory, EXIT_NAME).exists():
            live.remove(run_id)
            continue
        size = output_size(directory) if isinstance(directory, str) else 0
        same_boot = record.get("boot_id", boot_id) == boot_id
        adopt({**record, "id": run_id}, _identity(run_id, record) if same_boot else None, size)


def _identity(run_id: str, record: dict[str, object]) -> Identity:
    mark, pid, start = record.get("mark"), record.get("pid"), record.get("start")
    leader = (pid, start) if isinstance(pid, int) and isinstance(start, int) else None
    return Identity(run_id, mark if isinstance(mark, int) else None, leader)


def output_size(directory: str) -> int:
    """Return the size of the output in a folder, as its index has it; 0 when there is none."""
    try:
        with Path(directory, INDEX_NAME).open("rb") as file:
            header = Header.unpack(file.read(HEADER_BYTES))
    except OSError:
        return 0
    return header.size if header is not None else 0
