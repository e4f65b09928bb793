"""Take the pictures in ``docs/screenshots/``: ``.venv/bin/python -m tools.screenshots``.

A real hub runs a few small scripts in a folder of its own, and a real Chromium looks at it.

Runs on: one thread.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.browser.plugins import HELLO, SOURCES, drop_in, drop_told, wait_ready
from tests.support.hub import ADMIN_PASSWORD, HubProcess, wait_until
from tests.support.machine_history import DAY_S
from tests.support.machine_history import furnish as furnish_history
from tools.browser import find_chromium, recorded_chromium
from tools.common import ROOT, say
from toru.cli.plugin_build import build_plugin

TARGET = ROOT / "docs/screenshots"
DESK: ViewportSize = {"width": 1440, "height": 900}
PHONE: ViewportSize = {"width": 390, "height": 844}
Scheme = Literal["light", "dark"]

SCRIPTS = {
    "backup-photos.sh": """#!/bin/sh
# Description: Copies new photos to the second disk and checks them
# Parameter: TARGET =/mnt/backup Where to copy to
i=0
while [ $i -lt 4000 ]; do
  i=$((i + 1))
  if [ $((i % 23)) -eq 0 ]; then
    echo "IMG_$((4000 + i)).jpg: no date in the picture, kept by its file time" >&2
  elif [ $((i % 9)) -eq 0 ]; then
    printf '\\033[32m✓\\033[0m checked %s pictures\\n' "$i"
  else
    echo "copied  2026/11/IMG_$((4000 + i)).jpg"
  fi
  sleep 0.12
done
""",
    "disk-report.sh": """#!/bin/sh
# Description: Shows how full the disks are and what is largest
df -h
du -sh "$PWD"
""",
    "renew-certificates.sh": """#!/bin/sh
# Description: Asks for new certificates where the old ones end soon
echo "example.net: 61 days left"
echo "photos.example.net: the name does not resolve" >&2
exit 1
""",
    "restart-media.sh": """#!/bin/sh
# Description: Restarts the media server when nobody watches
echo "0 streams are open"
sleep 0.4
echo "restarted"
""",
    "sync-mail.sh": """#!/bin/sh
# Description: Fetches new mail for everybody in the house
# Parameter: FOLDER =inbox Which folder
# Parameter: PATIENCE =0.2 Seconds to wait for the server
sleep "$PARAM_PATIENCE"
echo "$PARAM_FOLDER: 3 new letters"
[ "$PARAM_PATIENCE" != 0.90 ]
""",
    "clean-cache.bash": """#!/bin/bash
