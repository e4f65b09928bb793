"""A run's output on disk: ``OutputWriter`` for the runner, ``OutputReader`` for everyone else.

Runs on: any thread. The runner imports ``store_writer`` alone, to stay small.
"""

from toru.runner.store_format import INDEX_NAME, LOG_NAME, STDERR, STDOUT
from toru.runner.store_reader import Gap, OutputReader, Piece, Slice, missing_marker
from toru.runner.store_writer import OutputWriter

__all__ = [
    "INDEX_NAME",
    "LOG_NAME",
    "STDERR",
    "STDOUT",
    "Gap",
    "OutputReader",
    "OutputWriter",
    "Piece",
    "Slice",
    "missing_marker",
]
