/**
 * Pure questions about plugins and pure changes to their list, which is sorted by name.
 * Runs on: anywhere.
 */

/** @import { Plugin } from "./types.js" */

/** @param {Plugin} plugin */
const sortKey = (plugin) => `${plugin.name.toLowerCase()}\n${plugin.id}`;

/**
 * Joins two reports of one plugin. Events carry neither its process nor what that uses, so what
 * is known of them stays for as long as it runs on.
 * @param {Plugin} known
 * @param {Plugin} told
 * @returns {Plugin}
 */
function merge(known, told) {
  if (!known.running || !told.running) return told;
  const { cpu_percent, memory_bytes } = known.figures;
  return {
    ...told,
    pid: told.pid ?? known.pid,
    socket_path: told.socket_path ?? known.socket_path,
    figures: {
      ...told.figures,
      cpu_percent: told.figures.cpu_percent ?? cpu_percent,
      memory_bytes: told.figures.memory_bytes ?? memory_bytes,
    },
  };
}

/**
 * Works a plugin into the list. Two files may claim one id; the one that is not broken has it.
 * @param {Plugin[]} plugins
 * @param {Plugin} told
 * @returns {Plugin[]}
 */
export function withPlugin(plugins, told) {
  const isSame = (/** @type {Plugin} */ plugin) =>
    plugin.file === told.file || (plugin.id === told.id && plugin.state !== "broken");
  const known = plugins.find(isSame);
  const others = plugins.filter((plugin) => !isSame(plugin));
  const merged = known ? merge(known, told) : told;
  return [...others, merged].sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));
}

/**
 * @param {Plugin[]} plugins
 * @param {string} id
 * @returns {Plugin | undefined} the one that has the id, rather than one that only claims it
 */
export function findPlugin(plugins, id) {
  const same = plugins.filter((plugin) => plugin.id === id);
  return same.find((plugin) => plugin.state !== "broken") ?? same[0];
}

/**
 * Whether it answers requests.
 * @param {Plugin} plugin
 */
export function isServing(plugin) {
  return plugin.state === "ready" || plugin.state === "unhealthy";
}

/**
 * Whether it is on its way from one state to another.
 * @param {Plugin} plugin
 */
export function isMoving(plugin) {
  return ["discovered", "starting", "stopping"].includes(plugin.state);
}

/**
 * Whether its page can be gone to; that of a broken one only leads nowhere.
 * @param {Plugin} plugin
 */
export function hasPage(plugin) {
  return plugin.has_page !== false && plugin.enabled && plugin.state !== "broken";
}

/** @param {Plugin} plugin */
export const pageOf = (plugin) => `/plugins/${encodeURIComponent(plugin.id)}`;
/** @param {Plugin} plugin */
export const detailsOf = (plugin) => `/plugins?details=${encodeURIComponent(plugin.id)}`;
/** @param {Plugin} plugin */
export const settingsOf = (plugin) => `${detailsOf(plugin)}&part=settings`;

/** @type {Record<string, string>} */
const WORDS = {
  discovered: "Found",
  starting: "Starting",
  ready: "Healthy",
  unhealthy: "Not answering",
  backoff: "Failed, starts again",
  stopping: "Stopping",
  stopped: "Stopped",
  disabled: "Disabled",
  broken: "Broken",
};

/**
 * @param {Plugin} plugin
 * @returns {string} its state, as a person says it
 */
export function pluginWord(plugin) {
  if (plugin.state === "ready" && plugin.degraded) return "In trouble";
  return WORDS[plugin.state] ?? plugin.state;
}

/**
 * How well it does, as a colour: `good`, `moving`, `warn`, `bad` or `idle`.
 * @param {Plugin} plugin
 * @returns {"good" | "moving" | "warn" | "bad" | "idle"}
 */
export function pluginMood(plugin) {
  if (isMoving(plugin)) return "moving";
  if (plugin.state === "ready") return plugin.degraded ? "warn" : "good";
  if (plugin.state === "unhealthy") return "warn";
  return plugin.state === "backoff" || plugin.state === "broken" ? "bad" : "idle";
}
