"""The database actors, in the order in which the composition root starts them.

Runs on: any thread; makes specs only.
"""

from __future__ import annotations

from toru.actors.db_reader import reader_specs
from toru.actors.db_writer import DbWriter
from toru.actors.runtime import ChildSpec
from toru.storage import Storage

WRITER_STOP_S = 15.0
"""What has been accepted is still committed at the stop, also behind another program's lock."""


def storage_children(storage: Storage) -> tuple[ChildSpec, ...]:
    """Return the specs of ``db_writer``, the reading threads and ``db_reader``."""
    return (
        ChildSpec("db_writer", DbWriter, (storage,), shutdown_s=WRITER_STOP_S),
        *reader_specs(storage),
    )
