"""``toru plugin check``: what came of the cases, as a table for people or JSON for programs.

Runs on: the main thread.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec

from toru.log import visible
from toru.plugin_check.checker import GROUPS, Report, check_plugin, find_plugin
from toru.plugin_check.model import Case, CaseResult, Group, Setting
from toru.plugin_check.process import CannotRun

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status
    from rich.text import Text

FAILED = 1
_MARKS = {
    "passed": ("✓", "green"),
    "failed": ("✗", "bold red"),
    "warned": ("!", "yellow"),
    "skipped": ("\u2013", "dim"),
}
# Wide enough to be read in a log, where no terminal sets a limit.
_FILE_WIDTH = 120


def check(setting: Setting, *, only: str = "", as_json: bool = False) -> int:
    """Check a plugin, print what came of it and return the exit code.

    Args:
        setting: the plugin; its folder is not used.
        only: a pattern, or a part of names; empty for all cases.
        as_json: whether to print one JSON object instead of a table.

    Returns:
        0, or 1 when something that a plugin must do is not done.

    Raises:
        CannotRun: there is no such file, or it cannot be executed, or no such case.
    """
    if only and not any(group.named(only) for group in GROUPS):
        raise CannotRun(f"No case is named like {only!r}; --list shows all.")
    setting = dataclasses.replace(setting, path=find_plugin(setting.path))
    with _ended_by_sigterm():
        if as_json:
            report = check_plugin(
                setting, only=only, on_begin=lambda _group, _case: None, on_end=lambda _: None
            )
            sys.stdout.write(json.dumps(_as_json(report), ensure_ascii=False, indent=2) + "\n")
        else:
            report = _check_aloud(setting, only)
    return FAILED if report.count("failed") else 0


def read_values(path: Path) -> dict[str, Any]:
    """Return the values for a plugin's settings that a file has.

    Raises:
        CannotRun: it cannot be read, or is no JSON object.
    """
    try:
        values = json.loads(path.read_bytes())
    except OSError as error:
        raise CannotRun(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        raise CannotRun(f"{path} must hold a JSON object, with the values by their names.")
    return values


def list_cases(only: str = "", *, as_json: bool = False) -> int:
    """Print the names of the cases and what each is about; return the exit code."""
    rows: list[dict[str, Any]] = [
        {
            "name": case.name,
            "version": group.version,
            "level": case.level,
            "group": group.title,
            "sentence": case.sentence,
        }
        for group in GROUPS
        for case in (group.named(only) if only else group.cases)
    ]
    if as_json:
        sys.stdout.write(json.dumps(rows, ensure_ascii=False, indent=2) + "\n")
        return 0
    width = max((len(row["name"]) for row in rows), default=0)
    title = ""
    for row in rows:
        if row["group"] != title:
            if title:
                print()
            title = row["group"]
            print(title)
        print(f"  {row['name']:<{width}}  {row['level']:<6}  {row['sentence']}")
    print(f"\n{len(rows)} cases")
    return 0


def _check_aloud(setting: Setting, only: str) -> Report:
    from rich.console import Console

    is_terminal = sys.stdout.isatty()
    console = Console(width=None if is_terminal else _FILE_WIDTH, highlight=False)
    printer = _Printer(console)
    with console.status("") if is_terminal else contextlib.nullcontext() as status:
        printer.status = status
        report = check_plugin(setting, only=only, on_begin=printer.begin, on_end=printer.end)
        printer.flush()
    _print_failures(console, report)
    _print_summary(console, report)
    return report


class _Printer:
    """Prints each case as it ends, below the title of its group.

    Cases that are skipped one after the other for the same reason share a line.
    """

    def __init__(self, console: Console) -> None:
        self.status: Status | None = None
        self._console = console
        self._title = ""
        self._skipped: list[CaseResult] = []

    def begin(self, group: Group, case: Case) -> None:
        """Show what is being tried."""
        from rich.text import Text

        if group.title != self._title:
            self.flush()
            self._title = group.title
            self._console.print(Text(f"\n{group.title}", "bold"))
        if self.status is not None:
            self.status.update(Text(case.name))

    def end(self, result: CaseResult) -> None:
        """Show how it ended."""
        if self._skipped and result.got != self._skipped[0].got:
            self.flush()
        if result.outcome == "skipped":
            self._skipped.append(result)
        else:
            self.flush()
            self._print(result.outcome, result.name, result.sentence)

    def flush(self) -> None:
        """Show what was skipped."""
        skipped, self._skipped = self._skipped, []
        if len(skipped) == 1:
            sentence = f"{skipped[0].sentence} ({visible(skipped[0].got)})"
            self._print("skipped", skipped[0].name, sentence)
        elif skipped:
            self._print("skipped", f"{len(skipped)} cases", visible(skipped[0].got))

    def _print(self, outcome: str, name: str, sentence: str) -> None:
        from rich.table import Table
        from rich.text import Text

        mark, style = _MARKS[outcome]
        row = Table.grid(padding=(0, 1))
        row.add_column(width=2)
        row.add_column(width=26, no_wrap=True)
        row.add_column()
        said = Text(sentence, "dim" if outcome == "skipped" else "")
        row.add_row(Text(f" {mark}", style), Text(name, style), said)
        self._console.print(row)


def _print_failures(console: Console, report: Report) -> None:
    from rich.table import Table
    from rich.text import Text

    for result in report.cases:
        if result.outcome not in ("failed", "warned"):
            continue
        mark, style = _MARKS[result.outcome]
        console.print(Text(f"\n{mark} {result.name}: {result.sentence}", style))
        table = Table.grid(padding=(0, 2))
        table.add_column(width=10, justify="right", style="dim")
        table.add_column(overflow="fold")
        for name in ("sent", "expected", "got"):
            table.add_row(name, _lines(getattr(result, name)))
        console.print(table)


def _lines(text: str) -> Text:
    from rich.text import Text

    lines = [visible(line) for line in text.splitlines()]
    return Text("\n".join(lines) or _MARKS["skipped"][0])


def _print_summary(console: Console, report: Report) -> None:
    from rich.text import Text

    counts = [
        (report.count("passed"), "passed", "green"),
        (report.count("failed"), "failed", "bold red"),
        (report.count("warned"), "could be better", "yellow"),
        (report.count("skipped"), "skipped", "dim"),
    ]
    about = report.metadata
    name = f"{about.id} {about.version}" if about else Path(report.path).name
    line = Text(f"\n{visible(name)}: ")
    for number, (count, words, style) in enumerate(counts):
        if count or words in ("passed", "failed"):
            line.append(", " if number else "")
            line.append(f"{count} {words}", style if count else "")
    console.print(line.append("."))


def _as_json(report: Report) -> dict[str, Any]:
    about = msgspec.to_builtins(report.metadata) if report.metadata else {}
    return {
        "plugin": {"path": report.path, **about},
        "cases": msgspec.to_builtins(report.cases),
        "passed": report.count("passed"),
        "failed": report.count("failed"),
        "warned": report.count("warned"),
        "skipped": report.count("skipped"),
    }


@contextlib.contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the check as Ctrl-C does: with all that it has started."""

    def leave(number: int, _: object) -> NoReturn:
        raise SystemExit(128 + number)

    before = {number: signal.signal(number, leave) for number in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
