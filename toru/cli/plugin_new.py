"""``toru plugin new``: a folder with a small plugin that builds, runs and passes its own test.

The templates are real files beside this module. Two words in them stand for the plugin's id and
name; as a name has letters, digits and hyphens only, they may stand anywhere.

Runs on: the main thread of the command line.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from toru.domain.plugin_metadata import MAX_ID_CHARS, RESERVED_IDS, shown
from toru.errors import ToruError

TEMPLATES = Path(__file__).parent / "templates"
_ID_WORD = "__plugin_id__"
_NAME_WORD = "__plugin_name__"
_NAME = re.compile(rf"[A-Za-z][A-Za-z0-9-]{{0,{MAX_ID_CHARS - 1}}}")


class NewPluginError(ToruError):
    """The folder cannot be made; the sentence says why."""

    default_code = "new_plugin"


def languages() -> list[str]:
    """Return the languages that there are templates for."""
    return sorted(path.name for path in TEMPLATES.iterdir() if path.is_dir())


def make_plugin(name: str, language: str, parent: Path) -> Path:
    """Make the folder of a new plugin; nothing that exists is touched.

    Args:
        name: the plugin's id and the folder's name.
        language: one of `languages`.
        parent: the folder that gets the new one.

    Returns:
        The new folder.

    Raises:
        NewPluginError: the name or the language cannot be used, or the folder cannot be made.
    """
    _check_name(name)
    if language not in languages():
        raise NewPluginError(
            f"There is no template for {shown(language)} yet; there is {' and '.join(languages())}."
        )
    folder = parent.resolve() / name
    try:
        folder.mkdir()
    except FileExistsError:
        raise NewPluginError(f"{folder} exists already; nothing was changed.") from None
    except OSError as error:
        raise NewPluginError(f"{folder} cannot be made: {error.strerror}.") from None
    try:
        _fill(folder, TEMPLATES / language, name)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise NewPluginError(f"{folder} cannot be filled: {error.strerror}.") from None
    return folder


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise NewPluginError(
            f'The name "{shown(name)}" must be letters, digits and hyphens, '
            f"at most {MAX_ID_CHARS}, and begin with a letter."
        )
    if name.lower() in RESERVED_IDS:
        raise NewPluginError(f'The name "{name}" is a word that Toru needs; choose another.')


def _fill(folder: Path, template: Path, name: str) -> None:
    for source in sorted(template.rglob("*")):
        target = folder / source.relative_to(template)
        if "__pycache__" in source.parts:
            continue
        if source.is_dir():
            target.mkdir(exist_ok=True)
            continue
        text = source.read_text("utf-8")
        text = text.replace(_ID_WORD, name).replace(_NAME_WORD, _readable(name))
        target.write_text(text, "utf-8")
        if text.startswith("#!"):
            target.chmod(0o755)


def _readable(name: str) -> str:
    """Return a name for people: ``disk-guard`` becomes ``Disk guard``."""
    words = " ".join(name.replace("-", " ").split())
    return words[:1].upper() + words[1:]
