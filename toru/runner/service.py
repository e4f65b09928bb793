"""The runner itself: what the hub asks is done, what the system tells reaches the right run.

Runs on: the runner's only thread.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from pathlib import Path

from toru import __version__
from toru.clock import format_time
from toru.runner import platform
from toru.runner.capture import Capture, RelaySink, StoreSink
from toru.runner.link import HubLink
from toru.runner.log import log, log_exception
from toru.runner.loop import Loop, Timer
from toru.runner.process import Identity, Process, tree_of
from toru.runner.records import EXIT_NAME, SPAWN_NAME, LiveMarkers, write_json
from toru.runner.recovery import recover
from toru.runner.requests import (
    PROTOCOL,
    RequestError,
    SpawnRequest,
    run_id,
    seconds,
    signal_number,
)
from toru.runner.run import Run
from toru.runner.spawn import spawn
from toru.runner.store_format import INDEX_NAME, LOG_NAME
from toru.runner.store_writer import OutputWriter

_PROGRESS_S = 0.010
_SAVE_AGAIN_S = 5.0
_GRACE_S = 5.0
_TURN_BYTES = 4 * 1024 * 1024
_RUN_MOST_BYTES = 1024 * 1024
_RUN_LEAST_BYTES = 64 * 1024


class Runner:
    """Holds every run, and serves one hub.

    Args:
        data: the data folder.
        loop: the event loop.
        listener: the listening socket.
        idle_s: how long to stay with no run and no hub.
    """

    def __init__(self, data: Path, loop: Loop, listener: socket.socket, idle_s: float) -> None:
        self._loop = loop
        self._idle_s = idle_s
        self._started_at = format_time(time.time())
        self._subreaper = platform.become_subreaper()
        self._descriptor_limit = platform.raise_descriptor_limit()
        self._boot = platform.boot_id()
        self._live = LiveMarkers(data / "runner" / "live")
        self._runs: dict[str, Run] = {}
        self._leaders: dict[int, Run] = {}
        self._relays: set[Run] = set()
        self._dirty: set[Run] = set()
        self._progress_timer: Timer | None = None
        self._idle_timer: Timer | None = None
        self._save_timer: Timer | None = None
        self._closing = False
        self._left = False
        self._link = HubLink(
            loop,
            listener,
            on_message=self._on_message,
            on_change=self._on_hub_change,
            on_drained=self._on_drained,
        )
        loop.on_signal(signal.SIGCHLD, self._reap)
        loop.on_signal(signal.SIGTERM, self._end_all)
        for ignored in (signal.SIGHUP, signal.SIGINT):
            loop.on_signal(ignored, _ignore)
        recover(self._live, self._boot, self._adopt)
        self._check_idle()

    # What the hub asks

    def _on_message(self, message: dict[str, object]) -> None:
        kind = message.get("type")
        handler = _HANDLERS.get(kind) if isinstance(kind, str) else None
        try:
            if handler is None:
                raise RequestError("unknown_type", f"There is no message of the type {kind!r}.")
            if not self._link.greeted and kind != "hello":
                raise RequestError("no_hello", "A hub says hello first.")
            handler(self, message)
        except RequestError as error:
            self._answer_error(message, error)
        except Exception:
            # Whatever it was: the other runs must not die of it.
            log_exception()
            sentence = "The runner failed at this; its log has more."
            self._answer_error(message, RequestError("internal", sentence))

    def _answer_error(self, message: dict[str, object], error: RequestError) -> None:
        answer: dict[str, object] = {"type": "error", "code": error.code, "message": error.sentence}
        if message.get("type") == "spawn":
            answer = {"type": "refused", "code": error.code, "error": error.sentence}
        if isinstance(message.get("id"), str):
            answer["id"] = message["id"]
        self._link.send(answer)

    def _hello(self, message: dict[str, object]) -> None:
        if message.get("protocol") != PROTOCOL:
            self._link.greeted = True
            raise RequestError("protocol", f"This runner speaks protocol {PROTOCOL} only.")
        self._link.greeted = True
        self._link.send(
            {
                "type": "hello_ok",
                "protocol": PROTOCOL,
                "pid": os.getpid(),
                "started_at": self._started_at,
                "version": __version__,
                "missing": platform.missing(),
            }
        )

    def _list(self, _message: dict[str, object]) -> None:
        self._link.send({"type": "runs", "runs": [run.describe() for run in self._runs.values()]})

    def _ping(self, _message: dict[str, object]) -> None:
        self._link.send({"type": "pong"})

    def _signal(self, message: dict[str, object]) -> None:
        self._find(message).signal(signal_number(message))

    def _cancel(self, message: dict[str, object]) -> None:
        grace_s = seconds(message, "grace_s", _GRACE_S)
        self._find(message).stop("cancelled", _GRACE_S if grace_s is None else grace_s)

    def _forget(self, message: dict[str, object]) -> None:
        run = self._runs.get(run_id(message))
        if run is None:
            return
        if not run.ended:
            raise RequestError("still_running", f"The run {run.id} has not ended.")
        del self._runs[run.id]
        self._check_idle()

    def _shutdown(self, message: dict[str, object]) -> None:
        if message.get("end_runs") is True:
            self._end_all()
        elif any(not run.ended for run in self._runs.values()):
            raise RequestError("still_running", "There are runs that have not ended.")
        else:
            self._leave()

    def _find(self, message: dict[str, object]) -> Run:
        name = run_id(message)
        run = self._runs.get(name)
        if run is None:
            raise RequestError("no_such_run", f"There is no run {name}.")
        return run

    # Starting

    def _spawn(self, message: dict[str, object]) -> None:
        known = self._runs.get(run_id(message))
        if known is not None:
            self._send_started(known)
            if known.ended:
                self._link.send({"type": "exited", **known.exit_fields()})
            return
        request = SpawnRequest(message)
        if self._closing:
            raise RequestError("closing", "The runner is about to leave.")
        self._send_started(self._start(request))

    def _start(self, request: SpawnRequest) -> Run:
        """Start a run, or raise and leave nothing of it behind.

        Raises:
            RequestError: it cannot be started.
        """
        mark = platform.new_mark()
        record: dict[str, object] = {
            "id": request.id,
            "directory": request.directory,
            "program": request.argv[0],
            "mark": mark,
            "boot_id": self._boot,
            "created_at": format_time(time.time()),
            "pid": None,
            "start": None,
        }
        sink = self._prepare(request, record)
        try:
            spawned = spawn(request, mark, self._descriptor_limit)
        except RequestError:
            sink.close()
            self._undo(request)
            raise
        run = self._make_run(Identity(request.id, mark), request.directory, request.leave)
        capture = Capture(
            self._loop,
            spawned.stdout,
            spawned.stderr,
            sink,
            budget=self._budget,
            on_output=lambda: self._on_output(run),
            on_closed=run.check,
        )
        run.begin(spawned.pid, capture, request.time_limit_s)
        self._leaders[spawned.pid] = run
        leader = platform.find_process(spawned.pid)
        if leader is not None:
            run.identity.leader = (leader.pid, leader.start)
        run.record = {
            **record,
            "pid": spawned.pid,
            "start": leader.start if leader else None,
            "started_at": run.started_at,
        }
        self._save_spawn(run)
        run.hub_gone_s = request.hub_gone_s
        self._watch_hub_gone(run)
        if request.relay:
            self._relays.add(run)
        return run

    def _make_run(self, identity: Identity, directory: str | None, leave: bool) -> Run:
        run = Run(
            identity,
            self._loop,
            find_tree=self._tree,
            others_alive=self._others_alive,
            on_stage=self._on_stage,
            on_end=self._on_end,
            directory=directory,
            leave=leave,
        )
        self._runs[run.id] = run
        self._check_idle()
        return run

    def _prepare(self, request: SpawnRequest, record: dict[str, object]) -> StoreSink | RelaySink:
        """Make what has to be on disk before there is a process.

        Raises:
            RequestError: it has run before, or the storage refuses.
        """
        try:
            if request.directory is not None:
                directory = Path(request.directory)
                directory.mkdir(mode=0o700, parents=True, exist_ok=True)
                if (directory / SPAWN_NAME).exists() or (directory / EXIT_NAME).exists():
                    raise RequestError(
                        "already_ran", f"The run {request.id} has been started before."
                    )
            self._live.put(request.id, record)
            if request.relay:
                return RelaySink(self._relay, request.relay_id, request.relay_limit_bytes)
            return StoreSink(OutputWriter(request.directory or "", request.output_limit_bytes))
        except OSError as error:
            self._undo(request)
            sentence = f"The run's files cannot be made: {error.strerror}."
            raise RequestError("storage", sentence) from None

    def _undo(self, request: SpawnRequest) -> None:
        self._live.remove(request.id)
        if request.directory is not None and not request.relay:
            for name in (LOG_NAME, INDEX_NAME):
                with contextlib.suppress(OSError):
                    Path(request.directory, name).unlink()

    def _save_spawn(self, run: Run) -> None:
        try:
            self._live.put(run.id, run.record)
            if run.directory is not None:
                write_json(Path(run.directory, SPAWN_NAME), run.record)
        except OSError as error:
            log(f"The start of {run.id} cannot be written down: {error}.")

    def _send_started(self, run: Run) -> None:
        self._link.send(
            {"type": "started", "id": run.id, "pid": run.pid, "started_at": run.started_at}
        )

    def _adopt(self, record: dict[str, object], identity: Identity | None, size: int) -> None:
        """Take over a run of the runner before this one, to end it."""
        nothing_left = identity is None
        identity = identity or Identity(str(record["id"]), None)
        directory = record.get("directory")
        run = self._make_run(identity, directory if isinstance(directory, str) else None, False)
        pid, started_at = record.get("pid"), record.get("started_at")
        run.record = record
        run.nothing_left = nothing_left
        run.begin_interrupted(
            pid if isinstance(pid, int) else None,
            started_at if isinstance(started_at, str) else None,
            size,
        )
        run.stop("interrupted", _GRACE_S)

    # What the system tells

    def _reap(self) -> None:
        orphans = False
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                break
            if pid == 0:
                break
            run = self._leaders.pop(pid, None)
            if run is None:
                orphans = True
            else:
                run.leader_exited(status, usage)
        if orphans:
            for run in tuple(self._runs.values()):
                if not run.leader_alive:
                    run.check()

    def _on_output(self, run: Run) -> None:
        if run in self._relays:
            if self._link.busy:
                for relay in self._relays:
                    if relay.capture is not None:
                        relay.capture.pause()
            return
        self._dirty.add(run)
        if self._progress_timer is None:
            self._send_progress()

    def _send_progress(self) -> None:
        """Tell of new output at once when the line was idle, else together a little later."""
        self._progress_timer = None
        if not self._dirty or not self._link.greeted:
            self._dirty.clear()
            return
        if self._link.busy:
            return
        # Sending may find the hub gone, and that comes back here.
        dirty, self._dirty = self._dirty, set()
        for run in dirty:
            self._link.send({"type": "progress", "id": run.id, "size": run.size})
        self._progress_timer = self._loop.call_later(_PROGRESS_S, self._send_progress)

    def _relay(self, frame: bytes) -> None:
        self._link.send_frame(frame)

    def _on_drained(self) -> None:
        for run in self._relays:
            if run.capture is not None:
                run.capture.resume()
        if self._progress_timer is None:
            self._send_progress()

    def _on_hub_change(self) -> None:
        self._on_drained()
        for run in self._runs.values():
            self._watch_hub_gone(run)
        self._check_idle()

    def _watch_hub_gone(self, run: Run) -> None:
        """Count the time that a run may live without a hub, or stop counting."""
        if run.hub_timer is not None:
            run.hub_timer.cancel()
            run.hub_timer = None
        if run.hub_gone_s is not None and not run.ended and not self._link.connected:
            run.hub_timer = self._loop.call_later(
                run.hub_gone_s, lambda: run.stop("hub_gone", _GRACE_S)
            )

    def _budget(self) -> int:
        """Return the bytes that a run may read in one turn: fewer when many share the thread."""
        share = _TURN_BYTES // max(1, len(self._leaders))
        return min(max(share, _RUN_LEAST_BYTES), _RUN_MOST_BYTES)

    # The trees

    def _tree(self, run: Run) -> list[Process]:
        if run.nothing_left:
            return []
        run.identity.pipes = run.capture.inodes() if run.capture else frozenset()
        below = os.getpid() if self._subreaper and run.children else None
        table = platform.process_table()
        leaders = frozenset(self._leaders)
        return tree_of(run.identity, table, platform.PROBE, below=below, leaders=leaders)

    def _others_alive(self, run: Run) -> bool:
        if self._subreaper and run.children:
            children = platform.own_children()
            if children is not None and children <= self._leaders.keys():
                # What has lost its parent is a child of the subreaper: there is nothing such.
                return False
        return any(process.pid != run.pid or not run.leader_alive for process in self._tree(run))

    # Ending

    def _on_stage(self, run: Run, stage: str) -> None:
        self._link.send({"type": "stage", "id": run.id, "stage": stage})

    def _on_end(self, run: Run) -> None:
        self._dirty.discard(run)
        self._relays.discard(run)
        run.saved = self._save_exit(run)
        if not run.saved and self._save_timer is None:
            self._save_timer = self._loop.call_later(_SAVE_AGAIN_S, self._save_again)
        self._link.send({"type": "exited", **run.exit_fields()})
        self._check_idle()

    def _save_exit(self, run: Run) -> bool:
        try:
            if run.directory is not None:
                write_json(Path(run.directory, EXIT_NAME), run.exit_fields())
        except FileNotFoundError:
            pass  # the folder was deleted, and the interest in it too
        except OSError as error:
            log(f"The end of {run.id} cannot be written down: {error}.")
            return False
        self._live.remove(run.id)
        return True

    def _save_again(self) -> None:
        self._save_timer = None
        for run in self._runs.values():
            if run.ended and not run.saved:
                run.saved = self._save_exit(run)
                if not run.saved:
                    self._save_timer = self._loop.call_later(_SAVE_AGAIN_S, self._save_again)
                    return
        self._check_idle()

    def _end_all(self) -> None:
        """End every run, then leave."""
        self._closing = True
        for run in tuple(self._runs.values()):
            run.stop("cancelled", _GRACE_S)
        self._check_idle()

    def _check_idle(self) -> None:
        """Leave when nothing is held any more: at once when asked to, else after a while."""
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None
        if any(not run.ended or not run.saved for run in self._runs.values()):
            return
        if self._closing:
            self._leave()
        elif not self._link.connected:
            self._idle_timer = self._loop.call_later(self._idle_s, self._leave)

    def _leave(self) -> None:
        self._closing = True
        if not self._left:
            self._left = True
            self._link.close()
            self._loop.stop()


_HANDLERS = {
    "hello": Runner._hello,
    "spawn": Runner._spawn,
    "signal": Runner._signal,
    "cancel": Runner._cancel,
    "list": Runner._list,
    "forget": Runner._forget,
    "ping": Runner._ping,
    "shutdown": Runner._shutdown,
}


def _ignore() -> None:
    """Let the signal pass."""
