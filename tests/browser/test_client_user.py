"""What a user without administration sees and can do."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard
from tests.support.hub import HubProcess, wait_until

PASSWORD = "Client-pass-1"


def test_a_client_uses_quick_actions_and_sees_only_its_own_runs(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("mine.sh", "echo for everybody\n")
    hub.script("secret.sh", "echo for the admin\n")
    body = {"name": "Mine", "script_path": "mine.sh", "confirm": True}
    hub.http("POST", "/api/quick-actions", body)
    hub.add_client("lena", PASSWORD)
    task = hub.http("POST", "/api/tasks", {"script": "secret.sh"}).json["task_id"]
    wait_until(lambda: hub.get(f"/api/tasks/{task}")["state"] == "finished", what="the end")

    dashboard.log_in("/", "lena", PASSWORD)
    navigation = page.get_by_role("navigation")
    expect(navigation.get_by_role("link")).to_have_text(
        ["Dashboard", "Monitor", "History", "Plugins"]
    )
    expect(page.get_by_text("Lena", exact=True)).to_be_visible()
    page.get_by_role("button", name="Mine").first.click()
    expect(page.get_by_role("dialog")).to_contain_text("mine.sh")
    page.get_by_role("button", name="Not now").click()
    assert hub.get("/api/history?user=lena") == []
    page.get_by_role("button", name="Mine").first.click()
    page.get_by_role("button", name="Run it").click()
    dashboard.terminal_has("for everybody")
    dashboard.run_ends()
    page.keyboard.press("Escape")
    navigation.get_by_role("link", name="History").click()
    expect(page.get_by_role("row", name="mine.sh")).to_contain_text("lena")
    expect(page.get_by_role("row", name="secret.sh")).to_have_count(0)
    expect(page.get_by_label("User")).to_have_count(0)
    for path in ("/scripts", "/quick-actions", "/users", "/login-history", "/settings", "/actors"):
        page.goto(path)
        expect(page.get_by_text("There is no such page")).to_be_visible()
