"""Starts the runner of a data folder, detached from whoever starts it.

Runs on: any thread of the hub.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from toru.runner.main import IDLE_VARIABLE, SOCKET_NAME

_VARIABLES = {"PATH", "HOME", "LANG", "TZ", "TMPDIR", IDLE_VARIABLE}
_VARIABLE_PREFIXES = ("LC_", "LD_", "DYLD_")
_PACKAGE_FOLDER = Path(__file__).resolve().parent.parent.parent
_PROGRAM = (
    "import sys; from pathlib import Path; sys.path.append(sys.argv[1]); "
    "from toru.runner.main import main; sys.exit(main(Path(sys.argv[2])))"
)
# Nobody but init has to reap it then, whenever it ends.
_DETACH = "import os; os.fork() and os._exit(0); "


def command(data_dir: Path) -> list[str]:
    """Return the argument vector of the runner: a bare interpreter and the package's folder.

    Without site-packages it starts faster and smaller, and cannot come to depend on what is
    installed there.
    """
    return _command(data_dir, _PROGRAM)


def _command(data_dir: Path, program: str) -> list[str]:
    data = str(data_dir.absolute())
    return [sys.executable, "-S", "-E", "-P", "-c", program, str(_PACKAGE_FOLDER), data]


def _limit(descriptors: int | None) -> str:
    if descriptors is None:
        return ""
    return (
        "import resource as r; _, hard = r.getrlimit(r.RLIMIT_NOFILE); "
        f"r.setrlimit(r.RLIMIT_NOFILE, ({descriptors}, hard)); "
    )


def _environment() -> dict[str, str]:
    """Return what the runner needs of the environment, and so none of the hub's secrets.

    It lives on when the hub is gone, and scripts of the same user can read its environment.
    """
    return {
        name: value
        for name, value in os.environ.items()
        if name in _VARIABLES or name.startswith(_VARIABLE_PREFIXES)
    }


def socket_path(data_dir: Path) -> Path:
    """Return where the runner of a data folder listens; connect with ``toru.wire.unix_paths``."""
    return data_dir / "runner" / SOCKET_NAME


def start(data_dir: Path, *, descriptors: int | None = None) -> None:
    """Start the runner of ``data_dir`` in a session of its own; it outlives the caller.

    Safe to call when one runs already: the second loses the lock and exits with 0. Waits for the
    interpreter to come up and detach (about 10 ms), not until the runner listens.

    Args:
        data_dir: whose runner it is.
        descriptors: the soft limit of open files (getrlimit(2)) that scripts are to begin with;
            None leaves it at the caller's.

    Raises:
        OSError: the folder cannot be written or the process not be started.
        subprocess.CalledProcessError: the interpreter failed at once; the log says why.
    """
    folder = data_dir / "runner"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
    log = os.open(folder / "runner.log", flags, 0o600)
    try:
        subprocess.run(
            _command(data_dir, _limit(descriptors) + _DETACH + _PROGRAM),
            check=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
            close_fds=True,
            env=_environment(),
        )
    finally:
        os.close(log)
