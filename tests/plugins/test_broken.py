"""Files that cannot be used: listed with a reason that a person can act on, while others work.

Runs on: the test's thread, against a real hub.
"""

from __future__ import annotations

import os
import platform
import struct
import time
from pathlib import Path

import pytest

from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import Plugins

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
    "bad-meta-hang": "It did not exit within 5 seconds of being run with --metadata.",
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
}


def elf(machine: int) -> bytes:
    """Return the beginning of a program for another machine (ELF header, e_machine)."""
    order = "<" if machine != 22 else ">"
    ident = b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + b"\x01" + bytes(9)
    return ident + struct.pack(f"{order}HHI", 2, machine, 1) + bytes(40)


@pytest.fixture(scope="module")
def gallery(hub: HubProcess, plugins: Plugins) -> Plugins:
    """Every kind of broken file beside two that are sound."""
    bad = [name for name in BROKEN if name.startswith("bad-")]
    plugins.put(*bad, "bad-meta-same-id+a", "bad-meta-same-route+a")
    plugins.put("bad-meta-flood-stderr", "bad-meta-child")
    own = {"x86_64": 62, "aarch64": 183}.get(platform.machine(), 62)
    plugins.write("elf", elf(22))
    plugins.write("damaged", elf(own))
    plugins.write("windows", b"MZ\x90\x00" + bytes(60))
    plugins.write("no-line", "echo '{}'\n")
    plugins.write("no-interpreter", "#!/opt/none/python9\n")
    plugins.write("no-program", "#!/usr/bin/env python9.9\n")
    plugins.write("crlf", "#!/bin/sh\r\necho hi\r\n")
    plugins.write("not-executable", "#!/bin/sh\n", mode=0o644)
    plugins.write("empty", "")
    (plugins.folder / "folder.binary").mkdir()
    os.mkfifo(plugins.folder / "fifo.binary")
    outside = hub.folder / "outside"
    outside.write_text("#!/bin/sh\n")
    outside.chmod(0o755)
    (plugins.folder / "out.binary").symlink_to(outside)
    (plugins.folder / "nowhere.binary").symlink_to("/opt/none")
    (plugins.folder / "loop.binary").symlink_to("loop.binary")
    began = time.monotonic()
    plugins.start("quick-v2")
    assert time.monotonic() - began < 20
    wait_until(lambda: set(BROKEN) <= set(plugins.all()), timeout_s=30, what="all files")
    return plugins


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_listed_with_a_reason(gallery: Plugins, name: str) -> None:
    view = gallery.all()[name]
    assert BROKEN[name] in view["reason"], view["reason"]
    assert len(view["reason"]) < 1000
    assert (view["state"], view["health"], view["running"]) == ("broken", "unhealthy", False)
    assert (view["enabled"], view["pid"], view["socket_path"]) == (False, None, None)


def test_the_sound_ones_beside_them_work(gallery: Plugins) -> None:
    assert gallery.ask("quick-v2").status == 200
    for name in ("bad-meta-flood-stderr", "bad-meta-child", "collision"):
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


def test_results_of_probes_are_kept_as_long_as_the_file_is_the_same(plugins: Plugins) -> None:
    counter = plugins.hub.folder / "probes"
    counter.touch()
    plugins.write("counted", f"#!/bin/sh\necho x >> {counter}\nexit 3\n")
    wait_until(lambda: "counted" in plugins.all(), what="the probe")
    time.sleep(2.5)  # looks at the folder go on meanwhile
    assert counter.read_text() == "x\n"
    assert plugins.wish("counted", "restart").status == 409  # somebody wants it looked at again
    assert counter.read_text() == "x\nx\n"


def test_a_repaired_file_is_noticed(plugins: Plugins) -> None:
    path = plugins.folder / "no-line.binary"
    source = Path("tests/support/quick_plugin.py").read_bytes()
    if not path.exists():
        plugins.write("no-line", "echo\n")
    path.write_bytes(source)
    plugins.ready("no-line")
    path.write_bytes(b"echo\n")
    view = plugins.wait("no-line", "broken")
    assert '"#!" line' in view["reason"]
    assert plugins.ask("no-line").status == 404
    plugins.write("no-line", source)
    plugins.ready("no-line")


def test_who_gives_an_id_back_makes_room_for_the_other(gallery: Plugins) -> None:
    gallery.remove("bad-meta-same-id+a")
    wait_until(
        lambda: gallery.all().get("bad-meta-same-id+b", {}).get("state") == "ready",
        what="the other's turn",
    )
    gallery.put("bad-meta-same-id+a")
    wait_until(
        lambda: gallery.all().get("bad-meta-same-id+a", {}).get("state") == "ready",
        what="the first's turn",
    )
    assert gallery.all()["bad-meta-same-id+b"]["state"] == "broken"
    gallery.remove("bad-meta-same-id+a")
    wait_until(
        lambda: gallery.all().get("bad-meta-same-id+b", {}).get("state") == "ready",
        what="the other's second turn",
    )


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
