"""Requests as handlers see them, and the answers that they give.

Runs on: any thread.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO, Union
from urllib.parse import parse_qsl, unquote

from .bodies import Body, BodyReader, BodyStream, LimitedBody, WholeBody, collect, too_long
from .errors import HttpError, PluginError
from .headers import Headers, HeaderSource, check_header

if TYPE_CHECKING:
    from .host import Host

Content = Union[str, bytes, dict[str, Any], list[Any], int, float, bool, None]

EVENT_STREAM = "text/event-stream"


class Request:
    """An HTTP request, or what a WebSocket was opened with.

    Attributes:
        method: ``GET``, ``POST`` and so on.
        path: without the query, as it was sent (percent-encoded).
        query_string: what follows the question mark.
        headers: the header fields.
        user: the name of whoever is logged in; None when the core did not say.
        role: ``admin`` or ``client``.
        params: what the placeholders of the route stand for.
        disconnected: whether whoever asked has left, for plain handlers that work for long; an
            ``async`` handler is cancelled then.
    """

    def __init__(
        self,
        method: str,
        path: str,
        *,
        query_string: str = "",
        headers: HeaderSource = None,
        text: str = "",
        body: Body | None = None,
        user: str | None = None,
        role: str | None = None,
    ) -> None:
        self.method = method.upper()
        self.path = path or "/"
        self.query_string = query_string
        self.headers = Headers(headers)
        self.user = user if user is not None else _named(self.headers)
        self.role = role if role is not None else self.headers.get("X-Toru-Role")
        self.params: dict[str, str] = {}
        self.disconnected = False
        self._content: bytes | None = text.encode("utf-8", "replace") if body is None else None
        self._body = body
        self._host: Host | None = None
        self._reader: BinaryIO | None = None

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; of a name that comes several times, the last."""
        return dict(parse_qsl(self.query_string, keep_blank_values=True))

    def query_all(self, name: str) -> list[str]:
        """Return every value of a query parameter."""
        pairs = parse_qsl(self.query_string, keep_blank_values=True)
        return [value for have, value in pairs if have == name]

    def content(self) -> bytes:
        """Return the body as it was sent; empty when there is none.

        Raises:
            PluginError: the route takes it with ``stream=True``.
        """
        if self._content is None:
            raise PluginError(
                "this route takes its body as a stream: use request.stream() or request.reader"
            )
        return self._content

    @property
    def text(self) -> str:
        """The body as text; what is no UTF-8 becomes question marks."""
        return self.content().decode("utf-8", "replace")

    def json(self) -> Any:
        """Return the body as JSON.

        Raises:
            HttpError: it is none; left alone, this answers 400.
        """
        try:
            return json.loads(self.content())
        except (ValueError, RecursionError):
            raise HttpError(400, "The body is not valid JSON.", "bad_request") from None

    def stream(self) -> BodyStream:
        """Return the body's pieces (bytes) as they come; each comes once.

        For ``async for`` in an ``async`` handler, for a plain ``for`` in a plain one. When whoever
        sends it leaves before its end, `Disconnected` is raised.
        """
        return BodyStream(self._source(), self._host)

    @property
    def reader(self) -> BinaryIO:
        """The body as a file that can be read (not sought), for plain handlers."""
        if self._reader is None:
            self._reader = io.BufferedReader(BodyReader(self.stream()))
        return self._reader

    def _source(self) -> Body:
        if self._body is None:
            self._body = WholeBody(self.content())
        return self._body

    # For the library

    def attach(self, host: Host, max_body_bytes: int | None) -> None:
        """Say where handlers run, and how long the body may be.

        Raises:
            HttpError: it is there and longer.
        """
        self._host = host
        if max_body_bytes is None:
            return
        if self._body is not None:
            self._body = LimitedBody(self._body, max_body_bytes)
        elif len(self.content()) > max_body_bytes:
            raise too_long(max_body_bytes)

    async def load(self) -> None:
        """Wait for the whole body.

        Raises:
            HttpError: it is over the limit.
            Disconnected: its end was lost.
        """
        if self._body is not None:
            self._content = await collect(self._body)
            self._body = None


