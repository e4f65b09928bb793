"""What the admin has chosen: the folder, and whether clients may see it.

Both are settings of the plugin, which the page changes as well as the administrator's form. They
are not among its keys, which every person who is logged in may set from the browser.

Runs on: any thread but the loop's.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, NamedTuple

from toru_plugin import CallError, HttpError, Plugin

SETTINGS = {
    "type": "object",
    "properties": {
        "root": {
            "type": "string",
            "format": "path",
            "title": "Folder on the server",
            "description": "What is in it and below can be browsed; nothing else.",
        },
        "clients_may_read": {
            "type": "boolean",
            "title": "Clients may browse, view and download",
            "default": False,
        },
    },
}
_OLD_FILE = "choices.json"
"""Where the choices were kept before there were settings."""


class Choices(NamedTuple):
    """What holds at a moment.

    Attributes:
        root: the folder's path; None when none was chosen.
        clients_may_read: whether clients may browse, view and download.
    """

    root: str | None
    clients_may_read: bool


class ChosenSettings:
    """Reads and changes the choices.

    Args:
        plugin: whose.
    """

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    @property
    def folder(self) -> Path:
        """The plugin's own folder; raises `HttpError` with protocol 1, which has none."""
        if self._plugin.data_dir is None:
            sentence = "Files needs version 2 of the plugin protocol; this hub spoke version 1."
            raise HttpError(501, sentence, "protocol")
        return Path(self._plugin.data_dir)

    def read(self) -> Choices:
        """Return what holds now."""
        config = self._plugin.config
        return Choices(config.get("root") or None, config.get("clients_may_read") is True)

    def change(self, wish: Any) -> Choices:
        """Keep what is wished for, and return what holds now.

        Raises:
            HttpError: 400, a value is not possible; nothing has changed.
        """
        if not isinstance(wish, dict) or not wish or set(wish) - {"root", "clients_may_read"}:
            raise HttpError(400, "Send root, clients_may_read or both.", "bad_request")
        if not isinstance(wish.get("clients_may_read", False), bool):
            raise HttpError(400, "clients_may_read is true or false.", "bad_request")
        if "root" in wish:
            wish = {**wish, "root": self.checked(wish["root"])}
        self._plugin.set_config(wish)
        return self.read()

    def take_over(self) -> None:
        """Have what an earlier version kept in a file of its own become the settings, once."""
        path = self.folder / _OLD_FILE
        try:
            kept = json.loads(path.read_text("utf-8"))
            values = {name: kept[name] for name in SETTINGS["properties"] if name in kept}
            self._plugin.set_config({**values, **self._given()})
            path.replace(path.with_suffix(".json.taken-over"))
        except FileNotFoundError:
            return
        except (OSError, ValueError, TypeError, CallError) as error:
            self._plugin.log.error("The earlier choices cannot be taken over.", error=str(error))
        else:
            self._plugin.log.info("The earlier choices are settings now.")

    def _given(self) -> dict[str, Any]:
        """Return the settings that say more than the defaults."""
        return {name: value for name, value in self._plugin.config.items() if value}

    def checked(self, root: Any) -> str:
        """Return a path that may be the root, without what links hide.

        Raises:
            HttpError: 400, it cannot be that; the sentence says why.
        """
        fault = self._fault_of(root)
        if fault:
            raise HttpError(400, fault, "bad_folder")
        return os.path.realpath(str(root))

    def _fault_of(self, root: Any) -> str | None:
        if not isinstance(root, str) or not root.startswith("/") or "\0" in root:
            return "Enter the whole path of a folder on the server; it begins with a slash."
        real = Path(os.path.realpath(root))
        if not real.is_dir():
            return f"There is no folder {root} on the server."
        if not os.access(real, os.R_OK | os.X_OK):
            return f"Toru has no permission to read the folder {root}."
        # <data>/plugins/<id>: the hub's database and runs are two levels up.
        hub = Path(os.path.realpath(self.folder)).parent.parent
        if real == hub or real in hub.parents or hub in real.parents:
            return "Toru's own data is in this folder. Choose another one."
        return None
