"""A hub as the command line sees it: log in, ask, open the WebSocket.

Runs on: the event loop of one command.
"""

from __future__ import annotations

import contextlib
import getpass
import ipaddress
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from http.cookies import SimpleCookie
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPClientError, HTTPRequest, HTTPResponse
from tornado.simple_httpclient import HTTPTimeoutError
from tornado.websocket import WebSocketClientConnection, websocket_connect

from toru.cli.failure import CommandError
from toru.cli.sessions import SessionStore, default_path
from toru.cli.terminal import tell
from toru.config import DEFAULT_HOST, DEFAULT_PORT

T = TypeVar("T")

COOKIE = "session_id"
_REQUEST_TIMEOUT_S = 30.0
_CONNECT_TIMEOUT_S = 10.0
_PING_S = 20.0
_MAX_MESSAGE_BYTES = 64 * 1024 * 1024
_REFUSED = (401, 403)


class HubUnreachable(CommandError):
    """Nothing answers at the hub's address."""


class SessionRefused(CommandError):
    """The hub does not know the session, or ended it."""


class HubClient:
    """One person's way to one hub.

    Args:
        url: the hub's address.
        username: who to log in as.
        sessions: where tokens are kept between calls.
        password: returns the password when it is needed; may ask for it.

    Raises:
        CommandError: the address is none.
    """

    def __init__(
        self, url: str, username: str, sessions: SessionStore, password: Callable[[], str]
    ) -> None:
        self.url = _checked_url(url)
        self._username = username
        self._sessions = sessions
        self._password = password
        self._token = sessions.get(self.url, username)
        self._http = AsyncHTTPClient()

    async def answers(self) -> bool:
        """Return whether a hub answers there; needs no session."""
        try:
            return (await self._fetch("GET", "health", None)).code == 200
        except HubUnreachable:
            return False

    async def get(self, path: str) -> Any:
        """Return the JSON answer of a route under ``/api/``.

        Raises:
            CommandError: the hub cannot be reached or refuses.
        """
        return await self._asked("GET", path, None)

    async def post(self, path: str, body: Mapping[str, object]) -> Any:
        """Send JSON to a route under ``/api/`` and return the JSON answer.

        Raises:
            CommandError: the hub cannot be reached or refuses.
        """
        return await self._asked("POST", path, body)

    async def open_socket(self) -> WebSocketClientConnection:
        """Return a new WebSocket of a session; logs in first where that is necessary.

        Raises:
            HubUnreachable: nothing answers there.
            CommandError: the login is refused.
        """
        return await self._with_session(self._connect)

    def session_ended(self) -> None:
        """Note that the hub has ended the session: the next call logs in again."""
        self._token = None
        self._sessions.forget(self.url, self._username)

    async def _asked(self, method: str, path: str, body: Mapping[str, object] | None) -> Any:
        async def ask() -> HTTPResponse:
            response = await self._fetch(method, path, body)
            if response.code == 401:
                raise SessionRefused(_sentence(response))
            return response

        response = await self._with_session(ask)
        if response.code >= 400:
            raise CommandError(_sentence(response))
        return _json(response)

    async def _with_session(self, action: Callable[[], Awaitable[T]]) -> T:
        """Do something that needs a session; when the kept one has ended, log in and do it."""
        if self._token is not None:
            try:
                return await action()
            except SessionRefused:
                self.session_ended()
        await self._log_in()
        return await action()

    async def _log_in(self) -> None:
        body = {"username": self._username, "password": self._password()}
        response = await self._fetch("POST", "auth/login", body)
        cookies: SimpleCookie = SimpleCookie()
        for header in response.headers.get_list("Set-Cookie"):
            cookies.load(header)
        if response.code != 200 or COOKIE not in cookies:
            raise CommandError(_login_sentence(response))
        self._token = cookies[COOKIE].value
        self._sessions.put(self.url, self._username, self._token)

    async def _fetch(
        self, method: str, path: str, body: Mapping[str, object] | None
    ) -> HTTPResponse:
        request = HTTPRequest(
            f"{self.url}/api/{path}",
            method=method,
            headers=self._headers() | {"Content-Type": "application/json"},
            body=None if body is None else json.dumps(body),
            request_timeout=_REQUEST_TIMEOUT_S,
            connect_timeout=_CONNECT_TIMEOUT_S,
            follow_redirects=False,
        )
        try:
            return await self._http.fetch(request, raise_error=False)
        except (OSError, HTTPClientError, HTTPTimeoutError) as error:
            raise self._unreachable(error) from None

    async def _connect(self) -> WebSocketClientConnection:
        request = HTTPRequest(
            f"{self.url}/api/ws".replace("http", "ws", 1),
            headers=self._headers(),
            connect_timeout=_CONNECT_TIMEOUT_S,
        )
        try:
            return await websocket_connect(
                request,
                ping_interval=_PING_S,
                ping_timeout=_PING_S,
                max_message_size=_MAX_MESSAGE_BYTES,
            )
        except HTTPClientError as error:
            if error.code in _REFUSED:
                raise SessionRefused("The hub refuses this session.") from None
            raise self._unreachable(error) from None
        except OSError as error:
            raise self._unreachable(error) from None

    def _headers(self) -> dict[str, str]:
        # The hub compares Origin with its own address, as it does with browsers.
        parts = urlsplit(self.url)
        headers = {"Origin": f"{parts.scheme}://{parts.netloc}"}
        return headers | ({"Cookie": f"{COOKIE}={self._token}"} if self._token else {})

    def _unreachable(self, error: Exception) -> HubUnreachable:
        return HubUnreachable(f"No hub answers at {self.url} ({error}).")


