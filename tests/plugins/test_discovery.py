"""Which files become plugins, and when: looked at once, side by side, and again after a change.

What is said of each kind of broken file stands in ``test_broken.py``.

Runs on: the test's thread, against real hubs.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

import tests.support.quick_plugin
from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import Plugins, is_alive, processes_of

QUICK = Path(tests.support.quick_plugin.__file__).read_text()
MIB = 1024 * 1024


def saying(metadata: dict[str, Any]) -> str:
    """Return the quick plugin with other metadata."""
    ours = json.dumps(metadata)
    return QUICK.replace(
        "sys.stdout.write(json.dumps({**about,",
        f"sys.stdout.write(json.dumps({{**about, **json.loads({ours!r}),",
    )


def counting(book: Path) -> str:
    """Return the quick plugin, which notes each time that it is asked for its metadata."""
    asked = 'if sys.argv[1:] == ["--metadata"]:\n'
    note = f'        open({str(book)!r}, "a").write("{{}}\\n".format(ID))\n'
    return QUICK.replace(asked, asked + note)


@contextmanager
def peak_of(pids: list[int]) -> Iterator[Callable[[], int]]:
    """Watch how much memory processes have; yields how many bytes it grew at most, in sum."""
    processes = [psutil.Process(pid) for pid in pids]
    before = most = sum(process.memory_info().rss for process in processes)
    over = threading.Event()

    def watch() -> None:
        nonlocal most
        while not over.wait(0.01):
            most = max(most, sum(process.memory_info().rss for process in processes))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield lambda: most - before
    finally:
        over.set()
        thread.join()


def let_it_look(plugins: Plugins) -> None:
    """Return after the hub has looked at the folder at least four times: a file came and went."""
    plugins.write("passing", "no plugin\n")
    wait_until(lambda: "passing" in plugins.all(), what="a new file noticed")
    plugins.remove("passing")
    wait_until(lambda: "passing" not in plugins.all(), what="its end noticed")


def is_shown_as_it_is(text: str) -> bool:
    """Return whether a text has no control characters."""
    return not any(unicodedata.category(char)[0] == "C" for char in text)


def runner_of(hub: HubProcess) -> int:
    """Return the runner's pid."""
    data_dir = str(hub.data_dir)
    for process in psutil.process_iter(["cmdline"]):
        words = process.info["cmdline"] or []
        is_runner = process.pid != hub.pid and any("toru.runner" in word for word in words)
        if is_runner and any(data_dir in word for word in words):
            return int(process.pid)
    raise AssertionError("there is no runner")


COMPLAINT = r"""#!/bin/sh
i=0; while [ $i -lt 40 ]; do echo "line $i" >&2; i=$((i+1)); done
printf '\033[31mno \377licence\033[0m\r\n' >&2
printf '%01000d\n' 0 >&2
exit 3
"""
WRONG_METADATA = [
    (r"\033]0;title\007 hello\n", "It prints no JSON object for --metadata"),
    (r'{"id": "cut", "name": "C', "is not valid JSON"),
    (r'{"id": "a", "version": "1", "route": "/a"}', '"name"'),
    (r'{"id": 7, "name": "A", "version": "1", "route": "/a"}', '"$.id"'),
    (r'{"id": "route", "name": "A", "version": "1", "route": "/a"}', "a word that Toru needs"),
    (r'{"id": "a", "name": "A", "version": "1", "route": "/a/%%2e%%2e"}', "Its route"),
    (r'{"id": "a", "name": "A", "version": "1", "route": "/a", "protocols": [3]}', "1 or 2"),
]
NO_PLUGINS = ["notes.txt", "quick-v2.binary.bak", "binary", ".binary.swp", "x.BINARY"]
ODD = "ä <b>\n\x1b"
NO_UTF8 = os.fsdecode(b"no-utf8-\xff.binary")


