"""The events of plugins: their order, their pages, and how long they stay.

Runs on: the test's event loop; the actors on their own threads.
"""

from __future__ import annotations

import pytest

from toru.actors.messages.plugin_storage import InsertPluginEvent, ListPluginEvents, PluginEvent
from toru.actors.messages.storage import PurgeOld

NOW = "2026-11-22T14:01:30.123Z"
THIRTY_DAYS_AGO = "2026-10-23T14:01:30.123Z"
A_BIT_LONGER_AGO = "2026-10-23T14:01:30.122Z"


@pytest.mark.gen_test
async def test_events_are_listed_the_newest_first_and_by_plugin(open_actors) -> None:
    async with open_actors() as actors:
        write, read = actors.writer.ask, actors.reader.ask
        details = '{"exit_code":-9}'
        crashed = await write(InsertPluginEvent("clock", "crashed", details, NOW))
        assert crashed == PluginEvent(crashed.id, "clock", "crashed", NOW, details)
        for number in range(5):
            await write(InsertPluginEvent("clock", f"restarted {number}"))
        await write(InsertPluginEvent("other", "started"))
        events = await read(ListPluginEvents("clock"))
        assert [event.event_type for event in events] == [
            *(f"restarted {number}" for number in (4, 3, 2, 1, 0)),
            "crashed",
        ]
        assert events[-1] == crashed
        assert events[0].details is None
        assert events[0].timestamp.endswith("Z")
        assert await read(ListPluginEvents("clock", limit=2)) == events[:2]
        assert await read(ListPluginEvents("clock", 2, before=events[1].id)) == events[2:4]
        assert await read(ListPluginEvents("nobody")) == []
        assert await read(ListPluginEvents("clock", limit=-1)) == []


@pytest.mark.gen_test
async def test_events_stay_for_thirty_days(open_actors) -> None:
    async with open_actors() as actors:
        for moment in (A_BIT_LONGER_AGO, THIRTY_DAYS_AGO, NOW):
            await actors.writer.ask(InsertPluginEvent("p", moment, None, moment))
        assert await actors.writer.ask(PurgeOld(NOW, NOW)) == 1
        events = await actors.reader.ask(ListPluginEvents("p"))
        assert [event.event_type for event in events] == [NOW, THIRTY_DAYS_AGO]


@pytest.mark.gen_test
async def test_a_text_that_no_database_keeps_is_made_one_that_it_does(open_actors) -> None:
    async with open_actors() as actors:
        event = await actors.writer.ask(InsertPluginEvent("p", "a\0b", '{"x":"\ud800"}'))
        assert (event.event_type, event.details) == ("a\ufffdb", '{"x":"?"}')
