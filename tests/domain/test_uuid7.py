"""Ids of runs sort as the runs were asked for."""

from __future__ import annotations

import threading
import uuid

from toru.domain.uuid7 import uuid7


def test_ids_are_uuids_of_version_7_and_sort_as_they_were_made() -> None:
    made = [uuid7() for _ in range(20_000)]
    assert made == sorted(made)
    assert len(set(made)) == len(made)
    parsed = uuid.UUID(made[0])
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)


def test_threads_never_make_the_same_stamp() -> None:
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend(uuid7() for _ in range(2_000)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({text[:18] for text in made}) == 8_000
