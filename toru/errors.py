"""The one tree of errors that are answers: each has a sentence, a code and an HTTP status.

Runs on: any thread.

    ToruError
    ├── ConfigError          the start is refused: one sentence, exit code 2
    ├── BadRequest       400 the request cannot be understood or has wrong values
    ├── Unauthorized     401 no session, or one that ended
    ├── Forbidden        403 a session that may not do this
    ├── NotFound         404 what is named does not exist, or not for this session
    ├── MethodNotAllowed 405
    ├── RequestTimeout   408 a body that did not come in time
    ├── Conflict         409 what is asked collides with what is
    ├── TooLarge         413 a body over its limit
    ├── MisdirectedHost  421 a request for a host that is not served
    ├── LockedOut        429 too many failed logins; carries the seconds left
    ├── BadGateway       502 a plugin died, does not start, or answered what cannot be passed on
    ├── Unavailable      503 cannot be done now; trying again later may help
    │   ├── ActorUnavailable     the actor is stopped or being replaced
    │   ├── MailboxFull          the actor has more to do than it takes
    │   ├── ActorCrashed     500 the actor failed while it handled this very message
    │   └── StorageUnavailable   the database cannot be written or read now
    └── DeadlineExceeded 504 no answer within the deadline

What only one module can raise is defined there: the faults of the plugin protocol in
``toru.wire.plugin_http``, refusals of the runner in ``toru.actors.runner_link``.
"""

from __future__ import annotations

from typing import ClassVar


class ToruError(Exception):
    """An error whose sentence is fit for the person who asked.

    Attributes:
        sentence: what went wrong, one sentence, without secrets.
        code: the snake_case name that programs compare.
        status: the HTTP status of the answer.
    """

    status: ClassVar[int] = 500
    default_code: ClassVar[str] = "internal"

    def __init__(self, sentence: str, *, code: str | None = None) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.code = code or self.default_code


class ConfigError(ToruError):
    """The configuration or the machine does not allow a start."""

    default_code = "config"


class BadRequest(ToruError):
    """The request cannot be understood or has wrong values."""

    status = 400
    default_code = "bad_request"


class Unauthorized(ToruError):
    """There is no session, or it ended."""

    status = 401
    default_code = "unauthorized"


class Forbidden(ToruError):
    """The session may not do this."""

    status = 403
    default_code = "forbidden"


class NotFound(ToruError):
    """What is named does not exist, or not for this session."""

    status = 404
    default_code = "not_found"


class MethodNotAllowed(ToruError):
    """The route exists, the method does not."""

    status = 405
    default_code = "method_not_allowed"


class Conflict(ToruError):
    """What is asked collides with what is."""

    status = 409
    default_code = "conflict"


class TooLarge(ToruError):
    """A body is over its limit."""

    status = 413
    default_code = "too_large"


class RequestTimeout(ToruError):
    """A body did not come in time."""

    status = 408
    default_code = "timeout"


class MisdirectedHost(ToruError):
    """The request is for a host that Toru does not serve (RFC 9110, 15.5.20)."""

    status = 421
    default_code = "misdirected_host"


class LockedOut(ToruError):
    """Too many failed logins.

    Attributes:
        locked_until_s: the seconds until the next attempt is looked at.
    """

    status = 429
    default_code = "locked_out"

    def __init__(self, sentence: str, locked_until_s: int) -> None:
        super().__init__(sentence)
        self.locked_until_s = locked_until_s


class BadGateway(ToruError):
    """A plugin died, does not start, or answered what cannot be passed on."""

    status = 502
    default_code = "bad_gateway"


class Unavailable(ToruError):
    """It cannot be done now; trying again later may help."""

    status = 503
    default_code = "unavailable"


class ActorUnavailable(Unavailable):
    """The actor behind the name is stopped or being replaced."""


class MailboxFull(Unavailable):
    """The actor has more to do than it takes."""

    default_code = "busy"


class ActorCrashed(Unavailable):
    """The actor failed while it handled this very message."""

    default_code = "internal"
    status = 500


class StorageUnavailable(Unavailable):
    """The database cannot be written or read now."""

    default_code = "storage_unavailable"


class DeadlineExceeded(ToruError):
    """There was no answer within the deadline."""

    status = 504
    default_code = "deadline_exceeded"
