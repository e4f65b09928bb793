"""What takes its time by the protocol's own deadlines, all of it side by side on one hub.

Runs on: one thread for each story; they are begun on the test's.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.hub import HubProcess, wait_until
from tests.support.load import MachineLag
from tests.support.plugin_files import Plugins, is_alive, processes_of

LATE = ["bad-half-header", "bad-half-frame", "bad-drip", "bad-silent", "bad-late-35"]
LATE_V2 = ["bad-silent-v2", "bad-late-35-v2"]

HEALTHY_S = 6.0
"""What stands for the minute of health after which failures are forgotten."""
WELL_S = (5.0, 6.5, 0.0)
"""How long a plugin is well before its second to fourth crash."""

FAILING_SHELL = """#!/bin/sh
if [ "$1" = --metadata ]; then
    echo '{"id":"failing","name":"Failing","version":"1","route":"/failing"}'
    exit
fi
echo 'no licence found' >&2
exit 3
"""
TRAP_SHELL = """#!/bin/sh
if [ "$1" = --metadata ]; then
    echo '{"id":"never","name":"Never","version":"1","route":"/never"}'
    exit
fi
while :; do sleep 1; done
"""


class Stories:
    """What is under way, by name."""

    def __init__(self, plugins: Plugins) -> None:
        self.plugins = plugins
        self._pool = ThreadPoolExecutor(32)
        self._futures: dict[str, Future[Any]] = {}

    def begin(self, name: str, story: Callable[[], Any]) -> None:
        """Begin a story."""
        self._futures[name] = self._pool.submit(story)

    def end(self, name: str) -> Any:
        """Return what a story returns, once it does."""
        return self._futures[name].result(60)

    def close(self) -> None:
        """Wait for all."""
        self._pool.shutdown()


def begin_all(plugins: Plugins, folders: Callable[[str], Path]) -> Stories:
    """Begin all stories at once.

    Args:
        plugins: of the hub on which most of them happen.
        folders: makes a folder for a story that has a hub of its own.
    """
    told = Stories(plugins)
    gone, health = folders("gone"), folders("health")
    told.begin("hub gone", lambda: hub_gone(gone))
    told.begin("health", lambda: crashes_around_health(health))
    plugins.write("failing", FAILING_SHELL)
    plugins.write("never", TRAP_SHELL)
    plugins.put("bad-never-ready-v2", "bad-hello-silent-v2", "bad-slow-ready-31-v2")
    plugins.put(*LATE, *LATE_V2, "bad-half-frame-v2", "bad-echo-v2", "bad-ping-deaf-v2")
    plugins.put("bad-ignore-sigterm", "bad-ignore-sigterm-v2", "bad-ignore-shutdown-v2")
    plugins.put("bad-health-bad-v2", "quick-v2")
    plugins.ready(*LATE, *LATE_V2, "bad-half-frame-v2", "bad-echo-v2", "quick-v2")
    plugins.ready("bad-ignore-sigterm", "bad-ignore-sigterm-v2", "bad-ignore-shutdown-v2")
    for plugin_id in [*LATE, *LATE_V2, "bad-half-frame-v2"]:
        told.begin(plugin_id, lambda plugin_id=plugin_id: late_answer(plugins, plugin_id))
    told.begin("stopped", lambda: stopped_process(plugins))
    for plugin_id in ("bad-ignore-sigterm", "bad-ignore-sigterm-v2", "bad-ignore-shutdown-v2"):
        told.begin(plugin_id, lambda plugin_id=plugin_id: disabled(plugins, plugin_id))
    told.begin("lag", machine_lag)
    return told


def late_answer(plugins: Plugins, plugin_id: str) -> tuple[int, float]:
    began = time.monotonic()
    answer = plugins.ask(plugin_id, "/x", timeout_s=45)
    return answer.status, time.monotonic() - began


def disabled(plugins: Plugins, plugin_id: str) -> tuple[int, float, bool]:
    pid = plugins.view(plugin_id)["pid"]
    began = time.monotonic()
    answer = plugins.wish(plugin_id, "disable")
    return answer.status, time.monotonic() - began, is_alive(pid)


def stopped_process(plugins: Plugins) -> list[str]:
    """Stop a process (SIGSTOP) and return its states until it is well again."""
    pid = plugins.view("bad-echo-v2")["pid"]
    os.kill(pid, signal.SIGSTOP)
    states = ["ready"]
    deadline = time.monotonic() + 45
    while time.monotonic() < deadline:
        view = plugins.view("bad-echo-v2")
        if view["state"] != states[-1]:
            states.append(view["state"])
        if view["state"] == "ready" and view["pid"] != pid:
            break
        time.sleep(0.05)  # the interval of the looks
    return states


def hub_gone(folder: Path) -> tuple[int, float]:
    """Kill a hub and return how many plugins it had and when the last of them has ended."""
    with HubProcess(folder) as hub:
        plugins = Plugins(hub)
        plugins.start("quick-v1", "quick-v2", "bad-echo")
        count = len(processes_of(plugins.folder))
        hub.kill()
        began = time.monotonic()
        wait_until(lambda: not processes_of(plugins.folder), timeout_s=25, what="the end of all")
        return count, time.monotonic() - began


def crashes_around_health(folder: Path) -> dict[str, list[tuple[float, int]]]:
    """Kill plugins before and after their failures are forgotten.

    Returns:
        For each plugin and each crash, how long it had been well, in seconds, and which failure in
        a row it was called.
    """
    with HubProcess(
        folder, TORU_PLUGIN_BACKOFF="0.01", TORU_PLUGIN_HEALTHY_S=str(HEALTHY_S)
    ) as hub:
        plugins = Plugins(hub)
        plugins.start("quick-v1", "quick-v2")
        with ThreadPoolExecutor(2) as pool:
            told = pool.map(
                lambda name: (name, crashes_of(plugins, name)), ("quick-v1", "quick-v2")
            )
            return dict(told)


def crashes_of(plugins: Plugins, plugin_id: str) -> list[tuple[float, int]]:
    for well_s in (0.0, *WELL_S):
        time.sleep(well_s)  # it is well for so long; nothing tells that it is
        pid = plugins.view(plugin_id)["pid"]
        os.kill(pid, signal.SIGKILL)
        wait_until(
            lambda pid=pid: plugins.view(plugin_id)["pid"] not in (pid, None), what="another"
        )
        plugins.ready(plugin_id)
    moments = [
        (one["event_type"], datetime.fromisoformat(one["timestamp"]), json.loads(one["details"]))
        for one in plugins.events(plugin_id)
    ]
    return [
        ((crash - ready).total_seconds(), details["failures"])
        for (_, ready, _), (kind, crash, details) in itertools.pairwise(moments)
        if kind == "crashed"
    ]


def machine_lag() -> float:
    with MachineLag() as lag:
        time.sleep(30)
    return lag.p99_s
