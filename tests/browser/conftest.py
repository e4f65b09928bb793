"""A browser for all of these tests, and for each of them a hub, a context and a page of its own.

Runs on: the test's thread. Playwright keeps an event loop running on it for as long as it is
open; the fixture's scope ends that before tests of other packages need the thread's loop.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, sync_playwright

from tests.browser.dashboard import Dashboard
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess
from tools.browser import find_chromium, recorded_chromium

ROOT = Path(__file__).resolve().parents[2]
DESK: ViewportSize = {"width": 1440, "height": 900}
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests of this package."""
    chromium = recorded_chromium(ROOT) or find_chromium(os.environ.get("CHROMIUM"))
    assert chromium is not None, "There is no Chromium; set CHROMIUM to the path of one."
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubProcess]:
    """A hub of this test's own; its admin is logged in for the calls of the test itself."""
    with HubProcess(tmp_path) as started:
        yield started


@pytest.fixture
def context(browser: Browser, hub: HubProcess) -> Iterator[BrowserContext]:
    """A fresh profile in the browser: no cookies, nothing stored."""
    opened = browser.new_context(
        base_url=hub.base_url, viewport=DESK, locale="en-GB", accept_downloads=True
    )
    opened.grant_permissions(["clipboard-read", "clipboard-write"], origin=hub.base_url)
    opened.set_default_timeout(15_000)
    yield opened
    opened.close()


@pytest.fixture
def watch(context: BrowserContext, hub: HubProcess) -> Iterator[PageWatch]:
    """Fails the test for anything wrong on any of its pages."""
    started = PageWatch(context, hub.base_url)
    yield started
    sys.stdout.write("\n".join(started.frames))  # shown with a failure only
    started.check()


@pytest.fixture
def page(context: BrowserContext, watch: PageWatch) -> Page:
    """A page that is watched."""
    del watch
    return context.new_page()


@pytest.fixture
def dashboard(page: Page) -> Dashboard:
    """The dashboard as a person uses it; nobody is logged in yet."""
    return Dashboard(page)


@pytest.fixture
def module(page: Page) -> Any:
    """Evaluate an arrow function on the exports of a module of the dashboard."""
    page.goto("/login")

    def call(path: str, code: str) -> Any:
        return page.evaluate(f"async () => ({code})(await import('/lib/{path}'))")

    return call
