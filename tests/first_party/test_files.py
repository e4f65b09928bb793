"""The plugin Files, built and run by a real hub: what it shows, what it never shows, uploads."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import pytest

from tests.support.hub import Answer, HubProcess, wait_until
from toru.cli.plugin_build import build_plugin

SOURCE = Path(__file__).parents[2] / "plugins/files"
API = "/api/plugins/route/files/api/"
MIB = 1024 * 1024
SECRET = b"what nobody may see"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(60)


def names_in(folder: Path) -> list[str]:
    """Return the names that a folder has, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


class Files:
    """A hub with the plugin, and the folder that it shows."""

    def __init__(self, hub: HubProcess, folder: Path) -> None:
        self.hub = hub
        self.root = folder / "shown"
        self.outside = folder / "outside"
        self.data = hub.data_dir / "plugins/files"
        self.client = hub.add_client("anna")

    def ask(self, path: str, method: str = "GET", body: Any = None, **options: Any) -> Answer:
        """Send the plugin a request."""
        return self.hub.http(method, API + path, body, **options)

    def ok(self, path: str, method: str = "GET", body: Any = None, **options: Any) -> Any:
        """Send a request that must succeed, and return its JSON."""
        answer = self.ask(path, method, body, **options)
        assert answer.status == 200, answer
        return answer.json

    def refused(self, path: str, method: str = "GET", body: Any = None, **more: Any) -> Any:
        """Send a request that must fail; return its status and code."""
        answer = self.ask(path, method, body, **more)
        assert answer.json["error"].endswith("."), answer
        return answer.status, answer.json["code"]

    def names(self, path: str = "", **options: Any) -> list[str]:
        """Return the names in a folder."""
        found = self.ok(f"list?path={path}&limit=1000", **options)
        return [entry["name"] for entry in found["entries"]]

    def choose(self, **wish: Any) -> Any:
        """Set the choices."""
        return self.ok("choices", "PUT", wish)

    def begin(self, name: str, size: int, more: str = "") -> Any:
        """Begin an upload into the root."""
        return self.ok(f"uploads?path=&name={quote(name)}&size={size}{more}", "POST")

    def temporary(self) -> list[str]:
        """Return the temporary files there are in the root."""
        return [name for name in names_in(self.root) if name.startswith(".toru-upload-")]

    @property
    def process(self) -> psutil.Process:
        """The plugin's process."""
        return psutil.Process(self.hub.get("/api/plugins/files")["pid"])


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    with HubProcess(tmp_path_factory.mktemp("hub"), TORU_PLUGIN_BACKOFF="0.1") as started:
        build_plugin(SOURCE, started.plugins_dir)
        wait_ready(started)
        yield started
    assert "Traceback" not in started.log, started.log


def wait_ready(hub: HubProcess) -> None:
    def is_ready() -> bool:
        found = hub.http("GET", "/api/plugins/files").json
        return bool(found.get("state") == "ready")

    wait_until(is_ready, timeout_s=40, what="the plugin to be ready")


@pytest.fixture(scope="module")
def one(hub: HubProcess, tmp_path_factory: pytest.TempPathFactory) -> Files:
    return Files(hub, tmp_path_factory.mktemp("files"))


@pytest.fixture
def files(one: Files, tmp_path: Path) -> Files:
    """The plugin with a fresh folder that it shows, and one beside it that it does not."""
    one.root, one.outside = tmp_path / "shown", tmp_path / "outside"
    for folder in (one.root, one.outside):
        folder.mkdir()
    (one.outside / "secret.txt").write_bytes(SECRET)
    one.choose(root=str(one.root), clients_may_read=False)
    return one


