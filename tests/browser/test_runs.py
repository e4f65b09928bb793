"""A script that runs while somebody watches."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.dashboard import RUN_MS, Dashboard
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess

COUNTER = """# Description: Counts to {end}
i=0
while [ $i -lt {end} ]; do
  i=$((i + 1))
  echo "line $i"
  sleep {pause}
done
"""


def counter(hub: HubProcess, end: int, pause: float) -> list[str]:
    hub.script("count.sh", COUNTER.format(end=end, pause=pause))
    return [f"line {number}" for number in range(1, end + 1)]


def test_a_script_is_listed_with_its_description_run_and_watched_live(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    expected = counter(hub, 30, 0.05)
    dashboard.log_in("/scripts")
    expect(page.locator(".script", has_text="count.sh")).to_contain_text("Counts to 30")
    dashboard.run("count.sh")
    dashboard.terminal_has("line 3")
    expect(dashboard.run_state).to_have_text("Running")
    dashboard.run_ends()
    assert dashboard.output() == expected
    facts = page.locator(".facts")
    expect(facts).to_contain_text(re.compile(r"Exit code\s*0"))
    expect(facts).to_contain_text(re.compile(r"Took\s*\d"))


def test_a_reload_in_mid_run_attaches_again_with_every_line_exactly_once(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    expected = counter(hub, 120, 0.03)
    dashboard.log_in("/scripts")
    dashboard.run("count.sh")
    dashboard.terminal_has("line 20")
    page.reload()
    dashboard.terminal_has("line 60")
    page.reload()
    dashboard.run_ends()
    dashboard.terminal_has("line 120")
    assert dashboard.output() == expected


def test_a_hub_that_is_killed_and_comes_back_costs_no_line(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.allow(r"WebSocket connection|ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET")
    expected = counter(hub, 150, 0.05)
    dashboard.log_in("/scripts")
    dashboard.run("count.sh")
    dashboard.terminal_has("line 15")
    port = hub.port
    hub.kill()
    expect(page.get_by_text("The connection to the hub is lost.")).to_be_visible()
    hub.environment["STEERING_PORT"] = str(port)
    hub.start()
    dashboard.connected()
    dashboard.run_ends()
    dashboard.terminal_has("line 150")
    assert dashboard.output() == expected


def test_leaving_the_page_and_coming_back_in_mid_run_shows_every_line_once(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    expected = counter(hub, 2000, 0.0005)
    dashboard.log_in("/scripts")
    task = dashboard.run("count.sh")
    dashboard.terminal_has("line 20")
    for _ in range(3):
        page.get_by_role("link", name="History", exact=True).click()
        page.locator(f'a[href="/history/{task}"]').click()
        page.get_by_role("region", name="Output of count.sh").wait_for()
    dashboard.run_ends()
    dashboard.terminal_has("line 2000")
    assert dashboard.output() == expected


def test_stdout_and_stderr_are_told_apart(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("both.sh", "echo plain words\nsleep 0.5\necho trouble >&2\n")
    dashboard.log_in("/scripts")
    dashboard.run("both.sh")
    dashboard.run_ends()
    rows = page.locator(".xterm-rows")
    trouble = rows.locator("span", has_text="trouble")
    plain = rows.locator("div", has_text="plain words")
    expect(trouble).to_have_class(re.compile("xterm-italic"))
    expect(trouble).to_have_class(re.compile("xterm-fg-1"))
    expect(plain.locator(".xterm-italic")).to_have_count(0)
    expect(page.get_by_text("is what the script wrote as errors")).to_be_visible()
    page.get_by_role("button", name="Lines").click()
    expect(page.locator(".row.has-stderr")).to_have_text("trouble")
    expect(page.locator(".row:not(.has-stderr)")).to_have_text("plain words")


def test_cancel_shows_how_it_goes_on_and_force_where_a_script_does_not_listen(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.http("PUT", "/api/settings/cancel_grace_s", {"value": "2"})
    hub.script("deaf.sh", "trap '' TERM\necho begun\nwhile :; do sleep 0.1; done\n")
    dashboard.log_in("/scripts")
    dashboard.run("deaf.sh")
    dashboard.terminal_has("begun")
    page.get_by_role("button", name="Cancel").click()
    stages = page.get_by_label("Cancelling")
    expect(stages.locator("[data-now=true]")).to_contain_text("TERM")
    expect(page.get_by_role("button", name="Cancelling")).to_be_disabled()
    dashboard.run_ends("Cancelled")
    expect(stages).to_have_count(0)
    expect(page.get_by_role("button", name="Run again")).to_be_enabled()


def test_a_run_that_is_opened_while_it_is_cancelled_shows_how_far_that_is(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.http("PUT", "/api/settings/cancel_grace_s", {"value": "2"})
    hub.script("deaf.sh", "trap '' TERM\necho begun\nwhile :; do sleep 0.1; done\n")
    dashboard.log_in("/scripts")
    task = dashboard.run("deaf.sh")
    dashboard.terminal_has("begun")
    page.get_by_role("link", name="History", exact=True).click()
    assert hub.http("POST", f"/api/tasks/{task}/cancel").status == 200
    page.locator(f'a[href="/history/{task}"]').click()
    stages = page.get_by_label("Cancelling")
    expect(stages.locator("[data-now=true]")).to_contain_text(re.compile("TERM|KILL"))
    expect(page.get_by_role("button", name="Cancelling")).to_be_disabled()
    dashboard.run_ends("Cancelled")
    expect(stages).to_have_count(0)


def test_a_failure_shows_the_exit_code_and_can_be_run_again(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("fail.sh", "echo no luck\nexit 7\n")
    dashboard.log_in("/scripts")
    first = dashboard.run("fail.sh")
    dashboard.run_ends("Failed")
    expect(page.locator(".facts")).to_contain_text(re.compile(r"Exit code\s*7"))
    page.get_by_role("button", name="Run again").click()
    page.wait_for_url(lambda url: "/scripts/run/" in url and not url.endswith(first))
    dashboard.run_ends("Failed")
    assert dashboard.output() == ["no luck"]


def test_parameters_are_asked_for_and_given_to_the_script(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("greet.sh", '# Parameter: NAME =world Whom to greet\necho "hello $PARAM_NAME"\n')
    dashboard.log_in("/scripts")
    page.get_by_label("NAME").fill("<b>you</b>")
    dashboard.run("greet.sh")
    dashboard.run_ends()
    assert dashboard.output() == ["hello <b>you</b>"]


def test_pause_holds_the_output_back_until_one_follows_again(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    expected = counter(hub, 200, 0.02)
    dashboard.log_in("/scripts")
    dashboard.run("count.sh")
    dashboard.terminal_has("line 20")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused.")).to_be_visible()
    dashboard.run_ends()
    assert len(dashboard.output(whole=False)) < 200
    page.get_by_role("button", name="Follow").click()
    dashboard.terminal_has("line 200")
    assert dashboard.output() == expected


def test_the_download_is_the_raw_output(
    dashboard: Dashboard, page: Page, hub: HubProcess, tmp_path: Path
) -> None:
    hub.script("raw.sh", "printf 'a\\000\\377b\\n'\n")
    dashboard.log_in("/scripts")
    dashboard.run("raw.sh")
    dashboard.run_ends()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download").click()
    target = tmp_path / "download"
    download.value.save_as(target)
    assert target.read_bytes() == b"a\x00\xffb\n"


def test_a_flood_of_output_leaves_the_page_responsive_and_ends_at_the_last_line(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("flood.sh", "sleep 0.5; seq 1 1000000\n")
    dashboard.log_in("/scripts")
    page.evaluate(
        "window.longest = 0;"
        "new PerformanceObserver((list) => {"
        "  for (const e of list.getEntries()) window.longest = Math.max(window.longest, e.duration)"
        "}).observe({type: 'longtask'})"
    )
    dashboard.run("flood.sh")
    dashboard.run_ends()
    dashboard.terminal_has("1000000")
    lines = dashboard.output()
    assert lines == [str(number) for number in range(1_000_001 - len(lines), 1_000_001)]
    assert len(lines) >= 10_000
    expect(page.get_by_text("Only the last part is shown")).to_be_visible()
    assert page.evaluate("window.longest") < 3_000


def test_output_that_was_not_kept_is_marked_where_it_is_missing(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    assert hub.http("PUT", "/api/settings/max_output_bytes", {"value": str(2**20)}).status == 200
    hub.script("long.sh", "seq -f %0999.f 1 3000\n")
    dashboard.log_in("/scripts")
    dashboard.run("long.sh")
    dashboard.run_ends()
    page.reload()
    lines = dashboard.output()
    assert lines[-1] == f"{3000:0999}"
    assert len([line for line in lines if "of output are missing here" in line]) == 1


def test_a_run_without_output_says_so(dashboard: Dashboard, page: Page, hub: HubProcess) -> None:
    hub.script("quiet.sh", "true\n")
    dashboard.log_in("/scripts")
    dashboard.run("quiet.sh")
    expect(page.get_by_text("This run wrote nothing.")).to_be_visible(timeout=RUN_MS)


def test_a_run_that_is_not_there_says_so(
    dashboard: Dashboard, page: Page, watch: PageWatch
) -> None:
    watch.expect("status of 404")
    dashboard.log_in("/scripts/run/0197f0a0-0000-7000-8000-000000000000")
    expect(page.get_by_text("This run is not there")).to_be_visible(timeout=RUN_MS)
