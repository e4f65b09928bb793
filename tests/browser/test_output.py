"""Outputs of any size, looked at as lines: anywhere in them, and searched."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from playwright.sync_api import Locator, Page, expect

from tests.browser.dashboard import RUN_MS, Dashboard, comes_true
from tests.browser.test_looks import faults, overflow
from tests.support.hub import HubProcess, wait_until

MIB = 1024**2
LINES = 1_000_000
LONGEST_TASK_MS = 200
HEAP_BYTES = 300 * MIB

BIG = (
    "awk 'BEGIN { for (i = 1; i <= 1000000; i++) printf "
    + '"%07d '
    + "a line that is long, as those of programs are: " * 4
    + 'end\\n", i }'
    + "'\n"
)
FIRST_SEEN = """
() => {
  const box = document.querySelector('.output-box'), top = box.getBoundingClientRect().top;
  const rows = [...box.querySelectorAll('.row')];
  return rows.find((row) => row.getBoundingClientRect().bottom > top + 1).textContent;
}
"""


def first_seen(page: Page) -> int:
    """The number of the line at the top of the box."""
    return int(page.evaluate(FIRST_SEEN)[:7])


def held_numbers(page: Page) -> list[int]:
    """The numbers of all rows that the page holds."""
    texts: list[str] = page.evaluate(
        "[...document.querySelectorAll('.row')].map((row) => row.textContent)"
    )
    return [int(text[:7]) for text in texts]


def at_line(page: Page, low: int, high: int) -> int:
    """Wait until the top of the box is at one of these lines; return which."""
    found: int = wait_until(
        lambda: (seen := first_seen(page)) and low <= seen <= high and seen,
        what=f"a line from {low} to {high}, not {first_seen(page)}",
    )
    return found


def drag_to(page: Page, share: float) -> None:
    """Drag the thumb of the scrollbar to a part of its way, over several places."""
    bar = page.get_by_role("scrollbar")
    box, thumb = bar.bounding_box(), bar.locator(".thumb").bounding_box()
    assert box is not None
    assert thumb is not None
    x = box["x"] + box["width"] / 2
    page.mouse.move(x, thumb["y"] + thumb["height"] / 2)
    page.mouse.down()
    goal = box["y"] + share * (box["height"] - thumb["height"]) + thumb["height"] / 2
    page.mouse.move(x, goal, steps=12)
    expect(page.locator(".thumb-place")).to_contain_text("% of")
    page.mouse.up()


def run_ended(hub: HubProcess, script: str) -> str:
    """Run a script to its end over HTTP; return the run's id."""
    task: str = hub.http("POST", "/api/tasks", {"script": script}).json["task_id"]
    wait_until(
        lambda: hub.get(f"/api/tasks/{task}")["state"] not in ("queued", "running"), timeout_s=60
    )
    return task


@contextmanager
def tasks_under(limit_ms: float, page: Page) -> Iterator[None]:
    """Fail when a task of the page's main thread takes longer than the limit.

    It is the time on a processor that counts, for the machine may have other work.
    """
    browser = page.context.browser
    assert browser is not None
    browser.start_tracing(page=page, categories=["toplevel"])
    try:
        yield
    finally:
        events = json.loads(browser.stop_tracing())["traceEvents"]
    names = {
        (event["pid"], event["tid"]): event["args"]["name"]
        for event in events
        if event["name"] == "thread_name"
    }
    tasks = [
        event["tdur"] / 1000
        for event in events
        if event["name"] == "ThreadControllerImpl::RunTask"
        and "tdur" in event
        and names.get((event["pid"], event["tid"])) == "CrRendererMain"
    ]
    assert len(tasks) > 100
    assert max(tasks) <= limit_ms


def heap_bytes(page: Page) -> float:
    """What the page's JavaScript holds."""
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable")
    metrics = session.send("Performance.getMetrics")["metrics"]
    session.detach()
    return float({metric["name"]: metric["value"] for metric in metrics}["JSHeapUsedSize"])


def find(page: Page, text: str) -> Locator:
    """Look for a text with the keyboard; return what says how it went."""
    page.keyboard.press("Control+f")
    page.get_by_role("textbox", name="Find in the output").fill(text)
    return page.locator(".find-outcome")


