"""How soon the dashboard can be used, and how much JavaScript it loads for that.

Called as ``python -m bench.dashboard``; exit code 1 when a budget is missed. The reference is a
page with one script from a bare Tornado, in the same Chromium: what no page can be faster than.

Runs on: a process of its own, which starts a hub, a bare server and a Chromium.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, sync_playwright

from tests.browser.first_load import (
    DASHBOARD,
    INTERACTIVE_BUDGET_S,
    LOGIN,
    SCRIPTS_BUDGET_BYTES,
    Loaded,
    load,
)
from tests.support.hub import ADMIN_PASSWORD, HubProcess
from tools.browser import find_chromium, recorded_chromium
from tools.common import ROOT

ROUNDS = 7
BARE = """
import asyncio
from tornado.web import Application, RequestHandler

class Page(RequestHandler):
    def get(self):
        self.finish('<!doctype html><title>x</title><body><script src="/app.js"></script>')

class Script(RequestHandler):
    def get(self):
        self.set_header("Content-Type", "text/javascript")
        self.finish("document.body.append(document.createElement('input'))")

async def main():
    server = Application([("/", Page), ("/app.js", Script)]).listen(0, "127.0.0.1")
    print(next(iter(server._sockets.values())).getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@contextmanager
def bare_server() -> Iterator[str]:
    """Run the reference; the value is its address."""
    with subprocess.Popen(
        [sys.executable, "-c", BARE],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as bare:
        assert bare.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(bare.stdout.readline())}"
        finally:
            bare.terminate()


def first_visit(browser: Browser, base_url: str, what: tuple[str, str], log_in: bool) -> Loaded:
    """Load a page in a fresh profile, which has nothing in its cache."""
    with browser.new_context(base_url=base_url) as context:
        if log_in:
            _log_in(context)
        return load(context.new_page(), *what)


def next_visit(browser: Browser, base_url: str) -> Loaded:
    """Load the dashboard where it was before, in a new tab."""
    with browser.new_context(base_url=base_url) as context:
        _log_in(context)
        load(context.new_page(), *DASHBOARD)
        return load(context.new_page(), *DASHBOARD)


def _log_in(context: BrowserContext) -> None:
    body = {"username": "admin", "password": ADMIN_PASSWORD}
    assert context.request.post("/api/auth/login", data=body).ok


def measure(browser: Browser, hub: HubProcess, bare_url: str) -> dict[str, list[Loaded]]:
    """Load each page several times, in turns, so that a busy moment hits all of them."""
    visits: dict[str, Callable[[], Loaded]] = {
        "login page, first visit": lambda: first_visit(browser, hub.base_url, LOGIN, False),
        "dashboard, first visit": lambda: first_visit(browser, hub.base_url, DASHBOARD, True),
        "dashboard, next visit": lambda: next_visit(browser, hub.base_url),
        "bare page, first visit": lambda: first_visit(browser, bare_url, ("/", "input"), False),
    }
    loads: dict[str, list[Loaded]] = {name: [] for name in visits}
    for _ in range(ROUNDS):
        for name, visit in visits.items():
            loads[name].append(visit())
    return loads


def report(loads: dict[str, list[Loaded]]) -> bool:
    """Print the figures and return whether the budgets are kept."""
    print("page                        usable after (worst)   requests   fetched   scripts, gzip")
    kept = True
    for name, rounds in loads.items():
        usable = [loaded.usable_s for loaded in rounds]
        median, one = statistics.median(usable), rounds[-1]
        print(
            f"{name:<26}  {median:8.3f} s ({max(usable):.3f} s)  {one.requests:>9}  "
            f"{len(one.fetched):>8}   {one.script_bytes / 1000:>7.1f} kB"
        )
        kept &= median <= INTERACTIVE_BUDGET_S and one.script_bytes <= SCRIPTS_BUDGET_BYTES
    print(
        f"budgets: usable after {INTERACTIVE_BUDGET_S:g} s, {SCRIPTS_BUDGET_BYTES / 1000:g} kB of "
        f"scripts: {'kept' if kept else 'MISSED'}"
    )
    return kept


def main() -> int:
    """Measure and compare with the budgets."""
    chromium = recorded_chromium(ROOT) or find_chromium(os.environ.get("CHROMIUM"))
    if chromium is None:
        print("There is no Chromium; set CHROMIUM to the path of one.")
        return 1
    with (
        tempfile.TemporaryDirectory(prefix="toru-bench-") as folder,
        HubProcess(Path(folder)) as hub,
        bare_server() as bare_url,
        sync_playwright() as playwright,
    ):
        hub.script("greet.sh", "echo hello\n")
        hub.http("POST", "/api/quick-actions", {"name": "Greet", "script_path": "greet.sh"})
        arguments = ["--no-sandbox", "--disable-gpu"]
        browser = playwright.chromium.launch(executable_path=chromium, args=arguments)
        loads = measure(browser, hub, bare_url)
        browser.close()
    return 0 if report(loads) else 1


if __name__ == "__main__":
    sys.exit(main())
