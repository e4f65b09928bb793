"""The way in and out."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard
from tests.browser.test_looks import faults, overflow
from tests.browser.watch import PageWatch
from tests.support.hub import ADMIN_PASSWORD, HubProcess

UNAUTHORIZED = r"status of 401"


CAPS_LOCK = """(input, on) => input.dispatchEvent(
    new KeyboardEvent('keydown', {key: 'A', bubbles: true, modifierCapsLock: on}))"""


def test_a_wrong_password_is_told_in_a_sentence_and_the_right_one_lets_in(
    dashboard: Dashboard, page: Page, watch: PageWatch
) -> None:
    watch.expect(UNAUTHORIZED)
    page.goto("/")
    expect(page.get_by_label("User name")).to_be_focused()
    dashboard.fill_in("admin", "Wrong-password-1")
    expect(page.get_by_role("alert")).to_have_text(re.compile(r"\w+ .*\."))
    expect(page).to_have_url(re.compile("/login$"))
    password = page.get_by_label("Password")
    expect(password).to_be_focused()
    expect(password).to_have_attribute("type", "password")
    page.get_by_role("button", name="Show what is typed").click()
    expect(password).to_have_attribute("type", "text")
    expect(password).to_have_value("Wrong-password-1")
    page.get_by_role("button", name="Hide what is typed").click()
    expect(password).to_have_attribute("type", "password")
    password.evaluate(CAPS_LOCK, True)
    expect(page.get_by_text("Caps Lock is on.")).to_be_visible()
    password.evaluate(CAPS_LOCK, False)
    expect(page.get_by_text("Caps Lock is on.")).to_have_count(0)
    password.fill(ADMIN_PASSWORD)
    password.press("Enter")
    expect(page.get_by_role("heading", name="Dashboard", level=1)).to_be_visible()
    expect(page).to_have_url(re.compile(r":\d+/$"))


def test_after_the_login_one_is_on_the_page_that_one_wanted(
    dashboard: Dashboard, page: Page
) -> None:
    elsewhere = page.context.new_page()
    elsewhere.goto("/plugins")
    expect(elsewhere.get_by_role("button", name="Log in")).to_be_visible()
    dashboard.log_in("/history?state=failed")
    expect(page).to_have_url(re.compile(r"/history\?state=failed$"))
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    expect(page.get_by_label("State")).to_have_value("failed")
    elsewhere.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    expect(elsewhere.get_by_role("heading", name="Plugins", level=1)).to_be_visible()


def test_an_address_of_another_site_is_not_followed_after_the_login(
    dashboard: Dashboard, page: Page
) -> None:
    dashboard.log_in("/login?next=//example.org/")
    expect(page.get_by_role("heading", name="Dashboard")).to_be_visible()


def test_a_lockout_counts_down_survives_a_reload_and_holds_for_that_name_alone(
    dashboard: Dashboard, page: Page, watch: PageWatch
) -> None:
    watch.expect(UNAUTHORIZED)
    watch.expect(r"status of 429")
    page.goto("/login")
    locked = page.get_by_text(re.compile(r"Try again in (1:00|0:\d\d)\.$"))
    button = page.get_by_role("button", name="Log in")
    for _ in range(4):
        if locked.is_visible():
            break
        with page.expect_response("**/api/auth/login"):
            dashboard.fill_in("nobody", "Wrong-password-1")
        free = page.get_by_role("button", name="Log in", disabled=False)
        expect(free.or_(locked).first).to_be_visible()
    expect(locked).to_be_visible()
    expect(button).to_be_disabled()
    assert (faults(page), overflow(page)) == ([], 0)
    before = locked.inner_text()
    expect(locked).not_to_have_text(before)
    page.reload()
    expect(page.get_by_label("User name")).to_have_value("nobody")
    expect(locked).to_be_visible()
    expect(button).to_be_disabled()
    page.get_by_label("User name").fill("admin")
    expect(locked).to_have_count(0)
    dashboard.fill_in("admin", ADMIN_PASSWORD)
    expect(page.get_by_role("heading", name="Dashboard", level=1)).to_be_visible()


LOCKOUTS = """
({readLockouts}) => [
  readLockouts('{"a": 5000, "b": 900, "c": "x"}', 1000),
  readLockouts(null, 1000), readLockouts('{', 1000), readLockouts('3', 1000),
]
"""


def test_lockouts_that_are_over_and_what_is_none_are_forgotten(module: Any) -> None:
    assert module("lockouts.js", LOCKOUTS) == [{"a": 5000}, {}, {}, {}]


def test_a_client_changes_its_password_which_ends_its_sessions_elsewhere(
    dashboard: Dashboard, page: Page, watch: PageWatch, hub: HubProcess
) -> None:
    watch.expect(r"status of 400")
    hub.add_client("lena", "Client-pass-1")
    elsewhere = hub.log_in("lena", "Client-pass-1")
    dashboard.log_in("/", "lena", "Client-pass-1")
    page.get_by_role("link", name="Lena").click()
    expect(page.get_by_role("heading", name="Your account")).to_be_visible()
    change = page.get_by_role("button", name="Change the password")
    current, new = page.get_by_label("Current password"), page.get_by_label("New password")
    expect(change).to_be_disabled()
    current.fill("Not-my-pass-1")
    met = page.locator(".rules li[data-met=true]")
    for typed, count in (("abc", 1), ("abcD", 2), ("abcD1", 3), ("abcD1-", 4), ("abcD1-gh", 5)):
        new.fill(typed)
        expect(met).to_have_count(count)
        expect(change).to_be_enabled() if count == 5 else expect(change).to_be_disabled()
    assert (faults(page), overflow(page)) == ([], 0)
    change.click()
    expect(page.get_by_text("The current password is not right.")).to_be_visible()
    expect(current).to_be_focused()
    current.fill("Client-pass-1")
    change.click()
    expect(page.get_by_text("You are logged out everywhere else.")).to_be_visible()
    expect(current).to_have_value("")
    assert hub.http("GET", "/api/history", cookie=elsewhere).status == 401
    page.get_by_role("button", name="Log out").click()
    dashboard.fill_in("lena", "abcD1-gh")
    expect(page.get_by_role("heading", name="Dashboard", level=1)).to_be_visible()


def test_the_admin_is_told_where_its_password_is_set(dashboard: Dashboard, page: Page) -> None:
    dashboard.log_in("/account")
    expect(page.get_by_text("ADMIN_PASSWORD")).to_be_visible()
    expect(page.get_by_label("New password")).to_have_count(0)


def test_log_out_ends_the_session_at_the_hub_too(
    dashboard: Dashboard, page: Page, watch: PageWatch, hub: HubProcess
) -> None:
    watch.allow(UNAUTHORIZED)  # a request that is on its way at that moment
    dashboard.log_in("/history")
    cookie = page.context.cookies()[0]
    page.get_by_role("button", name="Log out").click()
    expect(page).to_have_url(re.compile("/login$"))
    page.goto("/history")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
    assert hub.http("GET", "/api/history", cookie=f"session_id={cookie['value']}").status == 401


def test_a_session_that_is_ended_elsewhere_leads_to_the_login_page_with_a_word(
    dashboard: Dashboard, page: Page, watch: PageWatch, hub: HubProcess
) -> None:
    watch.allow(UNAUTHORIZED)  # a request that is on its way at that moment
    dashboard.log_in("/history")
    cookie = page.context.cookies()[0]
    hub.http("POST", "/api/auth/logout", cookie=f"session_id={cookie['value']}")
    expect(page.get_by_text("Your session has ended. Please log in again.")).to_be_visible()
    dashboard.fill_in("admin", "Correct-horse-7")
    expect(page.get_by_role("heading", name="History")).to_be_visible()


def test_a_hub_that_is_not_reached_at_first_is_asked_again_without_a_press(
    page: Page, watch: PageWatch
) -> None:
    watch.expect("ERR_FAILED")
    page.route("**/api/auth/me", lambda route: route.abort())
    page.goto("/")
    expect(page.get_by_text("The hub cannot be reached. Trying again by itself…")).to_be_visible()
    assert faults(page) == []
    page.unroute("**/api/auth/me")
    expect(page.get_by_role("button", name="Log in")).to_be_visible()
