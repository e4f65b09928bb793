"""What the runner writes down about runs, so that the next runner and the hub can know.

Runs on: the runner's only thread; the hub reads ``exit.json``.

    <run>/spawn.json           what was started; there from the start on
    <run>/exit.json            how it ended; whole or not there, since it is renamed into place
    <data>/runner/live/<id>    one small file a run that has not ended: what a new runner looks at
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from pathlib import Path

SPAWN_NAME = "spawn.json"
EXIT_NAME = "exit.json"


def write_json(path: Path, value: dict[str, object]) -> None:
    """Put a JSON file in place, whole.

    It is not synced to the disk: after a power failure it may be missing or empty, which readers
    take for "not known"; the hub's database is what lasts.

    Raises:
        OSError: it could not be written; an older file is unharmed.
    """
    draft = path.with_name(path.name + ".new")
    try:
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with open(descriptor, "wb", buffering=0) as file:  # noqa: PTH123 - a descriptor
            data = json.dumps(value).encode("ascii")
            if file.write(data) != len(data):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
        raise


def read_json(path: Path) -> dict[str, object] | None:
    """Return the object in a JSON file, or None when there is none that can be read."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def read_exit(directory: Path | str) -> dict[str, object] | None:
    """Return how the run of this folder ended, or None when it has not, as far as is known."""
    return read_json(Path(directory, EXIT_NAME))


class LiveMarkers:
    """The files that name the runs which have not ended.

    Args:
        folder: where they are; made when missing.

    Raises:
        OSError: the folder cannot be made.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._folder = folder

    def put(self, run_id: str, record: dict[str, object]) -> None:
        """Write or replace the marker of a run.

        Raises:
            OSError: it could not be written.
        """
        write_json(self._folder / run_id, record)

    def remove(self, run_id: str) -> None:
        """Remove the marker of a run, if there is one."""
        with contextlib.suppress(OSError):
            (self._folder / run_id).unlink()

    def all(self) -> dict[str, dict[str, object]]:
        """Return every marker by its run; one that cannot be read is empty."""
        names = [path for path in self._folder.iterdir() if not path.name.endswith(".new")]
        return {path.name: read_json(path) or {} for path in names}
