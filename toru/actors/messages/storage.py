"""What the database actors are told and asked.

`DbWriter` takes the changes: one message is one durable change, answered after its commit.
`DbReader` takes the questions. All times are RFC 3339 UTC texts with milliseconds.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from toru.actors.runtime import Message

RunState = Literal["queued", "running", "finished", "failed", "cancelled", "interrupted"]
Role = Literal["admin", "client"]

LOCKED = "locked out"
"""The failure reason of attempts to log in that were refused unseen; no lockout counts them."""


class Run(msgspec.Struct, frozen=True):
    """A row of ``task_history``.

    Attributes:
        id: a UUIDv7, so ids sort as the runs were asked for.
        script_name: the plain file name.
        state: ``finished`` is exit code 0, ``failed`` any other; ``interrupted`` has no code.
        user_id: who asked; None is the admin.
        username: their name at that time.
        trigger: ``websocket``, ``quick_action`` or ``api``.
        created_at: when it was asked for.
        started_at: when the process started; None while it is queued.
        finished_at: when it ended.
        exit_code: the script's code; negative is the signal that ended it.
        output: the last 64 KiB as text, once it ended.
        output_size: bytes that the script wrote in all.
        cpu_s: processor seconds of the script and the children it waited for.
        max_rss_bytes: the most memory that one of its processes held.
        detail: a sentence where the state alone does not explain the end.
        args: arguments by parameter name.
    """

    id: str
    script_name: str
    state: RunState
    user_id: int | None
    username: str
    trigger: str
    created_at: str
    started_at: str | None = None
    finished_at: str | None = None
    exit_code: int | None = None
    output: str = ""
    output_size: int = 0
    cpu_s: float | None = None
    max_rss_bytes: int | None = None
    detail: str | None = None
    args: dict[str, str] = msgspec.field(default_factory=dict)


class QuickAction(msgspec.Struct, frozen=True):
    """A row of ``quick_actions``.

    Attributes:
        confirm: whether a person is asked before it runs.
    """

    id: int
    name: str
    script_path: str
    icon: str | None
    display_order: int
    confirm: bool = False


class User(msgspec.Struct, frozen=True):
    """A row of ``users``, without the password's hash."""

    id: int
    username: str
    display_name: str
    role: Role
    is_active: bool
    created_at: str


class Credentials(msgspec.Struct, frozen=True):
    """A user with the argon2id hash of the password."""

    user: User
    password_hash: str


class SessionRow(msgspec.Struct, frozen=True):
    """A row of ``sessions``; ``id`` is the SHA-256 of the token in hexadecimal."""

    id: str
    user_id: int | None
    user_role: Role
    username: str
    display_name: str
    created_at: str
    expires_at: str
    ip_address: str = ""
    user_agent: str = ""


class LoginAttempt(msgspec.Struct, frozen=True):
    """A row of ``login_attempts``."""

    id: int
    username: str
    ip_address: str
    success: bool
    failure_reason: str | None
    attempted_at: str


# Changes, for DbWriter


class SaveSetting(Message[None], frozen=True):
    """Set a setting."""

    key: str
    value: str


class InsertRun(Message[None], frozen=True):
    """Add a run."""

    run: Run


class MarkRunStarted(Message[None], frozen=True):
    """A queued run's process has started."""

    id: str
    started_at: str


class FinishRun(Message[None], frozen=True):
    """A run has ended. A run that has an end already keeps it."""

    id: str
    state: RunState
    finished_at: str
    exit_code: int | None
    output: str
    output_size: int
    cpu_s: float | None = None
    max_rss_bytes: int | None = None
    detail: str | None = None


class DeleteRun(Message[None], frozen=True):
    """Remove a run's row."""

    id: str


class InsertQuickAction(Message[QuickAction], frozen=True):
    """Add a quick action; without an order it goes to the end."""

    name: str
    script_path: str
    icon: str | None = None
    display_order: int | None = None
    confirm: bool = False


class UpdateQuickAction(Message[QuickAction], frozen=True):
    """Change the fields that are not None. NotFound when there is no such action."""

    id: int
    name: str | None = None
    script_path: str | None = None
    icon: str | None = None
    display_order: int | None = None
    confirm: bool | None = None


class DeleteQuickAction(Message[None], frozen=True):
    """Remove a quick action. NotFound when there is no such action."""

    id: int


class InsertUser(Message[User], frozen=True):
    """Add a user. Conflict when the name is taken."""

    username: str
    password_hash: str
    display_name: str
    role: Role
    created_at: str