@pytest.fixture(scope="module")
def shelf(plugins: Plugins) -> Plugins:
    """Files of many kinds, put there together and all found out about."""
    plugins.write("complains", COMPLAINT)
    for number, (printed, _) in enumerate(WRONG_METADATA):
        plugins.write(f"wrong-{number}", f"#!/bin/sh\nprintf '{printed}'\n")
    plugins.write("twin-a", saying({"id": "Twin", "route": "/first", "name": "A"}))
    plugins.write("twin-b", saying({"id": "twin", "route": "/second", "name": "B"}))
    plugins.write("twin-c", saying({"id": "other", "route": "/first/", "name": "C"}))
    for version in ("1.0.0", "2.0.0"):
        target = plugins.folder / "versions" / version
        target.parent.mkdir(exist_ok=True)
        target.write_text(saying({"id": "linked", "version": version}))
        target.chmod(0o755)
    (plugins.folder / "linked.binary").symlink_to("versions/1.0.0")
    plugins.write("changeling", saying({"id": "before", "route": "/before"}))
    plugins.write("quick-counted-v2", counting(plugins.hub.folder / "book"))
    for name in [*NO_PLUGINS, NO_UTF8]:
        (plugins.folder / name).write_text(QUICK)
    plugins.write(ODD, "no plugin\n")
    interpreter = plugins.hub.folder / "interpreter"
    plugins.write("quick-waits-v2", f"#!{interpreter}\n" + QUICK.split("\n", 1)[1])
    wait_until(lambda: len(plugins.all()) >= 16, what="all of them")
    plugins.ready("Twin", "linked", "before", "quick-counted-v2")
    return plugins


def test_hanging_probes_hold_up_nobody_else_and_leave_no_process(plugins: Plugins) -> None:
    hanging = ["bad-meta-hang+a", "bad-meta-hang+b", "bad-meta-hang+c"]
    plugins.put(*hanging)
    wait_until(lambda: len(processes_of(plugins.folder)) == 3, what="the hanging probes")
    plugins.start("quick-beside-v2")
    assert plugins.ask("quick-beside-v2").status == 200
    assert not set(hanging) & set(plugins.all())
    assert len([one for one in processes_of(plugins.folder) if "hang" in str(one.cmdline())]) == 3
    wait_until(lambda: set(hanging) <= set(plugins.all()), what="the end of their time")
    for name in hanging:
        assert "within 5 seconds" in plugins.all()[name]["reason"]
    assert not [one for one in processes_of(plugins.folder) if "hang" in str(one.cmdline())]
    plugins.remove(*hanging)


def test_a_gigabyte_of_metadata_costs_no_memory_and_no_time(plugins: Plugins) -> None:
    with peak_of([plugins.hub.pid, runner_of(plugins.hub)]) as growth:
        plugins.put("bad-meta-huge", "bad-meta-flood-stderr")
        plugins.ready("bad-meta-flood-stderr")
        wait_until(lambda: "bad-meta-huge" in plugins.all(), what="the flood's end")
    assert "64 KiB" in plugins.all()["bad-meta-huge"]["reason"]
    assert growth() < 48 * MIB
    plugins.remove("bad-meta-huge", "bad-meta-flood-stderr")


def test_the_end_of_stderr_is_shown_on_one_line_and_short(shelf: Plugins) -> None:
    reason = shelf.all()["complains"]["reason"]
    assert "it exited with code 3" in reason
    assert "line 38 | line 39 | [31mno �licence [0m | 000" in reason
    assert "line 36" not in reason
    assert len(reason) < 800
    assert is_shown_as_it_is(reason)


def test_wrong_metadata_say_what_is_wrong(shelf: Plugins) -> None:
    listed = shelf.all()
    for number, (printed, reason) in enumerate(WRONG_METADATA):
        view = listed[f"wrong-{number}"]
        assert reason in view["reason"], printed
        assert (view["id"], view["state"], view["enabled"]) == (f"wrong-{number}", "broken", False)
        assert is_shown_as_it_is(view["reason"])


def test_names_that_are_no_plugins_are_passed_over_and_odd_ones_are_listed(shelf: Plugins) -> None:
    listed = {plugin["file"]: plugin for plugin in shelf.hub.get("/api/plugins")}
    assert not set(listed) & set(NO_PLUGINS)
    assert listed[f"{ODD}.binary"]["state"] == "broken"
    assert "not UTF-8" in listed[r"no-utf8-\xff.binary"]["reason"]


