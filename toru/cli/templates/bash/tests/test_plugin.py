"""The plugin against a core in memory; ``toru plugin test`` runs it."""

from __future__ import annotations

import unittest

from main import plugin
from toru_plugin.testing import PluginTest


class PluginAnswers(unittest.IsolatedAsyncioTestCase):
    async def test_it_greets_whoever_asks(self) -> None:
        async with PluginTest(plugin) as test:
            answer = await test.get("/", user='anna "A"')
            self.assertEqual(answer.json(), {"message": 'Hello, anna "A"!'})

    async def test_it_counts_and_keeps_the_count(self) -> None:
        async with PluginTest(plugin, kv={"count": "41"}) as test:
            self.assertEqual((await test.post("/api/counter")).json(), {"count": 42})
            self.assertEqual(test.kv, {"count": "42"})
            self.assertEqual((await test.get("/api/counter")).json(), {"count": 42})
            self.assertEqual((await test.delete("/api/counter")).json(), {"count": 0})
            self.assertEqual(test.kv, {})

    async def test_it_shows_the_disks(self) -> None:
        async with PluginTest(plugin) as test:
            answer = await test.get("/api/disks")
            self.assertIn("Filesystem", answer.text)
            self.assertTrue(answer.headers["Content-Type"].startswith("text/plain"))

    async def test_what_is_not_there_is_404(self) -> None:
        async with PluginTest(plugin) as test:
            answer = await test.get("/none")
            self.assertEqual(answer.status, 404)
            self.assertEqual(answer.json(), {"error": "There is nothing at /none for GET."})
