"""The settings, in words and units."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess

MIB = 1024 * 1024


def values(hub: HubProcess) -> dict[str, str]:
    settings = hub.get("/api/settings")["settings"]
    return {setting["key"]: setting["value"] for setting in settings}


def test_settings_are_changed_in_their_units_and_refusals_stand_at_their_fields(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.expect("400")
    dashboard.log_in("/settings")
    output = page.get_by_label("Output kept of one run")
    limit = page.get_by_label("Time limit of a run")
    expect(output).to_have_value("64")
    changeable = [each for each in hub.get("/api/settings")["settings"] if not each["read_only"]]
    expect(page.locator(".setting")).to_have_count(len(changeable))
    output.fill("0")
    limit.fill("5400")
    page.get_by_label("What a script leaves running").select_option("leave")
    row = page.locator(".setting", has=limit)
    expect(row).to_contain_text("= 1 h 30 min")
    expect(row).to_contain_text("Not saved yet")
    expect(page.get_by_role("status")).to_contain_text("3 changes are not saved yet.")
    page.get_by_role("button", name="Save").click()
    refused = page.locator(".setting", has=output)
    expect(refused).to_contain_text("This must be a number of MB from 1 to 1,048,576.")
    expect(output).to_be_focused()
    expect(output).to_have_attribute("aria-invalid", "true")
    saved = values(hub)
    assert (saved["run_time_limit_s"], saved["leftover_policy"]) == ("5400", "leave")
    assert saved["max_output_bytes"] == str(64 * MIB)

    output.fill("1.5")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Saved, and in force.")).to_be_visible()
    expect(page.locator(".save-bar")).to_have_count(0)
    assert values(hub)["max_output_bytes"] == str(MIB * 3 // 2)
    page.reload()
    expect(output).to_have_value("1.5")
    refused.get_by_role("button", name="Reset to the default: 64 MB").click()
    expect(output).to_have_value("64")
    page.get_by_role("button", name="Discard").click()
    expect(output).to_have_value("1.5")


def test_another_scripts_folder_is_in_force_at_once_and_the_page_says_where_things_are(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.expect("400")
    page.set_viewport_size({"width": 390, "height": 844})
    elsewhere = hub.folder / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "other.sh").write_text("echo other\n")
    dashboard.log_in("/settings")
    folder = page.get_by_label("Scripts folder")
    folder.fill(str(hub.folder / "no-such-folder"))
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".field-error")).to_be_visible()
    folder.fill(str(elsewhere))
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved, and in force.")).to_be_visible()
    assert hub.get("/api/scripts") == ["other.sh"]
    about = page.get_by_role("region", name="About")
    expect(about).to_contain_text("Toru 0.")
    expect(about).to_contain_text(str(hub.data_dir))
    about.get_by_role("button", name="Copy: Data folder").click()
    assert page.evaluate("navigator.clipboard.readText()") == str(hub.data_dir)


def test_a_setting_without_words_is_shown_with_its_key_and_the_hubs_description(
    module: Any,
) -> None:
    code = """({fieldOf, grouped, refusalAt, meaning, inWords, toShown, toStored}) => {
      const setting = (key, more = {}) =>
        ({key, value: '1', default: '1', description: 'What it does.', read_only: false, ...more});
      const odd = setting('brand_new_thing');
      const groups = grouped([setting('leftover_policy'), odd, setting('id', {read_only: true})]);
      const days = fieldOf(setting('history_retention_days'));
      const size = fieldOf(setting('max_output_bytes'));
      return [fieldOf(odd), groups.map((group) => [group.title, group.settings[0].key]),
        refusalAt(fieldOf(odd), odd.key, 'The setting brand_new_thing must be a colour.'),
        meaning(days, '0'), meaning(days, ''), inWords(days, '7'), meaning(size, '3221225472'),
        toShown(size, '1572864'), toStored(size, ' 1.5 '), toStored(size, 'much')];
    }"""
    assert module("setting-fields.js", code) == [
        {"label": "Brand new thing", "help": "What it does."},
        [["Runs", "leftover_policy"], ["More", "brand_new_thing"]],
        "This must be a colour.",
        "for ever",
        "",
        "7 days",
        "3.0 GB",
        "1.5",
        "1572864",
        "much",
    ]
