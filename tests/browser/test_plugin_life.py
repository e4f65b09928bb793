"""The life of the hello plugin, as a person sees it who has the dashboard open."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.dashboard import Dashboard, comes_true
from tests.browser.plugins import HELLO, READY_S, drop_example, kill, wait_ready
from tests.browser.watch import PageWatch
from tests.plugins.installing import install, quick
from tests.support.hub import HubProcess

NAME = "Hello World (Python)"
BOTH = pytest.mark.parametrize(
    ("example", "name"), [(HELLO, NAME), ("hello-plugin-rust", "Hello World (Rust)")]
)
READY_MS = READY_S * 1000
CONNECTION_LOST = r"WebSocket connection|ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET"

RECORD_WHAT_IS_SHOWN = """
    window.shown = [];
    new MutationObserver(() => {
      const texts = [...document.querySelectorAll('.plugin-trouble, .plugin-links a')]
        .map((element) => element.innerText);
      if (texts.length > 1) window.shown.push(...texts);
    }).observe(document.body, {subtree: true, childList: true, characterData: true})
"""
"""The states of a failure last a second only."""


def card(page: Page, name: str = NAME) -> Locator:
    """The card of a plugin in the list."""
    heading = page.get_by_role("heading", name=name, exact=True)
    return page.locator(".plugin").filter(has=heading)


def link(page: Page, name: str = NAME) -> Locator:
    """The link to a plugin's page in the sidebar."""
    return page.get_by_role("navigation", name="Plugins").get_by_role("link", name=name)


def count(page: Page) -> Locator:
    """The counter on the hello plugin's page."""
    return page.get_by_test_id("hello-count")


def switch(page: Page, name: str = NAME) -> Locator:
    """What turns a plugin on and off."""
    return page.get_by_role("switch", name=f"Enable {name}")


def disable(page: Page, name: str = NAME) -> None:
    """Turn a plugin off, and wait until it is so."""
    switch(page, name).click()
    page.get_by_role("dialog").get_by_role("button", name="Disable", exact=True).click()
    expect(page.get_by_text(f"{name} is disabled.")).to_be_visible(timeout=READY_MS)


def events(page: Page) -> list[str]:
    """What the details say has happened, newest first."""
    page.get_by_role("button", name="Events").click()
    expect(page.locator(".events li").first).to_be_visible()
    return page.locator(".events strong").all_inner_texts()


@BOTH
def test_a_plugin_appears_when_its_file_is_dropped_in_is_used_and_is_switched_off_and_on(
    dashboard: Dashboard, page: Page, hub: HubProcess, example: str, name: str
) -> None:
    dashboard.log_in("/plugins")
    expect(page.get_by_text("No plugins yet")).to_be_visible()
    drop_example(hub, example)
    expect(card(page, name)).to_contain_text("Healthy", timeout=READY_MS)
    expect(card(page, name)).to_contain_text("Version 1.0.0 · Toru")
    link(page, name).click()
    expect(page.get_by_role("heading", name="Hello, admin!")).to_be_visible()
    expect(page).to_have_title(f"{name} · Toru")
    for pressed in ("1", "2", "3"):
        page.get_by_role("button", name="Count one more").click()
        expect(count(page)).to_have_text(pressed)

    page.get_by_role("link", name="Plugins", exact=True).click()
    disable(page, name)
    expect(switch(page, name)).to_have_attribute("aria-checked", "false")
    expect(link(page, name)).to_have_count(0)
    assert page.request.get(f"/api/plugins/{example}/bundle.js").status == 404
    page.goto(f"/plugins/{example}")
    expect(page.get_by_role("heading", name="Not found")).to_be_visible()
    expect(page.get_by_text(f"The plugin {name} is disabled.")).to_be_visible()

    page.get_by_role("link", name="To the plugins").click()
    switch(page, name).click()
    expect(page.get_by_text(f"{name} is enabled and ready.")).to_be_visible(timeout=READY_MS)
    link(page, name).click()
    expect(count(page)).to_have_text("3")