def test_a_folder_is_listed_with_folders_first_in_pages_and_sorted_as_wished(files: Files) -> None:
    for name in ("b.txt", "Alpha.txt", "ünder.txt"):
        (files.root / name).write_bytes(name.encode())
    (files.root / "zoo").mkdir()
    (files.root / "zoo/inside a + b%41.txt").write_text("x")
    Path(os.fsdecode(os.fsencode(files.root) + b"/not-\xff-text")).write_bytes(bytes(1000))
    (files.root / "link").symlink_to(files.outside)
    os.mkfifo(files.root / "pipe")
    found = files.ok("list?path=")
    kinds = {entry["name"]: entry["kind"] for entry in found["entries"]}
    assert list(kinds) == ["zoo", "Alpha.txt", "b.txt", "link", "not-�-text", "pipe", "ünder.txt"]
    assert (kinds["zoo"], kinds["link"], kinds["pipe"]) == ("folder", "link", "other")
    entry = files.ok("list?path=zoo")["entries"][0]
    assert (entry["name"], entry["key"]) == ("inside a + b%41.txt", "inside%20a%20%2B%20b%2541.txt")
    assert (entry["kind"], entry["size"]) == ("file", 1)
    assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", entry["modified"])
    assert files.ask(f"download?path=zoo/{entry['key']}").body == b"x"
    assert files.ask("download?path=not-%FF-text").body == bytes(1000)
    by_size = files.ok("list?path=&sort=size&order=desc&limit=2")
    assert [entry["name"] for entry in by_size["entries"]] == ["zoo", "not-�-text"]
    assert (by_size["total"], files.ok("list?path=&offset=5&limit=2")["entries"][0]["name"]) == (
        7,
        "pipe",
    )
    assert files.refused("list?path=&sort=color") == (400, "bad_request")
    assert files.refused("list?path=&offset=-1") == (400, "bad_request")


def test_ten_thousand_entries_are_listed_a_page_at_a_time_and_quickly(files: Files) -> None:
    for number in range(10_000):
        os.mknod(files.root / f"file-{number:05}")
    begun = time.monotonic()
    page = files.ok("list?path=&offset=9800&limit=200")
    assert time.monotonic() - begun < 5
    assert (page["total"], page["entries"][-1]["name"]) == (10_000, "file-09999")
    assert len(page["entries"]) == 200


ESCAPES = (
    "..",
    "../outside/secret.txt",
    "zoo/../../outside/secret.txt",
    "%2e%2e/outside/secret.txt",
    "zoo%2f..%2f..%2foutside%2fsecret.txt",
    "/etc/passwd",
    "%2Fetc%2Fpasswd",
    "zoo//inside.txt",
    "./zoo",
    "zoo/.",
    "zoo%00/inside.txt",
    "zoo/",
)
READING = ("list", "preview", "image", "download")
CHANGING = (("folders", "POST"), ("rename", "POST"), ("entry", "DELETE"), ("uploads", "POST"))


def test_no_path_leads_out_of_the_folder(files: Files) -> None:
    (files.root / "zoo").mkdir()
    (files.root / "zoo/inside.txt").write_text("x")
    ways = [*((path, "GET") for path in READING), *CHANGING]
    for escape in ESCAPES:
        for path, method in ways:
            found = files.refused(f"{path}?path={escape}&name=new&size=3", method)
            assert found == (400, "bad_path"), (escape, path)
    for twice in ("%252e%252e", "%252e%252e%252foutside"):  # names like any other
        assert files.refused(f"list?path={twice}") == (404, "not_found")
    for name in (
        "..",
        ".",
        "a/b",
        "%2e%2e",
        "a%00b",
        "a%0Ab",
        "",
        "%20",
        ".toru-upload-1",
        "x" * 256,
    ):
        for path in ("folders?path=", "rename?path=zoo", "uploads?path=&size=1"):
            assert files.refused(f"{path}&name={name}", "POST") == (400, "bad_name"), (path, name)
    assert names_in(files.root) == ["zoo"]
    assert names_in(files.outside) == ["secret.txt"]


