"""What a plugin's page is given, in the dashboard's own page and in a sandbox alike."""

from __future__ import annotations

import re
from typing import Any

from playwright.sync_api import Frame, Page, expect

from tests.browser.dashboard import Dashboard
from tests.browser.plugins import drop_source, drop_told, plugin, wait_ready
from tests.browser.watch import PageWatch
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
  const came = (name) => new Promise((resolve) => {
    const off = api.events.on(name, () => { off(); resolve(); });
  });
  const off = api.events.on('door', (data, event) => heard.push([data, event.missed]));
  api.events.on('*', (data, event) => all.push(event.name));
  const [half, end] = [came('half'), came('end')];
  await api.events.ready();
  await emit(['door', {open: true}], ['light', 1], ['door', {open: false}], ['half', null]);
  await half;
  off();
  await emit(['door', 'unheard'], ['end', null]);
  await end;
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
        "wrong": "400 The body's field 'limit' is not right: expected 'int' >= 1.",
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
        "all": ["door", "light", "door", "half", "door", "end"],
    }


def check_download(page: Page, frame: Frame) -> None:
    """Follow a link to a file of the plugin's."""
    with page.expect_download() as waiting:
        frame.get_by_role("link", name="A file").click()
    assert waiting.value.suggested_filename == "notes.txt"
    assert waiting.value.path().read_text() == "notes"


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
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    watch.expect("status of 400")
    hub.script("greet.sh", "echo hello\necho oops >&2\nexit 3\n")
    hub.script("nap.sh", "echo begun\nexec sleep 60\n")
    drop_source(hub, "pages")
    wait_ready(hub, "pages")
    page.emulate_media(color_scheme="light")
    dashboard.log_in("/plugins/pages/deep")
    expect(page.get_by_text("At /deep")).to_be_visible()
    check_api(page.main_frame)
    check_download(page, page.main_frame)
    check_look(page, page.main_frame, sandboxed=False)
    assert page.evaluate(RUN) == ENDS

    page.get_by_role("link", name="Details").click()
    switch = page.get_by_role("switch", name="Run its page in a sandbox")
    expect(switch).to_have_attribute("aria-checked", "false")
    with page.expect_event("load"):  # code that has run here is gone only with the page
        switch.click()
    expect(switch).to_have_attribute("aria-checked", "true")
    assert plugin(hub, "pages")["sandbox_forced"] is True

    page.goto("/plugins/pages/deep")
    frame = frame_of(page)
    assert page.evaluate("window.api") is None
    expect(frame.get_by_text("At /deep")).to_be_visible()
    check_api(frame)
    check_download(page, frame)
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


HOSTILE = """
window.ToruPlugins.told = {
  async mount(container, api) {
    const tries = {};
    const attempt = async (name, act) => {
      try { tries[name] = `got ${await act()}`; } catch (error) { tries[name] = error.name; }
    };
    await attempt('parent', () => parent.document.title);
    await attempt('top', () => top.location.pathname);
    await attempt('cookie', () => document.cookie);
    await attempt('localStorage', () => localStorage.length);
    await attempt('session', () => sessionStorage.length);
    await attempt('database', () => indexedDB.open('x').readyState);
    await attempt('fetch', () => fetch('/api/auth/me').then((answer) => answer.text()));
    await attempt('elsewhere', () => fetch('http://192.0.2.1/'));
    await attempt('leave', () => { top.location = '/history'; });
    await attempt('opened', () => { if (!window.open('/history')) throw new RangeError(); });
    await attempt('eval', () => new Function('return 1')());
    await attempt('others', () => api.fetch('/../../pages/echo'));
    await attempt('hub', () => api.fetch('%2e%2e/%2e%2e/%2e%2e/auth/me'));
    await attempt('navigate', () => api.navigate('https://evil.example/'));
    const image = new Promise((resolve, reject) => {
      const element = new Image();
      element.onload = () => resolve('a picture');
      element.onerror = () => reject(new RangeError());
      element.src = '/favicon.svg';
    });
    await attempt('image', () => image);
    window.tries = tries;
    window.asked = [1, 2].map(() => api.run('evil.sh').catch((error) => error.message));
    window.api = api;
  },
};
"""


def test_a_hostile_page_gets_nowhere(
    dashboard: Dashboard, page: Page, hub: HubProcess, watch: PageWatch
) -> None:
    for expected in ("Content Security Policy", "The page of the plugin told failed"):
        watch.expect(expected)
    for noise in ("sandboxed", "Unsafe attempt", "Blocked", "is not in this dashboard", "was not"):
        watch.allow(noise)
    hub.script("evil.sh", "echo pwned\n")
    drop_told(hub, "told", bundle=HOSTILE, sandbox=True)
    assert wait_ready(hub, "told")["sandboxed"] is True
    dashboard.log_in("/plugins/told")
    question = page.get_by_role("heading", name="Run evil.sh?")
    expect(question).to_be_visible()
    page.get_by_role("button", name="Do not run").click()
    found = page.frame(url=re.compile("/plugin-frame$"))
    assert found is not None
    assert found.evaluate("() => Promise.all(window.asked)") == [
        "You did not agree to run evil.sh.",
        "The person was not asked.",
    ]
    assert hub.get("/api/history") == []
    assert found.evaluate("() => window.tries") == {
        **dict.fromkeys(("parent", "top", "leave"), "SecurityError"),
        **dict.fromkeys(("cookie", "localStorage", "session", "database"), "SecurityError"),
        **dict.fromkeys(("fetch", "elsewhere", "others", "hub"), "TypeError"),
        "opened": "RangeError",
        "image": "RangeError",
        "eval": "EvalError",
        "navigate": "got undefined",
    }
    assert len(page.context.pages) == 1
    assert page.url.endswith("/plugins/told")

    found.evaluate("() => { for (let n = 0; n < 20; n += 1) api.showToast(`Look ${n}`); }")
    expect(page.locator(".toast").first).to_be_visible()
    expect(page.locator(".toast")).to_have_count(4)
    found.evaluate("() => { for (let n = 0; n < 9000; n += 1) api.navigate('deep'); }")
    expect(page.get_by_role("alert").first).to_contain_text("sent more messages than a page may")
    expect(page.locator("iframe")).to_have_count(0)
    page.get_by_role("button", name="Try again").click()
    expect(question).to_be_visible()
    page.keyboard.press("Escape")
    found = page.frame(url=re.compile("/plugin-frame$"))
    assert found is not None
    found.evaluate("() => { location.reload(); }")
    expect(page.get_by_role("alert").first).to_contain_text("tried to leave its sandbox")

    page.goto("/plugins?details=told")
    switch = page.get_by_role("switch", name="Run its page in a sandbox")
    expect(switch).to_have_attribute("aria-disabled", "true")
    expect(page.get_by_text("The plugin asks for this itself.")).to_be_visible()
