"""How fast events are passed on, and which of too many are left out."""

from __future__ import annotations

from toru.domain.event_flow import BURST_BYTES, BURST_EVENTS, EVENTS_PER_S, EventFlow


def test_a_burst_goes_at_once_and_the_rest_at_its_rate() -> None:
    flow: EventFlow[int] = EventFlow(now=10.0)
    got = []
    for number in range(int(BURST_EVENTS)):
        assert flow.add(number, 10)
        got += flow.due(10.0)
    assert got == list(range(int(BURST_EVENTS)))
    assert flow.next_s() is None
    assert flow.add(1000, 10)
    assert flow.due(10.0) == []
    assert flow.next_s() == 1 / EVENTS_PER_S
    assert flow.due(10.0 + 1.01 / EVENTS_PER_S) == [1000]


def test_of_too_many_the_oldest_are_left_out_and_counted() -> None:
    flow: EventFlow[int] = EventFlow(now=0.0)
    kept = [flow.add(number, 1) for number in range(int(BURST_EVENTS) + 3)]
    assert kept == [True] * int(BURST_EVENTS) + [False] * 3
    assert flow.dropped == 3
    assert flow.due(0.0) == list(range(3, int(BURST_EVENTS) + 3))


def test_large_events_are_held_to_the_bytes_of_a_second() -> None:
    flow: EventFlow[str] = EventFlow(now=0.0)
    half = int(BURST_BYTES / 2)
    assert [flow.add(name, half) for name in "abc"] == [True, True, False]
    assert flow.due(0.0) == ["b", "c"]
    flow.add("d", half)
    assert flow.due(0.5) == []
    assert flow.due(1.01) == ["d"]


def test_time_that_passes_unused_allows_no_more_than_a_burst() -> None:
    flow: EventFlow[int] = EventFlow(now=0.0)
    for number in range(int(BURST_EVENTS)):
        flow.add(number, 1)
    assert len(flow.due(1e6)) == BURST_EVENTS
    flow.add(0, 1)
    assert flow.due(1e6) == []