def test_links_are_shown_but_never_followed_and_can_be_removed(files: Files) -> None:
    (files.root / "zoo").mkdir()
    (files.root / "out").symlink_to(files.outside)
    (files.root / "zoo/secret.txt").symlink_to(files.outside / "secret.txt")
    (files.root / "up").symlink_to("..")
    assert files.refused("list?path=out")[0] in (403, 404)
    for path in READING[1:]:
        for target in ("out/secret.txt", "up/outside/secret.txt"):
            assert files.refused(f"{path}?path={target}")[0] in (403, 404)
        assert files.refused(f"{path}?path=zoo/secret.txt") == (403, "link")
    assert files.refused("folders?path=out&name=new", "POST")[0] in (403, 404)
    assert files.refused("uploads?path=out&name=new&size=1", "POST")[0] in (403, 404)
    assert files.refused("entry?path=out/secret.txt", "DELETE")[0] in (403, 404)
    files.ok("entry?path=zoo", "DELETE")
    files.ok("entry?path=out", "DELETE")
    assert names_in(files.root) == ["up"]
    assert (files.outside / "secret.txt").read_bytes() == SECRET
    os.mkfifo(files.root / "pipe")
    assert files.refused("download?path=pipe") == (400, "not_a_file")
    assert files.refused("download?path=") == (400, "bad_path")


def test_a_link_that_takes_a_folders_place_in_between_is_never_followed(files: Files) -> None:
    place, folder, link = (files.root / name for name in ("place", "folder", "link"))
    place.mkdir()
    (place / "secret.txt").write_text("harmless")
    link.symlink_to(files.outside)
    is_over = threading.Event()

    def swap() -> None:
        while not is_over.is_set():
            place.rename(folder)
            link.rename(place)
            place.rename(link)
            folder.rename(place)

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        answers = [files.ask("download?path=place/secret.txt") for _ in range(150)]
        for _ in range(50):
            answer = files.ask("folders?path=place&name=made", "POST")
            assert answer.status in (200, 403, 404, 409)
            files.ask("entry?path=place/made", "DELETE")
    finally:
        is_over.set()
        swapping.join()
    bodies = {answer.body for answer in answers if answer.status == 200}
    assert bodies == {b"harmless"}
    assert {answer.status for answer in answers} <= {200, 403, 404}
    assert names_in(files.outside) == ["secret.txt"]


def test_text_and_images_are_shown_and_nothing_acts_on_the_hubs_pages(files: Files) -> None:
    files.root.joinpath("page.html").write_text("<script>alert(1)</script>")
    files.root.joinpath("fake.png").write_text("<svg onload='alert(1)'/>")
    files.root.joinpath("real.txt").write_bytes(PNG)
    files.root.joinpath("data.bin").write_bytes(bytes(range(256)))
    files.root.joinpath("long.log").write_text("é" * 200_000)
    files.root.joinpath("old.txt").write_bytes("é".encode("latin-1"))
    text = files.ok("preview?path=page.html")
    assert (text["kind"], text["text"]) == ("text", "<script>alert(1)</script>")
    assert files.ok("preview?path=fake.png")["kind"] == "text"
    assert files.ok("preview?path=data.bin") == {"kind": "other", "size": 256}
    assert files.ok("preview?path=old.txt")["text"] == "é"
    long = files.ok("preview?path=long.log")
    assert (len(long["text"]), long["truncated"], long["size"]) == (131_072, True, 400_000)
    for name in ("page.html", "fake.png", "data.bin"):
        assert files.refused(f"image?path={name}") == (415, "not_an_image")
        found = files.ask(f"download?path={name}")
        assert found.headers["Content-Type"] == "application/octet-stream"
        assert found.headers["Content-Disposition"].startswith("attachment;")
        assert found.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in found.headers["Content-Security-Policy"]
    assert files.ok("preview?path=real.txt")["kind"] == "image"
    image = files.ask("image?path=real.txt")
    assert (image.headers["Content-Type"], image.body) == ("image/png", PNG)


def test_a_part_of_a_file_can_be_asked_for(files: Files) -> None:
    files.root.joinpath("a b.txt").write_bytes(b"0123456789")
    part = files.ask("download?path=a%20b.txt", headers={"Range": "bytes=2-4"})
    assert (part.status, part.body, part.headers["Content-Range"]) == (206, b"234", "bytes 2-4/10")
    tail = files.ask("download?path=a%20b.txt", headers={"Range": "bytes=-2"})
    assert (tail.status, tail.body) == (206, b"89")
    assert files.ask("download?path=a%20b.txt", headers={"Range": "bytes=20-"}).status == 416
    known = files.ask("download?path=a%20b.txt", headers={"If-None-Match": part.headers["Etag"]})
    assert (known.status, known.body) == (304, b"")
    head = files.ask("download?path=a%20b.txt", "HEAD")
    assert (head.status, head.headers["Content-Length"]) == (200, "10")
    wait_until(lambda: not shown_open(files), what="the files to be closed")


