"""What commands write: a script's output as it is, sentences for the person on stderr.

Runs on: the main thread.
"""

from __future__ import annotations

import os
import sys

from toru.log import visible


def write_output(stream: str, text: str) -> None:
    """Write text of a script, unchanged and at once.

    Raises:
        BrokenPipeError: nobody reads any more.
    """
    target = (sys.stderr if stream == "stderr" else sys.stdout).buffer
    target.write(text.encode("utf-8", "replace"))
    target.flush()


def tell(sentence: str) -> None:
    """Print a sentence on stderr, marked as Toru's and safe for a terminal."""
    print(f"toru: {visible(sentence)}", file=sys.stderr, flush=True)


def is_interactive() -> bool:
    """Return whether a person can be asked something."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool:
    """Ask a person; only ``y`` or ``yes`` is a yes."""
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def abandon_stdout() -> None:
    """Let what is still buffered for a reader who has gone be dropped without a complaint."""
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device, not a path of ours
        os.dup2(nowhere.fileno(), sys.stdout.fileno())
