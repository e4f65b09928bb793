"""Remembers what a pure function has said of short texts, with a bound on the memory it takes.

Runs on: any thread.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

REMEMBERED_CHARS = 200
"""Longer texts come from those who want to fill the memory; they are looked at every time."""


def remembered(size: int) -> Callable[[Callable[[str], T]], Callable[[str], T]]:
    """Return a decorator for a function of one text whose answer never changes.

    Args:
        size: of how many texts the answers are kept; those asked for least recently go first.
    """

    def decorate(function: Callable[[str], T]) -> Callable[[str], T]:
        remember = functools.lru_cache(maxsize=size)(function)

        @functools.wraps(function)
        def ask(text: str) -> T:
            return remember(text) if len(text) <= REMEMBERED_CHARS else function(text)

        return ask

    return decorate