def test_a_run_of_200_mb_is_scrolled_anywhere_and_searched_with_the_page_responsive(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.http("PUT", "/api/settings/max_output_bytes", {"value": str(400 * MIB)})
    hub.script("big.sh", BIG)
    task = run_ended(hub, "big.sh")
    assert hub.get(f"/api/tasks/{task}")["output_size"] == LINES * 200
    dashboard.log_in(f"/history/{task}")
    expect(page.locator(".row").last).to_contain_text(f"{LINES:07}", timeout=RUN_MS)
    with tasks_under(LONGEST_TASK_MS, page):
        scroll_anywhere(page)
        search_through(page)
    assert heap_bytes(page) < HEAP_BYTES


def scroll_anywhere(page: Page) -> None:
    page.locator(".output-box").focus()
    page.keyboard.press("Home")
    at_line(page, 1, 1)
    page.keyboard.press("PageDown")
    at_line(page, 15, 60)
    page.keyboard.press("End")
    at_line(page, LINES - 100, LINES)
    drag_to(page, 0.5)
    middle = at_line(page, LINES // 2 - 40_000, LINES // 2 + 40_000)

    page.locator(".output-box").hover()
    for _ in range(60):
        page.mouse.wheel(0, 400)
    wait_until(lambda: first_seen(page) > middle + 300, what="60 turns of the wheel down")
    for _ in range(90):
        page.mouse.wheel(0, -400)
    wait_until(lambda: first_seen(page) < middle - 100, what="90 turns of the wheel up")
    numbers = held_numbers(page)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) < 1000

    drag_to(page, 0.0)
    at_line(page, 1, 1)


def search_through(page: Page) -> None:
    outcome = find(page, "0734567 A line")
    expect(outcome).to_have_text("1 of 1", timeout=RUN_MS)
    expect(page.locator(".row.found")).to_contain_text("0734567 a line")
    assert page.evaluate("[...CSS.highlights.get('output-current')].map(String)") == [
        "0734567 a line"
    ]
    outcome = find(page, "99999 a")
    expect(outcome).to_have_text("8 of 10", timeout=RUN_MS)
    page.keyboard.press("Enter")
    expect(outcome).to_have_text("9 of 10", timeout=RUN_MS)
    expect(page.locator(".row.found")).to_contain_text("0899999")
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".row.found")).to_contain_text("0699999", timeout=RUN_MS)
    find(page, "nowhere to be found")
    expect(outcome).to_have_text("Nothing found", timeout=RUN_MS)
    page.keyboard.press("Escape")
    expect(page.locator(".find-bar")).to_have_count(0)
    assert page.evaluate("CSS.highlights.size") == 0


def rows(page: Page) -> Locator:
    """The rows that the page holds."""
    return page.locator(".row")


def test_a_run_that_goes_on_is_followed_paused_and_read_with_its_times(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script(
        "tick.sh",
        "i=0; while [ $i -lt 160 ]; do i=$((i + 1)); echo line $i\n"
        "[ $i = 20 ] && echo trouble >&2\n"
        "sleep 0.04; done\n",
    )
    dashboard.log_in("/scripts")
    dashboard.run("tick.sh")
    dashboard.terminal_has("line 3")
    page.get_by_role("button", name="Lines").click()
    expect(rows(page).filter(has_text="line 30")).to_be_visible(timeout=RUN_MS)
    expect(rows(page).filter(has_text="trouble").locator(".stderr")).to_have_text("trouble")
    expect(page.get_by_text("is what the script wrote as errors")).to_be_visible()

    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused.")).to_be_visible()
    page.locator(".output-box").focus()
    page.keyboard.press("Home")
    outcome = find(page, "LINE 10")
    expect(outcome).to_contain_text("1 of 1", timeout=RUN_MS)
    expect(page.locator(".row.found")).to_have_text("line 10")
    page.keyboard.press("Escape")
    expect(page.locator(".output-box")).to_be_focused()

    page.get_by_role("button", name="Follow").click()
    dashboard.run_ends()
    expect(rows(page).last).to_have_text("line 160")
    expected = [f"line {number}" for number in range(1, 161)]
    expected.insert(20, "trouble")
    assert dashboard.output() == expected

    page.get_by_label("Times").select_option("Since start")
    expect(rows(page).last).to_have_attribute("data-time", re.compile(r"^\+0:\d\d\.\d{3}$"))
    page.get_by_role("button", name="Wrap").click()
    page.reload()
    expect(rows(page).last).to_have_attribute("data-time", re.compile(r"^\+0:\d\d\.\d{3}$"))
    expect(page.get_by_role("button", name="Wrap")).to_have_attribute("aria-pressed", "false")
    page.get_by_label("Times").select_option("Time of day")
    expect(rows(page).last).to_have_attribute("data-time", re.compile(r"^\d\d:\d\d:\d\d\.\d{3}$"))
    rows(page).last.select_text()
    page.keyboard.press("Control+c")
    comes_true(page, "navigator.clipboard.readText().then((text) => text === 'line 160')")


def test_whatever_a_script_writes_is_shown_sanely(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script(
        "hostile.sh",
        "printf '<b>markup</b>\\n10%%\\r50%%\\r100%% done\\nnul \\000 bad \\377 end\\n'\n"
        "printf '\\033[1;31mred\\ncarried\\033[0m\\n\\033[48;5;21mground\\033[0m\\n'\n"
        "printf 'a\\342\\202'; sleep 0.1; printf '\\254b\\n'\n"
        "printf 'word%.0s ' $(seq 40000); echo\n"
        "printf '\\033[2Jmoved\\nlast without newline'\n",
    )
    task = run_ended(hub, "hostile.sh")
    dashboard.log_in(f"/history/{task}")
    expect(rows(page).last).to_have_text("last without newline")
    page.locator(".output-box").focus()
    page.keyboard.press("Home")
    expect(rows(page).nth(0)).to_have_text("<b>markup</b>")
    expect(rows(page).nth(1)).to_have_text("100% done")
    expect(rows(page).nth(2)).to_have_text("nul ␀ bad � end")
    expect(rows(page).nth(4).locator(".bold")).to_have_text("carried")
    ground = rows(page).nth(5).locator("span")
    expect(ground).to_have_css("background-color", "rgb(0, 0, 255)")
    expect(rows(page).nth(6)).to_have_text("a€b")
    expect(rows(page).nth(7)).to_have_class(re.compile("cut"))
    assert page.locator(".output-rows b").count() == 0
    lines = dashboard.output()
    assert lines[7] == "word " * 40_000
    assert lines[-2:] == ["moved", "last without newline"]
    page.keyboard.press("End")
    page.locator(".output-box").focus()
    page.keyboard.press("End")
    page.get_by_role("button", name="Show it as a terminal").click()
    dashboard.terminal_has("last without newline")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_role("textbox", name="Find in the output")).to_be_focused()
    page.keyboard.type("carried")
    expect(page.locator(".row.found")).to_have_text("carried", timeout=RUN_MS)
    page.get_by_label("Times").select_option("Time of day")
    assert (faults(page), overflow(page)) == ([], 0)
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".row.found")).to_be_in_viewport()
    assert (faults(page), overflow(page)) == ([], 0)


