"""What the engine says of containers, as the page shows it; never their environment or command.

Runs on: any thread that may wait.
"""

from __future__ import annotations

import re
import socket
from datetime import datetime, timezone
from typing import Any
from urllib.parse import quote

from .connection import Engine, TooSlow, ask

CONTAINER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,254}")
ACTIONS = ("start", "stop", "restart")
STOP_WAIT_S = 10
"""How long a container has to end by itself before the engine kills it."""
ACTION_TIMEOUT_S = 20.0
"""The hub waits 30 s for an answer; a slower change goes on, and the answer says so."""

_HEALTH = re.compile(r"\((?:health: )?(healthy|unhealthy|starting)\)")
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)")
_NEVER_YEAR = "0001-"


def list_containers(engine: Engine) -> list[dict[str, Any]]:
    """Return all containers, those that run first, then by name.

    Raises:
        EngineError: the engine did not say.
    """
    rows = ask(engine, "GET", "/containers/json", {"all": "true"}) or []
    found = [_listed(row) for row in rows]
    return sorted(found, key=lambda one: (one["state"] != "running", one["name"].lower()))


def read_container(engine: Engine, name: str) -> dict[str, Any]:
    """Return one container.

    Raises:
        EngineError: the engine does not know it, or did not say.
    """
    told = inspect(engine, name)
    state, config = told.get("State") or {}, told.get("Config") or {}
    host = told.get("HostConfig") or {}
    return {
        "id": str(told.get("Id", "")),
        "name": str(told.get("Name", "")).lstrip("/"),
        "image": str(config.get("Image") or told.get("ImageName") or ""),
        "state": str(state.get("Status", "")),
        "health": str((state.get("Health") or {}).get("Status") or ""),
        "exit_code": state.get("ExitCode"),
        "error": str(state.get("Error") or ""),
        "out_of_memory": bool(state.get("OOMKilled")),
        "started_s": seconds(state.get("StartedAt")),
        "finished_s": seconds(state.get("FinishedAt")),
        "created_s": seconds(told.get("Created")),
        "restarts": told.get("RestartCount") or 0,
        "restart_policy": str((host.get("RestartPolicy") or {}).get("Name") or ""),
        "ports": _bindings((told.get("NetworkSettings") or {}).get("Ports") or {}),
        "folders": [
            {
                "from": str(mount.get("Name") or mount.get("Source") or ""),
                "to": str(mount.get("Destination") or ""),
                "writable": bool(mount.get("RW")),
            }
            for mount in told.get("Mounts") or []
        ],
        "risk": "toru" if _is_own(str(told.get("Id", ""))) else None,
    }


def inspect(engine: Engine, name: str) -> dict[str, Any]:
    """Return all that the engine says of one container, secrets included.

    Raises:
        EngineError: the engine does not know it, or did not say.
    """
    told = ask(engine, "GET", f"/containers/{quote(name, safe='')}/json")
    return told if isinstance(told, dict) else {}


def change_container(engine: Engine, name: str, action: str) -> dict[str, Any]:
    """Start, stop or restart a container, then look at what became of it.

    Returns:
        ``container`` as it is now, and ``pending``: whether the change still goes on.

    Raises:
        EngineError: the engine refused.
    """
    query = None if action == "start" else {"t": str(STOP_WAIT_S)}
    pending = False
    try:
        path = f"/containers/{quote(name, safe='')}/{action}"
        ask(engine, "POST", path, query, ACTION_TIMEOUT_S)
    except TooSlow:
        pending = True
    return {"container": read_container(engine, name), "pending": pending}


def time_key(text: str | None) -> tuple[int, int] | None:
    """Return seconds since 1970 and nanoseconds of an engine's time; None when it is none."""
    found = _TIME.match(text or "")
    if found is None or found[0].startswith(_NEVER_YEAR):
        return None
    offset = "+00:00" if found[3] == "Z" else found[3]
    moment = datetime.fromisoformat(found[1] + offset)
    since = moment - datetime(1970, 1, 1, tzinfo=timezone.utc)  # noqa: UP017 - not in Python 3.9
    return round(since.total_seconds()), int((found[2] or "").ljust(9, "0"))


def seconds(text: str | None) -> float | None:
    """Return an engine's time as seconds since 1970."""
    key = time_key(text)
    return None if key is None else key[0] + round(key[1] / 1e9, 3)


def _listed(row: dict[str, Any]) -> dict[str, Any]:
    names = row.get("Names") or []
    labels = row.get("Labels") or {}
    status = str(row.get("Status") or "")
    health = _HEALTH.search(status)
    return {
        "id": str(row.get("Id", "")),
        "name": str(names[0]).lstrip("/") if names else str(row.get("Id", ""))[:12],
        "image": str(row.get("Image") or ""),
        "state": str(row.get("State") or ""),
        "status": status,
        "health": health[1] if health else "",
        "created_s": row.get("Created"),
        "ports": _ports(row.get("Ports") or []),
        "project": str(labels.get("com.docker.compose.project") or ""),
    }


def _ports(rows: list[dict[str, Any]]) -> list[str]:
    """Return ports in words; each once, though engines tell them for IPv4 and for IPv6."""
    texts = [
        _port(row.get("IP"), row.get("PublicPort"), f"{row.get('PrivatePort')}/{row.get('Type')}")
        for row in sorted(rows, key=lambda row: (row.get("PublicPort") or 0, str(row.get("IP"))))
    ]
    return list(dict.fromkeys(texts))


def _bindings(ports: dict[str, list[dict[str, str]] | None]) -> list[str]:
    texts = [
        _port(bound.get("HostIp"), bound.get("HostPort"), inner)
        for inner, bounds in sorted(ports.items())
        for bound in bounds or [{}]
    ]
    return list(dict.fromkeys(texts))


def _port(address: str | None, outer: Any, inner: str) -> str:
    if not outer:
        return inner
    everywhere = address in (None, "", "0.0.0.0", "::")  # noqa: S104 - compared, not bound
    host = "" if everywhere else f"[{address}]:" if ":" in str(address) else f"{address}:"
    return f"{host}{outer} → {inner}"


def _is_own(container_id: str) -> bool:
    """Return whether this process runs in that container: engines name the host after it."""
    host = socket.gethostname()
    return len(host) == 12 and container_id.startswith(host)
