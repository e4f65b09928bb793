"""``toru plugin install``, ``rollback`` and ``remove``: which version of a plugin a hub has.

The file is offered in the plugins folder, which takes access to that; a hub that runs is then asked
to install it. Without one it is put in place here, after the same checks.

Runs on: the main thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec

from toru.actors.messages.plugin_install import InstallState
from toru.cli.client import HubClient, HubUnreachable, client_from_environment
from toru.cli.failure import CommandError
from toru.cli.pidfile import find_hub
from toru.cli.plugin_build import probe_plugin
from toru.cli.terminal import confirm, is_interactive, tell
from toru.clock import utc_now
from toru.config import data_dir_of, plugins_dir_of
from toru.domain import plugin_install
from toru.domain.plugin_install import SUFFIX, Version
from toru.domain.plugin_metadata import BrokenPlugin, PluginMetadata
from toru.domain.plugin_routes import Registration
from toru.errors import ToruError
from toru.storage.plugin_versions import PluginVersions, sha256_of

NOT_INSTALLED = 1

_LOOK_S = 0.2
_PROBES_AT_A_TIME = 4


def install(
    file: Path,
    *,
    sha256: str | None,
    folder: Path | None,
    url: str | None,
    username: str | None,
    as_json: bool,
) -> int:
    """Install a file as a plugin's new version and return the exit code.

    Args:
        file: the executable.
        sha256: the checksum that it must have, if one is demanded.
        folder: the plugins folder; None for the one of the environment.
        url: the hub's address; None for the one of the environment.
        username: who to log in as; None for the one of the environment.
        as_json: whether to print JSON.

    Raises:
        CommandError: it cannot be installed.
    """
    versions = PluginVersions(_checked_folder(folder))
    wanted = _check_file(file, sha256)
    client = asyncio.run(_running_hub(url, username))
    if client is None:
        return _report(_install_here(versions, file, wanted), as_json=as_json)
    offered = _offer(versions, file, wanted)
    try:
        state = asyncio.run(_follow(client, {"sha256": offered}))
    except KeyboardInterrupt:
        tell("The hub goes on without you; the plugin's events will say what came of it.")
        raise
    except BaseException:
        versions.unstage(offered)
        raise
    versions.unstage(offered)
    return _report(state, as_json=as_json)


def roll_back(
    plugin_id: str,
    *,
    folder: Path | None,
    url: str | None,
    username: str | None,
    as_json: bool,
) -> int:
    """Bring back the version before the present one and return the exit code; see `install`."""
    client = asyncio.run(_running_hub(url, username))
    if client is not None:
        state = asyncio.run(_follow(client, {"rollback": plugin_id}))
    else:
        state = _roll_back_here(PluginVersions(_checked_folder(folder)), plugin_id)
    return _report(state, as_json=as_json)


def remove(plugin_id: str, *, folder: Path | None, yes: bool) -> int:
    """Take a plugin out of the plugins folder and return the exit code.

    Raises:
        CommandError: there is none, or nobody said yes.
    """
    versions = PluginVersions(_checked_folder(folder))
    with _as_command(), versions.locked():
        entry = versions.book().get(plugin_id)
        name = f"{plugin_id}{SUFFIX}" if entry is None else entry.file
        if entry is None and not (versions.folder / name).is_file():
            raise CommandError(
                f'No plugin "{plugin_id}" is installed in {versions.folder}.',
                exit_code=NOT_INSTALLED,
            )
        if not yes and not _wants_removal(versions.folder / name):
            tell("Nothing was removed.")
            return NOT_INSTALLED
        versions.remove(plugin_id, name)
    print(f"{plugin_id} is removed; its keys and its data folder are still there.")
    return 0


def _wants_removal(path: Path) -> bool:
    if not is_interactive():
        raise CommandError(f"Add --yes to remove {path}.", exit_code=NOT_INSTALLED)
    return confirm(f"Remove {path} and the version before it?")


# What is offered


def _checked_folder(folder: Path | None) -> Path:
    chosen = plugins_dir_of(os.environ) if folder is None else Path.cwd() / folder
    if not chosen.is_dir():
        raise CommandError(
            f"There is no plugins folder {chosen}; name it with --plugins-dir or "
            "TORU_PLUGINS_DIR, as the hub has it.",
            exit_code=2,
        )
    return chosen


def _check_file(file: Path, sha256: str | None) -> str:
    """Return the file's checksum, which is the demanded one if one is."""
    if sha256 is not None:
        try:
            sha256 = plugin_install.checked_sha256(sha256)
        except ToruError as error:
            raise CommandError(error.sentence, exit_code=2) from None
    if not file.is_file():
        raise CommandError(f"{file} is not a file.", exit_code=2)
    with _as_command():
        found = sha256_of(file)
    if sha256 is not None and found != sha256:
        raise CommandError(
            f"Nothing was done: {file} has the SHA-256 {found}, not {sha256}.",
            exit_code=NOT_INSTALLED,
        )
    return found


