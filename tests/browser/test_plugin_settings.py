"""The settings of plugins on the dashboard: the form, what it refuses, and what it never shows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page, expect

import tests.support.settings_plugin
from tests.browser.dashboard import Dashboard
from tests.browser.plugins import READY_S, drop_in, plugin, wait_ready
from tests.browser.test_looks import SIZES, faults, overflow
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess, wait_until

SOURCE = Path(tests.support.settings_plugin.__file__).read_bytes()
TOKEN = "hunter2-is-the-token"
READY_MS = READY_S * 1000
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

FIELDS = """
({fieldsOf, savedEntry, wishOf, placeholder, isSame, savedWords}) => {
  const schema = {type: 'object', required: ['token', 'level', 'sure'], properties: {
    token: {type: 'string', writeOnly: true, title: 'Token'},
    poll_every_s: {type: 'integer', minimum: 1, maximum: 9, default: 5, description: 'How often.'},
    sure: {type: 'boolean'}, loud: {type: 'boolean', default: true},
    level: {type: 'number', enum: [1, 2.5]}, site: {type: 'string', format: 'uri'},
    hosts: {type: 'array', items: {type: 'string'}, default: ['a', 'b']},
    days: {type: 'array', items: {type: 'string', enum: ['mon', 'tue']}},
    key: {type: 'string', format: 'multiline', writeOnly: true},
    constructor: {type: 'string'},
  }};
  const saved = {schema, values: {poll_every_s: 7, site: 'x:y'}, secrets_set: [], unusable: {}};
  const fields = fieldsOf(schema);
  const by = Object.fromEntries(fields.map((field) => [field.name, field]));
  const entries = {};
  const shown = (field) =>
    Object.hasOwn(entries, field.name) ? entries[field.name] : savedEntry(field, saved);
  const first = wishOf(fields, shown, ['token']);
  Object.assign(entries, {token: ' s ', poll_every_s: '', sure: true, loud: false, level: '2.5',
    site: ' ', hosts: ' c \\n\\nd', days: ['tue'], constructor: 'x'});
  const second = wishOf(fields, shown, []);
  Object.assign(entries, {poll_every_s: 'often', level: '', loud: true, hosts: '', days: []});
  const third = wishOf(fields, shown, []);
  return {
    kinds: fields.map((field) => field.kind).join(' '),
    labels: fields.map((field) => field.label).slice(0, 2),
    hints: [by.poll_every_s.hint, by.hosts.hint],
    needed: fields.filter((field) => field.isNeeded).map((field) => field.name),
    placeholders: [placeholder(by.poll_every_s), placeholder(by.hosts), placeholder(by.token)],
    wishes: [first, second, third],
    same: [isSame('1', '1'), isSame(true, 'true'), isSame(['a'], ['a']), isSame([], [''])],
    words: ['live', 'restart', 'start', 'unchanged'].map((applied) => savedWords('P', applied)),
  };
}
"""


def test_a_schema_becomes_fields_and_fields_become_values(module: Any) -> None:
    found = module("plugin-setting-fields.js", FIELDS)
    assert found["kinds"] == ("secret number switch switch choice text lines choices secret text")
    assert found["labels"] == ["Token", "Poll every s"]
    assert found["hints"] == ["How often. From 1 to 9.", "One in each line."]
    assert found["needed"] == ["token", "sure", "level"]
    assert found["placeholders"] == ["5", "a\nb", ""]
    first, second, third = found["wishes"]
    assert first == {"token": None, "poll_every_s": 7, "sure": False, "site": "x:y"}
    assert second == {
        "token": " s ",
        "sure": True,
        "loud": False,
        "level": 2.5,
        "hosts": ["c", "d"],
        "days": ["tue"],
        "constructor": "x",
    }
    assert third == {"token": " s ", "poll_every_s": "often", "sure": True, "constructor": "x"}
    assert found["same"] == [True, False, True, True]
    assert len(set(found["words"])) == 4


def test_an_admin_fills_in_what_a_plugin_needs(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.expect("status of 400")
    drop_in(hub, "set-live-needs", SOURCE)
    wait_until(
        lambda: plugin(hub, "set-live-needs").get("state") == "broken",
        timeout_s=READY_S,
        what="the plugin to say what it needs",
    )
    dashboard.log_in("/plugins")
    page.get_by_role("link", name="Fill in its settings").click()
    form = page.get_by_role("form", name="Settings")
    token, every = form.get_by_label("Token"), form.get_by_label("Look every")
    expect(token).to_have_attribute("type", "password")
    expect(token).to_have_attribute("aria-required", "true")
    expect(every).to_have_attribute("placeholder", "60")
    expect(form.get_by_label("Address")).to_have_attribute("type", "url")

    # What is wrong is said at its field, and the first of them has the focus.
    token.fill("short")
    every.fill("often")
    page.keyboard.press("Enter")
    expect(token).to_be_focused()
    expect(token).to_have_accessible_description("This needs at least 8 characters.")
    expect(every).to_have_accessible_description("This must be a whole number. At least 1.")
    expect(form.get_by_role("status")).to_contain_text("2 settings are not right")
    assert faults(page) == []

    token.fill(TOKEN)
    every.fill("5")
    form.get_by_label("Hosts").fill("one\n\ntwo\n")
    form.get_by_label("Loud").check()
    form.get_by_label("Mode").select_option("thorough")
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_text("is started anew")).to_be_visible()
    expect(form.get_by_text("Set", exact=True)).to_be_visible()
    wait_ready(hub, "set-live-needs")
    pid = plugin(hub, "set-live-needs")["pid"]
    expect(page.locator(".plugin-sheet .badge")).to_have_text("Healthy", timeout=READY_MS)

    # Nothing is lost by a slip, and a change reaches the plugin while it runs.
    form.get_by_label("Share").fill("0.5")
    page.keyboard.press("Escape")
    question = page.get_by_role("dialog", name="Leave without saving?")
    question.get_by_role("button", name="Go on editing").click()
    page.get_by_role("button", name="Log", exact=True).click()
    page.get_by_role("button", name="Settings", exact=True).click()
    expect(form.get_by_label("Share")).to_have_value("0.5")
    form.get_by_role("button", name="Replace").click()
    expect(form.get_by_label("Token")).to_be_focused()
    form.get_by_label("Token").fill(TOKEN + "-2")
    form.get_by_role("button", name="Save").click()
    expect(page.get_by_text("has the new settings")).to_be_visible()
    told = hub.get("/api/plugins/set-live-needs/told")
    whole = {"token": TOKEN, "every_s": 5, "loud": True, "mode": "thorough"}
    whole |= {"hosts": ["one", "two"], "address": "https://example.org/"}
    assert told["told"] == [whole, {**whole, "token": TOKEN + "-2", "share": 0.5}]
    assert told["pid"] == pid

    # A secret that is not needed can go again.
    save = form.get_by_role("button", name="Save")
    form.get_by_label("Passphrase").fill("open sesame")
    save.click()
    expect(save).to_have_count(0)
    form.get_by_role("button", name="Clear").click()
    expect(form.get_by_text("Cleared when you save")).to_be_visible()
    assert faults(page) == []
    save.click()
    expect(save).to_have_count(0)
    expect(form.get_by_label("Passphrase")).to_be_visible()
    told = hub.get("/api/plugins/set-live-needs/told")["told"]
    assert [each.get("phrase") for each in told[-2:]] == ["open sesame", None]

    # The secret is nowhere but with the plugin.
    body = json.dumps([f"{TOKEN}-2 and {TOKEN}\n"]).encode()
    hub.http("POST", "/api/plugins/set-live-needs/print", body)
    page.get_by_role("button", name="Log", exact=True).click()
    expect(page.get_by_role("log")).to_contain_text("••• and •••")
    assert TOKEN not in page.content()
    assert TOKEN.encode() not in hub.http("GET", "/api/plugins/set-live-needs/settings").body
    logs = [path for path in (hub.folder / "logs").rglob("*") if path.is_file()]
    assert not [path for path in logs if TOKEN.encode() in path.read_bytes()]
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("link", name="Fill in its settings")).to_have_count(0)


def test_the_form_fits_and_passes_axe(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.expect("status of 400")
    drop_in(hub, "set-v1", SOURCE)
    wait_ready(hub, "set-v1")
    path = "/api/plugins/set-v1/settings"
    assert hub.http("PUT", path, {"values": {"token": TOKEN}}).status == 200
    wait_ready(hub, "set-v1")
    page.emulate_media(reduced_motion="reduce")
    dashboard.log_in("/plugins?details=set-v1&part=settings")
    form = page.get_by_role("form", name="Settings")
    expect(form.get_by_text("Set", exact=True)).to_be_visible()
    form.get_by_label("Address").fill("no address")
    page.keyboard.press("Enter")
    expect(form.get_by_text("This must be an address")).to_be_visible()
    for width, height in SIZES.values():
        page.set_viewport_size({"width": width, "height": height})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert (faults(page), overflow(page)) == ([], 0)
