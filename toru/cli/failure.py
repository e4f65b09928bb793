"""How a command ends that cannot do what it was asked: one sentence and an exit code.

Runs on: any thread.
"""

from __future__ import annotations

from toru.errors import ToruError

# As other programs that run programs have it: apart from what a script itself is likely to use.
FAILED = 125
INTERRUPTED = 130


class CommandError(ToruError):
    """A command failed.

    Attributes:
        exit_code: what the process exits with.
    """

    default_code = "command"

    def __init__(self, sentence: str, *, exit_code: int = FAILED) -> None:
        super().__init__(sentence)
        self.exit_code = exit_code
