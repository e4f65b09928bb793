"""Every page at both sizes and in both colours: it fits, it is reachable, axe finds no fault."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ROOT
from tests.browser.dashboard import Dashboard
from tests.browser.plugins import drop_example, drop_in, drop_told, wait_ready
from tests.browser.test_history import run_once
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess

AXE = ROOT / "static/node_modules/axe-core/axe.min.js"
SIZES = {"desk": (1440, 900), "phone": (390, 844)}
LONG_NAME = "a-script-with-a-rather-long-name-that-nobody-would-ever-want-to-type.sh"


def faults(page: Page) -> list[str]:
    """What axe-core holds against the page."""
    page.evaluate(AXE.read_text())
    found: dict[str, Any] = page.evaluate(
        "axe.run(document, {resultTypes: ['violations'],"
        " runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']})"
    )
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    pixels: int = page.evaluate(
        "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    )
    return pixels


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_every_page_fits_and_passes_axe(
    dashboard: Dashboard, page: Page, hub: HubProcess, size: str, scheme: Any
) -> None:
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    hub.script(LONG_NAME, "# Parameter: NAME =x What\necho out; echo err >&2; exit 3\n")
    action = {"name": "An action with quite a long name", "script_path": LONG_NAME}
    hub.http("POST", "/api/quick-actions", action)
    task = run_once(hub, LONG_NAME)
    page.goto("/login")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert (faults(page), overflow(page)) == ([], 0)
    dashboard.log_in("/")
    settled = {
        "/": page.get_by_role("link", name=LONG_NAME),
        "/scripts": page.get_by_role("button", name=f"Run {LONG_NAME}"),
        f"/scripts/run/{task}": page.get_by_text("is what the script wrote as errors"),
        f"/?task={task}": page.get_by_text("is what the script wrote as errors"),
        "/history": page.get_by_role("link", name=LONG_NAME),
        f"/history/{task}": page.get_by_text("is what the script wrote as errors"),
        "/monitor": page.locator(".run-bar"),
        "/monitor?range=7d": page.locator(".process-name"),
        "/account": page.get_by_text("ADMIN_PASSWORD"),
        "/nowhere": page.get_by_text("There is no such page"),
    }
    for path, sign in settled.items():
        page.goto(path)
        expect(sign.first).to_be_visible()
        assert (path, faults(page), overflow(page)) == (path, [], 0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", list(SIZES))
def test_every_page_about_plugins_fits_and_passes_axe(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch, size: str, scheme: Any
) -> None:
    watch.expect("The page of the plugin poor failed")
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    dashboard.log_in("/plugins")
    expect(page.get_by_text("No plugins yet")).to_be_visible()
    assert (faults(page), overflow(page)) == ([], 0)
    drop_example(hub)
    drop_in(hub, "garbage-with-" + LONG_NAME, b"\x00\x01")
    drop_told(
        hub,
        "poor",
        name="W" * 60,
        lines=(LONG_NAME * 20,),
        bundle="throw new Error('W'.repeat(300))",
    )
    wait_ready(hub)
    wait_ready(hub, "poor")
    hub.http("POST", "/api/plugins/hello-plugin-python/restart")
    settled = {
        "/plugins": page.locator(".plugin[data-state=broken]"),
        "/plugins?details=hello-plugin-python": page.locator(".log li"),
        "/plugins?details=poor": page.locator(".log li"),
        "/plugins/hello-plugin-python": page.get_by_role("button", name="Count one more"),
        "/plugins/poor": page.get_by_text("The last lines of its log"),
        "/plugins/nowhere": page.get_by_text("There is no such page"),
    }
    for path, sign in settled.items():
        page.goto(path)
        expect(sign.first).to_be_visible(timeout=15_000)
        assert (path, faults(page), overflow(page)) == (path, [], 0)
    page.goto("/plugins?details=hello-plugin-python")
    page.get_by_role("button", name="Events").click()
    expect(page.locator(".events li")).to_have_count(3)
    assert (faults(page), overflow(page)) == ([], 0)


def test_a_run_can_be_started_and_left_with_the_keyboard_alone(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("hello.sh", "echo hello\n")
    dashboard.log_in("/scripts")
    button = page.get_by_role("button", name="Run hello.sh")
    expect(button).to_be_visible()

    def tab_to(selector: str) -> None:
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate(f"document.activeElement.matches({selector!r})"):
                return
        raise AssertionError(f"{selector} is not reached with Tab")

    tab_to("[aria-label='Run hello.sh']")
    page.keyboard.press("Enter")
    dashboard.run_ends()
    tab_to(".xterm-helper-textarea, .output-box")
    page.keyboard.press("Tab")
    assert not page.evaluate("document.activeElement.matches('.xterm *, .output-box')")


def test_the_chosen_colours_are_kept(dashboard: Dashboard, page: Page) -> None:
    dashboard.log_in()
    for theme, name in (("light", "as the system"), ("dark", "light")):
        page.get_by_role("button", name=f"Colours: {name}").click()
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    assert page.evaluate(background) == "rgb(14, 18, 24)"
