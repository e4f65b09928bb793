"""The questions that `DbReader` answers: one function per message.

Every answer is read to its end at once: a statement that is left half read would hold an old
view of the database, and later questions would miss what has been written since.

Runs on: the threads of `DbReader`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

import peewee
from peewee import Value, fn

from toru.actors.messages import plugin_storage
from toru.actors.messages import storage as messages
from toru.actors.messages.machine_history import ReadMachineHistory
from toru.actors.messages.plugin_settings import LoadPluginSettings
from toru.actors.runtime import Message
from toru.clock import format_time
from toru.errors import BadRequest
from toru.storage import machine_history, models, plugin_events, plugin_kv, plugin_settings
from toru.storage.models import (
    LOGIN_ATTEMPT_COLUMNS,
    QUICK_ACTION_COLUMNS,
    RUN_COLUMNS,
    SESSION_COLUMNS,
    USER_COLUMNS,
    columns,
    login_attempts,
    quick_actions,
    sessions,
    settings,
    storable,
    task_history,
    users,
)

T = TypeVar("T")

_RUN = columns(task_history, RUN_COLUMNS)
_RUN_WITHOUT_OUTPUT = [
    Value("") if name == "output" else column
    for name, column in zip(RUN_COLUMNS, _RUN, strict=True)
]
_ALL_ROWS = 2**62
_MOST_NAMES = 1000
_USER = columns(users, USER_COLUMNS)
_CREDENTIALS = [*_USER, users.c.password_hash]


def answer(database: peewee.Database, message: Message[Any]) -> Any:
    """Answer one question.

    Raises:
        BadRequest: the question has a value that no row can have.
        peewee.DatabaseError: the database cannot be read.
    """
    match message:
        case messages.ListRuns():
            return list_runs(database, message)
        case messages.GetRun():
            return _one(database, _runs(_RUN).where(task_history.c.id == message.id), models.to_run)
        case messages.ListOpenRuns():
            return list_open_runs(database)
        case messages.ListRunNames():
            return list_run_names(database, message)
        case messages.ListRunsToRetire():
            return list_runs_to_retire(database, message)
        case messages.GetSettings():
            return dict(_rows(database, settings.select(settings.c.key, settings.c.value)))
        case messages.ListSessions():
            return list_sessions(database, message.now)
        case messages.ListQuickActions():
            order = (quick_actions.c.display_order, quick_actions.c.id)
            return _all(database, _quick_actions().order_by(*order), models.to_quick_action)
        case messages.ListUsers():
            query = users.select(*_USER).order_by(users.c.username)
            return _all(database, query, models.to_user)
        case messages.GetUser():
            query = users.select(*_USER).where(users.c.id == message.id)
            return _one(database, query, models.to_user)
        case messages.GetCredentials():
            query = users.select(*_CREDENTIALS).where(users.c.username == message.username)
            return _one(database, query, models.to_credentials)
        case messages.GetCredentialsById():
            query = users.select(*_CREDENTIALS).where(users.c.id == message.id)
            return _one(database, query, models.to_credentials)
        case messages.ListLoginAttempts():
            return list_login_attempts(database, message)
        case messages.CountLoginAttempts():
            return count_login_attempts(database, message.since)
        case plugin_storage.KvGet():
            return plugin_kv.get(database, message, time.time())
        case plugin_storage.KvList():
            return plugin_kv.list_page(database, message, time.time())
        case plugin_storage.ListPluginEvents():
            return plugin_events.newest(database, message)
        case LoadPluginSettings():
            return plugin_settings.load(database, message)
        case ReadMachineHistory():
            return machine_history.read(database, message)
        case _:
            raise NotImplementedError(f"DbReader does not know {type(message).__name__}.")


def list_runs(database: peewee.Database, message: messages.ListRuns) -> list[messages.Run]:
    """Return one page of the history, the newest first.

    Raises:
        BadRequest: ``before`` is no id of a run.
    """
    runs = task_history.c
    query = _runs(_RUN if message.with_output else _RUN_WITHOUT_OUTPUT)
    for condition in _conditions(message):
        query = query.where(condition)
    if message.before is not None:
        edge = (_created_at(database, message.before), message.before)
        query = query.where(peewee.Tuple(runs.created_at, runs.id) < peewee.Tuple(*edge))
    query = query.order_by(runs.created_at.desc(), runs.id.desc()).limit(max(0, message.limit))
    return _all(database, query, models.to_run)


def list_open_runs(database: peewee.Database) -> list[messages.Run]:
    """Return the runs that are queued or running, the oldest first."""
    runs = task_history.c
    query = _runs(_RUN).where(runs.state.in_(["queued", "running"]))
    return _all(database, query.order_by(runs.created_at, runs.id), models.to_run)


def list_run_names(database: peewee.Database, message: messages.ListRunNames) -> messages.RunNames:
    """Return the names of scripts and users in the history, each once."""
    runs = task_history.c

    def distinct(column: Any) -> list[str]:
        query = task_history.select(column).distinct().order_by(column).limit(_MOST_NAMES)
        if message.own_only:
            query = query.where(_is_of(message.user_id))
        return [str(row[0]) for row in _rows(database, query)]

    return messages.RunNames(distinct(runs.script_name), distinct(runs.username))


def list_runs_to_retire(database: peewee.Database, message: messages.ListRunsToRetire) -> list[str]:
    """Return the ids of ended runs that are too old, or too many."""
    runs = task_history.c
    ended = task_history.select(runs.id).where(runs.state.not_in(["queued", "running"]))
    found: set[str] = set()
    if message.before is not None:
        found.update(
            row[0] for row in _rows(database, ended.where(runs.finished_at < message.before))
        )
    if message.keep is not None:
        newest_first = ended.order_by(runs.created_at.desc(), runs.id.desc())
        # SQLite has no OFFSET without LIMIT.
        too_many = newest_first.limit(_ALL_ROWS).offset(message.keep)
        found.update(row[0] for row in _rows(database, too_many))
    return sorted(found)


def list_sessions(database: peewee.Database, now: str) -> list[messages.SessionRow]:
    """Return the sessions that expire after ``now``, the oldest first."""
    query = sessions.select(*columns(sessions, SESSION_COLUMNS))
    query = query.where(sessions.c.expires_at > now).order_by(sessions.c.created_at, sessions.c.id)
    return _all(database, query, models.to_session)


def list_login_attempts(
    database: peewee.Database, message: messages.ListLoginAttempts
) -> list[messages.LoginAttempt]:
    """Return attempts to log in, the newest first."""
    attempts = login_attempts.c
    query = login_attempts.select(*columns(login_attempts, LOGIN_ATTEMPT_COLUMNS))
    if message.since is not None:
        query = query.where(attempts.attempted_at > message.since)
    if message.failed_only:
        query = query.where(attempts.success == False)  # noqa: E712 - a condition in SQL
    query = query.order_by(attempts.attempted_at.desc(), attempts.id.desc())
    return _all(database, query.limit(max(0, message.limit)), models.to_login_attempt)


def count_login_attempts(database: peewee.Database, since: str) -> messages.LoginCounts:
    """Return how the attempts after ``since`` have ended."""
    attempts = login_attempts.c
    recent = login_attempts.select().where(attempts.attempted_at > since)
    ends = (attempts.success, attempts.failure_reason)
    counted = recent.select(*ends, fn.COUNT(attempts.id)).group_by(*ends)
    counts = {"successes": 0, "failures": 0, "locked": 0}
    for success, reason, count in _rows(database, counted):
        kind = "successes" if success else "failures"
        if reason == messages.LOCKED:
            kind = "locked"
        counts[kind] += count
    refused = recent.where(attempts.success == False)  # noqa: E712 - a condition in SQL
    distinct = refused.select(fn.COUNT(attempts.ip_address.distinct()))
    return messages.LoginCounts(**counts, addresses=int(_rows(database, distinct)[0][0]))


def _conditions(message: messages.ListRuns) -> list[Any]:
    runs = task_history.c
    conditions = []
    if message.own_only or message.user_id is not None:
        conditions.append(_is_of(message.user_id))
    if message.state is not None:
        conditions.append(runs.state == message.state)
    if message.script is not None:
        conditions.append(runs.script_name == message.script)
    if message.username is not None:
        conditions.append(runs.username == message.username)
    if message.query:
        text = storable(message.query)
        conditions.append(runs.script_name.contains(text) | runs.output.contains(text))
    if message.after is not None:
        conditions.append(runs.created_at >= message.after)
    if message.until is not None:
        conditions.append(runs.created_at < message.until)
    return conditions


def _is_of(user_id: int | None) -> Any:
    """Return the condition that a run is of this user; None is the admin."""
    column = task_history.c.user_id
    return column.is_null() if user_id is None else column == user_id


def _created_at(database: peewee.Database, run_id: str) -> str:
    """Return when a run was asked for; of one that is gone, its id tells."""
    query = task_history.select(task_history.c.created_at).where(task_history.c.id == run_id)
    for row in _rows(database, query):
        return str(row[0])
    try:
        made = uuid.UUID(run_id)
        if made.version == 7:
            return format_time((made.int >> 80) / 1000)
    except (ValueError, OverflowError, OSError):
        pass
    raise BadRequest("There is no run with the id that the page is to begin before.")


def _runs(chosen: list[Any]) -> peewee.Select:
    return task_history.select(*chosen)


def _quick_actions() -> peewee.Select:
    return quick_actions.select(*columns(quick_actions, QUICK_ACTION_COLUMNS))


def _all(
    database: peewee.Database, query: peewee.Select, convert: Callable[[models.Row], T]
) -> list[T]:
    return [convert(row) for row in _rows(database, query)]


def _one(
    database: peewee.Database, query: peewee.Select, convert: Callable[[models.Row], T]
) -> T | None:
    for row in _rows(database, query):
        return convert(row)
    return None


def _rows(database: peewee.Database, query: peewee.Select) -> list[models.Row]:
    return list(query.tuples().execute(database))
