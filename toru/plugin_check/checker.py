"""Runs the cases on a plugin, one after the other, and says how each has ended.

Runs on: one thread of a process of its own.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from toru.domain.plugin_metadata import BrokenPlugin, PluginMetadata
from toru.domain.plugin_probe import FileFacts, FileKind, check_file
from toru.plugin_check import cases_metadata, cases_v1, cases_v2, cases_v2_end, cases_v2_streams
from toru.plugin_check.model import (
    Broken,
    Case,
    CaseResult,
    Group,
    NotApplicable,
    Outcome,
    Setting,
    Stage,
)
from toru.plugin_check.process import CannotRun, children, end_children
from toru.runner.platform import become_subreaper

GROUPS: tuple[Group, ...] = (
    cases_metadata.GROUP,
    *cases_v1.GROUPS,
    *cases_v2.GROUPS,
    *cases_v2_streams.GROUPS,
    *cases_v2_end.GROUPS,
)
"""All cases, in the order in which they are tried."""


class Report(msgspec.Struct, frozen=True):
    """What came of a check.

    Attributes:
        path: the file.
        metadata: what the plugin says of itself; None when that cannot be used.
        cases: how each case has ended.
    """

    path: str
    metadata: PluginMetadata | None
    cases: tuple[CaseResult, ...]

    def count(self, outcome: Outcome) -> int:
        """Return how many cases have ended in a way."""
        return sum(case.outcome == outcome for case in self.cases)


Listener = Callable[[CaseResult], None]


def find_plugin(path: Path) -> Path:
    """Return the absolute path of a file that can be executed.

    Raises:
        CannotRun: there is none.
    """
    try:
        facts = path.stat()
    except OSError as error:
        raise CannotRun(f"{path} cannot be checked: {error.strerror}.") from None
    kind: FileKind = "folder" if stat.S_ISDIR(facts.st_mode) else "other"
    if stat.S_ISREG(facts.st_mode):
        kind = "file"
    try:
        check_file(FileFacts(kind, os.access(path, os.X_OK), facts.st_size))
    except BrokenPlugin as broken:
        raise CannotRun(f"{path} cannot be checked. {broken.sentence}") from None
    return path.resolve()


def check_plugin(
    setting: Setting, *, only: str = "", on_begin: Callable[[Group, Case], None], on_end: Listener
) -> Report:
    """Run the cases whose names match ``only`` on a plugin, and return how they ended.

    Args:
        setting: the plugin; its path as of `find_plugin`, its folder may be empty.
        only: a pattern, or a part of names; empty for all.
        on_begin: called before each case.
        on_end: called after each case.

    Raises:
        CannotRun: the file cannot be executed.
    """
    become_subreaper()
    others = children()
    with (
        contextlib.ExitStack() as stack,
        tempfile.TemporaryDirectory(prefix="toru-check-") as folder,
    ):
        # Also of a process that is started in the very moment of Ctrl-C nothing is left.
        stack.callback(end_children, others)
        setting = dataclasses.replace(setting, folder=Path(folder))
        checker = _Checker(setting, on_begin, on_end)
        try:
            for group in GROUPS:
                checker.run(group, group.named(only) if only else group.cases)
        finally:
            checker.close()
        return Report(str(setting.path), checker.setting.metadata, tuple(checker.results))


class _Checker:
    """Keeps the stage between the groups that share it, and what has failed so far."""

    def __init__(
        self, setting: Setting, on_begin: Callable[[Group, Case], None], on_end: Listener
    ) -> None:
        self.results: list[CaseResult] = []
        self._on_begin = on_begin
        self._on_end = on_end
        self._blocked: dict[str, str] = {}
        self._stage: Stage | None = None
        self._stage_name = ""
        self._why_unread = ""
        metadata = self._read_metadata(setting)
        config = _config(metadata, setting.values)
        self.setting = dataclasses.replace(setting, metadata=metadata, config=config)

    def run(self, group: Group, cases: list[Case]) -> None:
        """Run cases of a group."""
        for case in cases:
            self._on_begin(group, case)
            result = self._result(group, case)
            self.results.append(result)
            self._on_end(result)

    def close(self) -> None:
        """End whatever runs."""
        if self._stage is not None:
            self._stage.close()
            self._stage = None

    def _read_metadata(self, setting: Setting) -> PluginMetadata | None:
        self._stage = stage = cases_metadata.MetadataStage(setting)
        self._stage_name = "metadata"
        try:
            return stage.metadata()
        except BrokenPlugin as broken:
            self._why_unread = broken.sentence
            return None

    def _result(self, group: Group, case: Case) -> CaseResult:
        reason = self._why_not(group, case)
        if reason:
            self._blocked.update({case.name: reason} if case.level == "must" else {})
            return _result(group, case, "skipped", got=reason)
        stage = self._stage_for(group)
        stage.mark()
        try:
            case.check(stage)
        except NotApplicable as not_applicable:
            return _result(group, case, "skipped", got=str(not_applicable))
        except Broken as broken:
            if case.level == "must":
                self._blocked[case.name] = f"{case.name} has failed."
            outcome: Outcome = "failed" if case.level == "must" else "warned"
            return _result(group, case, outcome, stage, broken)
        return _result(group, case, "passed", stage)

    def _why_not(self, group: Group, case: Case) -> str:
        """Return why a case is not tried; empty when it is."""
        metadata = self.setting.metadata
        if group.version is not None:
            if metadata is None:
                return "Its metadata cannot be used."
            if group.version not in metadata.protocols:
                return f"Its metadata do not announce version {group.version}."
        return next((self._blocked[name] for name in case.needs if name in self._blocked), "")

    def _stage_for(self, group: Group) -> Stage:
        """Return the stage for the next case: the one of the case before where that serves."""
        name = "metadata" if group is cases_metadata.GROUP else group.stage
        kept = self._stage
        if kept is not None and name == self._stage_name and not group.fresh and kept.usable():
            return kept
        self.close()
        self._stage, self._stage_name = group.open(self.setting), name
        return self._stage


def _config(metadata: PluginMetadata | None, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the plugin is told as its settings, as the hub does; needed ones may be missing.

    Raises:
        CannotRun: a value is not allowed.
    """
    if metadata is None or metadata.settings is None:
        return {}
    from toru.domain.plugin_settings import InvalidSettings, SettingsForm

    form = SettingsForm(metadata.settings)
    try:
        return form.config(form.changed({}, values))
    except InvalidSettings as error:
        wrong = {name: why for name, why in error.fields.items() if name in values}
    if wrong:
        faults = " ".join(f"{name}: {why}" for name, why in wrong.items())
        raise CannotRun(f"These settings cannot be used. {faults}")
    return form.config(values)


def _result(
    group: Group,
    case: Case,
    outcome: Outcome,
    stage: Stage | None = None,
    broken: Broken | None = None,
    *,
    got: str = "",
) -> CaseResult:
    came = stage.got() if stage else ""
    if broken is not None:
        got = f"{broken.got}\n{came}" if came else broken.got
    elif not got:
        got = came
    return CaseResult(
        name=case.name,
        sentence=case.sentence,
        group=group.title,
        version=group.version,
        level=case.level,
        outcome=outcome,
        sent=(broken.sent if broken else "") or (stage.sent() if stage else ""),
        expected=(broken.expected if broken else "") or case.sentence,
        got=got,
    )
