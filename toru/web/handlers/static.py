"""The dashboard: its files, and its page for every path that nothing else has.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import ClassVar

from tornado.web import RequestHandler

from toru.domain.permissions import Access
from toru.errors import NotFound
from toru.storage.static_files import INDEX_PATH, TYPES, StaticFile, StaticFiles
from toru.web.base import ApiHandler
from toru.web.headers import page_policy

REVALIDATE = "no-cache"
FOR_EVER = "public, max-age=31536000, immutable"


class StaticHandler(ApiHandler):
    """Every path outside ``/api``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "anon"}

    _etag: str | None = None

    @property
    def _files(self) -> StaticFiles:
        files: StaticFiles = self.application.settings["static_files"]
        return files

    async def get(self, path: str) -> None:
        """Send a file, or the page of the dashboard, which reads the path itself."""
        file = await self._files.find(f"/{path}")
        if file is None and not _is_asset(path):
            file = await self._files.find(INDEX_PATH)
        if file is None:
            raise NotFound("There is no such file.")
        self._send(file)

    def _send(self, file: StaticFile) -> None:
        packed = file.packed if self._takes_gzip() else None
        self._etag = f'"{file.digest}{"-gz" if packed else ""}"'
        is_this_version = self.get_query_argument("v", "") == file.digest and not file.is_page
        self.set_header("Content-Type", file.content_type)
        self.set_header("Cache-Control", FOR_EVER if is_this_version else REVALIDATE)
        if file.is_page:
            self.set_header("Content-Security-Policy", page_policy(file.script_hashes))
        if file.packed is not None:
            self.set_header("Vary", "Accept-Encoding")
        if packed is not None:
            self.set_header("Content-Encoding", "gzip")
        self.finish(packed or file.content)

    def _takes_gzip(self) -> bool:
        codings = self.request.headers.get("Accept-Encoding", "").replace(" ", "").lower()
        return any(
            coding.partition(";")[0] == "gzip" and not coding.endswith((";q=0", ";q=0.0"))
            for coding in codings.split(",")
        )

    def compute_etag(self) -> str | None:
        """Return the version of what is sent; Tornado answers 304 where the client has it."""
        return self._etag

    def check_etag_header(self) -> bool:
        """Compare, but never for refusals."""
        return self._etag is not None and RequestHandler.check_etag_header(self)


def _is_asset(path: str) -> bool:
    """Return whether a path asks for a file: pages of the dashboard have no such endings."""
    dot = path.rfind(".")
    return dot >= 0 and path[dot:] in TYPES.keys() - {".html", ".txt"}
