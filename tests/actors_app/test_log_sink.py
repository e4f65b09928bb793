"""The sinks of logs: nothing lost or torn while files rotate, floods counted, the live end shown.

Runs on: the test's event loop; the sinks on threads of their own.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from toru.actors.hub import Hub
from toru.actors.log_sink import (
    LogSink,
    log_reader,
    plugin_log_name,
    plugin_log_sink,
    supervisor_log_sink,
)
from toru.actors.log_tail import LINES_A_TICK
from toru.actors.messages.auth import Session
from toru.actors.messages.hub import Join, Leave, Push, Subscribe
from toru.actors.messages.logs import LogLine, LogLines, LogOutput, ReadLogPage
from toru.actors.runtime import ActorContext, ActorSystem, Address, ChildSpec, LoopActor, Message
from toru.errors import BadRequest, StorageUnavailable
from toru.json_lines import files_of

NOW = "2026-11-22T14:01:30.123Z"
HOSTILE = "a\r\nb\x1b[2J\x9b31m\u2028c\x00\x7f\u202e\udc80"


class Listener(LoopActor):
    """A client that keeps the events it is pushed."""

    def __init__(self, context: ActorContext, heard: list[dict[str, Any]]) -> None:
        super().__init__(context)
        self._heard = heard

    def on_receive(self, message: Message[Any]) -> None:
        """Keep an event."""
        if isinstance(message, Push):
            self._heard.append(json.loads(message.frame))


class Stage:
    """An actor system with a log folder."""

    def __init__(self, system: ActorSystem, log_dir: Path) -> None:
        self.system = system
        self.log_dir = log_dir
        self.path = log_dir / "plugins" / "clock.log"

    async def sink(self, hub: Address | None = None) -> Address:
        return await self.system.spawn(plugin_log_sink(self.log_dir, "clock", hub))

    async def small_sink(self, rotate_bytes: int) -> Address:
        kwargs = {"rotate_bytes": rotate_bytes}
        return await self.system.spawn(ChildSpec("small", LogSink, (self.path, "clock"), kwargs))

    async def hub(self) -> Address:
        await self.system.spawn(ChildSpec("monitor", Listener, ([],)))
        return await self.system.spawn(ChildSpec("hub", Hub, ({}, self.system.address("monitor"))))

    async def listener(self, name: str, role: Any) -> list[dict[str, Any]]:
        """Start a client that is subscribed to the plugins; return what it hears."""
        heard: list[dict[str, Any]] = []
        await self.system.spawn(ChildSpec(name, Listener, (heard,)))
        hub = self.system.address("hub")
        session = Session(name, 1, name, name, role, "2999-01-01T00:00:00.000Z")
        await hub.ask(Join(name, session))
        await hub.ask(Subscribe(name, ("plugins",)))
        return heard


@pytest.fixture
def on_stage(tmp_path: Path) -> Callable[[], Any]:
    @asynccontextmanager
    async def staged() -> AsyncIterator[Stage]:
        system = ActorSystem()
        try:
            yield Stage(system, tmp_path / "logs")
        finally:
            await system.stop()

    return staged


def line(message: str, **fields: Any) -> LogLine:
    return LogLine(NOW, "info", "clock", message, **fields)


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(text) for text in path.read_bytes().splitlines()]


async def until(condition: Callable[[], Any], timeout_s: float = 15.0) -> None:
    """Wait for a condition, and fail when it does not come."""
    ends = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < ends, "it did not come"
        await asyncio.sleep(0.01)


@pytest.mark.gen_test
async def test_lines_are_in_the_file_once_the_ask_is_answered(on_stage) -> None:
    async with on_stage() as stage:
        sink = await stage.sink()
        await sink.ask(LogLines((line("one", pid=7), line("two", error="why", fields={"n": 1}))))
        assert stage.path.read_text() == (
            f'{{"timestamp":"{NOW}","level":"info","plugin":"clock","message":"one","pid":7}}\n'
            f'{{"timestamp":"{NOW}","level":"info","plugin":"clock","message":"two",'
            '"error":"why","n":1}\n'
        )
        assert stage.path.stat().st_mode & 0o007 == 0


@pytest.mark.gen_test
async def test_whatever_a_line_holds_it_is_one_line(on_stage) -> None:
    async with on_stage() as stage:
        sink = await stage.sink()
        await sink.ask(LogLines((line(HOSTILE), line("x" * 1_000_000), line(""))))
        await sink.ask(LogOutput(HOSTILE.encode("utf-8", "replace") + b"\xff\n", "stderr", 7))
        raw = stage.path.read_bytes()
        assert len(raw.decode().splitlines()) == len(raw.splitlines()) == 5
        assert max(map(len, raw.splitlines(keepends=True))) <= 64 * 1024
        assert lines_of(stage.path)[0]["message"] == HOSTILE


@pytest.mark.gen_test
async def test_output_is_parted_into_lines_wherever_its_chunks_are_cut(on_stage) -> None:
    async with on_stage() as stage:
        sink = await stage.sink()
        out = b'first\r\n{"level":"error","message":"z\xc3\xbcrich"}\n\nlast'
        for index in range(len(out)):
            sink.tell(LogOutput(out[index : index + 1], "stdout", 7))
            sink.tell(LogOutput(b"x", "stderr", 7))
        sink.tell(LogOutput(b"", "stdout", 7, ended=True))
        await sink.ask(LogOutput(b"", "stderr", 7, ended=True))
        found = [(shown["level"], shown["message"]) for shown in lines_of(stage.path)]
        assert found == [
            ("info", "first"),
            ("error", "zürich"),
            ("info", "last"),
            ("info", "x" * len(out)),
        ]
        assert {shown["pid"] for shown in lines_of(stage.path)} == {7}


@pytest.mark.gen_test
async def test_what_has_no_newline_yet_is_written_at_the_stop(on_stage) -> None:
    async with on_stage() as stage:
        sink = await stage.sink()
        for pid in range(12):
            await sink.ask(LogOutput(b"of %d" % pid, "stdout", pid))
    assert sorted(shown["message"] for shown in lines_of(stage.path)) == sorted(
        f"of {pid}" for pid in range(12)
    )


class Follower(threading.Thread):
    """What a log shipper does: reads a file to its end, then the one that has taken its name."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.read = b""
        self.done = threading.Event()
        self._path = path
        self._seen: list[int] = []

    def run(self) -> None:
        while not self.done.is_set():
            self._catch_up()
            time.sleep(0.002)
        self._catch_up()
        self._file.close()

    def _catch_up(self) -> None:
        """Read on in the file of before, which may have another name, and in all newer ones."""
        if not self._seen:
            if not self._path.exists():
                return
            self._file = self._path.open("rb")
            self._seen.append(os.fstat(self._file.fileno()).st_ino)
        newer: dict[int, BinaryIO] = {}
        for path in files_of(self._path):
            try:
                file = path.open("rb")
            except FileNotFoundError:
                continue
            inode = os.fstat(file.fileno()).st_ino
            if inode in self._seen or inode in newer:  # it was renamed while this looked around
                file.close()
            else:
                newer[inode] = file
            if inode in self._seen:
                break
        self.read += self._file.read()
        for inode, file in reversed(newer.items()):
            self._file.close()
            self._file = file
            self._seen.append(inode)
            self.read += file.read()


