"""The plugin against a core in memory; ``toru plugin test`` runs it."""

from __future__ import annotations

import unittest

from plugin import plugin
from toru_plugin.testing import PluginTest


class PluginAnswers(unittest.IsolatedAsyncioTestCase):
    async def test_it_greets_whoever_asks(self) -> None:
        async with PluginTest(plugin) as test:
            answer = await test.get("/", user="anna")
            self.assertEqual(answer.json(), {"message": "Hello, anna!"})

    async def test_it_counts_and_keeps_the_count(self) -> None:
        async with PluginTest(plugin, kv={"count": "41"}) as test:
            answer = await test.post("/api/counter", user="anna")
            self.assertEqual(answer.json(), {"count": 42})
            self.assertEqual(test.kv, {"count": "42"})
            self.assertEqual(test.logs[0].fields, {"count": 42, "user": "anna"})
            self.assertEqual((await test.get("/api/counter")).json(), {"count": 42})

    async def test_it_begins_at_0_again(self) -> None:
        async with PluginTest(plugin, kv={"count": "41"}) as test:
            self.assertEqual((await test.delete("/api/counter")).json(), {"count": 0})
            self.assertEqual(test.kv, {})
