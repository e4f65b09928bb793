/**
 * The actors as a tree of who supervises whom, and as lists by what is asked for.
 * Runs on: anywhere.
 */

/** @import { ActorRow } from "./actor-trails.js" */

/** One actor, or a group of many of a kind that is folded into one line.
 * @typedef {{key: string, level: number, row: ActorRow, group?: {name: string, count: number}}} Line */
/** @typedef {"tree" | "busy" | "mailbox" | "troubles"} Order */

/** So many of a kind are shown one by one; more are folded. */
const SHOWN_SINGLY = 6;

const BUSY_HOT = 80;
const BUSY_WARM = 30;
const FILL_HOT = 0.5;
const DEPTH_WARM = 20;

/**
 * How much an actor asks to be looked at.
 * @param {ActorRow} row
 * @returns {"hot" | "warm" | "calm"}
 */
export function heat({ now, depthPeak, share, troubles }) {
  const isDown = now.state !== "running" && now.state !== "starting";
  const isFull = now.mailbox_limit > 0 && depthPeak >= now.mailbox_limit * FILL_HOT;
  if (isDown || isFull || troubles > 0 || share >= BUSY_HOT) return "hot";
  return share >= BUSY_WARM || depthPeak >= DEPTH_WARM ? "warm" : "calm";
}

/** @param {string} name */
const kindOf = (name) => (name.includes("/") ? name.slice(0, name.indexOf("/")) : "");

/** @param {number[][]} lists */
function summed(lists) {
  const length = Math.max(...lists.map((list) => list.length));
  return Array.from({ length }, (_, i) =>
    lists.reduce((sum, list) => sum + (list[list.length - length + i] ?? 0), 0),
  );
}

/** @param {ActorRow[]} rows @param {(row: ActorRow) => number} figure */
const total = (rows, figure) => rows.reduce((sum, row) => sum + figure(row), 0);

/**
 * Many of a kind as one.
 * @param {string} kind
 * @param {ActorRow[]} rows
 * @returns {ActorRow}
 */
function together(kind, rows) {
  const worst = rows.find((row) => heat(row) === "hot") ?? rows[0];
  return {
    now: {
      ...worst.now,
      name: kind,
      mailbox_limit: total(rows, (row) => row.now.mailbox_limit),
      handled: total(rows, (row) => row.now.handled),
      restarts: total(rows, (row) => row.now.restarts),
      refused: total(rows, (row) => row.now.refused),
      dropped: total(rows, (row) => row.now.dropped),
    },
    depth: total(rows, (row) => row.depth),
    depthPeak: Math.max(...rows.map((row) => row.depthPeak)),
    rate: total(rows, (row) => row.rate),
    share: total(rows, (row) => row.share),
    sharePeak: Math.max(...rows.map((row) => row.sharePeak)),
    depths: summed(rows.map((row) => row.depths)),
    shares: summed(rows.map((row) => row.shares)),
    troubles: total(rows, (row) => row.troubles),
  };
}

/**
 * @param {ActorRow[]} rows
 * @returns {Map<string, ActorRow[]>} by the name of the supervisor, or of the kind
 */
function by(rows, /** @type {(row: ActorRow) => string} */ key) {
  /** @type {Map<string, ActorRow[]>} */
  const found = new Map();
  for (const row of rows) found.set(key(row), [...(found.get(key(row)) ?? []), row]);
  return found;
}

/**
 * @param {ActorRow[]} rows
 * @param {Set<string>} open the kinds that are unfolded
 * @returns {Line[]} each actor after its supervisor
 */
function tree(rows, open) {
  const names = new Set(rows.map((row) => row.now.name));
  const children = by(rows, ({ now }) => (names.has(now.parent) ? now.parent : ""));
  /** @param {string} parent @param {number} level @returns {Line[]} */
  const below = (parent, level) => {
    const siblings = children.get(parent) ?? [];
    const kinds = by(siblings, ({ now }) => kindOf(now.name));
    const singles = (/** @type {ActorRow[]} */ some, /** @type {number} */ at) =>
      some.flatMap((row) => [
        { key: row.now.name, level: at, row },
        ...below(row.now.name, at + 1),
      ]);
    return [...kinds].flatMap(([kind, some]) => {
      if (!kind || some.length <= SHOWN_SINGLY) return singles(some, level);
      const key = `${parent}/${kind}`;
      const head = {
        key,
        level,
        row: together(kind, some),
        group: { name: kind, count: some.length },
      };
      return open.has(key) ? [head, ...singles(some, level + 1)] : [head];
    });
  };
  return below("", 0);
}

/** @type {Record<Exclude<Order, "tree">, (row: ActorRow) => number>} */
const FIGURES = {
  busy: (row) => row.sharePeak,
  mailbox: (row) => row.depthPeak,
  troubles: (row) => row.troubles * 1e6 + row.now.restarts + row.now.refused + row.now.dropped,
};

/**
 * @param {ActorRow[]} rows
 * @param {{order: Order, search: string, open: Set<string>}} wish
 * @returns {Line[]}
 */
export function linesOf(rows, { order, search, open }) {
  const text = search.trim().toLowerCase();
  const isWanted = (/** @type {ActorRow} */ { now }) =>
    `${now.name} ${now.actor}`.toLowerCase().includes(text);
  const wanted = text ? rows.filter(isWanted) : rows;
  if (order === "tree" && !text) return tree(wanted, open);
  const figure = order === "tree" ? () => 0 : FIGURES[order];
  return wanted
    .toSorted((a, b) => figure(b) - figure(a))
    .map((row) => ({ key: row.now.name, level: 0, row }));
}

/**
 * @param {ActorRow[]} rows
 */
export function totals(rows) {
  const fullest = rows.toSorted((a, b) => b.depthPeak - a.depthPeak)[0];
  return {
    actors: rows.length,
    rate: total(rows, (row) => row.rate),
    waiting: total(rows, (row) => row.depth),
    peak: fullest?.depthPeak ?? 0,
    peakAt: fullest?.depthPeak ? fullest.now.name : "",
    troubles: total(rows, (row) => row.troubles),
    hot: rows.filter((row) => heat(row) === "hot").length,
  };
}
