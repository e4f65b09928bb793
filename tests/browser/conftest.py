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
from tests.support.hub import HubProcess, HubsAhead
from tools.browser import find_chromium, recorded_chromium

ROOT = Path(__file__).resolve().parents[2]
DESK: ViewportSize = {"width": 1440, "height": 900}
# One list only is heeded, the last: Playwright's own, and what Chromium prepares for a person who
# types into its address bar, at a third of the cost of a page.
UNUSED_FEATURES = [
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "PreloadTopChromeWebUI",
    "ThirdPartyStoragePartitioning",
    "WebUIOmniboxPopup",
]
ARGUMENTS = [
    f"--disable-features={','.join(UNUSED_FEATURES)}",
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


@pytest.fixture(scope="package")
def hubs_ahead(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubsAhead]:
    """Hubs for one test each, started before they are asked for."""
    hubs = HubsAhead(lambda: tmp_path_factory.mktemp("hub"))
    yield hubs
    hubs.close()


@pytest.fixture
def hub(hubs_ahead: HubsAhead) -> Iterator[HubProcess]:
    """A hub of this test's own; its admin is logged in for the calls of the test itself."""
    started = hubs_ahead.take()
    yield started
    started.end()


@pytest.fixture(scope="package")
def resting_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubProcess]:
    """A hub for those who only want what every hub serves, and change nothing there."""
    with HubProcess(tmp_path_factory.mktemp("hub")) as started:
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
def module(browser: Browser, resting_hub: HubProcess) -> Iterator[Any]:
    """Evaluate an arrow function on the exports of a module of the dashboard."""
    with browser.new_context(base_url=resting_hub.base_url) as opened:
        watch = PageWatch(opened, resting_hub.base_url)
        page = opened.new_page()
        page.goto("/login")
        yield lambda path, code: page.evaluate(f"async () => ({code})(await import('/lib/{path}'))")
    watch.check()
