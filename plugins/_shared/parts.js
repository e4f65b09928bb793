// What the pages of the plugins in this folder are made of. Each build has it as `parts.js`, and it
// runs inside the function that its page runs in. Text only ever becomes text.

const MAX_LOG_LINES = 2000;

const STYLE = `
.tp { display: grid; gap: var(--space-4); }
.tp button, .tp input, .tp select { font: inherit; }
.tp h2 { margin: 0; font-size: var(--text-l); overflow-wrap: anywhere; }
.tp p, .tp dl, .tp dd, .tp ul, .tp ol { margin: 0; padding: 0; list-style: none; }
.tp-bar { display: flex; flex-wrap: wrap; align-items: end; gap: var(--space-3); }
.tp [hidden] { display: none !important; }
.tp-bar > label { display: grid; gap: var(--space-1); font-weight: 550; }
.tp-bar > .tp-grow { flex: 1 1 16rem; max-inline-size: 28rem; }
.tp-bar > .tp-check { display: flex; align-items: center; gap: var(--space-2);
  min-block-size: 2.375rem; color: var(--muted); }
.tp-check input { inline-size: 1.125rem; min-block-size: 1.125rem; margin: 0;
  accent-color: var(--accent); }
.tp-bar select { inline-size: auto; padding-inline-end: var(--space-2); }
.tp-count { color: var(--muted); }
.tp-card { overflow: hidden; border: 1px solid var(--line); border-radius: var(--radius);
  background: var(--surface); box-shadow: var(--shadow); }
.tp-card[data-padded] { display: grid; gap: var(--space-4); padding: var(--space-4); }
.tp-row { position: relative; display: grid; align-items: center;
  gap: var(--space-1) var(--space-4); padding: var(--space-3) var(--space-4);
  grid-template-columns: minmax(0, 1fr) 8rem 11rem 9.5rem; }
.tp-row + .tp-row { border-block-start: 1px solid var(--line); }
.tp-row:hover { background: var(--surface-2); }
.tp-row a { color: var(--ink); font-weight: 570; text-decoration: none; overflow-wrap: anywhere; }
.tp-row a::after { position: absolute; inset: 0; content: ""; }
.tp-row a:hover { text-decoration: underline; }
.tp-row a:focus-visible { outline: none; }
.tp-row:has(a:focus-visible) { outline: 2px solid var(--accent); outline-offset: -2px; }
.tp-row > * { min-inline-size: 0; overflow-wrap: anywhere; }
.tp-muted { color: var(--muted); }
.tp-row .tp-muted { font-size: var(--text-s); }
.tp-state { justify-self: start; display: inline-flex; align-items: center; gap: 0.375rem;
  padding: 0.0625rem 0.5625rem; border-radius: 1rem; background: var(--idle-soft);
  color: var(--muted); font-size: var(--text-s); font-weight: 600; line-height: 1.6;
  white-space: nowrap; }
.tp-state::before { inline-size: 0.4375rem; block-size: 0.4375rem; border-radius: 50%;
  background: currentcolor; content: ""; }
.tp-state[data-mood="good"] { background: var(--good-soft); color: var(--good); }
.tp-state[data-mood="moving"] { background: var(--accent-soft); color: var(--accent-strong); }
.tp-state[data-mood="warn"] { background: var(--warn-soft); color: var(--warn); }
.tp-state[data-mood="bad"] { background: var(--bad-soft); color: var(--bad); }
.tp-note { padding: var(--space-5) var(--space-4); color: var(--muted); text-align: center;
  text-wrap: balance; overflow-wrap: anywhere; }
.tp-note strong { display: block; margin-block-end: var(--space-1); color: var(--ink);
  font-weight: 570; }
.tp-problem { padding: var(--space-2) var(--space-3); border-radius: var(--radius-s);
  background: var(--bad-soft); color: var(--bad); overflow-wrap: anywhere; }
.tp-head { display: flex; flex-wrap: wrap; align-items: center; gap: var(--space-2) var(--space-3); }
.tp-head > .tp-words { flex: 1 1 14rem; min-inline-size: 0; overflow-wrap: anywhere; }
.tp-actions { display: flex; flex-wrap: wrap; gap: var(--space-2); }
.tp-button { min-block-size: 2.125rem; padding: 0 var(--space-3); cursor: pointer;
  border: 1px solid var(--line-strong); border-radius: var(--radius-s);
  background: var(--surface); color: var(--ink); font-weight: 570 !important; }
.tp-button:hover:enabled { background: var(--surface-2); }
.tp-button:disabled { cursor: default; opacity: 0.55; }
.tp-button[data-kind="danger"] { border-color: currentcolor; color: var(--bad); }
.tp-button[data-kind="danger"]:hover:enabled { background: var(--bad-soft); }
.tp-button[data-kind="primary"] { border-color: transparent; background: var(--accent);
  color: var(--on-accent); }
.tp-button[data-kind="primary"]:hover:enabled { background: var(--accent-strong); }
.tp-back { justify-self: start; }
.tp-facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(12.5rem, 45%), 1fr));
  gap: var(--space-3) var(--space-4); }
.tp-facts dt { color: var(--muted); font-size: var(--text-s); }
.tp-facts dd { overflow-wrap: anywhere; }
.tp-facts .tp-wide { grid-column: 1 / -1; }
.tp-log { position: relative; min-block-size: 8rem; max-block-size: min(32rem, 60vh); margin: 0; overflow: auto; padding: var(--space-2) 0;
  border: 1px solid var(--line); border-radius: var(--radius);
  background: var(--term-background); color: var(--term-foreground);
  font: 400 0.8125rem/1.5 var(--font-mono); }
.tp-log li { display: grid; grid-template-columns: auto minmax(0, 1fr); gap: var(--space-3);
  padding: 0 var(--space-3); }
.tp-log time { color: var(--muted); white-space: nowrap; }
.tp-log span { white-space: pre-wrap; overflow-wrap: anywhere; }
.tp-log li[data-mood="bad"] { box-shadow: inset 3px 0 var(--bad); }
.tp-log li[data-mood="bad"] span { color: var(--bad); }
.tp-log li[data-mood="warn"] { box-shadow: inset 3px 0 var(--warn); }
.tp-log li[data-mood="warn"] span { color: var(--warn); }
.tp-log-part { display: grid; gap: var(--space-2); }
.tp-live { font-size: var(--text-s); color: var(--muted); }
.tp-dialog { inline-size: min(27rem, calc(100vw - 2rem)); padding: var(--space-5);
  border: 1px solid var(--line); border-radius: var(--radius); background: var(--surface);
  color: var(--ink); box-shadow: var(--shadow-high); }
.tp-dialog::backdrop { background: var(--veil); }
.tp-dialog form { display: grid; gap: var(--space-3); }
.tp-dialog .tp-actions { justify-content: flex-end; margin-block-start: var(--space-2); }
.tp-hidden { position: absolute; inline-size: 1px; block-size: 1px; overflow: hidden;
  clip-path: inset(50%); white-space: nowrap; }
@media (max-width: 48rem) {
  .tp-row { grid-template-columns: minmax(0, 1fr) auto; }
  .tp-row > .tp-state { grid-area: 1 / 2; justify-self: end; }
  .tp-row > :nth-child(3) { grid-column: 1; }
  .tp-row > :nth-child(4) { grid-column: 2; justify-self: end; text-align: end; }
  .tp-row > :empty { display: none; }
  .tp-button { min-block-size: 2.5rem; }
  .tp-bar > .tp-grow { flex-basis: 100%; max-inline-size: none; }
  .tp-log li { grid-template-columns: minmax(0, 1fr); gap: 0; padding-block: 0.1875rem; }
  .tp-log time { font-size: var(--text-s); }
}
`;

