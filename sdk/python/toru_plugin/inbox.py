"""What the core has sent of one stream and nobody has read yet.

Runs on: the loop.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from .errors import Disconnected
from .frames import FLAG_END

if TYPE_CHECKING:
    from .credit import Allowance


class Fragment(NamedTuple):
    """Bytes of one data frame."""

    data: bytes
    flags: int


class Inbox:
    """What came in data frames and was not read; as much as the credit allows.

    Args:
        allowance: the stream's credit, which is given back as it is read.
    """

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._fragments: deque[Fragment] = deque()
        self._came = asyncio.Event()
        self._lost: Disconnected | None = None
        self._ended = False

    @property
    def waiting(self) -> int:
        """How many fragments are there."""
        return len(self._fragments)

    def put(self, data: bytes, flags: int) -> None:
        """Take a frame.

        Raises:
            FrameError: it is beyond the credit.
        """
        self._allowance.spend(len(data))
        if self._lost is None:
            self._fragments.append(Fragment(data, flags))
            self._came.set()

    def lose(self, error: Disconnected) -> None:
        """Have nothing more come; what is there can still be read."""
        self._lost = self._lost or error
        self._came.set()

    async def next(self) -> Fragment:
        """Wait for a fragment; raises `Disconnected` when none comes any more."""
        while not self._fragments:
            if self._lost is not None:
                raise Disconnected(self._lost.code, str(self._lost))
            self._came.clear()
            await self._came.wait()
        fragment = self._fragments.popleft()
        self._allowance.take(len(fragment.data))
        return fragment

    async def read(self) -> bytes:
        """Return the next piece of a body; empty at its end."""
        while not self._ended:
            data, flags = await self.next()
            self._ended = bool(flags & FLAG_END)
            if data:
                return data
        return b""
