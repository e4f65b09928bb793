"""The pages of the administration and the filtered history: they fit, and axe finds no fault."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard
from tests.browser.test_history import run_once
from tests.browser.test_looks import LONG_NAME, SIZES, faults, overflow
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess


@pytest.mark.parametrize("size", list(SIZES))
def test_every_page_of_the_administration_fits_and_passes_axe_in_both_colours(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch, size: str
) -> None:
    watch.expect("400")
    width, height = SIZES[size]
    page.set_viewport_size({"width": width, "height": height})
    furnish(hub)
    dashboard.log_in("/users")
    rows = page.locator("table tbody tr")
    settled: dict[str, Callable[[], object]] = {
        "/users": lambda: expect(rows.first).to_be_visible(),
        "/users#new": lambda: page.get_by_role("button", name="New user").click(),
        "/quick-actions": lambda: expect(page.get_by_text("Script is missing")).to_be_visible(),
        "/quick-actions#edit": page.get_by_role("button", name="Edit").first.click,
        "/login-history": lambda: expect(rows.first).to_be_visible(),
        "/settings": lambda: refuse_a_setting(page),
        "/settings#about": lambda: page.get_by_role("button", name="Discard").click(),
        "/actors": lambda: expect(rows.first).to_be_visible(),
        "/history?state=failed&q=a&from=2024-01-01T00:00": lambda: open_filters(page),
        "/history?q=no+such+run": lambda: expect(page.get_by_text("No such runs")).to_be_visible(),
    }
    for path, settle in settled.items():
        if "#" not in path:
            page.goto(path)
        settle()
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        assert (path, faults(page), overflow(page)) == (path, [], 0)
        page.emulate_media(color_scheme="dark", reduced_motion="reduce")
        assert (path, too_little_contrast(page)) == (path, [])


def too_little_contrast(page: Page) -> list[str]:
    """What axe-core, which is there already, holds against the colours."""
    found: list[str] = page.evaluate(
        "axe.run(document, {resultTypes: ['violations'], runOnly: ['color-contrast']}).then("
        "({violations}) => violations.flatMap(({nodes}) => nodes.map(({html}) => html)))"
    )
    return found


def furnish(hub: HubProcess) -> None:
    """Fill the pages with what is long, missing, refused and out of order."""
    hub.script(LONG_NAME, "exit 3\n")
    ids = []
    for name in (LONG_NAME, "Short"):
        body = {"name": name, "script_path": LONG_NAME, "confirm": name == "Short"}
        ids.append(hub.http("POST", "/api/quick-actions", body).json["id"])
    run_once(hub, LONG_NAME)
    (hub.scripts_dir / LONG_NAME).rename(hub.scripts_dir / "renamed.sh")
    hub.http("PUT", f"/api/quick-actions/{ids[1]}", {"script_path": "renamed.sh"})
    for name in ("W" * 60, "lena"):
        user = {"username": name, "password": "Client-pass-1", "display_name": name + " W" * 20}
        made = hub.http("POST", "/api/users", user).json
        hub.http("PUT", f"/api/users/{made['id']}", {"is_active": name == "lena"})
    for _ in range(4):
        hub.http("POST", "/api/auth/login", {"username": "W" * 60, "password": "no"}, cookie="")


def refuse_a_setting(page: Page) -> None:
    """Type two values, one of which is refused."""
    page.get_by_label("Runs at one time").fill("many")
    page.get_by_label("Keep ended runs for").fill("0")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".field-error")).to_be_visible()


def open_filters(page: Page) -> None:
    """Unfold the filters where they are folded."""
    expect(page.locator(".history tbody tr").first).to_be_visible()
    toggle = page.get_by_role("button", name="Filters")
    if toggle.is_visible():
        toggle.click()
