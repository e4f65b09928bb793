"""Plugins put into a hub's folder, and what the hub says of them.

Runs on: the test's thread.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil

import tests.support.misbehaving_plugin
import tests.support.quick_plugin
from tests.support.hub import Answer, HubProcess, wait_until

_SOURCES = {
    "bad": Path(tests.support.misbehaving_plugin.__file__),
    "quick": Path(tests.support.quick_plugin.__file__),
}
QUICK = _SOURCES["quick"].read_text()
"""The text of the quick plugin, for those that change it."""

_PYTHON = b"#!/usr/bin/env python3\n"


class Plugins:
    """The plugins folder of one hub, with the API beside it."""

    def __init__(self, hub: HubProcess) -> None:
        self.hub = hub
        self.folder = hub.plugins_dir

    def put(self, *names: str) -> None:
        """Put copies of the test plugins there: ``bad-<mode>…`` or ``quick-…``."""
        for name in names:
            self.write(name, _SOURCES[name.partition("-")[0]].read_bytes())

    def write(self, name: str, content: bytes | str, mode: int = 0o755) -> Path:
        """Put an executable there, at once as a whole; Python is started without its frills."""
        data = content.encode() if isinstance(content, str) else content
        if data.startswith(_PYTHON):
            data = f"#!{sys.executable} -SE\n".encode() + data.removeprefix(_PYTHON)
        draft = self.folder / f"{name}.draft"
        draft.write_bytes(data)
        draft.chmod(mode)
        return draft.rename(self.folder / f"{name}.binary")

    def remove(self, *names: str) -> None:
        """Take files away."""
        for name in names:
            (self.folder / f"{name}.binary").unlink()

    def all(self) -> dict[str, dict[str, Any]]:
        """Return what the list says, by file name without the suffix."""
        listed = self.hub.get("/api/plugins")
        return {plugin["file"].removesuffix(".binary"): plugin for plugin in listed}

    def view(self, plugin_id: str) -> dict[str, Any]:
        """Return what the hub says of one plugin; nothing when it does not know it."""
        answer = self.hub.http("GET", f"/api/plugins/{plugin_id}")
        return answer.json if answer.status == 200 else {}

    def wait(self, plugin_id: str, *states: str, timeout_s: float = 20.0) -> dict[str, Any]:
        """Return the plugin's view once it is in one of these states."""

        def reached() -> dict[str, Any] | None:
            found = self.view(plugin_id)
            return found if found.get("state") in states else None

        what = f"{plugin_id} {' or '.join(states)}"
        found: dict[str, Any] = wait_until(reached, timeout_s=timeout_s, what=what)
        return found

    def ready(self, *plugin_ids: str) -> None:
        """Wait until these plugins take requests."""
        for plugin_id in plugin_ids:
            self.wait(plugin_id, "ready")

    def start(self, *names: str) -> None:
        """Put plugins there, unless they are, and wait until they take requests."""
        self.put(*(name for name in names if not (self.folder / f"{name}.binary").exists()))
        self.ready(*(name.replace("+", "-").replace(".", "-") for name in names))

    def wish(self, plugin_id: str, wish: str) -> Answer:
        """Enable, disable or restart a plugin."""
        return self.hub.http("POST", f"/api/plugins/{plugin_id}/{wish}")

    def ask(self, plugin_id: str, path: str = "/ok", method: str = "GET", **options: Any) -> Answer:
        """Send a request to a plugin."""
        return self.hub.http(method, f"/api/plugins/{plugin_id}{path}", **options)

    def kv(self, plugin_id: str, action: str, key: str, value: str | None = None) -> Answer:
        """Do something with a plugin's keys, as a browser does."""
        body = {"action": action, "key": key, **({} if value is None else {"value": value})}
        return self.hub.http("POST", f"/api/plugins/{plugin_id}/kv", body)

    def events(self, plugin_id: str) -> list[dict[str, Any]]:
        """Return the plugin's events, the oldest first."""
        found: list[dict[str, Any]] = self.hub.get(f"/api/plugins/{plugin_id}/events?limit=1000")
        return found[::-1]

    def event_types(self, plugin_id: str) -> list[str]:
        """Return the kinds of the plugin's events, the oldest first."""
        return [event["event_type"] for event in self.events(plugin_id)]

    def has_lived(self, plugin_id: str, *event_types: str) -> None:
        """Wait until the plugin's events are these: each is stored a moment after it happened."""
        wait_until(
            lambda: self.event_types(plugin_id) == list(event_types),
            what=f"the life {event_types} of {plugin_id}",
        )

    def logs(self, plugin_id: str, level: str = "info") -> list[dict[str, Any]]:
        """Return the newest lines of the plugin's log, the newest first."""
        path = f"/api/plugins/{plugin_id}/logs?page_size=1000&level={level}"
        lines: list[dict[str, Any]] = self.hub.get(path)["logs"]
        return lines

    def supervisor_log(self) -> str:
        """Return the supervisor's log."""
        return (self.hub.folder / "logs" / "plugin-supervisor.log").read_text()


def processes_of(folder: Path) -> list[psutil.Process]:
    """Return the living processes that run a file of a plugins folder."""
    found = []
    for process in psutil.process_iter(["cmdline", "status"]):
        is_dead = process.info["status"] == psutil.STATUS_ZOMBIE
        if not is_dead and any(str(folder) in part for part in process.info["cmdline"] or ()):
            found.append(process)
    return found


def is_alive(pid: int) -> bool:
    """Return whether a process runs."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def at_once(calls: Iterable[Callable[[], Any]]) -> list[Any]:
    """Make all calls at the same time, each on a thread of its own, and return what they return."""
    from concurrent.futures import ThreadPoolExecutor

    every = list(calls)
    with ThreadPoolExecutor(len(every)) as pool:
        return [future.result() for future in [pool.submit(call) for call in every]]


def kill(pid: int) -> None:
    """Kill a process."""
    os.kill(pid, 9)


def say(text: str) -> None:
    """Print a figure, for those who run a test with ``-s``."""
    sys.stdout.write(f"{text}\n")
