"""What a plugin's page is given, in the dashboard's own page and in a sandbox alike."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Frame, Page, expect

from tests.browser.dashboard import Dashboard
from tests.browser.plugins import drop_source, plugin, wait_ready
from tests.support.hub import HubProcess

KEYS = """async () => {
  for (const n of [0, 1, 2, 3, 4]) await api.kv.set(`k/${n}`, String(n));
  const first = await api.kv.list({prefix: 'k/', limit: 3});
  const rest = await api.kv.list({prefix: 'k/', cursor: first.cursor});
  await api.kv.delete('k/0');
  const wrong = await api.kv.list({limit: 0}).catch((error) => `${error.status} ${error.message}`);
  return {
    pages: [first, rest].map(({entries}) => entries.map(({key, value}) => key + value)),
    cursor: rest.cursor, gone: await api.kv.get('k/0'), kept: await api.kv.get('k/4'), wrong,
  };
}"""

REQUESTS = """async () => {
  const sent = new Uint8Array([0, 255, 128, 10]);
  const headers = {'X-Sent': 'yes', 'Content-Type': 'application/x-own'};
  const echo = await api.fetch('/echo', {method: 'POST', body: sent, headers});
  const form = new FormData();
  form.set('name', 'wert');
  const multi = await api.fetch('/echo', {method: 'POST', body: form});
  const control = new AbortController();
  const never = api.fetch('/never', {signal: control.signal}).catch((error) => error.name);
  control.abort();
  return {
    echo: [echo.status, echo.ok, echo.headers.get('content-type'),
           ...['content-type', 'x-sent', 'cookie'].map((name) => echo.headers.get(`x-got-${name}`)),
           [...new Uint8Array(await echo.arrayBuffer())].join()],
    form: (await multi.text()).includes('wert'),
    nothing: (await api.fetch('/nothing')).status,
    never: await never,
    escaped: await api.fetch('../../../../settings').catch((error) => error.name),
  };
}"""

EVENTS = """async () => {
  const heard = [], all = [];
  const emit = (...events) => api.fetch('/emit', {method: 'POST', body: JSON.stringify(events)});
  const off = api.events.on('door', (data, event) => heard.push([data, event.missed]));
  let enough = () => {};
  api.events.on('*', (data, event) => { all.push(event.name); if (data === 'last') enough(); });
  await api.events.ready();
  const done = new Promise((resolve) => { enough = resolve; });
  await emit(['door', {open: true}], ['light', 1], ['door', {open: false}]);
  off();
  await emit(['door', 'unheard'], ['end', 'last']);
  await done;
  return {heard, all};
}"""

RUN = """async () => {
  const run = await api.run('greet.sh');
  const said = {stdout: '', stderr: ''};
  run.onOutput((text, {stream}) => { said[stream] += text; });
  const end = await run.done;
  const long = await api.run('nap.sh');
  const started = new Promise((resolve) => long.onOutput(resolve));
  await started;
  await long.cancel();
  return {said, end, cancelled: await long.done};
}"""

LOOK = "() => [api.theme.scheme, api.theme.value, api.theme.tokens['--surface'], api.sandboxed]"


def check_api(frame: Frame) -> None:
    """Use all of the `api` but what asks the person."""
    assert frame.evaluate(KEYS) == {
        "pages": [["k/00", "k/11", "k/22"], ["k/33", "k/44"]],
        "cursor": None,
        "gone": None,
        "kept": "4",
        "wrong": "400 The request's body is not right: Expected `int` >= 1 - at `$.limit`.",
    }
    assert frame.evaluate(REQUESTS) == {
        "echo": [201, True, "application/x-echo", "application/x-own", "yes", "", "0,255,128,10"],
        "form": True,
        "nothing": 204,
        "never": "AbortError",
        "escaped": "TypeError",
    }
    assert frame.evaluate(EVENTS) == {
        "heard": [[{"open": True}, 0], [{"open": False}, 0]],
        "all": ["door", "light", "door", "door", "end"],
    }


def check_look(page: Page, frame: Frame, *, sandboxed: bool) -> None:
    """See that the page has the dashboard's colours, and follows them."""
    for scheme, surface, drawn in (
        ("dark", "#161b23", "rgb(22, 27, 35)"),
        ("light", "#ffffff", "rgb(255, 255, 255)"),
    ):
        page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]  # one of its literals
        card = frame.locator(f".plugin-root .card[data-scheme={scheme}]")
        expect(card).to_have_css("background-color", drawn)
        assert frame.evaluate(LOOK) == [scheme, scheme, surface, sandboxed]


