"""The file with this person's sessions: private, and never in the way."""

from __future__ import annotations

import stat
from pathlib import Path

from toru.cli.sessions import SessionStore, default_path


def test_tokens_are_kept_by_hub_and_user_in_a_file_that_nobody_else_reads(tmp_path: Path) -> None:
    path = tmp_path / "state/toru/sessions.json"
    store = SessionStore(path)
    store.put("http://a", "anna", "1")
    store.put("http://a", "ben", "2")
    store.put("http://b", "anna", "3")
    fresh = SessionStore(path)
    assert [fresh.get("http://a", "anna"), fresh.get("http://a", "ben")] == ["1", "2"]
    assert fresh.get("http://b", "ben") is None
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [item.name for item in path.parent.iterdir()] == ["sessions.json"]


def test_a_forgotten_token_is_gone(tmp_path: Path) -> None:
    store = SessionStore(tmp_path / "sessions.json")
    store.put("http://a", "anna", "1")
    store.forget("http://a", "anna")
    store.forget("http://a", "nobody")
    assert store.get("http://a", "anna") is None


def test_a_broken_file_counts_as_empty_and_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "sessions.json"
    for content in ("{", "[]", '{"http://a": 7}', '{"http://a": {"anna": 7}}'):
        path.write_text(content)
        assert SessionStore(path).get("http://a", "anna") is None
    SessionStore(path).put("http://a", "anna", "1")
    assert SessionStore(path).get("http://a", "anna") == "1"


def test_a_place_that_cannot_be_written_is_no_failure() -> None:
    store = SessionStore(Path("/proc/toru/sessions.json"))
    store.put("http://a", "anna", "1")
    assert store.get("http://a", "anna") is None


def test_the_file_is_in_the_persons_state_folder() -> None:
    assert default_path().name == "sessions.json"
    assert default_path().parent.name == "toru"
