/**
 * Where the rows of an output begin and end, in bytes.
 * Runs on: anywhere; pure.
 *
 * A row is a line, or a part of one that is too long to be shown at once. Long lines are cut on a
 * grid: at each multiple of `CELL_BYTES` that has no newline in the cell before it. So whoever comes
 * to a row from anywhere finds the same borders with a look at a few kilobytes before it, and no
 * row is longer than two cells.
 */

/** Long lines are cut at multiples of this. */
export const CELL_BYTES = 4096;

/** So much before a place tells where the row begins that it lies in. */
export const LOOK_BACK_BYTES = 3 * CELL_BYTES;

const NEWLINE = 10;
const ESCAPE = 27;
const LONGEST_ESCAPE = 32;

/**
 * Bytes that follow each other without a gap, or a gap.
 * @typedef {object} Run
 * @property {number} start bytes
 * @property {number} end bytes
 * @property {Uint8Array | null} bytes null for a gap
 * @property {boolean} opens nothing comes before: the output or a gap ends here
 * @property {boolean} closes nothing comes after, as far as is known
 */

/** @param {number} byte */
const isContinuation = (byte) => (byte & 0xc0) === 0x80;

/** @param {number} byte */
const isFinal = (byte) => byte >= 0x40 && byte <= 0x7e;

/**
 * Moves a cut to where it tears neither a character nor a short escape sequence.
 * @param {Uint8Array} bytes
 * @param {number} at index of the first byte after the cut
 * @returns {number}
 */
function gentle(bytes, at) {
  let cut = at;
  for (let back = 0; back < 3 && cut > 0 && isContinuation(bytes[cut]); back += 1) cut -= 1;
  if (isContinuation(bytes[cut])) cut = at;
  for (let i = cut - 1; i >= Math.max(0, cut - LONGEST_ESCAPE); i -= 1) {
    if (bytes[i] !== ESCAPE) continue;
    const rest = bytes.subarray(i + 2, cut);
    return i + 1 < cut && (bytes[i + 1] !== 0x5b || rest.some(isFinal)) ? cut : i;
  }
  return cut;
}

/**
 * The end of the row that begins at `start`.
 * @param {Run} run
 * @param {number} start bytes; where a row begins
 * @returns {number | null} null when more than the run must be known for that
 */
export function rowEnd(run, start) {
  const bytes = /** @type {Uint8Array} */ (run.bytes);
  const newline = bytes.indexOf(NEWLINE, start - run.start);
  const lineEnd = newline < 0 ? Number.POSITIVE_INFINITY : run.start + newline + 1;
  const grid = (Math.ceil(start / CELL_BYTES) + 1) * CELL_BYTES;
  if (grid < Math.min(lineEnd, run.end)) return run.start + gentle(bytes, grid - run.start);
  if (lineEnd !== Number.POSITIVE_INFINITY) return lineEnd;
  return run.closes ? run.end : null;
}

/**
 * The beginning of the row that `at` lies in.
 * @param {Run} run it holds the bytes from `LOOK_BACK_BYTES` before `at` on, or opens
 * @param {number} at bytes
 * @returns {number}
 */
export function rowStart(run, at) {
  let start = knownStart(run, at);
  for (;;) {
    const end = rowEnd(run, start);
    if (end === null || end > at) return start;
    start = end;
  }
}

/**
 * A place at or before `at` where a row is known to begin.
 * @param {Run} run
 * @param {number} at
 */
function knownStart(run, at) {
  const bytes = /** @type {Uint8Array} */ (run.bytes);
  const from = Math.max(run.start, at - LOOK_BACK_BYTES);
  const newline = at > run.start ? bytes.lastIndexOf(NEWLINE, at - run.start - 1) : -1;
  if (newline >= from - run.start) return run.start + newline + 1;
  if (from === run.start && run.opens) return run.start;
  const grid = Math.floor(at / CELL_BYTES) * CELL_BYTES - CELL_BYTES;
  return run.start + gentle(bytes, Math.max(0, grid - run.start));
}
