"""Outputs of any size, looked at as lines: anywhere in them, and searched."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.browser.dashboard import RUN_MS, Dashboard
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
WATCH_TASKS = """
() => {
  window.tasks = [];
  new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.tasks.push(entry.duration);
  }).observe({type: 'longtask'});
}
"""
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


def longest_task_ms(page: Page) -> float:
    """The longest task of the page; the browser tells only those of 50 ms and more."""
    tasks: list[float] = page.evaluate("window.tasks")
    return max(tasks, default=0.0)


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
    page.evaluate(WATCH_TASKS)

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

    assert longest_task_ms(page) <= LONGEST_TASK_MS
    assert heap_bytes(page) < HEAP_BYTES