def shown_open(files: Files) -> list[str]:
    """The descriptors below the folder that the plugin has open."""
    return [file.path for file in files.process.open_files() if str(files.root) in file.path]


def peak_bytes(process: psutil.Process) -> int:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


def test_300_mb_go_down_while_memory_stays_flat(files: Files) -> None:
    size = 300 * MIB
    with (files.root / "large.bin").open("wb") as file:
        file.truncate(size)
        file.seek(size - 3)
        file.write(b"end")
    files.ask("download?path=large.bin", headers={"Range": "bytes=0-1048575"})
    before = [peak_bytes(process) for process in (files.process, psutil.Process(files.hub.pid))]
    connection = http.client.HTTPConnection("127.0.0.1", files.hub.port, timeout=60)
    connection.request("GET", f"{API}download?path=large.bin", headers={"Cookie": files.hub.cookie})
    answer = connection.getresponse()
    assert answer.headers["Content-Length"] == str(size)
    got, last = 0, b""
    while piece := answer.read(MIB):
        got, last = got + len(piece), piece
    connection.close()
    assert (got, last[-3:]) == (size, b"end")
    after = [peak_bytes(process) for process in (files.process, psutil.Process(files.hub.pid))]
    assert max(b - a for a, b in zip(before, after, strict=True)) < 32 * MIB


def test_an_upload_comes_in_slices_goes_on_after_a_break_and_is_whole_at_once(
    files: Files,
) -> None:
    content = hashlib.shake_128(b"seed").digest(5 * MIB)
    begun = files.begin("large.bin", len(content), "&modified=7")
    upload = f"uploads/{begun['id']}"
    assert begun["offset"] == 0
    assert files.ok(f"{upload}?offset=0", "PUT", content[: 2 * MIB])["offset"] == 2 * MIB
    assert files.names() == [], "what is not whole is not shown"
    temporary = files.temporary()
    assert files.refused(f"download?path={temporary[0]}") == (404, "not_found")
    assert files.refused(f"entry?path={temporary[0]}", "DELETE") == (404, "not_found")
    assert files.refused(f"{upload}?offset=0", "PUT", b"again") == (409, "wrong_offset")
    assert files.refused(f"{upload}/finish", "POST") == (409, "not_whole")
    break_off(files, f"{upload}?offset={2 * MIB}", content[2 * MIB : 3 * MIB], 2 * MIB)
    restarted = files.hub.http("POST", "/api/plugins/files/restart")
    assert restarted.status == 200
    again = files.begin("large.bin", len(content), "&modified=7")
    assert again["id"] == begun["id"], "the same file to the same place goes on"
    offset = again["offset"]
    assert 2 * MIB <= offset <= 3 * MIB
    assert files.ok(f"{upload}?offset={offset}", "PUT", content[offset:])["offset"] == 5 * MIB
    assert files.refused(f"{upload}?offset={5 * MIB}", "PUT", b"more") == (400, "too_long")
    entry = files.ok(f"{upload}/finish", "POST")
    assert (entry["name"], entry["size"]) == ("large.bin", 5 * MIB)
    assert (files.root / "large.bin").read_bytes() == content
    assert files.temporary() == []
    assert files.refused(upload) == (404, "no_upload")


def break_off(files: Files, path: str, sent: bytes, announced: int) -> None:
    """Send a part of a slice, and leave."""
    connection = http.client.HTTPConnection("127.0.0.1", files.hub.port, timeout=30)
    connection.putrequest("PUT", API + path)
    connection.putheader("Cookie", files.hub.cookie)
    connection.putheader("Content-Length", str(announced))
    connection.endheaders()
    connection.send(sent)
    connection.close()


