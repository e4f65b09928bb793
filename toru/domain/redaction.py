"""Takes secrets out of texts before they are written down or shown.

Runs on: any thread; pure.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote, quote_plus

import msgspec

from toru.actors.messages.logs import LogLine

MASK = "•••"
MIN_CHARS = 4
"""Shorter ones are in too many words to be found."""
MIN_LINE_CHARS = 8
"""So long a line of a secret of several lines must be to be taken out where it stands alone."""

MAX_LINES = 64
"""Of a longer secret, so many of its longest lines; each makes the search take longer."""

_LONG_CHARS = 1024
_MAX_DEPTH = 64


class Redactor:
    """Puts `MASK` in the place of secrets.

    They are found as they are, as JSON and addresses have them, and line by line.

    Args:
        secrets: the texts; those of less than `MIN_CHARS` characters are left alone.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        forms = {form for secret in secrets for form in _forms(secret)}
        # Looked for one by one: a pattern of all would take seconds to compile where one is long.
        self._forms = sorted(forms, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return a text without the secrets."""
        for form in self._forms:
            if form in text:
                text = text.replace(form, MASK)
        return text

    def end_of_text(self, text: str) -> str:
        """Return the end of a longer text without the secrets, also one that it begins within."""
        if len(text) >= _LONG_CHARS and any(text in form for form in self._forms):
            return MASK  # it is from the midst of one
        for form in self._forms:
            for length in range(min(len(form) - 1, len(text)), MIN_CHARS - 1, -1):
                if text.startswith(form[-length:]):
                    return MASK + self.text(text[length:])
        return self.text(text)

    def value(self, value: Any, depth: int = 0) -> Any:
        """Return a value that JSON can have without the secrets in its texts and names."""
        if isinstance(value, str):
            return self.text(value)
        if depth > _MAX_DEPTH:
            return value if isinstance(value, int | float | None) else MASK
        if isinstance(value, dict):
            return {self.value(name): self.value(each, depth + 1) for name, each in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(each, depth + 1) for each in value]
        return value

    def line(self, line: LogLine) -> LogLine:
        """Return a line of a log without the secrets."""
        return msgspec.structs.replace(
            line,
            message=self.text(line.message),
            error=None if line.error is None else self.text(line.error),
            fields=self.value(line.fields),
        )


def _forms(secret: str) -> Iterator[str]:
    if len(secret) < MIN_CHARS:
        return
    yield secret
    yield json.dumps(secret)[1:-1]
    yield json.dumps(secret, ensure_ascii=False)[1:-1]
    yield repr(secret)[1:-1]
    yield quote(secret, safe="", errors="replace")
    yield quote_plus(secret, errors="replace")
    lines = [line.strip() for line in secret.splitlines()]
    if len(lines) > 1:
        # The first and last lines of keys and certificates say what they are, and are no secret.
        telling = [each for each in lines if not each.startswith("-----")]
        longest = sorted(set(telling), key=len, reverse=True)[:MAX_LINES]
        yield from (line for line in longest if len(line) >= MIN_LINE_CHARS)
