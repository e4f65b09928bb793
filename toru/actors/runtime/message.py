"""The base of every message: frozen, serialisable, typed by its reply.

Runs on: any thread.
"""

from __future__ import annotations

from typing import Generic, TypeVar

import msgspec

R_co = TypeVar("R_co", covariant=True)


class Message(msgspec.Struct, Generic[R_co], frozen=True):
    """What one actor says to another; ``R_co`` is the type of the answer.

    A message carries values only: no socket, lock or callback, so that an actor could live in
    another process one day.
    """