def test_of_those_that_collide_the_first_by_name_wins_and_the_others_say_so(
    shelf: Plugins,
) -> None:
    names = ("twin-a", "twin-b", "twin-c")
    listed = shelf.all()
    reasons = {name: listed[name]["reason"] for name in names}
    assert reasons["twin-b"].startswith('Its id "twin" is already that of twin-a.binary')
    assert reasons["twin-c"].startswith('Its route "/first" is already that of twin-a.binary')
    assert [listed[name]["name"] for name in names] == ["A", "B", "C"]
    assert shelf.hub.http("GET", "/api/plugins/route/first/x").status == 200
    assert shelf.hub.http("GET", "/api/plugins/route/second/x").status == 404
    assert shelf.ask("other").status == 404
    pid = shelf.view("Twin")["pid"]
    shelf.write("twin-c", saying({"id": "other", "route": "/third"}))
    shelf.ready("other")
    assert shelf.view("Twin")["pid"] == pid, "the one that has its place is left alone"


def test_files_that_change_are_looked_at_again(shelf: Plugins) -> None:
    """A link gets another target, a file another plugin, and a third one other bytes."""
    pids = [shelf.view(plugin_id)["pid"] for plugin_id in ("before", "linked", "quick-counted-v2")]
    book = shelf.hub.folder / "book"
    assert shelf.wish("quick-counted-v2", "restart").status == 200
    pids.append(shelf.view("quick-counted-v2")["pid"])
    let_it_look(shelf)
    assert book.read_text().split() == ["quick-counted-v2"], "looks and starts are no reason"

    (shelf.folder / "linked.new").symlink_to("versions/2.0.0")
    (shelf.folder / "linked.new").rename(shelf.folder / "linked.binary")
    shelf.write("changeling", saying({"id": "after", "route": "/after"}))
    path = shelf.write("quick-counted-v2", counting(book) + "# changed\n")
    wait_until(lambda: shelf.view("linked").get("version") == "2.0.0", what="the new target")
    wait_until(lambda: len(book.read_text().split()) == 2, what="another probe")
    wait_until(lambda: not shelf.view("before"), what="the end of the old plugin")
    wait_until(lambda: not any(map(is_alive, pids)), what="the end of the old programs")
    shelf.ready("linked", "after", "quick-counted-v2")
    assert shelf.hub.http("GET", "/api/plugins/route/before/x").status == 404
    assert shelf.hub.http("GET", "/api/plugins/route/after/x").status == 200

    path.chmod(0o644)
    (shelf.folder / "versions").rename(shelf.hub.folder / "versions")
    assert "chmod +x" in shelf.wait("quick-counted-v2", "broken")["reason"]
    assert "leads nowhere" in shelf.wait("linked", "broken")["reason"]
    path.chmod(0o755)
    (shelf.folder / "versions").symlink_to(shelf.hub.folder / "versions")
    wait_until(lambda: "leads out of" in shelf.view("linked")["reason"], what="a new reason")
    shelf.ready("quick-counted-v2")
    assert shelf.ask("linked").status == 404
    assert len(book.read_text().split()) == 3
    shelf.remove("linked")
    wait_until(lambda: not shelf.view("linked"), what="the end of the broken one")


