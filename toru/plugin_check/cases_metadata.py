"""Cases about what a plugin says of itself, for ``--metadata``.

Runs on: the checker's thread.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cached_property
from typing import Any

from toru.clock import monotonic
from toru.domain import plugin_probe
from toru.domain.plugin_metadata import BrokenPlugin, PluginMetadata, parse_metadata
from toru.plugin_check.model import Broken, Group, NotApplicable, Setting
from toru.plugin_check.process import PluginRun

_SOUND: dict[str, Any] = {"id": "a", "name": "A", "version": "1", "route": "/a"}
_QUICK_S = 1.0


class Probe:
    """One run with ``--metadata``.

    Attributes:
        outcome: how it ended.
        took_s: how long it ran.
        left: what it has left behind.
    """

    def __init__(self, setting: Setting) -> None:
        begin = monotonic()
        run = PluginRun(setting.path, "--metadata")
        try:
            ended = run.wait(plugin_probe.PROBE_TIMEOUT_S)
            self.took_s = monotonic() - begin
            closed = run.join_readers(0.5) if ended else True
            self.left = run.left() if ended else []
            if not closed and not self.left:
                self.left = ["something that holds its stdout"]
            self.outcome = plugin_probe.ProbeOutcome(
                run.exit_code if ended else None,
                run.stdout,
                run.stderr,
                timed_out=not ended,
                overflowed=run.output_bytes["stdout"] > plugin_probe.PROBE_OUTPUT_BYTES,
            )
        finally:
            run.end()


class MetadataStage:
    """What the plugin prints; it is run when a case asks for it."""

    def __init__(self, setting: Setting) -> None:
        self._setting = setting

    @cached_property
    def probe(self) -> Probe:
        """The first run."""
        return Probe(self._setting)

    def again(self) -> Probe:
        """Run it once more."""
        return Probe(self._setting)

    def object(self) -> dict[str, Any]:
        """Return what it printed; raises `Broken` when that is no object."""
        try:
            found = json.loads(self.probe.outcome.stdout)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Broken("It prints no JSON object.")
        return found

    def metadata(self) -> PluginMetadata:
        """Return the metadata.

        Raises:
            BrokenPlugin: the hub could not use them.
        """
        return plugin_probe.read_probe(self.probe.outcome)

    def usable(self) -> bool:
        """Return True: nothing is running."""
        return True

    def mark(self) -> None:
        """Do nothing: there is only one thing that is sent."""

    def sent(self) -> str:
        """Return the command."""
        return f"{self._setting.path.name} --metadata"

    def got(self) -> str:
        """Return the beginning of what was printed."""
        text = self.probe.outcome.stdout[:600].decode("utf-8", "replace").strip()
        return text if len(text) <= 300 else f"{text[:299]}…"

    def close(self) -> None:
        """Do nothing: each run is ended at once."""


GROUP = Group("Metadata", None, MetadataStage)
EXITS, OBJECT = "metadata-exits", "metadata-object"
FIELDS = (EXITS, OBJECT)


@GROUP.case(EXITS, "Run with --metadata it exits with 0 within 5 s.")
def exits(stage: MetadataStage) -> None:
    outcome = stage.probe.outcome
    if outcome.timed_out or outcome.overflowed or outcome.exit_code != 0:
        _read(lambda: plugin_probe.read_probe(outcome))


@GROUP.case(OBJECT, "It prints one JSON object and nothing else.", needs=(EXITS,))
def prints_an_object(stage: MetadataStage) -> None:
    try:
        if isinstance(json.loads(stage.probe.outcome.stdout), dict):
            return
    except ValueError:
        pass
    _read(lambda: plugin_probe.read_probe(stage.probe.outcome))


@GROUP.case("metadata-id", "The id is 1 to 64 letters, digits and hyphens.", needs=FIELDS)
def has_an_id(stage: MetadataStage) -> None:
    _check_fields(stage, "id")


@GROUP.case(
    "metadata-texts", "Name, version, author and icon are text of sensible length.", needs=FIELDS
)
def has_texts(stage: MetadataStage) -> None:
    _check_fields(stage, "name", "version", "author", "icon")


@GROUP.case(
    "metadata-route", 'The route is "/" and one or more plain names, without "..".', needs=FIELDS
)
def has_a_route(stage: MetadataStage) -> None:
    _check_fields(stage, "route")


@GROUP.case("metadata-protocols", "The protocols are a list with 1 or 2 in it.", needs=FIELDS)
def has_protocols(stage: MetadataStage) -> None:
    _check_fields(stage, "protocols", "health")


@GROUP.case(
    "metadata-settings",
    "The settings are a JSON Schema of which a form can be drawn.",
    needs=FIELDS,
)
def has_sound_settings(stage: MetadataStage) -> None:
    if "settings" not in stage.object():
        raise NotApplicable('Its metadata have no "settings".')
    _check_fields(stage, "settings")


@GROUP.case(
    "metadata-settings-words",
    "Every setting has a title for people.",
    level="should",
    needs=("metadata-settings",),
)
def names_its_settings(stage: MetadataStage) -> None:
    if "settings" not in stage.object():
        raise NotApplicable('Its metadata have no "settings".')
    settings = stage.object()["settings"]["properties"]
    bare = [name for name, setting in settings.items() if not setting.get("title")]
    if bare:
        raise Broken(f"These have none: {', '.join(bare)[:200]}.")


@GROUP.case("metadata-author", "It says who its author is.", level="should", needs=FIELDS)
def has_an_author(stage: MetadataStage) -> None:
    if not stage.object().get("author"):
        raise Broken('There is no "author".')


@GROUP.case("metadata-twice", "Two runs print the same.", level="should", needs=FIELDS)
def prints_the_same_twice(stage: MetadataStage) -> None:
    again = stage.again().outcome
    if again.exit_code != 0:
        raise Broken(f"The second time it {plugin_probe.exit_words(again.exit_code)}.")
    if again.stdout != stage.probe.outcome.stdout:
        raise Broken(f"The second time it prints {again.stdout[:200]!r}.")


@GROUP.case(
    "metadata-quick",
    f"It takes less than {_QUICK_S:g} s to say who it is.",
    level="should",
    needs=FIELDS,
)
def is_quick(stage: MetadataStage) -> None:
    if stage.probe.took_s > _QUICK_S:
        raise Broken(f"It took {stage.probe.took_s:.1f} s.")


@GROUP.case(
    "metadata-stderr", "It does not complain on stderr meanwhile.", level="should", needs=FIELDS
)
def is_quiet(stage: MetadataStage) -> None:
    if stage.probe.outcome.stderr:
        raise Broken(plugin_probe.last_words(stage.probe.outcome.stderr).strip())


@GROUP.case(
    "metadata-leaves-nothing",
    "Nothing of it runs on after --metadata.",
    level="should",
    needs=(EXITS,),
)
def leaves_nothing(stage: MetadataStage) -> None:
    if stage.probe.left:
        raise Broken(f"It leaves behind: {', '.join(stage.probe.left)}.")


def _check_fields(stage: MetadataStage, *names: str) -> None:
    """Look at some fields with all others being sound."""
    found = stage.object()
    wanted = {name: value for name, value in _SOUND.items() if name not in names}
    wanted |= {name: found[name] for name in names if name in found}
    _read(lambda: parse_metadata(json.dumps(wanted).encode()))


def _read(read: Callable[[], object]) -> None:
    try:
        read()
    except BrokenPlugin as broken:
        raise Broken(broken.sentence) from None