# Description: Removes downloads that are older than a month
for n in {1..40}; do echo "removed cache/$RANDOM.part"; done
""",
}
PLUGINS: list[dict[str, Any]] = [
    {"plugin_id": "photo-index", "name": "Photo index", "version": "2.3.1", "icon": "storage"},
    {"plugin_id": "garden-pump", "name": "Garden pump", "version": "0.9.0", "icon": "bolt"},
]
ACTIONS = [
    ("Back up photos", "backup-photos.sh", "storage"),
    ("Restart media server", "restart-media.sh", "again"),
    ("Renew certificates", "renew-certificates.sh", None),
    ("Clean the cache", "clean-cache.bash", "trash"),
]


PASSWORD = "Client-pass-1"


def main() -> int:
    """Take all pictures; return 0."""
    chromium = recorded_chromium(ROOT) or find_chromium(os.environ.get("CHROMIUM"))
    if chromium is None:
        say("there is no Chromium; set CHROMIUM to the path of one")
        return 1
    TARGET.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix="toru-") as folder,
        measured_hub(Path(folder)) as hub,
        sync_playwright() as playwright,
    ):
        write_scripts(hub)
        slow_run = furnish_administration(hub)
        long_run = furnish(hub)
        furnish_plugins(hub, Path(folder))
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-gpu"]
        )
        take_all(browser, hub, long_run, slow_run)
        browser.close()
    return 0


def measured_hub(folder: Path) -> HubProcess:
    """Return a hub that has measured its machine for a month, and will be started."""
    hub = HubProcess(folder)
    now = time.time()
    nights = tuple((now - day * DAY_S - 9_000, now - day * DAY_S - 5_400) for day in range(30))
    off = (now - 5 * DAY_S, now - 4.5 * DAY_S)
    furnish_history(hub.data_dir, until=now - 5, days=30, off=off, busy=nights)
    return hub


def write_scripts(hub: HubProcess) -> None:
    """Write the scripts, and quick actions for some of them."""
    for name, text in SCRIPTS.items():
        hub.script(name, text)
    for name, script, icon in ACTIONS:
        hub.http("POST", "/api/quick-actions", {"name": name, "script_path": script, "icon": icon})


def furnish(hub: HubProcess) -> str:
    """Run the scripts; return the run that goes on."""
    for _ in range(2):
        for script in sorted(SCRIPTS):
            if script not in ("backup-photos.sh", "sync-mail.sh"):
                run(hub, script)
    stopped = start(hub, "backup-photos.sh")
    wait_until(lambda: hub.get(f"/api/tasks/{stopped}")["output_size"] > 200)
    hub.http("POST", f"/api/tasks/{stopped}/cancel")
    run_ends(hub, stopped)
    run(hub, "restart-media.sh")
    return start(hub, "backup-photos.sh")


def furnish_administration(hub: HubProcess) -> str:
    """Add users, attempts to log in and a script with a past; return one of its runs."""
    for name, shown in (("lena", "Lena Winter"), ("jonas", "Jonas"), ("guest", "Guest")):
        user = {"username": name, "display_name": shown, "password": PASSWORD}
        made = hub.http("POST", "/api/users", user).json
        hub.http("PUT", f"/api/users/{made['id']}", {"is_active": name != "guest"})
    attempts = [("lena", PASSWORD), ("root", "toor"), ("guest", PASSWORD), ("jonas", PASSWORD)]
    for name, password in [*attempts, *[("lena", "Sommer23")] * 4]:
        login = {"username": name, "password": password}
        hub.http("POST", "/api/auth/login", login, cookie="")
    action = hub.get("/api/quick-actions")[1]
    hub.http("PUT", f"/api/quick-actions/{action['id']}", {"confirm": True})
    tasks = []
    for hundredths in (20, 25, 22, 30, 90, 24, 26, 35, 28, 33, 30, 140, 38, 36):
        args = {"FOLDER": "inbox", "PATIENCE": f"{hundredths / 100:.2f}"}
        body = {"script": "sync-mail.sh", "args": args}
        tasks.append(hub.http("POST", "/api/tasks", body).json["task_id"])
        run_ends(hub, tasks[-1])
    return str(tasks[-3])


def furnish_plugins(hub: HubProcess, folder: Path) -> None:
    """Add plugins, one of them broken, and ask them something."""
    sources = shutil.copytree(SOURCES / HELLO, folder / HELLO)
    program = sources / "plugin.py"
    # Not every machine that takes pictures has a font with emoji.
    program.write_text(re.sub(r'icon="[^"]*"', 'icon="home"', program.read_text("utf-8")), "utf-8")
    drop_in(hub, HELLO, build_plugin(sources, folder / f"{HELLO}.binary").path.read_bytes())
    for plugin in PLUGINS:
        drop_told(hub, author="Jonas", **plugin)
        wait_ready(hub, plugin["plugin_id"])
    drop_in(hub, "door-bell", b"import toru_plugin\n")
    wait_ready(hub)
    for _ in range(40):
        hub.http("POST", "/api/plugins/route/hello-python/api/counter")
        hub.http("GET", "/api/plugins/route/photo-index/")


def start(hub: HubProcess, script: str) -> str:
    """Start a script; return the id of the run."""
    task: str = hub.http("POST", "/api/tasks", {"script": script}).json["task_id"]
    return task


def run(hub: HubProcess, script: str) -> None:
    """Run a script to its end."""
    run_ends(hub, start(hub, script))


def run_ends(hub: HubProcess, task: str) -> None:
    """Wait for the end of a run."""
    wait_until(lambda: hub.get(f"/api/tasks/{task}")["state"] not in ("queued", "running"))


def take_all(browser: Browser, hub: HubProcess, long_run: str, slow_run: str) -> None:
    """Take each picture with the size and the colours that it is to have."""
    wait_until(lambda: hub.get(f"/api/tasks/{long_run}")["output_size"] > 2_000)
    login = open_page(browser, hub, DESK, "light", logged_in=False)
    take(login, "/login", "form", "login")
    for size, viewport in (("", DESK), ("-phone", PHONE)):
        for scheme, suffix in (("light", ""), ("dark", "-dark")):
            page = open_page(browser, hub, viewport, scheme)  # type: ignore[arg-type]  # a literal
            take(page, "/", ".action", f"dashboard{size}{suffix}", samples=20)
            opened = "drawer" if size else "palette"
            take(page, "/", ".action", f"{opened}{suffix}", press="More" if size else "Search")
            take(page, "/account", ".account", f"account{size}{suffix}")
            take(page, f"/scripts/run/{long_run}", ".xterm-rows span", f"run{size}{suffix}")
            take_lines(page, f"/scripts/run/{long_run}", f"output{size}{suffix}")
            take(page, "/history", ".history", f"history{size}{suffix}")
            take(page, f"/history/{slow_run}", ".trend-bar", f"run-detail{size}{suffix}")
            take(page, "/quick-actions", ".action-list li", f"quick-actions{size}{suffix}")
            take(page, "/users", ".users tbody tr", f"users{size}{suffix}")
            take(page, "/login-history", ".logins tbody tr", f"login-history{size}{suffix}")
            take(page, "/settings", ".about dd", f"settings{size}{suffix}")
            take(page, "/monitor?range=6h", ".run-bar", f"monitor{size}{suffix}")
            take(page, "/actors", ".peak-mark", f"actors{size}{suffix}", samples=6)
            take(page, "/plugins", ".plugin:nth-child(4)", f"plugins{size}{suffix}")
            take(page, f"/plugins/{HELLO}", "main button", f"plugin-page{size}{suffix}")
            take(page, f"/plugins?details={HELLO}", ".log li", f"plugin-details{size}{suffix}")
            page.context.close()


def open_page(
    browser: Browser,
    hub: HubProcess,
    viewport: ViewportSize,
    scheme: Scheme,
    logged_in: bool = True,
) -> Page:
    """Open a page of a fresh profile."""
    context = browser.new_context(
        base_url=hub.base_url, viewport=viewport, color_scheme=scheme, locale="en-GB"
    )
    if logged_in:
        body = {"username": "admin", "password": ADMIN_PASSWORD}
        context.request.post("/api/auth/login", data=body)
    return context.new_page()


def take(
    page: Page, path: str, sign: str, name: str, samples: int = 0, press: str | None = None
) -> None:
    """Go to a page, wait until it shows what it has, and take its picture.

    ``samples`` is how many figures its first line is to have; ``press`` a button that opens
    something over the page.
    """
    page.goto(path)
    page.locator(sign).first.wait_for()
    if samples:
        line = page.locator(".sparkline polyline").first
        drawn = re.compile(rf"^(\S+ ){{{samples},}}")
        expect(line).to_have_attribute("points", drawn, timeout=90_000)
    if press is not None:
        page.get_by_role("button", name=press).click()
        page.locator("dialog :is(a, [role=option])").first.wait_for()
    page.evaluate("document.fonts.ready")
    page.screenshot(path=TARGET / f"{name}.png", animations="disabled")
    say(f"docs/screenshots/{name}.png")


def take_lines(page: Page, path: str, name: str) -> None:
    """Go to a run and take a picture of its output as lines, with times and a search in it."""
    page.goto(path)
    page.get_by_role("button", name="Lines").click()
    page.get_by_label("Times").select_option("Time of day")
    page.get_by_role("button", name="Find", exact=True).click()
    page.get_by_role("textbox", name="Find in the output").fill("no date")
    page.locator(".row.found").wait_for()
    page.evaluate("document.fonts.ready")
    page.screenshot(path=TARGET / f"{name}.png", animations="disabled")
    say(f"docs/screenshots/{name}.png")


if __name__ == "__main__":
    sys.exit(main())
