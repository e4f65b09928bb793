// The page of the plugin Files: a folder's entries, what is in a file, and uploads in slices.
(() => {
  const ROUTE = "/api/plugins/route/files/api/";
  const PAGE = "/plugins/files/";
  const PAGE_SIZE = 200;
  const SLICE_BYTES = 8 * 1024 * 1024;
  const UPLOADS_AT_ONCE = 2;
  const TRIES = 6;

  const CSS = `
    .fb { display: grid; gap: var(--space-4, 1rem); }
    .fb p, .fb h2, .fb ul, .fb ol { margin: 0; padding: 0; list-style: none; }
    .fb h2 { font-size: var(--text-l, 1rem); overflow-wrap: anywhere; }
    .fb-bar { display: flex; flex-wrap: wrap; gap: var(--space-2, .5rem); align-items: center; }
    .fb-path { flex: 1 1 14rem; min-inline-size: 0; }
    .fb-path ol { display: flex; flex-wrap: wrap; gap: .125rem .375rem; align-items: center; }
    .fb-path li { display: flex; gap: .375rem; overflow-wrap: anywhere; }
    .fb-path li + li::before { content: "/"; color: var(--muted, #667); }
    .fb-path [aria-current] { font-weight: 620; }
    .fb-button { display: inline-flex; align-items: center; justify-content: center;
      gap: var(--space-2, .5rem); min-block-size: 2.25rem; padding: 0 var(--space-3, .75rem);
      border: 1px solid var(--line-strong, #888); border-radius: var(--radius-s, .4rem);
      background: var(--surface, #fff); color: var(--ink, #222); font: inherit; font-weight: 570;
      text-decoration: none; white-space: nowrap; cursor: pointer; }
    .fb-button:hover:enabled, a.fb-button:hover { background: var(--surface-2, #eee); }
    .fb-button:disabled { opacity: .55; cursor: default; }
    .fb-button.main { border-color: transparent; background: var(--accent, #3450b8);
      color: var(--on-accent, #fff); }
    .fb-button.main:hover:enabled { background: var(--accent-strong, #28409a); }
    .fb-button.bad { border-color: currentcolor; color: var(--bad, #b0261d); }
    .fb-button.icon { inline-size: 2.25rem; padding: 0; border-color: transparent;
      background: none; color: var(--muted, #667); }
    .fb-button.icon:hover { background: var(--surface-2, #eee); color: var(--ink, #222); }
    .fb svg { inline-size: 1.125rem; block-size: 1.125rem; flex: none; fill: none;
      stroke: currentcolor; stroke-width: 1.7; stroke-linecap: round; stroke-linejoin: round; }
    .fb-card { position: relative; border: 1px solid var(--line, #ddd); overflow: hidden;
      border-radius: var(--radius, .6rem); background: var(--surface, #fff); }
    .fb-card.drop { outline: 2px dashed var(--accent, #3450b8); outline-offset: -.375rem; }
    .fb-table { inline-size: 100%; border-collapse: collapse; table-layout: fixed; }
    .fb-table thead td { border-block-end: 1px solid var(--line, #ddd); }
    .fb-table th { padding: .25rem var(--space-2, .5rem); text-align: start; font-weight: 570;
      color: var(--muted, #667); border-block-end: 1px solid var(--line, #ddd); }
    .fb-table th button { border: 0; background: none; color: inherit; font: inherit;
      min-block-size: 2rem; padding: 0 .25rem; cursor: pointer; border-radius: .25rem; }
    .fb-table th button:hover { color: var(--ink, #222); }
    .fb-table td { padding: .25rem .75rem; vertical-align: middle; }
    .fb-table tbody tr + tr td { border-block-start: 1px solid var(--line, #ddd); }
    .fb-table tbody tr:hover { background: var(--surface-2, #eee); }
    .fb-size { inline-size: 7rem; text-align: end !important; font-variant-numeric: tabular-nums; }
    .fb-time { inline-size: 13rem; white-space: nowrap; color: var(--muted, #667); }
    td.fb-size { color: var(--muted, #667); }
    .fb-does { inline-size: 8.5rem; text-align: end; white-space: nowrap; }
    .fb-does.one { inline-size: 4rem; }
    .fb-name { display: flex; gap: var(--space-3, .75rem); align-items: center;
      min-block-size: 2.25rem; min-inline-size: 0; overflow-wrap: anywhere; }
    .fb-name svg { color: var(--muted, #667); }
    .fb-name[data-kind="folder"] svg { color: var(--accent, #3450b8); }
    .fb-name a, .fb-name button { color: var(--ink, #222); font: inherit; font-weight: 550;
      padding: .25rem 0; border: 0; background: none; text-align: start; text-decoration: none;
      cursor: pointer; overflow-wrap: anywhere; }
    .fb-name a:hover, .fb-name button:hover { text-decoration: underline; }
    .fb-sub { display: none; color: var(--muted, #667); font-size: var(--text-s, .75rem); }
    .fb-note { color: var(--muted, #667); }
    .fb-empty { display: grid; justify-items: center; gap: var(--space-3, .75rem);
      padding: var(--space-6, 2rem) var(--space-4, 1rem); text-align: center; }
    .fb-empty > svg { inline-size: 2.25rem; block-size: 2.25rem; color: var(--muted, #667); }
    .fb-empty p { max-inline-size: 34rem; color: var(--muted, #667); text-wrap: balance; }
    .fb .fb-bad { color: var(--bad, #b0261d); }
    .fb-empty form { inline-size: min(100%, 28rem); text-align: start; }
    .fb form { display: grid; gap: var(--space-3, .75rem); }
    .fb label.tick { display: flex; gap: var(--space-2, .5rem); align-items: flex-start; }
    .fb label.tick input { inline-size: 1.125rem; min-block-size: 1.125rem; flex: none;
      margin: .125rem 0 0; accent-color: var(--accent, #3450b8); }
    .fb-foot { display: flex; flex-wrap: wrap; gap: var(--space-2, .5rem); align-items: center;
      justify-content: space-between; min-block-size: 2.25rem; color: var(--muted, #667); }
    .fb-foot > span:last-child { display: flex; gap: var(--space-2, .5rem); }
    .fb-uploads { display: grid; }
    .fb-uploads li { display: grid; grid-template-columns: minmax(0, 1fr) auto; align-items: center;
      gap: .25rem var(--space-3, .75rem); padding: var(--space-2, .5rem) var(--space-3, .75rem); }
    .fb-uploads li + li { border-block-start: 1px solid var(--line, #ddd); }
    .fb-uploads p { overflow-wrap: anywhere; }
    .fb-uploads progress { grid-column: 1 / -1; inline-size: 100%; block-size: .375rem;
      accent-color: var(--accent, #3450b8); }
    .fb-dialog { inline-size: min(28rem, calc(100vw - 2rem)); padding: 0; max-block-size: 92dvh;
      border: 1px solid var(--line, #ddd); border-radius: var(--radius, .6rem);
      background: var(--surface, #fff); color: var(--ink, #222);
      box-shadow: var(--shadow-high, none); }
    .fb-dialog::backdrop { background: var(--veil, rgb(0 0 0 / 40%)); }
    .fb-dialog > * { display: grid; gap: var(--space-3, .75rem); padding: var(--space-5, 1.5rem); }
    .fb-dialog.wide { inline-size: min(60rem, calc(100vw - 2rem)); }
    .fb-actions { display: flex; flex-wrap: wrap; justify-content: flex-end; gap: .5rem; }
    .fb-text { margin: 0; padding: var(--space-3, .75rem); overflow: auto; max-block-size: 62dvh;
      border-radius: var(--radius-s, .4rem); background: var(--surface-2, #eee);
      font: .8125rem/1.5 var(--font-mono, monospace); white-space: pre-wrap;
      overflow-wrap: anywhere; tab-size: 4; }
    .fb-image { display: block; max-inline-size: 100%; max-block-size: 62dvh; margin: auto;
      border-radius: var(--radius-s, .4rem); }
    @media (max-width: 48rem) {
      .fb-size, .fb-time { display: none; }
      .fb-sub { display: block; }
      .fb-table td { padding-inline: .625rem .25rem; }
      .fb-does { inline-size: 7.75rem; }
      .fb-path { flex-basis: 100%; }
      .fb-bar .fb-button.main { flex: 1; }
    }`;

  const ICONS = {
    folder: "M3 7a2 2 0 0 1 2-2h4l2 2h8a2 2 0 0 1 2 2v8a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2z",
    file: "M6 3h8l5 5v13H6zM14 3v5h5",
    link: "M10 14a4 4 0 0 0 6 0l3-3a4 4 0 0 0-6-6l-1 1M14 10a4 4 0 0 0-6 0l-3 3a4 4 0 0 0 6 6l1-1",
    other: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM12 8v5M12 16h.01",
    download: "M12 4v11M7 11l5 5 5-5M5 20h14",
    upload: "M12 16V5M7 9l5-5 5 5M5 20h14",
    pencil: "M4 20l1-4L16 5l3 3L8 19z",
    trash: "M4 7h16M9 7V4h6v3M6 7l1 13h10l1-13M10 11v5M14 11v5",
    plus: "M12 5v14M5 12h14",
    again: "M20 11a8 8 0 1 0-2 6M20 5v6h-6",
    gear: "M4 7h10M18 7h2M4 17h2M10 17h10M16 5v4M8 15v4",
    close: "M6 6l12 12M18 6L6 18",
  };

  // Drawing

  function element(name, properties = {}, ...children) {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(properties)) {
      if (key in made && key !== "list") made[key] = value;
      else made.setAttribute(key, value);
    }
    made.append(...children.filter((child) => child !== null));
    return made;
  }

  function icon(name) {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 24 24");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", ICONS[name]);
    svg.append(path);
    return svg;
  }

  function button(text, onclick, { kind = "", symbol = "" } = {}) {
    const made = element("button", { type: "button", className: `fb-button ${kind}`, onclick });
    if (symbol) made.append(icon(symbol));
    if (kind === "icon") {
      made.setAttribute("aria-label", text);
      made.title = text;
    } else made.append(text);
    return made;
  }

  function sizeText(bytes) {
    if (bytes === null) return "";
    let unit = 0;
    let value = bytes;
    while (value >= 999.5 && unit < 4) {
      value /= 1000;
      unit += 1;
    }
    const digits = unit && value < 9.95 ? 1 : 0;
    return `${value.toFixed(digits)} ${["bytes", "kB", "MB", "GB", "TB"][unit]}`;
  }

  const dates = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
  const timeText = (moment) => (moment ? dates.format(new Date(moment)) : "");

  function nameOf(key) {
    try {
      return decodeURIComponent(key);
    } catch {
      return key;
    }
  }

  const joined = (folder, key) => (folder ? `${folder}/${key}` : key);

  // Asking

  class Refused extends Error {
    constructor(status, code, sentence) {
      super(sentence);
      this.status = status;
      this.code = code;
    }
  }

  async function ask(api, path, options) {
    let answer;
    try {
      answer = await api.fetch(`/api/${path}`, options);
    } catch (error) {
      if (error.name === "AbortError") throw error;
      throw new Refused(0, "away", "Toru cannot be reached. Check the connection.");
    }
    const body = await answer.json().catch(() => ({}));
    if (answer.ok) return body;
    throw new Refused(answer.status, body.code, body.error || `The answer was ${answer.status}.`);
  }

  const query = (values) =>
    Object.entries(values)
      // Keys of entries are encoded already, and once only.
      .map(([name, value]) => `${name}=${name === "path" ? value : encodeURIComponent(value)}`)
      .join("&");

  // Uploads; they go on while the person is on another page of the dashboard

  const uploads = {
    all: [],
    watchers: new Set(),

    changed(upload) {
      for (const watcher of this.watchers) watcher(upload);
    },

    add(api, folder, files) {
      for (const file of files) {
        const upload = { api, folder, file, name: file.name, sent: 0, id: null, error: "" };
        upload.state = "waiting";
        upload.replace = false;
        this.all.push(upload);
      }
      this.next();
    },

    next() {
      this.changed(null);
      const active = this.all.filter((upload) => upload.state === "sending").length;
      const waiting = this.all.filter((upload) => upload.state === "waiting");
      for (const upload of waiting.slice(0, Math.max(0, UPLOADS_AT_ONCE - active))) {
        upload.state = "sending";
        this.run(upload);
      }
    },

    async run(upload) {
      upload.abort = new AbortController();
      try {
        await send(upload, (sent) => {
          upload.sent = sent;
          this.changed(upload);
        });
        upload.state = "done";
        this.all.splice(this.all.indexOf(upload), 1);
        upload.api.showToast(`${upload.name} is uploaded.`, "success");
      } catch (error) {
        if (error.name !== "AbortError") {
          upload.state = error.code === "exists" ? "taken" : "failed";
          upload.error = error.message;
        }
      }
      this.next();
    },

    again(upload, replace = false) {
      upload.replace ||= replace;
      upload.state = "waiting";
      upload.error = "";
      this.next();
    },

    async drop(upload) {
      upload.abort?.abort();
      upload.state = "dropped";
      this.all.splice(this.all.indexOf(upload), 1);
      this.next();
      if (upload.id) await discard(upload);
    },
  };

  /** The part that was on its way may take a moment to be given up. */
  async function discard(upload) {
    for (let attempt = 0; attempt < TRIES; attempt += 1) {
      try {
        await ask(upload.api, `uploads/${upload.id}`, { method: "DELETE" });
        return;
      } catch (error) {
        if (error.code === "no_upload") return;
        await pause(attempt);
      }
    }
  }

  const pause = (attempt) => new Promise((done) => setTimeout(done, 250 * 2 ** attempt));
  const MAY_PASS = new Set([0, 502, 503, 504, 408]);

  async function begin(upload) {
    const { file, folder, name } = upload;
    const values = { path: folder, name, size: file.size, modified: file.lastModified };
    const wish = query({ ...values, replace: upload.replace ? 1 : 0 });
    const begun = await ask(upload.api, `uploads?${wish}`, { method: "POST" });
    upload.id = begun.id;
    return begun.offset;
  }

  async function send(upload, sent) {
    const { file, api } = upload;
    let offset = await begin(upload);
    if (upload.abort.signal.aborted) throw new DOMException("given up", "AbortError");
    let attempt = 0;
    while (offset < file.size) {
      sent(offset);
      try {
        const body = file.slice(offset, offset + SLICE_BYTES);
        const options = { method: "PUT", body, signal: upload.abort.signal };
        ({ offset } = await ask(api, `uploads/${upload.id}?offset=${offset}`, options));
        attempt = 0;
      } catch (error) {
        attempt += 1;
        const mayPass = MAY_PASS.has(error.status) || ["wrong_offset", "busy"].includes(error.code);
        if (!mayPass || attempt >= TRIES) throw error;
        await pause(attempt);
        offset = await ask(api, `uploads/${upload.id}`).then(
          (known) => known.offset,
          () => offset,
        );
      }
    }
    sent(file.size);
    await ask(api, `uploads/${upload.id}/finish`, { method: "POST" });
  }

  // The page

  class Page {
    constructor(container, api) {
      this.api = api;
      this.folder = "";
      this.offset = 0;
      this.sort = "name";
      this.order = "asc";
      this.turn = 0;
      this.root = element("div", { className: "fb" });
      container.replaceChildren(element("style", { textContent: CSS }), this.root);
    }

    async start() {
      this.watch = (upload) => this.showUploads(upload);
      uploads.watchers.add(this.watch);
      await this.enter();
    }

    stop() {
      this.stopped = true;
      uploads.watchers.delete(this.watch);
      this.leavePath?.();
    }

    async enter() {
      this.leavePath?.();
      try {
        this.state = await ask(this.api, "state");
      } catch (error) {
        this.showTrouble(error.message);
        return;
      }
      if (this.stopped) return;
      if (!this.state.may_read) {
        const text = "The administrator of this server has not opened the files to you.";
        this.showEmpty("folder", "Nothing to see here yet", text);
      } else if (!this.state.is_ready) this.showUnset();
      else {
        this.drawFrame();
        this.leavePath = this.api.path.subscribe((path) => this.goTo(path));
      }
    }

    goTo(path) {
      const folder = path.startsWith("/browse/") ? path.slice(8).replace(/\/+$/, "") : "";
      this.folder = folder;
      this.offset = 0;
      this.load();
    }

    showEmpty(symbol, title, text, ...more) {
      const head = element("h2", { textContent: title });
      const words = element("p", { textContent: text });
      const box = element("div", { className: "fb-empty" }, icon(symbol), head, words, ...more);
      this.root.replaceChildren(element("section", { className: "fb-card" }, box));
    }

    showTrouble(sentence) {
      const again = button("Try again", () => this.enter(), { symbol: "again" });
      this.showEmpty("other", "The files cannot be shown", sentence, again);
    }

    showUnset() {
      const { problem, may_change: mayChange } = this.state;
      if (!mayChange) {
        const text = "Ask the administrator of this server to choose a folder for you to see here.";
        this.showEmpty("folder", "No folder is chosen", text);
        return;
      }
      const text =
        "This page shows one folder of the server and all that is in it; nothing outside of it can " +
        "be reached. Enter where the folder is. It must be there already.";
      const title = problem ? "The folder cannot be used" : "Choose a folder";
      const trouble = problem ? element("p", { className: "fb-bad", textContent: problem }) : null;
      this.showEmpty(
        "folder",
        title,
        text,
        trouble,
        this.choicesForm(() => this.enter()),
      );
    }

    choicesForm(done, cancel = null) {
      const { root, clients_may_read: mayRead } = this.state;
      const input = element("input", {
        name: "root",
        value: root ?? "",
        placeholder: "/srv/files",
        spellcheck: false,
        required: true,
        autocomplete: "off",
      });
      const tick = element("input", { type: "checkbox", checked: mayRead });
      const fault = element("p", { className: "fb-bad", role: "alert" });
      const save = element("button", { type: "submit", className: "fb-button main" }, "Save");
      const form = element(
        "form",
        {},
        element("label", {}, "Folder on the server", input),
        element("label", { className: "tick" }, tick, "Clients may browse, view and download"),
        fault,
        element("div", { className: "fb-actions" }, cancel, save),
      );
      form.onsubmit = async (event) => {
        event.preventDefault();
        save.disabled = true;
        fault.textContent = "";
        const wish = { clients_may_read: tick.checked, root: input.value };
        try {
          await ask(this.api, "choices", { method: "PUT", body: JSON.stringify(wish) });
          done();
        } catch (error) {
          fault.textContent = error.message;
          save.disabled = false;
          input.focus();
        }
      };
      return form;
    }

    drawFrame() {
      const { may_change: mayChange } = this.state;
      this.path = element("nav", { className: "fb-path", "aria-label": "Folder" });
      const picker = element("input", { type: "file", multiple: true, hidden: true });
      picker.dataset.testid = "files-picker";
      picker.onchange = () => {
        uploads.add(this.api, this.folder, [...picker.files]);
        picker.value = "";
      };
      const again = () => this.load();
      const bar = element("div", { className: "fb-bar" }, this.path);
      if (mayChange) {
        bar.append(
          picker,
          button("Upload", () => picker.click(), { kind: "main", symbol: "upload" }),
          button("New folder", () => this.askFolder(), { symbol: "plus" }),
          button("Settings", () => this.askChoices(), { kind: "icon", symbol: "gear" }),
        );
      }
      bar.append(button("Load again", again, { kind: "icon", symbol: "again" }));
      this.list = element("section", { className: "fb-card", "aria-label": "Files" });
      this.status = element("span", { role: "status" });
      this.pager = element("span");
      const foot = element("div", { className: "fb-foot" }, this.status, this.pager);
      this.going = element("section", { className: "fb-card", "aria-label": "Uploads" });
      this.root.replaceChildren(bar, this.going, this.list, foot);
      if (mayChange) this.takeDrops();
      this.showUploads(null);
    }

    takeDrops() {
      const { root, list } = this;
      const hasFiles = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
      root.ondragover = (event) => {
        if (!hasFiles(event)) return;
        event.preventDefault();
        list.classList.add("drop");
      };
      root.ondragleave = (event) => {
        if (!root.contains(event.relatedTarget)) list.classList.remove("drop");
      };
      root.ondrop = (event) => {
        list.classList.remove("drop");
        if (!hasFiles(event)) return;
        event.preventDefault();
        const items = [...event.dataTransfer.items].filter((item) => item.kind === "file");
        const files = items.filter((item) => !item.webkitGetAsEntry?.()?.isDirectory);
        if (files.length < items.length) {
          const words =
            "Folders cannot be uploaded whole. Make the folder here, and drop its files.";
          this.api.showToast(words, "error");
        }
        uploads.add(this.api, this.folder, files.map((item) => item.getAsFile()).filter(Boolean));
      };
    }

    async load() {
      const turn = ++this.turn;
      const { folder: path, sort, order, offset } = this;
      const isNew = this.shown !== path;
      this.drawPath();
      this.list.setAttribute("aria-busy", "true");
      let found;
      try {
        const wish = query({ path, sort, order, offset, limit: PAGE_SIZE });
        found = await ask(this.api, `list?${wish}`);
      } catch (error) {
        if (turn === this.turn && !this.stopped) this.showListTrouble(error);
        return;
      } finally {
        if (turn === this.turn) this.list.removeAttribute("aria-busy");
      }
      if (turn !== this.turn || this.stopped) return;
      if (offset && offset >= found.total) {
        this.offset = 0;
        this.load();
        return;
      }
      const hadFocus = this.list.contains(document.activeElement);
      this.shown = path;
      this.drawList(found);
      if (hadFocus && isNew) this.path.querySelector("[aria-current]").focus();
    }

    showListTrouble(error) {
      const words = element("p", { textContent: error.message, role: "alert" });
      const again = button("Try again", () => this.enter(), { symbol: "again" });
      const box = element("div", { className: "fb-empty" }, icon("other"), words, again);
      this.list.replaceChildren(box);
      this.status.textContent = "";
      this.pager.replaceChildren();
    }

    drawPath() {
      const keys = this.folder ? this.folder.split("/") : [];
      const items = ["Files", ...keys.map(nameOf)].map((name, index) => {
        if (index === keys.length) {
          const here = element("span", { textContent: name, tabIndex: -1 });
          here.setAttribute("aria-current", "page");
          return element("li", {}, here);
        }
        const to = index ? `browse/${keys.slice(0, index).join("/")}` : "";
        return element("li", {}, element("a", { href: PAGE + to, textContent: name }));
      });
      this.path.replaceChildren(element("ol", {}, ...items));
    }

    drawList({ entries, total, offset }) {
      if (total === 0) {
        const words = this.state.may_change
          ? "This folder is empty. Upload something, or drop files here."
          : "This folder is empty.";
        const text = element("p", { textContent: words });
        this.list.replaceChildren(element("div", { className: "fb-empty" }, icon("folder"), text));
      } else {
        const body = element("tbody", {}, ...entries.map((entry) => this.row(entry)));
        this.list.replaceChildren(element("table", { className: "fb-table" }, this.head(), body));
      }
      const last = offset + entries.length;
      const count = total.toLocaleString();
      const range = `${(offset + 1).toLocaleString()} to ${last.toLocaleString()} of ${count}`;
      const isWhole = total <= entries.length;
      this.status.textContent = isWhole ? `${count} ${total === 1 ? "entry" : "entries"}` : range;
      this.pager.replaceChildren(...(isWhole ? [] : this.pagerButtons(offset, total)));
    }

    pagerButtons(offset, total) {
      const turnTo = (to) => {
        this.offset = to;
        this.load();
        this.list.scrollIntoView({ block: "nearest" });
      };
      const back = button("Previous", () => turnTo(Math.max(0, offset - PAGE_SIZE)));
      const on = button("Next", () => turnTo(offset + PAGE_SIZE));
      back.disabled = offset === 0;
      on.disabled = offset + PAGE_SIZE >= total;
      return [back, on];
    }

    head() {
      const column = (sort, text, className) => {
        const isOne = this.sort === sort;
        const mark = isOne ? (this.order === "asc" ? " ↑" : " ↓") : "";
        const by = element("button", { type: "button", textContent: text + mark });
        by.onclick = () => {
          this.order = isOne && this.order === "asc" ? "desc" : "asc";
          this.sort = sort;
          this.offset = 0;
          this.load().then(() => this.list.querySelector(`[data-sort=${sort}] button`)?.focus());
        };
        const cell = element("th", { scope: "col", className }, by);
        cell.dataset.sort = sort;
        if (isOne) cell.ariaSort = this.order === "asc" ? "ascending" : "descending";
        return cell;
      };
      const does = `fb-does ${this.state.may_change ? "" : "one"}`;
      const last = element("td", { className: does });
      const cells = [column("name", "Name", ""), column("size", "Size", "fb-size")];
      const row = element("tr", {}, ...cells, column("modified", "Changed", "fb-time"), last);
      return element("thead", {}, row);
    }

    row(entry) {
      const key = joined(this.folder, entry.key);
      const size = sizeText(entry.size);
      const time = timeText(entry.modified);
      const sub = element("div", { className: "fb-sub" });
      sub.textContent = [size, time].filter(Boolean).join(" · ");
      const label = element("div", {}, this.entryLink(entry, key), sub);
      const name = element("div", { className: "fb-name" }, icon(entry.kind), label);
      name.dataset.kind = entry.kind;
      return element(
        "tr",
        {},
        element("td", {}, name),
        element("td", { className: "fb-size", textContent: size }),
        element("td", { className: "fb-time", textContent: time }),
        element("td", { className: "fb-does" }, ...this.entryActions(entry, key)),
      );
    }

    entryLink(entry, key) {
      const textContent = entry.name;
      if (entry.kind === "folder") {
        return element("a", { href: `${PAGE}browse/${key}`, textContent });
      }
      if (entry.kind !== "file") {
        const why = entry.kind === "link" ? "a link, which is not followed" : "no ordinary file";
        return element(
          "span",
          {},
          `${entry.name} `,
          element("span", { className: "fb-note" }, `(${why})`),
        );
      }
      const onclick = () => this.view(entry, key);
      return element("button", { type: "button", textContent, onclick });
    }

    entryActions(entry, key) {
      const actions = [];
      if (entry.kind === "file") actions.push(this.downloadLink(entry, key, "fb-button icon"));
      if (this.state.may_change) {
        const rename = () => this.askName(entry, key);
        const remove = () => this.askRemove(entry, key);
        actions.push(
          button(`Rename ${entry.name}`, rename, { kind: "icon", symbol: "pencil" }),
          button(`Delete ${entry.name}`, remove, { kind: "icon", symbol: "trash" }),
        );
      }
      return actions;
    }

    downloadLink(entry, key, className) {
      const href = `${ROUTE}download?path=${key}`;
      const link = element("a", { className, href, download: entry.name }, icon("download"));
      if (className.includes("icon")) {
        link.title = `Download ${entry.name}`;
        link.setAttribute("aria-label", link.title);
      } else link.append("Download");
      return link;
    }

    // Dialogs

    open(title, wide, draw) {
      const heading = element("h2", { textContent: title, id: "fb-dialog-title" });
      const box = element("div", {}, heading);
      const dialog = element("dialog", { className: `fb-dialog ${wide ? "wide" : ""}` }, box);
      dialog.setAttribute("aria-labelledby", heading.id);
      dialog.onclose = () => dialog.remove();
      const close = () => dialog.close();
      box.append(...draw(close));
      this.root.append(dialog);
      dialog.showModal();
      return dialog;
    }

    /** Asks for a name, and goes on asking until it is taken. */
    askText(title, label, value, word, act) {
      this.open(title, false, (close) => {
        const input = element("input", { value, required: true, autocomplete: "off" });
        input.spellcheck = false;
        const fault = element("p", { className: "fb-bad", role: "alert" });
        const save = element("button", { type: "submit", className: "fb-button main" }, word);
        const actions = element("div", { className: "fb-actions" }, button("Cancel", close), save);
        const form = element("form", {}, element("label", {}, label, input), fault, actions);
        form.onsubmit = async (event) => {
          event.preventDefault();
          save.disabled = true;
          try {
            await act(input.value);
            close();
            this.load();
          } catch (error) {
            fault.textContent = error.message;
            save.disabled = false;
            input.focus();
          }
        };
        return [form];
      });
    }

    askFolder() {
      const path = this.folder;
      this.askText("New folder", "Name", "", "Make it", (name) =>
        ask(this.api, `folders?${query({ path, name })}`, { method: "POST" }),
      );
    }

    askName(entry, path) {
      this.askText(`Rename ${entry.name}`, "New name", entry.name, "Rename", (name) =>
        ask(this.api, `rename?${query({ path, name })}`, { method: "POST" }),
      );
    }

    askRemove(entry, path) {
      const isFolder = entry.kind === "folder";
      this.open(`Delete ${entry.name}?`, false, (close) => {
        const words = isFolder
          ? "The folder and all that is in it will be gone. This cannot be undone."
          : "This cannot be undone.";
        const remove = button("Delete", act, { kind: "bad" });
        const fault = element("p", { className: "fb-bad", role: "alert" });
        const keep = button("Keep it", close);
        keep.autofocus = true;
        const load = () => this.load();
        const { api } = this;
        async function act() {
          remove.disabled = true;
          try {
            await ask(api, `entry?path=${path}`, { method: "DELETE" });
            close();
            api.showToast(`${entry.name} is deleted.`, "success");
          } catch (error) {
            fault.textContent = error.message;
            remove.disabled = false;
          }
          load();
        }
        const actions = element("div", { className: "fb-actions" }, keep, remove);
        return [element("p", { textContent: words }), fault, actions];
      });
    }

    askChoices() {
      this.open("Settings of Files", false, (close) => {
        const done = () => {
          close();
          this.api.showToast("The settings are saved.", "success");
          this.enter();
        };
        return [this.choicesForm(done, button("Cancel", close))];
      });
    }

    view(entry, key) {
      this.open(entry.name, true, (close) => {
        const content = element("div", {}, element("p", { textContent: "Loading…" }));
        content.setAttribute("aria-live", "polite");
        const actions = element(
          "div",
          { className: "fb-actions" },
          this.downloadLink(entry, key, "fb-button"),
          button("Close", close, { kind: "main" }),
        );
        ask(this.api, `preview?path=${key}`).then(
          (found) => content.replaceChildren(...this.preview(entry, key, found)),
          (error) => content.replaceChildren(element("p", { textContent: error.message })),
        );
        return [content, actions];
      });
    }

    preview(entry, key, { kind, text, truncated, size }) {
      const note = (words) => element("p", { className: "fb-note", textContent: words });
      if (kind === "image") {
        const src = `${ROUTE}image?path=${key}`;
        return [element("img", { className: "fb-image", alt: entry.name, src })];
      }
      if (kind !== "text") {
        const why = kind === "large_image" ? "This image is too large" : "This is no text or image";
        return [note(`${why} to be shown here (${sizeText(size)}). Download it to open it.`)];
      }
      if (size === 0) return [note("The file is empty.")];
      const shown = element("pre", { className: "fb-text", textContent: text, tabIndex: 0 });
      shown.setAttribute("role", "region");
      shown.setAttribute("aria-label", `Text of ${entry.name}`);
      return truncated ? [shown, note(`The beginning of ${sizeText(size)}.`)] : [shown];
    }

    // Uploads

    showUploads(upload) {
      if (!this.going) return;
      if (upload?.row?.isConnected && upload.state === "sending") {
        upload.bar.value = upload.sent;
        upload.words.textContent = uploadText(upload);
        return;
      }
      const rows = uploads.all.map((one) => this.uploadRow(one));
      this.going.hidden = rows.length === 0;
      this.going.replaceChildren(element("ul", { className: "fb-uploads" }, ...rows));
      const count = rows.length;
      if (this.uploadCount > count) this.load();
      this.uploadCount = count;
    }

    uploadRow(upload) {
      const words = element("p", { className: "fb-note", textContent: uploadText(upload) });
      if (upload.state === "failed") words.className = "fb-bad";
      const name = element("p", { textContent: upload.name });
      const drop = button(`Give up ${upload.name}`, () => uploads.drop(upload), {
        kind: "icon",
        symbol: "close",
      });
      const actions = element("div", { className: "fb-bar" });
      if (upload.state === "taken") {
        actions.append(button("Replace it", () => uploads.again(upload, true)));
      }
      if (upload.state === "failed") {
        actions.append(button("Try again", () => uploads.again(upload), { symbol: "again" }));
      }
      actions.append(drop);
      const row = element("li", {}, element("div", {}, name, words), actions);
      if (upload.state === "sending" || upload.state === "waiting") {
        const max = Math.max(1, upload.file.size);
        upload.bar = element("progress", { max, value: upload.sent });
        upload.bar.setAttribute("aria-label", `Upload of ${upload.name}`);
        row.append(upload.bar);
      }
      upload.row = row;
      upload.words = words;
      return row;
    }
  }

  function uploadText({ state, sent, file, error }) {
    if (state === "waiting") return `Waits, ${sizeText(file.size)}`;
    if (state === "sending") return `${sizeText(sent)} of ${sizeText(file.size)}`;
    return state === "taken" ? "There is something of this name already." : error;
  }

  /** What `unmount` has to end, by container. */
  const pages = new WeakMap();

  async function mount(container, api) {
    unmount(container);
    const page = new Page(container, api);
    pages.set(container, page);
    await page.start();
  }

  function unmount(container) {
    pages.get(container)?.stop();
    pages.delete(container);
    container.replaceChildren();
  }

  window.ToruPlugins = window.ToruPlugins || {};
  window.ToruPlugins.files = { mount, unmount };
})();
