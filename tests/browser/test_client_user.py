"""What a user without administration sees and can do."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard
from tests.support.hub import HubProcess, wait_until

PASSWORD = "Client-pass-1"


def test_a_client_uses_quick_actions_and_sees_only_its_own_runs(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("mine.sh", "echo for everybody\n")
    hub.script("secret.sh", "echo for the admin\n")
    hub.http("POST", "/api/quick-actions", {"name": "Mine", "script_path": "mine.sh"})
    hub.add_client("lena", PASSWORD)
    task = hub.http("POST", "/api/tasks", {"script": "secret.sh"}).json["task_id"]
    wait_until(lambda: hub.get(f"/api/tasks/{task}")["state"] == "finished", what="the end")

    dashboard.log_in("/", "lena", PASSWORD)
    navigation = page.get_by_role("navigation")
    expect(navigation.get_by_role("link")).to_have_text(["Dashboard", "History", "Plugins"])
    expect(page.get_by_text("Lena", exact=True)).to_be_visible()
    page.get_by_role("button", name="Mine").first.click()
    dashboard.terminal_has("for everybody")
    dashboard.run_ends()
    page.keyboard.press("Escape")
    navigation.get_by_role("link", name="History").click()
    expect(page.get_by_role("row", name="mine.sh")).to_contain_text("lena")
    expect(page.get_by_role("row", name="secret.sh")).to_have_count(0)
    page.goto("/scripts")
    expect(page.get_by_text("There is no such page")).to_be_visible()


def test_a_client_that_is_disabled_is_thrown_out_within_moments(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.add_client("lena", PASSWORD)
    dashboard.log_in("/", "lena", PASSWORD)
    [user] = [user for user in hub.get("/api/users") if user["username"] == "lena"]
    assert hub.http("PUT", f"/api/users/{user['id']}", {"is_active": False}).status == 200
    expect(page).to_have_url(re.compile("/login"))
    expect(page.get_by_text("Your session has ended.")).to_be_visible()
