"""What a plugin prints, on its way to its log; its last words are kept for when it fails.

Runs on: the event loop, owned by one `Plugin`. How fast output may come is limited by the runner.
"""

from __future__ import annotations

import contextlib
from typing import Literal

from toru.actors.messages.logs import LogOutput
from toru.actors.plugin_settings import PluginSettings
from toru.actors.runtime import Address
from toru.domain.plugin_probe import last_words
from toru.errors import Unavailable

_KEPT_BYTES = 4096

Stream = Literal["stdout", "stderr"]
STREAMS: tuple[Stream, Stream] = ("stdout", "stderr")


class PluginOutput:
    """The output of one plugin, one process after the other."""

    def __init__(self, sink: Address, settings: PluginSettings) -> None:
        self._sink = sink
        self._settings = settings
        self._stderr = b""

    @property
    def last_words(self) -> str:
        """A sentence with the end of stderr, after a space; empty without any."""
        if not self._settings.hidden:
            return last_words(self._stderr)
        text = self._stderr.decode("utf-8", "replace")
        return last_words(self._settings.hide_in_end(text).encode())

    def begin(self) -> None:
        """Forget what the process before has said."""
        self._stderr = b""

    def take(self, data: bytes, stream: Stream, pid: int | None) -> None:
        """Pass a piece on."""
        if stream == "stderr":
            self._stderr = (self._stderr + data[-_KEPT_BYTES:])[-_KEPT_BYTES:]
        self._tell(LogOutput(data, stream, pid, secrets=self._settings.hidden))

    def end(self, pid: int | None) -> None:
        """Take note that the process has ended, and its pipes with it."""
        for stream in STREAMS:
            secrets = self._settings.hidden
            self._tell(LogOutput(b"", stream, pid, ended=True, secrets=secrets))

    def _tell(self, message: LogOutput) -> None:
        with contextlib.suppress(Unavailable):
            self._sink.tell(message)
