"""How a table of an older Toru, made before versions were kept, becomes one of version 1.

Its rows are copied into a new table, because SQLite cannot change the type of a key in place:
ids of runs were numbers once, times had no zone, and most columns were not there. Columns that
Toru does not know are carried over as they are.

Runs on: the main thread, inside the migration's transaction.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import peewee

from toru.clock import format_time
from toru.storage.database import execute
from toru.storage.models import storable

Record = dict[str, Any]

EPOCH = format_time(0)
"""The time of what has none."""

_CHUNK_ROWS = 500
_TYPE_NAME = re.compile(r"[\w ,()]{0,60}")
_MILLISECONDS_FROM = 1e11  # numbers from here on cannot be seconds of this or the next millennium


def adopt_table(database: peewee.Database, name: str, body: str) -> None:
    """Replace the table ``name`` by one of the columns ``body`` and keep its rows.

    Raises:
        peewee.DatabaseError: a row does not fit.
    """
    columns = make_beside(database, name, body)
    _copy(database, name, f"new_{name}", columns)
    put_in_place(database, name)


def make_beside(database: peewee.Database, name: str, body: str) -> list[str]:
    """Make the table ``new_<name>`` and return the names of its columns.

    It has the columns ``body`` and, after them, those of the table ``name`` that Toru does not
    know.

    Raises:
        peewee.DatabaseError: the database cannot be written.
    """
    fresh = f"new_{name}"
    execute(database, f'CREATE TABLE "{fresh}" ({body})')
    known = [column.name for column in database.get_columns(fresh)]
    unknown = [column for column in database.get_columns(name) if column.name not in known]
    for column in unknown:
        kind = column.full_type or ""
        kind = kind if _TYPE_NAME.fullmatch(kind) else ""
        execute(database, f'ALTER TABLE "{fresh}" ADD COLUMN {_quoted(column.name)} {kind}')
    return [*known, *(column.name for column in unknown)]


def normalise_time(value: object) -> str | None:
    """Return a time of an older Toru as RFC 3339 UTC text; one without a zone is UTC.

    A text that is no time stays as it is.
    """
    if value is None or value == "":
        return None
    try:
        moment = _moment(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return str(value)
    return moment.isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _moment(value: object) -> datetime:
    if isinstance(value, datetime):
        return value
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value / 1000 if value >= _MILLISECONDS_FROM else value, UTC)
    return datetime.fromisoformat(str(value).strip().removesuffix(" UTC"))


def _copy(database: peewee.Database, name: str, fresh: str, columns: list[str]) -> None:
    listed = ", ".join(map(_quoted, columns))
    places = ", ".join([database.param] * len(columns))
    insert = f'INSERT INTO "{fresh}" ({listed}) VALUES ({places})'  # noqa: S608 - quoted names
    complete = _COMPLETE[name]
    for record in _records(database, name):
        if complete(database, record):
            execute(database, insert, [record.get(column) for column in columns])


def _records(database: peewee.Database, name: str) -> Iterator[Record]:
    cursor = execute(database, f'SELECT * FROM "{name}"')  # noqa: S608 - a name of Toru's
    names = [description[0] for description in cursor.description]
    while rows := cursor.fetchmany(_CHUNK_ROWS):
        for row in rows:
            record = dict(zip(names, map(_as_text, row), strict=True))
            for column in _TIMES & record.keys():
                record[column] = normalise_time(record[column])
            for column in _FLAGS & record.keys():
                record[column] = str(record[column]).lower() in {"1", "true", "t"}
            yield record


def _as_text(value: Any) -> Any:
    if isinstance(value, bytes | memoryview):
        value = bytes(value).decode("utf-8", "replace")
    return storable(value) if isinstance(value, str) else value


def put_in_place(database: peewee.Database, name: str) -> None:
    """Let ``new_<name>`` take the place of the table ``name``.

    Raises:
        peewee.DatabaseError: the database cannot be written.
    """
    if isinstance(database, peewee.SqliteDatabase):
        execute(database, f'DROP TABLE "{name}"')
    else:
        execute(database, f'DROP TABLE "{name}" CASCADE')
    execute(database, f'ALTER TABLE "new_{name}" RENAME TO "{name}"')
    serial = any(column.identity for column in database.get_columns(name))
    if serial and not isinstance(database, peewee.SqliteDatabase):
        execute(
            database,
            f"SELECT setval(pg_get_serial_sequence('{name}', 'id'), "  # noqa: S608 - Toru's name
            f'(SELECT coalesce(max("id"), 0) + 1 FROM "{name}"), false)',
        )


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _complete_setting(_: peewee.Database, record: Record) -> bool:
    record["value"] = str(_or(record.get("value"), ""))
    return True


def _complete_run(_: peewee.Database, record: Record) -> bool:
    output = record["output"] = str(_or(record.get("output"), ""))
    record["id"] = str(record["id"])
    record["state"] = _or(record.get("state"), _end_state(record.get("exit_code")))
    moment = _or(record.get("started_at"), _or(record.get("finished_at"), EPOCH))
    record["created_at"] = _or(record.get("created_at"), moment)
    record["username"] = _or(record.get("username"), "")
    record["trigger"] = _or(record.get("trigger"), "websocket")
    record["output_size"] = _or(record.get("output_size"), len(output.encode()))
    record["args"] = _or(record.get("args"), "{}")
    return True


def _end_state(exit_code: int | None) -> str:
    """Return how a run of an older Toru ended; nothing holds one that was still running."""
    if exit_code is None:
        return "interrupted"
    return "finished" if exit_code == 0 else "failed"


def _complete_quick_action(_: peewee.Database, record: Record) -> bool:
    record["display_order"] = _or(record.get("display_order"), _or(record.get("id"), 0))
    return True


def _complete_user(_: peewee.Database, record: Record) -> bool:
    record["display_name"] = _or(record.get("display_name"), record["username"])
    role = str(record.get("role")).lower()
    record["role"] = role if role in {"admin", "client"} else "client"
    record.setdefault("is_active", True)
    record["created_at"] = _or(record.get("created_at"), EPOCH)
    return True


def _complete_session(database: peewee.Database, record: Record) -> bool:
    """Complete a session; one without an end or whose user is gone must not live on."""
    record["display_name"] = _or(record.get("display_name"), record.get("username"))
    record["created_at"] = _or(record.get("created_at"), EPOCH)
    record["ip_address"] = _or(record.get("ip_address"), "")
    record["user_agent"] = _or(record.get("user_agent"), "")
    if record.get("expires_at") is None or record.get("username") is None:
        return False
    user_id = record.get("user_id")
    find = f'SELECT 1 FROM "users" WHERE "id" = {database.param}'  # noqa: S608 - a placeholder
    return user_id is None or bool(execute(database, find, (user_id,)).fetchall())


def _complete_attempt(_: peewee.Database, record: Record) -> bool:
    record["ip_address"] = _or(record.get("ip_address"), "")
    record["attempted_at"] = _or(record.get("attempted_at"), EPOCH)
    record.setdefault("success", False)
    return True


def _complete_plugin_value(_: peewee.Database, record: Record) -> bool:
    return record.get("plugin_id") is not None and record.get("key") is not None


def _complete_plugin_event(_: peewee.Database, record: Record) -> bool:
    record["timestamp"] = _or(record.get("timestamp"), EPOCH)
    return True


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


_TIMES = {"created_at", "started_at", "finished_at", "expires_at", "attempted_at", "timestamp"}
_FLAGS = {"is_active", "success"}
_COMPLETE: dict[str, Callable[[peewee.Database, Record], bool]] = {
    "settings": _complete_setting,
    "task_history": _complete_run,
    "quick_actions": _complete_quick_action,
    "users": _complete_user,
    "sessions": _complete_session,
    "login_attempts": _complete_attempt,
    "plugin_kv": _complete_plugin_value,
    "plugin_events": _complete_plugin_event,
}
