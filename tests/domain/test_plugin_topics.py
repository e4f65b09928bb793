"""What plugins may subscribe to, and what they hear of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from toru.domain.plugin_topics import event_in, topic_of
from toru.errors import NotFound


def frame(topic: str, data: Any) -> bytes:
    """Return what the Hub sends of an event."""
    return msgspec.json.encode({"topic": topic, "data": data, "type": "event"})


def test_a_name_leads_to_the_topic_that_its_events_are_in() -> None:
    assert topic_of("task.started") == topic_of("task.finished") == "tasks"
    assert topic_of("plugin.door-1.opened.wide") == "plugin-emitted/door-1"


@pytest.mark.parametrize(
    "name",
    ["", "task", "task.*", "plugin", "plugin.door", "plugin.a_b.c", "plugin.door.", "x" * 999],
)
def test_a_name_that_is_none_is_refused_with_those_that_there_are(name: str) -> None:
    with pytest.raises(NotFound, match=r"task\.started") as refused:
        topic_of(name)
    assert len(refused.value.sentence) < 300


@pytest.mark.parametrize(
    ("state", "name"),
    [
        ("queued", None),
        ("running", "task.started"),
        ("finished", "task.finished"),
        ("failed", "task.finished"),
        ("cancelled", "task.finished"),
        ("interrupted", "task.finished"),
    ],
)
def test_a_run_is_told_when_it_starts_and_when_it_ends(state: str, name: str | None) -> None:
    secret = {"args": {"password": "hunter2"}, "output": "secret"}
    times = {"started_at": "2026-11-22T20:00:00.000Z", "finished_at": "2026-11-22T20:00:01.000Z"}
    run = {"id": "1", "script_name": "a.sh", "state": state, "exit_code": 3, **times, **secret}
    event = event_in(frame("tasks", run))
    assert (event and event.name) == name
    if event is not None:
        ended = name == "task.finished"
        assert event.timestamp == times["finished_at" if ended else "started_at"]
        assert msgspec.json.decode(event.data)["exit_code"] == 3
        assert b"hunter2" not in bytes(event.data)
        assert b"secret" not in bytes(event.data)


def test_what_a_plugin_emits_has_its_name_in_front() -> None:
    at = "2026-11-22T20:00:00.000Z"
    told = {"plugin": "door", "name": "opened", "data": [1, {"a": None}], "timestamp": at}
    event = event_in(frame("plugin-emitted/door", {**told, "type": "emitted", "number": 7}))
    assert event is not None
    assert (event.name, event.timestamp) == ("plugin.door.opened", at)
    assert msgspec.json.decode(event.data) == [1, {"a": None}]
    assert event_in(frame("plugin-states", {})) is None
