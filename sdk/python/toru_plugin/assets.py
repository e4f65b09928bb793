"""Files beside a plugin's code, in its folder or in the archive that it was built to.

Runs on: any thread.
"""

from __future__ import annotations

import mimetypes
import os
from typing import Any

from .errors import PluginError

_OWN_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
}


def read(module: dict[str, Any], name: str) -> bytes:
    """Return the content of a file.

    Args:
        module: the globals of a module that lies in the same folder.
        name: the file's path from there, with slashes.

    Raises:
        PluginError: it cannot be read.
    """
    folder = os.path.dirname(os.path.abspath(module.get("__file__", "")))  # noqa: PTH100, PTH120 - inside an archive
    path = os.path.join(folder, *name.split("/"))  # noqa: PTH118 - inside an archive
    loader = module.get("__loader__")
    try:
        if hasattr(loader, "get_data"):
            content: bytes = loader.get_data(path)  # type: ignore[union-attr] # seen above
            return content
        with open(path, "rb") as file:  # noqa: PTH123 - as above
            return file.read()
    except OSError as error:
        raise PluginError(f"the plugin's file {name} cannot be read: {error}") from None


def content_type(name: str) -> str:
    """Return the content type that a file's name implies."""
    suffix = os.path.splitext(name)[1].lower()  # noqa: PTH122 - a name, not a path
    return _OWN_TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
