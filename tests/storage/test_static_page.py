"""The page as it is sent: versions, the import map, and what is fetched side by side.

Runs on: the test's thread.
"""

from __future__ import annotations

import json
import re

import pytest

from toru.storage.static_page import Version, compose, needed_at_once, version_of

VERSIONS = {
    "/app.js": Version("a1", ("./lib/one.js", "preact")),
    "/lib/one.js": Version("b2", ("./two.js", "../app.js")),
    "/lib/two.js": Version("c3", ("./not-there.js",)),
    "/lib/later.js": Version("d4"),
    "/vendor/preact.js": Version("e5"),
    "/look.css": Version("f6"),
}
PAGE = b"""<link rel="stylesheet" href="/look.css" />
<script type="importmap">{"imports": {"preact": "/vendor/preact.js", "gone": "/gone.js"}}</script>
<script type="module" src="/app.js"></script><a href="/history">x</a><img src="/look.css?v=mine">
"""


@pytest.mark.parametrize(
    ("code", "imports"),
    [
        ('import { a, b } from "./x.js";', ("./x.js",)),
        ('import {\n  a,\n  b as c,\n} from "x";\nimport d, * as e from "y";', ("x", "y")),
        ('import "./side-effect.js";', ("./side-effect.js",)),
        ("export * from './x.js';\nexport { a } from './y.js'", ("./x.js", "./y.js")),
        ('import{h as e}from"x";import{u}from"y";export{e}from"z";', ("x", "y", "z")),
        ('function f(){}import n from"after-a-brace"', ("after-a-brace",)),
        ('/** @import { A } from "./types.js" */\n * @import { B } from "./b.js"', ()),
        ('const view = () => import("./later.js");\nexport const from = "a";', ()),
        ('export function a() {}\nconst b = "import";\nexport const c = "./x.js";', ()),
    ],
)  # fmt: skip
def test_only_what_a_module_needs_before_it_runs_counts_as_imported(
    code: str, imports: tuple[str, ...]
) -> None:
    assert version_of("/m.js", code.encode()).imports == imports


def test_a_style_sheet_imports_nothing() -> None:
    assert version_of("/x.css", b'@import "y.css";').imports == ()


def test_modules_are_found_once_each_wherever_they_import_each_other() -> None:
    found = needed_at_once(["/app.js"], {"preact": "/vendor/preact.js"}, VERSIONS)
    assert found == ["/app.js", "/lib/one.js", "/vendor/preact.js", "/lib/two.js"]


def test_the_page_names_versions_maps_all_modules_and_links_those_it_starts_with() -> None:
    sent = compose(PAGE, VERSIONS).decode()
    [mapped] = re.findall(r"importmap\">(.*?)</script>", sent)
    assert json.loads(mapped)["imports"] == {
        "preact": "/vendor/preact.js?v=e5",
        "gone": "/gone.js",
        "/app.js": "/app.js?v=a1",
        "/lib/later.js": "/lib/later.js?v=d4",
        "/lib/one.js": "/lib/one.js?v=b2",
        "/lib/two.js": "/lib/two.js?v=c3",
        "/vendor/preact.js": "/vendor/preact.js?v=e5",
    }
    links = re.findall(r'modulepreload" href="([^"]+)"', sent)
    assert links == [
        "/app.js?v=a1", "/lib/one.js?v=b2", "/vendor/preact.js?v=e5", "/lib/two.js?v=c3",
    ]  # fmt: skip
    assert 'href="/look.css?v=f6"' in sent
    assert '<script type="module" src="/app.js?v=a1">' in sent
    assert '<a href="/history">' in sent
    assert 'src="/look.css?v=mine"' in sent
    assert sent.index("importmap") < sent.index("modulepreload")


@pytest.mark.parametrize("imports", [b"{}", b"[1]", b'{"imports": 3}', b"{"])
def test_a_page_whose_import_map_cannot_be_read_stays_as_it_is_but_for_versions(
    imports: bytes,
) -> None:
    page = b'<script type="importmap">' + imports + b'</script><script src="/app.js"></script>'
    sent = compose(page, VERSIONS)
    assert sent == page.replace(b"/app.js", b"/app.js?v=a1")
