"""What a start does with a database file: makes it, takes it over, or refuses it untouched.

Runs on: the test's main thread; real files.
"""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from toru.errors import ConfigError
from toru.storage import open_storage
from toru.storage.migrations import LATEST


def _make(path: Path, rows: int = 300) -> None:
    open_storage(f"sqlite:///{path}")
    with closing(sqlite3.connect(path)) as database:
        database.executemany(
            "INSERT INTO settings VALUES (?, ?)",
            [(str(number), "x" * 1000) for number in range(rows)],
        )
        database.commit()


def _refusal(path: Path) -> str:
    """Open a file that must be refused; return the sentence after checking that it is whole."""
    before = path.read_bytes()
    modified = path.stat().st_mtime_ns
    with pytest.raises(ConfigError) as refused:
        open_storage(f"sqlite:///{path}", busy_timeout_s=0.1)
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == modified
    sentence = refused.value.sentence
    assert "\n" not in sentence
    assert sentence.endswith(".")
    assert "Traceback" not in sentence
    return sentence


def _query(path: Path, sql: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


def test_a_new_database_has_all_tables_of_the_contract_with_their_columns(path: Path) -> None:
    open_storage(f"sqlite:///{path}")
    contract = {
        "settings": "key value",
        "task_history": "id script_name started_at finished_at exit_code output",
        "quick_actions": "id name script_path icon display_order confirm",
        "users": "id username password_hash display_name role is_active created_at",
        "sessions": "id user_id user_role username created_at expires_at",
        "login_attempts": "id username ip_address success failure_reason attempted_at",
        "plugin_kv": "plugin_id key value",
        "plugin_events": "id plugin_id event_type timestamp details",
    }
    for table, columns in contract.items():
        found = {row[1] for row in _query(path, f"PRAGMA table_info({table})")}
        assert found >= set(columns.split())
    assert _query(path, "PRAGMA user_version") == [(LATEST,)]
    assert _query(path, "PRAGMA journal_mode") == [("wal",)]


def test_the_instance_id_is_a_uuid_made_once(path: Path) -> None:
    first = open_storage(f"sqlite:///{path}")
    second = open_storage(f"sqlite:///{path}")
    assert first.instance_id == second.instance_id
    assert first.instance_id[14] == "4"
    rows = _query(path, "SELECT value FROM settings WHERE key = 'instance_id'")
    assert rows == [(first.instance_id,)]


def test_opening_a_database_that_is_up_to_date_does_not_change_it(path: Path) -> None:
    _make(path)
    before = path.read_bytes()
    open_storage(f"sqlite:///{path}")
    assert path.read_bytes() == before


def test_the_writer_has_the_settings_that_make_an_answer_durable(path: Path) -> None:
    database = open_storage(f"sqlite:///{path}", busy_timeout_s=3.0).location.writer()
    pragmas = {
        name: database.pragma(name)
        for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
    }
    database.close()
    full = 2
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": full,
        "foreign_keys": 1,
        "busy_timeout": 3000,
    }


def test_only_the_owner_may_read_the_database_and_the_files_beside_it(path: Path) -> None:
    _make(path)
    path.chmod(0o644)
    old_mask = os.umask(0)
    try:
        database = open_storage(f"sqlite:///{path}").location.writer()
        database.execute_sql("INSERT INTO settings VALUES ('a', 'b')")
        modes = {
            file.name: stat.S_IMODE(file.stat().st_mode)
            for file in path.parent.iterdir()
            if file.name.startswith(path.name)
        }
        database.close()
    finally:
        os.umask(old_mask)
    names = {path.name, f"{path.name}-wal", f"{path.name}-shm"}
    assert modes == dict.fromkeys(names, 0o600)


def test_a_path_with_characters_that_mean_something_in_an_address_is_taken_as_it_is(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a b%20?mode=ro#ü.db"
    open_storage(f"sqlite:///{path}")
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_a_file_that_is_no_database_is_refused(path: Path) -> None:
    path.write_bytes(b"This is a shopping list, not a database." * 200)
    assert "not an SQLite database" in _refusal(path)


def test_a_database_with_random_pages_is_refused(path: Path) -> None:
    _make(path)
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(20 * 4096))
    assert "damaged" in _refusal(path)


