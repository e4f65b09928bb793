// The inside of a sandbox: runs a plugin's bundle, and carries what it asks of `api` to the
// dashboard around it. It stands inline in a document without an origin, so it imports nothing.
// Runs on: the frame of a plugin's page.
/** @typedef {import("../../sdk/js/toru-plugin").EventInfo} EventInfo */
/** @typedef {import("../../sdk/js/toru-plugin").OutputPiece} OutputPiece */
/** @typedef {import("../../sdk/js/toru-plugin").PluginApi} PluginApi */
/** @typedef {import("../../sdk/js/toru-plugin").PluginPage} PluginPage */
/** @typedef {import("../../sdk/js/toru-plugin").PluginTheme} PluginTheme */
/** @typedef {import("../../sdk/js/toru-plugin").RunEnd} RunEnd */

(() => {
  /** @typedef {{scheme: "light" | "dark", tokens: Record<string, string>}} Look */
  /** @typedef {{name: string, message: string, status?: number}} Problem */

  const CALLS_AT_ONCE = 32;
  /** How long what is being saved is kept for the browser to read. */
  const KEPT_MS = 60_000;
  const NO_BODY = [204, 205, 304];

  /** @type {MessagePort} */
  let port;

  /** @param {Problem} problem */
  function errorOf({ name, message, status }) {
    const error =
      name === "TypeError"
        ? new TypeError(message)
        : name === "AbortError"
          ? new DOMException(message, "AbortError")
          : new Error(message);
    return status === undefined ? error : Object.assign(error, { status });
  }

  // Calls

  let lastCall = 0;
  /** @type {Map<number, {resolve: (value: any) => void, reject: (error: Error) => void}>} */
  const calls = new Map();
  /** @type {(() => void)[]} */
  const waiting = [];

  /**
   * @param {string} method
   * @param {unknown[]} args
   * @param {AbortSignal} [signal]
   * @returns {Promise<any>}
   */
  async function call(method, args, signal) {
    while (calls.size >= CALLS_AT_ONCE) {
      await new Promise((resolve) => waiting.push(() => resolve(undefined)));
    }
    signal?.throwIfAborted();
    lastCall += 1;
    const id = lastCall;
    const abort = () => port.postMessage({ type: "abort", id });
    try {
      return await new Promise((resolve, reject) => {
        calls.set(id, { resolve, reject });
        port.postMessage({ type: "call", id, method, args });
        signal?.addEventListener("abort", abort);
      });
    } finally {
      signal?.removeEventListener("abort", abort);
      calls.delete(id);
      waiting.shift()?.();
    }
  }

  /** Asks for something that nobody waits for. @param {string} method @param {unknown[]} args */
  const tell = (method, ...args) => {
    call(method, args).catch((error) => console.warn(error.message));
  };

  /** @type {PluginApi["fetch"]} */
  async function ask(path = "/", options = {}) {
    const given = /** @type {RequestInit} */ ({ duplex: "half", ...options });
    const request = new Request(new URL("/", location.href), given);
    const { method } = request;
    const body = options.body == null ? undefined : await request.arrayBuffer();
    const wish = { method, headers: [...request.headers], body };
    const answer = await call("fetch", [String(path), wish], options.signal ?? undefined);
    return new Response(NO_BODY.includes(answer.status) ? null : answer.body, answer);
  }

  // What changes

  /**
   * @template T
   * @param {T} first
   */
  function changing(first) {
    let value = first;
    /** @type {Set<(value: T) => void>} */
    const handlers = new Set();
    return {
      get: () => value,
      set: (/** @type {T} */ next) => {
        if (next === value) return;
        value = next;
        for (const handler of [...handlers]) handler(value);
      },
      onChange: (/** @type {(value: T) => void} */ handler) => {
        const own = (/** @type {T} */ now) => handler(now);
        handlers.add(own);
        return () => {
          handlers.delete(own);
        };
      },
    };
  }

  /**
   * @template T, S
   * @param {ReturnType<typeof changing<T>>} source
   * @param {(value: T) => S} of
   */
  const readable = (source, of) => ({
    get value() {
      return of(source.get());
    },
    peek: () => of(source.get()),
    subscribe: (/** @type {(value: S) => void} */ handler) => {
      handler(of(source.get()));
      return source.onChange((value) => handler(of(value)));
    },
  });

  // Events

  /** @type {Set<{name: string, handler: (data: any, event: EventInfo) => void}>} */
  const listeners = new Set();

  /** @type {PluginApi["events"]["on"]} */
  function on(name, handler) {
    if (typeof handler !== "function") throw new TypeError("The handler must be a function.");
    const entry = { name: String(name), handler };
    listeners.add(entry);
    if (listeners.size === 1) tell("events.listen", true);
    return () => {
      if (listeners.delete(entry) && listeners.size === 0) tell("events.listen", false);
    };
  }

  /** @param {any} data @param {EventInfo} event */
  function heard(data, event) {
    for (const { name, handler } of [...listeners]) {
      if (name === event.name || name === "*") guarded(() => handler(data, event));
    }
  }

  /** @param {() => void} work a handler of the page, whose faults are its own */
  function guarded(work) {
    try {
      work();
    } catch (error) {
      console.error(error);
    }
  }

  // Runs

  /** @typedef {(text: string, piece: OutputPiece) => void} OutputHandler */
  /** @type {Map<string, {handlers: Set<OutputHandler>, resolve: (end: RunEnd) => void,
   *   reject: (error: Error) => void}>} */
  const runs = new Map();

  /** @type {PluginApi["run"]} */
  async function run(script, args = {}) {
    /** @type {string} */
    const taskId = await call("run", [String(script), { ...args }]);
    /** @type {Set<OutputHandler>} */
    const handlers = new Set();
    const done = new Promise((/** @type {(end: RunEnd) => void} */ resolve, reject) => {
      runs.set(taskId, { handlers, resolve, reject });
    });
    done.catch(() => {});
    return Object.freeze({
      taskId,
      done,
      cancel: () => call("run.cancel", [taskId]),
      onOutput: (/** @type {OutputHandler} */ handler) => {
        if (typeof handler !== "function") throw new TypeError("The handler must be a function.");
        handlers.add(handler);
        return () => {
          handlers.delete(handler);
        };
      },
    });
  }

  /** @param {string} taskId @param {RunEnd | undefined} end @param {Problem} [problem] */
  function ended(taskId, end, problem) {
    if (end) runs.get(taskId)?.resolve(end);
    else if (problem) runs.get(taskId)?.reject(errorOf(problem));
    runs.delete(taskId);
  }

  // The page

  /** Colours and styles, as they are around the frame. @param {Look} look */
  function wear({ scheme }) {
    document.documentElement.dataset.theme = scheme;
  }

  /** @param {string[]} texts */
  function dress(texts) {
    const own = "body { background: none; overflow-x: auto } .plugin-root { display: flow-root }";
    document.adoptedStyleSheets = [...texts, own].map((text) => {
      const sheet = new CSSStyleSheet();
      sheet.replaceSync(text);
      return sheet;
    });
  }

  /** @param {HTMLElement} root */
  function tellHeight(root) {
    let last = -1;
    new ResizeObserver(() => {
      const px = Math.ceil(root.getBoundingClientRect().height);
      if (px === last) return;
      last = px;
      port.postMessage({ type: "height", px });
    }).observe(root);
  }

  /** @param {string} text @returns {Promise<void>} rejected with what the script threw */
  function runBundle(text) {
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    return new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = address;
      const take = (/** @type {ErrorEvent} */ event) => {
        if (event.filename !== address) return;
        event.preventDefault();
        settle(() => reject(event.error ?? new Error(event.message)));
      };
      const settle = (/** @type {() => void} */ answer) => {
        window.removeEventListener("error", take);
        URL.revokeObjectURL(address);
        script.remove();
        answer();
      };
      window.addEventListener("error", take);
      script.onload = () => settle(resolve);
      script.onerror = () => settle(() => reject(new Error("The page's script did not load.")));
      document.head.append(script);
    });
  }

  /** @param {string} id @returns {PluginPage} */
  function registered(id) {
    const page = window.ToruPlugins?.[id] ?? Reflect.get(window, `toru_plugin_${id}`);
    if (typeof page?.mount === "function") return page;
    throw new Error(
      `The page's script does not set window.ToruPlugins["${id}"] with a mount function.`,
    );
  }

  /** Saves what the plugin answers at one of its routes. @param {string} path @param {string} name */
  async function save(path, name) {
    const answer = await ask(path);
    if (!answer.ok) throw new Error(`The plugin answered ${answer.status}.`);
    const said = /filename="([^"/\\]+)"/.exec(answer.headers.get("Content-Disposition") ?? "");
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await answer.blob());
    link.download = name || said?.[1] || path.split(/[/?]/).filter(Boolean).pop() || "download";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
  }

  /**
   * Links do in here what they do in the dashboard, as far as a sandbox goes.
   * @param {PluginApi} api
   * @param {string} route the plugin's own
   */
  function followLinks(api, route) {
    document.addEventListener("click", (event) => {
      const link = event.target instanceof Element ? event.target.closest("a[href]") : null;
      if (!(link instanceof HTMLAnchorElement) || event.defaultPrevented) return;
      const isInHere = ["blob:", "data:"].includes(link.protocol) && link.download !== "";
      if (isInHere || link.getAttribute("href")?.startsWith("#")) return;
      event.preventDefault();
      const to = link.pathname + link.search;
      if (link.host === location.host && to.startsWith(route)) {
        save(to.slice(route.length), link.download).catch((error) =>
          api.showToast(error.message, "error"),
        );
      } else if (link.host === location.host) api.navigate(to);
      else api.showToast("A page in a sandbox cannot open other sites.", "info");
    });
  }

  /** @param {any} told what the dashboard begins with */
  async function begin(told) {
    const path = changing(/** @type {string} */ (told.path));
    const look = changing(/** @type {Look} */ (told.look));
    heeded.path = ({ value }) => path.set(value);
    heeded.look = (message) => {
      wear(message.look);
      look.set(message.look);
    };
    const scheme = readable(look, (now) => now.scheme);
    /** @type {PluginTheme} */
    const theme = Object.freeze({
      ...scheme,
      get value() {
        return look.get().scheme;
      },
      get scheme() {
        return look.get().scheme;
      },
      get tokens() {
        return look.get().tokens;
      },
      onChange: (/** @type {(theme: PluginTheme) => void} */ handler) =>
        look.onChange(() => handler(theme)),
    });
    /** @type {PluginApi} */
    const api = Object.freeze({
      fetch: ask,
      navigate: (/** @type {string} */ to) => tell("navigate", String(to)),
      showToast: (/** @type {unknown} */ message, kind = "info") =>
        tell("toast", String(message), kind),
      kv: {
        get: (/** @type {string} */ key) => call("kv.get", [String(key)]),
        set: (/** @type {string} */ key, /** @type {string} */ value) =>
          call("kv.set", [String(key), String(value)]),
        delete: (/** @type {string} */ key) => call("kv.delete", [String(key)]),
        list: (options = {}) => call("kv.list", [{ ...options }]),
      },
      events: { on, ready: () => call("events.ready", []) },
      run,
      path: readable(path, (now) => now),
      theme,
      user: told.user,
      plugin: told.plugin,
      sandboxed: true,
    });
    dress(told.styles);
    wear(told.look);
    const root = document.createElement("div");
    root.className = "plugin-root";
    document.body.append(root);
    followLinks(api, told.route);
    window.ToruPlugins = {};
    try {
      await runBundle(told.bundle);
      const page = registered(told.id);
      window.addEventListener("pagehide", () => page.unmount?.(root));
      tellHeight(root);
      await page.mount(root, api);
      port.postMessage({ type: "mounted" });
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      port.postMessage({ type: "failed", message });
    }
  }

  /** What is done with each type of message from the dashboard.
   * @type {Record<string, (message: any) => void>} */
  const heeded = {
    begin: (message) => begin(message),
    result: ({ id, value }) => calls.get(id)?.resolve(value),
    error: ({ id, ...problem }) => calls.get(id)?.reject(errorOf(problem)),
    event: ({ data, event }) => {
      port.postMessage({ type: "ack" });
      heard(data, event);
    },
    output: ({ taskId, text, piece }) => {
      port.postMessage({ type: "ack" });
      for (const handler of [...(runs.get(taskId)?.handlers ?? [])]) {
        guarded(() => handler(text, piece));
      }
    },
    ended: ({ taskId, end, problem }) => ended(taskId, end, problem),
  };

  // The first message with a port is the dashboard's; there is nobody else to hear after it.
  window.addEventListener("message", function open(event) {
    if (event.source !== window.parent || !event.ports[0]) return;
    window.removeEventListener("message", open);
    port = event.ports[0];
    port.onmessage = ({ data }) => heeded[data.type]?.(data);
    port.postMessage({ type: "here" });
  });
})();
