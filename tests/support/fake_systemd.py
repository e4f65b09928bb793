"""A machine with systemd, for where there is none: executables ``systemctl`` and ``journalctl``.

They are real programs that a plugin starts; what they print has the forms that systemd 252 prints
(``list-units`` and ``list-unit-files`` as JSON and as columns, ``show``, the journal's JSON).
They note how they were called.

Runs on: the test's thread; the programs are processes of the plugin.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

UNITS: dict[str, dict[str, Any]] = {
    "cron.service": {
        "Description": "Regular background program processing daemon",
        "ActiveState": "active",
        "SubState": "running",
        "UnitFileState": "enabled",
        "MainPID": 611,
        "MemoryCurrent": 2101248,
    },
    "ssh.service": {
        "Description": "OpenBSD Secure Shell server",
        "ActiveState": "active",
        "SubState": "running",
        "UnitFileState": "enabled",
        "MainPID": 702,
        "MemoryCurrent": 7340032,
    },
    "backup.service": {
        "Description": "Copy the database to another place",
        "ActiveState": "failed",
        "SubState": "failed",
        "UnitFileState": "static",
        "Result": "exit-code",
        "ExecMainStatus": 3,
    },
    "keyboard-setup.service": {
        "Description": "Set the console keyboard layout",
        "ActiveState": "active",
        "SubState": "exited",
        "UnitFileState": "enabled",
    },
    "systemd-fsck@dev-disk-by\\x2duuid-7A01.service": {
        "Description": "File System Check on /dev/disk/by-uuid/7A01",
        "ActiveState": "inactive",
        "SubState": "dead",
        "UnitFileState": "static",
    },
    "locked.service": {
        "Description": "Only root may touch it",
        "ActiveState": "active",
        "SubState": "running",
        "UnitFileState": "enabled",
    },
    "broken.service": {
        "Description": "Never starts",
        "ActiveState": "inactive",
        "SubState": "dead",
        "UnitFileState": "disabled",
    },
    "slow.service": {
        "Description": "Takes its time to stop",
        "ActiveState": "active",
        "SubState": "running",
        "UnitFileState": "enabled",
    },
}
FILES = {"getty@.service": "enabled", "dbus-alias.service": "alias", "rsync.service": "disabled"}


class FakeSystemd:
    """The two programs and what they know, in a folder that is put into ``PATH``.

    Args:
        folder: where; it is made.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._write("units.json", {"units": UNITS, "files": FILES, "mode": "json"})
        (folder / "journal").touch()
        for name, body in (("systemctl", _SYSTEMCTL), ("journalctl", _JOURNALCTL)):
            program = folder / name
            program.write_text(f"#!{sys.executable} -SE\n{_HEAD}{body}")
            program.chmod(0o755)

    @property
    def path(self) -> str:
        """A ``PATH`` on which these programs come first."""
        return f"{self.folder}:/usr/bin:/bin"

    @property
    def calls(self) -> list[list[str]]:
        """The command lines so far."""
        log = self.folder / "calls"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    @property
    def followers(self) -> list[int]:
        """The processes that have followed a journal."""
        log = self.folder / "followers"
        return [int(line) for line in log.read_text().splitlines()] if log.exists() else []

    def behave(self, mode: str) -> None:
        """Answer as JSON (``json``), as an old version (``plain``), ``absent`` or ``hangs``."""
        known = json.loads((self.folder / "units.json").read_text())
        self._write("units.json", {**known, "mode": mode})

    def write(self, unit: str, text: Any, priority: int = 6) -> None:
        """Add a line to the journal of a service."""
        with (self.folder / "journal").open("a") as file:
            at = file.tell()
            entry = {
                "__CURSOR": f"s=5a0e1d;i={at:x};b=99;m=1;t=2;x=3",
                "__REALTIME_TIMESTAMP": str(time.time_ns() // 1000),
                "PRIORITY": str(priority),
                "SYSLOG_IDENTIFIER": unit.removesuffix(".service"),
                "_SYSTEMD_UNIT": unit,
                "_PID": "611",
                "MESSAGE": text,
            }
            file.write(json.dumps(entry) + "\n")

    def _write(self, name: str, content: Any) -> None:
        part = self.folder / f".{name}"
        part.write_text(json.dumps(content))
        part.rename(self.folder / name)


_HEAD = """
import json, os, sys, time
from pathlib import Path
here = Path(__file__).parent
arguments = sys.argv[1:]
with (here / "calls").open("a") as log:
    log.write(json.dumps([Path(sys.argv[0]).name, *arguments]) + "\\n")
known = json.loads((here / "units.json").read_text())
units, mode = known["units"], known["mode"]
def fail(text, code=1):
    sys.stderr.write(text + "\\n")
    sys.exit(code)
"""

_SYSTEMCTL = """
if mode == "absent" or ("--user" in arguments and mode == "json"):
    if "--user" in arguments:
        fail("Failed to connect to bus: No medium found")
    fail("System has not been booted with systemd as init system (PID 1). Can't operate.\\n"
         "Failed to connect to bus: Host is down")
if mode == "hangs":
    time.sleep(60)
words = [word for word in arguments if not word.startswith("-")]
verb, names = words[0], words[1:]
as_json = "--output=json" in arguments and mode == "json"
if verb == "list-units":
    rows = [(name, "loaded", unit["ActiveState"], unit["SubState"], unit["Description"])
            for name, unit in units.items()]
    rows.append(("apparmor.service", "not-found", "inactive", "dead", "apparmor.service"))
    if as_json:
        fields = ("unit", "load", "active", "sub", "description")
        print(json.dumps([dict(zip(fields, row)) for row in rows]))
    else:
        for row in rows:
            print("%-52s %-9s %-8s %-7s %s" % row)
elif verb == "list-unit-files":
    files = {name: unit["UnitFileState"] for name, unit in units.items() if "@" not in name}
    files.update(known["files"])
    if as_json:
        print(json.dumps([{"unit_file": name, "state": state, "preset": "enabled"}
                          for name, state in files.items()]))
    else:
        for name, state in files.items():
            print("%-40s %-15s %s" % (name, state, "enabled"))
elif verb == "show":
    wanted = next(word for word in arguments if word.startswith("--property="))
    moment_us = str(int(time.monotonic() * 1e6) - 3_600_000_000)
    blocks = []
    for name in names:
        unit = units.get(name)
        told = {"Id": name, "LoadState": "loaded", "Result": "success", "NRestarts": 0,
                "MemoryCurrent": "[not set]", "MainPID": 0, "ExecMainStatus": 0,
                "CanStart": "yes", "CanStop": "yes", "UnitFileState": "",
                "FragmentPath": "/lib/systemd/system/" + name}
        if unit is None:
            told.update(LoadState="not-found", ActiveState="inactive", SubState="dead")
        else:
            told.update(unit)
        for edge in ("ActiveEnter", "ActiveExit", "InactiveEnter", "InactiveExit"):
            told[edge + "TimestampMonotonic"] = moment_us
        fields = wanted.partition("=")[2].split(",")
        blocks.append("\\n".join(f"{key}={told[key]}" for key in fields if key in told))
    print("\\n\\n".join(blocks))
elif verb in ("start", "stop", "restart"):
    [name] = names
    if name == "locked.service":
        fail(f"Failed to {verb} {name}: Interactive authentication required.\\n"
             f"See system logs and 'systemctl status {name}' for details.")
    if name == "broken.service":
        fail(f"Job for {name} failed because the control process exited with error code.\\n"
             f'See "systemctl status {name}" and "journalctl -xeu {name}" for details.')
    if name not in units:
        fail(f"Failed to {verb} {name}: Unit {name} not found.", 5)
    states = ("inactive", "dead") if verb == "stop" else ("active", "running")
    if name == "slow.service":
        units[name].update(ActiveState="deactivating", SubState="stop-sigterm")
    else:
        units[name].update(ActiveState=states[0], SubState=states[1])
    part = here / f".units-{os.getpid()}"
    part.write_text(json.dumps(known))
    part.rename(here / "units.json")
    if name == "slow.service":
        time.sleep(60)
else:
    fail(f"Unknown command verb {verb}.")
"""

_JOURNALCTL = """
unit = next(word.partition("=")[2] for word in arguments if "unit=" in word)
with (here / "followers").open("a") as log:
    log.write(f"{os.getpid()}\\n")
if unit == "locked.service":
    sys.stderr.write("Hint: You are currently not seeing messages from other users.\\n")
    fail("No journal files were opened due to insufficient permissions.")
after = next((word.partition("=")[2] for word in arguments if "cursor=" in word), None)
count = next((int(word.partition("=")[2]) for word in arguments if "lines=" in word), 10)
with (here / "journal").open() as journal:
    entries = [line for line in journal if json.loads(line)["_SYSTEMD_UNIT"] == unit]
    cursors = [json.loads(line)["__CURSOR"] for line in entries]
    begin = cursors.index(after) + 1 if after in cursors else max(0, len(entries) - count)
    for line in entries[begin:]:
        print(line, end="", flush=True)
    while True:
        line = journal.readline()
        if not line:
            time.sleep(0.02)
        elif json.loads(line)["_SYSTEMD_UNIT"] == unit:
            print(line, end="", flush=True)
"""
