"""The password hashers as one: each question goes to the one with the least to do.

Runs on: the event loop.
"""

from __future__ import annotations

from typing import TypeVar

from toru.actors.messages.auth import HashPassword, PasswordVerdict, VerifyPassword
from toru.actors.runtime import Address, Message

R = TypeVar("R")

HASH_DEADLINE_S = 60.0
"""A queue of logins is worked off at some forty a second."""


class HasherPool:
    """Spreads hashing over the hashers; one that is being replaced costs its askers an error."""

    def __init__(self, hashers: tuple[Address, ...]) -> None:
        self._waiting = {hasher.name: 0 for hasher in hashers}
        self._hashers = {hasher.name: hasher for hasher in hashers}

    async def verify(self, password: str, password_hash: str | None) -> PasswordVerdict:
        """Check a password against a hash; None is nobody's."""
        return await self._ask(VerifyPassword(password, password_hash))

    async def hash(self, password: str) -> str:
        """Return the argon2id hash of a password."""
        return await self._ask(HashPassword(password))

    async def _ask(self, message: Message[R]) -> R:
        name = min(self._waiting, key=self._waiting.__getitem__)
        self._waiting[name] += 1
        try:
            return await self._hashers[name].ask(message, deadline_s=HASH_DEADLINE_S)
        finally:
            self._waiting[name] -= 1
