"""How much memory a process takes, at most, while something goes on.

Runs on: a thread of its own, beside the test's.
"""

from __future__ import annotations

import threading

import psutil

_LOOK_S = 0.02


class Peak:
    """Looks again and again, from ``with`` on.

    Attributes:
        most: the most resident bytes above what the process took before.
    """

    def __init__(self, pid: int) -> None:
        self.most = 0
        self._process = psutil.Process(pid)
        self._before = self._process.memory_info().rss
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            self.most = max(self.most, self._process.memory_info().rss - self._before)
