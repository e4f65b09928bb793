"""The runs of the past."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.dashboard import RUN_MS, Dashboard
from tests.support.hub import HubProcess, wait_until

MARKUP = "<img src=x onerror=alert(1)>.sh"


def run_once(hub: HubProcess, script: str) -> str:
    answer = hub.http("POST", "/api/tasks", {"script": script})
    assert answer.status == 200, answer
    task: str = answer.json["task_id"]
    ends(hub, task)
    return task


def ends(hub: HubProcess, task: str) -> None:
    wait_until(
        lambda: hub.get(f"/api/tasks/{task}")["state"] not in ("queued", "running"),
        what="the end of the run",
    )


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


def test_the_history_is_searched_and_filtered_and_its_address_says_how(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("good.sh", "echo a needle in the hay\n")
    hub.script("bad.sh", "echo nothing; false\n")
    hub.http("POST", "/api/quick-actions", {"name": "Good", "script_path": "good.sh"})
    client = hub.add_client("lena")
    run_once(hub, "good.sh")
    run_once(hub, "bad.sh")
    task = hub.http("POST", "/api/tasks", {"script": "good.sh"}, cookie=client).json["task_id"]
    ends(hub, task)
    dashboard.log_in("/history")
    rows = page.locator(".history tbody tr")
    chips = page.get_by_role("list", name="Filters in force").get_by_role("button")
    expect(rows).to_have_count(3)
    expect(page.get_by_text("the last 64 KB of each output")).to_be_visible()
    page.get_by_role("searchbox", name="Search").type("NEEDLE")
    expect(rows).to_have_count(2)
    expect(page).to_have_url(re.compile(r"\?q=NEEDLE$"))
    page.get_by_label("User").select_option("lena")
    expect(rows).to_have_count(1)
    page.get_by_label("Script").select_option("bad.sh")
    expect(page.get_by_text("No such runs")).to_be_visible()
    page.get_by_role("button", name="“NEEDLE”: take away").click()
    page.get_by_role("button", name="by lena: take away").click()
    expect(rows).to_have_count(1)
    page.get_by_label("State").select_option("failed")
    page.get_by_label("Time").select_option("1h")
    expect(chips).to_have_count(4)
    expect(rows).to_contain_text(["bad.sh"])
    address = page.url
    rows.first.click()
    expect(page.get_by_role("heading", name="bad.sh")).to_be_visible()
    page.go_back()
    expect(page).to_have_url(address)
    page.reload()
    expect(chips).to_have_count(4)
    expect(rows).to_have_count(1)

    page.set_viewport_size({"width": 390, "height": 844})
    expect(page.get_by_label("State")).to_be_hidden()
    page.get_by_role("button", name="Filters (3)").click()
    page.get_by_label("Time").select_option("custom")
    page.get_by_label("From", exact=True).fill("2024-01-01T00:00")
    expect(rows).to_have_count(1)
    page.get_by_label("To", exact=True).fill("2024-02-01T00:00")
    expect(page.get_by_text("No such runs")).to_be_visible()
    page.get_by_role("main").get_by_role("button", name="Show all runs").first.click()
    expect(rows).to_have_count(3)
    expect(page).to_have_url(re.compile(r"/history$"))


def test_runs_come_into_a_filtered_list_and_leave_it_as_they_go_on(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("wait.sh", "until [ -e go ]; do sleep 0.05; done\n")
    hub.script("other.sh", "sleep 60\n")
    hub.script("talker.sh", "echo do not wait for me; exit 1\n")
    dashboard.log_in("/history?state=running&q=wait")
    expect(page.get_by_text("No such runs")).to_be_visible()
    hub.http("POST", "/api/tasks", {"script": "other.sh"})
    task = hub.http("POST", "/api/tasks", {"script": "wait.sh"}).json["task_id"]
    expect(page.get_by_role("row", name="wait.sh")).to_contain_text("Running")
    expect(page.get_by_role("row", name="other.sh")).to_have_count(0)
    (hub.scripts_dir / "go").touch()
    expect(page.get_by_text("No such runs")).to_be_visible()
    page.get_by_role("button", name="Running: take away").click()
    expect(page.get_by_role("row", name="wait.sh")).to_contain_text("Done")
    hub.http("POST", "/api/tasks", {"script": "talker.sh"})
    expect(page.get_by_role("row", name="talker.sh")).to_contain_text("Failed")
    ends(hub, task)


def test_from_the_first_login_over_a_run_and_its_cancel_to_the_history(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("work.sh", "# Parameter: FOR =0.1 How long\nsleep $PARAM_FOR\n")
    for seconds in ("0.1", "0.2", "0.1"):
        body = {"script": "work.sh", "args": {"FOR": seconds}}
        ends(hub, hub.http("POST", "/api/tasks", body).json["task_id"])
    dashboard.log_in("/scripts")
    page.get_by_label("FOR").fill("50")
    task = dashboard.run("work.sh")
    page.get_by_role("button", name="Cancel", exact=True).click()
    dashboard.run_ends("Cancelled")
    page.get_by_role("link", name="History", exact=True).click()
    row = page.locator(f'tr:has(a[href="/history/{task}"])')
    expect(row).to_contain_text("Cancelled")
    row.click()
    facts = page.locator(".facts")
    expect(facts).to_contain_text(re.compile(r"Exit code\s*none, it was told to end"))
    expect(facts).to_contain_text("FOR=50")

    trend = page.get_by_role("region", name="Trend")
    expect(trend).to_contain_text("All 4 runs of this script")
    expect(trend).to_contain_text("(the median)")
    bars = trend.locator(".trend-bar")
    expect(bars).to_have_count(4)
    expect(bars.last).to_have_attribute("aria-current", "true")
    expect(bars.last).to_have_attribute("data-state", "cancelled")
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("region", name="Trend").locator(".trend-bar")).to_have_count(5)
    expect(page).not_to_have_url(re.compile(task))
    second = page.url
    expect(facts).to_contain_text("FOR=50")
    bars.last.focus()
    page.keyboard.press("Home")
    expect(bars.first).to_be_focused()
    page.keyboard.press("Enter")
    dashboard.run_ends("Done")
    expect(facts).to_contain_text("FOR=0.1")
    expect(bars.first).to_have_attribute("aria-current", "true")
    page.get_by_role("button", name="Run again").click()
    expect(page.get_by_role("dialog")).to_contain_text("has not ended yet")
    page.get_by_role("button", name="Not now").click()
    expect(bars).to_have_count(5)
    page.go_back()
    expect(page).to_have_url(second)
    page.get_by_role("button", name="Cancel", exact=True).click()
    dashboard.run_ends("Cancelled")


FILTER = """
({filterOf, addressOf, queryOf, isWanted, chipsOf, EVERYTHING}) => {
  const of = (text) => filterOf(new URLSearchParams(text));
  const now = Date.parse('2026-11-22T12:00:00Z');
  const task = {script_name: 'Backup.sh', state: 'failed', username: 'lena',
                created_at: '2026-11-22T11:30:00.000Z'};
  const wanted = (text) => isWanted(of(text), task, now);
  const local = (iso) => {
    const at = new Date(iso);
    return new Date(at.getTime() - at.getTimezoneOffset() * 60000).toISOString().slice(0, 16);
  };
  const span = `from=${local('2026-11-22T11:30Z')}&to=${local('2026-11-22T11:30Z')}`;
  return [
    addressOf(EVERYTHING), addressOf(of('q=a b&x=1&state=failed')),
    queryOf(of('within=24h&q= x '), now).toString(), queryOf(of(span), now).toString(),
    queryOf(of('within=never&from=soon'), now).toString(),
    [wanted(''), wanted('q=BACK&state=failed&user=lena&within=1h'), wanted(span)],
    [wanted('q=x'), wanted('state=running'), wanted('script=x'), wanted('user=x'),
     wanted('to=2020-01-01T00:00'), wanted('from=2030-01-01T00:00')],
    chipsOf(of('q=+&state=failed&within=7d'))
      .map(({words, without}) => [words, addressOf(without)]),
  ];
}
"""


def test_a_filter_is_its_address_and_what_the_hub_is_asked(module: Any) -> None:
    assert module("history-filter.js", FILTER) == [
        "/history",
        "/history?q=a+b&state=failed",
        "q=x&after=2026-11-21T12%3A00%3A00.000Z",
        "after=2026-11-22T11%3A30%3A00.000Z&until=2026-11-22T11%3A31%3A00.000Z",
        "",
        [True] * 3,
        [False] * 6,
        [
            ["Failed", "/history?q=+&within=7d"],
            ["Last 7 days", "/history?q=+&state=failed"],
        ],
    ]


TREND = """
({trendOf, median}) => {
  const run = (id, duration_s, state = 'finished') => ({id, duration_s, state});
  const now = Date.parse('2026-11-22T12:00:10Z');
  const going = {id: 'e', state: 'running', started_at: '2026-11-22T12:00:00Z'};
  const never = {id: 'd', state: 'cancelled'};
  const trend = trendOf([going, never, run('c', 100), run('b', 2), run('a', 1)], now);
  const round = (value) => Math.round(value * 1000) / 1000;
  return [median([]), median([3, 1, 2]), median([4, 1]), trend.median, round(trend.medianHeight),
    trend.bars.map(({task, seconds, height, isCut}) => [task.id, seconds, round(height), isCut])];
}
"""


def test_a_trend_shows_each_run_and_cuts_those_that_took_much_longer(module: Any) -> None:
    assert module("trend.js", TREND) == [
        None,
        2,
        2.5,
        2,
        0.25,
        [
            ["a", 1, 0.125, False],
            ["b", 2, 0.25, False],
            ["c", 100, 1, True],
            ["d", None, 0.04, False],
            ["e", 10, 1, True],
        ],
    ]


def test_exit_codes_are_said_in_words(module: Any) -> None:
    code = "({exitWords}) => [null, 0, 3, 126, 127, 137, 200, -15, -40].map(exitWords)"
    assert module("exit-words.js", code) == [
        None,
        "0, all went well",
        "3, the script reports a failure",
        "126, a program in it may not be executed",
        "127, a program in it was not found",
        "137, it was ended by force (KILL)",
        "200, the script reports a failure",
        "none, it was told to end (TERM)",
        "none, it got signal 40",
    ]


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
    page.get_by_role("link", name="History", exact=True).click()
    expect(page.get_by_role("link", name=MARKUP)).to_be_visible()
    page.get_by_role("link", name="Dashboard").click()
    expect(page.get_by_text("<i>action</i>")).to_be_visible()
    assert page.locator("img:not([src='/favicon.svg']), main script, main i, main b").count() == 0
