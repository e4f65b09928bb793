"""What the database actors are told and asked of the machine's history.

`DbWriter` takes `SaveMachineHistory`, `DbReader` answers `ReadMachineHistory`.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

import msgspec

from toru.actors.runtime import Message
from toru.domain.machine_history import Stretch


class SaveMachineHistory(Message[None], frozen=True):
    """Keep rows of a minute; hours that are over are rolled up, and what is too old goes.

    A row that is there already is replaced.

    Attributes:
        rows: what is to be kept, in the order of time.
        now: seconds since the Unix epoch.
    """

    rows: tuple[Stretch, ...]
    now: float


class StoredHistory(msgspec.Struct, frozen=True):
    """What is stored of a time.

    Attributes:
        stretches: at most one for each step, in the order of time.
        resolution_s: how long the coarsest row is that went into them; 0 when there is none.
    """

    stretches: list[Stretch]
    resolution_s: int


class ReadMachineHistory(Message[StoredHistory], frozen=True):
    """What is stored between two moments, thinned out to steps.

    Attributes:
        start: seconds since the Unix epoch, a multiple of ``step``.
        end: likewise, not necessarily a multiple.
        step: seconds.
    """

    start: int
    end: int
    step: int
