"""Keeps what is written down about runs true: before the start, after it, at the end.

Runs on: the runner's only thread.
"""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from toru.clock import format_time, monotonic
from toru.runner.capture import RelaySink, StoreSink
from toru.runner.log import log
from toru.runner.loop import Loop, Timer
from toru.runner.records import EXIT_NAME, SPAWN_NAME, LiveMarkers, write_json
from toru.runner.relay_rate import RelayRate
from toru.runner.requests import RequestError, SpawnRequest
from toru.runner.run import Run
from toru.runner.store_format import INDEX_NAME, LOG_NAME
from toru.runner.store_writer import OutputWriter

TYPE_CHECKING = False  # as typing has it, without the 0.4 MB that typing costs the runner
if TYPE_CHECKING:
    from collections.abc import Callable

_SAVE_AGAIN_S = 2.0


class Ledger:
    """Writes ``spawn.json``, ``exit.json`` and the markers of the runs that live.

    An end that cannot be written down is kept and tried again; a start that cannot be written
    down before there is a process refuses the run.

    Args:
        loop: for the next try.
        live: the markers.
        boot_id: the present boot.
        on_saved: called when an end was written down at a later try.
    """

    def __init__(
        self, loop: Loop, live: LiveMarkers, boot_id: str, *, on_saved: Callable[[], None]
    ) -> None:
        self._loop = loop
        self._live = live
        self._boot_id = boot_id
        self._on_saved = on_saved
        self._records: dict[str, dict[str, object]] = {}
        self._timer: Timer | None = None
        self.unsaved: set[Run] = set()

    def begin(
        self, request: SpawnRequest, mark: int | None, relay: Callable[[bytes], None]
    ) -> StoreSink | RelaySink:
        """Put on disk what has to be there before the process, and return where output goes.

        Raises:
            RequestError: the run has been started before, or the storage refuses.
        """
        record: dict[str, object] = {
            "id": request.id,
            "directory": request.directory,
            "program": request.argv[0],
            "mark": mark,
            "boot_id": self._boot_id,
            "created_at": format_time(time.time()),
            "pid": None,
            "start": None,
        }
        try:
            _make_directory(request)
            self._live.put(request.id, record)
            self._records[request.id] = record
            if request.relay:
                per_s = request.relay_bytes_per_s
                rate = None if per_s is None else RelayRate(per_s, monotonic())
                return RelaySink(relay, request.relay_id, request.relay_limit_bytes, rate)
            return StoreSink(OutputWriter(request.directory or "", request.output_limit_bytes))
        except OSError as error:
            self.undo(request)
            sentence = f"The run's files cannot be made: {error.strerror}."
            raise RequestError("storage", sentence) from None

    def undo(self, request: SpawnRequest) -> None:
        """Leave nothing of a start that failed, so that it may be tried again."""
        self._live.remove(request.id)
        self._records.pop(request.id, None)
        if request.directory is not None and not request.relay:
            for name in (LOG_NAME, INDEX_NAME):
                with contextlib.suppress(OSError):
                    Path(request.directory, name).unlink()

    def started(self, run: Run) -> None:
        """Write down the process that was started."""
        record = self._records.pop(run.id)
        record["pid"], record["started_at"] = run.pid, run.started_at
        if run.identity.leader is not None:
            record["start"] = run.identity.leader[1]
        try:
            self._live.put(run.id, record)
            if run.directory is not None:
                write_json(Path(run.directory, SPAWN_NAME), record)
        except OSError as error:
            log(f"The start of {run.id} cannot be written down: {error}.")

    def ended(self, run: Run) -> None:
        """Write down how a run ended, now or as soon as the storage takes it.

        Its marker stays until ``settle``, since removing a file can take its time.
        """
        if not self._save_exit(run):
            self.unsaved.add(run)
            self._try_later()

    def settle(self, run: Run) -> None:
        """Remove the marker of a run whose end is written down."""
        if run not in self.unsaved:
            self._live.remove(run.id)

    def _save_exit(self, run: Run) -> bool:
        try:
            if run.directory is not None:
                write_json(Path(run.directory, EXIT_NAME), run.exit_fields())
        except FileNotFoundError:
            pass  # the folder was deleted, and the interest in it too
        except OSError as error:
            log(f"The end of {run.id} cannot be written down: {error}.")
            return False
        return True

    def _try_later(self) -> None:
        if self._timer is None:
            self._timer = self._loop.call_later(_SAVE_AGAIN_S, self._try_again)

    def _try_again(self) -> None:
        self._timer = None
        for run in tuple(self.unsaved):
            if not self._save_exit(run):
                self._try_later()
                return
            self.unsaved.discard(run)
            self.settle(run)
        self._on_saved()


def _make_directory(request: SpawnRequest) -> None:
    if request.directory is None:
        return
    directory = Path(request.directory)
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    if (directory / SPAWN_NAME).exists() or (directory / EXIT_NAME).exists():
        raise RequestError("already_ran", f"The run {request.id} has been started before.")
