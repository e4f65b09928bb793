"""Header fields of requests and answers.

Runs on: any thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Union

from .errors import PluginError

HeaderPairs = list[tuple[str, str]]
HeaderSource = Union[Mapping[str, Any], Iterable[Any], None]

_TOKEN = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")


class Headers(Mapping[str, str]):
    """Header fields; names are compared without case, and the first of several values wins.

    Args:
        source: a mapping, or pairs of name and value.
    """

    def __init__(self, source: HeaderSource = None) -> None:
        items: Iterable[Any] = source.items() if isinstance(source, Mapping) else source or ()
        self.pairs: HeaderPairs = [(str(name), str(value)) for name, value in items]

    def __getitem__(self, name: str) -> str:
        for have, value in self.pairs:
            if have.lower() == name.lower():
                return value
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter({name.lower(): None for name, _ in self.pairs})

    def __len__(self) -> int:
        return len({name.lower() for name, _ in self.pairs})

    def __repr__(self) -> str:
        return f"Headers({self.pairs!r})"

    def get_all(self, name: str) -> list[str]:
        """Return every value of a header."""
        return [value for have, value in self.pairs if have.lower() == name.lower()]


def check_header(name: str, value: str) -> None:
    """Refuse what no message may have as a header.

    Raises:
        PluginError: name or value is not allowed.
    """
    if not name or not _TOKEN.issuperset(name):
        raise PluginError(f"{name!r} is no name of a header")
    if any(ord(char) < 32 and char != "\t" for char in value) or "\x7f" in value:
        raise PluginError(f"the header {name} has control characters: {value!r}")
    if any(ord(char) > 0xFF for char in value):
        raise PluginError(f"the header {name} has characters beyond Latin-1: {value!r}")
