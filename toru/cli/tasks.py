"""``toru tasks``: the newest runs as a table for people or JSON for programs.

Runs on: the main thread.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from toru import clock
from toru.cli.client import client_from_environment
from toru.log import visible

_COLOURS = {
    "running": "cyan",
    "queued": "blue",
    "finished": "green",
    "failed": "red",
    "cancelled": "yellow",
    "interrupted": "magenta",
}
_COLUMNS = ["State", "Script", "Started", "Took", "Code", "By", "Id"]
# Wide enough for every column where no terminal sets a limit.
_FILE_WIDTH = 240


def show_tasks(
    state: str | None, limit: int, *, as_json: bool, url: str | None, username: str | None
) -> int:
    """Print the newest runs and return the exit code.

    Args:
        state: only runs in this state.
        limit: how many at most.
        as_json: whether to print the hub's JSON instead of a table.
        url: the hub's address, or None for the one of the environment.
        username: who to log in as, or None for the one of the environment.

    Raises:
        CommandError: the hub cannot be reached or refuses.
    """
    rows = asyncio.run(_fetch(state, limit, url, username))
    if as_json:
        sys.stdout.write(json.dumps(rows, indent=2) + "\n")
    else:
        _print_table(rows)
    return 0


async def _fetch(
    state: str | None, limit: int, url: str | None, username: str | None
) -> list[dict[str, Any]]:
    query = {"limit": str(limit)} | ({"state": state} if state else {})
    answer = await client_from_environment(url, username).get(f"history?{urlencode(query)}")
    return [row for row in answer if isinstance(row, dict)] if isinstance(answer, list) else []


def _print_table(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        sys.stderr.write("toru: there are no such runs.\n")
        return
    table = Table(*_COLUMNS, box=None, pad_edge=False, header_style="bold")
    for column in table.columns:
        column.no_wrap = column.header == "Id"
    for row in rows:
        colour = _COLOURS.get(str(row.get("state")), "")
        table.add_row(Text(_text(row, "state"), colour), *map(Text, _cells(row)))
    Console(width=None if sys.stdout.isatty() else _FILE_WIDTH).print(table)


def _cells(row: dict[str, Any]) -> list[str]:
    started = row.get("started_at")
    return [
        _text(row, "script_name"),
        _local_time(started),
        _duration(started, row.get("finished_at")),
        _text(row, "exit_code"),
        _text(row, "username"),
        _text(row, "id"),
    ]


def _text(row: dict[str, Any], field: str) -> str:
    value = row.get(field)
    return "" if value is None else visible(str(value))


def _seconds(moment: object) -> float | None:
    try:
        return clock.parse_time(str(moment))
    except ValueError:
        return None


def _local_time(moment: object) -> str:
    seconds = _seconds(moment)
    return "" if seconds is None else f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"


def _duration(begin: object, end: object) -> str:
    first = _seconds(begin)
    if first is None:
        return ""
    last = _seconds(end if end is not None else clock.utc_now())
    seconds = max(0.0, (first if last is None else last) - first)
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    return (
        f"{minutes} min {rest:02d} s"
        if minutes < 60
        else f"{minutes // 60} h {minutes % 60:02d} min"
    )