/**
 * Makes an element.
 * @param {string} name
 * @param {Record<string, any>} properties attributes; `text` is its text, `on…` are listeners
 * @param {...(Node | string)} children
 */
function make(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key === "text") element.textContent = value;
    else if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (typeof value === "boolean") element.toggleAttribute(key, value);
    else if (value !== undefined && value !== null) element.setAttribute(key, String(value));
  }
  element.append(...children);
  return element;
}

/** A state in words, with a colour. */
function stateBadge([word, mood], title) {
  return make("span", { class: "tp-state", "data-mood": mood, text: word, title });
}

/** A sentence in place of what cannot be shown. */
function note(title, text, ...more) {
  return make("div", { class: "tp-note" }, make("strong", { text: title }), text, ...more);
}

/** A table of facts: pairs of name and text; those without a text are left out. */
function factList(facts) {
  const shown = facts.filter(([, text]) => text !== "" && text !== null && text !== undefined);
  return make(
    "dl",
    { class: "tp-facts" },
    ...shown.map(([name, text, isWide]) =>
      make("div", { class: isWide ? "tp-wide" : "" }, make("dt", { text: name }), make("dd", { text })),
    ),
  );
}

/** Asks the plugin; throws an Error with the sentence of its refusal. */
async function ask(api, path, options) {
  let answer;
  try {
    answer = await api.fetch(path, options);
  } catch {
    throw new Error("The dashboard cannot be reached at the moment.");
  }
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Error(body?.error || `The plugin answered with ${answer.status}.`);
  return body;
}