def test_what_a_plugin_stores_survives_a_restart_of_the_hub(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.allow(CONNECTION_LOST)
    watch.allow("status of 50[23]")
    drop_example(hub)
    wait_ready(hub)
    dashboard.log_in(f"/plugins/{HELLO}")
    expect(count(page)).to_have_text("0")
    page.get_by_role("button", name="Count one more").click()
    expect(count(page)).to_have_text("1")
    hub.environment["STEERING_PORT"] = str(hub.port)
    hub.stop()
    expect(page.get_by_text("The connection to the hub is lost.")).to_be_visible()
    hub.start()
    dashboard.connected()
    wait_ready(hub)
    page.get_by_role("button", name="Count one more").click(timeout=READY_MS)
    expect(count(page)).to_have_text("2")


@BOTH
def test_a_plugin_that_is_killed_comes_back_and_so_does_its_page(
    dashboard: Dashboard, page: Page, hub: HubProcess, example: str, name: str
) -> None:
    drop_example(hub, example)
    wait_ready(hub, example)
    dashboard.log_in(f"/plugins/{example}")
    page.get_by_role("button", name="Count one more").click()
    expect(count(page)).to_have_text("1")
    page.evaluate(RECORD_WHAT_IS_SHOWN)
    kill(hub, example)
    comes_true(page, "window.shown.length > 0", READY_S)
    expect(count(page)).to_have_text("1", timeout=READY_MS)
    expect(page.locator(".plugin-trouble")).to_have_count(0)
    shown = "\n".join(page.evaluate("window.shown"))
    assert "This plugin has failed and is started again in a moment" in shown
    assert re.search(rf"{example}\.binary: .*SIGKILL", shown)
    assert f"{name} (Failed, starts again)" in " ".join(shown.split())
    page.get_by_role("button", name="Count one more").click()
    expect(count(page)).to_have_text("2")
    page.get_by_role("link", name="Details").click()
    assert events(page) == ["Started again", "Failed", "Started"]
    expect(page.locator(".plugin-sheet .plugin-figures")).to_contain_text(
        re.compile(r"Restarts\s*1")
    )


def test_a_plugin_whose_file_is_taken_away_is_gone_from_everywhere(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    file = drop_example(hub)
    wait_ready(hub)
    dashboard.log_in(f"/plugins/{HELLO}")
    expect(count(page)).to_have_text("0")
    file.unlink()
    expect(page.get_by_role("heading", name="Not found")).to_be_visible(timeout=READY_MS)
    expect(link(page)).to_have_count(0)
    page.get_by_role("link", name="Plugins", exact=True).click()
    expect(page.get_by_text("No plugins yet")).to_be_visible()


def test_a_restart_is_waited_for_and_told(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    drop_example(hub)
    before = wait_ready(hub)["pid"]
    dashboard.log_in("/plugins")
    page.get_by_role("button", name=f"Restart {NAME}").click()
    expect(page.get_by_text(f"{NAME} is ready again.")).to_be_visible(timeout=READY_MS)
    assert wait_ready(hub)["pid"] != before


def test_a_new_version_that_is_installed_shows_by_itself(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    assert install(hub, quick("shown-v2", "1.0.0"))["state"] == "done"
    dashboard.log_in("/plugins")
    shown = card(page, "Quick shown-v2")
    expect(shown).to_contain_text("Version 1.0.0")
    expect(shown).to_contain_text("Healthy")
    assert install(hub, quick("shown-v2", "2.0.0"))["state"] == "done"
    expect(shown).to_contain_text("Version 2.0.0")
    expect(shown).to_contain_text("Healthy")
    broken = install(hub, quick("shown-v2", "3.0.0", serve='sys.exit("no database")'))
    assert broken["state"] == "failed"
    expect(shown).to_contain_text("Version 2.0.0")
    shown.get_by_role("link", name="Details").click()
    page.get_by_role("button", name="Events").click()
    expect(page.locator(".events")).to_contain_text("Installed")
    expect(page.locator(".events")).to_contain_text("Version 2.0.0 in place of 1.0.0.")
    expect(page.locator(".events")).to_contain_text("Not installed")
