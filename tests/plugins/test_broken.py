"""Files that cannot be used: listed with a reason that a person can act on, while others work.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import os
import platform
import struct
import threading
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psutil
import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.load import runner_pid
from tests.support.plugin_files import QUICK, Plugins, processes_of

MIB = 1024 * 1024
HANGING = ["bad-meta-hang+a", "bad-meta-hang+b", "bad-meta-hang+c"]
BROKEN = {
    "bad-meta-garbage": 'It prints no JSON object for --metadata, but "Segmentation fault, or so".',
    "bad-meta-nothing": "It prints nothing for --metadata; it must print one JSON object.",
    "bad-meta-array": "--metadata",
    "bad-meta-noise": 'before the JSON object of --metadata: "Loading the plugin..."',
    "bad-meta-noise-after": 'after the JSON object of --metadata: "Bye."',
    "bad-meta-utf8": "What it prints for --metadata is not UTF-8",
    "bad-meta-exit-3": "it exited with code 3. The end of its stderr: meta-exit: the licence file "
    "is missing | exiting with 3",
    "bad-meta-killed": "it was ended by SIGKILL",
    **dict.fromkeys(HANGING, "It did not exit within 5 seconds of being run with --metadata."),
    "bad-meta-huge": "It prints more than 64 KiB for --metadata",
    "bad-meta-bad-id": "id",
    "bad-meta-bad-route": "route",
    "bad-meta-same-id+b": 'Its id "collision" is already that of bad-meta-same-id+a.binary',
    "bad-meta-same-route+b": 'Its route "/collision" is already that of',
    "elf": "It is a program for s390x, and this machine is",
    "damaged": f"It is a program for {platform.machine()}, as this machine is, but it is damaged.",
    "windows": "It is a program for Windows",
    "no-line": 'It has no "#!" line',
    "no-interpreter": 'Its interpreter "/opt/none/python9" is missing',
    "no-program": 'Its interpreter "python9.9" is not installed',
    "crlf": "Its first line ends with CRLF",
    "not-executable": "It is not executable; make it so with chmod +x.",
    "empty": "The file is empty.",
    "folder": "It is a folder; a plugin is an executable file.",
    "fifo": "It is no regular file; a plugin is an executable file.",
    "out": "It is a symbolic link that leads out of the plugins folder",
    "nowhere": "It is a symbolic link that leads nowhere.",
    "loop": "It is a symbolic link that leads back to itself.",
    "ä <b>\n\x1b": 'It has no "#!" line',
    r"no-utf8-\xff": "Its file name is not UTF-8; rename it.",
}
WRONG_METADATA = {
    r"\033]0;title\007 hello\n": "It prints no JSON object for --metadata",
    r'{"id": "cut", "name": "C': "is not valid JSON",
    r'{"id": "a", "version": "1", "route": "/a"}': '"name"',
    r'{"id": 7, "name": "A", "version": "1", "route": "/a"}': '"$.id"',
    r'{"id": "route", "name": "A", "version": "1", "route": "/a"}': "a word that Toru needs",
    r'{"id": "a", "name": "A", "version": "1", "route": "/a/%%2e%%2e"}': "Its route",
    r'{"id": "a", "name": "A", "version": "1", "route": "/a", "protocols": [3]}': "1 or 2",
}
BROKEN |= {f"wrong-{n}": reason for n, reason in enumerate(WRONG_METADATA.values())}
NO_PLUGINS = ["notes.txt", "quick-v2.binary.bak", "binary", ".binary.swp", "x.BINARY"]
COMPLAINT = r"""#!/bin/sh
i=0; while [ $i -lt 40 ]; do echo "line $i" >&2; i=$((i+1)); done
printf '\033[31mno \377licence\033[0m\r\n' >&2
printf '%01000d\n' 0 >&2
exit 3
"""


def elf(machine: int) -> bytes:
    """Return the beginning of a program for another machine (ELF header, e_machine)."""
    order = "<" if machine != 22 else ">"
    ident = b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + b"\x01" + bytes(9)
    return ident + struct.pack(f"{order}HHI", 2, machine, 1) + bytes(40)


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


def hanging_probes(plugins: Plugins) -> list[psutil.Process]:
    """Return the processes of those that never exit."""
    return [one for one in processes_of(plugins.folder) if "hang" in str(one.cmdline())]


def write_texts(plugins: Plugins) -> None:
    """Write what the kernel cannot start or what says wrong things."""
    own = {"x86_64": 62, "aarch64": 183}.get(platform.machine(), 62)
    plugins.write("elf", elf(22))
    plugins.write("damaged", elf(own))
    plugins.write("windows", b"MZ\x90\x00" + bytes(60))
    plugins.write("no-line", "echo '{}'\n")
    plugins.write("ä <b>\n\x1b", "no plugin\n")
    plugins.write("no-interpreter", "#!/opt/none/python9\n")
    plugins.write("no-program", "#!/usr/bin/env python9.9\n")
    plugins.write("crlf", "#!/bin/sh\r\necho hi\r\n")
    plugins.write("not-executable", "#!/bin/sh\n", mode=0o644)
    plugins.write("empty", "")
    plugins.write("complains", COMPLAINT)
    for number, printed in enumerate(WRONG_METADATA):
        plugins.write(f"wrong-{number}", f"#!/bin/sh\nprintf '{printed}'\n")


def make_odd_entries(plugins: Plugins) -> None:
    """Make what is no regular file, lies elsewhere, or has another name than plugins have."""
    (plugins.folder / "folder.binary").mkdir()
    os.mkfifo(plugins.folder / "fifo.binary")
    outside = plugins.hub.folder / "outside"
    outside.write_text("#!/bin/sh\n")
    outside.chmod(0o755)
    (plugins.folder / "out.binary").symlink_to(outside)
    (plugins.folder / "nowhere.binary").symlink_to("/opt/none")
    (plugins.folder / "loop.binary").symlink_to("loop.binary")
    for name in [*NO_PLUGINS, os.fsdecode(b"no-utf8-\xff.binary")]:
        (plugins.folder / name).write_text(QUICK)


def test_hanging_probes_hold_up_nobody_else_and_leave_no_process(plugins: Plugins) -> None:
    plugins.put(*HANGING)
    wait_until(lambda: len(hanging_probes(plugins)) == 3, what="the hanging probes")
    plugins.start("quick-v2")
    assert plugins.ask("quick-v2").status == 200
    assert not set(HANGING) & set(plugins.all())
    assert len(hanging_probes(plugins)) == 3
    wait_until(lambda: set(HANGING) <= set(plugins.all()), what="the end of their time")
    assert not hanging_probes(plugins)


def test_a_gigabyte_of_metadata_costs_no_memory_and_no_time(plugins: Plugins) -> None:
    with peak_of([plugins.hub.pid, runner_pid(plugins.hub)]) as growth:
        plugins.put("bad-meta-huge", "bad-meta-flood-stderr")
        plugins.ready("bad-meta-flood-stderr")
        wait_until(lambda: "bad-meta-huge" in plugins.all(), what="the flood's end")
    assert growth() < 48 * MIB


@pytest.fixture(scope="module")
def gallery(plugins: Plugins) -> Plugins:
    """Every kind of broken file beside some that are sound."""
    winners = ["bad-meta-same-id+a", "bad-meta-same-route+a"]
    plugins.put(*winners, "bad-meta-child", "quick-v2")
    wait_until(lambda: set(winners) <= set(plugins.all()), what="those that others collide with")
    bad = [name for name in BROKEN if name.startswith("bad-")]
    plugins.put(*(name for name in bad if name not in (*HANGING, "bad-meta-huge")))
    plugins.put(*(name for name in (*HANGING, "bad-meta-huge") if name not in plugins.all()))
    write_texts(plugins)
    make_odd_entries(plugins)
    plugins.start("bad-meta-flood-stderr")
    every = {*BROKEN, "complains"}
    wait_until(lambda: every <= set(plugins.all()), timeout_s=30, what="all files")
    return plugins


def is_shown_as_it_is(text: str) -> bool:
    """Return whether a text has no control characters."""
    return not any(unicodedata.category(char)[0] == "C" for char in text)


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_listed_with_a_reason(gallery: Plugins, name: str) -> None:
    view = gallery.all()[name]
    assert BROKEN[name] in view["reason"], view["reason"]
    assert len(view["reason"]) < 1000
    assert is_shown_as_it_is(view["reason"])
    assert (view["state"], view["health"], view["running"]) == ("broken", "unhealthy", False)
    assert (view["enabled"], view["pid"], view["socket_path"]) == (False, None, None)


def test_a_broken_file_goes_by_its_name_whatever_its_metadata_say(gallery: Plugins) -> None:
    listed = gallery.all()
    for number in range(len(WRONG_METADATA)):
        assert listed[f"wrong-{number}"]["id"] == f"wrong-{number}"


def test_the_end_of_stderr_is_shown_on_one_line_and_short(gallery: Plugins) -> None:
    reason = gallery.all()["complains"]["reason"]
    assert "it exited with code 3" in reason
    assert "line 38 | line 39 | [31mno �licence [0m | 000" in reason
    assert "line 36" not in reason
    assert len(reason) < 800
    assert is_shown_as_it_is(reason)


def test_names_that_are_no_plugins_are_passed_over(gallery: Plugins) -> None:
    listed = {plugin["file"] for plugin in gallery.hub.get("/api/plugins")}
    assert not listed & set(NO_PLUGINS)
    assert "no-line.binary" in listed


def test_the_sound_ones_beside_them_work(gallery: Plugins) -> None:
    for name in ("quick-v2", "bad-meta-flood-stderr", "bad-meta-child", "collision"):
        gallery.ready(name)
        assert gallery.ask(name).status == 200


def test_clients_are_not_shown_the_broken_ones(gallery: Plugins) -> None:
    cookie = gallery.hub.add_client("client")
    listed = gallery.hub.get("/api/plugins", cookie=cookie)
    assert "broken" not in {plugin["state"] for plugin in listed}
    assert gallery.hub.http("GET", "/api/plugins/elf", cookie=cookie).status == 404


def test_a_broken_plugin_cannot_be_enabled_and_says_why(gallery: Plugins) -> None:
    answer = gallery.wish("no-interpreter", "enable")
    assert (answer.status, answer.json["code"]) == (409, "broken_plugin")
    assert "python9" in answer.json["error"]
    assert gallery.wish("bad-meta-bad-id", "restart").status == 409
    assert gallery.ask("elf").status == 404


def test_probes_run_side_by_side_but_not_all_at_once(own_hub: HubProcess) -> None:
    plugins = Plugins(own_hub)
    book = own_hub.folder / "book"
    script = f"""#!/bin/sh
echo + >> {book}
sleep 0.5
echo - >> {book}
exit 1
"""
    for number in range(12):
        plugins.write(f"slow-{number}", script)
    own_hub.start()
    own_hub.log_in()
    began = time.monotonic()
    wait_until(lambda: len(plugins.all()) == 12, what="all probes")
    assert time.monotonic() - began < 5  # 6 s one after the other
    now = most = 0
    for line in book.read_text().split():
        now += 1 if line == "+" else -1
        most = max(most, now)
    assert 2 <= most <= 4
