"""The first page: figures, quick actions, what runs and what failed."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.dashboard import RUN_MS, Dashboard
from tests.support.hub import HubProcess


def add_action(hub: HubProcess, name: str, script: str) -> None:
    answer = hub.http("POST", "/api/quick-actions", {"name": name, "script_path": script})
    assert answer.status == 200, answer


def test_the_four_figures_are_those_of_the_machine(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    dashboard.log_in()
    real = hub.get("/api/resources")
    figures = page.get_by_label("This machine")
    expect(figures.locator("article")).to_have_count(4)
    for title in ("CPU", "Memory", "Storage"):
        card = figures.locator("article", has_text=title)
        expect(card.locator(".figure-value")).to_have_text(re.compile(r"^\d+ %$"))
        expect(card.get_by_role("meter")).to_have_attribute("aria-valuenow", re.compile(r"^\d+$"))
    cores = len(real["cpu_cores"])
    expect(figures).to_contain_text(f"{cores} core{'' if cores == 1 else 's'} in this machine")
    total = f"of {real['memory_total'] / 2**30:.1f} GB"
    expect(figures.locator("article", has_text="Memory")).to_contain_text(total)
    uptime = figures.locator("article", has_text="Uptime").locator(".figure-value")
    expect(uptime).to_have_text(re.compile(r"\d+ (s|min|h|d)\b"))


def test_the_figures_go_on_over_the_websocket(dashboard: Dashboard, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    dashboard.log_in()
    line = page.locator("article", has_text="CPU").locator(".sparkline polyline")
    expect(line).to_have_attribute("points", re.compile(r"^(\S+ ){3,}\S+$"))
    assert len([url for url in asked if url.endswith("/api/resources")]) == 1
    page.reload()
    expect(line).to_have_attribute("points", re.compile(r"^(\S+ ){3,}\S+$"))
    assert any("/api/resources/history?" in url for url in asked)
    page.get_by_label("This machine").get_by_role("link", name="CPU").click()
    expect(page).to_have_url(re.compile("/monitor$"))


TRAIL = """
({withPoints, pointsOf}) => {
  const point = (at, cpu) => ({at, cpu, memory: 1});
  const live = withPoints([], [point(100, 5), point(101, 6)]);
  const history = {times: [38, 41, 99, 100], memory_total: 200,
                   series: {cpu: [1, null, 3, 4], memory: [2, 2, 100, 100]}};
  return withPoints(live, pointsOf(history)).map(({at, cpu, memory}) => [at, cpu, memory]);
}
"""


def test_a_line_takes_each_second_once_and_the_last_minute_only(module: Any) -> None:
    assert module("recent-trail.js", TRAIL) == [[99, 3, 50], [100, 5, 1], [101, 6, 1]]


def test_a_quick_action_runs_shows_its_output_and_remembers_its_result(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("greet.sh", "echo hello from the action\n")
    add_action(hub, "Greet", "greet.sh")
    dashboard.log_in()
    action = page.locator(".action", has_text="Greet")
    expect(action).to_contain_text("Not run yet")
    action.get_by_role("button", name="Greet").first.click()
    dashboard.terminal_has("hello from the action")
    dashboard.run_ends()
    expect(page).to_have_url(re.compile(r"/\?task="))
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(action).to_contain_text("Done")
    page.reload()
    expect(action).to_contain_text("Done")
    action.get_by_role("button", name="Output of Greet").click()
    dashboard.terminal_has("hello from the action")
    page.get_by_role("button", name="Close").click()
    expect(page).to_have_url(re.compile(r":\d+/$"))
    page.go_back()
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_second_press_of_what_still_runs_asks_first(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("wait.sh", "until [ -e go ]; do sleep 0.05; done\n")
    add_action(hub, "Wait", "wait.sh")
    dashboard.log_in()
    action = page.locator(".action", has_text="Wait")
    action.get_by_role("button", name="Wait").first.click()
    expect(dashboard.run_state).to_have_text("Running")
    page.keyboard.press("Escape")
    expect(action).to_contain_text(re.compile(r"Running · \d+:\d\d"))
    action.get_by_role("button", name="Wait").first.click()
    question = page.get_by_role("dialog", name="Run Wait once more?")
    expect(question.get_by_role("button", name="Not now")).to_be_focused()
    page.keyboard.press("Escape")
    expect(question).to_have_count(0)
    assert len(hub.get("/api/history?output=0")) == 1
    action.get_by_role("button", name="Wait").first.click()
    question.get_by_role("button", name="Run once more").click()
    expect(dashboard.run_state).to_have_text("Running")
    page.keyboard.press("Escape")
    running = page.get_by_role("region", name="Running now")
    expect(running.get_by_role("link", name="wait.sh")).to_have_count(2)
    (hub.scripts_dir / "go").touch()
    expect(running).to_contain_text("Nothing is running", timeout=RUN_MS)
    expect(action).to_contain_text("Done")


def test_what_runs_and_what_failed_is_told_live(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("wait.sh", "until [ -e go ]; do sleep 0.05; done; exit 3\n")
    dashboard.log_in()
    running = page.get_by_role("region", name="Running now")
    failures = page.get_by_role("region", name="Last failures")
    expect(running).to_contain_text("Nothing is running")
    expect(failures).to_contain_text("Nothing has failed")
    assert hub.http("POST", "/api/tasks", {"script": "wait.sh"}).status == 200
    expect(running.get_by_role("link", name="wait.sh")).to_be_visible()
    (hub.scripts_dir / "go").touch()
    expect(failures.get_by_role("link", name="wait.sh")).to_be_visible(timeout=RUN_MS)
    expect(running).to_contain_text("Nothing is running")


def test_without_quick_actions_the_page_says_what_they_are(
    dashboard: Dashboard, page: Page
) -> None:
    dashboard.log_in()
    expect(page.get_by_text("No quick actions yet")).to_be_visible()
