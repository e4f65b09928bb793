"""What is looked for in an output, and where it is in a block of bytes.

Runs on: any thread; pure.

Text is found as people see it: escape sequences (ECMA-48 5.4, colours above all) are passed over,
so that a word that changes its colour half-way is found. There are no patterns, only plain text,
so the time for a block depends on its length alone.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator

MAX_CHARACTERS = 256
"""The longest text that is looked for."""

LONGEST_ESCAPE = 64
"""Longer escape sequences may be torn where two blocks meet."""

_ESCAPE = re.compile(
    rb"\x1b(?:\[[0-?]{0,48}[ -/]{0,8}[@-~]|\][^\x07\x1b\n]{0,4096}(?:\x07|\x1b\\)|[@-Z^_=>78])"
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


class Needle:
    """A text that is looked for.

    Args:
        text: 1 to ``MAX_CHARACTERS`` characters.
        match_case: whether capitals and small letters differ.

    Attributes:
        longest: the most bytes that a match has, escape sequences within it not counted.
    """

    def __init__(self, text: str, *, match_case: bool) -> None:
        self._bytes = text.encode("utf-8", "replace")
        self._folds = False
        self._pattern: re.Pattern[bytes] | None = None
        variants = [_variants(char) for char in text]
        if not match_case and text.isascii():
            self._folds = True
            self._bytes = self._bytes.lower()
        elif not match_case and any(len(each) > 1 for each in variants):
            self._pattern = re.compile(b"".join(map(_any_of, variants)))
        self.longest = sum(max(map(len, each)) for each in variants)

    def forward(self, plain: bytes) -> Iterator[tuple[int, int]]:
        """Yield the start and end of each match, the first one first."""
        if self._pattern is not None:
            yield from (found.span() for found in self._pattern.finditer(plain))
            return
        text, sought = self._folded(plain), self._bytes
        start = text.find(sought)
        while start >= 0:
            yield start, start + len(sought)
            start = text.find(sought, start + len(sought))

    def backward(self, plain: bytes) -> Iterator[tuple[int, int]]:
        """Yield the start and end of each match, the last one first."""
        if self._pattern is not None:
            yield from reversed([found.span() for found in self._pattern.finditer(plain)])
            return
        text, sought = self._folded(plain), self._bytes
        start = text.rfind(sought)
        while start >= 0:
            yield start, start + len(sought)
            start = text.rfind(sought, 0, start)

    def _folded(self, plain: bytes) -> bytes:
        return plain.lower() if self._folds else plain


class Visible:
    """A block without its escape sequences, and the way back to its own offsets.

    Attributes:
        plain: what is seen of the block.
    """

    def __init__(self, block: bytes) -> None:
        self.plain = block
        self._starts: list[int] = []
        self._removed: list[int] = []
        self._spans: list[tuple[int, int]] = []
        if b"\x1b" in block:
            self._strip(block)

    def _strip(self, block: bytes) -> None:
        kept: list[bytes] = []
        end = removed = 0
        for found in _ESCAPE.finditer(block):
            start, after = found.span()
            kept.append(block[end:start])
            self._starts.append(start - removed)
            removed += after - start
            self._removed.append(removed)
            self._spans.append((start, after))
            end = after
        kept.append(block[end:])
        self.plain = b"".join(kept)

    def offset(self, position: int) -> int:
        """Return where in the block the byte at ``position`` of ``plain`` is."""
        before = bisect_right(self._starts, position)
        return position + (self._removed[before - 1] if before else 0)

    def border(self, offset: int) -> int:
        """Return ``offset`` of the block, or the start of the escape sequence that it cuts."""
        at = bisect_right(self._spans, (offset, 0)) - 1
        if at >= 0 and self._spans[at][1] > offset:
            return self._spans[at][0]
        return offset


def as_line(data: bytes) -> str:
    """Return a part of a line as text to show: no escape sequences, no control characters."""
    text = Visible(data).plain.decode("utf-8", "replace")
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def _variants(char: str) -> tuple[bytes, ...]:
    """Return the character in both cases; 'ß' has no capital of one character."""
    cases = {char, *(case for case in (char.lower(), char.upper()) if len(case) == 1)}
    return tuple(sorted(case.encode("utf-8", "replace") for case in cases))


def _any_of(variants: tuple[bytes, ...]) -> bytes:
    return b"(?:" + b"|".join(map(re.escape, variants)) + b")"