def _offer(versions: PluginVersions, file: Path, sha256: str) -> str:
    """Offer a copy of the file, which is what was looked at, and return its checksum."""
    try:
        offered = versions.stage(file)
    except OSError as error:
        raise CommandError(
            f"The plugins folder {versions.folder} cannot be written ({error.strerror}); who "
            "installs needs access to it.",
            exit_code=NOT_INSTALLED,
        ) from None
    if offered != sha256:
        versions.unstage(offered)
        raise CommandError(
            f"Nothing was done: {file} was changed just now.", exit_code=NOT_INSTALLED
        )
    return offered


# Through a hub


async def _running_hub(url: str | None, username: str | None) -> HubClient | None:
    """Return the way to the hub; None when none runs. CommandError when it cannot be reached."""
    client = client_from_environment(url, username)
    if await client.answers():
        return client
    if url is not None:
        raise HubUnreachable(f"No hub answers at {client.url}.")
    hub = find_hub(data_dir_of(os.environ))
    if hub is not None:
        raise CommandError(
            f"A hub runs here (pid {hub.pid}), but none answers at {client.url}; name its address "
            "with --url."
        )
    return None


async def _follow(client: HubClient, wish: Mapping[str, object]) -> InstallState:
    """Have it done, tell how far it is, and return how it has ended."""
    state = _state(await client.post("plugin-installs", wish))
    step = ""
    while state.state == "running":
        if state.step != step:
            step = state.step
            tell(step)
        await asyncio.sleep(_LOOK_S)
        try:
            state = _state(await client.get(f"plugin-installs/{state.id}"))
        except HubUnreachable as error:
            raise CommandError(
                f"{error.sentence} It has gone while it installed; when it is started again, the "
                "old version or the new one is in place."
            ) from None
    return state


def _state(answer: Any) -> InstallState:
    try:
        return msgspec.convert(answer, InstallState)
    except msgspec.ValidationError:
        raise CommandError("The hub is of another version than this command.") from None


# Without a hub


@contextlib.contextmanager
def _as_command() -> Any:
    """Make a failure of what is done here one sentence with an exit code."""
    try:
        yield
    except CommandError:
        raise
    except ToruError as error:
        raise CommandError(error.sentence, exit_code=NOT_INSTALLED) from None
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        sentence = f"{where}{error.strerror or error}."
        raise CommandError(sentence, exit_code=NOT_INSTALLED) from None


def _install_here(versions: PluginVersions, file: Path, sha256: str) -> InstallState:
    tell("No hub runs; the file is put in place for its next start.")
    with _as_command(), versions.locked():
        versions.recover()
        offered = _offer(versions, file, sha256)
        try:
            return _place_offered(versions, offered)
        finally:
            versions.unstage(offered)


