"""The runs of the past."""

from __future__ import annotations

import re

from playwright.sync_api import Page, expect

from tests.browser.dashboard import RUN_MS, Dashboard
from tests.support.hub import HubProcess, wait_until

MARKUP = "<img src=x onerror=alert(1)>.sh"


def run_once(hub: HubProcess, script: str) -> str:
    answer = hub.http("POST", "/api/tasks", {"script": script})
    assert answer.status == 200, answer
    task: str = answer.json["task_id"]
    wait_until(
        lambda: hub.get(f"/api/tasks/{task}")["state"] not in ("queued", "running"),
        what="the end of the run",
    )
    return task


def test_a_run_is_found_in_the_history_with_its_output(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("hello.sh", "echo hello history\n")
    run_once(hub, "hello.sh")
    dashboard.log_in("/history")
    row = page.get_by_role("row", name="hello.sh")
    expect(row).to_contain_text("Done")
    expect(row).to_contain_text("admin")
    row.click()
    expect(page.get_by_role("heading", name="hello.sh")).to_be_visible()
    dashboard.terminal_has("hello history")
    assert dashboard.output() == ["hello history"]
    page.go_back()
    expect(row).to_be_visible()


def test_older_runs_come_page_by_page_each_once(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("true.sh", "true\n")
    ids = [run_once(hub, "true.sh") for _ in range(33)]
    dashboard.log_in("/history")
    rows = page.locator(".history tbody tr")
    expect(rows).to_have_count(30)
    page.get_by_role("button", name="Show older runs").click()
    expect(rows).to_have_count(33)
    expect(page.get_by_text("That is all.")).to_be_visible()
    links = page.locator(".history tbody a").evaluate_all(
        "links => links.map((link) => link.pathname.split('/').at(-1))"
    )
    assert links == ids[::-1]


def test_runs_appear_and_change_while_one_looks(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("wait.sh", "until [ -e go ]; do sleep 0.05; done\n")
    dashboard.log_in("/history")
    expect(page.get_by_text("Nothing has run yet")).to_be_visible()
    hub.http("POST", "/api/tasks", {"script": "wait.sh"})
    row = page.get_by_role("row", name="wait.sh")
    expect(row).to_contain_text("Running")
    (hub.scripts_dir / "go").touch()
    expect(row).to_contain_text("Done", timeout=RUN_MS)


def test_a_run_is_deleted_only_after_a_yes(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("hello.sh", "echo hello\n")
    task = run_once(hub, "hello.sh")
    dashboard.log_in(f"/history/{task}")
    page.get_by_role("button", name="Delete this run").click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert hub.get("/api/history")
    page.get_by_role("button", name="Delete this run").click()
    page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("Nothing has run yet")).to_be_visible()
    assert hub.get("/api/history") == []


def test_only_runs_in_the_chosen_state_are_shown(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("good.sh", "true\n")
    hub.script("bad.sh", "false\n")
    run_once(hub, "good.sh")
    run_once(hub, "bad.sh")
    dashboard.log_in("/history")
    expect(page.get_by_role("row", name="good.sh")).to_be_visible()
    page.get_by_label("Show").select_option("failed")
    expect(page.get_by_role("row", name="good.sh")).to_have_count(0)
    expect(page.get_by_role("row", name="bad.sh")).to_be_visible()
    expect(page).to_have_url(re.compile(r"state=failed"))


def test_markup_in_names_and_output_is_shown_as_text(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script(MARKUP, "# Description: <b>bold</b>\necho '<script>alert(2)</script>'\n")
    hub.http(
        "POST",
        "/api/quick-actions",
        {"name": "<i>action</i>", "script_path": MARKUP, "icon": "<u>"},
    )
    dashboard.log_in("/scripts")
    expect(page.get_by_text(MARKUP, exact=True)).to_be_visible()
    expect(page.get_by_text("<b>bold</b>")).to_be_visible()
    dashboard.run(MARKUP)
    dashboard.run_ends()
    dashboard.terminal_has("<script>alert(2)</script>")
    page.get_by_role("link", name="History").click()
    expect(page.get_by_role("link", name=MARKUP)).to_be_visible()
    page.get_by_role("link", name="Dashboard").click()
    expect(page.get_by_text("<i>action</i>")).to_be_visible()
    assert page.locator("img:not([src='/favicon.svg']), main script, main i, main b").count() == 0
