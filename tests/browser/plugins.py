"""Plugins for the hub that a browser looks at.

Runs on: the test's thread.
"""

from __future__ import annotations

import functools
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.sdk import rust
from tests.support.hub import HubProcess, wait_until
from toru.cli.plugin_build import build_plugin

SOURCES = Path(__file__).resolve().parents[2] / "plugins"
TOLD = Path(__file__).with_name("told_plugin.py")
HELLO = "hello-plugin-python"
READY_S = 40.0
"""How long a plugin may take to get ready, on a machine that has other work."""


@functools.cache
def _built(name: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        if (SOURCES / name / "Cargo.toml").exists():
            rust.require_rust()
            return rust.build(Path("plugins") / name, Path(folder), patch).read_bytes()
        return build_plugin(SOURCES / name, Path(folder)).path.read_bytes()


def drop_in(hub: HubProcess, name: str, content: bytes) -> Path:
    """Put a file into the plugins folder, whole at once."""
    part = hub.plugins_dir / f".{name}"
    part.write_bytes(content)
    part.chmod(0o755)
    return part.rename(hub.plugins_dir / f"{name}.binary")


def drop_example(hub: HubProcess, name: str = HELLO) -> Path:
    """Build one of the example plugins, and put it into the plugins folder."""
    return drop_in(hub, name, _built(name))


def drop_source(hub: HubProcess, name: str) -> Path:
    """Build the plugin in the folder ``<name>_plugin`` of these tests, and put it there."""
    source = Path(__file__).with_name(f"{name}_plugin")
    with tempfile.TemporaryDirectory() as folder:
        return drop_in(hub, name, build_plugin(source, Path(folder)).path.read_bytes())


def drop_told(
    hub: HubProcess,
    plugin_id: str,
    *,
    bundle: str | None = None,
    lines: tuple[str, ...] = (),
    status: int = 200,
    **metadata: Any,
) -> Path:
    """Put a plugin into the folder that is what the arguments say."""
    told = {"id": plugin_id, "name": plugin_id, "version": "1.0.0", "route": f"/{plugin_id}"}
    text = json.dumps({"metadata": told | metadata, "lines": lines, "status": status})
    (hub.plugins_dir / f"{plugin_id}.json").write_text(text)
    if bundle is not None:
        write_bundle(hub, plugin_id, bundle)
    return drop_in(hub, plugin_id, TOLD.read_bytes())


def write_bundle(hub: HubProcess, plugin_id: str, bundle: str) -> None:
    """Write a plugin's bundle into the plugins folder."""
    folder = hub.plugins_dir / plugin_id
    folder.mkdir(exist_ok=True)
    part = folder / ".bundle.js"
    part.write_text(bundle)
    part.rename(folder / "bundle.js")


def plugin(hub: HubProcess, plugin_id: str) -> dict[str, Any]:
    """Return what the hub says of a plugin; an empty object when it has none."""
    answer = hub.http("GET", f"/api/plugins/{plugin_id}")
    found: dict[str, Any] = answer.json if answer.status == 200 else {}
    return found


def wait_ready(hub: HubProcess, plugin_id: str = HELLO) -> dict[str, Any]:
    """Wait until a plugin is ready."""

    def ready() -> dict[str, Any]:
        found = plugin(hub, plugin_id)
        return found if found.get("state") == "ready" else {}

    found: dict[str, Any] = wait_until(ready, timeout_s=READY_S, what=f"{plugin_id} to be ready")
    return found


def kill(hub: HubProcess, plugin_id: str = HELLO) -> None:
    """SIGKILL a plugin's process."""
    os.kill(plugin(hub, plugin_id)["pid"], 9)