def test_runs_are_kept_in_tabs_that_are_closed_without_ending_them(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script(
        "deaf.sh", "# Listens to nobody\ntrap '' TERM\necho on; while :; do sleep 0.1; done\n"
    )
    hub.script("quick.sh", "echo done; exit 3\n")
    hub.http("PUT", "/api/settings/cancel_grace_s", {"value": "2"})
    for number in range(8):
        hub.script(f"other-{number}.sh", "# Does other things\ntrue\n")
    dashboard.log_in("/scripts")
    page.get_by_label("Filter the scripts").fill("listens nobody")
    expect(page.locator(".script")).to_have_count(1)
    deaf = dashboard.run("deaf.sh")
    page.get_by_label("Filter the scripts").fill("quick")
    dashboard.run("quick.sh")
    tabs = page.get_by_role("tab")
    expect(tabs).to_have_count(2)
    expect(page.get_by_role("tab", name="quick.sh, Failed")).to_have_attribute(
        "aria-selected", "true"
    )
    dashboard.terminal_has("done")
    page.reload()
    expect(tabs).to_have_count(2)
    page.get_by_role("tab", name="quick.sh, Failed").focus()
    page.keyboard.press("ArrowRight")
    running = page.get_by_role("tab", name="deaf.sh, Running")
    expect(running).to_be_focused()
    expect(running).to_have_attribute("aria-selected", "true")
    expect(page.get_by_role("tabpanel")).to_contain_text("deaf.sh")
    page.keyboard.press("Delete")
    expect(tabs).to_have_count(1)
    expect(page.get_by_role("tab", name="quick.sh, Failed")).to_be_focused()
    assert hub.get(f"/api/tasks/{deaf}")["state"] == "running"

    page.goto(f"/scripts/run/{deaf}")
    expect(tabs).to_have_count(2)
    page.get_by_role("button", name="Cancel").click()
    stages = page.get_by_label("Cancelling")
    expect(stages.locator("[data-now=true]")).to_contain_text(re.compile(r"TERM\) · \d of 2 s"))
    dashboard.run_ends("Cancelled")
    expect(page.get_by_role("tab", name="deaf.sh, Cancelled")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    page.get_by_role("link", name="All scripts").click()
    expect(page.get_by_label("Filter the scripts")).to_be_visible()
    page.get_by_role("tab", name="quick.sh, Failed").click()
    dashboard.run_ends("Failed")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.get_by_role("tab", name="deaf.sh, Cancelled").locator(".run-tab-close").click()
    page.get_by_role("tab", name="quick.sh, Failed").click(button="middle")
    expect(page.get_by_text("Nothing chosen yet")).to_be_visible()
    expect(page).to_have_url(re.compile("/scripts$"))