class Response:
    """An answer with a status and headers of its own.

    Attributes:
        text: the body as text; None when there is none, or it is no text.
        data: the body when it is no text.
        stream: what yields the body.
        keep_alive_s: seconds of silence after which a comment is sent; None: never.

    Args:
        status: the HTTP status, 100 to 599.
        headers: a mapping, or pairs of name and value where a name repeats.
        body: text, bytes, or what becomes JSON (dict, list, number, bool). Bytes that are not
            UTF-8 need protocol 2.
        stream: instead of ``body``, an asynchronous or plain iterator of bytes (or text), or an
            open binary file. It is asked for as much as the browser takes, and closed when the
            browser leaves. With protocol 1 it is collected first.
        content_type: instead of the one that the body's type implies.

    Raises:
        PluginError: a value is not allowed.
    """

    keep_alive_s: float | None = None

    def __init__(
        self,
        status: int = 200,
        headers: HeaderSource = None,
        body: Content = None,
        *,
        stream: Any = None,
        content_type: str | None = None,
    ) -> None:
        if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
            raise PluginError(f"{status!r} is no HTTP status from 100 to 599")
        self.status = int(status)
        self.headers = Headers(headers)
        for name, value in self.headers.pairs:
            check_header(name, value)
        self.stream = _checked_stream(stream, body)
        self.text, self.data, implied = _body_of(body)
        if stream is not None:
            implied = "application/octet-stream"
        chosen = content_type or implied
        if chosen and "content-type" not in self.headers:
            self.set_header("Content-Type", chosen)

    @staticmethod
    def file(
        path: str | os.PathLike[str] | BinaryIO,
        *,
        root: str | os.PathLike[str] | None = None,
        filename: str | None = None,
        content_type: str | None = None,
        headers: HeaderSource = None,
    ) -> Response:
        """Return an answer that sends a file in pieces; parts of it (``Range``) can be asked for.

        Args:
            path: the file; or the file itself, open to read bytes, which is closed at the end.
            root: the folder that it must be in: for paths that somebody else has chosen.
            filename: makes it a download of that name.
            content_type: instead of the one that its name implies.
            headers: further ones.

        Raises:
            HttpError: 404, there is no such file (in that folder).
        """
        from .files import FileResponse

        return FileResponse(path, root, filename, content_type, headers)

    def __repr__(self) -> str:
        size = "a stream" if self.stream is not None else f"{len(self.content())} bytes"
        return f"{type(self).__name__}({self.status}, {self.headers.pairs!r}, {size})"

    def content(self) -> bytes:
        """Return the body; empty when there is none, or it is a stream."""
        return self.data if self.data is not None else (self.text or "").encode()

    def set_header(self, name: str, value: str) -> None:
        """Set a header in place of those of the same name."""
        check_header(name, value)
        kept = [pair for pair in self.headers.pairs if pair[0].lower() != name.lower()]
        self.headers.pairs[:] = [*kept, (name, value)]

    # For the library

    @property
    def lasts(self) -> bool:
        """Whether it is a stream of events, which ends when somebody leaves."""
        kind = self.headers.get("Content-Type", "").partition(";")[0]
        return self.stream is not None and kind.strip().lower() == EVENT_STREAM

    def suit(self, request: Request) -> None:
        """Become the answer to just this request."""

    def encode(self, item: Any) -> bytes:
        """Return the bytes of what the stream has yielded; raises TypeError when it has none."""
        if isinstance(item, str):
            return item.encode("utf-8", "replace")
        if isinstance(item, (bytes, bytearray, memoryview)):
            return bytes(item)
        raise TypeError(f"a stream yields bytes or str, not {type(item).__name__}")

    def set_body(self, content: bytes) -> None:
        """Have this body in place of a stream."""
        self.stream = None
        self.text, self.data, _ = _body_of(content)

    def drop_body(self) -> None:
        """Have no body."""
        self.stream = self.text = self.data = None


def response_of(result: Any) -> Response:
    """Return what a handler's result means; None is 204.

    Raises:
        PluginError: it means nothing.
    """
    if isinstance(result, Response):
        return result
    if result is None:
        return Response(204)
    if isinstance(result, (AsyncIterator, Iterator)):
        return Response(200, stream=result)
    return Response(200, body=result)


def error_response(error: HttpError, headers: HeaderSource = None) -> Response:
    """Return an error as JSON, in the shape that the core's own errors have."""
    return Response(error.status, headers, {"error": error.sentence, "code": error.code})


def _named(headers: Headers) -> str | None:
    user = headers.get("X-Toru-User")
    return None if user is None else unquote(user)


def _checked_stream(stream: Any, body: Any) -> Any:
    if stream is None:
        return None
    if body is not None:
        raise PluginError("an answer has a body or a stream, not both")
    is_iterable = hasattr(stream, "__aiter__") or hasattr(stream, "__iter__")
    if not is_iterable or isinstance(stream, (str, bytes, bytearray, memoryview, dict)):
        raise PluginError(f"a {type(stream).__name__} is no stream; an iterator of bytes is")
    return stream


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