class UpdateUser(Message[User], frozen=True):
    """Change the fields that are not None. NotFound, Conflict (name taken)."""

    id: int
    username: str | None = None
    display_name: str | None = None
    role: Role | None = None
    is_active: bool | None = None


class SetPasswordHash(Message[None], frozen=True):
    """Set a user's password hash. NotFound."""

    user_id: int
    password_hash: str


class DeleteUser(Message[None], frozen=True):
    """Remove a user and the user's sessions; the runs stay. NotFound."""

    id: int


class InsertSession(Message[None], frozen=True):
    """Add a session."""

    session: SessionRow


class DeleteSessions(Message[None], frozen=True):
    """Remove sessions by id; unknown ones are ignored."""

    ids: tuple[str, ...]


class InsertLoginAttempt(Message[None], frozen=True):
    """Record an attempt to log in."""

    username: str
    ip_address: str
    success: bool
    failure_reason: str | None
    attempted_at: str


class PurgeOld(Message[int], frozen=True):
    """Remove sessions that expired before ``now`` and login attempts before ``attempts_before``.

    Events of plugins from more than thirty days before ``now`` go too, and keys of plugins that
    have expired. The answer is the number of rows removed.
    """

    now: str
    attempts_before: str


# Questions, for DbReader


class GetSettings(Message[dict[str, str]], frozen=True):
    """All settings that were ever saved."""


class GetRun(Message[Run | None], frozen=True):
    """One run."""

    id: str


class ListRuns(Message[list[Run]], frozen=True):
    """Runs, the newest first.

    Attributes:
        limit: at most so many.
        before: an id; only older runs.
        user_id: only this user's; None is the admin's own (with ``own_only``).
        own_only: filter by ``user_id``.
        state: only in this state.
        script: only of this script name.
        username: only of users with this name.
        query: only where the script's name or the output contains this text.
        with_output: read the output column too.
        after: only what was asked for at this time or later.
        until: only what was asked for before this time.
    """

    limit: int = 100
    before: str | None = None
    user_id: int | None = None
    own_only: bool = False
    state: str | None = None
    script: str | None = None
    username: str | None = None
    query: str | None = None
    with_output: bool = True
    after: str | None = None
    until: str | None = None


class RunNames(msgspec.Struct, frozen=True):
    """What the history can be filtered by.

    Attributes:
        scripts: the names of the scripts that have run, sorted.
        users: the names of those who ran them, sorted.
    """

    scripts: list[str]
    users: list[str]


class ListRunNames(Message[RunNames], frozen=True):
    """The names in the history; with ``own_only`` those of one user's runs.

    Attributes:
        user_id: whose; None is the admin's own.
        own_only: filter by ``user_id``.
    """

    user_id: int | None = None
    own_only: bool = False


class ListRunsToRetire(Message[list[str]], frozen=True):
    """Ids of ended runs that finished before ``before`` or are not among the newest ``keep``.

    A None leaves that rule out.
    """

    before: str | None
    keep: int | None


class ListOpenRuns(Message[list[Run]], frozen=True):
    """Runs that are queued or running, the oldest first."""


class ListQuickActions(Message[list[QuickAction]], frozen=True):
    """Quick actions by display order, then id."""


class ListUsers(Message[list[User]], frozen=True):
    """All users by name."""


class GetUser(Message[User | None], frozen=True):
    """One user."""

    id: int


class GetCredentials(Message[Credentials | None], frozen=True):
    """A user by name, with the hash."""

    username: str


class GetCredentialsById(Message[Credentials | None], frozen=True):
    """A user by id, with the hash."""

    id: int


class ListSessions(Message[list[SessionRow]], frozen=True):
    """Sessions that expire after ``now``."""

    now: str


class ListLoginAttempts(Message[list[LoginAttempt]], frozen=True):
    """Attempts, the newest first; with ``since`` only later ones."""

    limit: int = 100
    since: str | None = None
    failed_only: bool = False


class LoginCounts(msgspec.Struct, frozen=True):
    """How attempts to log in have ended.

    Attributes:
        successes: those that opened a session.
        failures: those that were looked at and refused.
        locked: those that were refused unseen, during a lockout.
        addresses: how many addresses the failed and locked ones came from.
    """

    successes: int
    failures: int
    locked: int
    addresses: int


class CountLoginAttempts(Message[LoginCounts], frozen=True):
    """The attempts after ``since``, counted."""

    since: str
