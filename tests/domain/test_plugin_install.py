"""What is written down of installed plugins, and what is decided by it."""

from __future__ import annotations

import pytest

from toru.domain.plugin_install import (
    Installed,
    Pin,
    Version,
    begun,
    check_pinned,
    checked_sha256,
    chosen_file,
    done,
    kept_versions,
    pin_of,
    recovered,
    version_before,
    withdrawn,
)
from toru.domain.plugin_metadata import BrokenPlugin, PluginMetadata
from toru.domain.plugin_routes import Registration
from toru.errors import BadRequest, Conflict, NotFound

OLD, NEW, THIRD = (Version(letter * 64, letter, f"2026-01-0{n}") for n, letter in enumerate("abc"))
BY_HAND = Version("d" * 64, "d")


def about(plugin_id: str = "disk", route: str = "/disk") -> PluginMetadata:
    return PluginMetadata(plugin_id, "Disk", "1", route)


def place(file: str, plugin_id: str, route: str) -> Registration:
    return Registration(file, plugin_id, route)


# Which file it gets


def test_a_new_plugin_gets_a_file_after_its_id_and_a_known_one_keeps_its_own() -> None:
    assert chosen_file(about(), [], {}) == "disk.binary"
    others = [place("other.binary", "other", "/other")]
    assert chosen_file(about(), others, {}) == "disk.binary"
    known = [*others, place("x.binary", "disk", "/old-route")]
    assert chosen_file(about(), known, {}) == "x.binary"
    assert chosen_file(about(), others, {"disk": Installed("y.binary", OLD)}) == "y.binary"


def test_of_two_files_of_one_id_the_first_by_name_is_the_plugin() -> None:
    twice = [place("b.binary", "disk", "/b"), place("a.binary", "disk", "/a")]
    with pytest.raises(Conflict, match=r'id "disk" is already that of b\.binary'):
        chosen_file(about(), twice, {})


@pytest.mark.parametrize(
    ("known", "words"),
    [
        (place("a.binary", "other", "/disk"), 'route "/disk" is already that of a.binary'),
        (place("a.binary", "Disk", "/a"), 'id "disk" is already that of a.binary'),
        (place("disk.binary", "other", "/a"), 'is the plugin "other"'),
    ],
)
def test_an_id_a_route_or_a_file_of_another_is_refused(known: Registration, words: str) -> None:
    with pytest.raises(Conflict) as caught:
        chosen_file(about(), [known], {})
    assert words in caught.value.sentence


def test_the_file_of_another_installed_plugin_is_taken_only_when_it_is_no_plugin_any_more() -> None:
    book = {"other": Installed("disk.binary", OLD)}
    with pytest.raises(Conflict, match='installed as the plugin "other"'):
        chosen_file(about(), [], book)
    assert chosen_file(about(), [], book, ["disk.binary"]) == "disk.binary"


# What is written down


def test_a_change_is_noted_before_it_is_made_and_when_it_is_done() -> None:
    book = done(begun({}, "disk", "disk.binary", OLD, None), "disk")
    assert book == {"disk": Installed("disk.binary", OLD)}
    coming = begun(book, "disk", "disk.binary", NEW, OLD)
    assert coming["disk"] == Installed("disk.binary", OLD, None, NEW, OLD)
    assert kept_versions(coming) == {OLD.sha256, NEW.sha256}
    assert done(coming, "disk") == {"disk": Installed("disk.binary", NEW, OLD)}
    assert withdrawn(coming, "disk") == book


def test_one_version_before_is_kept_and_a_rollback_changes_both() -> None:
    book = {"disk": Installed("disk.binary", NEW, OLD)}
    third = done(begun(book, "disk", "disk.binary", THIRD, NEW), "disk")
    assert third == {"disk": Installed("disk.binary", THIRD, NEW)}
    assert kept_versions(third) == {THIRD.sha256, NEW.sha256}
    assert version_before(third, "disk") == ("disk.binary", NEW)
    back = done(begun(third, "disk", "disk.binary", NEW, THIRD), "disk")
    assert back == {"disk": Installed("disk.binary", NEW, THIRD)}


def test_the_same_version_once_more_does_not_become_the_one_before() -> None:
    book = {"disk": Installed("disk.binary", NEW, OLD)}
    assert done(begun(book, "disk", "disk.binary", NEW, NEW), "disk") == book


def test_without_a_version_before_there_is_no_rollback() -> None:
    with pytest.raises(NotFound, match="was not installed"):
        version_before({}, "disk")
    with pytest.raises(NotFound, match="No version before"):
        version_before({"disk": Installed("disk.binary", OLD)}, "disk")


@pytest.mark.parametrize(
    ("found", "wanted"),
    [
        (NEW.sha256, {"disk": Installed("disk.binary", NEW, OLD)}),
        (OLD.sha256, {"disk": Installed("disk.binary", OLD)}),
        ("f" * 64, {"disk": Installed("disk.binary", OLD)}),
        (None, {"disk": Installed("disk.binary", OLD)}),
    ],
)
def test_the_file_says_whether_a_change_was_made(
    found: str | None, wanted: dict[str, Installed]
) -> None:
    book = begun({"disk": Installed("disk.binary", OLD)}, "disk", "disk.binary", NEW, OLD)
    assert recovered(book, {"disk.binary": found}) == wanted
    assert recovered(wanted, {}) == wanted


def test_an_interrupted_first_install_leaves_nothing_or_the_plugin() -> None:
    book = begun({}, "disk", "disk.binary", NEW, None)
    assert recovered(book, {"disk.binary": None}) == {}
    assert recovered(book, {"disk.binary": NEW.sha256}) == {"disk": Installed("disk.binary", NEW)}


# The pin


def test_an_installed_file_is_held_to_its_checksum() -> None:
    entry = Installed("disk.binary", NEW, OLD)
    assert pin_of(entry, NEW.sha256) == Pin(NEW.sha256, NEW.installed_at, OLD.version)
    with pytest.raises(BrokenPlugin) as caught:
        pin_of(entry, OLD.sha256)
    assert "aaaaaaaaaaaa, not with bbbbbbbbbbbb" in caught.value.sentence
    assert "toru plugin install FILE" in caught.value.sentence
    check_pinned(NEW.sha256, NEW.sha256)


def test_while_a_change_is_made_either_version_is_right_and_nothing_else() -> None:
    coming = begun({"disk": Installed("disk.binary", OLD)}, "disk", "disk.binary", NEW, OLD)["disk"]
    assert pin_of(coming, OLD.sha256) == Pin(OLD.sha256, OLD.installed_at, None)
    assert pin_of(coming, NEW.sha256) == Pin(NEW.sha256, NEW.installed_at, OLD.version)
    with pytest.raises(BrokenPlugin):
        pin_of(coming, THIRD.sha256)


def test_a_file_that_was_put_there_by_hand_is_free_until_it_is_replaced() -> None:
    coming = begun({}, "disk", "disk.binary", NEW, BY_HAND)["disk"]
    assert pin_of(coming, BY_HAND.sha256) is None
    assert done({"disk": coming}, "disk")["disk"].previous == BY_HAND


def test_a_checksum_is_64_digits() -> None:
    assert checked_sha256(f" {'A' * 64}\n") == "a" * 64
    for text in ("", "a" * 63, "g" * 64, "../" + "a" * 61):
        with pytest.raises(BadRequest):
            checked_sha256(text)
