"""The quick actions, as an administrator keeps them."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard
from tests.support.hub import HubProcess


def order(hub: HubProcess) -> list[str]:
    return [action["name"] for action in hub.get("/api/quick-actions")]


def test_quick_actions_are_made_ordered_tried_out_changed_and_deleted(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("backup.sh", "# Description: Copies all photos\necho copied\n")
    hub.script("gone.sh", "echo gone\n")
    for name in ("One", "Two"):
        body = {"name": name, "script_path": "gone.sh", "display_order": 7}
        hub.http("POST", "/api/quick-actions", body)
    (hub.scripts_dir / "gone.sh").unlink()
    dashboard.log_in("/quick-actions")
    rows = page.locator(".action-list li")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("Script is missing")
    expect(page.get_by_role("button", name="Try One out")).to_be_disabled()

    page.get_by_role("button", name="New quick action").click()
    page.get_by_label("Name").fill("<b>Back up</b>")
    page.get_by_label("Script").select_option("backup.sh")
    expect(page.get_by_text("Copies all photos")).to_be_visible()
    page.get_by_role("radio", name="Storage").check(force=True)
    page.get_by_label("Ask before it runs").check()
    page.get_by_role("button", name="Add the button").click()
    mine = page.get_by_role("listitem").filter(has_text="<b>Back up</b>")
    expect(mine).to_contain_text("Asks first")
    assert hub.get("/api/quick-actions")[-1]["icon"] == "storage"

    up = page.get_by_role("button", name="Move <b>Back up</b> up")
    up.focus()
    page.keyboard.press("Enter")
    expect(rows.nth(1)).to_contain_text("<b>Back up</b>")
    expect(up).to_be_focused()
    page.keyboard.press("Enter")
    expect(rows.first).to_contain_text("<b>Back up</b>")
    expect(page.get_by_role("button", name="Move <b>Back up</b> down")).to_be_focused()
    assert order(hub) == ["<b>Back up</b>", "One", "Two"]

    page.get_by_role("button", name="Try <b>Back up</b> out").click()
    page.get_by_role("dialog").get_by_role("button", name="Not now").click()
    assert hub.get("/api/history") == []
    page.get_by_role("button", name="Try <b>Back up</b> out").click()
    page.get_by_role("dialog").get_by_role("button", name="Run it").click()
    dashboard.run_ends()
    dashboard.terminal_has("copied")
    page.keyboard.press("Escape")

    page.get_by_role("button", name="Edit One").click()
    expect(page.get_by_text("is not in the scripts folder")).to_be_visible()
    page.get_by_label("Script").select_option("backup.sh")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Script is missing")).to_have_count(1)
    page.get_by_role("button", name="Delete Two").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(rows).to_have_count(2)
    assert order(hub) == ["<b>Back up</b>", "One"]


def test_moving_numbers_the_actions_through_and_tells_only_what_changes(module: Any) -> None:
    code = """({moved, withOrder}) => {
      const list = (pairs) => pairs.map(([id, display_order]) => ({id, display_order}));
      const actions = list([[5, 3], [6, 3], [7, 9]]);
      const up = moved(actions, 7, -1);
      const again = moved(list([[1, 0], [2, 1], [3, 2]]), 1, 1);
      return [up, withOrder(actions, up).map(({id}) => id), again,
              moved(actions, 5, -1), moved(actions, 7, 1), moved(actions, 99, 1)];
    }"""
    assert module("action-list.js", code) == [
        [
            {"id": 5, "display_order": 0},
            {"id": 7, "display_order": 1},
            {"id": 6, "display_order": 2},
        ],
        [5, 7, 6],
        [{"id": 2, "display_order": 0}, {"id": 1, "display_order": 1}],
        [],
        [],
        [],
    ]