def client_from_environment(url: str | None, username: str | None) -> HubClient:
    """Return the client that flags and environment describe.

    Raises:
        CommandError: the address is none.
    """
    environ = os.environ
    host = environ.get("STEERING_HOST") or DEFAULT_HOST
    host = {"0.0.0.0": DEFAULT_HOST, "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    host = f"[{host}]" if ":" in host and not host.startswith("[") else host
    port = environ.get("STEERING_PORT") or DEFAULT_PORT
    address = url or f"http://{host}:{port}"
    admin = environ.get("ADMIN_USERNAME") or "admin"
    name = username or admin
    sessions = SessionStore(default_path())
    return HubClient(address, name, sessions, lambda: _password_of(name, admin, address))


def _password_of(username: str, admin: str, url: str) -> str:
    password = os.environ.get("TORU_PASSWORD")
    if not password and username == admin:
        password = os.environ.get("ADMIN_PASSWORD")
    if not password and not sys.stdin.isatty():
        raise CommandError(f"A password for {username} is needed; set TORU_PASSWORD.")
    if urlsplit(url).scheme == "http" and not _is_loopback(urlsplit(url).hostname or ""):
        tell(f"The password goes to {url} unencrypted.")
    return password or getpass.getpass(f"Password of {username} at {url}: ")


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits or parts.username or parts.query or parts.fragment:
        raise CommandError(
            f"The hub's address must be like https://toru.example.org, not {url!r}.", exit_code=2
        )
    return url.rstrip("/")


def _json(response: HTTPResponse) -> Any:
    try:
        return json.loads(response.body)
    except ValueError:
        raise CommandError("The answer is no JSON; is a hub at this address?") from None


def _sentence(response: HTTPResponse) -> str:
    content = None
    with contextlib.suppress(ValueError):
        content = json.loads(response.body)
    said = content.get("error") if isinstance(content, dict) else None
    return str(said) if said else f"The hub answered {response.code} {response.reason}."


def _login_sentence(response: HTTPResponse) -> str:
    if response.code == 200:
        return "The hub gave no session; is a hub at this address?"
    sentence = _sentence(response)
    return f"The login was refused: {sentence}"