def test_uploads_at_the_same_time_do_not_disturb_each_other(files: Files) -> None:
    contents = {f"file-{number}": bytes([number]) * 4 * MIB for number in range(6)}

    def upload(name: str) -> None:
        begun = files.begin(name, 4 * MIB)
        for offset in range(0, 4 * MIB, MIB):
            piece = contents[name][offset : offset + MIB]
            files.ok(f"uploads/{begun['id']}?offset={offset}", "PUT", piece)
        files.ok(f"uploads/{begun['id']}/finish", "POST")

    threads = [threading.Thread(target=upload, args=(name,)) for name in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert {name: (files.root / name).read_bytes() for name in files.names()} == contents
    assert files.temporary() == []


def test_an_upload_replaces_a_file_only_when_it_is_to_and_never_a_folder(files: Files) -> None:
    (files.root / "taken.txt").write_text("old")
    (files.root / "folder").mkdir()
    assert files.refused("uploads?path=&name=taken.txt&size=1", "POST") == (409, "exists")
    assert files.refused("uploads?path=&name=folder&size=1&replace=1", "POST") == (409, "exists")
    begun = files.begin("late.txt", 0)
    (files.root / "late.txt").write_text("was faster")
    assert files.refused(f"uploads/{begun['id']}/finish", "POST") == (409, "exists")
    files.ok(f"uploads/{begun['id']}", "DELETE")
    begun = files.begin("taken.txt", 3, "&replace=1")
    files.ok(f"uploads/{begun['id']}?offset=0", "PUT", b"new")
    files.ok(f"uploads/{begun['id']}/finish", "POST")
    assert (files.root / "taken.txt").read_text() == "new"
    assert (files.root / "late.txt").read_text() == "was faster"
    assert files.refused(f"uploads?path=&name=huge&size={10**17}", "POST") == (507, "disk_full")
    assert files.temporary() == []
    assert list((files.data / "uploads").glob("*.json")) == []


def test_uploads_that_are_given_up_or_forgotten_leave_nothing(files: Files) -> None:
    given_up, forgotten = files.begin("a", 9), files.begin("b", 9)
    files.ok(f"uploads/{given_up['id']}?offset=0", "PUT", b"1234")
    files.ok(f"uploads/{given_up['id']}", "DELETE")
    assert files.temporary() == [f".toru-upload-{forgotten['id']}"]
    day_before = time.time() - 2 * 24 * 3600
    os.utime(files.root / files.temporary()[0], (day_before, day_before))
    files.hub.http("POST", "/api/plugins/files/restart")
    wait_until(lambda: not files.temporary(), what="the forgotten upload to go")
    other = files.begin("c", 9)
    assert files.temporary() == [f".toru-upload-{other['id']}"]
    files.choose(root=str(files.outside))
    assert files.temporary() == []
    assert list((files.data / "uploads").iterdir()) == []


def test_folders_are_made_and_entries_renamed_without_replacing_anything(files: Files) -> None:
    files.ok(f"folders?path=&name={quote('Ünder way')}", "POST")
    assert files.refused(f"folders?path=&name={quote('Ünder way')}", "POST") == (409, "exists")
    (files.root / "a.txt").write_text("a")
    (files.root / "b.txt").write_text("b")
    assert files.refused("rename?path=a.txt&name=b.txt", "POST") == (409, "exists")
    assert files.refused("rename?path=%C3%9Cnder%20way&name=b.txt", "POST") == (409, "exists")
    assert files.refused("rename?path=none&name=c", "POST") == (404, "not_found")
    assert files.ok("rename?path=a.txt&name=c%20d.txt", "POST") == {"key": "c%20d.txt"}
    files.ok("rename?path=%C3%9Cnder%20way&name=zoo", "POST")
    (files.root / "zoo/deep").mkdir()
    (files.root / "zoo/deep/file").write_text("x")
    assert files.names() == ["zoo", "b.txt", "c d.txt"]
    files.ok("entry?path=zoo", "DELETE")
    files.ok("entry?path=b.txt", "DELETE")
    assert files.names() == ["c d.txt"]
    assert files.refused("entry?path=", "DELETE") == (400, "bad_path")


def test_clients_see_files_only_when_the_admin_says_so_and_never_change_any(files: Files) -> None:
    (files.root / "a.txt").write_text("a")
    client = {"cookie": files.client}
    changes = [
        ("folders?path=&name=x", "POST"),
        ("rename?path=a.txt&name=x", "POST"),
        ("entry?path=a.txt", "DELETE"),
        ("uploads?path=&name=x&size=1", "POST"),
        (f"uploads/{'0' * 32}", "GET"),
        (f"uploads/{'0' * 32}?offset=0", "PUT"),
        (f"uploads/{'0' * 32}/finish", "POST"),
        (f"uploads/{'0' * 32}", "DELETE"),
        ("choices", "PUT"),
    ]
    for may_read in (False, True):
        files.choose(clients_may_read=may_read)
        told = files.ok("state", **client)
        assert (told["may_read"], told["may_change"], told["root"]) == (may_read, False, None)
        for path in READING:
            status = files.ask(f"{path}?path={'' if path == 'list' else 'a.txt'}", **client).status
            assert status == (403 if not may_read else 415 if path == "image" else 200), path
        for path, method in changes:
            body = {"clients_may_read": True, "root": "/"} if path == "choices" else None
            assert files.refused(path, method, body, **client) == (403, "forbidden"), path
    for key in ("root", "clients_may_read", "choices"):  # keys are open to everybody
        body = {"action": "set", "key": key, "value": "/"}
        files.hub.http("POST", "/api/plugins/files/kv", body, **client)
    assert files.ok("state")["root"] == str(files.root)
    assert files.names() == ["a.txt"]


def test_a_folder_is_chosen_by_the_admin_and_what_cannot_be_one_is_explained(files: Files) -> None:
    (files.root / "file").write_text("x")
    wrong = {
        "relative/path": "whole path",
        "": "whole path",
        "/a\0b": "whole path",
        str(files.root / "none"): "no folder",
        str(files.root / "file"): "no folder",
        "/": "own data",
        str(files.hub.data_dir): "own data",
        str(files.hub.data_dir / "plugins/files"): "own data",
        str(files.hub.data_dir.parent): "own data",
    }
    for root, reason in wrong.items():
        answer = files.ask("choices", "PUT", {"root": root})
        assert (answer.status, answer.json["code"]) == (400, "bad_folder"), root
        assert reason in answer.json["error"]
    for body in ({}, [], {"other": 1}, {"clients_may_read": "yes"}, None):
        assert files.refused("choices", "PUT", body) == (400, "bad_request")
    assert files.ok("state")["root"] == str(files.root)
    files.root.rename(files.root.with_name("moved"))
    told = files.ok("state")
    assert (told["is_ready"], "no folder" in told["problem"]) == (False, True)
    assert files.refused("list?path=") == (409, "no_root")
    path = "/api/plugins/files/settings"
    kept = files.hub.get(path)["values"]
    assert kept["root"] == str(files.root)
    assert files.hub.http("PUT", path, {"values": {}}).json["applied"] == "live"
    wait_until(lambda: files.ok("state")["root"] is None, what="the change in the form")
    assert files.refused("list?path=") == (409, "no_root")


def test_earlier_choices_become_settings_once(files: Files) -> None:
    path = "/api/plugins/files/settings"
    assert files.hub.http("PUT", path, {"values": {}}).status == 200
    old = files.data / "choices.json"
    old.write_text(json.dumps({"root": str(files.root), "clients_may_read": True, "more": 1}))
    assert files.hub.http("POST", "/api/plugins/files/restart").status == 200
    kept = {"root": str(files.root), "clients_may_read": True}
    assert files.hub.get(path)["values"] == kept
    assert files.ok("state")["root"] == str(files.root)
    assert not old.exists()
    assert json.loads(old.with_name("choices.json.taken-over").read_text())["more"] == 1
    files.choose(clients_may_read=False)
    assert files.hub.http("POST", "/api/plugins/files/restart").status == 200
    assert files.hub.get(path)["values"] == {**kept, "clients_may_read": False}
