"""The same schema, changes and questions on a real PostgreSQL, where the machine has one.

Runs on: the test's event loop; the server is a process of its own, reached by a Unix socket.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from toru.actors.messages import storage as messages
from toru.actors.messages.machine_history import ReadMachineHistory, SaveMachineHistory
from toru.actors.messages.plugin_storage import (
    InsertPluginEvent,
    KvBatch,
    KvGet,
    KvList,
    KvPut,
    KvRemove,
    KvSet,
    ListPluginEvents,
)
from toru.actors.runtime import Message
from toru.domain.machine_history import Stretch
from toru.errors import BadRequest, ConfigError, Conflict, NotFound, StorageUnavailable
from toru.storage import open_storage
from toru.storage.database import close, execute

NOW = "2026-11-22T14:01:30.123Z"
LATER = "2026-11-22T14:01:31.123Z"
DEBIAN_BINARIES = Path("/usr/lib/postgresql")


class Server:
    """A PostgreSQL server with a folder of its own, where no other program finds it."""

    def __init__(self, binaries: Path) -> None:
        self._binaries = binaries
        self._process: subprocess.Popen[bytes] | None = None
        # The server refuses to run as root, and its socket's path must be short.
        self._run_as = "postgres" if os.geteuid() == 0 else None
        self.folder = Path(tempfile.mkdtemp(prefix="toru-pg-"))
        if self._run_as:
            shutil.chown(self.folder, self._run_as)
        self._run("initdb", "-D", f"{self.folder}/data", "-U", "postgres", "-A", "trust", "-N")

    def start(self) -> None:
        """Start, and wait until it answers."""
        options = ["-k", str(self.folder), "-c", "listen_addresses=", "-c", "fsync=off"]
        self._process = subprocess.Popen(
            [self._program("postgres"), "-D", f"{self.folder}/data", *options],
            user=self._run_as,
            cwd=self.folder,
            stderr=subprocess.DEVNULL,
        )
        self._run("pg_isready", "-h", str(self.folder), "-t", "20", attempts=200)

    def stop(self) -> None:
        """Stop as a server does that its administrator restarts: connections are cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(timeout=30)

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder)

    def new_database(self) -> str:
        """Make an empty database and return its address."""
        name = f"toru_{uuid.uuid4().hex}"
        self._run("createdb", "-h", str(self.folder), "-U", "postgres", name)
        return f"postgresql://postgres:secret@/{name}?host={self.folder}"

    def _program(self, name: str) -> str:
        found = self._binaries / name
        return str(found) if found.exists() else name

    def _run(self, name: str, *arguments: str, attempts: int = 1) -> None:
        for attempt in range(attempts):
            done = subprocess.run(
                [self._program(name), *arguments],
                user=self._run_as,
                cwd=self.folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if done.returncode == 0:
                return
            if attempt + 1 < attempts:
                time.sleep(0.05)
        pytest.fail(done.stderr or done.stdout)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a running server."""
    pytest.importorskip("psycopg", reason="the PostgreSQL driver psycopg is not installed")
    versions = sorted(DEBIAN_BINARIES.glob("*/bin/initdb"))
    found = versions[-1] if versions else shutil.which("initdb")
    if found is None:
        pytest.skip("no PostgreSQL is installed on this machine")
    running = Server(Path(found).parent)
    try:
        running.start()
        yield running
    finally:
        running.stop()
        running.remove()


@pytest.fixture
def postgres_url(server: Server) -> str:
    """Return the address of an empty database."""
    return server.new_database()


def test_the_start_makes_the_schema_once(postgres_url: str) -> None:
    first = open_storage(postgres_url)
    assert open_storage(postgres_url).instance_id == first.instance_id
    assert "secret" not in repr(first)


def test_a_newer_schema_is_refused(postgres_url: str) -> None:
    database = open_storage(postgres_url).location.writer()
    execute(database, "UPDATE schema_version SET version = 99")
    close(database)
    with pytest.raises(ConfigError, match="schema version 99"):
        open_storage(postgres_url)


def test_the_tables_of_another_program_are_refused(postgres_url: str) -> None:
    _execute_all(postgres_url, "CREATE TABLE bookmarks (url TEXT)")
    with pytest.raises(ConfigError, match="another program"):
        open_storage(postgres_url)


def test_a_server_that_is_not_there_is_one_sentence_without_the_password() -> None:
    pytest.importorskip("psycopg")
    with pytest.raises(ConfigError, match=r"^The database of DATABASE_URL cannot be used: ") as no:
        open_storage("postgresql://bob:topsecret@/toru?host=/nowhere")
    assert "topsecret" not in no.value.sentence
    assert "\n" not in no.value.sentence


def test_an_older_database_is_adopted(postgres_url: str) -> None:
    _execute_all(
        postgres_url,
        "CREATE TABLE users (id SERIAL PRIMARY KEY, username TEXT, password_hash TEXT, "
        "display_name TEXT, role TEXT, is_active BOOLEAN, created_at TIMESTAMP)",
        "CREATE TABLE sessions (id TEXT PRIMARY KEY, user_id INTEGER REFERENCES users(id), "
        "user_role TEXT, username TEXT, created_at TIMESTAMP, expires_at TIMESTAMP)",
        "CREATE TABLE task_history (id SERIAL PRIMARY KEY, script_name TEXT, "
        "started_at TIMESTAMP, finished_at TIMESTAMP, exit_code INTEGER, output TEXT, "
        "note VARCHAR(9))",
        "INSERT INTO users VALUES (7, 'bob', 'h', 'Bob', 'client', true, '2024-03-01 10:00:00')",
        "INSERT INTO sessions VALUES ('aa', 7, 'client', 'bob', now(), '2999-01-01 00:00:00')",
        "INSERT INTO task_history VALUES (12, 'a.sh', '2024-03-01 10:00:00', NULL, 0, 'x', 'keep')",
    )
    database = open_storage(postgres_url).location.writer()
    runs = execute(database, "SELECT id, state, created_at, note FROM task_history").fetchall()
    assert runs == [("12", "finished", "2024-03-01T10:00:00.000Z", "keep")]
    insert = (
        "INSERT INTO users (username, password_hash, display_name, role, is_active, created_at) "
        "VALUES ('ann', 'h', 'Ann', 'client', true, 'now') RETURNING id"
    )
    assert execute(database, insert).fetchall() == [(8,)]
    assert execute(database, "SELECT id FROM sessions").fetchall() == [("aa",)]
    close(database)


def test_an_adoption_that_fails_leaves_the_tables_as_they_were(postgres_url: str) -> None:
    _execute_all(
        postgres_url,
        "CREATE TABLE settings (key TEXT, value TEXT)",
        "INSERT INTO settings VALUES ('a', 'b'), ('a', 'c')",
    )
    with pytest.raises(ConfigError):
        open_storage(postgres_url)
    rows = _execute_all(postgres_url, "SELECT value FROM settings ORDER BY value")
    assert rows == [("b",), ("c",)]


@pytest.mark.gen_test
async def test_changes_and_questions_are_answered_as_on_sqlite(
    actors, make_run, postgres_url: str
) -> None:
    async with actors(open_storage(postgres_url)) as running:
        write, read = running.writer.ask, running.reader.ask
        bob = await write(messages.InsertUser("bob", "h", "Bob", "client", NOW))
        await write(messages.InsertRun(make_run("a", args={"x": "y"})))
        await write(messages.InsertRun(make_run("b", user_id=bob.id, created_at=LATER)))
        await write(messages.MarkRunStarted("a", NOW))
        await write(messages.FinishRun("a", "finished", LATER, 0, "50% of a\0b\ud800", 12))
        assert (await read(messages.GetRun("a"))).output == "50% of a\ufffdb?"
        assert (await read(messages.GetRun("a"))).args == {"x": "y"}
        assert await _ids(read, messages.ListRuns()) == ["b", "a"]
        assert await _ids(read, messages.ListRuns(before="b")) == ["a"]
        assert await _ids(read, messages.ListRuns(own_only=True)) == ["a"]
        assert await _ids(read, messages.ListRuns(user_id=bob.id)) == ["b"]
        assert await _ids(read, messages.ListRuns(query="0% OF")) == ["a"]
        assert await _ids(read, messages.ListRuns(query="%b")) == []
        assert await _ids(read, messages.ListRuns(with_output=False, limit=1)) == ["b"]
        assert await _ids(read, messages.ListOpenRuns()) == ["b"]
        action = await write(messages.InsertQuickAction("one", "a.sh"))
        assert await read(messages.ListQuickActions()) == [action]
        await write(messages.SaveSetting("k", "1"))
        await write(messages.SaveSetting("k", "2"))
        assert (await read(messages.GetSettings()))["k"] == "2"
        session = messages.SessionRow("s", bob.id, "client", "bob", "Bob", NOW, LATER)
        await write(messages.InsertSession(session))
        assert await read(messages.ListSessions(NOW)) == [session]
        await write(messages.InsertLoginAttempt("bob", "::1", True, None, NOW))
        (attempt,) = await read(messages.ListLoginAttempts())
        assert attempt.success is True
        assert await write(messages.PurgeOld(LATER, LATER)) == 2
        await write(messages.DeleteUser(bob.id))
        assert await read(messages.ListUsers()) == []


@pytest.mark.gen_test
async def test_what_plugins_store_is_kept_as_on_sqlite(actors, postgres_url: str) -> None:
    async with actors(open_storage(postgres_url)) as running:
        write, read = running.writer.ask, running.reader.ask
        first = await write(KvSet("p", "a/ü", "1", if_version=0))
        with pytest.raises(Conflict):
            await write(KvSet("p", "a/ü", "2", if_version=0))
        changes = (KvPut("a/Z", "3", ttl_s=60), KvPut("a/a", "4"), KvRemove("a/ü", first))
        assert await write(KvBatch("p", changes)) == [first + 1, first + 2, None]
        with pytest.raises(Conflict):
            await write(KvBatch("p", (KvRemove("a/a"), KvPut("b", "5", if_version=9))))
        with pytest.raises(BadRequest):
            await write(KvSet("p", "a/nul", "\0"))
        await write(KvSet("p", "short", "x", ttl_s=0.001))
        page = await read(KvList("p", "a/", limit=1))
        assert ([entry.key for entry in page.entries], page.cursor) == (["a/Z"], "a/Z")
        page = await read(KvList("p", "a/", page.cursor))
        assert ([entry.key for entry in page.entries], page.cursor) == (["a/a"], None)
        assert (await read(KvGet("p", "a/a"))).version == first + 2
        assert await read(KvGet("q", "a/a")) is None
        event = await write(InsertPluginEvent("p", "started", "{}", "2001-01-01T00:00:00.000Z"))
        assert await read(ListPluginEvents("p")) == [event]
        await asyncio.sleep(0.002)
        assert await write(messages.PurgeOld(NOW, NOW)) == 2
    rows = _execute_all(postgres_url, "SELECT size_bytes, last_version FROM plugin_kv_usage")
    assert rows == [(8, first + 3)]


@pytest.mark.gen_test
async def test_the_machines_history_is_kept_and_rolled_up_as_on_sqlite(
    actors, postgres_url: str
) -> None:
    hour = 500_000 * 3600
    figures = (12.3, 2.0**33, 0.0, 1.25, 3e9, 17.0, 1.0, 2.0)
    first, again, last = (
        Stretch(hour + start, hour + end, figures, figures, (1.5, 0.5), {"/": 81.5})
        for start, end in ((0, 30), (0, 60), (3600, 3660))
    )
    async with actors(open_storage(postgres_url)) as running:
        write, read = running.writer.ask, running.reader.ask
        await write(SaveMachineHistory((first,), hour + 30))
        await write(SaveMachineHistory((again, last), hour + 3660))
        assert (await read(ReadMachineHistory(hour, hour + 60, 60))).stretches == [again]
        found = await read(ReadMachineHistory(hour, hour + 7200, 3600))
        assert found.resolution_s == 3600
        assert found.stretches == [again, last]
        await write(SaveMachineHistory((), hour + 500 * 86_400))
        assert (await read(ReadMachineHistory(hour, hour + 7200, 60))).stretches == []


def test_keys_of_an_older_database_gain_a_version_and_a_size(postgres_url: str) -> None:
    _execute_all(
        postgres_url,
        "CREATE TABLE plugin_kv (plugin_id TEXT, key TEXT, value TEXT, note VARCHAR(9))",
        "INSERT INTO plugin_kv VALUES ('p', 'ü', 'ä', 'keep'), ('p', 'none', NULL, NULL)",
    )
    open_storage(postgres_url)
    rows = _execute_all(
        postgres_url, "SELECT key, value, version, expires_at, size_bytes, note FROM plugin_kv"
    )
    assert rows == [("ü", "ä", 1, None, 4, "keep")]


@pytest.mark.gen_test
async def test_a_mistake_does_not_harm_the_rest_of_its_batch(
    actors, make_run, postgres_url: str
) -> None:
    async with actors(open_storage(postgres_url)) as running:
        bob = await running.writer.ask(messages.InsertUser("bob", "h", "Bob", "client", NOW))
        batch: list[Message[Any]] = [
            messages.InsertRun(make_run("a")),
            messages.InsertRun(make_run("a")),
            messages.InsertUser("bob", "h", "Bob", "client", NOW),
            messages.UpdateUser(99, display_name="x"),
            messages.SetPasswordHash(bob.id, "a\0b"),
            messages.FinishRun("a", "finished", NOW, 0, "", 2**80),
            messages.InsertSession(
                messages.SessionRow("s", 98, "client", "bob", "Bob", NOW, LATER)
            ),
            messages.InsertRun(make_run("b")),
        ]
        answers = await asyncio.gather(*map(running.writer.ask, batch), return_exceptions=True)
        none = type(None)
        assert [type(answer) for answer in answers] == [
            none, Conflict, Conflict, NotFound, BadRequest, BadRequest, Conflict, none,
        ]  # fmt: skip
        assert await _ids(running.reader.ask, messages.ListOpenRuns()) == ["a", "b"]
        with pytest.raises(BadRequest):
            await running.reader.ask(messages.GetRun("a\0"))


@pytest.mark.gen_test
async def test_a_server_that_restarts_is_found_again(
    actors, make_run, server: Server, expect_log: Callable[..., object]
) -> None:
    expect_log("cannot be written")
    expect_log("cannot be read")
    async with actors(open_storage(server.new_database())) as running:
        await running.writer.ask(messages.InsertRun(make_run("a")))
        for _ in range(2):
            await running.reader.ask(messages.GetRun("a"))
        await asyncio.to_thread(server.stop)
        with pytest.raises(StorageUnavailable):
            await running.writer.ask(messages.InsertRun(make_run("lost")))
        for _ in range(2):
            with pytest.raises(StorageUnavailable):
                await running.reader.ask(messages.GetRun("a"))
        await asyncio.to_thread(server.start)
        await running.writer.ask(messages.InsertRun(make_run("b")))
        assert sorted(await _ids(running.reader.ask, messages.ListRuns())) == ["a", "b"]


def test_a_reader_cannot_write_and_is_stopped_after_its_time(postgres_url: str) -> None:
    reader = open_storage(postgres_url).location.reader()
    with pytest.raises(Exception, match="read-only"):
        execute(reader, "DELETE FROM settings")
    assert execute(reader, "SHOW statement_timeout").fetchall() == [("8s",)]
    close(reader)


async def _ids(ask: Any, question: Message[list[messages.Run]]) -> list[str]:
    return [run.id for run in await ask(question)]


def _execute_all(url: str, *statements: str) -> list[tuple[object, ...]]:
    import psycopg

    with psycopg.connect(url) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []
