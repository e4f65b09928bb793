"""What systemctl says of services, as the page shows it.

Runs on: the loop.
"""

from __future__ import annotations

import json
import re
import time
from typing import Any

from .commands import NoSuchUnit, SystemdError, TooSlow, own_unit, systemctl

# A backslash is how systemd escapes names: dev-disk-by\x2duuid.
UNIT_NAME = re.compile(r"(?!-)[A-Za-z0-9:_.\\@-]{1,247}\.service")
ACTIONS = ("start", "stop", "restart")
ACTION_TIMEOUT_S = 20.0
"""The hub waits 30 s for an answer; a slower change goes on, and the answer says so."""

_LISTED = (
    *("Id", "UnitFileState", "ActiveState"),
    *("ActiveEnterTimestampMonotonic", "ActiveExitTimestampMonotonic"),
    *("InactiveEnterTimestampMonotonic", "InactiveExitTimestampMonotonic"),
)
_SHOWN = (
    *_LISTED,
    *("Description", "LoadState", "SubState", "Result", "ExecMainStatus", "MainPID"),
    *("MemoryCurrent", "NRestarts", "FragmentPath", "CanStart", "CanStop"),
)
_ENTERED = {
    "active": "ActiveEnter",
    "reloading": "ActiveEnter",
    "activating": "InactiveExit",
    "deactivating": "ActiveExit",
    "inactive": "InactiveEnter",
    "failed": "InactiveEnter",
}
_NEEDED = re.compile(
    r"(ssh|sshd|dropbear|NetworkManager|networking|systemd-networkd|systemd-resolved|dhcpcd|"
    r"wpa_supplicant|iwd|connman|openvpn|wg-quick|tailscaled|cloudflared|nginx|caddy|apache2|"
    r"haproxy|traefik|dbus|dbus-broker)(@.*)?\.service"
)


async def list_units(scope: str) -> list[dict[str, Any]]:
    """Return every service that runs, is loaded or has a unit file, by name.

    Raises:
        SystemdError: systemctl did not say.
    """
    text = await systemctl(scope, "list-units", "--type=service", "--all", *_AS_JSON)
    units = {unit["name"]: unit for unit in parse_units(text) if not _is_mere_name(unit)}
    text = await systemctl(scope, "list-unit-files", "--type=service", *_AS_JSON)
    for name, state in parse_unit_files(text).items():
        if name in units:
            units[name]["boot"] = state
        elif not _is_template(name) and state != "alias":
            units[name] = {**_absent(name), "boot": state}
    await _add_times(scope, units)
    return [units[name] for name in sorted(units, key=str.lower)]


async def read_unit(scope: str, name: str) -> dict[str, Any]:
    """Return one service.

    Raises:
        NoSuchUnit: there is none of this name.
        SystemdError: systemctl did not say.
    """
    text = await systemctl(scope, "show", f"--property={','.join(_SHOWN)}", "--", name)
    blocks = parse_properties(text)
    if not blocks or blocks[0].get("LoadState") == "not-found":
        raise NoSuchUnit(f"There is no service {name} on this machine.")
    shown = blocks[0]
    return {
        "name": name,
        "description": shown.get("Description", ""),
        "load": shown.get("LoadState", ""),
        "active": shown.get("ActiveState", ""),
        "sub": shown.get("SubState", ""),
        "boot": shown.get("UnitFileState", ""),
        "since_s": entered_s(shown),
        "result": shown.get("Result", ""),
        "exit_status": _number(shown.get("ExecMainStatus")),
        "pid": _number(shown.get("MainPID")) or None,
        "memory_bytes": _number(shown.get("MemoryCurrent")),
        "restarts": _number(shown.get("NRestarts")),
        "file": shown.get("FragmentPath", ""),
        "can_start": shown.get("CanStart") != "no",
        "can_stop": shown.get("CanStop") != "no",
        "risk": risk_of(name),
    }


