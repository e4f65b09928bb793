"""What the admin has chosen: the folder, and whether clients may see it.

Kept in a file of the plugin's own folder and not among its keys, which every person who is logged
in may set from the browser.

Runs on: any thread.
"""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any, NamedTuple

from toru_plugin import HttpError, Plugin

_FILE = "choices.json"


class Choices(NamedTuple):
    """What holds at a moment.

    Attributes:
        root: the folder's path; None when none was chosen.
        is_fixed: whether it comes from the plugin's settings, and cannot be changed on its page.
        clients_may_read: whether clients may browse, view and download.
    """

    root: str | None
    is_fixed: bool
    clients_may_read: bool


class ChoiceFile:
    """Reads and writes the choices.

    Args:
        plugin: whose.
    """

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin
        self._turn = threading.Lock()

    @property
    def folder(self) -> Path:
        """The plugin's own folder; raises `HttpError` with protocol 1, which has none."""
        if self._plugin.data_dir is None:
            sentence = "Files needs version 2 of the plugin protocol; this hub spoke version 1."
            raise HttpError(501, sentence, "protocol")
        return Path(self._plugin.data_dir)

    def read(self) -> Choices:
        """Return what holds now."""
        kept = self._kept()
        given = self._plugin.config.get("root")
        is_fixed = isinstance(given, str) and given != ""
        root = given if is_fixed else kept.get("root")
        return Choices(
            root if isinstance(root, str) else None, is_fixed, kept.get("clients_may_read") is True
        )

    def change(self, wish: Any) -> Choices:
        """Keep what is wished for, and return what holds now.

        Raises:
            HttpError: 400, a value is not possible; nothing has changed.
        """
        if not isinstance(wish, dict) or not wish or set(wish) - {"root", "clients_may_read"}:
            raise HttpError(400, "Send root, clients_may_read or both.", "bad_request")
        if not isinstance(wish.get("clients_may_read", False), bool):
            raise HttpError(400, "clients_may_read is true or false.", "bad_request")
        with self._turn:
            if "root" in wish:
                if self.read().is_fixed:
                    raise HttpError(409, "The folder is set in the plugin's settings.", "fixed")
                wish = {**wish, "root": self.checked(wish["root"])}
            self._keep({**self._kept(), **wish})
            return self.read()

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

    def _kept(self) -> dict[str, Any]:
        try:
            found = json.loads((self.folder / _FILE).read_text("utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            self._plugin.log.error("The choices cannot be read.", error=str(error))
            return {}
        return found if isinstance(found, dict) else {}

    def _keep(self, choices: dict[str, Any]) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = self.folder / f".{_FILE}"
        draft.write_text(json.dumps(choices), "utf-8")
        draft.replace(self.folder / _FILE)
