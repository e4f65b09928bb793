"""Writes until its files may grow no more, and again when they may; for ``test_faults.py``.

Called as ``disk_full.py <database file>``; writes one JSON object. The limit is ``RLIMIT_FSIZE``,
so it is a process of its own that has it.

Runs on: a process of its own.
"""

from __future__ import annotations

import asyncio
import json
import resource
import sys
from pathlib import Path

from toru.actors.messages.storage import GetSettings, SaveSetting
from toru.actors.runtime import ActorSystem
from toru.actors.storage_children import storage_children
from toru.errors import StorageUnavailable
from toru.storage import open_storage

MORE_BYTES = 256 * 1024


async def main(path: Path) -> dict[str, object]:
    """Return which settings were acknowledged and which were refused."""
    system = ActorSystem()
    for spec in storage_children(open_storage(f"sqlite:///{path}")):
        await system.spawn(spec)
    writer, reader = system.address("db_writer"), system.address("db_reader")
    _limit(path.stat().st_size + MORE_BYTES)
    acknowledged, refused, sentence = [], [], ""
    while len(refused) < 5:
        key = f"key {len(acknowledged)} {len(refused)}"
        try:
            await writer.ask(SaveSetting(key, "x" * 20_000))
            acknowledged.append(key)
        except StorageUnavailable as error:
            refused.append(key)
            sentence = error.sentence
    readable = set(acknowledged) <= set(await reader.ask(GetSettings()))
    _limit(resource.RLIM_INFINITY)
    await writer.ask(SaveSetting("after", "x"))
    kept = set(await reader.ask(GetSettings()))
    await system.stop()
    return {
        "acknowledged": len(acknowledged),
        "sentence": sentence,
        "readable_while_full": readable,
        "lost": sorted(set(acknowledged) - kept),
        "kept_though_refused": sorted(set(refused) & kept),
        "recovered": "after" in kept,
    }


def _limit(size_bytes: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(main(Path(sys.argv[1])))))