@pytest.mark.gen_test
async def test_at_5000_lines_a_second_rotation_loses_and_tears_none_also_for_a_follower(
    on_stage,
) -> None:
    count, a_second = 10_000, 5_000
    async with on_stage() as stage:
        sink = await stage.small_sink(rotate_bytes=300_000)
        follower = Follower(stage.path)
        follower.start()
        try:
            began = time.monotonic()
            for number in range(count):
                sink.tell(LogLines((line("request", fields={"n": number, "pad": "x" * 50}),)))
                ahead_s = number / a_second - (time.monotonic() - began)
                if ahead_s > 0.002:
                    await asyncio.sleep(ahead_s)
                elif ahead_s < -0.1:  # the machine stood still; to make up for it were a flood
                    began -= ahead_s
            await sink.ask(LogLines(()))
        finally:
            follower.done.set()
            await asyncio.to_thread(follower.join)
        (figures,) = [f for f in stage.system.directory.statistics() if f.name == "small"]
        assert figures.dropped == 0
    paths = [path for path in reversed(files_of(stage.path)) if path.exists()]
    assert len(paths) > 3
    assert all(path.stat().st_size <= 300_000 for path in paths)
    assert [shown["n"] for path in paths for shown in lines_of(path)] == list(range(count))
    assert [json.loads(text)["n"] for text in follower.read.splitlines()] == list(range(count))


