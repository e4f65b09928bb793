/**
 * Loads what a plugin's page is made of: a classic script that registers a `mount` function.
 * Runs on: the page.
 */
import { effect } from "@preact/signals";
import { getText } from "./api.js";
import { plugins } from "./plugins.js";

/** @import { PluginPage } from "../../sdk/js/toru-plugin" */

const globals = /** @type {Record<string, any>} */ (/** @type {unknown} */ (window));

/** The text of the bundle that each plugin's page now comes from. A script that is run twice
 * fails at its own constants, so the same one never is.
 * @type {Map<string, string>} */
const running = new Map();
let loads = 0;

/** The plugins whose code has run in this page, where it stays.
 * @type {Set<string>} */
const ranHere = new Set();

/** @param {string} id */
const ownGlobal = (id) => `toru_plugin_${id}`;

/** Notes that a plugin's code runs in this page. When that is not wanted any more, because its page
 * is to be in a sandbox, only a new page is rid of it.
 * @param {string} id */
function note(id) {
  ranHere.add(id);
  if (ranHere.size > 1) return;
  effect(() => {
    const isUnwanted = plugins.list.value?.some((each) => each.sandboxed && ranHere.has(each.id));
    if (isUnwanted) location.reload();
  });
}

/** @returns {Record<string, any>} what bundles register in; they may rely on its being there */
function registry() {
  globals.ToruPlugins ??= {};
  return globals.ToruPlugins;
}

/**
 * @param {string} id
 * @returns {PluginPage | undefined}
 */
function registered(id) {
  const pages = registry();
  const page = Object.hasOwn(pages, id) ? pages[id] : globals[ownGlobal(id)];
  return typeof page?.mount === "function" ? page : undefined;
}

/** @param {string} id */
function forget(id) {
  running.delete(id);
  delete registry()[id];
  if (Object.hasOwn(globals, ownGlobal(id))) globals[ownGlobal(id)] = undefined;
}

/**
 * @param {string} source an address on this host
 * @returns {Promise<void>} settled when the script has run; rejected with what it threw
 */
function runScript(source) {
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    script.src = source;
    const take = (/** @type {ErrorEvent} */ event) => {
      if (event.filename !== script.src) return;
      event.preventDefault();
      settle(() => reject(event.error ?? new Error(event.message)));
    };
    const settle = (/** @type {() => void} */ answer) => {
      window.removeEventListener("error", take);
      script.remove();
      answer();
    };
    window.addEventListener("error", take);
    script.onload = () => settle(resolve);
    script.onerror = () => settle(() => reject(new Error("The page's script did not load.")));
    document.head.append(script);
  });
}

/**
 * Returns what a plugin's bundle registers, and runs the bundle first if it is a new one.
 * @param {{id: string, version: string}} plugin
 * @returns {Promise<PluginPage>}
 * @throws {ApiError} the hub has none to give
 */
export async function loadBundle({ id, version }) {
  const path = `plugins/${encodeURIComponent(id)}/bundle.js`;
  const text = await getText(path);
  if (running.get(id) !== text) {
    forget(id);
    loads += 1;
    registry();
    note(id);
    await runScript(`/api/${path}?v=${encodeURIComponent(version)}-${loads}`);
    running.set(id, text);
  }
  const page = registered(id);
  if (page) return page;
  forget(id);
  throw new Error(
    `The page's script does not set window.ToruPlugins["${id}"] with a mount function.`,
  );
}
