"""The page of the plugin Files in use: choosing a folder, looking, uploading, changing."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard
from tests.browser.plugins import drop_example, wait_ready
from tests.browser.test_looks import SIZES, faults, overflow
from tests.browser.watch import PageWatch
from tests.support.hub import HubProcess

DOT = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
MARKUP = "<img src=x onerror=alert(1)>.txt"
DROP = """
(names) => {
  const data = new DataTransfer();
  for (const name of names) data.items.add(new File([`content of ${name}`], name));
  const target = document.querySelector(".fb");
  const how = {bubbles: true, cancelable: true, dataTransfer: data};
  target.dispatchEvent(new DragEvent("dragover", how));
  target.dispatchEvent(new DragEvent("drop", how));
}
"""


def is_faultless(page: Page, *phone_schemes: Literal["light", "dark"]) -> None:
    """Assert that the page fits and axe finds no fault: on a desk in the other colours."""
    for on_phone in phone_schemes:
        at_desk: Literal["light", "dark"] = "dark" if on_phone == "light" else "light"
        for size, scheme in (("phone", on_phone), ("desk", at_desk)):
            width, height = SIZES[size]
            page.set_viewport_size({"width": width, "height": height})
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            assert (faults(page), overflow(page)) == ([], 0), (size, scheme)


def test_an_admin_chooses_a_folder_looks_around_uploads_and_tidies_up(
    dashboard: Dashboard, page: Page, hub: HubProcess, tmp_path: Path, watch: PageWatch
) -> None:
    for sentence in ("status of 400", "status of 409"):
        watch.expect(sentence)
    shown = tmp_path / "shown"
    (shown / "photos & more/2024").mkdir(parents=True)
    (shown / "photos & more/dot.png").write_bytes(DOT)
    (shown / MARKUP).write_text("<b>plain</b> text\n")
    (shown / "way-out").symlink_to("/etc")
    drop_example(hub, "files")
    wait_ready(hub, "files")
    dashboard.log_in("/plugins/files")

    folder = page.get_by_label("Folder on the server")
    expect(page.get_by_role("heading", name="Choose a folder")).to_be_visible()
    is_faultless(page, "dark")
    folder.fill(str(tmp_path / "none"))
    folder.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="There is no folder")).to_be_visible()
    folder.fill(str(shown))
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("3 entries")).to_be_visible()
    expect(page.get_by_text("a link, which is not followed")).to_be_visible()
    page.get_by_role("button", name=MARKUP, exact=True).click()
    expect(page.get_by_label(f"Text of {MARKUP}")).to_have_text("<b>plain</b> text\n")
    is_faultless(page, "light")
    with page.expect_download() as downloading:
        page.get_by_role("dialog").get_by_role("link", name="Download").click()
    assert Path(downloading.value.path()).read_text() == "<b>plain</b> text\n"
    page.keyboard.press("Escape")

    photos = page.get_by_role("link", name="photos & more")
    photos.focus()
    photos.press("Enter")
    expect(page.locator("[aria-current=page]", has_text="photos & more")).to_be_focused()
    assert page.url.endswith("/plugins/files/browse/photos%20%26%20more")
    page.get_by_role("button", name="dot.png", exact=True).click()
    image = page.get_by_role("img", name="dot.png")
    expect(image).to_be_visible()
    assert image.evaluate("(image) => image.decode().then(() => image.naturalWidth)") == 1
    page.keyboard.press("Escape")

    large = tmp_path / "large.bin"
    large.write_bytes(bytes(range(256)) * 72_000)  # two slices and a bit
    page.get_by_test_id("files-picker").set_input_files(large)
    expect(page.get_by_text("large.bin is uploaded.")).to_be_visible()
    expect(page.get_by_role("button", name="large.bin", exact=True)).to_be_visible()
    assert (shown / "photos & more/large.bin").read_bytes() == large.read_bytes()
    page.evaluate(DROP, ["one.txt", "two.txt", "large.bin"])
    expect(page.get_by_text("There is something of this name already.")).to_be_visible()
    expect(page.get_by_role("button", name="two.txt", exact=True)).to_be_visible()
    is_faultless(page, "dark", "light")
    page.get_by_role("button", name="Replace it").click()
    expect(page.get_by_role("region", name="Uploads")).to_be_hidden()
    assert (shown / "photos & more/large.bin").read_text() == "content of large.bin"

    page.get_by_role("button", name="Rename one.txt").click()
    name = page.get_by_label("New name")
    name.fill("two.txt")
    name.press("Enter")
    expect(page.get_by_role("alert").filter(has_text="of this name already")).to_be_visible()
    name.fill("first.txt")
    name.press("Enter")
    expect(page.get_by_role("button", name="first.txt", exact=True)).to_be_visible()
    page.get_by_role("button", name="Delete two.txt").click()
    is_faultless(page, "dark")
    page.get_by_role("button", name="Keep it").click()
    page.get_by_role("button", name="Delete two.txt").click()
    page.get_by_role("button", name="Delete", exact=True).click()
    expect(page.get_by_text("two.txt is deleted.")).to_be_visible()
    page.get_by_role("button", name="New folder").click()
    page.get_by_label("Name", exact=True).fill("Ünder way")
    page.get_by_role("button", name="Make it").click()
    expect(page.get_by_role("link", name="Ünder way")).to_be_visible()
    inside = sorted(path.name for path in (shown / "photos & more").iterdir())
    assert inside == ["2024", "dot.png", "first.txt", "large.bin", "Ünder way"]
    page.go_back()
    expect(page.get_by_text("3 entries")).to_be_visible()
    is_faultless(page, "light")


def test_a_client_sees_the_files_only_when_they_are_opened_to_clients(
    dashboard: Dashboard, page: Page, hub: HubProcess, tmp_path: Path
) -> None:
    (tmp_path / "many").mkdir()
    for number in range(450):
        (tmp_path / f"many/file-{number:03}").write_text(str(number))
    hub.add_client("anna")
    drop_example(hub, "files")
    wait_ready(hub, "files")
    dashboard.log_in("/plugins/files", "anna", "Client-pass-1")
    expect(page.get_by_text("has not opened the files to you")).to_be_visible()
    choices = {"root": str(tmp_path), "clients_may_read": True}
    hub.http("PUT", "/api/plugins/route/files/api/choices", choices)
    page.reload()
    page.get_by_role("link", name="many").click()
    expect(page.get_by_text("1 to 200 of 450")).to_be_visible()
    page.get_by_role("button", name="Next").click()
    page.get_by_role("button", name="Next").click()
    expect(page.get_by_role("button", name="file-449", exact=True)).to_be_visible()
    expect(page.get_by_text("401 to 450 of 450")).to_be_visible()
    page.get_by_role("button", name="Name").click()
    expect(page.locator("tbody tr").first).to_contain_text("file-449")
    is_faultless(page, "light")
    page.get_by_role("button", name="file-449", exact=True).click()
    expect(page.get_by_label("Text of file-449")).to_have_text("449")
    page.keyboard.press("Escape")
    expect(page.get_by_role("link", name="Download file-449")).to_be_visible()
    for word in ("Upload", "New folder", "Settings"):
        expect(page.get_by_role("button", name=word)).to_have_count(0)
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)
