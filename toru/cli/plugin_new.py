"""``toru plugin new``: a folder with a small plugin that builds, runs and passes its own test.

The templates are real files beside this module. Three words in them stand for the plugin's id, name
and author; as those have no characters that mean anything in any language, they may stand anywhere.

Runs on: the main thread of the command line.
"""

from __future__ import annotations

import getpass
import re
import shutil
from pathlib import Path

from toru.domain.plugin_metadata import MAX_ID_CHARS, RESERVED_IDS, shown
from toru.errors import ToruError

TEMPLATES = Path(__file__).parent / "templates"
CRATES = Path(__file__).parent.parent / "_sdk_rust"
"""A link in a checkout, files in a wheel."""
_CRATE = "toru-plugin-api"
_ID_WORD = "__plugin_id__"
_NAME_WORD = "__plugin_name__"
_AUTHOR_WORD = "__plugin_author__"
_AUTHOR = re.compile(r"[A-Za-z0-9._-]{1,64}")
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
            f"There is no template for {shown(language)}; there are {', '.join(languages())}."
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
        if language == "rust":
            _add_crate(folder / _CRATE)
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
        text = text.replace(_AUTHOR_WORD, _author())
        target.write_text(text, "utf-8")
        if text.startswith("#!"):
            target.chmod(0o755)


def _add_crate(folder: Path) -> None:
    """Copy the library for plugins, which no registry of crates has."""
    source = CRATES / _CRATE
    shutil.copytree(source / "src", folder / "src")
    for name in ("Cargo.toml", "rustfmt.toml"):
        shutil.copyfile(source / name, folder / name)


def _author() -> str:
    """Return the login name of whoever makes it."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a user whom this machine does not know by name
        name = ""
    return name if _AUTHOR.fullmatch(name) else "me"


def _readable(name: str) -> str:
    """Return a name for people: ``disk-guard`` becomes ``Disk guard``."""
    words = " ".join(name.replace("-", " ").split())
    return words[:1].upper() + words[1:]