class HeldSink(LogSink):
    """A sink whose disk stands still until it is let go."""

    gate: threading.Event

    def on_batch(self, deliveries: Any) -> None:
        """Wait, then append."""
        assert self.gate.wait(20)
        super().on_batch(deliveries)


@pytest.mark.gen_test
async def test_a_flood_drops_the_oldest_lines_and_says_how_many(on_stage) -> None:
    HeldSink.gate = threading.Event()
    async with on_stage() as stage:
        sink = await stage.system.spawn(ChildSpec("held", HeldSink, (stage.path, "clock")))
        for number in range(1000):
            sink.tell(LogLines((line(str(2 * number)), line(str(2 * number + 1)))))
        HeldSink.gate.set()
        await sink.ask(LogLines((line("after"),)))
    found = [shown["message"] for shown in lines_of(stage.path)]
    dropped = [text for text in found if "dropped" in text]
    numbers = [text for text in found if text.isdigit()]
    assert found[-1] == "after"
    assert sum(int(text.split()[0]) for text in dropped) + len(numbers) == 2000
    assert len(numbers) < 1300
    assert numbers == sorted(numbers, key=int)
    assert numbers[-2:] == ["1998", "1999"]
    assert all(
        shown["level"] == "warn" for shown in lines_of(stage.path) if shown["message"] in dropped
    )


@pytest.mark.gen_test
async def test_a_flooded_sink_stops_in_time_and_counts_what_it_left_out(on_stage) -> None:
    HeldSink.gate = threading.Event()
    output = LogOutput(b"a line of output\n" * 3800, "stdout", 7)
    async with on_stage() as stage:
        kwargs = {"rotate_bytes": 1 << 40}
        spec = ChildSpec("held", HeldSink, (stage.path, "clock"), kwargs)
        sink = await stage.system.spawn(spec)
        for _ in range(500):
            sink.tell(output)
        HeldSink.gate.set()
        began = time.monotonic()
    assert time.monotonic() - began < 4.5, "a child has five seconds"
    written = dropped = 0
    for text in stage.path.read_bytes().splitlines():
        if b"lines were dropped" in text:
            dropped += int(json.loads(text)["message"].split()[0])
        else:
            written += 1
    assert written > 0
    assert written + dropped == 500 * 3800


@pytest.mark.gen_test
async def test_after_a_gap_in_the_output_no_line_is_put_together_of_two(on_stage) -> None:
    HeldSink.gate = threading.Event()
    async with on_stage() as stage:
        sink = await stage.system.spawn(ChildSpec("held", HeldSink, (stage.path, "clock")))
        sink.tell(LogOutput(b"begin of one ", "stdout", 7))
        for number in range(1500):
            sink.tell(LogOutput(b"%d\n%d." % (number, number), "stdout", 7))
        HeldSink.gate.set()
        await sink.ask(LogOutput(b"0\n", "stdout", 7))
    whole = [shown["message"] for shown in lines_of(stage.path)]
    numbers = [text.split(".") for text in whole if "." in text and "dropped" not in text]
    assert len(numbers) >= 500
    assert all(int(first) + 1 == int(second) for first, second in numbers[:-1])


@pytest.mark.gen_test
async def test_a_folder_that_cannot_be_written_is_warned_of_once_and_recovered_from(
    on_stage, expect_log
) -> None:
    expect_log("clock.log cannot be written", count=1)
    async with on_stage() as stage:
        stage.log_dir.mkdir()
        in_the_way = stage.log_dir / "plugins"
        in_the_way.write_text("not a folder")
        sink = await stage.sink()
        for number in range(5):
            await sink.ask(LogLines((line(str(number)),)))
        in_the_way.unlink()
        await sink.ask(LogLines((line("after"),)))
        found = [shown["message"] for shown in lines_of(stage.path)]
        assert found == ["5 log lines could not be written.", "after"]
        stage.path.unlink()
        await sink.ask(LogLines((line("again"),)))
        assert [shown["message"] for shown in lines_of(stage.path)] == ["again"]