async def change_unit(scope: str, name: str, action: str) -> dict[str, Any]:
    """Start, stop or restart a service, then look at what became of it.

    Returns:
        ``unit`` as it is now, and ``pending``: whether the change still goes on.

    Raises:
        SystemdError: it was refused, or failed.
    """
    pending = False
    try:
        await systemctl(scope, action, "--", name, timeout_s=ACTION_TIMEOUT_S)
    except TooSlow:
        pending = True
    unit = await read_unit(scope, name)
    if not pending and action != "stop" and unit["active"] == "failed":
        raise SystemdError(f"{name} has failed right after its start ({unit['result']}).")
    if not pending and action == "stop" and unit["active"] == "active":
        raise SystemdError(f"{name} runs again: something has started it at once.")
    return {"unit": unit, "pending": pending}


def risk_of(name: str) -> str | None:
    """Return what stopping a service may cost: ``toru``, ``connection``, or nothing special."""
    if name == own_unit():
        return "toru"
    return "connection" if _NEEDED.fullmatch(name) else None


# What is printed. Versions before 246 take --output=json for the list and print plain text.

_AS_JSON = ("--output=json", "--plain", "--no-legend", "--full")


def parse_units(text: str) -> list[dict[str, Any]]:
    """Return what ``list-units`` prints, as JSON or as columns."""
    if text.lstrip().startswith("["):
        rows = [
            [str(row.get(field) or "") for field in ("unit", "load", "active", "sub")]
            + [str(row.get("description") or "")]
            for row in json.loads(text)
        ]
    else:
        rows = [_columns(line, 5) for line in text.splitlines()]
    return [
        {
            **_absent(name),
            "load": load,
            "active": active,
            "sub": sub,
            "description": description,
        }
        for name, load, active, sub, description in rows
        if name.endswith(".service")
    ]


def parse_unit_files(text: str) -> dict[str, str]:
    """Return what ``list-unit-files`` prints: the state of each unit file at boot."""
    if text.lstrip().startswith("["):
        rows = [[str(row["unit_file"]), str(row.get("state") or "")] for row in json.loads(text)]
    else:
        rows = [_columns(line, 3)[:2] for line in text.splitlines()]
    return {name: state for name, state in rows if name.endswith(".service")}


def parse_properties(text: str) -> list[dict[str, str]]:
    """Return what ``show`` prints: a block of properties for each service."""
    blocks = []
    for block in text.strip().split("\n\n"):
        pairs = (line.partition("=") for line in block.splitlines() if "=" in line)
        blocks.append({name: value for name, _, value in pairs})
    return [block for block in blocks if block]


def entered_s(shown: dict[str, str]) -> float | None:
    """Return since when a service is in its state, in seconds since 1970.

    systemd's times are in words of the machine's zone; those of the monotonic clock, which is
    this process's own, are plain microseconds.
    """
    name = _ENTERED.get(shown.get("ActiveState", ""))
    entered_us = _number(shown.get(f"{name}TimestampMonotonic"))
    if not entered_us:
        return None
    return round(time.time() - (time.monotonic() - entered_us / 1e6), 3)


async def _add_times(scope: str, units: dict[str, dict[str, Any]]) -> None:
    """Add since when each loaded service is in its state; those not loaded were never in one."""
    names = [name for name, unit in units.items() if unit["load"] == "loaded"]
    if not names:
        return
    text = await systemctl(scope, "show", f"--property={','.join(_LISTED)}", "--", *names)
    for shown in parse_properties(text):
        unit = units.get(shown.get("Id", ""))
        if unit is not None:
            unit["since_s"] = entered_s(shown)
            unit["boot"] = unit["boot"] or shown.get("UnitFileState", "")


def _absent(name: str) -> dict[str, Any]:
    unit = {"name": name, "description": "", "load": "", "active": "inactive", "sub": "dead"}
    return {**unit, "boot": "", "since_s": None}


def _columns(line: str, count: int) -> list[str]:
    """Return the columns of a line, without the dot before what is wrong."""
    found = line.strip().lstrip("\u25cf\u25cb\u00d7\u21bb* ").split(None, count - 1)
    return found + [""] * (count - len(found))


def _is_mere_name(unit: dict[str, Any]) -> bool:
    """Return whether others only mention the service, and it is not installed."""
    return bool(unit["load"] == "not-found" and unit["active"] == "inactive")


def _is_template(name: str) -> bool:
    return name.endswith("@.service")


def _number(text: str | None) -> int | None:
    """Return a number; None for what systemd has instead, such as ``[not set]``."""
    if text is None or not text.isdecimal():
        return None
    value = int(text)
    return None if value >= 2**63 else value
