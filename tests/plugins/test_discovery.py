"""Which files become plugins, and when: looked at once, side by side, and again after a change.

What is said of each kind of broken file stands in ``test_broken.py``.

Runs on: the test's thread, against real hubs.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import QUICK, Plugins, is_alive


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


def let_it_look(plugins: Plugins) -> None:
    """Return after the hub has looked at the folder at least four times: a file came and went."""
    plugins.write("passing", "no plugin\n")
    wait_until(lambda: "passing" in plugins.all(), what="a new file noticed")
    plugins.remove("passing")
    wait_until(lambda: "passing" not in plugins.all(), what="its end noticed")


@pytest.fixture(scope="module")
def shelf(plugins: Plugins) -> Plugins:
    """Files of many kinds, put there together and all found out about."""
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
    plugins.write("counted", f"#!/bin/sh\necho x >> {plugins.hub.folder / 'broken-book'}\nexit 3\n")
    plugins.write("no-line", "echo\n")
    interpreter = plugins.hub.folder / "interpreter"
    plugins.write("quick-waits-v2", f"#!{interpreter}\n" + QUICK.split("\n", 1)[1])
    wait_until(lambda: len(plugins.all()) == 9, what="all of them")
    plugins.ready("Twin", "linked", "before", "quick-counted-v2")
    return plugins


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


def test_a_broken_file_is_tried_once_and_again_when_somebody_wants_it(shelf: Plugins) -> None:
    book = shelf.hub.folder / "broken-book"
    let_it_look(shelf)
    assert book.read_text() == "x\n"
    assert shelf.wish("counted", "restart").status == 409
    assert book.read_text() == "x\nx\n"


def test_a_repaired_file_is_noticed(shelf: Plugins) -> None:
    path = shelf.folder / "no-line.binary"
    path.write_text(QUICK)
    shelf.ready("no-line")
    path.write_bytes(b"echo\n")
    view = shelf.wait("no-line", "broken")
    assert '"#!" line' in view["reason"]
    assert shelf.ask("no-line").status == 404
    shelf.write("no-line", QUICK)
    shelf.ready("no-line")


def test_who_gives_an_id_back_makes_room_for_the_other(plugins: Plugins) -> None:
    first, second = "bad-meta-same-id+a", "bad-meta-same-id+b"

    def becomes_ready(name: str) -> None:
        wait_until(
            lambda: plugins.all().get(name, {}).get("state") == "ready", what=f"the turn of {name}"
        )

    plugins.put(first)
    becomes_ready(first)
    plugins.put(second)
    wait_until(lambda: second in plugins.all(), what="the one that has to wait")
    assert plugins.all()[second]["state"] == "broken"
    plugins.remove(first)
    becomes_ready(second)
    plugins.put(first)
    becomes_ready(first)
    assert plugins.all()[second]["state"] == "broken"
    plugins.remove(first)
    becomes_ready(second)
    plugins.remove(second)


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
        plugins.has_lived(plugin_id, "started")
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