@pytest.mark.gen_test
async def test_admins_who_are_subscribed_see_the_live_end_and_nobody_else_does(on_stage) -> None:
    async with on_stage() as stage:
        sink = await stage.sink(await stage.hub())
        admin = await stage.listener("admin", "admin")
        client = await stage.listener("bob", "client")
        await sink.ask(LogLines((line("hello", fields={"n": 1}), line(HOSTILE))))
        await until(lambda: len(admin) == 2)
        assert admin[0] == {
            "topic": "plugins",
            "data": {
                "type": "log",
                "plugin": "clock",
                "line": {
                    "timestamp": NOW,
                    "level": "info",
                    "plugin": "clock",
                    "message": "hello",
                    "n": 1,
                },
            },
            "type": "event",
        }
        assert admin[1]["data"]["line"]["message"] == HOSTILE
        await sink.ask(LogLines((line("second"),)))
        await until(lambda: len(admin) == 3)
        assert client == []


@pytest.mark.gen_test
async def test_of_a_flood_the_live_end_shows_the_newest_lines_and_how_many_it_left_out(
    on_stage,
) -> None:
    async with on_stage() as stage:
        sink = await stage.sink(await stage.hub())
        admin = await stage.listener("admin", "admin")
        for start in range(0, 2000, 50):
            sink.tell(LogLines(tuple(line(str(start + n)) for n in range(50))))
        await sink.ask(LogLines(()))

        def told() -> list[dict[str, Any]]:
            return [event["data"] for event in admin]

        await until(lambda: told() and told()[-1].get("line", {}).get("message") == "1999")
        shown = [int(data["line"]["message"]) for data in told() if data["type"] == "log"]
        left_out = sum(data["lines"] for data in told() if data["type"] == "log_gap")
        assert len(shown) + left_out == 2000
        assert shown == sorted(shown)
        assert shown[-LINES_A_TICK:] == list(range(2000 - LINES_A_TICK, 2000))
        assert len(shown) < 1000


@pytest.mark.gen_test
async def test_a_log_that_nobody_watches_is_not_published_and_the_hub_may_be_away(on_stage) -> None:
    async with on_stage() as stage:
        sink = await stage.sink(await stage.hub())
        heard = await stage.listener("admin", "admin")
        await stage.system.address("hub").ask(Leave("admin"))
        before = _handled(stage, "hub")
        await sink.ask(LogLines((line("unseen"),)))
        await until(lambda: _handled(stage) == 2)
        assert _handled(stage, "hub") == before + 1
        assert heard == []
        lonely = await stage.system.spawn(
            ChildSpec("lonely", LogSink, (stage.path, "clock", stage.system.address("nowhere")))
        )
        await lonely.ask(LogLines((line("written all the same"),)))
        await until(lambda: _handled(stage, "lonely") >= 2)
        assert lines_of(stage.path)[-1]["message"] == "written all the same"


def _handled(stage: Stage, name: str = plugin_log_name("clock")) -> int:
    (figures,) = [f for f in stage.system.directory.statistics() if f.name == name]
    return figures.handled


@pytest.mark.gen_test
async def test_pages_of_a_log_are_read_by_an_actor_of_their_own(on_stage) -> None:
    async with on_stage() as stage:
        sink = await stage.sink()
        supervisor = await stage.system.spawn(supervisor_log_sink(stage.log_dir))
        reader = await stage.system.spawn(log_reader(stage.log_dir))
        assert (await reader.ask(ReadLogPage("clock"))).logs == []
        await sink.ask(LogLines(tuple(line(str(number)) for number in range(5))))
        await supervisor.ask(LogLines((line("It is ready."),)))
        found = await reader.ask(ReadLogPage("clock", page=1, page_size=2))
        assert [shown["message"] for shown in found.logs] == ["2", "1"]
        assert (found.page, found.page_size) == (1, 2)
        assert (await reader.ask(ReadLogPage("clock", level="warn"))).logs == []
        (of_supervisor,) = (await reader.ask(ReadLogPage(None))).logs
        assert (of_supervisor["plugin"], of_supervisor["message"]) == ("clock", "It is ready.")
        assert (stage.log_dir / "plugin-supervisor.log").exists()
        for wrong in (
            ReadLogPage("../clock"),
            ReadLogPage("clock", page=-1),
            ReadLogPage("clock", page_size=0),
            ReadLogPage("clock", page_size=1001),
        ):
            with pytest.raises(BadRequest):
                await reader.ask(wrong)
        stage.path.with_name("folder.log").mkdir()
        os.link(stage.path, stage.path.with_name("x.log"))
        with pytest.raises(StorageUnavailable, match="cannot be read now"):
            await reader.ask(ReadLogPage("folder"))
        assert len((await reader.ask(ReadLogPage("x"))).logs) == 5
