"""The pages of the plugins Services and Containers, as people use them."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.dashboard import Dashboard
from tests.browser.test_looks import SIZES, faults, overflow
from tests.browser.watch import PageWatch
from tests.support import first_party
from tests.support.fake_systemd import FakeSystemd
from tests.support.hub import HubProcess, wait_until
from tests.support.plugin_files import is_alive
from tests.support.recorded_engine import RecordedEngine, frame, stamped


def looks_right(page: Page) -> None:
    """Look at the page at both sizes, and in both colours."""
    for size, scheme in (("phone", "dark"), ("desk", "light")):
        width, height = SIZES[size]
        page.set_viewport_size({"width": width, "height": height})
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type] # both are schemes
        assert (faults(page), overflow(page)) == ([], 0), (page.url, size, scheme)


def test_services_are_found_stopped_and_their_journal_is_read(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    systemd = FakeSystemd(hub.folder / "bin")
    systemd.write("ssh.service", "Server listening on 0.0.0.0 port 22.")
    systemd.write("ssh.service", "error: kex_exchange_identification", priority=3)
    first_party.install(hub, "systemd-services", PATH=systemd.path)
    dashboard.log_in("/plugins/systemd-services")
    rows = page.get_by_role("list", name="services").get_by_role("listitem")
    expect(rows).to_have_count(9)
    expect(page.get_by_text("9 services: 5 running, 1 failed")).to_be_visible()
    expect(rows.filter(has_text="backup.service")).to_contain_text("Failed")
    looks_right(page)

    box = page.get_by_label("Filter the services")
    box.fill("shell SSH")
    expect(rows).to_have_count(1)
    box.fill("nothing like it")
    expect(page.get_by_text("None of the services fits the filter.")).to_be_visible()
    box.fill("")
    page.get_by_label("Show").select_option("Failed")
    expect(rows).to_have_count(1)
    page.get_by_label("Show").select_option("All services")
    page.get_by_label("own user").check()
    expect(page.get_by_text("loginctl enable-linger")).to_be_visible()
    page.get_by_label("own user").uncheck()

    escaped = rows.get_by_role("link", name="systemd-fsck@")
    escaped.click()
    expect(page.get_by_role("heading", name="systemd-fsck@dev-disk-by\\x2duuid")).to_be_visible()
    page.go_back()
    link = rows.get_by_role("link", name="ssh.service")
    link.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="ssh.service")).to_be_focused()
    expect(page.get_by_text("OpenBSD Secure Shell server")).to_be_visible()
    log = page.get_by_role("list", name="Log of ssh.service")
    expect(log.get_by_role("listitem")).to_have_count(2)
    expect(log).to_contain_text("error: error: kex_exchange_identification")
    systemd.write("ssh.service", "Accepted publickey for anna")
    expect(log).to_contain_text("Accepted publickey for anna")
    expect(page.get_by_text("7 MiB")).to_be_visible()

    page.get_by_role("button", name="Stop").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Stop ssh.service?")
    expect(dialog).to_contain_text("You may lose the connection to this machine.")
    expect(dialog.get_by_role("button", name="Cancel")).to_be_focused()
    looks_right(page)
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    state = page.locator(".tp-card .tp-head").get_by_role("status")
    expect(state).to_have_text("Running")
    page.get_by_role("button", name="Stop").click()
    dialog.get_by_role("button", name="Stop").click()
    expect(state).to_have_text("Stopped")
    expect(page.get_by_text("ssh.service has been stopped. Now: Stopped.")).to_be_visible()
    page.get_by_role("button", name="Start", exact=True).click()
    expect(state).to_have_text("Running")
    page.get_by_role("button", name="All services").click()
    expect(rows).to_have_count(9)
    wait_until(lambda: not any(map(is_alive, systemd.followers)), what="the end of journalctl")

    watch.expect("status of 403")
    rows.get_by_role("link", name="locked.service").click()
    expect(page.get_by_text("Members of the group systemd-journal may.")).to_be_visible()
    page.get_by_role("button", name="Restart").click()
    page.get_by_role("dialog").get_by_role("button", name="Restart").click()
    expect(page.get_by_role("alert")).to_contain_text("who may not do this")
    looks_right(page)
    page.get_by_role("link", name="History", exact=True).click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()

    systemd.behave("absent")
    page.goto("/plugins/systemd-services")
    expect(page.get_by_text("There are no services to show")).to_be_visible()
    expect(page.get_by_text("There is no systemd running on this machine")).to_be_visible()


def test_containers_are_found_stopped_and_their_log_is_read(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch, tmp_path: Path
) -> None:
    path = tmp_path / "e.sock"
    first_party.install(hub, "containers", DOCKER_HOST=f"unix://{path}")
    with RecordedEngine(path) as engine:
        engine.write(
            "web", frame(1, stamped(1, "GET / 200")), frame(2, stamped(2, "upstream gone"))
        )
        dashboard.log_in("/plugins/containers")
        rows = page.get_by_role("list", name="containers").get_by_role("listitem")
        expect(rows).to_have_count(6)
        expect(page.get_by_text("6 containers of Docker: 3 running")).to_be_visible()
        expect(rows.filter(has_text="web")).to_contain_text("Up 3 hours (healthy)")
        looks_right(page)
        page.get_by_label("Filter the containers").fill("8080")
        expect(rows).to_have_count(1)
        rows.get_by_role("link", name="web").click()
        log = page.get_by_role("list", name="Log of web")
        expect(log.get_by_role("listitem")).to_have_count(2)
        expect(log).to_contain_text("error output: upstream gone")
        engine.write("web", frame(1, stamped(3, "GET /later 200")))
        expect(log).to_contain_text("GET /later 200")
        expect(page.get_by_text("/srv/site → /usr/share/nginx/html (read only)")).to_be_visible()
        looks_right(page)
        page.get_by_role("button", name="Stop").click()
        expect(page.get_by_role("dialog")).to_contain_text("ten seconds to end by itself")
        page.get_by_role("dialog").get_by_role("button", name="Stop").click()
        state = page.locator(".tp-card .tp-head").get_by_role("status")
        expect(state).to_have_text("Stopped")
        expect(page.get_by_text("The container has ended, or its log has.")).to_be_visible()
        page.get_by_role("button", name="Start", exact=True).click()
        expect(state).to_have_text("Running")
        expect(page.get_by_text("Live: new lines appear at the end.")).to_be_visible()
        expect(log.get_by_role("listitem")).to_have_count(3)
        page.get_by_role("button", name="All containers").click()
        expect(page.get_by_text("6 containers of Docker: 3 running")).to_be_visible()
        watch.expect("status of 502")
        rows.get_by_role("link", name="broken").click()
        page.get_by_role("button", name="Start", exact=True).click()
        expect(page.get_by_role("alert")).to_contain_text("port is allocated")
        page.get_by_role("button", name="All containers").click()
        expect(rows).to_have_count(6)
    page.reload()
    expect(page.get_by_text("There are no containers to show")).to_be_visible()
    expect(page.get_by_text(re.compile("neither Docker nor Podman"))).to_be_visible()
    looks_right(page)
