"""The dashboard's files: found by an index, packed, revalidated, and nothing else.

Runs on: the test's event loop with a folder of its own; the last tests on a real hub.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import hashlib
import re
from pathlib import Path

import pytest

from tests.support.hub import HubProcess
from tests.support.raw_http import RawAnswer, parse, request
from tests.support.web_app import WebStage
from toru.config import static_dir
from toru.storage import static_files

IMPORT_MAP = '\n  {"imports": {"preact": "/vendor/preact.js"}}\n'
PAGE = f"""<!doctype html><title>Toru</title>
<script type="importmap">{IMPORT_MAP}</script>
<script>alert("never allowed")</script>
<script type="module" src="/app.js"></script>
"""
SCRIPT = "export const answer = 42;\n" * 100
APP = f"/app.js?v={hashlib.sha256(SCRIPT.encode()).hexdigest()[:16]}"
SENT_MAP = f'{{"imports":{{"preact":"/vendor/preact.js","/app.js":"{APP}"}}}}'
SENT_PAGE = f"""<!doctype html><title>Toru</title>
<script type="importmap">{SENT_MAP}</script>
    <link rel="modulepreload" href="{APP}" />
<script>alert("never allowed")</script>
<script type="module" src="{APP}"></script>
"""


@pytest.fixture
def folder(web: WebStage) -> Path:
    """Return a folder of files, good ones and some that must not be served."""
    root = web.folder / "static"
    (root / "lib").mkdir(parents=True)
    (root / "node_modules").mkdir()
    (root / "index.html").write_text(PAGE)
    (root / "app.js").write_text(SCRIPT)
    (root / "lib" / "tiny.css").write_text("a{}")
    (root / "package.json").write_text("{}")
    (root / ".secret.js").write_text("hidden")
    (root / "node_modules" / "x.js").write_text("not ours")
    (web.folder / "outside.js").write_text("outside")
    (root / "link.js").symlink_to(web.folder / "outside.js")
    (root / "folder-link").symlink_to(web.folder)
    return root


async def get(web: WebStage, path: str, *headers: str, method: str = "GET") -> RawAnswer:
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(request(method, path, *headers))
    received = await reader.read(-1)
    writer.close()
    return parse(received)


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("path", "content_type", "content"),
    [
        ("/app.js", "text/javascript; charset=utf-8", SCRIPT),
        ("/lib/tiny.css", "text/css; charset=utf-8", "a{}"),
        ("/", "text/html; charset=utf-8", SENT_PAGE),
        ("/index.html", "text/html; charset=utf-8", SENT_PAGE),
        ("/history/some/run", "text/html; charset=utf-8", SENT_PAGE),
        ("/scripts/deploy.sh", "text/html; charset=utf-8", SENT_PAGE),
        ("/app.js?x=1", "text/javascript; charset=utf-8", SCRIPT),
    ],
)
async def test_files_are_served_with_their_type_and_other_paths_get_the_page(
    web: WebStage, folder: Path, path: str, content_type: str, content: str
) -> None:
    assert folder.is_dir()
    await web.serve()
    answer = await get(web, path)
    assert answer.status == 200
    assert answer.headers["content-type"] == content_type
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.body.decode() == content
    head = await get(web, path, method="HEAD")
    assert head.headers["content-length"] == str(len(content))
    assert head.body == b""


@pytest.mark.gen_test
@pytest.mark.parametrize(
    "path",
    ["/package.json", "/.secret.js", "/node_modules/x.js", "/link.js", "/folder-link/outside.js",
     "/vendor/missing.js", "/lib/", "/setup.cfg", "/APP.JS"],
)  # fmt: skip
async def test_nothing_but_the_dashboards_own_files_is_served(
    web: WebStage, folder: Path, path: str
) -> None:
    assert folder.is_dir()
    await web.serve()
    answer = await get(web, path)
    assert answer.status == 404 or answer.body.decode() == SENT_PAGE
    for secret in (b"hidden", b"not ours", b"outside"):
        assert secret not in answer.body


@pytest.mark.gen_test
async def test_the_content_policy_allows_the_import_map_and_no_other_inline_script(
    web: WebStage, folder: Path
) -> None:
    assert folder.is_dir()
    await web.serve()
    policy = (await get(web, "/")).headers["content-security-policy"]
    digest = base64.b64encode(hashlib.sha256(SENT_MAP.encode()).digest()).decode()
    assert f"script-src 'self' 'sha256-{digest}';" in policy
    assert policy.count("sha256-") == 1
    for part in (
        "default-src 'self'", "style-src 'self' 'unsafe-inline'", "img-src 'self' data:",
        "connect-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'",
        "object-src 'none'",
    ):  # fmt: skip
        assert part in policy.split("; ")


@pytest.mark.gen_test
@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("br", False), ("gzip;q=0", False), ("", False)],
)
async def test_a_file_is_packed_for_those_who_take_it(
    web: WebStage, folder: Path, accepted: str, packed: bool
) -> None:
    assert folder.is_dir()
    await web.serve()
    answer = await get(web, "/app.js", f"Accept-Encoding: {accepted}")
    assert answer.headers["vary"] == "Accept-Encoding"
    assert (answer.headers.get("content-encoding") == "gzip") == packed
    body = gzip.decompress(answer.body) if packed else answer.body
    assert body.decode() == SCRIPT
    tiny = await get(web, "/lib/tiny.css", "Accept-Encoding: gzip")
    assert "content-encoding" not in tiny.headers


@pytest.mark.gen_test
async def test_a_version_that_the_browser_has_is_not_sent_again(
    web: WebStage, folder: Path
) -> None:
    assert folder.is_dir()
    await web.serve()
    for headers in (["Accept-Encoding: gzip"], []):
        etag = (await get(web, "/app.js", *headers)).headers["etag"]
        again = await get(web, "/app.js", f"If-None-Match: {etag}", *headers)
        assert (again.status, again.body) == (304, b"")
        assert again.headers["etag"] == etag
    plain = await get(web, "/app.js", 'If-None-Match: "other"')
    assert plain.status == 200


@pytest.mark.gen_test
async def test_a_path_that_names_its_version_is_kept_for_ever_but_never_a_wrong_one(
    web: WebStage, folder: Path
) -> None:
    await web.serve()
    digest = hashlib.sha256((folder / "app.js").read_bytes()).hexdigest()[:16]
    kept = await get(web, f"/app.js?v={digest}")
    assert kept.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert (await get(web, "/app.js?v=old")).headers["cache-control"] == "no-cache"
    page = hashlib.sha256(SENT_PAGE.encode()).hexdigest()[:16]
    assert (await get(web, f"/?v={page}")).headers["cache-control"] == "no-cache"


@pytest.mark.gen_test
async def test_a_change_on_the_disk_is_noticed_without_a_restart(
    web: WebStage, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(static_files, "LOOK_AGAIN_S", 0.0)
    await web.serve()
    before = await get(web, "/app.js")
    (folder / "app.js").write_text("changed")
    (folder / "new.js").write_text("new")
    after = await get(web, "/app.js")
    assert after.body == b"changed"
    assert after.headers["etag"] != before.headers["etag"]
    assert (await get(web, "/new.js")).body == b"new"
    (folder / "new.js").unlink()
    assert (await get(web, "/new.js")).status == 404
    changed = hashlib.sha256(b"changed").hexdigest()[:16]
    assert f'src="/app.js?v={changed}"' in (await get(web, "/")).body.decode()
    (folder / "index.html").rename(folder / "gone.html")
    assert (await get(web, "/")).status == 404


@pytest.mark.gen_test
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
async def test_the_dashboards_paths_take_no_changes(
    web: WebStage, folder: Path, method: str
) -> None:
    assert folder.is_dir()
    await web.serve()
    answer = await get(web, "/app.js", method=method)
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.gen_test
async def test_many_first_visitors_at_once_get_the_same_file(web: WebStage, folder: Path) -> None:
    assert folder.is_dir()
    await web.serve()
    answers = await asyncio.gather(*(get(web, "/app.js") for _ in range(30)))
    assert {answer.body.decode() for answer in answers} == {SCRIPT}


def test_the_real_page_has_one_inline_script_its_import_map_and_no_handlers() -> None:
    page = (static_dir() / "index.html").read_text()
    inline = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>", page)
    assert inline == ['<script type="importmap">']
    assert not re.search(r"\son\w+=", page)


def test_every_file_that_the_real_page_names_is_served_and_kept_for_ever(hub: HubProcess) -> None:
    page = hub.http("GET", "/", cookie="")
    assert (page.status, page.headers["Cache-Control"]) == (200, "no-cache")
    named = re.findall(r'(?:src|href)="(/[^"]+)"', page.body.decode())
    named += re.findall(r'":"(/[^"]+)"', page.body.decode())
    assert len(named) > 50
    for path in named:
        answer = hub.http("GET", path, cookie="", headers={"Accept-Encoding": "gzip"})
        assert answer.status == 200, path
        assert not answer.headers["Content-Type"].startswith("text/html"), path
        assert answer.headers["Cache-Control"].endswith("immutable"), path
        packed = answer.headers.get("Content-Encoding") == "gzip"
        assert packed or len(answer.body) < 1200 or path.startswith("/icons/"), path
