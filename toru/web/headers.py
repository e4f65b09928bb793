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
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "object-src 'none'",
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

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Add the headers; a handler may have set its own content policy. Tornado calls it."""
        del finishing
        for name, value in self._fixed.items():
            headers[name] = value
        headers.setdefault("Content-Security-Policy", NO_CONTENT_POLICY)
        if self._is_api:
            headers["Cache-Control"] = "no-store"
        return status_code, headers, chunk


def security_headers(*, hsts: bool) -> Callable[[HTTPServerRequest], OutputTransform]:
    """Return what makes the transform of a request."""
    fixed = fixed_headers(hsts=hsts)
    return lambda request: SecurityHeaders(request, fixed)
