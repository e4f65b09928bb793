"""How a built plugin starts: import the author's module and run the plugin in it.

Runs on: the main thread.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
from typing import Any

from .plugin import Plugin


def main(module_name: str) -> None:
    """Run the one plugin that a module holds. Never returns.

    Args:
        module_name: such as ``plugin``. What it prints while it is imported goes to stderr, because
            the answer to ``--metadata`` must be alone on stdout.
    """
    stdout = sys.stdout
    with contextlib.redirect_stdout(sys.stderr):
        module = importlib.import_module(module_name)
    sys.stdout = stdout
    found = _plugins(vars(module))
    if len(found) != 1:
        sys.stderr.write(
            f"{module_name}.py must hold one Plugin at its top level; it holds {len(found)}.\n"
        )
        raise SystemExit(2)
    found[0].run()


def _plugins(names: dict[str, Any]) -> list[Plugin]:
    return list(
        {id(value): value for value in names.values() if isinstance(value, Plugin)}.values()
    )
