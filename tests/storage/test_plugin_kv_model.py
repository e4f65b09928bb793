"""Random changes to the keys of two plugins, compared with a plain dictionary after each.

Runs on: the test's main thread; a real database file and a clock of the test's.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from toru.actors.messages.plugin_storage import (
    KvBatch,
    KvDelete,
    KvGet,
    KvList,
    KvPut,
    KvRemove,
    KvSet,
)
from toru.actors.messages.storage import PurgeOld
from toru.errors import Conflict, TooLarge, ToruError
from toru.storage import open_storage, plugin_kv
from toru.storage.changes import Changes
from toru.storage.database import close, execute
from toru.storage.plugin_kv import PluginKv

LIMIT_BYTES = 60
LONG_AGO = "2001-01-01T00:00:00.000Z"

plugins = st.sampled_from(["p", "q"])
keys = st.sampled_from(["a", "ab", "ab\U0010ffff", "abc", "b", "ü"])
values = st.text(max_size=12).filter(lambda text: text.isprintable())
ttls = st.none() | st.sampled_from([1.0, 5.0])
expected = st.none() | st.integers(0, 6)
puts = st.builds(KvPut, keys, values, ttls, expected)
removes = st.builds(KvRemove, keys, expected)


@dataclass
class Known:
    """What the model knows of a key."""

    value: str
    version: int
    expires_at: float | None
    size: int


class Model:
    """One plugin's keys as a dictionary; expired ones stay in it until they are purged."""

    def __init__(self) -> None:
        self.rows: dict[str, Known] = {}
        self.version = 0

    def copy(self) -> Model:
        other = Model()
        other.rows, other.version = dict(self.rows), self.version
        return other

    def live(self, now: float) -> dict[str, Known]:
        return {
            key: row
            for key, row in self.rows.items()
            if row.expires_at is None or row.expires_at > now
        }

    def check(self, change: Any, now: float) -> None:
        found = self.live(now).get(change.key)
        if change.if_version is not None and change.if_version != (found.version if found else 0):
            raise Conflict("")

    def put(self, change: Any, now: float) -> int:
        self.check(change, now)
        size = len(change.key.encode()) + len(change.value.encode())

        def too_much() -> bool:
            before = self.rows.get(change.key)
            growth = size - (before.size if before else 0)
            return growth > 0 and sum(r.size for r in self.rows.values()) + growth > LIMIT_BYTES

        if too_much():
            self.rows = self.live(now)
            if too_much():
                raise TooLarge("")
        self.version += 1
        ends = None if change.ttl_s is None else now + change.ttl_s
        self.rows[change.key] = Known(change.value, self.version, ends, size)
        return self.version

    def remove(self, change: Any, now: float) -> bool:
        self.check(change, now)
        there = change.key in self.live(now)
        self.rows.pop(change.key, None)
        return there


class KvMachine(RuleBasedStateMachine):
    """Makes the same changes to a database and to the model."""

    @initialize()
    def begin(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name) / "steering.db"
        self.limit, plugin_kv.PLUGIN_LIMIT_BYTES = plugin_kv.PLUGIN_LIMIT_BYTES, LIMIT_BYTES
        self.now = 1_800_000_000.0
        self.database = open_storage(f"sqlite:///{path}").location.writer()
        self.changes = Changes(self.database)
        self.changes._plugin_kv = PluginKv(self.database, lambda: self.now)
        self.models = {"p": Model(), "q": Model()}

    def teardown(self) -> None:
        if hasattr(self, "database"):
            close(self.database)
            plugin_kv.PLUGIN_LIMIT_BYTES = self.limit
            self.folder.cleanup()

    def _both(self, message: Any, in_model: Any) -> None:
        """Make a change in both; they must agree on the answer, or on the kind of error."""
        model = self.models[message.plugin_id].copy()
        told: Any
        try:
            told = in_model(model)
        except ToruError as error:
            told = type(error)
        else:
            self.models[message.plugin_id] = model
        try:
            found = self.changes.apply(message)
        except ToruError as error:
            found = type(error)
        assert found == told

    @rule(plugin=plugins, put=puts)
    def set(self, plugin: str, put: KvPut) -> None:
        message = KvSet(plugin, put.key, put.value, put.ttl_s, put.if_version)
        self._both(message, lambda model: model.put(put, self.now))

    @rule(plugin=plugins, remove=removes)
    def delete(self, plugin: str, remove: KvRemove) -> None:
        message = KvDelete(plugin, remove.key, remove.if_version)
        self._both(message, lambda model: model.remove(remove, self.now))

    @rule(plugin=plugins, changes=st.lists(puts | removes, max_size=4))
    def batch(self, plugin: str, changes: list[KvPut | KvRemove]) -> None:
        def make(model: Model) -> list[int | None]:
            answers: list[int | None] = []
            for change in changes:
                if isinstance(change, KvPut):
                    answers.append(model.put(change, self.now))
                else:
                    model.remove(change, self.now)
                    answers.append(None)
            return answers

        self._both(KvBatch(plugin, tuple(changes)), make)

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0]))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule()
    def purge(self) -> None:
        gone = 0
        for model in self.models.values():
            live = model.live(self.now)
            gone += len(model.rows) - len(live)
            model.rows = live
        assert self.changes.apply(PurgeOld(LONG_AGO, LONG_AGO)) == gone

    @rule(plugin=plugins, prefix=st.sampled_from(["", "a", "ab", "ab\U0010ffff", "z"]))
    def list(self, plugin: str, prefix: str) -> None:
        live = self.models[plugin].live(self.now)
        told = sorted((key, row.value) for key, row in live.items() if key.startswith(prefix))
        found: list[tuple[str, str | None]] = []
        cursor = None
        while True:
            page = plugin_kv.list_page(
                self.database, KvList(plugin, prefix, cursor, limit=2, max_bytes=12), self.now
            )
            found += [(entry.key, entry.value) for entry in page.entries]
            cursor = page.cursor
            if cursor is None:
                break
            assert page.entries
        assert found == told

    @invariant()
    def each_key_is_as_the_model_has_it(self) -> None:
        if not hasattr(self, "database"):
            return
        for plugin, model in self.models.items():
            live = model.live(self.now)
            for key in ("a", "ab", "ab\U0010ffff", "abc", "b", "ü"):
                entry = plugin_kv.get(self.database, KvGet(plugin, key), self.now)
                told = live.get(key)
                assert (entry and (entry.value, entry.version)) == (
                    told and (told.value, told.version)
                )

    @invariant()
    def the_sums_are_right_and_within_the_limit(self) -> None:
        if not hasattr(self, "database"):
            return
        sums = dict.fromkeys(self.models, 0)
        kept = execute(self.database, "SELECT plugin_id, size_bytes FROM plugin_kv_usage")
        sums.update(dict(kept.fetchall()))
        told = {name: sum(r.size for r in m.rows.values()) for name, m in self.models.items()}
        assert sums == told
        assert max(sums.values()) <= LIMIT_BYTES


TestKvMachine = KvMachine.TestCase
TestKvMachine.settings = settings(max_examples=40, stateful_step_count=30, deadline=None)
