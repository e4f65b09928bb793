"""The changes that `DbWriter` makes: one function per message, inside the batch's transaction.

What is written often is SQL text made once; peewee's ``create()`` costs several times as much as
the statement itself (``bench/db_writer.py``). The rest is peewee's query builder.

Runs on: the thread of `DbWriter`.
"""

from __future__ import annotations

from typing import Any

import msgspec
import peewee
from peewee import fn

from toru.actors.messages import plugin_storage
from toru.actors.messages import storage as messages
from toru.actors.messages.machine_history import SaveMachineHistory
from toru.actors.messages.plugin_settings import SavePluginSettings
from toru.actors.runtime import Message
from toru.errors import BadRequest, Conflict, NotFound
from toru.storage import machine_history, models, plugin_events, plugin_settings
from toru.storage.database import UNSTORABLE, execute, is_sqlite
from toru.storage.models import (
    LOGIN_ATTEMPT_COLUMNS,
    QUICK_ACTION_COLUMNS,
    RUN_COLUMNS,
    SESSION_COLUMNS,
    USER_COLUMNS,
    columns,
    quick_actions,
    sessions,
    settings,
    storable,
    users,
)
from toru.storage.plugin_kv import PluginKv

# A statement that fails undoes itself in SQLite, so only what takes several needs a savepoint.
_SEVERAL_STATEMENTS = (
    messages.DeleteUser,
    messages.PurgeOld,
    SaveMachineHistory,
    plugin_storage.KvSet,
    plugin_storage.KvDelete,
    plugin_storage.KvBatch,
)


