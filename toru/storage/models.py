"""The tables, as peewee's query builder and the typed rows see them.

The tables are bound to no database: each query is executed on the connection of the actor that
asks, so that several hubs and threads share nothing. Columns are made by `migrations`.

Runs on: any thread; constants and pure functions only.
"""

from __future__ import annotations

from typing import Any

import msgspec
from peewee import Table

from toru.actors.messages.storage import (
    Credentials,
    LoginAttempt,
    QuickAction,
    Run,
    SessionRow,
    User,
)

Row = tuple[Any, ...]

RUN_COLUMNS = Run.__struct_fields__
QUICK_ACTION_COLUMNS = QuickAction.__struct_fields__
USER_COLUMNS = User.__struct_fields__
SESSION_COLUMNS = SessionRow.__struct_fields__
LOGIN_ATTEMPT_COLUMNS = LoginAttempt.__struct_fields__

settings = Table("settings")
task_history = Table("task_history")
quick_actions = Table("quick_actions")
users = Table("users")
sessions = Table("sessions")
login_attempts = Table("login_attempts")

_ARGS = RUN_COLUMNS.index("args")
_OUTPUT = RUN_COLUMNS.index("output")
_ARGS_DECODER = msgspec.json.Decoder(dict[str, str])


def columns(table: Table, names: tuple[str, ...]) -> list[Any]:
    """Return the columns of those names, for a query."""
    return [getattr(table.c, name) for name in names]


def storable(text: str) -> str:
    """Return ``text`` as both databases can keep it and find it again.

    PostgreSQL keeps no NUL, SQLite's LIKE ends at one, and neither takes a lone surrogate.
    """
    if "\0" in text:
        text = text.replace("\0", "\N{REPLACEMENT CHARACTER}")
    if text.isascii():
        return text
    return text.encode("utf-8", "replace").decode("utf-8")


def run_values(run: Run) -> list[Any]:
    """Return a run as the values of `RUN_COLUMNS`."""
    values: list[Any] = [getattr(run, column) for column in RUN_COLUMNS]
    values[_ARGS] = msgspec.json.encode(run.args).decode()
    values[_OUTPUT] = storable(run.output)
    return values


def to_run(row: Row) -> Run:
    """Return a row of `RUN_COLUMNS` as a run."""
    values = list(row)
    args = values[_ARGS]
    values[_ARGS] = {} if args in ("", "{}") else _ARGS_DECODER.decode(args)
    return Run(*values)


def to_quick_action(row: Row) -> QuickAction:
    """Return a row of `QUICK_ACTION_COLUMNS` as a quick action."""
    action_id, name, script_path, icon, display_order, confirm = row
    return QuickAction(action_id, name, script_path, icon, display_order, bool(confirm))


def to_user(row: Row) -> User:
    """Return a row of `USER_COLUMNS` as a user."""
    user_id, username, display_name, role, is_active, created_at = row
    return User(user_id, username, display_name, role, bool(is_active), created_at)


def to_credentials(row: Row) -> Credentials:
    """Return a row of `USER_COLUMNS` and the hash as credentials."""
    return Credentials(to_user(row[:-1]), row[-1])


def to_session(row: Row) -> SessionRow:
    """Return a row of `SESSION_COLUMNS` as a session."""
    return SessionRow(*row)


def to_login_attempt(row: Row) -> LoginAttempt:
    """Return a row of `LOGIN_ATTEMPT_COLUMNS` as an attempt."""
    attempt_id, username, ip_address, success, failure_reason, attempted_at = row
    return LoginAttempt(
        attempt_id, username, ip_address, bool(success), failure_reason, attempted_at
    )
