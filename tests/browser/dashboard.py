"""The dashboard as a person uses it: the few things that many tests do.

Runs on: the test's thread.
"""

from __future__ import annotations

import re

from playwright.sync_api import Locator, Page, expect

from tests.support.hub import ADMIN_PASSWORD, wait_until

_COPIED = re.compile("The (whole output|output shown) is copied|The lines around here are copied")

RUN_MS = 30_000
"""How long a run of these tests may take, on a machine that has other work."""


def comes_true(page: Page, expression: str, timeout_s: float = 20.0) -> None:
    """Wait until an expression is true on a page.

    Playwright's own wait evaluates it inside the page, which the content policy forbids.
    """
    wait_until(lambda: page.evaluate(expression), timeout_s=timeout_s, what=expression)


class Dashboard:
    """One page of the dashboard."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def fill_in(self, username: str, password: str) -> None:
        """Fill in the login form and send it."""
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Log in").click()

    def log_in(
        self, path: str = "/", username: str = "admin", password: str = ADMIN_PASSWORD
    ) -> None:
        """Go to a page, log in on the way, and wait until it is connected."""
        self.page.goto(path)
        self.fill_in(username, password)
        self.connected()

    def connected(self) -> None:
        """Wait until the page has its WebSocket."""
        expect(self.page.locator(".connection")).to_have_attribute("data-status", "open")

    def run(self, script: str) -> str:
        """Press a script's Run button on the scripts page, and return the id of the run."""
        self.page.get_by_role("button", name=f"Run {script}", exact=True).click()
        self.page.wait_for_url("**/scripts/run/*")
        return self.page.url.rsplit("/", 1)[1]

    @property
    def run_state(self) -> Locator:
        """The badge of the run that is shown."""
        return self.page.locator(".run-head .badge")

    def run_ends(self, state: str = "Done") -> None:
        """Wait until the run that is shown has come to its end."""
        expect(self.run_state).to_have_text(state, timeout=RUN_MS)

    def terminal_has(self, text: str) -> None:
        """Wait until the output shows a text: the terminal's visible part, or the lines around."""
        shown = self.page.locator(".xterm-rows, .output-rows")
        expect(shown).to_contain_text(text, timeout=RUN_MS)

    def output(self, *, whole: bool = True) -> list[str]:
        """All lines that are copied with one press; ``whole`` waits until no more will come."""
        if whole:
            terminal = self.page.locator("section.terminal")
            expect(terminal).to_have_attribute("aria-busy", "false", timeout=RUN_MS)
        self.page.get_by_role("button", name="Copy").click()
        expect(self.page.get_by_text(_COPIED).first).to_be_visible()
        text: str = self.page.evaluate("navigator.clipboard.readText()")
        return text.splitlines()