def frame_of(page: Page) -> Frame:
    """Return the frame of the plugin's page once that is mounted there."""
    expect(page.frame_locator(".plugin-frame").locator(".plugin-root > *")).to_be_visible()
    found = page.frame(url=re.compile("/plugin-frame$"))
    assert found is not None
    return found


ENDS: dict[str, Any] = {
    "said": {"stdout": "hello\n", "stderr": "oops\n"},
    "end": {"code": 3, "cancelled": False},
    "cancelled": {"code": None, "cancelled": True},
}


def test_a_page_uses_its_api_alike_in_the_dashboard_and_in_a_sandbox(
    dashboard: Dashboard, page: Page, hub: HubProcess
) -> None:
    hub.script("greet.sh", "echo hello\necho oops >&2\nexit 3\n")
    hub.script("nap.sh", "echo begun\nsleep 60\n")
    drop_source(hub, "pages")
    wait_ready(hub, "pages")
    page.emulate_media(color_scheme="light")
    dashboard.log_in("/plugins/pages/deep")
    expect(page.get_by_text("At /deep")).to_be_visible()
    check_api(page.main_frame)
    check_look(page, page.main_frame, sandboxed=False)
    assert page.evaluate(RUN) == ENDS

    page.get_by_role("link", name="Details").click()
    switch = page.get_by_role("switch", name="Run its page in a sandbox")
    expect(switch).to_have_attribute("aria-checked", "false")
    page.evaluate("window.before = true")
    switch.click()
    page.wait_for_function("window.before === undefined")
    expect(switch).to_have_attribute("aria-checked", "true")
    assert plugin(hub, "pages")["sandbox_forced"] is True

    page.goto("/plugins/pages/deep")
    frame = frame_of(page)
    assert page.evaluate("window.api") is None
    expect(frame.get_by_text("At /deep")).to_be_visible()
    check_api(frame)
    check_look(page, frame, sandboxed=True)
    away = "() => api.fetch('/away').catch((error) => error.message)"
    assert "leads elsewhere" in frame.evaluate(away)
    frame.evaluate(f"() => {{ window.running = ({RUN})(); }}")
    for script in ("greet.sh", "nap.sh"):
        expect(page.get_by_role("heading", name=f"Run {script}?")).to_be_visible()
        page.get_by_role("button", name="Run", exact=True).click()
    assert frame.evaluate("() => window.running") == ENDS
    frame.evaluate("() => api.showToast('<b>Done</b>', 'success')")
    expect(page.locator(".toast[data-kind=success]")).to_contain_text("Pages: <b>Done</b>")
    frame.get_by_role("link", name="Deeper").click()
    page.wait_for_url("**/plugins/pages/deep")
    frame.evaluate("() => api.navigate('settings')")
    expect(frame.get_by_text("At /settings")).to_be_visible()
    frame.get_by_role("link", name="To the history").click()
    expect(page.get_by_role("heading", name="History")).to_be_visible()

    page.goto("/plugins?details=pages")
    switch.click()
    expect(switch).to_have_attribute("aria-checked", "false")
    page.goto("/plugins/pages")
    expect(page.get_by_text("At /", exact=True)).to_be_visible()
    assert page.evaluate("window.api.sandboxed") is False
