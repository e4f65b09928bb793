"""What plugins store: versions, expiry, limits, pages, and that no plugin reaches another's keys.

Runs on: the test's event loop; the actors on their own threads.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from toru.actors.messages.plugin_storage import (
    KvBatch,
    KvDelete,
    KvEntry,
    KvGet,
    KvList,
    KvPut,
    KvRemove,
    KvSet,
)
from toru.actors.messages.storage import PurgeOld
from toru.errors import BadRequest, Conflict, TooLarge
from toru.storage import open_storage, plugin_kv
from toru.storage.plugin_kv import PluginKv, end_of_prefix

LONG_AGO = "2001-01-01T00:00:00.000Z"


def _rows(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(sql).fetchall()


@pytest.mark.gen_test
async def test_a_value_is_set_read_replaced_and_deleted(open_actors) -> None:
    async with open_actors() as actors:
        write, read = actors.writer.ask, actors.reader.ask
        assert await read(KvGet("clock", "zone")) is None
        first = await write(KvSet("clock", "zone", "UTC"))
        assert await read(KvGet("clock", "zone")) == KvEntry("zone", "UTC", first)
        second = await write(KvSet("clock", "zone", "CET\0\x1b ü"))
        assert second > first
        assert (await read(KvGet("clock", "zone"))).value == "CET\0\x1b ü"
        assert await write(KvDelete("clock", "zone")) is True
        assert await write(KvDelete("clock", "zone")) is False
        assert await read(KvGet("clock", "zone")) is None


@pytest.mark.gen_test
async def test_no_plugin_sees_or_changes_the_keys_of_another(open_actors) -> None:
    async with open_actors() as actors:
        write, read = actors.writer.ask, actors.reader.ask
        await write(KvSet("a", "k", "of a"))
        for other in ("A", "a-b", "", "a%", "a' OR '1'='1"):
            assert await read(KvGet(other, "k")) is None
            assert (await read(KvList(other))).entries == []
            assert await write(KvDelete(other, "k")) is False
            await write(KvBatch(other, (KvPut("k", "mine"), KvRemove("k"))))
        assert (await read(KvGet("a", "k"))).value == "of a"
        assert [entry.key for entry in (await read(KvList("a"))).entries] == ["k"]


@pytest.mark.gen_test
async def test_a_change_for_another_version_is_a_conflict_and_changes_nothing(open_actors) -> None:
    async with open_actors() as actors:
        write, read = actors.writer.ask, actors.reader.ask
        with pytest.raises(Conflict, match="is not there, and 3 was expected"):
            await write(KvSet("p", "k", "x", if_version=3))
        version = await write(KvSet("p", "k", "1", if_version=0))
        for stale in (0, version + 1):
            with pytest.raises(Conflict, match=f"has version {version}"):
                await write(KvSet("p", "k", "2", if_version=stale))
            with pytest.raises(Conflict):
                await write(KvDelete("p", "k", if_version=stale))
        assert await read(KvGet("p", "k")) == KvEntry("k", "1", version)
        assert await write(KvSet("p", "k", "2", if_version=version)) > version


@pytest.mark.gen_test
async def test_a_key_that_was_deleted_and_made_again_has_a_version_it_never_had(
    open_actors,
) -> None:
    async with open_actors() as actors:
        seen = set()
        for _ in range(3):
            seen.add(await actors.writer.ask(KvSet("p", "k", "x")))
            await actors.writer.ask(KvDelete("p", "k"))
        assert len(seen) == 3


@pytest.mark.gen_test
async def test_of_many_that_compare_and_set_at_once_none_overwrites_another(open_actors) -> None:
    async with open_actors() as actors:

        async def count_up(times: int) -> None:
            while times:
                entry = await actors.reader.ask(KvGet("p", "n"))
                value, version = (int(entry.value), entry.version) if entry else (0, 0)
                try:
                    await actors.writer.ask(KvSet("p", "n", str(value + 1), if_version=version))
                except Conflict:
                    continue
                times -= 1

        await asyncio.gather(*(count_up(10) for _ in range(8)))
        assert (await actors.reader.ask(KvGet("p", "n"))).value == "80"


@pytest.mark.gen_test
async def test_what_has_expired_is_gone_at_once_and_purged_later(
    open_actors, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_actors() as actors:
        write, read = actors.writer.ask, actors.reader.ask
        version = await write(KvSet("p", "short", "x", ttl_s=60))
        await write(KvSet("p", "long", "x", ttl_s=600))
        await write(KvSet("p", "renewed", "x", ttl_s=60))
        await write(KvSet("p", "renewed", "y"))
        assert (await read(KvGet("p", "short"))).expires_at is not None
        assert (await read(KvGet("p", "renewed"))).expires_at is None
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + 61)
    async with open_actors() as actors:
        write, read = actors.writer.ask, actors.reader.ask
        assert await read(KvGet("p", "short")) is None
        page = await read(KvList("p"))
        assert [entry.key for entry in page.entries] == ["long", "renewed"]
        with pytest.raises(Conflict, match="is not there"):
            await write(KvSet("p", "short", "y", if_version=version))
        assert await write(PurgeOld(LONG_AGO, LONG_AGO)) == 1
        assert await write(PurgeOld(LONG_AGO, LONG_AGO)) == 0
        assert {key for (key,) in _rows(path, "SELECT key FROM plugin_kv")} == {"long", "renewed"}
        sizes = _rows(path, "SELECT sum(length(key) + length(value)) FROM plugin_kv")
        assert _rows(path, "SELECT size_bytes FROM plugin_kv_usage") == sizes
        assert await write(KvDelete("p", "long")) is True


@pytest.mark.parametrize("ttl_s", [0, -1, float("nan"), float("inf"), 1e300])
@pytest.mark.gen_test
async def test_a_time_to_live_that_is_none_is_refused(open_actors, ttl_s: float) -> None:
    async with open_actors() as actors:
        with pytest.raises(BadRequest, match="time to live"):
            await actors.writer.ask(KvSet("p", "k", "x", ttl_s=ttl_s))
        assert await actors.reader.ask(KvGet("p", "k")) is None


@pytest.mark.gen_test
async def test_keys_and_values_have_limits_in_bytes(open_actors) -> None:
    async with open_actors() as actors:
        write, read = actors.writer.ask, actors.reader.ask
        await write(KvSet("p", "ü" * 128, "ü" * (128 * 1024)))
        with pytest.raises(TooLarge, match="at most 256 bytes; this one has 258"):
            await write(KvSet("p", "ü" * 129, "x"))
        with pytest.raises(TooLarge, match="at most 262144 bytes; that of 'k' has 262146"):
            await write(KvSet("p", "k", "ü" * (128 * 1024 + 1)))
        for key, value in (("", "x"), ("\ud800", "x"), ("k", "\udfff")):
            with pytest.raises(BadRequest):
                await write(KvSet("p", key, value))
        with pytest.raises(BadRequest):
            await read(KvGet("p", ""))
        assert len((await read(KvList("p"))).entries) == 1


@pytest.mark.gen_test
async def test_a_plugin_stores_so_much_in_sum_and_not_a_byte_more(
    open_actors, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_kv, "PLUGIN_LIMIT_BYTES", 1024 * 1024)
    value = "x" * (256 * 1024 - 1)
    async with open_actors() as actors:
        write, read = actors.writer.ask, actors.reader.ask
        for key in "abcd":
            await write(KvSet("full", key, value))
        with pytest.raises(TooLarge, match="stores 1048576 bytes, and may store 1 MiB") as refused:
            await write(KvSet("full", "e", ""))
        assert refused.value.code == "kv_full"
        with pytest.raises(TooLarge):
            await write(KvSet("full", "a", value + "x"))
        assert (await read(KvGet("full", "a"))).value == value
        assert await read(KvGet("full", "e")) is None
        await write(KvSet("other", "e", "there is room for others"))
        await write(KvSet("full", "a", value))
        await write(KvSet("full", "a", value[1:]))
        await write(KvSet("full", "e", ""))
        await write(KvDelete("full", "b"))
        await write(KvSet("full", "f", value[1:]))
    assert _rows(path, "SELECT size_bytes FROM plugin_kv_usage WHERE plugin_id = 'full'") == (
        _rows(path, "SELECT sum(length(key) + length(value)) FROM plugin_kv WHERE plugin_id='full'")
    )


def test_what_has_expired_makes_room_before_a_plugin_is_called_full(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin_kv, "PLUGIN_LIMIT_BYTES", 10_000)
    clock = [1_000_000.0]
    database = open_storage(url).location.writer()
    kv = PluginKv(database, lambda: clock[0])
    for number in range(9):
        kv.apply(KvSet("p", str(number), "x" * 1000, ttl_s=10))
    kv.apply(KvSet("q", "k", "x" * 1000, ttl_s=10))
    with pytest.raises(TooLarge):
        kv.apply(KvSet("p", "new", "x" * 5000))
    clock[0] += 10
    kv.apply(KvSet("p", "new", "x" * 5000))
    assert kv.purge() == 1
    database.close()


@pytest.mark.gen_test
async def test_a_batch_is_made_whole_or_not_at_all(open_actors, path: Path) -> None:
    async with open_actors() as actors:
        write, read = actors.writer.ask, actors.reader.ask
        versions = await write(
            KvBatch("p", (KvPut("a", "1"), KvPut("b", "2"), KvRemove("a"), KvPut("b", "3")))
        )
        assert versions[2] is None
        assert versions[0] < versions[1] < versions[3]
        before = (await read(KvList("p")), _rows(path, "SELECT * FROM plugin_kv_usage"))
        for spoiler, error in (
            (KvPut("c", "x", if_version=9), Conflict),
            (KvRemove("b", if_version=versions[1]), Conflict),
            (KvPut("c", "x" * (256 * 1024 + 1)), TooLarge),
            (KvPut("", "x"), BadRequest),
        ):
            with pytest.raises(error):
                await write(KvBatch("p", (KvPut("a", "9"), KvRemove("b"), spoiler)))
        with pytest.raises(TooLarge, match="at most 100"):
            await write(KvBatch("p", tuple(KvPut(str(n), "x") for n in range(101))))
        assert before == (await read(KvList("p")), _rows(path, "SELECT * FROM plugin_kv_usage"))
        assert await write(KvBatch("p", ())) == []
        assert len(await write(KvBatch("p", tuple(KvPut(str(n), "") for n in range(100))))) == 100


@pytest.mark.gen_test
async def test_keys_are_listed_by_prefix_page_by_page(open_actors) -> None:
    async with open_actors() as actors:
        write, read = actors.writer.ask, actors.reader.ask
        keys = [f"user/{number:03}" for number in range(250)]
        for part in (keys[:100], keys[100:200], keys[200:], ["user", "user0", "user%", "USER/1"]):
            await write(KvBatch("p", tuple(KvPut(key, f"v {key}") for key in part)))
        found: list[KvEntry] = []
        cursor, sizes = None, []
        while True:
            page = await read(KvList("p", "user/", cursor, limit=100))
            sizes.append(len(page.entries))
            found += page.entries
            cursor = page.cursor
            if cursor is None:
                break
        assert sizes == [100, 100, 50]
        assert [entry.key for entry in found] == keys
        assert all(entry.value == f"v {entry.key}" for entry in found)
        exact = await read(KvList("p", "user/", limit=250, with_values=False))
        assert exact.cursor is None
        assert {entry.value for entry in exact.entries} == {None}
        assert (await read(KvList("p", "user/25"))).entries == []
        for limit in (0, 1001, -1):
            with pytest.raises(BadRequest):
                await read(KvList("p", limit=limit))
        with pytest.raises(BadRequest):
            await read(KvList("p", cursor="\ud800"))


@pytest.mark.gen_test
async def test_a_page_of_large_values_ends_at_its_size(open_actors) -> None:
    async with open_actors() as actors:
        for key in "abcde":
            await actors.writer.ask(KvSet("p", key, "x" * 200_000))
        page = await actors.reader.ask(KvList("p"))
        assert [entry.key for entry in page.entries] == ["a", "b", "c"]
        assert page.cursor == "c"
        rest = await actors.reader.ask(KvList("p", cursor=page.cursor))
        assert ([entry.key for entry in rest.entries], rest.cursor) == (["d", "e"], None)
        one = await actors.reader.ask(KvList("p", max_bytes=1))
        assert ([entry.key for entry in one.entries], one.cursor) == (["a"], "a")


@given(st.text(max_size=4), st.text(max_size=6))
def test_the_end_of_a_prefix_parts_what_begins_with_it_from_what_comes_after(
    prefix: str, text: str
) -> None:
    end = end_of_prefix(prefix)
    inside = prefix <= text and (end is None or text < end)
    assert inside == text.startswith(prefix)


def test_a_change_costs_the_same_however_much_is_stored(url: str, path: Path) -> None:
    """The sum is kept, not computed; the ratio's slack is for a busy machine."""
    database = open_storage(url).location.writer()
    kv = PluginKv(database)

    def cost_s() -> float:
        with database.transaction():
            began = time.perf_counter()
            for number in range(200):
                kv.apply(KvSet("p", f"k{number}", "x"))
            return time.perf_counter() - began

    few = min(cost_s() for _ in range(3))
    with database.transaction():
        rows = [("p", f"more {number}", 1, 10, "x") for number in range(100_000)]
        cursor = database.connection().cursor()
        cursor.executemany(
            "INSERT INTO plugin_kv (plugin_id, key, version, size_bytes, value) "
            "VALUES (?, ?, ?, ?, ?)",
            rows,
        )
    many = min(cost_s() for _ in range(3))
    database.close()
    assert many < 5 * few
