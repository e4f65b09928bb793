"""The scripts that can be run: their list, their headers, and the command of each.

Runs on: a thread of its own, because it waits for the file system.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from toru.actors import script_files
from toru.actors.messages.scripts import (
    CheckScriptsFolder,
    ListScripts,
    ResolvedScript,
    ResolveScript,
    Script,
)
from toru.actors.messages.settings import SettingsChanged
from toru.actors.messages.storage import GetSettings
from toru.actors.runtime import ActorContext, Address, Message, ThreadActor
from toru.actors.script_files import Listed
from toru.domain.script_header import HEADER_BYTES, parse_header
from toru.domain.settings import folder_path, settings_table, values_in_force

DATABASE_DEADLINE_S = 10.0


class Scripts(ThreadActor):
    """Knows the scripts folder in force; holds no script's content, only its header.

    Args:
        db_reader: where the setting ``scripts_dir`` is read at the start; later changes are told
            by Settings.
        scripts_dir: the default of that setting.
        start_folder: where a relative folder begins.
    """

    def __init__(
        self, context: ActorContext, db_reader: Address, scripts_dir: Path, start_folder: Path
    ) -> None:
        super().__init__(context)
        self._db_reader = db_reader
        self._default = scripts_dir
        self._start_folder = start_folder
        self._folder = start_folder / scripts_dir
        self._headers: dict[str, tuple[Listed, Script]] = {}

    def on_start(self) -> None:
        """Learn which folder is in force."""
        reply = self._db_reader.ask(GetSettings())
        stored = reply.get(timeout=DATABASE_DEADLINE_S)
        values, _ = values_in_force(settings_table(self._default), stored)
        self._use_folder(values["scripts_dir"])

    def on_receive(self, message: Message[Any]) -> Any:
        """Answer one message."""
        match message:
            case ListScripts():
                return self._list()
            case ResolveScript(name=name):
                return self._resolve(name)
            case CheckScriptsFolder(value=value):
                script_files.check_folder(folder_path(value, self._start_folder))
            case SettingsChanged(key="scripts_dir", value=value):
                self._use_folder(value)
        return None

    def _use_folder(self, value: str) -> None:
        self._folder = folder_path(value, self._start_folder)
        self._headers.clear()

    def _list(self) -> list[Script]:
        listed = script_files.list_files(self._folder)
        self._headers = {item.name: (item, self._describe(item)) for item in listed}
        return [script for _, script in self._headers.values()]

    def _describe(self, item: Listed) -> Script:
        known = self._headers.get(item.name)
        if known is not None and known[0] == item:
            return known[1]
        header = parse_header(script_files.read_head_of(self._folder, item.name))
        names = tuple(parameter.name for parameter in header.parameters)
        return Script(item.name, header.description, names, header.parameters)

    def _resolve(self, name: str) -> ResolvedScript:
        script = script_files.open_script(self._folder, name)
        return ResolvedScript(
            name=name,
            argv=script_files.argv_of(script),
            cwd=str(self._folder),
            parameters=parse_header(script.head[:HEADER_BYTES]).parameters,
        )
