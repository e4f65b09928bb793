"""The plugins in ``plugins/``, with a world around them that a test has made.

Runs on: the test's thread.
"""

from __future__ import annotations

import contextlib
import functools
import http.client
import importlib.util
import json
import shlex
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from tests.support.hub import HubProcess
from tests.support.plugin_files import Plugins
from toru.cli.plugin_build import build_plugin

SOURCES = Path(__file__).resolve().parents[2] / "plugins"


@functools.cache
def built(name: str) -> bytes:
    """Return the built file of a plugin."""
    with tempfile.TemporaryDirectory() as folder:
        return build_plugin(SOURCES / name, Path(folder)).path.read_bytes()


def install(hub: HubProcess, name: str, **environment: str) -> Plugins:
    """Give a hub a plugin that runs with these variables; return once it takes requests."""
    plugins = Plugins(hub)
    program = hub.folder / name
    program.write_bytes(built(name))
    program.chmod(0o755)
    given = " ".join(f"{key}={shlex.quote(value)}" for key, value in environment.items())
    plugins.write(name, f'#!/bin/sh\nexec env {given} {shlex.quote(str(program))} "$@"\n')
    plugins.ready(name)
    return plugins


def load(name: str) -> ModuleType:
    """Import a plugin's module into the test, with what lies beside it."""
    folder = SOURCES / name
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(
        f"first_party_{folder.name}", folder / "plugin.py"
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Event(NamedTuple):
    """A server-sent event."""

    kind: str
    data: Any
    id: str | None


@contextlib.contextmanager
def events(hub: HubProcess, path: str, after: str | None = None) -> Iterator[Iterator[Event]]:
    """Open an event stream through the hub; at the end of the ``with`` the browser leaves."""
    headers = {"Cookie": hub.cookie} | ({"Last-Event-ID": after} if after else {})
    connection = http.client.HTTPConnection("127.0.0.1", hub.port, timeout=20)
    connection.request("GET", path, headers=headers)
    answer = connection.getresponse()
    try:
        assert answer.status == 200, answer.read()
        assert answer.headers["Content-Type"] == "text/event-stream"
        yield _events(answer)
    finally:
        answer.close()
        connection.close()


def _events(answer: http.client.HTTPResponse) -> Iterator[Event]:
    fields: dict[str, str] = {}
    while line := answer.readline():
        name, _, value = line.decode().rstrip("\n").partition(": ")
        if line != b"\n":
            fields[name] = value
        elif fields:
            if "event" in fields:
                yield Event(fields["event"], json.loads(fields["data"]), fields.get("id"))
            fields = {}
