"""The runner itself: what the hub asks is done, what the system tells reaches the right run.

Runs on: the runner's only thread.
"""

from __future__ import annotations

import os
import signal
import socket
import time
from pathlib import Path

from toru import __version__
from toru.clock import format_time, monotonic
from toru.runner import platform
from toru.runner.capture import Capture, RelaySink
from toru.runner.ending import Ending
from toru.runner.ledger import Ledger
from toru.runner.link import HubLink
from toru.runner.log import log_exception
from toru.runner.loop import Loop, Timer
from toru.runner.process import Identity
from toru.runner.progress import Progress
from toru.runner.records import LiveMarkers
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
from toru.runner.trees import Trees

_GRACE_S = 5.0
_GRACE_OF_SURVIVORS_S = 2.0
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
        self._descriptor_limit = platform.raise_descriptor_limit()
        boot_id = platform.boot_id()
        live = LiveMarkers(data / "runner" / "live")
        self._runs: dict[str, Run] = {}
        self._leaders: dict[int, Run] = {}
        self._relays: set[Run] = set()
        self._resting: set[Run] = set()
        self._idle_timer: Timer | None = None
        self._closing = False
        self._left = False
        self._link = HubLink(
            loop,
            listener,
            on_message=self._on_message,
            on_change=self._on_hub_change,
            on_drained=self._on_drained,
        )
        self._trees = Trees(self._leaders.keys(), subreaper=platform.become_subreaper())
        self._ledger = Ledger(loop, live, boot_id, on_saved=self._check_idle)
        self._progress = Progress(loop, self._link)
        loop.on_signal(signal.SIGCHLD, self._reap)
        loop.on_signal(signal.SIGTERM, self._end_all)
        for ignored in (signal.SIGHUP, signal.SIGINT):
            loop.on_signal(ignored, _ignore)
        recover(live, boot_id, self._adopt)
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
        run = self._start(request)
        self._send_started(run)
        # After the answer, to lose no time: until then the mark alone would tell its processes.
        self._ledger.started(run)

    def _start(self, request: SpawnRequest) -> Run:
        """Start a run, or raise and leave nothing of it behind.

        Raises:
            RequestError: it cannot be started.
        """
        mark = platform.new_mark()
        sink = self._ledger.begin(request, mark, self._relay)
        try:
            spawned = spawn(request, mark, self._descriptor_limit)
        except RequestError:
            sink.close()
            self._ledger.undo(request)
            raise
        run = self._make_run(
            Identity(request.id, mark),
            request.directory,
            Ending(leave=request.leave, drain_s=request.drain_s),
        )
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
        run.hub_gone_s = request.hub_gone_s
        self._watch_hub_gone(run)
        if request.relay:
            self._relays.add(run)
        return run

    def _make_run(self, identity: Identity, directory: str | None, ending: Ending) -> Run:
        run = Run(
            identity,
            self._loop,
            find_tree=self._trees.of,
            others_alive=self._trees.others_alive,
            on_stage=self._on_stage,
            on_end=self._on_end,
            directory=directory,
            ending=ending,
        )
        self._runs[run.id] = run
        self._check_idle()
        return run

    def _send_started(self, run: Run) -> None:
        self._link.send(
            {"type": "started", "id": run.id, "pid": run.pid, "started_at": run.started_at}
        )

    def _adopt(self, record: dict[str, object], identity: Identity | None, size: int) -> None:
        """Take over a run of the runner before this one, to end it."""
        nothing_left = identity is None
        identity = identity or Identity(str(record["id"]), None)
        directory = record.get("directory")
        run = self._make_run(identity, directory if isinstance(directory, str) else None, Ending())
        pid, started_at = record.get("pid"), record.get("started_at")
        run.nothing_left = nothing_left
        run.begin_interrupted(
            pid if isinstance(pid, int) else None,
            started_at if isinstance(started_at, str) else None,
            size,
        )
        run.stop("interrupted", _GRACE_OF_SURVIVORS_S)

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
            self._rest(run)
            return
        self._progress.tell(run)

    def _rest(self, run: Run) -> None:
        """Let a run wait that pours faster than it may."""
        if run.capture is None or not isinstance(run.capture.sink, RelaySink):
            return
        rate = run.capture.sink.rate
        pause_s = 0.0 if rate is None else rate.pause_s(monotonic())
        if pause_s > 0.0 and run not in self._resting:
            run.capture.pause()
            self._resting.add(run)
            self._loop.call_later(pause_s, lambda: self._rested(run))

    def _rested(self, run: Run) -> None:
        self._resting.discard(run)
        if run.capture is not None and not self._link.busy:
            run.capture.resume()

    def _relay(self, frame: bytes) -> None:
        self._link.send_frame(frame)

    def _on_drained(self) -> None:
        for run in self._relays - self._resting:
            if run.capture is not None:
                run.capture.resume()
        self._progress.go_on()

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

    # Ending

    def _on_stage(self, run: Run, stage: str) -> None:
        self._link.send({"type": "stage", "id": run.id, "stage": stage})

    def _on_end(self, run: Run) -> None:
        self._progress.forget(run)
        self._relays.discard(run)
        self._ledger.ended(run)
        self._link.send({"type": "exited", **run.exit_fields()})
        self._ledger.settle(run)
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
        if self._ledger.unsaved or any(not run.ended for run in self._runs.values()):
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