const clockTime = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hourCycle: "h23",
});
const wholeTime = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const agoWords = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const UNITS = [
  ["year", 31_557_600],
  ["month", 2_629_800],
  ["week", 604_800],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
];

/** "3 hours ago", of seconds since 1970. */
function ago(seconds) {
  if (seconds === null || seconds === undefined) return "";
  const passed = Date.now() / 1000 - seconds;
  const [unit, length] = UNITS.find(([, each]) => passed >= each) ?? ["second", 1];
  return agoWords.format(-Math.max(0, Math.round(passed / length)), unit);
}

/** A moment with date and time, and how long ago that was. */
function moment(seconds) {
  if (seconds === null || seconds === undefined) return "";
  return `${wholeTime.format(seconds * 1000)} (${ago(seconds)})`;
}

/** Asks a question in a dialog; resolves to whether it was confirmed. */
function confirmed(root, title, text, verb) {
  const cancel = make("button", { class: "tp-button", value: "", text: "Cancel", autofocus: true });
  const agree = make("button", {
    class: "tp-button",
    "data-kind": "danger",
    value: "yes",
    text: verb,
  });
  const heading = make("h2", { id: "tp-question", text: title });
  const form = make("form", { method: "dialog" }, heading);
  if (text) form.append(make("p", { text }));
  form.append(make("div", { class: "tp-actions" }, cancel, agree));
  const dialog = make("dialog", { class: "tp-dialog", "aria-labelledby": "tp-question" }, form);
  root.append(dialog);
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      dialog.remove();
      resolve(dialog.returnValue === "yes");
    });
    dialog.showModal();
  });
}

/**
 * A log that goes on: the last lines, then what comes. Returns its element, how it is ended, and how
 * it is opened again once it has ended by itself.
 * @param {string} address of an event stream with `line`, `open` and `problem`
 * @param {string} label
 * @param {(line: any) => {mood?: string, word?: string}} read what colour and word a line has
 */
function liveLog(address, label, read) {
  const list = make("ol", { class: "tp-log", tabindex: "0", "aria-label": label });
  const status = make("p", { class: "tp-live", role: "status", text: "Opening the log…" });
  let source = null;
  let isAtEnd = true;
  list.addEventListener("scroll", () => {
    isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 24;
  });

  function add(line) {
    const { mood, word } = read(line);
    const text = make("span", { text: line.text });
    if (word) text.prepend(make("span", { class: "tp-hidden", text: `${word}: ` }));
    const when = line.time_ms ? new Date(line.time_ms) : null;
    const time = make("time", { text: when ? clockTime.format(when) : "" });
    if (when) {
      time.dateTime = when.toISOString();
      time.title = wholeTime.format(when);
    }
    list.append(make("li", { "data-mood": mood }, time, text));
    if (list.childElementCount > MAX_LOG_LINES) list.firstElementChild.remove();
    if (isAtEnd) list.scrollTop = list.scrollHeight;
  }

  function open() {
    list.replaceChildren();
    source = new EventSource(address);
    source.addEventListener("open", () => {
      status.textContent = "Live: new lines appear at the end.";
    });
    source.addEventListener("error", (event) => {
      const isOver = event.target.readyState === EventSource.CLOSED;
      status.textContent = isOver ? "The log cannot be opened." : "Not connected; trying again…";
    });
    source.addEventListener("problem", (event) => {
      event.target.close();
      status.textContent = JSON.parse(event.data).sentence;
    });
    source.addEventListener("line", (event) => add(JSON.parse(event.data)));
  }

  open();
  const head = make("div", { class: "tp-head" }, make("h2", { class: "tp-words", text: "Log" }), status);
  return {
    element: make("div", { class: "tp-log-part" }, head, list),
    close: () => source.close(),
    openAgain: () => {
      if (source.readyState === EventSource.CLOSED) open();
    },
  };
}

/** Calls a function now and then again, while the page is looked at; returns what ends that. */
function whileLookedAt(call, interval_ms) {
  let timer = 0;
  let isEnded = false;
  const again = async () => {
    clearTimeout(timer);
    if (isEnded || document.hidden) return;
    await call();
    clearTimeout(timer);
    if (!isEnded) timer = setTimeout(again, interval_ms);
  };
  document.addEventListener("visibilitychange", again);
  again();
  return () => {
    isEnded = true;
    clearTimeout(timer);
    document.removeEventListener("visibilitychange", again);
  };
}

