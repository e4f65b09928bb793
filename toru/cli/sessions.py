"""The sessions that this person has with hubs, kept so that the next call needs no password.

Runs on: any thread. The file is in the person's state folder, readable by nobody else.
"""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

import platformdirs


def default_path() -> Path:
    """Return the file of this person's sessions."""
    return platformdirs.user_state_path("toru") / "sessions.json"


class SessionStore:
    """Session tokens by hub and user name.

    A file that cannot be read counts as empty, and one that cannot be written is left: then the
    next call asks for the password again.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, url: str, username: str) -> str | None:
        """Return the token of a session, or None."""
        token = self._read().get(url, {}).get(username)
        return token if isinstance(token, str) else None

    def put(self, url: str, username: str, token: str) -> None:
        """Keep a token."""
        everything = self._read()
        everything.setdefault(url, {})[username] = token
        self._write(everything)

    def forget(self, url: str, username: str) -> None:
        """Drop a token that the hub does not know any more."""
        everything = self._read()
        if everything.get(url, {}).pop(username, None) is not None:
            self._write(everything)

    def _read(self) -> dict[str, dict[str, object]]:
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        if not isinstance(content, dict):
            return {}
        return {url: users for url, users in content.items() if isinstance(users, dict)}

    def _write(self, everything: dict[str, dict[str, object]]) -> None:
        fresh = self._path.with_name(f"{self._path.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with os.fdopen(descriptor, "w") as file:
                json.dump(everything, file, indent=1)
            fresh.replace(self._path)
