"""The pages of plugins: what bundles are given, how they enter and leave, and how they fail."""

from __future__ import annotations

import json

from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard, comes_true
from tests.browser.plugins import READY_S, drop_told, plugin, wait_ready, write_bundle
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess, wait_until

READY_MS = READY_S * 1000
FAILED = "The page of this plugin cannot be shown"


def bundle(body: str, plugin_id: str = "told") -> str:
    """A bundle with these members."""
    return f"window.ToruPlugins[{plugin_id!r}] = {{ {body} }};"


def test_what_a_plugin_says_of_itself_is_shown_as_text(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    markup = "<img src=x onerror=alert(1)>"
    lines = (f"{markup} plain", json.dumps({"level": "error", "message": markup, "more": markup}))
    drop_told(hub, "told", name=markup, author=f"<b>{markup}", icon="<i>", lines=lines)
    wait_ready(hub, "told")
    dashboard.log_in("/plugins?details=told")
    log = page.get_by_role("log")
    expect(log).to_contain_text(f"{markup} plain")
    expect(log).to_contain_text(f'{markup} more="{markup}"')
    page.keyboard.press("Escape")
    card = page.locator(".plugin")
    expect(card.get_by_role("heading")).to_have_text(markup)
    expect(card).to_contain_text(f"Version 1.0.0 · <b>{markup}")
    expect(card.locator(".plugin-icon")).to_have_text("<i>")
    expect(page.locator(".side")).to_contain_text(markup)
    expect(page.locator("img[src=x]")).to_have_count(0)


def test_a_bundle_that_throws_shows_why_with_the_log_and_can_be_tried_again(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.expect("The page of the plugin told failed")
    drop_told(hub, "told", lines=("last words",), bundle="throw new Error('<b>no</b> page');")
    wait_ready(hub, "told")
    dashboard.log_in("/plugins/told")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text(FAILED)
    expect(alert).to_contain_text("<b>no</b> page")
    expect(alert).to_contain_text("last words")
    write_bundle(hub, "told", bundle("mount() { throw new Error('not yet'); }"))
    page.get_by_role("button", name="Try again").click()
    expect(alert).to_contain_text("not yet")
    write_bundle(hub, "told", bundle("async mount(box) { box.textContent = 'There it is'; }"))
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("There it is")).to_be_visible()
    expect(alert).to_have_count(0)


def test_a_script_that_registers_nothing_and_one_that_is_missing_are_told(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.expect("The page of the plugin told failed")
    watch.expect("status of 404")
    drop_told(hub, "told", bundle="window.nothing = 1;")
    drop_told(hub, "bare", status=404)
    wait_ready(hub, "told")
    wait_ready(hub, "bare")
    dashboard.log_in("/plugins/told")
    expect(page.get_by_role("alert")).to_contain_text('window.ToruPlugins["told"]')
    page.goto("/plugins/bare")
    expect(page.get_by_text("This plugin has no page")).to_be_visible()


LIFE = bundle(
    """
    async mount(box) {
      (window.life ??= []).push('mount');
      await new Promise((resolve) => { window.goOn = resolve; });
      box.textContent = 'The page';
      window.life.push('mounted');
    },
    unmount(box) { window.life.push(`unmount ${box.textContent}`); },
    """
)


def test_a_page_that_is_left_while_it_mounts_is_unmounted_once_before_it_comes_again(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    drop_told(hub, "told", bundle=LIFE)
    wait_ready(hub, "told")
    dashboard.log_in("/plugins/told")
    comes_true(page, "window.life?.length === 1")
    page.get_by_role("link", name="History", exact=True).click()
    page.get_by_role("link", name="told").click()
    page.evaluate("window.goOn()")
    comes_true(page, "window.life.length === 4")
    page.evaluate("window.goOn()")
    expect(page.get_by_text("The page", exact=True)).to_be_visible()
    once = ["mount", "mounted"]
    assert page.evaluate("window.life") == [*once, "unmount The page", *once]
    page.get_by_role("link", name="History", exact=True).click()
    comes_true(page, "window.life.length === 6")


API = bundle(
    """
    async mount(box, api) {
      const asked = [];
      for (const path of ['/logs', 'restart?x=1', '/'])
        asked.push((await (await api.fetch(path, {method: 'POST'})).json()).path);
      await api.kv.set('key', 'value');
      asked.push(await api.kv.get('key'));
      await api.kv.delete('key');
      asked.push(await api.kv.get('key'));
      asked.push(`${api.user.name} ${api.user.role}`, api.theme.value);
      const escaped = await api.fetch('../../../../settings').catch((error) => error.name);
      asked.push(escaped);
      api.path.subscribe((path) => { box.textContent = `At ${path}`; });
      api.theme.subscribe((theme) => { box.dataset.theme = theme; });
      window.asked = asked;
      window.api = api;
    },
    unmount() {},
    """
)


def test_the_api_reaches_the_plugins_own_routes_its_keys_and_its_own_paths(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    drop_told(hub, "told", bundle=API)
    wait_ready(hub, "told")
    page.emulate_media(color_scheme="light")
    dashboard.log_in("/plugins/told/deep/place")
    expect(page.get_by_text("At /deep/place")).to_be_visible()
    expected = ["/logs", "/restart?x=1", "/", "value", None, "admin admin", "light", "TypeError"]
    assert page.evaluate("window.asked") == expected
    page.evaluate("window.api.navigate('settings')")
    expect(page.get_by_text("At /settings")).to_be_visible()
    assert page.url.endswith("/plugins/told/settings")
    page.go_back()
    expect(page.get_by_text("At /deep/place")).to_be_visible()
    page.emulate_media(color_scheme="dark")
    expect(page.locator(".plugin-root")).to_have_attribute("data-theme", "dark")
    page.evaluate("window.api.showToast('<b>Done</b>', 'success')")
    expect(page.locator(".toast[data-kind=success]")).to_contain_text("<b>Done</b>")
    page.evaluate("window.api.navigate('/history')")
    expect(page.get_by_role("heading", name="History")).to_be_visible()
    assert plugin(hub, "told")["figures"]["requests"] >= 3


def test_a_new_version_brings_its_new_page_at_once(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    script = "const WORDS = 'The first page';" + bundle("mount(box) { box.textContent = WORDS; }")
    drop_told(hub, "told", bundle=script)
    wait_ready(hub, "told")
    dashboard.log_in("/plugins/told")
    expect(page.get_by_text("The first page")).to_be_visible()
    page.get_by_role("link", name="History", exact=True).click()
    page.get_by_role("link", name="told").click()
    expect(page.get_by_text("The first page")).to_be_visible()
    drop_told(
        hub,
        "told",
        version="2.0.0",
        bundle="toru_plugin_told = {mount(box) { box.textContent = 'The second page'; }};",
    )
    wait_until(lambda: plugin(hub, "told").get("version") == "2.0.0", timeout_s=READY_S)
    expect(page.get_by_text("The second page")).to_be_visible(timeout=READY_MS)