/**
 * A list of things with a box to filter it, brought up to date while it is looked at.
 * @param {object} options
 * @param {string} options.what the plural, such as "services"
 * @param {() => Promise<{reason?: string, items: any[]}>} options.load
 * @param {(item: any) => {key: string, href: string, search: string, group: string,
 *   cells: Node[]}} options.row
 * @param {[string, string][]} options.groups names of groups and their words
 * @param {(items: any[]) => string} options.count
 * @param {Node[]} [options.more] further controls
 */
function filteredList({ what, load, row, groups, count, more = [] }) {
  const box = make("input", { type: "search", autocomplete: "off", spellcheck: "false" });
  const choice = make(
    "select",
    {},
    ...[["", `All ${what}`], ...groups].map(([value, text]) => make("option", { value, text })),
  );
  const words = make("p", { class: "tp-count", role: "status", text: `Loading the ${what}…` });
  const bar = make(
    "div",
    { class: "tp-bar" },
    make("label", { class: "tp-grow" }, `Filter the ${what}`, box),
    make("label", {}, "Show", choice),
    ...more,
  );
  const place = make("div", { class: "tp-card", hidden: true });
  const rows = new Map();
  let items = [];

  const isWanted = ({ search, group }) =>
    (!choice.value || group === choice.value) &&
    box.value
      .toLowerCase()
      .split(/\s+/)
      .every((part) => search.toLowerCase().includes(part));

  /** Rows stay the same elements while they say the same, so that the focus stays where it is. */
  function rowElement(told) {
    const said = JSON.stringify([told.href, told.cells.map((cell) => cell.outerHTML)]);
    const known = rows.get(told.key);
    if (known?.said === said) return known.element;
    const element = known?.element ?? make("li", { class: "tp-row" });
    const hadFocus = element.contains(document.activeElement);
    element.replaceChildren(...told.cells);
    if (hadFocus) element.querySelector("a")?.focus();
    rows.set(told.key, { said, element });
    return element;
  }

  function draw() {
    const told = items.map(row).filter(isWanted);
    const list = place.querySelector("ul") ?? make("ul", { "aria-label": what });
    const elements = told.map(rowElement);
    const isSame =
      elements.length === list.children.length &&
      elements.every((element, at) => element === list.children[at]);
    if (!isSame) list.replaceChildren(...elements);
    const shown = told.length < items.length ? ` · ${told.length} shown` : "";
    const text = items.length ? count(items) + shown : "";
    if (words.textContent !== text) words.textContent = text;
    if (told.length) {
      if (!list.isConnected) place.replaceChildren(list);
    } else {
      const none = items.length ? `None of the ${what} fits the filter.` : "";
      place.replaceChildren(note(`No ${what}`, none));
    }
  }

  function show({ reason, items: found }) {
    place.hidden = false;
    items = found;
    for (const control of [box, choice]) control.parentElement.hidden = Boolean(reason);
    if (!reason) {
      draw();
      return;
    }
    words.textContent = "";
    if (place.textContent.includes(reason)) return;
    place.replaceChildren(note(`There are no ${what} to show`, reason));
  }

  async function refresh() {
    try {
      show(await load());
    } catch (error) {
      words.textContent = "";
      const problem = make("p", { class: "tp-problem", role: "alert", text: error.message });
      if (!place.hidden && items.length) words.replaceChildren(problem);
      else place.replaceChildren(note(`The ${what} cannot be shown`, error.message));
      place.hidden = false;
    }
  }

  box.addEventListener("input", draw);
  choice.addEventListener("change", draw);
  return { element: make("div", { class: "tp" }, bar, words, place), refresh };
}

/**
 * The page of a plugin that has a list, and a view of each thing in it.
 * @param {string} id
 * @param {(api: any) => {list: () => View, detail: (name: string[]) => View | null}} views where a
 *   View is `{element, close, focus?}`; `detail` returns null for what is no path of a thing
 */
function register(id, views) {
  const pages = new WeakMap();

  function mount(container, api) {
    unmount(container);
    const root = make("div", { class: "tp" });
    container.replaceChildren(make("style", { text: STYLE }), root);
    const made = views(api, root);
    let view = null;
    let isFirst = true;
    const stop = api.path.subscribe((path) => {
      view?.close();
      const parts = path.split("/").filter(Boolean).map(decodeURIComponent);
      view = (parts.length && made.detail(parts)) || made.list();
      root.replaceChildren(view.element);
      if (!isFirst) view.focus?.();
      isFirst = false;
    });
    pages.set(container, () => {
      stop();
      view?.close();
      container.replaceChildren();
    });
  }

  function unmount(container) {
    pages.get(container)?.();
    pages.delete(container);
  }

  window.ToruPlugins = window.ToruPlugins || {};
  window.ToruPlugins[id] = { mount, unmount };
}

