"""The command line as ``python -m toru``.

Runs on: the main thread.
"""

from __future__ import annotations

import sys

from toru.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
