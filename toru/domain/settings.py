"""The settings that there are, as data: defaults, rules and what each does.

Runs on: any thread; pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec

from toru.errors import BadRequest, NotFound

LeftoverPolicy = Literal["end", "leave"]

MIB = 1024**2
TIB = 1024**4
YEAR_S = 365 * 24 * 3600


class SettingsInForce(msgspec.Struct, frozen=True):
    """All settings, each with its own type.

    Attributes:
        scripts_dir: the folder of the scripts, as it was written.
        max_concurrent_tasks: runs at one time.
        max_queued_tasks: runs that may wait.
        max_output_bytes: output kept of one run.
        history_retention_days: days that ended runs are kept; 0 keeps them for ever.
        history_max_runs: ended runs that are kept; 0 keeps them all.
        run_time_limit_s: seconds that a run may take; 0 is no limit.
        leftover_policy: what becomes of processes that a script leaves behind.
        cancel_grace_s: seconds from SIGTERM to SIGKILL.
        instance_id: the UUID of this installation.
    """

    scripts_dir: str
    max_concurrent_tasks: int
    max_queued_tasks: int
    max_output_bytes: int
    history_retention_days: int
    history_max_runs: int
    run_time_limit_s: float
    leftover_policy: LeftoverPolicy
    cancel_grace_s: float
    instance_id: str


class Setting(msgspec.Struct, frozen=True):
    """One setting.

    Attributes:
        key: its name.
        default: the value in force without a change.
        description: what it does.
        parse: returns the typed value of a text, or raises ValueError with the rule that the
            text breaks, to stand after "must be".
        read_only: whether nobody changes it.
    """

    key: str
    default: str
    description: str
    parse: Callable[[str], Any]
    read_only: bool = False


def _whole(minimum: int, maximum: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if re.fullmatch(r"[0-9]{1,15}", text) and minimum <= int(text) <= maximum:
            return int(text)
        raise ValueError(f"a whole number from {minimum:,} to {maximum:,}")

    return parse


def _seconds(maximum: int) -> Callable[[str], float]:
    def parse(text: str) -> float:
        if re.fullmatch(r"[0-9]{1,15}(\.[0-9]{1,6})?", text) and float(text) <= maximum:
            return float(text)
        raise ValueError(f"a number of seconds from 0 to {maximum:,}")

    return parse


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text in choices:
            return text
        raise ValueError(f"one of: {', '.join(choices)}")

    return parse


def _folder(text: str) -> str:
    if not text or len(text) > 4096 or not text.isprintable():
        raise ValueError("a path of 1 to 4,096 printable characters")
    try:
        Path(text).expanduser()
    except RuntimeError:
        raise ValueError("a path; it names the home folder of an unknown user") from None
    return text


def settings_table(scripts_dir: Path | str) -> dict[str, Setting]:
    """Return all settings by key, in the order to show them.

    Args:
        scripts_dir: the default of the setting of that name.
    """
    settings = (
        Setting(
            "scripts_dir",
            str(scripts_dir),
            "The folder of the scripts; a relative path starts at the folder Toru was started in.",
            _folder,
        ),
        Setting(
            "max_concurrent_tasks",
            "16",
            "How many runs go on at one time; more of them wait.",
            _whole(1, 1000),
        ),
        Setting(
            "max_queued_tasks",
            "10000",
            "How many runs may wait; one more is refused.",
            _whole(0, 1_000_000),
        ),
        Setting(
            "max_output_bytes",
            str(64 * MIB),
            "How much output of one run is kept, in bytes: its first and its last half.",
            _whole(MIB, TIB),
        ),
        Setting(
            "history_retention_days",
            "90",
            "For how many days ended runs are kept; 0 keeps them for ever.",
            _whole(0, 36_500),
        ),
        Setting(
            "history_max_runs",
            "10000",
            "How many ended runs are kept, the newest; 0 keeps them all.",
            _whole(0, 10_000_000),
        ),
        Setting(
            "run_time_limit_s",
            "0",
            "After how many seconds a run is ended; 0 is no limit.",
            _seconds(YEAR_S),
        ),
        Setting(
            "leftover_policy",
            "end",
            "Processes that a script leaves behind: 'end' ends them, 'leave' lets them be.",
            _one_of("end", "leave"),
        ),
        Setting(
            "cancel_grace_s",
            "5",
            "How many seconds a cancelled run has to end by itself before it is killed.",
            _seconds(3600),
        ),
        Setting(
            "instance_id",
            "",
            "The identity of this installation, made at its first start.",
            str,
            read_only=True,
        ),
    )
    return {setting.key: setting for setting in settings}


def check_change(table: Mapping[str, Setting], key: str, value: str) -> str:
    """Return the text to store for a change.

    Raises:
        NotFound: there is no such setting.
        BadRequest: it cannot be changed, or not to this value.
    """
    setting = find_setting(table, key)
    if setting.read_only:
        raise BadRequest(f"The setting {key} cannot be changed.", code="read_only")
    text = value.strip()
    try:
        setting.parse(text)
    except ValueError as rule:
        raise BadRequest(f"The setting {key} must be {rule}.") from None
    return text


def find_setting(table: Mapping[str, Setting], key: str) -> Setting:
    """Return a setting by its key.

    Raises:
        NotFound: there is no such setting.
    """
    if key not in table:
        raise NotFound("There is no such setting.")
    return table[key]


def values_in_force(
    table: Mapping[str, Setting], stored: Mapping[str, str]
) -> tuple[dict[str, str], list[str]]:
    """Return the values in force, and a sentence for each stored value that is not usable."""
    values: dict[str, str] = {}
    complaints: list[str] = []
    for key, setting in table.items():
        values[key] = setting.default
        if key not in stored:
            continue
        try:
            setting.parse(stored[key])
        except ValueError as rule:
            complaints.append(
                f"The stored setting {key} must be {rule}; its default {setting.default} is used."
            )
        else:
            values[key] = stored[key]
    return values, complaints


def typed(table: Mapping[str, Setting], values: Mapping[str, str]) -> SettingsInForce:
    """Return values in force with their types."""
    return SettingsInForce(**{key: setting.parse(values[key]) for key, setting in table.items()})


def folder_path(value: str, start_folder: Path) -> Path:
    """Return the absolute path that a setting names."""
    return start_folder / Path(value).expanduser()
