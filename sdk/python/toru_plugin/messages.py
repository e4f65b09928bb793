"""Requests as handlers see them, and the answers that they give.

Runs on: any thread.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Union
from urllib.parse import parse_qsl, unquote

from .errors import HttpError, PluginError

HeaderPairs = list[tuple[str, str]]
HeaderSource = Union[Mapping[str, Any], Iterable[Any], None]
Body = Union[str, bytes, dict[str, Any], list[Any], int, float, bool, None]

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Headers(Mapping[str, str]):
    """Header fields; names are compared without case, and the first of several values wins.

    Args:
        source: a mapping, or pairs of name and value.
    """

    def __init__(self, source: HeaderSource = None) -> None:
        items: Iterable[Any] = source.items() if isinstance(source, Mapping) else source or ()
        self.pairs: HeaderPairs = [(str(name), str(value)) for name, value in items]

    def __getitem__(self, name: str) -> str:
        for have, value in self.pairs:
            if have.lower() == name.lower():
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter({name.lower(): None for name, _ in self.pairs})

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self.pairs})

    def __repr__(self) -> str:
        return f"Headers({self.pairs!r})"

    def get_all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for have, value in self.pairs if have.lower() == name.lower()]


class Request:
    """An HTTP request.

    Attributes:
        method: ``GET``, ``POST`` and so on.
        path: without the query, as it was sent (percent-encoded).
        query_string: what follows the question mark.
        headers: the header fields.
        text: the body; empty when there is none.
        user: the name of whoever is logged in; None when the core did not say.
        role: ``admin`` or ``client``.
        params: what the placeholders of the route stand for.
    """

    def __init__(
        self,
        method: str,
        path: str,
        *,
        query_string: str = "",
        headers: HeaderSource = None,
        text: str = "",
        user: str | None = None,
        role: str | None = None,
    ) -> None:
        self.method = method.upper()
        self.path = path or "/"
        self.query_string = query_string
        self.headers = Headers(headers)
        self.text = text
        self.user = user if user is not None else _named(self.headers)
        self.role = role if role is not None else self.headers.get("X-Toru-Role")
        self.params: dict[str, str] = {}

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of a name that comes several times, the last."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    def query_all(self, name: str) -> list[str]:
        """Return every value of a query parameter."""
        pairs = parse_qsl(self.query_string, keep_blank_values=True)
        return [value for have, value in pairs if have == name]

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            HttpError: it is none; left alone, this answers 400.
        """
        try:
            return json.loads(self.text)
        except (ValueError, RecursionError):
            raise HttpError(400, "The body is not valid JSON.", "bad_request") from None


class Response:
    """An answer with a status and headers of its own.

    Attributes:
        text: the body as text; None when there is none, or it is no text.
        data: the body when it is no text.

    Args:
        status: the HTTP status, 100 to 599.
        headers: a mapping, or pairs of name and value where a name repeats.
        body: text, bytes, or what becomes JSON (dict, list, number, bool). Bytes that are not
            UTF-8 need protocol 2.
        content_type: instead of the one that the body's type implies.

    Raises:
        PluginError: a value is not allowed.
    """

    def __init__(
        self,
        status: int = 200,
        headers: HeaderSource = None,
        body: Body = None,
        *,
        content_type: str | None = None,
    ) -> None:
        if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
            raise PluginError(f"{status!r} is no HTTP status from 100 to 599")
        self.status = int(status)
        self.headers = Headers(headers)
        for name, value in self.headers.pairs:
            _check_header(name, value)
        self.text, self.data, implied = _body_of(body)
        chosen = content_type or implied
        if chosen and "content-type" not in self.headers:
            _check_header("Content-Type", chosen)
            self.headers.pairs.append(("Content-Type", chosen))

    def __repr__(self) -> str:
        return f"Response({self.status}, {self.headers.pairs!r}, {len(self.content())} bytes)"

    def content(self) -> bytes:
        """Return the body; empty when there is none."""
        return self.data if self.data is not None else (self.text or "").encode()

    def drop_body(self) -> None:
        """Have no body."""
        self.text = self.data = None


def response_of(result: Any) -> Response:
    """Return what a handler's result means; None is 204.

    Raises:
        PluginError: it means nothing.
    """
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(204)
    return Response(200, body=result)


def error_response(error: HttpError, headers: HeaderSource = None) -> Response:
    """Return an error as JSON, in the shape that the core's own errors have."""
    return Response(error.status, headers, {"error": error.sentence, "code": error.code})


def _named(headers: Headers) -> str | None:
    user = headers.get("X-Toru-User")
    return None if user is None else unquote(user)


def _body_of(body: Any) -> tuple[str | None, bytes | None, str | None]:
    """Return a body as text or else as bytes, and the content type that its type implies."""
    if body is None:
        return None, None, None
    if isinstance(body, str):
        return _whole(body), None, "text/plain; charset=utf-8"
    if isinstance(body, (bytes, bytearray, memoryview)):
        data = bytes(body)
        try:
            return data.decode("utf-8"), None, "application/octet-stream"
        except UnicodeDecodeError:
            return None, data, "application/octet-stream"
    try:
        text = json.dumps(body, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise PluginError(f"a {type(body).__name__} is no body: {error}") from None
    return _whole(text), None, "application/json"


def _whole(text: str) -> str:
    """Return text that has a form in UTF-8: question marks stand for halves of characters."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _check_header(name: str, value: str) -> None:
    if not name or not _TOKEN.issuperset(name):
        raise PluginError(f"{name!r} is no name of a header")
    if any(ord(char) < 32 and char != "\t" for char in value) or "\x7f" in value:
        raise PluginError(f"the header {name} has control characters: {value!r}")
    if any(ord(char) > 0xFF for char in value):
        raise PluginError(f"the header {name} has characters beyond Latin-1: {value!r}")