/**
 * The view of one thing: its state, facts, what can be done with it, and its log.
 * @param {object} options
 * @param {any} options.api
 * @param {Node} options.root where questions are asked
 * @param {string} options.name
 * @param {string} options.back the words of the link to the list
 * @param {string} options.path of the thing, in the plugin, with its query
 * @param {string} options.logs address of its log
 * @param {(thing: any) => {title: string, subtitle: string, state: [string, string],
 *   facts: any[], actions: [string, boolean][]}} options.tell
 * @param {(action: string, thing: any) => {text: string}} options.question
 * @param {(action: string) => string} options.act address of an action
 * @param {(action: string, result: any) => {thing: any, sentence: string}} options.done
 * @param {(line: any) => {mood?: string, word?: string}} options.readLine
 */
function detailView(options) {
  const { api, root, name, back } = options;
  const isAdmin = api.user.role === "admin";
  const heading = make("h2", { text: name, tabindex: "-1" });
  const subtitle = make("p", { class: "tp-muted" });
  const state = make("span", { role: "status" });
  const actions = make("div", { class: "tp-actions" });
  const problem = make("p", { class: "tp-problem", role: "alert", hidden: true });
  const facts = make("div", {});
  const backLink = make("button", {
    type: "button",
    class: "tp-button tp-back",
    text: `← ${back}`,
    onclick: () => api.navigate(""),
  });
  const card = make(
    "section",
    { class: "tp-card", "data-padded": "" },
    make(
      "div",
      { class: "tp-head" },
      make("div", { class: "tp-words" }, heading, subtitle),
      state,
    ),
    problem,
    facts,
    actions,
  );
  const log = isAdmin
    ? liveLog(options.logs, `Log of ${name}`, options.readLine)
    : {
        element: make("p", { class: "tp-muted", text: "Logs are shown to the admin." }),
        close: () => {},
        openAgain: () => {},
      };
  let thing = null;
  let isBusy = false;
  let isLost = false;

  function fail(text) {
    problem.textContent = text;
    problem.hidden = !text;
  }

  function draw() {
    const told = options.tell(thing);
    heading.textContent = told.title;
    subtitle.textContent = told.subtitle;
    const badge = stateBadge(told.state);
    if (state.textContent !== badge.textContent) state.replaceChildren(badge);
    const list = factList(told.facts);
    if (!facts.firstChild?.isEqualNode(list)) facts.replaceChildren(list);
    if (isAdmin) drawActions(told.actions);
  }

  function drawActions(wanted) {
    for (const [word, isPossible] of wanted) {
      const action = word.toLowerCase();
      let button = actions.querySelector(`[data-action="${action}"]`);
      if (!button) {
        button = make("button", {
          type: "button",
          class: "tp-button",
          "data-kind": action === "stop" ? "danger" : undefined,
          "data-action": action,
          text: word,
          onclick: () => change(action, word),
        });
        actions.append(button);
      }
      button.setAttribute("aria-disabled", String(isBusy));
      button.disabled = !isPossible;
    }
  }

  async function change(action, word) {
    if (isBusy) return;
    const text = options.question(action, thing);
    if (text !== null && !(await confirmed(root, `${word} ${thing.name}?`, text, word))) return;
    isBusy = true;
    fail("");
    state.replaceChildren(stateBadge(["Working…", "moving"]));
    try {
      const result = await ask(api, options.act(action), { method: "POST" });
      const { thing: now, sentence } = options.done(action, result);
      thing = now;
      api.showToast(sentence, result.pending ? "info" : "success");
      if (action !== "stop") log.openAgain();
    } catch (error) {
      fail(error.message);
    } finally {
      isBusy = false;
      await refresh();
    }
  }

  async function refresh() {
    if (isBusy) return;
    try {
      const now = await ask(api, options.path);
      if (isBusy) return;
      if (isLost) fail("");
      isLost = false;
      thing = now;
      draw();
    } catch (error) {
      isLost = true;
      fail(error.message);
    }
  }

  const stop = whileLookedAt(refresh, 5_000);
  return {
    element: make("div", { class: "tp" }, backLink, card, log.element),
    focus: () => heading.focus(),
    close: () => {
      stop();
      log.close();
    },
  };
}
