"""Versions of plugins in a real folder: whoever is interrupted leaves one whole version."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toru.domain.plugin_install import Pin, Version
from toru.domain.plugin_metadata import BrokenPlugin
from toru.errors import Conflict, NotFound, Unavailable
from toru.storage import plugin_versions
from toru.storage.plugin_versions import PluginVersions, sha256_of

NAME = "disk.binary"


class Killed(BaseException):
    """Stands for the end of the process: nothing is caught on the way, and nothing tidied."""


@pytest.fixture
def versions(tmp_path: Path) -> PluginVersions:
    folder = tmp_path / "plugins"
    folder.mkdir()
    return PluginVersions(folder)


def offered(versions: PluginVersions, content: bytes) -> str:
    source = versions.folder.parent / "source"
    source.write_bytes(content)
    return versions.stage(source)


def place(versions: PluginVersions, content: bytes, version: str) -> str:
    """Do what an install does to the folder."""
    sha256 = offered(versions, content)
    versions.keep(versions.staged(sha256), sha256, NAME)
    versions.unstage(sha256)
    coming = Version(sha256, version, "2026-01-01T00:00:00.000Z")
    versions.put_in_place("disk", NAME, coming, "by hand")
    return sha256


def test_what_is_installed_is_pinned_and_the_one_before_kept(versions: PluginVersions) -> None:
    first = place(versions, b"one", "1")
    assert versions.pin(NAME) == Pin(first, "2026-01-01T00:00:00.000Z", None)
    second = place(versions, b"two", "2")
    third = place(versions, b"three", "3")
    versions.recover()
    assert (versions.folder / NAME).read_bytes() == b"three"
    assert os.access(versions.folder / NAME, os.X_OK)
    assert versions.kept(second, NAME).read_bytes() == b"two"
    assert not versions.kept(first, NAME).exists()
    pin = versions.pin(NAME)
    assert pin is not None
    assert (pin.sha256, pin.previous_version) == (third, "2")
    assert versions.pin("other.binary") is None
    assert {path.name for path in versions.folder.iterdir()} == {".metadata", NAME}


def test_a_file_put_there_by_hand_is_kept_with_its_mode_and_its_links(
    versions: PluginVersions,
) -> None:
    (versions.folder / "builds").mkdir()
    real = versions.folder / "builds" / "disk-1"
    real.write_bytes(b"hand")
    real.chmod(0o700)
    (versions.folder / NAME).symlink_to("builds/disk-1")
    place(versions, b"new", "2")
    previous = versions.book()["disk"].previous
    assert previous == Version(sha256_of(real), "by hand")
    assert versions.kept(previous.sha256, NAME).read_bytes() == b"hand"
    assert not (versions.folder / NAME).is_symlink()
    assert real.stat().st_mode & 0o777 == 0o700


def test_where_a_file_can_have_one_name_only_it_is_copied(
    versions: PluginVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    place(versions, b"one", "1")
    second = place(versions, b"two", "2")
    assert (versions.folder / NAME).read_bytes() == b"two"
    assert os.access(versions.folder / NAME, os.X_OK)
    assert (versions.folder / NAME).stat().st_nlink == 1
    pin = versions.pin(NAME)
    assert pin is not None
    assert pin.sha256 == second


def kill_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Callable[[], int]:
    """Have everything that changes the folder end at the step of this number, before it is done."""
    taken = 0

    def counted(change: Callable[..., Any]) -> Callable[..., Any]:
        def instead(*args: Any, **kwargs: Any) -> Any:
            nonlocal taken
            taken += 1
            if taken >= step:  # nor is anything done after it
                raise Killed
            return change(*args, **kwargs)

        return instead

    for owner, names in (
        (os, ("link", "fsync")),
        (Path, ("replace", "unlink", "mkdir", "open", "chmod")),
        (plugin_versions, ("_sync_folder",)),
    ):
        for name in names:
            monkeypatch.setattr(owner, name, counted(getattr(owner, name)))
    return lambda: taken


@pytest.mark.parametrize("before", ["nothing", "by hand", "installed"])
def test_whoever_is_killed_at_any_step_leaves_the_old_version_or_the_new_one(
    versions: PluginVersions, monkeypatch: pytest.MonkeyPatch, before: str
) -> None:
    path = versions.folder / NAME
    seen = set()
    for step in range(1, 200):
        for left in versions.folder.rglob("*"):
            if left.is_file():
                left.unlink()
        if before == "by hand":
            path.write_bytes(b"old")
        elif before == "installed":
            place(versions, b"old", "1")
        with monkeypatch.context() as patched:
            kill_at(patched, step)
            try:
                place(versions, b"new", "2")
            except Killed:
                is_whole = False
            else:
                is_whole = True
        _check_pin(versions, path, recovered=False)
        with versions.locked():
            versions.recover()
        _check_pin(versions, path, recovered=True)
        seen.add(path.read_bytes() if path.exists() else None)
        if is_whole:
            break
    assert is_whole
    assert step > 10
    assert seen == {None if before == "nothing" else b"old", b"new"}


def _check_pin(versions: PluginVersions, path: Path, *, recovered: bool) -> None:
    """The file is whole, and held to what it is, at once as well as after the recovery."""
    pin = versions.pin(NAME) if path.exists() else None
    book = versions.book()
    content = path.read_bytes() if path.exists() else None
    assert content in (None, b"old", b"new")
    if content == b"new":
        assert pin is not None
    if pin is not None:
        assert pin.sha256 == sha256_of(path)
        assert versions.kept(pin.sha256, NAME).read_bytes() == content
    if recovered:
        assert all(entry.next is None for entry in book.values())
        assert not list(versions.folder.glob(".coming-*"))
        assert ("disk" in book) == (pin is not None)


def test_an_error_on_the_way_changes_nothing(
    versions: PluginVersions, monkeypatch: pytest.MonkeyPatch
) -> None:
    place(versions, b"old", "1")
    before = versions.book()
    replace = Path.replace

    def fail_for_the_file(self: Path, target: Path) -> Path:
        if target == versions.folder / NAME:
            raise OSError(28, "No space left on device")
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", fail_for_the_file)
    with pytest.raises(OSError, match="No space left"):
        place(versions, b"new", "2")
    assert versions.book() == before
    assert (versions.folder / NAME).read_bytes() == b"old"
    assert not list(versions.folder.glob(".coming-*"))


def test_only_a_plain_file_with_its_own_checksum_is_an_offer(versions: PluginVersions) -> None:
    sha256 = offered(versions, b"one")
    assert versions.staged(sha256.upper()).read_bytes() == b"one"
    with pytest.raises(NotFound, match=str(versions.folder)):
        versions.staged("0" * 64)
    incoming = versions.staged(sha256).parent
    (incoming / sha256).write_bytes(b"two")
    with pytest.raises(Conflict, match="is not the file"):
        versions.staged(sha256)
    (incoming / ("1" * 64)).symlink_to("/bin/sh")
    with pytest.raises(Conflict):
        versions.staged("1" * 64)
    os.mkfifo(incoming / ("2" * 64))
    with pytest.raises(Conflict):
        versions.staged("2" * 64)


def test_old_offers_are_removed_and_new_ones_left(versions: PluginVersions) -> None:
    old, new = offered(versions, b"old"), offered(versions, b"new")
    os.utime(versions.staged(old), (0, 0))
    versions.recover()
    assert versions.staged(new).exists()
    with pytest.raises(NotFound):
        versions.staged(old)


def test_one_installs_at_a_time_and_in_a_folder_that_can_be_written(
    versions: PluginVersions,
) -> None:
    with versions.locked(), pytest.raises(Conflict), PluginVersions(versions.folder).locked():
        pass
    with versions.locked():
        pass
    with pytest.raises(Unavailable, match="cannot be written"):
        PluginVersions(versions.folder / "none").lock()


def test_what_cannot_be_understood_lets_no_file_pass_as_installed(
    versions: PluginVersions,
) -> None:
    place(versions, b"one", "1")
    path = versions.folder / ".metadata" / "installed.json"
    path.write_text("{")
    with pytest.raises(BrokenPlugin, match="repair or remove"):
        versions.pin(NAME)
    path.write_text(json.dumps({"plugins": {"disk": {"file": NAME, "later": 1}}, "more": True}))
    assert versions.pin(NAME) is None


def test_a_removed_plugin_leaves_nothing(versions: PluginVersions) -> None:
    place(versions, b"one", "1")
    place(versions, b"two", "2")
    versions.remove("disk", NAME)
    assert not (versions.folder / NAME).exists()
    assert versions.book() == {}
    assert not list((versions.folder / ".metadata" / "versions").iterdir())
