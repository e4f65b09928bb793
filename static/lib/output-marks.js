/**
 * Marks what was found on the rows, without touching them (CSS Custom Highlight API).
 * Runs on: the page.
 */
import { charactersBefore } from "./output-lines.js";

/** @import { Shown } from "./row-list.js" */
/** @import { Match } from "./output-finder.js" */

const ALL = "output-found";
const CURRENT = "output-current";
const MOST = 2000;

/** Whether this browser can mark text; without it, the row of the match is marked alone. */
const isAble = typeof Highlight === "function" && "highlights" in CSS;

/**
 * Where a text is in another one.
 * @param {string} text
 * @param {string} query
 * @param {boolean} matchCase
 * @returns {number[]}
 */
export function placesOf(text, query, matchCase) {
  const lower = text.toLowerCase();
  const folds = !matchCase && lower.length === text.length;
  const within = folds ? lower : text;
  const sought = folds ? query.toLowerCase() : query;
  const places = [];
  for (let at = within.indexOf(sought); at !== -1; at = within.indexOf(sought, at + sought.length))
    places.push(at);
  return places;
}

/**
 * @param {HTMLElement} element
 * @param {number} from
 * @param {number} to characters of its text
 * @returns {Range}
 */
function rangeOf(element, from, to) {
  const range = document.createRange();
  const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
  let passed = 0;
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const length = node.nodeValue?.length ?? 0;
    if (from >= passed && from <= passed + length) range.setStart(node, from - passed);
    if (to >= passed && to <= passed + length) {
      range.setEnd(node, to - passed);
      return range;
    }
    passed += length;
  }
  return range;
}

/**
 * Marks all that is found on the rows that are there, and the current match above all.
 * @param {Shown[]} rows
 * @param {{query: string, matchCase: boolean, current: Match | null}} sought
 */
export function mark(rows, { query, matchCase, current }) {
  unmark(rows);
  if (!query) return;
  /** @type {Range[]} */
  const all = [];
  /** @type {Range[]} */
  const chosen = [];
  for (const { row, element } of rows) {
    if (!row.line) continue;
    const places = placesOf(element.textContent ?? "", query, matchCase);
    const isHere = current && row.start <= current.offset && current.offset < row.end;
    const wanted = isHere ? charactersBefore(row, current.offset) : -1;
    element.classList.toggle("found", Boolean(isHere));
    if (!isAble) continue;
    for (const at of places) {
      if (all.length < MOST) all.push(rangeOf(element, at, at + query.length));
      if (at === wanted) chosen.push(rangeOf(element, at, at + query.length));
    }
  }
  if (!isAble) return;
  CSS.highlights.set(ALL, new Highlight(...all));
  const top = new Highlight(...chosen);
  top.priority = 1;
  CSS.highlights.set(CURRENT, top);
}

/** @param {Shown[]} rows */
export function unmark(rows) {
  for (const { element } of rows) element.classList.remove("found");
  if (!isAble) return;
  CSS.highlights.delete(ALL);
  CSS.highlights.delete(CURRENT);
}
