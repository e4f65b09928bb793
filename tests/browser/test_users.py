"""The users, as an administrator keeps them, and who has logged in."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.dashboard import Dashboard
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess
from toru.domain.passwords import check_password
from toru.errors import BadRequest

PASSWORD = "Client-pass-1"
MARKUP = "<img src=x onerror=alert(1)>"
PHONE: ViewportSize = {"width": 390, "height": 844}


@pytest.fixture
def hers(browser: Browser, hub: HubProcess) -> Iterator[Page]:
    """A page in somebody else's browser."""
    with browser.new_context(base_url=hub.base_url, locale="en-GB") as context:
        watch = PageWatch(context, hub.base_url)
        yield context.new_page()
        watch.check()


def test_a_user_is_made_logs_in_and_is_thrown_out_within_a_second_when_disabled(
    dashboard: Dashboard, page: Page, hub: HubProcess, hers: Page, watch: PageWatch
) -> None:
    watch.expect("409")
    hub.add_client("taken")
    dashboard.log_in("/users")
    page.get_by_role("button", name="New user").click()
    create = page.get_by_role("button", name="Create the user")
    expect(page.get_by_label("User name")).to_be_focused()
    page.get_by_label("User name").fill("taken")
    page.get_by_label("Display name").fill(MARKUP)
    page.get_by_label("Password", exact=True).fill("weak-1")
    expect(create).to_be_disabled()
    met = page.locator(".rules li[data-met=true]")
    expect(met).to_have_text([re.compile("lower-case"), re.compile("digit"), re.compile("special")])
    page.get_by_role("button", name="Make one up").click()
    expect(met).to_have_count(5)
    page.get_by_role("button", name="Copy").click()
    password: str = page.evaluate("navigator.clipboard.readText()")
    create.click()
    expect(page.get_by_text("This user name is taken")).to_be_visible()
    expect(page.get_by_label("User name")).to_have_attribute("aria-invalid", "true")
    page.get_by_label("User name").fill("lena")
    create.click()
    row = page.get_by_role("row", name=MARKUP)
    expect(row).to_contain_text("lena")

    Dashboard(hers).log_in("/", "lena", password)
    row.get_by_role("button", name="Disable").click()
    question = page.get_by_role("dialog")
    expect(question).to_contain_text("logged out at once everywhere")
    question.get_by_role("button", name="Disable").click()
    expect(row).to_contain_text("Disabled")
    expect(hers.get_by_text("Your session has ended.")).to_be_visible(timeout=1_000)
    row.get_by_role("button", name="Enable").click()
    expect(row).to_contain_text("Enabled")
    Dashboard(hers).fill_in("lena", password)
    Dashboard(hers).connected()

    row.get_by_role("button", name="Delete").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(row).to_have_count(0)
    expect(hers.get_by_text("Your session has ended.")).to_be_visible(timeout=1_000)
    assert page.locator("main img, main i").count() == 0


def test_a_new_password_ends_the_sessions_of_the_old_one(
    dashboard: Dashboard, page: Page, hub: HubProcess, hers: Page
) -> None:
    hub.add_client("lena", PASSWORD)
    page.set_viewport_size(PHONE)
    dashboard.log_in("/users")
    Dashboard(hers).log_in("/", "lena", PASSWORD)
    page.get_by_role("button", name="Edit Lena").click()
    page.get_by_label("Display name").fill("Lena Winter")
    page.get_by_role("button", name="Save").click()
    page.get_by_role("button", name="New password for Lena Winter").click()
    page.get_by_role("textbox", name="New password").fill("Better-pass-2")
    page.get_by_role("button", name="Set the password").click()
    expect(page.get_by_text("logged out everywhere")).to_be_visible()
    expect(hers.get_by_text("Your session has ended.")).to_be_visible(timeout=1_000)
    Dashboard(hers).fill_in("lena", "Better-pass-2")
    Dashboard(hers).connected()
    expect(hers.get_by_text("Lena Winter", exact=True).first).to_be_attached()


def test_the_login_history_counts_a_day_and_can_be_narrowed_to_failures(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    dashboard.log_in("/login-history")
    rows = page.locator("table.logins tbody tr")
    expect(rows).to_have_count(2)
    for _ in range(4):
        hub.http("POST", "/api/auth/login", {"username": MARKUP, "password": "no"}, cookie="")
    page.evaluate("window.dispatchEvent(new Event('focus'))")  # as if one came back to the page
    counts = page.locator(".tally-value")
    expect(counts).to_have_text(["2", "3", "1"], timeout=15_000)
    expect(rows.first).to_contain_text("Locked out")
    expect(rows.nth(1)).to_contain_text("Nobody has this name")
    expect(rows.first).to_contain_text(MARKUP)
    page.get_by_role("button", name="Failed only").click()
    expect(rows).to_have_count(4)
    expect(page).to_have_url(re.compile(r"failed=1"))
    page.reload()
    expect(rows).to_have_count(4)
    page.get_by_role("button", name="Failed only").click()
    expect(rows).to_have_count(6)


PASSWORDS = [
    "", "Aa1-", "Abcdef1-", "abcdef1-", "ABCDEF1-", "Abcdefg-", "Abcdefg1", "Äßcdef1 ",
    "Ab1-😀😀😀", "Ab1-😀😀😀😀", "Пароль-1", "密码密码密码Ab1", "Ab1!" * 256, "Ab1!" * 256 + "x",
]  # fmt: skip


def test_the_page_judges_passwords_as_the_hub_does_and_makes_up_good_ones(module: Any) -> None:
    def is_good(password: str) -> bool:
        try:
            check_password(password)
        except BadRequest:
            return False
        return True

    code = f"({{isGoodPassword}}) => {json.dumps(PASSWORDS)}.map(isGoodPassword)"
    assert module("password-rules.js", code) == [is_good(password) for password in PASSWORDS]
    code = "({generatePassword}) => Array.from({length: 200}, generatePassword)"
    made = module("password-rules.js", code)
    assert len(set(made)) == 200
    assert all(is_good(password) and len(password) == 19 for password in made)


POLLED = """
async ({PolledQuery}) => {
  const answers = [];
  const query = new PolledQuery(() => new Promise((resolve) => answers.push(resolve)));
  query.connect();
  window.dispatchEvent(new Event('focus'));
  answers[1]('newer');
  answers[0]('older');
  await new Promise((resolve) => setTimeout(resolve));
  const seen = [answers.length, query.value.value];
  query.refresh();
  query.disconnect();
  answers[2]('too late');
  window.dispatchEvent(new Event('focus'));
  await new Promise((resolve) => setTimeout(resolve));
  return [...seen, answers.length, query.value.value];
}
"""


def test_of_two_loadings_the_newer_counts_and_none_after_one_has_left(module: Any) -> None:
    assert module("polled-query.js", POLLED) == [2, "newer", 3, "newer"]
