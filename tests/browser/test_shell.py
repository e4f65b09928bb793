"""The frame around the pages: navigation, palette, drawer, connection, keyboard."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.dashboard import Dashboard
from tests.browser.test_looks import faults
from tests.support.hub import HubProcess

PALETTE = "Control+k"


def focus_is_on(page: Page, locator: Locator) -> None:
    """Wait until an element has the focus."""
    expect(locator).to_be_focused()


FUZZY = """
({fuzzyMatch}) => {
  const rank = (query, texts) => texts
    .map((text) => ({text, match: fuzzyMatch(query, text)}))
    .filter(({match}) => match)
    .sort((a, b) => b.match.score - a.match.score)
    .map(({text}) => text);
  return {
    initials: rank('bp', ['number-plate.sh', 'backup-photos.sh', 'Bring up']),
    start: rank('re', ['disk-report.sh', 'restart-media.sh', 'clean-cache.bash']),
    words: rank('photo back', ['Back up photos', 'Photo index']),
    camel: rank('qa', ['QuickActions', 'squash']),
    letters: fuzzyMatch('hist', 'login History').at,
    caseless: fuzzyMatch('ÄR', 'Später ÄRger').at,
    nothing: fuzzyMatch('xyz', 'history'),
    empty: fuzzyMatch('  ', 'history').at,
    odd: fuzzyMatch('i', 'İstanbul') === null,
  };
}
"""


def test_a_few_letters_find_what_was_meant(module: Any) -> None:
    assert module("fuzzy.js", FUZZY) == {
        "initials": ["backup-photos.sh", "Bring up", "number-plate.sh"],
        "start": ["restart-media.sh", "disk-report.sh"],
        "words": ["Back up photos"],
        "camel": ["QuickActions"],
        "letters": [6, 7, 8, 9],
        "caseless": [7, 8],
        "nothing": None,
        "empty": [],
        "odd": True,
    }


SEARCH = """
({search, pageItems, actionItems, scriptItems, runItems}) => {
  const gone = [], go = (to) => gone.push(to);
  const items = [
    ...actionItems([{id: 1, name: 'Restart media', script_path: 'restart.sh'}], go),
    ...scriptItems([{name: 'restart.sh', description: 'Restarts the media server'},
                    {name: 'report.sh', description: null}], go),
    ...runItems([{id: 'a/b', script_name: 'restart.sh', state: 'failed'}], go),
    ...pageItems(false, go),
  ];
  const names = (query) => search(items, query).map(({group, found}) =>
    `${group}: ${found.map(({item}) => item.name).join(', ')}`);
  search(items, '')[0].found[0].item.run();
  return {unasked: names('').map((line) => line.split(':')[0]), rest: names('rest'),
          words: names('media serv'), page: names('plug'), gone};
}
"""


def test_the_palette_puts_what_fits_best_first_and_what_runs_nothing_before_all(
    module: Any,
) -> None:
    assert module("palette-items.js", SEARCH) == {
        "unasked": ["Recent runs", "Quick actions", "Pages"],
        "rest": [
            "Quick actions: Restart media",
            "Scripts: restart.sh",
            "Recent runs: restart.sh",
        ],
        "words": ["Scripts: restart.sh"],
        "page": ["Pages: Plugins"],
        "gone": ["/history/a%2Fb"],
    }


def test_the_palette_finds_and_does_things_without_a_mouse(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("backup.sh", "# Description: Copies <b>all</b>\necho copied\n")
    hub.script("asked.sh", "echo asked for\n")
    action = {"name": "Ask <i>me</i>", "script_path": "asked.sh", "confirm": True}
    assert hub.http("POST", "/api/quick-actions", action).status == 200
    dashboard.log_in("/history")
    field = page.get_by_role("combobox", name="Go to or run")
    options = page.get_by_role("listbox", name="Found").get_by_role("option")
    chosen = page.locator("#palette-list [aria-selected=true]")

    page.get_by_role("link", name="Plugins").focus()
    page.keyboard.press(PALETTE)
    focus_is_on(page, field)
    expect(page.get_by_role("option", name="Ask <i>me</i>")).to_be_visible()
    expect(options.first).to_have_attribute("aria-selected", "true")
    assert faults(page) == []
    page.keyboard.press("ArrowUp")
    expect(options.last).to_have_attribute("aria-selected", "true")
    page.keyboard.press("ArrowDown")
    expect(options.first).to_have_attribute("aria-selected", "true")
    page.keyboard.press("Escape")
    expect(field).to_have_count(0)
    focus_is_on(page, page.get_by_role("link", name="Plugins"))

    page.get_by_role("button", name="Search").click()
    page.keyboard.type("dash")
    expect(chosen).to_have_text("Dashboard")
    expect(field).to_have_attribute("aria-activedescendant", chosen.get_attribute("id") or "none")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Dashboard", level=1)).to_be_visible()

    page.keyboard.press(PALETTE)
    page.keyboard.type("bckp")
    expect(chosen).to_have_text(re.compile("backup.sh"))
    page.keyboard.press("Enter")
    dashboard.terminal_has("copied")
    dashboard.run_ends()

    page.keyboard.press(PALETTE)
    page.keyboard.type("ask")
    expect(chosen).to_have_text(re.compile("Ask <i>me</i>"))
    page.keyboard.press("Enter")
    question = page.get_by_role("dialog", name="Ask <i>me</i>?")
    question.get_by_role("button", name="Not now").click()
    expect(question).to_have_count(0)
    page.keyboard.press(PALETTE)
    page.keyboard.type("ask")
    page.keyboard.press("Enter")
    question.get_by_role("button", name="Run it").click()
    dashboard.terminal_has("asked for")
    dashboard.run_ends()
    page.keyboard.press("Escape")
    assert [run["script_name"] for run in hub.get("/api/history?output=0")] == [
        "asked.sh",
        "backup.sh",
    ]

    page.keyboard.press(PALETTE)
    page.keyboard.type("zzz")
    expect(page.get_by_text("Nothing fits what you typed.")).to_be_visible()
    page.keyboard.press("Enter")
    expect(field).to_be_visible()
    field.fill("dark")
    page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.locator("meta[name=theme-color]").first).to_have_attribute("content", "#161b23")
    page.keyboard.press(PALETTE)
    page.keyboard.type("log out")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("/login$"))
    page.keyboard.press(PALETTE)
    expect(page.get_by_role("dialog")).to_have_count(0)