def test_a_database_with_a_random_header_behind_its_first_words_is_refused(path: Path) -> None:
    _make(path)
    with path.open("r+b") as file:
        file.seek(16)
        file.write(b"\xff" * 84)
    assert "damaged" in _refusal(path)


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.1])
def test_a_truncated_database_is_refused(path: Path, kept: float) -> None:
    _make(path)
    os.truncate(path, int(path.stat().st_size * kept))
    assert "damaged" in _refusal(path)


def test_a_database_cut_to_a_few_bytes_is_refused(path: Path) -> None:
    _make(path)
    os.truncate(path, 50)
    assert "damaged" in _refusal(path)


def test_an_empty_file_beside_a_log_with_content_is_refused(path: Path) -> None:
    path.touch()
    path.with_name(f"{path.name}-wal").write_bytes(b"x" * 5000)
    assert "restore it from a backup" in _refusal(path)


def test_an_empty_file_is_a_new_database(path: Path) -> None:
    path.touch()
    assert open_storage(f"sqlite:///{path}").instance_id


def test_a_newer_database_is_refused(path: Path) -> None:
    _make(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {LATEST + 1}")
    sentence = _refusal(path)
    assert f"version {LATEST + 1}" in sentence


def test_a_newer_database_whose_version_is_still_in_the_log_is_refused(path: Path) -> None:
    _make(path)
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {LATEST + 1}")
        assert path.with_name(f"{path.name}-wal").stat().st_size > 0
        assert f"version {LATEST + 1}" in _refusal(path)


def test_the_database_of_another_program_is_refused(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")
    assert "another program" in _refusal(path)


def test_a_file_that_nobody_may_write_is_refused_even_for_the_superuser(path: Path) -> None:
    _make(path)
    path.chmod(0o444)
    assert "read-only" in _refusal(path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only the superuser can mount")
def test_a_database_on_a_read_only_file_system_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "none", folder], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting is not allowed here")
    try:
        path = folder / "steering.db"
        _make(path)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        assert "read-only" in _refusal(path)
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_folder_or_a_pipe_in_the_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir()
    with pytest.raises(ConfigError, match="is not a file"):
        open_storage(f"sqlite:///{path}")
    path.rmdir()
    os.mkfifo(path)
    with pytest.raises(ConfigError, match="is not a file"):
        open_storage(f"sqlite:///{path}")


def test_a_link_to_nothing_is_refused(path: Path) -> None:
    path.symlink_to(path.parent / "nowhere")
    with pytest.raises(ConfigError):
        open_storage(f"sqlite:///{path}")


def test_a_link_to_a_database_is_followed_with_what_is_still_in_its_log(
    path: Path, tmp_path: Path
) -> None:
    _make(path)
    link = tmp_path / "elsewhere" / "link.db"
    link.parent.mkdir()
    link.symlink_to(path)
    assert open_storage(f"sqlite:///{link}").location.path == path
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {LATEST + 1}")
        with pytest.raises(ConfigError, match="schema version"):
            open_storage(f"sqlite:///{link}")


def test_a_path_that_no_file_system_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be made"):
        open_storage(f"sqlite:///{tmp_path}/{'x' * 5000}")


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        open_storage(f"sqlite:///{tmp_path}/none/steering.db")


def test_a_database_that_another_program_has_locked_for_itself_is_refused(
    older_database: Path,
) -> None:
    with closing(sqlite3.connect(older_database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert "in use by another program" in _refusal(older_database)
    assert open_storage(f"sqlite:///{older_database}").instance_id


@pytest.mark.parametrize(
    "url", ["sqlite://steering.db", "sqlite:///", "sqlite:///:memory:", "mysql://x/y", "nonsense"]
)
def test_an_address_that_names_no_database_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="DATABASE_URL"):
        open_storage(url)


def test_an_address_of_postgresql_without_its_driver_names_what_to_install() -> None:
    program = (
        "import sys\n"
        "for name in ('psycopg', 'psycopg2', 'psycopg2cffi'): sys.modules[name] = None\n"
        "from toru.errors import ConfigError\n"
        "from toru.storage import open_storage\n"
        "try: open_storage('postgresql://bob:topsecret@127.0.0.1:1/toru')\n"
        "except ConfigError as error: print(error.sentence)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "psycopg[binary]" in done.stdout
    assert "topsecret" not in done.stdout
    assert done.stdout.count("\n") == 1
