"""The document of the sandbox in which a plugin's page may be shown.

It is the same for everybody and has nothing of anybody. Its only script stands in it, because a
document without an origin may load nothing from the hub; `static/sandbox/frame.js` is its source.

Runs on: the event loop.
"""

from __future__ import annotations

import base64
import hashlib
from typing import ClassVar

from toru.domain.permissions import Access
from toru.errors import NotFound
from toru.storage.static_files import StaticFile, StaticFiles
from toru.web.base import ApiHandler
from toru.web.headers import FRAME_PATH, frame_policy

SCRIPT_PATH = "/sandbox/frame.js"

_BEFORE = b"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>A plugin's page</title>
<script>"""
_AFTER = b"</script>\n</head>\n<body></body>\n</html>\n"


class PluginFrameHandler(ApiHandler):
    """``/plugin-frame``."""

    roles: ClassVar[dict[str, Access]] = {"GET": "anon"}

    async def get(self) -> None:
        """Answer with the document, which only the dashboard may put into a frame."""
        files: StaticFiles = self.application.settings["static_files"]
        script = await files.find(SCRIPT_PATH)
        if script is None:
            raise NotFound("There is no such file.")
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Content-Security-Policy", frame_policy(_hash_of(script)))
        self.set_header("X-DNS-Prefetch-Control", "off")
        self.set_header("Cache-Control", "no-cache")
        self.finish(_BEFORE + script.content + _AFTER)


def _hash_of(script: StaticFile) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.content).digest()).decode()


PAGES = [(rf"{FRAME_PATH}$", PluginFrameHandler)]
