/**
 * Rows of an output as elements: text only, with the colours that the program chose.
 * Runs on: the page.
 */
import { PLAIN, parseLine, styleAfter, textOf } from "./ansi.js";
import { coloursOf } from "./colours.js";
import { formatBytes, formatClock, formatExactTime } from "./format.js";
import { rowEnd } from "./output-rows.js";

/** @import { Line, Part, Section, Style } from "./ansi.js" */
/** @import { Theme } from "./colours.js" */
/** @import { Run } from "./output-rows.js" */
/** @import { Stretch } from "./output-stretch.js" */

/**
 * One row as it is shown.
 * @typedef {object} Row
 * @property {number} start bytes
 * @property {number} end bytes
 * @property {Uint8Array | null} bytes null for a gap
 * @property {Line | null} line
 * @property {boolean} isError whether something of it came from stderr
 * @property {boolean} isCut whether its line goes on in the next row
 * @property {boolean} isOpen whether more of it may come
 * @property {number} time milliseconds, 0 when unknown
 * @property {Style} before the style in force at its beginning
 * @property {Style} after
 */

/** @typedef {"off" | "clock" | "start"} Times */

/**
 * How rows are drawn.
 * @typedef {object} Look
 * @property {Times} times
 * @property {number} startedAt milliseconds
 * @property {Theme} theme
 */

const NEWLINE = 10;
const RETURN = 13;
const ESCAPE = 27;
const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

/** @param {Run} run @param {number} from @param {number} to */
function bytesOf(run, from, to) {
  return /** @type {Uint8Array} */ (run.bytes).subarray(from - run.start, to - run.start);
}

/**
 * The parts of a range by stream.
 * @param {Stretch} stretch
 * @param {Run} run
 * @param {number} from
 * @param {number} to
 * @returns {Section[]}
 */
function sectionsOf(stretch, run, from, to) {
  /** @type {{from: number, to: number, isError: boolean}[]} */
  const ranges = [];
  for (const { start, stream } of stretch.marksIn(from, to)) {
    const isError = stream === 2;
    const last = ranges.at(-1);
    if (last?.isError === isError) continue;
    if (last) last.to = start;
    ranges.push({ from: Math.max(from, start), to, isError });
  }
  return ranges.map((range) => ({
    text: decoder.decode(bytesOf(run, range.from, range.to)),
    isError: range.isError,
  }));
}

/** @param {Run} run @returns {Row} */
export function gapRow(run) {
  const { start, end } = run;
  const rest = { isError: false, isCut: false, isOpen: false, time: 0 };
  return { start, end, bytes: null, line: null, before: PLAIN, after: PLAIN, ...rest };
}

/**
 * The row from `start` to `end`.
 * @param {Stretch} stretch
 * @param {Run} run
 * @param {number} start
 * @param {number} end
 * @param {Style} before
 * @returns {Row}
 */
function makeRow(stretch, run, start, end, before) {
  const bytes = bytesOf(run, start, end);
  const isWhole = bytes.at(-1) === NEWLINE;
  let length = bytes.length - (isWhole ? 1 : 0);
  if (isWhole && bytes[length - 1] === RETURN) length -= 1;
  const sections = sectionsOf(stretch, run, start, start + length);
  const line = parseLine(sections, before);
  const isLast = end >= run.end && run.closes;
  return {
    start,
    end,
    bytes,
    line,
    isError: sections.some((section) => section.isError),
    isCut: !isWhole && !isLast,
    isOpen: !isWhole && isLast,
    time: stretch.marksIn(start, start + 1)[0]?.time ?? 0,
    before,
    after: line.style,
  };
}

/**
 * The rows from a place on.
 * @param {Stretch} stretch
 * @param {number} start where a row begins
 * @param {{style: Style, rows: number, bytes: number, end?: number}} limits
 * @returns {Row[]}
 */
export function rowsFrom(stretch, start, { style, rows, bytes, end = Number.POSITIVE_INFINITY }) {
  /** @type {Row[]} */
  const made = [];
  let at = start;
  while (made.length < rows && at - start < bytes && at < end) {
    const run = stretch.runAt(at);
    if (!run) break;
    let row;
    if (!run.bytes) row = gapRow({ ...run, start: at });
    else {
      const to = Math.min(rowEnd(run, at) ?? (end <= stretch.end ? end : -1), end);
      if (to <= at) break;
      row = makeRow(stretch, run, at, to, style);
    }
    made.push(row);
    style = row.after;
    at = row.end;
  }
  return made;
}

/**
 * The borders of the rows of a range: where each begins.
 * @param {Run} run
 * @param {number} start
 * @param {number} end
 * @returns {number[]}
 */
export function startsOf(run, start, end) {
  const starts = [];
  for (let at = start; at < end; at = rowEnd(run, at) ?? end) starts.push(at);
  return starts;
}

/**
 * The style in force at a place, as far as the run tells.
 * @param {Run} run
 * @param {number} at
 * @returns {Style}
 */
export function styleAt(run, at) {
  const bytes = bytesOf(run, run.start, at);
  return bytes.includes(ESCAPE) ? styleAfter(decoder.decode(bytes)) : PLAIN;
}

/**
 * How many characters of a row's text come before a byte of it.
 * @param {Row} row
 * @param {number} offset
 * @returns {number}
 */
export function charactersBefore(row, offset) {
  if (!row.bytes) return 0;
  const text = decoder.decode(row.bytes.subarray(0, Math.max(0, offset - row.start)));
  return textOf(parseLine([{ text, isError: false }], row.before)).length;
}

/** @param {Row} row */
function missing(row) {
  return `${formatBytes(row.end - row.start)} of output are missing here`;
}

/** @param {Row} row @returns {string} as it is copied, with its line end */
export function rowText(row) {
  if (!row.line) return `\n[${missing(row)}]\n`;
  return textOf(row.line) + (row.isCut || row.isOpen ? "" : "\n");
}

/** @param {Part} part @param {Theme} theme */
function partNode(part, theme) {
  const { text, style, isError, isSign } = part;
  if (style === PLAIN && !isError && !isSign) return document.createTextNode(text);
  const span = document.createElement("span");
  const { colour, ground } = coloursOf(style, theme);
  const looks = {
    sign: isSign,
    stderr: isError,
    bold: style.bold,
    dim: style.dim,
    italic: style.italic,
    underline: style.underline,
    strike: style.strike,
  };
  for (const [name, on] of Object.entries(looks)) if (on) span.classList.add(name);
  if (colour) span.style.color = colour;
  if (ground) span.style.backgroundColor = ground;
  span.textContent = text;
  return span;
}

/** @param {Row} row @param {Look} look */
function timeOf(row, { times, startedAt }) {
  if (!row.time) return "";
  if (times === "start") {
    const since = Math.max(0, row.time - startedAt);
    return `+${formatClock(since / 1000)}.${String(Math.floor(since % 1000)).padStart(3, "0")}`;
  }
  return formatExactTime(new Date(row.time).toISOString());
}

/**
 * @param {Row} row
 * @param {Look} look
 * @returns {HTMLDivElement}
 */
export function rowElement(row, look) {
  const element = document.createElement("div");
  element.className = "row";
  if (!row.line) {
    element.classList.add("gap");
    element.textContent = missing(row);
    return element;
  }
  if (row.isError) element.classList.add("has-stderr");
  if (row.isCut) element.classList.add("cut");
  if (look.times !== "off") element.dataset.time = timeOf(row, look);
  element.append(...row.line.parts.map((part) => partNode(part, look.theme)));
  return element;
}
