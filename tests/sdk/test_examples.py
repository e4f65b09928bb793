"""The example plugins, built and driven end to end by a core that knows no more than the pages."""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sdk.core import CoreV2, Running, running
from toru.cli.plugin_build import build_plugin

PLUGINS = Path(__file__).parents[2] / "plugins"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("plugins")
    for name in ("hello-plugin-python", "hello-plugin-plain"):
        build_plugin(PLUGINS / name, folder)
    return folder


@pytest.fixture
def hello(built: Path, tmp_path: Path) -> Iterator[Running]:
    with running([str(built / "hello-plugin-python.binary")], tmp_path / "s") as found:
        yield found


@pytest.fixture
def plain(built: Path, tmp_path: Path) -> Iterator[Running]:
    with running([str(built / "hello-plugin-plain.binary")], tmp_path / "s") as found:
        yield found


def test_the_hello_plugin_says_who_it_is(built: Path) -> None:
    printed = subprocess.check_output([built / "hello-plugin-python.binary", "--metadata"])
    metadata = json.loads(printed)
    assert metadata["id"] == "hello-plugin-python"
    assert metadata["name"] == "Hello World (Python)"
    assert metadata["route"] == "/hello-python"
    assert metadata["protocols"] == [1, 2]


def test_the_hello_plugin_greets_and_counts_over_version_2(hello: Running) -> None:
    with CoreV2(hello) as core:
        core.ready().kv["count"] = "41"
        assert json.loads(core.http("GET", "/")["text"]) == {"message": "Hello, anna!"}
        assert json.loads(core.http("GET", "/", "name=Bo")["text"]) == {"message": "Hello, Bo!"}
        assert json.loads(core.http("GET", "/api/counter")["text"]) == {"count": 41}
        assert json.loads(core.http("POST", "/api/counter")["text"]) == {"count": 42}
        assert core.kv["count"] == "42"
        streams = [core.start("POST", "/api/counter") for _ in range(20)]
        for _ in streams:
            core.until("http_head")
        assert core.kv["count"] == "62", "presses at one moment are all counted"
        assert "bundle" in core.hello_ok["features"]
        bundle = core.http("GET", "/bundle.js")
        assert 'window.ToruPlugins["hello-plugin-python"]' in bundle["text"]


def test_the_hello_plugin_greets_and_counts_over_version_1(hello: Running) -> None:
    kv = {"count": "1"}
    hello.init_v1()
    assert json.loads(hello.http_v1("GET", "/?name=Bo")["body"]) == {"message": "Hello, Bo!"}
    assert json.loads(hello.http_v1("POST", "/api/counter", kv=kv)["body"]) == {"count": 2}
    assert kv == {"count": "2"}
    assert hello.http_v1("GET", "/bundle.js")["status"] == 200
    hello.shut_down_v1()
    assert hello.ended()[0] == 0


@pytest.mark.skipif(shutil.which("node") is None, reason="needs node")
def test_the_bundle_mounts_counts_unmounts_and_mounts_again(tmp_path: Path) -> None:
    script = tmp_path / "drive.js"
    script.write_text(DRIVE.replace("BUNDLE", str(PLUGINS / "hello-plugin-python/bundle.js")))
    subprocess.run(["node", str(script)], check=True, timeout=30)


def test_the_plain_plugin_is_at_most_80_lines() -> None:
    program = PLUGINS / "hello-plugin-plain/hello-plugin-plain"
    assert len(program.read_text().splitlines()) <= 80


def test_the_plain_plugin_speaks_version_1(plain: Running) -> None:
    kv: dict[str, str] = {}
    plain.init_v1()
    for visits in (1, 2):
        answer = plain.http_v1("GET", "/?a=1", kv=kv)
        assert answer["status"] == 200
        assert json.loads(answer["body"])["visits"] == visits
    assert kv == {"visits": "2"}
    assert "hello-plugin-plain" in plain.http_v1("GET", "/bundle.js")["body"]
    assert plain.http_v1("GET", "/none")["status"] == 404
    plain.shut_down_v1()
    assert plain.ended()[0] == 0


def test_the_plain_plugin_takes_requests_at_once_and_broken_connections(plain: Running) -> None:
    with plain.wire() as wire:
        wire.socket.sendall(b"\0\0")
    statuses: list[int] = []
    threads = [
        threading.Thread(target=lambda: statuses.append(plain.http_v1("GET", "/x")["status"]))
        for _ in range(20)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(15)
    assert statuses == [404] * 20


DRIVE = """
const assert = require("node:assert");
class Element {
  constructor() { this.children = []; this.style = {}; this.dataset = {}; this.handlers = {}; }
  setAttribute() {}
  append(...more) { this.children.push(...more); }
  replaceChildren(...more) { this.children = more; }
  addEventListener(name, handler) { this.handlers[name] = handler; }
  all() { return this.children.flatMap((child) => [child, ...child.all()]); }
}
globalThis.window = globalThis;
globalThis.document = { createElement: () => new Element() };
require("BUNDLE");
const page = window.ToruPlugins["hello-plugin-python"];
let stored = 5;
const toasts = [];
const api = {
  async fetch(path, options) {
    if (stored < 0) return { ok: false, status: 502 };
    if (path === "/") return { ok: true, json: async () => ({ message: "Hello, anna!" }) };
    if (options?.method === "POST") stored += 1;
    return { ok: true, json: async () => ({ count: stored }) };
  },
  showToast: (text, kind) => toasts.push([text, kind]),
};
const settle = () => new Promise((done) => setTimeout(done, 10));
(async () => {
  const container = new Element();
  page.mount(container, api);
  await settle();
  const texts = () => container.all().map((element) => element.textContent);
  assert(texts().includes("5"));
  assert(texts().includes("Hello, anna!"));
  const press = () => container.all().find((element) => element.handlers.click).handlers.click();
  await press();
  assert(texts().includes("6"));
  page.unmount(container);
  assert.equal(container.all().length, 0);
  page.unmount(container);
  page.mount(container, api);
  await settle();
  assert(texts().includes("6"));
  stored = -1;
  await press();
  assert.deepEqual(toasts, [["The plugin answered 502.", "error"]]);
})().catch((error) => { console.error(error); process.exit(1); });
"""
