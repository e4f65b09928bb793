"""The security headers, on every answer of every handler.

Runs on: the event loop.
"""

from __future__ import annotations

from collections.abc import Callable

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.web import OutputTransform

ONE_YEAR_S = 31_536_000

NO_CONTENT_POLICY = "default-src 'none'; frame-ancestors 'none'"
"""For answers that are data."""

FRAME_PATH = "/plugin-frame"
"""The one document that may be in a frame: the dashboard's, around a plugin's page."""

SANDBOX = "allow-scripts allow-forms allow-downloads"
"""What a page in the sandbox may do: no origin, no pop-ups, no dialogs of the browser's, and no
way to the window around it. Forms never get anywhere; their events are for the page's scripts."""

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Server": "Toru",
}


def page_policy(script_hashes: tuple[str, ...]) -> str:
    """Return the Content-Security-Policy of the dashboard.

    Args:
        script_hashes: ``sha256-…`` of the inline scripts that its page has.
    """
    scripts = " ".join(["'self'", *(f"'{digest}'" for digest in script_hashes)])
    return "; ".join(
        [
            "default-src 'self'",
            f"script-src {scripts}",
            "style-src 'self' 'unsafe-inline'",
            "img-src 'self' data:",
            "connect-src 'self'",
            "frame-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "object-src 'none'",
        ]
    )


def frame_policy(script_hash: str) -> str:
    """Return the Content-Security-Policy of the document around a plugin's page in the sandbox.

    It has no network at all. What the page is made of comes from the dashboard by messages: the
    bundle becomes a ``blob:``, which nobody else can make for it.

    Args:
        script_hash: ``sha256-…`` of the document's own script.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src '{script_hash}' blob:",
            "style-src 'unsafe-inline'",
            "img-src data: blob:",
            "media-src data: blob:",
            "font-src data: blob:",
            "connect-src 'none'",
            "form-action 'none'",
            "base-uri 'none'",
            "frame-ancestors 'self'",
            f"sandbox {SANDBOX}",
        ]
    )


def fixed_headers(*, hsts: bool) -> dict[str, str]:
    """Return what is the same on every answer; ``hsts`` when it is served over TLS."""
    strict = {"Strict-Transport-Security": f"max-age={ONE_YEAR_S}"} if hsts else {}
    return ALWAYS | strict


class SecurityHeaders(OutputTransform):
    """Puts the headers on an answer as it leaves, whichever handler made it."""

    def __init__(self, request: HTTPServerRequest, fixed: dict[str, str]) -> None:
        super().__init__(request)
        self._fixed = fixed
        self._is_api = request.path == "/api" or request.path.startswith("/api/")
        self._is_frame = request.path == FRAME_PATH

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Add the headers; a handler may have set its own content policy. Tornado calls it."""
        del finishing
        for name, value in self._fixed.items():
            headers[name] = value
        if self._is_frame:
            headers["X-Frame-Options"] = "SAMEORIGIN"
        headers.setdefault("Content-Security-Policy", NO_CONTENT_POLICY)
        if self._is_api:
            headers["Cache-Control"] = "no-store"
        return status_code, headers, chunk


def security_headers(*, hsts: bool) -> Callable[[HTTPServerRequest], OutputTransform]:
    """Return what makes the transform of a request."""
    fixed = fixed_headers(hsts=hsts)
    return lambda request: SecurityHeaders(request, fixed)
