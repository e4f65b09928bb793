"""Which headers of a forwarded request reach a plugin, and which of its answer reach the browser.

Runs on: any thread; pure.

To the plugin go all headers but: those of one hop (RFC 9110, 7.6.1), the hub's secrets (cookies,
``Authorization``), what only the hub may say (``X-Toru-*``, who the client is), and
``Accept-Encoding``, because bodies travel as text. In their place come ``X-Toru-User``,
``X-Toru-Role``, ``X-Forwarded-For``, ``-Proto`` and ``-Host``.

Plugins answer from the hub's own origin, so back go all headers but: those of one hop, the length
(it is counted anew), and what would act on the hub as a whole: cookies, transport and content
policies, browser storage, log-in prompts, access for other sites. The hub's content policy for
data stands instead: a plugin's page is drawn by its bundle, not by HTML that it answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from urllib.parse import quote

from toru.memo import remembered

Header = tuple[str, str]
"""A name and a value; names may repeat."""

MAX_HEADERS = 200
MAX_HEADER_BYTES = 64 * 1024
"""Names and values of one message together."""

_HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
_NOT_TO_PLUGIN = frozenset(
    {
        "accept-encoding",
        "authorization",
        "cf-connecting-ip",
        "content-length",
        "cookie",
        "cookie2",
        "expect",
        "forwarded",
        "true-client-ip",
        "x-client-ip",
        "x-real-ip",
    }
)
_NOT_TO_PLUGIN_PREFIXES = ("x-toru-", "x-forwarded-", "http2-settings")
_NOT_TO_BROWSER = frozenset(
    {
        "alt-svc",
        "clear-site-data",
        "content-length",
        "content-security-policy",
        "content-security-policy-report-only",
        "date",
        "nel",
        "origin-agent-cluster",
        "permissions-policy",
        "public-key-pins",
        "referrer-policy",
        "report-to",
        "reporting-endpoints",
        "server",
        "service-worker-allowed",
        "set-cookie",
        "set-cookie2",
        "set-login",
        "sourcemap",
        "speculation-rules",
        "strict-transport-security",
        "www-authenticate",
        "x-content-type-options",
        "x-frame-options",
    }
)
_NOT_TO_BROWSER_PREFIXES = ("x-toru-", "access-control-", "cross-origin-")

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
# RFC 9110, 5.5: visible characters, blanks and tabs; obs-text as the one byte that it is.
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*")
_PLAIN = "".join(chr(code) for code in range(0x20, 0x7F) if chr(code) not in '%"\\')


def header_fault(headers: Iterable[Header]) -> str | None:
    """Return why headers must not be passed on, as a sentence; None when they may be."""
    size = 0
    for number, (name, value) in enumerate(headers, start=1):
        if not _TOKEN.fullmatch(name):
            return f"A header name has characters that no header name may have: {name[:40]!r}."
        if not _VALUE.fullmatch(value):
            return (
                f"The header {name[:40]} has a line break or a character that no header may have."
            )
        size += len(name) + len(value)
        if number > MAX_HEADERS or size > MAX_HEADER_BYTES:
            return "There are too many headers."
    return None


def request_headers(
    headers: Iterable[Header],
    *,
    user: str,
    role: str,
    client_address: str,
    scheme: str,
    host: str,
) -> tuple[Header, ...]:
    """Return the headers of a forwarded request.

    Args:
        headers: as the client sent them.
        user: the name of the session's user; percent-encoded as UTF-8 where it is not plain ASCII.
        role: of the session.
        client_address: of the client, behind trusted proxies.
        scheme: ``http`` or ``https``, as the client sees it.
        host: the Host header; empty without one.
    """
    kept = _without(headers, _reaches_plugin)
    added = [
        ("X-Toru-User", _percent_encoded(user)),
        ("X-Toru-Role", role),
        ("X-Forwarded-For", client_address),
        ("X-Forwarded-Proto", scheme),
    ]
    if host:
        added.append(("X-Forwarded-Host", host))
    return (*kept, *added)


def answer_headers(headers: Iterable[Header]) -> tuple[Header, ...]:
    """Return the headers of a plugin's answer that the browser gets; the length is to be added."""
    return tuple(_without(headers, _reaches_browser))


def is_event_stream(headers: Iterable[Header]) -> bool:
    """Return whether an answer is a stream of server-sent events (HTML, 9.2)."""
    return any(
        name.lower() == "content-type" and value.lower().startswith("text/event-stream")
        for name, value in headers
    )


def body_allowed(status: int, method: str) -> bool:
    """Return whether an answer has a body (RFC 9110, 6.4.1)."""
    return method != "HEAD" and status >= 200 and status not in {204, 205, 304}


def _without(headers: Iterable[Header], passes: Callable[[str], bool]) -> list[Header]:
    every = list(headers)
    kept = [header for header in every if passes(header[0])]
    options = {
        option.strip().lower()
        for name, value in every
        if name.lower() == "connection"
        for option in value.split(",")
    }
    return [header for header in kept if header[0].lower() not in options] if options else kept


@remembered(512)
def _reaches_plugin(name: str) -> bool:
    return _passes(name, _NOT_TO_PLUGIN, _NOT_TO_PLUGIN_PREFIXES)


@remembered(512)
def _reaches_browser(name: str) -> bool:
    return _passes(name, _NOT_TO_BROWSER, _NOT_TO_BROWSER_PREFIXES)


def _passes(name: str, names: frozenset[str], prefixes: tuple[str, ...]) -> bool:
    # CGI and WSGI make one name of both, so X_Toru_User would be taken for X-Toru-User.
    plain = name.lower().replace("_", "-")
    is_kept_back = plain in names or plain.startswith(prefixes)
    return not is_kept_back and name.lower() not in _HOP_BY_HOP


@remembered(512)
def _percent_encoded(user: str) -> str:
    return quote(user, safe=_PLAIN)
