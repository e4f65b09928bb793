"""Options that several commands have: which hub, and as whom.

Runs on: any thread; constants.
"""

from __future__ import annotations

from typing import Annotated

import typer

Url = Annotated[
    str | None,
    typer.Option(
        "--url",
        envvar="TORU_URL",
        help="Address of the hub. (default: the one that STEERING_HOST and STEERING_PORT name)",
        show_default=False,
    ),
]
Username = Annotated[
    str | None,
    typer.Option(
        "--username",
        "-u",
        envvar="TORU_USERNAME",
        help="Who to log in as. (default: ADMIN_USERNAME, else admin)",
        show_default=False,
    ),
]
