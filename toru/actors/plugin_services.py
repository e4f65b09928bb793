"""What plugins' actors and their helpers are given: whom they talk to, and where things are.

Runs on: made by the composition root; frozen values only.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import msgspec

from toru.actors.runtime import Address


class PluginServices(msgspec.Struct, frozen=True):
    """Whom plugins' actors talk to, and what they are told of this hub.

    Attributes:
        log_sink: returns the address of the sink of a plugin's log, which it starts if need be.
        backoff: a factor for the pauses before a plugin is started again; None for pauses that
            vary by 20 %, so that plugins that fell together rise apart.
        healthy_s: seconds of good health after which a plugin's failures are forgotten; None
            is `HEALTHY_S`.
        look_s: seconds between two looks at the folder; None is 1.
    """

    runner: Address
    folder: Address
    store: Address
    db_writer: Address
    db_reader: Address
    hub: Address
    tasks: Address
    manager: Address
    monitor: Address
    supervisor_log: Address
    log_sink: Callable[[str], Address]
    socket_dir: Path
    data_dir: Path
    log_dir: Path
    instance_id: str
    backoff: float | None = None
    healthy_s: float | None = None
    look_s: float | None = None