class Changes:
    """The statements of one connection; each method is one durable change."""

    def __init__(self, database: peewee.Database) -> None:
        self._database = database
        self._sqlite = is_sqlite(database)
        self._plugin_kv = PluginKv(database)
        self._insert_run = self._insert("task_history", RUN_COLUMNS) + " ON CONFLICT DO NOTHING"
        self._start_run = self._sql(
            'UPDATE "task_history" SET "state" = ?, "started_at" = ? WHERE "id" = ? AND "state" = ?'
        )
        self._finish_run = self._sql(
            'UPDATE "task_history" SET "state" = ?, "finished_at" = ?, "exit_code" = ?, '
            '"output" = ?, "output_size" = ?, "cpu_s" = ?, "max_rss_bytes" = ?, "detail" = ? '
            """WHERE "id" = ? AND "state" IN ('queued', 'running')"""
        )
        self._insert_attempt = self._insert("login_attempts", LOGIN_ATTEMPT_COLUMNS[1:])
        self._insert_session = self._insert("sessions", SESSION_COLUMNS)

    def apply(self, message: Message[Any]) -> Any:
        """Make one change and return its answer; a change that fails leaves nothing behind.

        Raises:
            ToruError: what was asked cannot be; the other changes of the transaction stay.
            peewee.DatabaseError: the transaction cannot go on.
        """
        if self._sqlite and not isinstance(message, _SEVERAL_STATEMENTS):
            return self._apply(message)
        with self._database.savepoint():
            return self._apply(message)

    def _apply(self, message: Message[Any]) -> Any:
        try:
            return self._dispatch(message)
        except (peewee.DataError, UnicodeError, OverflowError) as error:
            raise BadRequest(UNSTORABLE) from error
        except peewee.IntegrityError as error:
            raise Conflict("The request collides with what is stored.") from error

    def _dispatch(self, message: Message[Any]) -> Any:
        match message:
            case messages.InsertRun():
                return self._add_run(message.run)
            case messages.MarkRunStarted():
                return self._mark_run_started(message)
            case messages.FinishRun():
                return self._end_run(message)
            case messages.DeleteRun():
                return self._remove(models.task_history, message.id)
            case messages.InsertLoginAttempt():
                return self._add_attempt(message)
            case messages.InsertSession():
                return self._add_session(message.session)
            case messages.DeleteSessions():
                return self._remove_sessions(message.ids)
            case messages.SaveSetting():
                return self._save_setting(message)
            case messages.InsertQuickAction():
                return self._add_quick_action(message)
            case messages.UpdateQuickAction():
                return self._update_quick_action(message)
            case messages.DeleteQuickAction():
                return self._remove(quick_actions, message.id, "quick action")
            case messages.InsertUser():
                return self._add_user(message)
            case messages.UpdateUser():
                return self._update_user(message)
            case messages.SetPasswordHash():
                return self._set_password_hash(message)
            case messages.DeleteUser():
                return self._remove_user(message.id)
            case messages.PurgeOld():
                return self._purge_old(message)
            case plugin_storage.KvSet() | plugin_storage.KvDelete() | plugin_storage.KvBatch():
                return self._plugin_kv.apply(message)
            case plugin_storage.InsertPluginEvent():
                return plugin_events.insert(self._database, message)
            case SavePluginSettings():
                return plugin_settings.save(self._database, message)
            case SaveMachineHistory():
                return machine_history.save(self._database, message)
            case _:
                raise NotImplementedError(f"DbWriter does not know {type(message).__name__}.")

    def _add_run(self, run: messages.Run) -> None:
        if self._execute(self._insert_run, models.run_values(run)) == 0:
            raise Conflict(f"There is a run {run.id} already.")

    def _mark_run_started(self, message: messages.MarkRunStarted) -> None:
        self._execute(self._start_run, ("running", message.started_at, message.id, "queued"))

    def _end_run(self, message: messages.FinishRun) -> None:
        values = (
            message.state,
            message.finished_at,
            message.exit_code,
            storable(message.output),
            message.output_size,
            message.cpu_s,
            message.max_rss_bytes,
            message.detail,
            message.id,
        )
        self._execute(self._finish_run, values)

    def _add_session(self, session: messages.SessionRow) -> None:
        try:
            self._execute(self._insert_session, msgspec.structs.astuple(session))
        except peewee.IntegrityError:
            raise Conflict("The user of the session is gone, or the session exists.") from None

    def _add_attempt(self, attempt: messages.InsertLoginAttempt) -> None:
        self._execute(self._insert_attempt, msgspec.structs.astuple(attempt))

    def _remove_sessions(self, ids: tuple[str, ...]) -> None:
        if ids:
            self._run(sessions.delete().where(sessions.c.id.in_(ids)))

    def _save_setting(self, message: messages.SaveSetting) -> None:
        row = {settings.c.key: message.key, settings.c.value: message.value}
        insert = settings.insert(row).on_conflict(
            conflict_target=[settings.c.key], update={settings.c.value: message.value}
        )
        self._run(insert.as_rowcount())

    def _add_quick_action(self, message: messages.InsertQuickAction) -> messages.QuickAction:
        order: Any = message.display_order
        if order is None:
            last = quick_actions.select(fn.MAX(quick_actions.c.display_order))
            order = self._rows(last.tuples())[0][0]
            order = 0 if order is None else order + 1
        row = {
            quick_actions.c.name: message.name,
            quick_actions.c.script_path: message.script_path,
            quick_actions.c.icon: message.icon,
            quick_actions.c.display_order: order,
            quick_actions.c.confirm: message.confirm,
        }
        answer = columns(quick_actions, QUICK_ACTION_COLUMNS)
        added = self._rows(quick_actions.insert(row).returning(*answer).tuples())
        return models.to_quick_action(added[0])

    def _update_quick_action(self, message: messages.UpdateQuickAction) -> messages.QuickAction:
        answer = columns(quick_actions, QUICK_ACTION_COLUMNS)
        rows = self._update(quick_actions, message, answer)
        if not rows:
            raise NotFound(f"There is no quick action {message.id}.")
        return models.to_quick_action(rows[0])

    def _add_user(self, message: messages.InsertUser) -> messages.User:
        row = {
            users.c.username: message.username,
            users.c.password_hash: message.password_hash,
            users.c.display_name: message.display_name,
            users.c.role: message.role,
            users.c.is_active: True,
            users.c.created_at: message.created_at,
        }
        query = users.insert(row).returning(*columns(users, USER_COLUMNS)).tuples()
        try:
            return models.to_user(self._rows(query)[0])
        except peewee.IntegrityError:
            raise _name_taken(message.username) from None

    def _update_user(self, message: messages.UpdateUser) -> messages.User:
        try:
            rows = self._update(users, message, columns(users, USER_COLUMNS))
        except peewee.IntegrityError:
            raise _name_taken(str(message.username)) from None
        if not rows:
            raise _no_user(message.id)
        return models.to_user(rows[0])

    def _set_password_hash(self, message: messages.SetPasswordHash) -> None:
        values = {users.c.password_hash: message.password_hash}
        if not self._run(users.update(values).where(users.c.id == message.user_id)):
            raise _no_user(message.user_id)

    def _remove_user(self, user_id: int) -> None:
        self._run(sessions.delete().where(sessions.c.user_id == user_id))
        self._remove(users, user_id, "user")

    def _purge_old(self, message: messages.PurgeOld) -> int:
        expired = sessions.delete().where(sessions.c.expires_at <= message.now)
        attempts = models.login_attempts
        old = attempts.delete().where(attempts.c.attempted_at < message.attempts_before)
        removed = self._run(expired) + self._run(old)
        return removed + self._plugin_kv.purge() + plugin_events.purge(self._database, message.now)

    def _remove(self, table: peewee.Table, row_id: int | str, what: str = "") -> None:
        if not self._run(table.delete().where(table.c.id == row_id)) and what:
            raise NotFound(f"There is no {what} {row_id}.")

    def _update(
        self, table: peewee.Table, message: msgspec.Struct, answer: list[Any]
    ) -> list[models.Row]:
        """Change the fields of a message that are not None, and return the row, if there is one."""
        row_id = getattr(message, "id")  # noqa: B009 - the two kinds of message share no base
        fields = msgspec.structs.asdict(message).items()
        values = {
            getattr(table.c, name): value
            for name, value in fields
            if name != "id" and value is not None
        }
        chosen = table.c.id == row_id
        if not values:
            return self._rows(table.select(*answer).where(chosen).tuples())
        return self._rows(table.update(values).where(chosen).returning(*answer).tuples())

    def _rows(self, query: peewee.Query) -> list[models.Row]:
        return list(query.execute(self._database))

    def _run(self, query: peewee.Query) -> int:
        return int(query.execute(self._database))

    def _execute(self, sql: str, values: Any) -> int:
        return int(execute(self._database, sql, values).rowcount)

    def _insert(self, table: str, names: tuple[str, ...]) -> str:
        listed = ", ".join(f'"{name}"' for name in names)
        places = ", ".join("?" * len(names))
        return self._sql(f'INSERT INTO "{table}" ({listed}) VALUES ({places})')  # noqa: S608 - constants

    def _sql(self, text: str) -> str:
        return text.replace("?", self._database.param)


def _name_taken(username: str) -> Conflict:
    return Conflict(f"The name {username!r} is taken.", code="name_taken")


def _no_user(user_id: int) -> NotFound:
    return NotFound(f"There is no user {user_id}.")
