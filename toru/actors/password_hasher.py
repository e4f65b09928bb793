"""The password hasher: argon2id, on a thread of its own so that the loop never waits for it.

Runs on: its own thread. The hub has two, so at most two hashes are computed at a time.
"""

from __future__ import annotations

import base64
import logging
import secrets
from typing import Any, ClassVar

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from toru.actors.messages.auth import HashPassword, PasswordVerdict, VerifyPassword
from toru.actors.runtime import ActorContext, Message, ThreadActor

logger = logging.getLogger("toru.auth")

PARAMETERS: dict[str, Any] = {"time_cost": 3, "memory_cost": 32 * 1024, "parallelism": 1}
"""About 50 ms and 32 MiB (``memory_cost`` is KiB): over OWASP's minimum of 19 MiB and two passes,
and with one lane, so that two logins cannot take more than two cores of a small machine."""


class PasswordHasher(ThreadActor):
    """Hashes and verifies, one at a time."""

    mailbox_limit: ClassVar[int] = 256

    def __init__(self, context: ActorContext, parameters: dict[str, Any] | None = None) -> None:
        """Create a hasher.

        Args:
            context: its place in the system.
            parameters: of argon2; `PARAMETERS` unless a test wants cheaper ones.
        """
        super().__init__(context)
        self._argon2 = argon2.PasswordHasher(**(parameters or PARAMETERS))
        self._nobodys = nobodys_hash(self._argon2)

    def on_receive(self, message: Message[Any]) -> Any:
        """Hash or verify."""
        match message:
            case HashPassword(password):
                return self._argon2.hash(password)
            case VerifyPassword(password, password_hash):
                return self._verify(password, password_hash)
            case _:
                raise TypeError(f"{type(message).__name__} is no message for a password hasher.")

    def _verify(self, password: str, password_hash: str | None) -> PasswordVerdict:
        if password_hash is None:
            self._matches(self._nobodys, password)
            return PasswordVerdict(matches=False)
        try:
            matches = self._matches(password_hash, password)
        except InvalidHashError:
            logger.error("A stored password hash cannot be read; its user cannot log in.")
            self._matches(self._nobodys, password)
            return PasswordVerdict(matches=False)
        if matches and self._is_weaker(password_hash):
            return PasswordVerdict(matches=True, new_hash=self._argon2.hash(password))
        return PasswordVerdict(matches=matches)

    def _matches(self, password_hash: str, password: str) -> bool:
        try:
            return self._argon2.verify(password_hash, password)
        except InvalidHashError:
            raise
        except VerificationError:
            return False

    def _is_weaker(self, password_hash: str) -> bool:
        stored = argon2.extract_parameters(password_hash)
        mine = self._argon2
        return (
            stored.type is not argon2.Type.ID
            or stored.time_cost < mine.time_cost
            or stored.memory_cost < mine.memory_cost
            or stored.hash_len < mine.hash_len
        )


def nobodys_hash(hasher: argon2.PasswordHasher) -> str:
    """Return what unknown names are checked against: as dear as a user's hash, and of no password.

    It is random where a hash would be, so that it costs nothing to make. The format is that of
    argon2's reference implementation.
    """
    costs = f"m={hasher.memory_cost},t={hasher.time_cost},p={hasher.parallelism}"
    salt, digest = map(_unpadded, (hasher.salt_len, hasher.hash_len))
    return f"$argon2id$v={argon2.low_level.ARGON2_VERSION}${costs}${salt}${digest}"


def _unpadded(size_bytes: int) -> str:
    return base64.b64encode(secrets.token_bytes(size_bytes)).decode().rstrip("=")
