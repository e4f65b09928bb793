"""How much a page loads before it can be used, and how long that takes; for tests and benchmarks.

Runs on: the test's thread.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from playwright.sync_api import Page

from tests.support.hub import wait_until

SCRIPTS_BUDGET_BYTES = 200_000
"""Of JavaScript, packed, before a terminal or a chart is wanted."""

INTERACTIVE_BUDGET_S = 1.0

LOGIN = "/login", ".login-card input[name=password]"
DASHBOARD = (
    "/",
    '.shell:has(.connection[data-status="open"]):has(.figures[aria-busy="false"])'
    ':has([aria-labelledby="quick"])',
)

_WATCH = """(() => {
  const look = () => {
    if (!document.querySelector(SELECTOR)) return requestAnimationFrame(look);
    // Seen, painted, and the page has nothing else to do: it answers to a press.
    requestAnimationFrame(() => setTimeout(() => { window.usableAfterMs = performance.now(); }));
  };
  look();
})()"""

_LOADED = """() => performance.getEntriesByType('resource')
  .map(({name, encodedBodySize, transferSize}) => [name, encodedBodySize, transferSize])"""


@dataclass(frozen=True)
class Loaded:
    """What a page loaded until it could be used.

    Attributes:
        usable_s: from the start of the navigation until the page answers to a press.
        requests: the page itself and all that it loaded.
        scripts: the packed size of each script in bytes, by its path.
        fetched: the paths that were not in the browser's cache.
    """

    usable_s: float
    requests: int
    scripts: dict[str, int]
    fetched: set[str]

    @property
    def script_bytes(self) -> int:
        """The packed size of all scripts."""
        return sum(self.scripts.values())


def load(page: Page, path: str, selector: str) -> Loaded:
    """Go to a path and measure until an element that the selector names can be used."""
    page.add_init_script(_WATCH.replace("SELECTOR", json.dumps(selector)))
    page.goto(path, wait_until="commit")
    usable_ms = wait_until(
        lambda: page.evaluate("window.usableAfterMs"), timeout_s=30.0, what=f"{path} usable"
    )
    entries = page.evaluate(_LOADED)
    sizes = {_path_of(name): size for name, size, _ in entries}
    return Loaded(
        usable_s=usable_ms / 1000,
        requests=1 + len(entries),
        scripts={path: size for path, size in sizes.items() if path.endswith(".js")},
        fetched={_path_of(name) for name, _, transferred in entries if transferred},
    )


def _path_of(url: str) -> str:
    return "/" + url.partition("?")[0].split("/", 3)[3]
