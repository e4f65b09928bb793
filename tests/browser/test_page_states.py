"""What a page shows before it has anything to show, and when it cannot get it."""

from __future__ import annotations

import json

from playwright.sync_api import Page, Route, expect

from tests.browser.dashboard import Dashboard
from tests.browser.test_history import run_once
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess, wait_until

SENTENCE = "The database is busy; try again in a moment."
PAGES = {
    "/history": "**/api/history?*",
    "/quick-actions": "**/api/quick-actions",
    "/users": "**/api/users",
    "/login-history": "**/api/auth/login-history",
    "/settings": "**/api/settings",
    "/actors": "**/api/actors",
}


def refuse(route: Route) -> None:
    body = json.dumps({"error": SENTENCE, "code": "unavailable"})
    route.fulfill(status=503, body=body, content_type="application/json")


def test_every_page_says_that_it_loads_and_what_went_wrong_and_tries_again(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.expect("503")
    hub.add_client("lena")
    dashboard.log_in("/plugins")
    for path, call in PAGES.items():
        go_through_states(page, path, call)


def test_a_search_that_fails_says_so_instead_of_showing_what_was_found_before(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.expect("503")
    hub.script("one.sh", "true\n")
    run_once(hub, "one.sh")
    dashboard.log_in("/history")
    row = page.get_by_role("row", name="one.sh")
    expect(row).to_be_visible()
    page.route("**/api/history?*", refuse)
    page.get_by_role("searchbox").fill("one")
    expect(page.get_by_role("main").get_by_role("alert")).to_contain_text(SENTENCE)
    expect(row).to_have_count(0)
    page.unroute("**/api/history?*")
    page.get_by_role("button", name="Try again").click()
    expect(row).to_be_visible()
    expect(page.get_by_role("region", name="Runs")).to_have_attribute("aria-busy", "false")


def go_through_states(page: Page, path: str, call: str) -> None:
    """Go to a page whose first question waits, then is refused, then is answered."""
    held: list[Route] = []
    released = False

    def gate(route: Route) -> None:
        if released:
            refuse(route)
        else:
            held.append(route)

    main = page.get_by_role("main")
    loading = main.get_by_role("status").filter(has_text="Loading")
    alert = main.get_by_role("alert")
    page.route(call, gate)
    page.locator(f'.side a[href="{path}"]').click()
    expect(main.get_by_role("heading", level=1)).to_be_visible()
    expect(loading.first).to_be_attached()
    wait_until(lambda: held or page.wait_for_timeout(10), what="the question")
    released = True
    for route in held:
        refuse(route)
    expect(alert).to_contain_text(SENTENCE)
    page.unroute(call)
    alert.get_by_role("button", name="Try again").click()
    expect(alert).to_have_count(0)
    expect(loading).to_have_count(0)
