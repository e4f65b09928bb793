/**
 * What a plugin's page is given to work with.
 * Runs on: the page.
 */
import { post } from "./api.js";
import { socket } from "./hub.js";
import { makeEvents } from "./plugin-heard.js";
import { followRun } from "./plugin-run.js";
import { navigate } from "./router.js";
import { user } from "./session.js";
import { startRun } from "./start-run.js";
import { showToast } from "./toasts.js";

/** @import { PluginApi, PluginKv } from "../../sdk/js/toru-plugin" */
/** @import { ToastKind } from "./toasts.js" */
/** @import { Plugin } from "./types.js" */

/**
 * @param {Pick<Plugin, "id" | "route">} plugin
 * @returns {string} the path that all of its routes are below
 */
export function routeOf({ id, route }) {
  return route ? `/api/plugins/route${route}/` : `/api/plugins/${encodeURIComponent(id)}/`;
}

/**
 * @param {Plugin} plugin
 * @param {string} path
 * @returns {URL} of the plugin's route: below its id some words are the hub's own
 */
function routeAddress(plugin, path) {
  const base = routeOf(plugin);
  const address = new URL(base + path.replace(/^\/+/, ""), location.origin);
  if (address.pathname.startsWith(base)) return address;
  throw new TypeError(`${path} is no path of this plugin.`);
}

/**
 * @param {Plugin} plugin
 * @returns {PluginKv}
 */
function makeKv(plugin) {
  const send = (/** @type {object} */ wish) =>
    post(`plugins/${encodeURIComponent(plugin.id)}/kv`, wish);
  const ask = async (/** @type {object} */ wish) => (await send(wish)).value;
  return {
    get: (/** @type {string} */ key) => ask({ action: "get", key }),
    set: async (/** @type {string} */ key, /** @type {string} */ value) => {
      await ask({ action: "set", key, value });
    },
    delete: async (/** @type {string} */ key) => {
      await ask({ action: "delete", key });
    },
    list: ({ prefix = "", cursor = null, limit = 100 } = {}) =>
      send({ action: "list", prefix, cursor, limit }),
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
 * @param {Pick<PluginApi, "path" | "theme">} live
 * @param {AbortSignal} life aborted when the page is left
 * @returns {PluginApi}
 */
export function makeApi(plugin, { path, theme }, life) {
  const person = user.peek();
  const { id, name, version } = plugin;
  return Object.freeze({
    fetch: async (/** @type {string} */ to = "/", /** @type {RequestInit} */ options = {}) =>
      fetch(routeAddress(plugin, String(to)), { credentials: "same-origin", ...options }),
    navigate: (/** @type {string} */ to) => goTo(plugin, String(to)),
    showToast: (/** @type {unknown} */ message, /** @type {ToastKind} */ kind = "info") =>
      showToast(String(message), kind),
    kv: makeKv(plugin),
    events: makeEvents(id, socket, life),
    run: async (/** @type {string} */ script, /** @type {Record<string, string>} */ args = {}) =>
      followRun(await startRun(String(script), args), socket, life),
    path,
    theme,
    user: {
      name: person?.username ?? "",
      displayName: person?.display_name ?? "",
      role: person?.role ?? "client",
    },
    plugin: { id, name, version },
    sandboxed: plugin.sandboxed,
  });
}
