/**
 * Which runs the history shows, as the address of its page has it.
 * Runs on: anywhere.
 */
import { stateWord } from "./format.js";

/** @import { Task } from "./types.js" */

/**
 * Empty texts choose everything.
 * @typedef {object} HistoryFilter
 * @property {string} state
 * @property {string} script
 * @property {string} user
 * @property {string} q a text in the name or the output
 * @property {string} within one of `SPANS`
 * @property {string} from a local time such as `2026-11-22T14:00`
 * @property {string} to likewise; runs of that minute count
 */

const NAMES = /** @type {const} */ (["q", "state", "script", "user", "within", "from", "to"]);

/** @type {HistoryFilter} */
export const EVERYTHING = { q: "", state: "", script: "", user: "", within: "", from: "", to: "" };

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** @type {Record<string, {words: string, ms: number}>} */
export const SPANS = {
  "1h": { words: "Last hour", ms: HOUR_MS },
  "24h": { words: "Last 24 hours", ms: 24 * HOUR_MS },
  "7d": { words: "Last 7 days", ms: 7 * 24 * HOUR_MS },
  "30d": { words: "Last 30 days", ms: 30 * 24 * HOUR_MS },
};

/**
 * @param {URLSearchParams} query
 * @returns {HistoryFilter}
 */
export function filterOf(query) {
  const pairs = NAMES.map((name) => [name, query.get(name) ?? ""]);
  return { ...EVERYTHING, ...Object.fromEntries(pairs) };
}

/**
 * @param {HistoryFilter} filter
 * @returns {string} the address of the page that shows it
 */
export function addressOf(filter) {
  const query = new URLSearchParams();
  for (const name of NAMES) if (filter[name]) query.set(name, filter[name]);
  const text = query.toString();
  return text ? `/history?${text}` : "/history";
}

/** @param {HistoryFilter} filter */
export function isEverything(filter) {
  return NAMES.every((name) => !filter[name]);
}

/** @param {string} local @returns {number} milliseconds; NaN when it is no time */
const millis = (local) => (local ? new Date(local).getTime() : Number.NaN);

/**
 * The span of time, in milliseconds.
 * @param {HistoryFilter} filter @param {number} now milliseconds
 * @returns {{after: number | null, until: number | null}}
 */
function spanOf({ within, from, to }, now) {
  const span = SPANS[within];
  if (span) return { after: now - span.ms, until: null };
  const [after, until] = [millis(from), millis(to) + MINUTE_MS];
  return {
    after: Number.isNaN(after) ? null : after,
    until: Number.isNaN(until) ? null : until,
  };
}

/**
 * What the hub is asked.
 * @param {HistoryFilter} filter
 * @param {number} now milliseconds
 * @returns {URLSearchParams}
 */
export function queryOf(filter, now) {
  const query = new URLSearchParams();
  const { state, script, user, q } = filter;
  for (const [name, value] of Object.entries({ state, script, user, q: q.trim() })) {
    if (value) query.set(name, value);
  }
  const { after, until } = spanOf(filter, now);
  if (after !== null) query.set("after", new Date(after).toISOString());
  if (until !== null) query.set("until", new Date(until).toISOString());
  return query;
}

/**
 * Whether a run that was told of is one of those, as far as can be told without its output.
 * @param {HistoryFilter} filter @param {Task} task @param {number} now milliseconds
 */
export function isWanted(filter, task, now) {
  const { after, until } = spanOf(filter, now);
  const at = task.created_at ? Date.parse(task.created_at) : now;
  const text = filter.q.trim().toLowerCase();
  return (
    (!filter.state || task.state === filter.state) &&
    (!filter.script || task.script_name === filter.script) &&
    (!filter.user || task.username === filter.user) &&
    (after === null || at >= after) &&
    (until === null || at < until) &&
    (!text || (task.script_name ?? "").toLowerCase().includes(text))
  );
}

/** @param {string} local */
const shownTime = (local) => local.replace("T", " ");

/**
 * What is filtered by, in words, and the filter without it.
 * @param {HistoryFilter} filter
 * @returns {{words: string, without: HistoryFilter}[]}
 */
export function chipsOf(filter) {
  const { q, state, script, user, within, from, to } = filter;
  /** @type {[string, Partial<HistoryFilter>][]} */
  const chips = [
    [q.trim() && `“${q.trim()}”`, { q: "" }],
    [state && stateWord(state), { state: "" }],
    [script, { script: "" }],
    [user && `by ${user}`, { user: "" }],
    [SPANS[within]?.words ?? "", { within: "" }],
    [from && `from ${shownTime(from)}`, { from: "" }],
    [to && `to ${shownTime(to)}`, { to: "" }],
  ];
  return chips
    .filter(([words]) => words)
    .map(([words, change]) => ({ words, without: { ...filter, ...change } }));
}
