"""What the table of processes is asked.

Runs on: any thread; frozen values only.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from toru.actors.runtime import Message

ProcessOrder = Literal["cpu", "memory"]


class ProcessRow(msgspec.Struct, frozen=True):
    """One process.

    Attributes:
        pid: its number.
        name: the name that the kernel knows it by.
        user: who runs it; a number where the user has no name.
        cpu_percent: its share of one core, so more than 100 with several threads.
        memory_bytes: resident memory, shared pages included.
        command: the beginning of its command line; empty for threads of the kernel.
    """

    pid: int
    name: str
    user: str
    cpu_percent: float
    memory_bytes: int
    command: str


class ProcessList(msgspec.Struct, frozen=True):
    """The processes that use the most.

    Attributes:
        processes: the one that uses the most first.
        total: how many there are in all.
        sampled_at: when that was.
    """

    processes: list[ProcessRow]
    total: int
    sampled_at: str


class GetProcesses(Message[ProcessList], frozen=True):
    """The processes that use most of the processor, or of the memory."""

    sort: ProcessOrder
    limit: int
