"""The base of every handler under /api: roles, sessions, checked input, JSON answers.

Runs on: the event loop.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable
from types import TracebackType
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, NamedTuple, TypeVar, cast

import msgspec
import tornado.web
from tornado.httputil import parse_cookie
from tornado.websocket import WebSocketHandler

from toru.actors.messages.auth import GetSession, Session
from toru.domain.permissions import Access, authorise
from toru.errors import BadRequest, MethodNotAllowed, NotFound, ToruError, Unauthorized
from toru.web.services import Services

if TYPE_CHECKING:
    from toru.web.app import HubApplication

logger = logging.getLogger("toru.web")

T = TypeVar("T")
Method = Literal["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"]

SESSION_COOKIE = "session_id"
BODY_LIMIT_BYTES = 1 << 20
BODY_TIMEOUT_S = 30.0
LOGGED_PATH_MAX = 200
INTERNAL_SENTENCE = "Something went wrong inside Toru; the log has the details."

_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,128}")
_CODES = {
    400: "bad_request",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
}

SmallInt = Annotated[int, msgspec.Meta(ge=-(2**31), le=2**31 - 1)]
"""A whole number that every database column takes."""


class Body(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of what a request's JSON body holds."""


class Query(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of what a request's query holds."""


class Success(msgspec.Struct, frozen=True):
    """The answer where there is nothing else to say."""

    success: bool = True


class Problem(msgspec.Struct, frozen=True):
    """The answer to a request that was refused.

    Attributes:
        error: one sentence for people.
        code: the name that programs compare.
    """

    error: str
    code: str


class Route(NamedTuple):
    """A path and its handler.

    Attributes:
        path: a template such as ``/api/users/{user_id:int}``; ``{x}`` is one segment, ``{x:int}``
            a number of at most 18 digits, ``{x:path}`` the rest. The handler's methods get the
            decoded texts as keyword arguments.
        handler: the handler.
    """

    path: str
    handler: type[ApiHandler]


class ApiHandler(tornado.web.RequestHandler):
    """A handler under ``/api``.

    Subclasses name in ``roles`` who may use each method and decorate each method with
    ``toru.web.openapi.operation``. A WebSocket handler inherits from this class first, then from
    ``WebSocketHandler``. A ``ToruError`` that a method raises becomes the answer.

    Attributes:
        roles: the access by HTTP method; methods that are not named answer 405.
        body_limit: bytes a body may have; more answers 413 unread. None leaves it to the handler.
        body_timeout_s: seconds until the whole body must be there; None is for ever.
        body_idle_s: seconds that may pass without any of it; None is for ever.
    """

    roles: ClassVar[dict[str, Access]] = {}
    body_limit: ClassVar[int | None] = BODY_LIMIT_BYTES
    body_timeout_s: ClassVar[float | None] = BODY_TIMEOUT_S
    body_idle_s: ClassVar[float | None] = None

    _session: Session | None = None

    @property
    def services(self) -> Services:
        """What is behind the web."""
        return cast("Services", self.application.settings["services"])

    @property
    def _hub_application(self) -> HubApplication:
        return cast("HubApplication", self.application)

    @property
    def session(self) -> Session:
        """The session of this request.

        Raises:
            Unauthorized: there is none.
        """
        if self._session is None:
            raise Unauthorized("Please log in.")
        return self._session

    @property
    def token(self) -> str | None:
        """The session token that the cookie holds, if it can be one."""
        return session_token(self.request.headers.get("Cookie", ""))

    @property
    def client_address(self) -> str:
        """The address of the client, through trusted proxies."""
        return self.request.remote_ip or ""

    async def find_session(self) -> Session | None:
        """Return the live session of the cookie's token, also for handlers open to all."""
        token = self.token
        if token is None:
            return None
        return await self.services.auth.ask(GetSession(token))

    async def prepare(self) -> None:
        """Refuse methods and sessions that may not; every request passes here."""
        method = self.request.method or ""
        if not isinstance(self, WebSocketHandler):
            self._hub_application.under_way.enter(self)
        if method == "OPTIONS":
            return
        access = self.roles.get(_declared(method, type(self)))
        if access is None:
            self._set_allow()
            raise MethodNotAllowed(f"This path does not take {method}.")
        if access != "anon":
            self._session = await self.find_session()
            authorise(access, self._session)

    def head(self, **path: str) -> Awaitable[None] | None:
        """Answer as GET does; Tornado leaves the body out."""
        get: Any = self.get
        return cast("Awaitable[None] | None", get(**path))

    def options(self, **_path: str) -> None:
        """Say which methods there are; no other site is ever invited."""
        self._set_allow()
        self.answer(Success())

    def body(self, kind: type[T]) -> T:
        """Return the request's JSON body as ``kind``, a subclass of `Body`.

        Raises:
            BadRequest: it is no such JSON; the sentence names the field.
        """
        content_type = self.request.headers.get("Content-Type", "application/json")
        if content_type.partition(";")[0].strip().lower() != "application/json":
            raise BadRequest("The body must be JSON, with Content-Type: application/json.")
        if not self.request.body:
            raise BadRequest("The body is missing; it must be a JSON object.")
        try:
            return msgspec.json.decode(self.request.body, type=_strict(kind))
        except RecursionError:
            raise BadRequest("The body is nested too deeply.") from None
        except msgspec.ValidationError as error:
            raise BadRequest(_sentence("body", error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise BadRequest(f"The body is not valid JSON: {_plain(str(error))}.") from None

    def query(self, kind: type[T]) -> T:
        """Return the request's query as ``kind``, a subclass of `Query`.

        Raises:
            BadRequest: a name is unknown or double, or a value is wrong.
        """
        values: dict[str, str] = {}
        for name, texts in self.request.query_arguments.items():
            if len(texts) > 1:
                raise BadRequest(f"The query has {_plain(name)!r} more than once.")
            try:
                values[name] = texts[0].decode()
            except UnicodeDecodeError:
                raise BadRequest(f"The query's {_plain(name)!r} is not UTF-8.") from None
        try:
            return msgspec.convert(values, type=_strict(kind), strict=False)
        except msgspec.ValidationError as error:
            raise BadRequest(_sentence("query", error)) from None

    def answer(self, value: Any, status: int = 200) -> None:
        """Finish with ``value`` as JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(msgspec.json.encode(value))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer an error as JSON, without a traceback. Tornado calls it."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if isinstance(error, ToruError) and error.status != 500:
            self._write_refusal(error)
            return
        if isinstance(error, tornado.web.HTTPError) and status_code < 500:
            sentence = f"The request was refused: {_plain(error.get_message() or self._reason)}."
            self.answer(Problem(sentence, _CODES.get(status_code, "refused")), status_code)
            return
        self.answer(Problem(INTERNAL_SENTENCE, "internal"), 500)

    def _write_refusal(self, error: ToruError) -> None:
        if isinstance(error, MethodNotAllowed):
            self._set_allow()
        self.answer(self.describe_error(error), error.status)

    def describe_error(self, error: ToruError) -> Any:
        """Return the body of the answer to a refusal; a subclass may say more."""
        return Problem(error.sentence, error.code)

    def log_exception(
        self,
        typ: type[BaseException] | None,
        value: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        """Log what nobody expected, once; refusals are answers. Tornado calls it."""
        method, path = self.request.method, self.request.path[:LOGGED_PATH_MAX]
        if isinstance(value, ToruError | tornado.web.HTTPError):
            logger.debug("%s %s: %s", method, path, value)
            return
        trace = (typ, value, tb) if typ and value else None
        logger.error("%s %s failed.", method, path, exc_info=trace)

    def on_connection_close(self) -> None:
        """The client has gone before the answer. Tornado calls it."""
        self._hub_application.under_way.leave(self)
        super().on_connection_close()

    def compute_etag(self) -> str | None:
        """Answers under /api are never stored, so they have no ETag."""
        return None

    def check_trusted_origin(self, origin: str) -> bool:
        """The gate has looked at the origin before any handler was made."""
        del origin
        return True

    def check_origin(self, origin: str) -> bool:
        """For WebSocket handlers, the same."""
        return self.check_trusted_origin(origin)

    def _set_allow(self) -> None:
        allowed = {*self.roles, "OPTIONS"}
        if _declared("HEAD", type(self)) in self.roles:
            allowed.add("HEAD")
        self.set_header("Allow", ", ".join(sorted(allowed)))


def session_token(cookies: str) -> str | None:
    """Return the session token in a Cookie header, if it has one that can be one."""
    token = parse_cookie(cookies).get(SESSION_COOKIE)
    return token if token is not None and _TOKEN.fullmatch(token) else None


class UnknownPath(ApiHandler):
    """Every path under ``/api`` that nobody has."""

    async def prepare(self) -> None:
        """Refuse, whatever the method."""
        raise NotFound("There is nothing at this path.")


def _declared(method: str, handler: type[ApiHandler]) -> str:
    """Return the method whose role counts: HEAD is GET without a body, but opens no WebSocket."""
    if method == "HEAD" and not issubclass(handler, WebSocketHandler):
        return "GET"
    return method


def _strict(kind: type[T]) -> type[T]:
    config = getattr(kind, "__struct_config__", None)
    if config is None or not config.forbid_unknown_fields:
        raise TypeError(f"{kind.__name__} must be a Struct that forbids unknown fields.")
    return kind


def _sentence(what: str, error: msgspec.ValidationError) -> str:
    """Turn msgspec's message into a sentence that names the field, never the value."""
    text, _, place = _plain(str(error)).partition(" - at ")
    path = place.strip("'").removeprefix("$").lstrip(".")
    where = f"The {what}'s field '{path}'" if path else f"The {what}"
    return f"{where} is not right: {text[:1].lower()}{text[1:]}."


def _plain(text: str) -> str:
    shown = "".join(c if c.isprintable() else "?" for c in text).replace("`", "'")
    return shown.rstrip(".")[:300]
