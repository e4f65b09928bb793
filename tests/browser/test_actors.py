"""The actors: their tree, and a peak that is seen."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard
from tests.support.hub import HubProcess

LOGINS = 40


def flood(hub: HubProcess) -> None:
    """Let the password hashers have more to do than they manage."""

    def try_once(number: int) -> int:
        body = {"username": f"nobody-{number}", "password": "wrong"}
        return hub.http("POST", "/api/auth/login", body, cookie="").status

    with ThreadPoolExecutor(LOGINS) as pool:
        assert set(pool.map(try_once, range(LOGINS))) == {401}


def test_the_actors_stand_below_their_supervisors_and_a_flooded_mailbox_is_seen(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("wait.sh", "sleep 60\n")
    tasks = [
        hub.http("POST", "/api/tasks", {"script": "wait.sh"}).json["task_id"] for _ in range(8)
    ]
    dashboard.log_in("/actors")
    manager = page.get_by_role("row", name="task_manager")
    expect(manager).to_contain_text("Running")
    folded = page.get_by_role("button", name=re.compile("^8 . task"))
    expect(folded).to_have_attribute("aria-expanded", "false")
    folded.click()
    expect(page.locator('a[href^="/history/"]')).to_have_count(8)
    one = page.locator(f'tr:has(a[href="/history/{tasks[0]}"])')
    expect(one).to_have_attribute("data-level", "2")
    folded.click()

    hasher = page.get_by_role("row", name="password_hasher_1")
    expect(hasher).to_have_attribute("data-heat", "calm")
    flood(hub)
    peak = hasher.get_by_role("meter", name="Mailbox of password_hasher_1")
    expect(peak).to_have_attribute("aria-valuetext", re.compile(r"at most [1-9]\d+ in the last"))
    expect(hasher).to_have_attribute("data-heat", re.compile("warm|hot"))
    expect(page.get_by_label("All actors together")).to_contain_text("Peak of the last minute")
    page.get_by_role("combobox", name="Show").select_option("busy")
    expect(page.locator("table.actors tbody tr").first).to_contain_text("password_hasher")
    page.get_by_label("Find an actor").fill("writer")
    expect(page.locator("table.actors tbody tr")).to_have_count(1)
    page.get_by_label("Find an actor").fill("<b>")
    expect(page.get_by_text("No such actor")).to_be_visible()


def test_nothing_is_told_while_the_page_is_hidden(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    frames: list[str] = []
    page.on("websocket", lambda ws: ws.on("framesent", lambda frame: frames.append(str(frame))))
    dashboard.log_in("/actors")
    expect(page.locator("table.actors tbody tr").first).to_be_visible()
    hide = (
        "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
        "document.dispatchEvent(new Event('visibilitychange'))"
    )
    page.evaluate(hide % "true")
    page.evaluate(hide % "false")
    page.get_by_role("link", name="History", exact=True).click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    told = [frame for frame in frames if '"actors"' in frame]
    kinds = [re.sub(r'.*"type":"(\w+)".*', r"\1", frame) for frame in told]
    assert kinds == ["subscribe", "unsubscribe"] * 2


TRAILS = """
({ActorTrails}) => {
  const actor = (name, more = {}) => ({name, mailbox_depth: 0, recent_peak: 0, handled: 0,
    busy_s: 0, restarts: 0, refused: 0, dropped: 0, ...more});
  const trails = new ActorTrails();
  const at = (ms, ...actors) => trails.take(actors, ms)[0];
  const first = at(1000, actor('a', {recent_peak: 500, handled: 10, busy_s: 9}));
  const flooded = at(2000, actor('a', {recent_peak: 70, handled: 30, busy_s: 9.5}));
  const calm = at(3000, actor('a', {mailbox_depth: 2, recent_peak: 2, handled: 30, busy_s: 9.5,
    refused: 3}));
  for (let second = 4; second < 62; second += 1)
    at(second * 1000, actor('a', {handled: 30, busy_s: 9.5, refused: 3}));
  const minuteLater = at(62000, actor('a', {handled: 30, busy_s: 9.5, refused: 3}));
  const afterGap = at(90000, actor('a', {recent_peak: 900, handled: 99, busy_s: 20, refused: 3}));
  const another = at(91000, actor('a', {handled: 5, busy_s: 0.1}));
  const seen = ({depth, depthPeak, rate, share, troubles}) =>
    [depth, depthPeak, rate, Math.round(share), troubles];
  return [first, flooded, calm, minuteLater, afterGap, another].map(seen);
}
"""


def test_a_minute_of_an_actor_is_worked_out_from_counts(module: Any) -> None:
    assert module("actor-trails.js", TRAILS) == [
        [0, 0, 0, 0, 0],
        [0, 70, 20, 50, 0],
        [2, 70, 0, 0, 3],
        [0, 2, 0, 0, 3],
        [0, 0, 0, 0, 0],
        [0, 0, 5, 10, 0],
    ]


TREE = """
({linesOf, heat, totals}) => {
  const row = (name, parent = '', more = {}) => ({depth: 0, depthPeak: 0, rate: 1, share: 0,
    sharePeak: 0, depths: [1], shares: [0], troubles: 0, ...more,
    now: {name, parent, actor: 'A', state: 'running', mailbox_limit: 100, handled: 1, restarts: 0,
          refused: 0, dropped: 0, ...more.now}});
  const many = Array.from({length: 7}, (_, i) => row(`task/${i}`, 'boss', {depth: i}));
  const rows = [row('a'), ...many, row('boss'), row('orphan', 'gone', {depthPeak: 60})];
  const shown = (wish) => linesOf(rows, {order: 'tree', search: '', open: new Set(), ...wish})
    .map(({level, row: {now}, group}) => [level, now.name, group?.count ?? 0]);
  return [shown({}), shown({open: new Set(['boss/task'])}).length, shown({search: 'TASK/3'}),
    shown({order: 'mailbox'})[0], rows.map(heat).filter((each) => each === 'hot').length,
    totals(rows).waiting, totals(rows).peakAt];
}
"""


def test_many_actors_of_a_kind_are_folded_below_their_supervisor(module: Any) -> None:
    assert module("actor-tree.js", TREE) == [
        [[0, "a", 0], [0, "boss", 0], [1, "task", 7], [0, "orphan", 0]],
        11,
        [[0, "task/3", 0]],
        [0, "orphan", 0],
        1,
        21,
        "orphan",
    ]