def _place_offered(versions: PluginVersions, sha256: str) -> InstallState:
    metadata = probe_plugin(versions.staged(sha256))
    known, broken = _known_plugins(versions.folder)
    book = versions.book()
    registrations = [Registration(name, one.id, one.route) for name, one in known.items()]
    name = plugin_install.chosen_file(metadata, registrations, book, broken)
    before = known[name].version if name in known else None
    state = _here("install", metadata, name, sha256, before)
    entry = book.get(metadata.id)
    target = versions.folder / name
    is_pinned = entry is not None and entry.current is not None and entry.current.sha256 == sha256
    if is_pinned and target.is_file() and sha256_of(target) == sha256:
        return _ended(state, "unchanged", "is what is installed already")
    versions.keep(versions.staged(sha256), sha256, name)
    coming = Version(sha256, metadata.version, utc_now())
    versions.put_in_place(metadata.id, name, coming, before or "")
    versions.tidy(versions.book())
    return _placed(state, versions.folder)


def _roll_back_here(versions: PluginVersions, plugin_id: str) -> InstallState:
    tell("No hub runs; the version before is put in place for its next start.")
    with _as_command(), versions.locked():
        versions.recover()
        name, version = plugin_install.version_before(versions.book(), plugin_id)
        kept = versions.kept(version.sha256, name)
        plugin_install.check_pinned(version.sha256, sha256_of(kept))
        metadata = probe_plugin(kept)
        current = versions.book()[plugin_id].current
        before = None if current is None else current.version
        coming = Version(version.sha256, metadata.version, utc_now())
        versions.put_in_place(plugin_id, name, coming, "")
        state = _here("rollback", metadata, name, version.sha256, before)
        return _placed(state, versions.folder)


def _known_plugins(folder: Path) -> tuple[dict[str, PluginMetadata], list[str]]:
    """Run all files with ``--metadata``; return what they say, and the names of the broken ones."""
    paths = sorted(path for path in folder.iterdir() if path.name.endswith(SUFFIX))
    with ThreadPoolExecutor(_PROBES_AT_A_TIME) as pool:
        found = dict(zip((path.name for path in paths), pool.map(_probed, paths), strict=True))
    known = {name: metadata for name, metadata in found.items() if metadata is not None}
    return known, [name for name in found if name not in known]


def _probed(path: Path) -> PluginMetadata | None:
    try:
        return probe_plugin(path)
    except (BrokenPlugin, OSError):
        return None


def _here(
    kind: Any, metadata: PluginMetadata, name: str, sha256: str, before: str | None
) -> InstallState:
    return InstallState(
        id="",
        kind=kind,
        state="done",
        step="",
        began_at=utc_now(),
        plugin=metadata.id,
        file=name,
        sha256=sha256,
        version=metadata.version,
        previous_version=before,
    )


def _placed(state: InstallState, folder: Path) -> InstallState:
    if _is_disabled(folder, state.plugin or ""):
        return _ended(state, "disabled", "is in place, but disabled")
    return _ended(state, "placed", "is in place, and starts with the hub")


def _ended(state: InstallState, outcome: Any, what: str) -> InstallState:
    step = f"Version {state.version} {what}."
    return msgspec.structs.replace(state, outcome=outcome, step=step)


def _is_disabled(folder: Path, plugin_id: str) -> bool:
    try:
        config = json.loads((folder / ".metadata" / "config.json").read_bytes())
        return config["plugins"].get(plugin_id) is False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


# What is printed


def _report(state: InstallState, *, as_json: bool) -> int:
    if as_json:
        sys.stdout.write(json.dumps(msgspec.to_builtins(state), indent=2) + "\n")
    elif state.state == "done":
        print(f"{state.plugin}: {state.step}")
        print(f"  file    {state.file}")
        print(f"  sha256  {state.sha256}")
        if state.previous_version and state.outcome != "unchanged":
            print(f"  before  {state.previous_version} (toru plugin rollback {state.plugin})")
    if state.state == "done":
        return 0
    if not as_json:
        tell(f"Not installed: {state.error}")
        if state.previous_version:
            tell(f"Version {state.previous_version} is as it was.")
    return NOT_INSTALLED