def test_a_file_that_is_still_written_is_not_called_broken(plugins: Plugins) -> None:
    """One that grows, and one that stands still while a program has it open for writing."""
    path, held = (plugins.folder / f"quick-{name}-v2.binary" for name in ("growing", "held"))
    content = QUICK.encode()
    path.touch(mode=0o755)
    written = 0
    with held.open("wb") as file:
        held.chmod(0o755)
        file.write(content[: len(content) // 2])
        file.flush()
        plugins.write("quick-meanwhile-v2", QUICK)

        def grow() -> bool:
            nonlocal written
            with path.open("ab") as growing:
                growing.write(content[written : written + 1])
            written += 1
            listed = plugins.all()
            assert written < len(content)
            assert not {"quick-growing-v2", "quick-held-v2"} & set(listed)
            return listed.get("quick-meanwhile-v2", {}).get("state") == "ready"

        wait_until(grow, what="another one, which was noticed meanwhile")
        file.write(content[len(content) // 2 :])
    with path.open("ab") as growing:
        growing.write(content[written:])
    plugins.ready("quick-growing-v2", "quick-held-v2")
    for plugin_id in ("quick-growing-v2", "quick-held-v2"):
        assert plugins.event_types(plugin_id) == ["started"]
    plugins.remove("quick-growing-v2", "quick-held-v2")


def test_what_is_repaired_elsewhere_works_when_somebody_enables_it(shelf: Plugins) -> None:
    interpreter = shelf.hub.folder / "interpreter"
    assert "Its interpreter" in shelf.all()["quick-waits-v2"]["reason"]
    assert shelf.wish("quick-waits-v2", "enable").status == 409
    interpreter.symlink_to(sys.executable)
    assert shelf.wish("quick-waits-v2", "enable").status == 200
    assert shelf.ask("quick-waits-v2").status == 200


def test_a_folder_that_is_made_later_and_is_a_link_serves(own_hub: HubProcess) -> None:
    later = own_hub.folder / "not" / "there" / "yet"
    own_hub.environment["TORU_PLUGINS_DIR"] = str(later)
    own_hub.plugins_dir.joinpath("quick-v2.binary").write_text(QUICK)
    own_hub.plugins_dir.joinpath("quick-v2.binary").chmod(0o755)
    own_hub.start()
    own_hub.log_in()
    assert own_hub.get("/api/plugins") == []
    assert own_hub.http("POST", "/api/plugins/quick-v2/enable").status == 404
    assert not later.parent.exists()
    later.parent.mkdir(parents=True)
    later.symlink_to(own_hub.plugins_dir)
    plugins = Plugins(own_hub)
    plugins.ready("quick-v2")
    assert plugins.ask("quick-v2").status == 200


def config_of(hub: HubProcess) -> Path:
    """Return where a hub keeps which plugins are enabled."""
    return hub.plugins_dir / ".metadata" / "config.json"


def test_what_the_config_says_is_so_from_the_start_and_the_rest_of_it_stays(
    own_hub: HubProcess,
) -> None:
    plugins = Plugins(own_hub)
    plugins.put("quick-a-v1", "quick-b-v1", "quick-c-v1")
    config = config_of(own_hub)
    config.parent.mkdir()
    others = {"theme": {"dark": [1, None, "ä"]}, "version": 3}
    states: dict[str, Any] = {"quick-a-v1": False, "quick-b-v1": True, "absent": False}
    odd = {"quick-c-v1": "sometimes", "absent-too": {"enabled": False, "pinned": True}}
    config.write_text(json.dumps({**others, "plugins": {**states, **odd}}))
    own_hub.start()
    own_hub.log_in()
    plugins.ready("quick-b-v1", "quick-c-v1")
    view = plugins.wait("quick-a-v1", "disabled")
    assert (view["enabled"], view["health"], view["pid"]) == (False, "disabled", None)
    assert plugins.events("quick-a-v1") == []
    assert plugins.wish("quick-a-v1", "enable").status == 200
    assert plugins.wish("quick-b-v1", "disable").status == 200
    changed = {**states, **odd, "quick-a-v1": True, "quick-b-v1": False}
    assert json.loads(config.read_text()) == {**others, "plugins": changed}
    assert [path.name for path in config.parent.iterdir()] == ["config.json"]


@pytest.mark.parametrize("content", [b'{"plugins": {"quick-v1": fal', b"[1]", b'{"plugins": 7}'])
def test_a_damaged_config_enables_all_is_said_and_is_kept_beside_the_next(
    own_hub: HubProcess, content: bytes
) -> None:
    plugins = Plugins(own_hub)
    plugins.put("quick-v1")
    config = config_of(own_hub)
    config.parent.mkdir()
    config.write_bytes(content)
    own_hub.start()
    own_hub.log_in()
    plugins.ready("quick-v1")
    assert "config.json" in own_hub.log
    assert config.read_bytes() == content, "it is left alone as long as nobody changes a state"
    assert plugins.wish("quick-v1", "disable").status == 200
    assert json.loads(config.read_text())["plugins"] == {"quick-v1": False}
    assert config.with_name("config.json.damaged").read_bytes() == content


def test_a_config_that_cannot_be_written_is_an_answer(plugins: Plugins) -> None:
    plugins.start("quick-unsaved-v1")
    config = config_of(plugins.hub)
    shutil.rmtree(config.parent, ignore_errors=True)
    config.mkdir(parents=True)
    answer = plugins.wish("quick-unsaved-v1", "disable")
    assert (answer.status, answer.json["code"]) == (503, "unavailable")
    assert "config.json cannot be written" in answer.json["error"]
    assert list(config.parent.iterdir()) == [config]
    config.rmdir()
    assert plugins.wish("quick-unsaved-v1", "disable").status == 200
    assert json.loads(config.read_text()) == {"plugins": {"quick-unsaved-v1": False}}
    plugins.remove("quick-unsaved-v1")
