/**
 * What a plugin's page is given to work with.
 * Runs on: the page.
 */
import { post } from "./api.js";
import { navigate } from "./router.js";
import { user } from "./session.js";
import { showToast } from "./toasts.js";

/** @import { ReadonlySignal } from "@preact/signals" */
/** @import { ToastKind } from "./toasts.js" */
/** @import { Plugin, Role } from "./types.js" */

/**
 * The second argument of a plugin's `mount`.
 * @typedef {object} PluginApi
 * @property {(path?: string, options?: RequestInit) => Promise<Response>} fetch asks the plugin's
 *   own routes
 * @property {(path: string) => void} navigate goes to a page of the dashboard; without a slash in
 *   front, to one of the plugin's own below its page
 * @property {(message: string, kind?: ToastKind) => void} showToast
 * @property {{get: (key: string) => Promise<string | null>,
 *   set: (key: string, value: string) => Promise<void>,
 *   delete: (key: string) => Promise<void>}} kv the plugin's storage
 * @property {ReadonlySignal<string>} path where below its page the person is: `/`, `/settings`
 * @property {ReadonlySignal<"light" | "dark">} theme has `.value` and `.subscribe(callback)`
 * @property {{name: string, displayName: string, role: Role}} user
 * @property {{id: string, name: string, version: string}} plugin
 */

/**
 * @param {Plugin} plugin
 * @param {string} path
 * @returns {URL} of the plugin's route: below its id some words are the hub's own
 */
function routeAddress(plugin, path) {
  const base = plugin.route
    ? `/api/plugins/route${plugin.route}/`
    : `/api/plugins/${encodeURIComponent(plugin.id)}/`;
  const address = new URL(base + path.replace(/^\/+/, ""), location.origin);
  if (address.pathname.startsWith(base)) return address;
  throw new TypeError(`${path} is no path of this plugin.`);
}

/** @param {Plugin} plugin */
function makeKv(plugin) {
  const ask = async (/** @type {object} */ wish) =>
    (await post(`plugins/${encodeURIComponent(plugin.id)}/kv`, wish)).value;
  return {
    get: (/** @type {string} */ key) => ask({ action: "get", key }),
    set: async (/** @type {string} */ key, /** @type {string} */ value) => {
      await ask({ action: "set", key, value });
    },
    delete: async (/** @type {string} */ key) => {
      await ask({ action: "delete", key });
    },
  };
}

/**
 * @param {Plugin} plugin
 * @param {string} to
 */
function goTo(plugin, to) {
  const address = new URL(to, `${location.origin}/plugins/${encodeURIComponent(plugin.id)}/`);
  if (address.origin !== location.origin) throw new TypeError(`${to} is not in this dashboard.`);
  navigate(address.pathname + address.search);
}

/**
 * @param {Plugin} plugin
 * @param {Pick<PluginApi, "path" | "theme">} signals
 * @returns {PluginApi}
 */
export function makeApi(plugin, { path, theme }) {
  const person = user.peek();
  const { id, name, version } = plugin;
  return Object.freeze({
    fetch: async (/** @type {string} */ to = "/", /** @type {RequestInit} */ options = {}) =>
      fetch(routeAddress(plugin, String(to)), { credentials: "same-origin", ...options }),
    navigate: (/** @type {string} */ to) => goTo(plugin, String(to)),
    showToast: (/** @type {unknown} */ message, /** @type {ToastKind} */ kind = "info") =>
      showToast(String(message), kind),
    kv: makeKv(plugin),
    path,
    theme,
    user: {
      name: person?.username ?? "",
      displayName: person?.display_name ?? "",
      role: person?.role ?? "client",
    },
    plugin: { id, name, version },
  });
}
