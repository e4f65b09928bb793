"""What the hub's messages mean to a viewer: everything once, the right exit code."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from toru.cli.following import Ended, Following, Notice, Started, Write


def chunk(text: str, offset: int, stream: str = "stdout") -> dict[str, Any]:
    return {"type": stream, "task_id": "t", "data": text, "offset": offset}


def test_a_run_is_known_from_started_or_from_queued_whichever_comes_first() -> None:
    for kind in ("queued", "started"):
        following = Following()
        assert following.take({"type": kind, "task_id": "t"}) == [Started("t")]
        assert following.task_id == "t"
    assert following.take({"type": "started", "task_id": "t"}) == []


def test_nothing_is_lost_when_the_first_word_about_a_run_is_its_output_or_its_end() -> None:
    following = Following()
    assert following.take(chunk("a", 1)) == [Started("t"), Write("stdout", "a")]
    assert following.take({"type": "started", "task_id": "t"}) == []
    ended = {"type": "exit", "task_id": "t", "code": 4}
    assert Following().take(ended) == [Started("t"), Ended(4)]


def test_output_is_written_to_the_stream_it_came_from() -> None:
    following = Following("t")
    assert following.take(chunk("a", 1)) == [Write("stdout", "a")]
    assert following.take(chunk("b", 2, "stderr")) == [Write("stderr", "b")]
    assert following.offset == 2


def test_messages_of_other_runs_and_unknown_ones_mean_nothing() -> None:
    following = Following("t")
    assert following.take(chunk("x", 9) | {"task_id": "other"}) == []
    assert following.take({"type": "exit", "task_id": "other", "code": 1}) == []
    assert following.take({"type": "pong"}) == []
    assert following.take({"no": "type"}) == []
    assert following.offset == 0


def test_exit_codes_are_the_scripts_own_and_signals_are_over_128() -> None:
    assert Following("t").take({"type": "exit", "task_id": "t", "code": 3}) == [Ended(3)]
    assert Following("t").take({"type": "exit", "task_id": "t", "code": -9})[-1] == Ended(137)
    assert Following("t").take({"type": "exit", "task_id": "t", "code": None})[-1] == Ended(125)


def test_a_cancelled_run_ends_as_by_sigterm_or_by_ctrl_c() -> None:
    cancelled = {"type": "cancelled", "task_id": "t"}
    assert Following("t").take(cancelled)[-1] == Ended(143)
    following = Following("t")
    following.ask_cancel()
    assert following.wants_cancel
    assert following.take(cancelled)[-1] == Ended(130)


def test_an_error_ends_the_viewer_unless_it_refuses_a_cancel_or_is_about_the_session() -> None:
    error = {"type": "error", "data": "No such script."}
    assert Following().take(error) == [Notice("No such script."), Ended(125)]
    assert Following("t").take(error | {"task_id": "t"})[-1] == Ended(125)
    assert Following("t").take(error) == [Notice("No such script.")]
    following = Following("t")
    following.ask_cancel()
    assert following.take(error | {"task_id": "t"}) == [Notice("No such script.")]
    assert following.take(error | {"task_id": "t"})[-1] == Ended(125)


def test_a_gap_is_told_once_and_counted_from_what_was_seen() -> None:
    following = Following("t", 10)
    gap = {"type": "gap", "task_id": "t", "from": 5, "to": 30}
    assert following.take(gap) == [Notice("20 bytes of output are not kept.")]
    assert following.take(gap) == []
    assert following.offset == 30


@given(st.lists(st.text(min_size=1, max_size=5), max_size=20), st.data())
def test_output_comes_once_and_whole_through_any_lost_connections(
    texts: list[str], data: st.DataObject
) -> None:
    """Each connection replays from the offset asked for, or from a little before it."""
    ends = [len("".join(texts[: count + 1]).encode()) for count in range(len(texts))]
    following, seen = Following("t"), ""
    while following.offset < (ends[-1] if ends else 0):
        begin = data.draw(st.integers(0, following.offset))
        stop = data.draw(st.integers(following.offset + 1, ends[-1]))
        for text, end in zip(texts, ends, strict=True):
            if begin < end and end - len(text.encode()) < stop:
                for effect in following.take(chunk(text, end)):
                    assert isinstance(effect, Write)
                    seen += effect.text
    assert seen == "".join(texts)
