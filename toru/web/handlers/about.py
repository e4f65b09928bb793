"""What this installation is and where it keeps its things, for the page of the settings.

Runs on: the event loop.
"""

from __future__ import annotations

import platform
from typing import ClassVar

import msgspec

import toru
from toru.domain.permissions import Access
from toru.storage.database import engine
from toru.web.base import ApiHandler, Route
from toru.web.openapi import operation


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a person needs to know to back Toru up or to report a fault.

    Attributes:
        version: Toru's own.
        python: the version of Python that runs it.
        database: ``SQLite <version>`` or ``PostgreSQL``; never its address, which may hold a
            password.
        data_dir: the folder of the database and of the runs' output.
        plugins_dir: the folder of the plugins.
        log_dir: the folder of the logs.
        started_at: when the hub started.
    """

    version: str
    python: str
    database: str
    data_dir: str
    plugins_dir: str
    log_dir: str
    started_at: str


class AboutHandler(ApiHandler):
    """``/api/about``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "admin"}

    @operation(summary="Say which Toru this is and where it keeps its things.", answer=About)
    def get(self) -> None:
        """Answer at once, without asking any actor."""
        config = self.services.config
        self.answer(
            About(
                version=toru.__version__,
                python=platform.python_version(),
                database=engine(config.database_url),
                data_dir=str(config.data_dir),
                plugins_dir=str(config.plugins_dir),
                log_dir=str(config.log_dir),
                started_at=self.services.started_at,
            )
        )


ROUTES = [Route("/api/about", AboutHandler)]
