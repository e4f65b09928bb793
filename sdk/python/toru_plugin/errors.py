"""The errors of this library.

Runs on: any thread.

    PluginError              the plugin, or how it uses this library, is wrong
    ├── HttpError            raised in a handler: the answer has this status and sentence
    ├── CallError            the core refused a call, or did not answer it
    ├── Disconnected         whoever is at the other end has left
    ├── FrameError           the other side broke the framing
    └── NeedsConfiguration   raised in on_start: do not restart, a person must act
"""

from __future__ import annotations


class PluginError(Exception):
    """The plugin, or how it uses this library, is wrong."""


class HttpError(PluginError):
    """Raise it in a handler to answer with an error.

    Args:
        status: the HTTP status, 400 to 599.
        sentence: what went wrong, for the person who asked.
        code: the snake_case name that programs compare.
    """

    def __init__(self, status: int, sentence: str, code: str = "error") -> None:
        super().__init__(sentence)
        self.status = status
        self.sentence = sentence
        self.code = code


class CallError(PluginError):
    """The core refused a call, or did not answer it.

    Attributes:
        code: the protocol's word, such as ``CONFLICT``, ``TOO_LARGE``, ``BUSY`` or ``DEADLINE``.
        sentence: what went wrong.
        retryable: whether the same call may succeed later.
    """

    def __init__(self, code: str, sentence: str, *, retryable: bool = False) -> None:
        super().__init__(f"{code}: {sentence}")
        self.code = code
        self.sentence = sentence
        self.retryable = retryable


class Disconnected(PluginError):
    """Whoever is at the other end of a request or a WebSocket has left.

    A handler need not catch it: it ends the handler, and is no fault.

    Attributes:
        code: a WebSocket's close code (RFC 6455, 7.4), such as 1000 or 1001; 1006 for a request.
    """

    def __init__(self, code: int = 1006, sentence: str = "the other side has left") -> None:
        super().__init__(sentence)
        self.code = code


class FrameError(PluginError):
    """The other side broke the framing; nothing after this point can be understood.

    Attributes:
        code: ``BAD_FRAME``, ``TOO_LARGE`` or ``FLOW``.
    """

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


class NeedsConfiguration(PluginError):
    """Raise it in ``on_start`` when a person must set something first.

    The process exits with code 78, which the core does not answer with a restart.
    """
