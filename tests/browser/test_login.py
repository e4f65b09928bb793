"""The way in and out."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess

UNAUTHORIZED = r"status of 401"


def test_a_wrong_password_is_told_in_a_sentence_and_the_right_one_lets_in(
    dashboard: Dashboard, page: Page, watch: PageWatch
) -> None:
    watch.expect(UNAUTHORIZED)
    page.goto("/")
    dashboard.fill_in("admin", "Wrong-password-1")
    expect(page.get_by_role("alert")).to_have_text(re.compile(r"\w+ .*\."))
    expect(page).to_have_url(re.compile("/login$"))
    dashboard.log_in()
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()
    expect(page).to_have_url(re.compile(r":\d+/$"))


def test_after_the_login_one_is_on_the_page_that_one_wanted(
    dashboard: Dashboard, page: Page
) -> None:
    dashboard.log_in("/history?state=failed")
    expect(page).to_have_url(re.compile(r"/history\?state=failed$"))
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    expect(page.get_by_label("Show")).to_have_value("failed")


def test_an_address_of_another_site_is_not_followed_after_the_login(
    dashboard: Dashboard, page: Page
) -> None:
    dashboard.log_in("/login?next=//example.org/")
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def test_a_lockout_counts_down_and_keeps_the_button_from_being_pressed(
    dashboard: Dashboard, page: Page, watch: PageWatch
) -> None:
    watch.expect(UNAUTHORIZED)
    watch.expect(r"status of 429")
    page.goto("/login")
    locked = page.get_by_text(re.compile(r"Try again in (1:00|0:\d\d)"))
    free = page.get_by_role("button", name="Log in", disabled=False)
    for _ in range(4):
        if locked.is_visible():
            break
        with page.expect_response("**/api/auth/login"):
            dashboard.fill_in("nobody", "Wrong-password-1")
        expect(free.or_(locked)).to_be_visible()
    expect(locked).to_be_visible()
    expect(page.get_by_role("button", name="Log in")).to_be_disabled()
    before = locked.inner_text()
    expect(locked).not_to_have_text(before)


def test_log_out_ends_the_session_at_the_hub_too(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    dashboard.log_in("/history")
    cookie = page.context.cookies()[0]
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login$"))
    page.goto("/history")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert hub.http("GET", "/api/history", cookie=f"session_id={cookie['value']}").status == 401


def test_a_session_that_is_ended_elsewhere_leads_to_the_login_page_with_a_word(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    dashboard.log_in("/history")
    cookie = page.context.cookies()[0]
    hub.http("POST", "/api/auth/logout", cookie=f"session_id={cookie['value']}")
    expect(page.get_by_text("Your session has ended. Please log in again.")).to_be_visible()
    dashboard.fill_in("admin", "Correct-horse-7")
    expect(page.get_by_role("heading", name="History")).to_be_visible()
