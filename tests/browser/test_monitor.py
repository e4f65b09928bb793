"""The monitor: live charts, ranges with their gaps, runs that lead to themselves, and who may."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Locator, Page, expect

from tests.browser.dashboard import Dashboard, comes_true
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess, wait_until
from tests.support.machine_history import furnish

DAY_S = 86_400
NOTHING = "\N{EN DASH}"
CHARTS = ("CPU", "Memory", "Load", "Network", "Disk activity", "Disk space")
TOUCH = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


@pytest.fixture
def hub(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[HubProcess]:
    """A new hub, or one that has measured for some days but was off between two of them."""
    made = HubProcess(tmp_path)
    now = time.time()
    if days := getattr(request, "param", None):
        off = (now - 4 * DAY_S, now - 3 * DAY_S)
        furnish(made.data_dir, until=now - 5, days=days, off=off)
    with made:
        yield made


def chart(page: Page, name: str) -> Locator:
    """The card of a chart."""
    return page.get_by_role("region", name=name, exact=True)


def plot(page: Page, name: str) -> Locator:
    """Where its lines are drawn."""
    return chart(page, name).locator(".u-over")


def newest(page: Page) -> float:
    """Where what is shown ends."""
    return float(page.locator(".run-lane").get_attribute("data-end") or 0)


def point(page: Page, name: str, share: float) -> None:
    """Point at a moment of a chart: 0 is where it begins, 1 where it ends."""
    plot(page, name).scroll_into_view_if_needed()
    box = plot(page, name).bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + share * box["width"], box["y"] + box["height"] / 2)


def grows(page: Page, seconds: float = 2.0) -> None:
    """Wait until the charts have grown by some seconds."""
    before = newest(page)
    wait_until(lambda: newest(page) >= before + seconds, what="new seconds")


@pytest.mark.parametrize("hub", [7.5], indirect=True)
def test_charts_grow_by_the_second_and_show_what_was_stored(
    dashboard: Dashboard, page: Page, watch: PageWatch
) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    dashboard.log_in("/monitor")
    for name in CHARTS:
        expect(chart(page, name).locator("canvas")).to_be_visible()
    grows(page)
    assert len([url for url in asked if "/resources/history" in url]) == 1
    cpu = chart(page, "CPU").locator(".legend strong")
    expect(cpu).to_have_text(re.compile(r"^\d+ %$"))
    chart(page, "CPU").get_by_role("button", name="Each core").click()
    expect(page.locator(".small-chart canvas").first).to_be_visible()
    chart(page, "CPU").get_by_role("button", name="All", exact=True).click()

    # The gap of a day is a gap, in all charts at once.
    page.get_by_role("link", name="7 d", exact=True).click()
    expect(page).to_have_url(re.compile(r"/monitor\?range=7d$"))
    expect(cpu).to_have_text(re.compile(r"\d+ %"))
    point(page, "Memory", 3.5 / 7)
    expect(cpu).to_have_text(NOTHING)
    expect(chart(page, "Network").locator(".legend strong").first).to_have_text(NOTHING)
    expect(chart(page, "Memory").locator(".chart-tip time")).to_have_text(re.compile(r"\d"))
    point(page, "Memory", 6.5 / 7)
    expect(cpu).to_have_text(re.compile(r"^\d+ %$"))
    expect(chart(page, "CPU").locator(".legend")).to_contain_text("up to")
    page.mouse.move(0, 0)
    expect(chart(page, "Memory").locator(".chart-tip")).to_be_hidden()
    chart(page, "Memory").locator(".chart").focus()
    page.keyboard.press("End")
    for _ in range(5):
        page.keyboard.press("Shift+ArrowLeft")
    expect(chart(page, "Memory").locator(".chart-tip")).to_be_visible()
    expect(cpu).to_have_text(NOTHING)
    page.keyboard.press("Escape")
    expect(chart(page, "Memory").locator(".chart-tip")).to_be_hidden()
    expect(cpu).to_have_text(re.compile(r"^\d+ %$"))
    page.reload()
    week = page.get_by_role("link", name="7 d", exact=True)
    expect(week).to_have_attribute("aria-current", "true")

    # Whoever leaves leaves nothing behind.
    page.get_by_role("link", name="History", exact=True).first.click()
    expect(page.get_by_text("Nothing has run yet")).to_be_visible()
    assert page.locator(".uplot").count() == 0
    rest = '"type":"unsubscribe","topics":["resources"]'
    wait_until(lambda: any(rest in frame for frame in watch.frames), what=rest)


def test_a_run_is_a_marker_that_leads_to_it_and_a_restart_is_a_gap(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.allow("WebSocket connection")
    watch.allow("ERR_CONNECTION_REFUSED")
    hub.script("work.sh", "until [ -e go ]; do sleep 0.05; done\n")
    dashboard.log_in("/monitor")
    grows(page, 1)
    lane = page.get_by_role("region", name="Runs")
    expect(lane).to_contain_text("None in this time")
    task = hub.http("POST", "/api/tasks", {"script": "work.sh"}).json["task_id"]
    bar = lane.get_by_role("link", name=re.compile("work.sh, running"))
    expect(bar).to_be_visible()
    grows(page, 1)
    (hub.scripts_dir / "go").touch()
    expect(lane.get_by_role("link", name=re.compile("work.sh, done"))).to_be_visible()
    lane.get_by_role("link").focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile(f"/history/{task}$"))
    page.go_back()

    # The band in a chart leads there as well; it moves on, so point at where it is by now.
    load = plot(page, "Load")
    expect(load).to_be_visible()
    run = hub.get(f"/api/tasks/{task}")
    tip = chart(page, "Load").locator(".chart-tip")

    def at_the_run() -> bool:
        begun = page.evaluate(f"Date.parse('{run['started_at']}') / 1000")
        point(page, "Load", 1 - (newest(page) - begun - 1) / 300)
        return "work.sh" in (tip.text_content() or "")

    wait_until(at_the_run, what="the run beside the pointer")
    expect(load).to_have_class(re.compile("on-run"))
    page.mouse.down()
    page.mouse.up()
    expect(page).to_have_url(re.compile(f"/history/{task}$"))
    page.go_back()

    # While the hub is away the charts stand still; then there is a gap, and they go on.
    grows(page, 1)
    hub.environment["STEERING_PORT"] = str(hub.port)
    hub.stop()
    stopped_at = newest(page)
    expect(page.locator(".connection").first).not_to_have_attribute("data-status", "open")
    wait_until(lambda: time.time() > stopped_at + 3)
    hub.start()
    dashboard.connected()
    wait_until(lambda: newest(page) > stopped_at + 5, what="seconds after the restart")
    history = hub.get("/api/resources/history?range=5m")
    shares = dict(zip(history["times"], history["series"]["cpu"], strict=True))
    assert shares[int(stopped_at) - 2] is not None
    assert shares[int(stopped_at) + 2] is None

    def in_the_gap() -> bool:
        point(page, "CPU", 1 - (newest(page) - stopped_at - 2) / 300)
        return chart(page, "CPU").locator(".legend strong").text_content() == NOTHING

    wait_until(in_the_gap, what="the gap in the chart")
    page.mouse.move(0, 0)
    grows(page)
    processes = page.get_by_role("region", name="Top processes")
    expect(processes.locator("tbody tr").first).to_be_visible()
    processes.get_by_role("button", name="Memory").click()
    expect(processes.locator("th[aria-sort]")).to_have_text("Memory")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_client_sees_the_machine_on_a_phone_but_no_processes(
    browser: Browser, hub: HubProcess, scheme: Any
) -> None:
    hub.script("own.sh", "sleep 0.2\n")
    hub.http("POST", "/api/quick-actions", {"name": "Own", "script_path": "own.sh"})
    cookie = hub.add_client("paul")
    hub.http("POST", "/api/tasks", {"script": "own.sh"})
    with browser.new_context(
        base_url=hub.base_url, locale="en-GB", color_scheme=scheme, **TOUCH
    ) as context:
        watch = PageWatch(context, hub.base_url)
        page = context.new_page()
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        Dashboard(page).log_in("/monitor?range=5m", "paul", "Client-pass-1")
        grows(page, 1)
        expect(page.get_by_text("Top processes")).to_have_count(0)
        assert not [url for url in asked if "processes" in url]
        # The admin's run is not the client's to see; its own is, and a finger reaches it.
        lane = page.get_by_role("region", name="Runs")
        expect(lane).to_contain_text("None in this time")
        task = hub.http("POST", "/api/tasks", {"script": "own.sh"}, cookie=cookie).json["task_id"]
        expect(lane.get_by_role("link", name=re.compile("own.sh"))).to_be_visible()
        link = chart(page, "CPU").locator(".chart-tip a")

        def touched() -> bool:
            run = hub.get(f"/api/tasks/{task}", cookie=cookie)
            begun = page.evaluate(f"Date.parse('{run['started_at']}') / 1000")
            box = plot(page, "CPU").bounding_box()
            assert box is not None
            share = min(0.98, 1 - (newest(page) - begun) / 300)
            page.touchscreen.tap(box["x"] + share * box["width"], box["y"] + 40)
            page.wait_for_timeout(500)  # two taps in short order would be one of another kind
            return link.count() > 0

        plot(page, "CPU").scroll_into_view_if_needed()
        wait_until(touched, what="the run beside the finger")
        link.tap()
        expect(page).to_have_url(re.compile(f"/history/{task}$"))
        watch.check()


def test_a_page_that_is_hidden_rests_and_catches_up(dashboard: Dashboard, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    dashboard.log_in("/monitor")
    grows(page, 1)

    def hide(hidden: bool) -> None:
        page.evaluate(
            f"Object.defineProperty(document, 'hidden', {{value: {str(hidden).lower()},"
            " configurable: true}), document.dispatchEvent(new Event('visibilitychange'))"
        )

    hide(True)
    stopped_at = newest(page)
    wait_until(lambda: time.time() > stopped_at + 3)
    assert newest(page) <= stopped_at + 1.5
    before = len([url for url in asked if "/resources/history" in url])
    hide(False)
    wait_until(lambda: newest(page) > stopped_at + 3)
    assert len([url for url in asked if "/resources/history" in url]) == before + 1
    comes_true(page, "document.querySelectorAll('.uplot').length >= 6")
