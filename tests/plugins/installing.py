"""Versions of plugins to install, and what is needed to install them while requests pour in.

Runs on: the test's thread, and threads of its own that end with the block.
"""

from __future__ import annotations

import http.client
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import tests.support.streaming_plugin
from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import QUICK, Plugins
from toru.storage.plugin_versions import PluginVersions

STREAMING = Path(tests.support.streaming_plugin.__file__).read_text()
_ID = 'ID = Path(sys.argv[0]).name.removesuffix(".binary")'
_SERVE = '    """Serve all connections."""\n'


def quick(plugin_id: str, version: str, *, serve: str = "", about: str = "") -> str:
    """Return a quick plugin whose answers say its version; an id with v2 at its end speaks 2.

    Args:
        plugin_id: its id.
        version: its version.
        serve: statements that come first when it is started.
        about: what to write in place of its id and the rest of its metadata.
    """
    text = QUICK.replace(_ID, f'ID = "{plugin_id}"').replace('"1.0.0"', f'"{version}"')
    text = text.replace('\'{"hello":"world"}\'', f'\'{{"version":"{version}"}}\'')
    lines = "".join(f"    {line}\n" for line in serve.splitlines())
    text = text.replace(_SERVE, _SERVE + lines)
    return text.replace('{"id": ID, "name"', f'{{{about}"name"') if about else text


def waiting(flag: Path, then: str = "pass") -> str:
    """Return statements that wait until there is a file, and do something then."""
    return f"import time\nwhile not os.path.exists({str(flag)!r}): time.sleep(0.01)\n{then}"


def streaming(version: str) -> str:
    """Return the streaming plugin, which says its version under every path it does not know."""
    text = STREAMING.replace('"version": "1"', f'"version": "{version}"')
    return text.replace('{"error": "nothing"}, 404', f'{{"version": "{version}"}}')


def executable(path: Path, text: str) -> Path:
    """Write an executable; Python is started without its frills."""
    path.write_text(text.replace("#!/usr/bin/env python3\n", f"#!{sys.executable} -SE\n", 1))
    path.chmod(0o755)
    return path


def offer(hub: HubProcess, text: str) -> str:
    """Offer a version in the plugins folder and return its checksum."""
    path = executable(hub.folder / "offered", text)
    return PluginVersions(hub.plugins_dir).stage(path)


def begin(hub: HubProcess, **wish: str) -> str:
    """Begin an install and return its name."""
    answer = hub.http("POST", "/api/plugin-installs", wish)
    assert answer.status == 200, answer
    return str(answer.json["id"])


def ended(hub: HubProcess, install_id: str, timeout_s: float = 60.0) -> dict[str, Any]:
    """Return the state of an install once it is over."""

    def over() -> dict[str, Any] | None:
        state: dict[str, Any] = hub.get(f"/api/plugin-installs/{install_id}")
        return state if state["state"] != "running" else None

    state: dict[str, Any] = wait_until(over, timeout_s=timeout_s, what="the end of the install")
    return state


def install(hub: HubProcess, text: str) -> dict[str, Any]:
    """Install a version and return how that has ended."""
    return ended(hub, begin(hub, sha256=offer(hub, text)))


def roll_back(hub: HubProcess, plugin_id: str) -> dict[str, Any]:
    """Roll a plugin back and return how that has ended."""
    return ended(hub, begin(hub, rollback=plugin_id))


class Load:
    """Threads that ask one plugin as fast as they can, each on a connection of its own.

    Attributes:
        seen: how often each version has answered.
        failures: every answer that was none of a version, and every connection that broke.
    """

    def __init__(self, plugins: Plugins, plugin_id: str, largest: int = 600_000) -> None:
        self.seen: Counter[str] = Counter()
        self.failures: list[Any] = []
        self._hub = plugins.hub
        self._path = f"/api/plugins/route/{plugin_id}/version"
        self._over = threading.Event()
        bodies = (None, None, b"{}", b"x" * 40_000, b"x" * largest)
        self._threads = [threading.Thread(target=self._ask, args=(body,)) for body in bodies]

    def _ask(self, body: bytes | None) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._hub.port, timeout=60)
        method = "GET" if body is None else "POST"
        headers = {"Cookie": self._hub.cookie}
        try:
            while not self._over.is_set():
                connection.request(method, self._path, body, headers)
                response = connection.getresponse()
                data = response.read()
                if response.status == 200:
                    self.seen[data.decode()] += 1
                else:
                    self.failures.append((method, len(body or b""), response.status, data))
        except (OSError, http.client.HTTPException) as error:
            self.failures.append((method, len(body or b""), repr(error)))
        finally:
            connection.close()

    def answers(self, version: str) -> int:
        """Return how often a version has answered."""
        return sum(count for text, count in self.seen.items() if f'"{version}"' in text)

    def more(self, version: str, count: int = 20) -> None:
        """Wait until a version has answered so many times more."""
        wanted = self.answers(version) + count
        wait_until(
            lambda: self.failures or self.answers(version) >= wanted,
            timeout_s=30,
            what=f"answers of {version}",
        )
        assert not self.failures, self.failures[:5]

    @contextmanager
    def poured(self) -> Iterator[Load]:
        """Ask until the end of the block; there not one request has failed."""
        for thread in self._threads:
            thread.start()
        try:
            yield self
        finally:
            self._over.set()
            for thread in self._threads:
                thread.join()
        assert not self.failures, self.failures[:5]
