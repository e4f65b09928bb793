"""Set the checkout up for ``make run`` or ``make test``: ``python3 -m tools.bootstrap run|test``.

Runs on: whatever ``python3`` the machine has. This file keeps to a syntax that old versions read,
so that they can hand over to a newer one or say in one line what is missing.
"""

import os
import shutil
import sys

OLDEST = (3, 11)
NEWER = ["python3.14", "python3.13", "python3.12", "python3.11"]


def main():  # type: () -> int
    """Run the set-up named on the command line and return the exit code."""
    if sys.version_info < OLDEST:
        return hand_over()
    from tools.provision import provision

    return provision(sys.argv[1:])


def hand_over():  # type: () -> int
    """Replace this process by a newer Python; return the exit code when there is none."""
    found = [path for path in map(shutil.which, NEWER) if path]
    if found:
        os.execv(found[0], [found[0], "-m", "tools.bootstrap"] + sys.argv[1:])  # noqa: RUF005 - old syntax
    have = ".".join(map(str, sys.version_info[:2]))
    print("toru: Python 3.11 or newer is needed; this machine has " + have + ".", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
