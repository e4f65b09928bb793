/**
 * What the palette offers, as plain entries, and which of them fit what was typed.
 * Runs on: anywhere.
 */
import { formatAgo, stateWord } from "./format.js";
import { fuzzyMatch } from "./fuzzy.js";
import { pagesFor } from "./pages.js";
import { hasPage, pageOf, pluginWord } from "./plugin-list.js";

/** @import { IconName } from "../components/icon.js" */
/** @import { Plugin, QuickAction, Script, Task } from "./types.js" */

/** @typedef {"Pages" | "Quick actions" | "Scripts" | "Plugins" | "Recent runs" | "Commands"} Group */

/**
 * @typedef {object} Item
 * @property {string} id
 * @property {Group} group
 * @property {string} name what is matched and shown
 * @property {string} [words] what is matched too
 * @property {string} [hint] what is shown beside the name
 * @property {IconName} [icon]
 * @property {QuickAction} [action]
 * @property {Plugin} [plugin]
 * @property {() => unknown} run may return a promise
 */

/** @typedef {{item: Item, at: number[], score: number}} Found */

/**
 * In the order in which they are shown while nothing is typed, and then how many of each. What
 * comes first is chosen already, so it must be harmless. Among equal matches, weight decides.
 * @type {Record<Group, {unasked: number, weight: number}>}
 */
const GROUPS = {
  "Recent runs": { unasked: 3, weight: -6 },
  "Quick actions": { unasked: 5, weight: 4 },
  Pages: { unasked: 12, weight: 6 },
  Scripts: { unasked: 0, weight: 2 },
  Plugins: { unasked: 5, weight: 2 },
  Commands: { unasked: 3, weight: 0 },
};
const SHOWN_OF_GROUP = 8;

/** @typedef {(path: string) => void} Go */

/**
 * @param {boolean} isAdmin
 * @param {Go} go
 * @returns {Item[]}
 */
export function pageItems(isAdmin, go) {
  return pagesFor(isAdmin).map(({ href, name, icon, words }) => {
    return { id: `page ${href}`, group: "Pages", name, words, icon, run: () => go(href) };
  });
}

/**
 * @param {QuickAction[]} actions
 * @param {(action: QuickAction) => unknown} execute
 * @returns {Item[]}
 */
export function actionItems(actions, execute) {
  return actions.map((action) => {
    const { id, name, script_path: words } = action;
    const run = () => execute(action);
    return { id: `action ${id}`, group: "Quick actions", name, words, hint: "Run", action, run };
  });
}

/**
 * @param {Script[]} scripts
 * @param {(script: Script) => unknown} start
 * @returns {Item[]}
 */
export function scriptItems(scripts, start) {
  return scripts.map((script) => {
    const { name, description } = script;
    const run = () => start(script);
    const words = description ?? "";
    const hint = script.parameter_details?.length ? "Fill in and run" : "Run";
    return { id: `script ${name}`, group: "Scripts", name, words, hint, icon: "play", run };
  });
}

/**
 * @param {Plugin[]} plugins
 * @param {Go} go
 * @returns {Item[]}
 */
export function pluginItems(plugins, go) {
  return plugins.filter(hasPage).map((plugin) => {
    const { id, name } = plugin;
    const run = () => go(pageOf(plugin));
    return { id: `plugin ${id}`, group: "Plugins", name, hint: pluginWord(plugin), plugin, run };
  });
}

/**
 * @param {Task[]} tasks
 * @param {Go} go
 * @returns {Item[]}
 */
export function runItems(tasks, go) {
  return tasks.map(({ id, script_name, state, finished_at, created_at }) => ({
    id: `run ${id}`,
    group: "Recent runs",
    name: script_name ?? "",
    words: stateWord(state),
    hint: `${stateWord(state)}, ${formatAgo(finished_at ?? created_at)}`,
    icon: "history",
    run: () => go(`/history/${encodeURIComponent(id)}`),
  }));
}

/**
 * Whether each word of a query begins a word of a text.
 * @param {string} query
 * @param {string} text
 */
function beginsWords(query, text) {
  const words = text.toLowerCase().split(/[^\p{L}\p{N}]+/u);
  const asked = query.toLowerCase().split(/\s+/);
  return asked.every((part) => words.some((word) => word.startsWith(part)));
}

/**
 * @param {Item} item
 * @param {string} query
 * @returns {Found | null}
 */
function find(item, query) {
  const { weight } = GROUPS[item.group];
  const byName = fuzzyMatch(query, item.name);
  if (byName) return { item, at: byName.at, score: byName.score + weight };
  if (!beginsWords(query, `${item.name} ${item.words ?? ""}`)) return null;
  return { item, at: [], score: weight - query.length };
}

/**
 * What to show for what was typed: the group with the best match first, its best match on top.
 * While nothing is typed, some of each group in their usual order.
 * @param {Item[]} items
 * @param {string} query
 * @returns {{group: Group, found: Found[]}[]} without empty groups
 */
export function search(items, query) {
  const asked = query.trim();
  const found = items.flatMap((item) => find(item, asked) ?? []);
  const names = /** @type {Group[]} */ (Object.keys(GROUPS));
  const groups = names.map((group) => {
    const own = found.filter(({ item }) => item.group === group);
    if (!asked) return { group, found: own.slice(0, GROUPS[group].unasked) };
    return { group, found: own.sort((a, b) => b.score - a.score).slice(0, SHOWN_OF_GROUP) };
  });
  const shown = groups.filter((each) => each.found.length > 0);
  return asked ? shown.sort((a, b) => b.found[0].score - a.found[0].score) : shown;
}
