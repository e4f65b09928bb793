"""The list of plugins, and what the details of one tell."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard
from tests.browser.plugins import (
    HELLO,
    READY_S,
    drop_example,
    drop_in,
    drop_told,
    plugin,
    wait_ready,
    write_bundle,
)
from tests.browser.test_plugin_life import card, link, switch
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess, wait_until

MISBEHAVING = Path(__file__).parents[1] / "support/misbehaving_plugin.py"
PASSWORD = "Client-pass-1"
READY_MS = READY_S * 1000


def drop_flaky(hub: HubProcess, mode: str) -> None:
    """Put a copy of the misbehaving plugin into the folder."""
    drop_in(hub, f"bad-{mode}", MISBEHAVING.read_bytes())


def test_a_broken_file_is_listed_with_its_reason_beside_good_ones_until_it_is_replaced(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    drop_example(hub)
    drop_in(hub, "garbage", b"\x00\x01\x02 <b>nothing</b>")
    wait_ready(hub)
    dashboard.log_in("/plugins")
    broken = page.locator(".plugin[data-state=broken]")
    expect(broken).to_contain_text("Broken", timeout=READY_MS)
    expect(broken).to_contain_text(re.compile(r"garbage\.binary: \w.*\."))
    expect(broken.get_by_role("button")).to_have_count(0)
    expect(card(page, "Hello World (Python)")).to_contain_text("Healthy")
    expect(page.get_by_role("navigation", name="Plugins").get_by_role("link")).to_have_count(1)
    drop_told(hub, "garbage", name="No more")
    expect(card(page, "No more")).to_contain_text("Healthy", timeout=READY_MS)
    expect(broken).to_have_count(0)


def test_plugins_that_are_known_to_have_no_page_cannot_be_opened(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.expect("status of 404")
    drop_example(hub)
    drop_flaky(hub, "echo")
    wait_ready(hub)
    wait_ready(hub, "bad-echo")
    dashboard.log_in("/plugins")
    without, links = card(page, "Misbehaving: echo"), page.get_by_role("navigation", name="Plugins")
    expect(without).to_contain_text("Healthy")
    links.get_by_role("link", name="Misbehaving: echo").click()
    expect(page.get_by_text("This plugin has no page")).to_be_visible()
    expect(links.get_by_role("link")).to_have_text([re.compile("Hello World")])
    page.goto("/plugins")
    expect(without).to_contain_text("Healthy")
    expect(without.get_by_role("link", name="Open")).to_have_count(0)
    write_bundle(hub, "bad-echo", "window.ToruPlugins = {};")
    expect(without.get_by_role("link", name="Open")).to_be_visible()
    expect(links.get_by_role("link", name="Misbehaving: echo")).to_be_visible()


def test_a_plugin_that_cannot_start_says_so_when_it_is_enabled(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.expect("status of 502")
    drop_flaky(hub, "exit-at-once")
    wait_until(lambda: plugin(hub, "bad-exit-at-once"), timeout_s=READY_S, what="the plugin")
    hub.http("POST", "/api/plugins/bad-exit-at-once/disable")
    name = "Misbehaving: exit-at-once"
    dashboard.log_in("/plugins")
    expect(card(page, name)).to_contain_text("Disabled")
    switch(page, name).click()
    toast = page.locator(".toast[data-kind=error]")
    expect(toast).to_contain_text("It exited with code 1", timeout=READY_MS)
    expect(card(page, name)).to_contain_text("bad-exit-at-once.binary: It exited with code 1")
    expect(switch(page, name)).to_have_attribute("aria-checked", "true")


def test_disabling_asks_first_and_shows_that_it_is_under_way(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    drop_flaky(hub, "ignore-shutdown")
    wait_ready(hub, "bad-ignore-shutdown")
    name = "Misbehaving: ignore-shutdown"
    dashboard.log_in("/plugins")
    switch(page, name).click()
    page.get_by_role("button", name="Keep it").click()
    expect(page.get_by_role("dialog")).to_have_count(0)
    assert plugin(hub, "bad-ignore-shutdown")["enabled"]
    switch(page, name).click()
    page.get_by_role("dialog").get_by_role("button", name="Disable", exact=True).click()
    expect(switch(page, name)).to_have_attribute("aria-busy", "true")
    expect(switch(page, name)).to_have_text("Disabling…")
    expect(card(page, name)).to_contain_text("Stopping")
    expect(page.get_by_text(f"{name} is disabled.")).to_be_visible(timeout=READY_MS)
    expect(switch(page, name)).to_have_text("Off")
    expect(card(page, name)).to_contain_text("Disabled")


def test_the_figures_of_a_plugin_go_on(dashboard: Dashboard, page: Page, hub: HubProcess) -> None:
    drop_example(hub)
    wait_ready(hub)
    dashboard.log_in("/plugins")
    figures = card(page, "Hello World (Python)").locator(".plugin-figures")
    expect(figures).to_contain_text(re.compile(r"Memory\s*\d+(\.\d)? MB"))
    expect(figures).to_contain_text(re.compile(r"Requests\s*0"))
    for _ in range(5):
        assert hub.http("GET", "/api/plugins/route/hello-python/").status == 200
    expect(figures).to_contain_text(re.compile(r"Requests\s*5"), timeout=15_000)
    expect(figures).to_contain_text(re.compile(r"p99\s*[\d.]+ ms / [\d.]+ ms"))


def test_a_client_sees_the_plugins_and_their_pages_but_no_controls(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.add_client("lena", PASSWORD)
    drop_example(hub)
    drop_told(hub, "off")
    drop_in(hub, "garbage", b"\x00\x01")
    wait_ready(hub)
    wait_ready(hub, "off")
    assert hub.http("POST", "/api/plugins/off/disable").status == 200
    dashboard.log_in("/plugins?details=off", "lena", PASSWORD)
    expect(card(page, "Hello World (Python)")).to_contain_text("Healthy")
    expect(page.locator(".plugin")).to_have_count(2)
    expect(page.get_by_role("switch")).to_have_count(0)
    expect(page.get_by_role("link", name="Details")).to_have_count(0)
    expect(page.get_by_role("button", name=re.compile("Restart"))).to_have_count(0)
    expect(page.get_by_role("dialog")).to_have_count(0)
    link(page, "Hello World (Python)").click()
    expect(page.get_by_role("heading", name="Hello, lena!")).to_be_visible()
    page.goto("/plugins/off")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()


def test_the_log_goes_on_live_at_the_chosen_level_and_with_what_is_sought(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    lines = [{"level": level, "message": f"said as {level}"} for level in ("debug", "info")]
    drop_told(hub, "told", lines=tuple(map(json.dumps, lines)))
    wait_ready(hub, "told")
    dashboard.log_in("/plugins")
    expect(card(page, "told")).to_contain_text("Healthy")
    assert not any("plugin-logs" in frame for frame in watch.frames)
    page.get_by_role("link", name="Details").click()
    log = page.get_by_role("log")
    expect(log.locator("li")).to_have_text([re.compile("said as info")])
    page.get_by_label("Level").select_option("debug")
    expect(log).to_contain_text("said as debug")
    before = log.locator("li").count()
    page.get_by_role("dialog").get_by_role("button", name="Restart told").click()
    expect(page.get_by_text("told is ready again.")).to_be_visible(timeout=READY_MS)
    expect(log.locator("li", has_text="said as info")).to_have_count(2)
    assert log.locator("li").count() > before
    search = page.get_by_role("searchbox", name="Search")
    search.fill("SAID AS D")
    expect(log.locator("li .log-text")).to_have_text(["said as debug"] * 2)
    page.get_by_role("dialog").get_by_role("button", name="Restart told").click()
    expect(log.locator("li .log-text")).to_have_text(["said as debug"] * 3, timeout=READY_MS)
    search.fill("<b>never</b>")
    expect(page.get_by_text("No line says this")).to_be_visible()
    search.fill("")
    page.get_by_label("Level").select_option("error")
    expect(page.get_by_text("Nothing is logged")).to_be_visible()
    page.keyboard.press("Escape")
    expect(log).to_have_count(0)
    assert '> {"type":"unsubscribe","topics":["plugin-logs"]}' in watch.frames


def test_older_lines_of_a_log_come_on_request_each_once(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    expected = [f"line {number}" for number in range(250)]
    drop_told(hub, "told", lines=tuple(expected))
    wait_ready(hub, "told")
    wait_until(
        lambda: len(hub.get("/api/plugins/told/logs?page_size=1000")["logs"]) == 250,
        what="the whole log",
    )
    dashboard.log_in("/plugins?details=told")
    rows = page.get_by_role("log").locator("li .log-text")
    expect(rows).to_have_count(100)
    expect(rows.last).to_be_in_viewport()
    for shown in (200, 250):
        page.get_by_role("button", name="Show older lines").click()
        expect(rows).to_have_count(shown)
    expect(page.get_by_role("button", name="Show older lines")).to_have_count(0)
    assert rows.all_inner_texts() == expected


def test_the_details_name_the_process_only_while_there_is_one(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    drop_example(hub)
    found = wait_ready(hub)
    dashboard.log_in(f"/plugins?details={HELLO}")
    facts = page.locator(".plugin-sheet .facts")
    expect(facts).to_contain_text(re.compile(rf"Process\s*{found['pid']}"))
    expect(facts).to_contain_text(re.compile(rf"File\s*{HELLO}\.binary"))
    hub.http("POST", f"/api/plugins/{HELLO}/disable")
    expect(facts).not_to_contain_text("Process")
    page.get_by_role("button", name="Events").click()
    expect(page.locator(".events strong")).to_have_text(["Stopped", "Disabled", "Started"])
