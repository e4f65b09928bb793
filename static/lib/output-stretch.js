/**
 * A stretch of an output: its bytes, its gaps, and when and whence its parts came.
 * Runs on: anywhere; pure.
 */

/** @import { Run } from "./output-rows.js" */

/**
 * What the hub says of a stretch; a piece is its start, its stream (0 is a gap, 1 stdout, 2 stderr)
 * and its time in milliseconds.
 * @typedef {object} Head
 * @property {number} offset
 * @property {number} next_offset
 * @property {number} size
 * @property {boolean} complete
 * @property {[number, number, number][]} pieces
 */

/** @typedef {{start: number, stream: number, time: number}} Mark */

const decoder = new TextDecoder();

/**
 * Reads an answer: four bytes of length, a JSON object, then the bytes.
 * @param {ArrayBuffer} buffer
 * @returns {{head: Head, bytes: Uint8Array}}
 */
export function parseAnswer(buffer) {
  const length = new DataView(buffer).getUint32(0);
  const head = JSON.parse(decoder.decode(new Uint8Array(buffer, 4, length)));
  return { head, bytes: new Uint8Array(buffer, 4 + length) };
}

export class Stretch {
  /** @type {Run[]} */
  runs = [];
  /** @type {Mark[]} */
  marks = [];
  size = 0;
  complete = false;

  /** @param {number} start */
  constructor(start) {
    this.start = start;
    this.end = start;
  }

  /**
   * Adds an answer that begins where this stretch ends.
   * @param {Head} head
   * @param {Uint8Array} bytes
   */
  add(head, bytes) {
    let at = 0;
    for (const [i, [told, stream, time]] of head.pieces.entries()) {
      const start = Math.max(told, this.end);
      const end = head.pieces[i + 1]?.[0] ?? head.next_offset;
      const data = stream ? bytes.subarray(at, at + end - told) : null;
      at += data?.length ?? 0;
      if (end <= start) continue;
      this.#run({ start: stream ? start : told, end, bytes: data, opens: false, closes: false });
      this.marks.push({ start: told, stream, time });
      this.end = end;
    }
    this.end = Math.max(this.end, head.next_offset);
    this.size = head.size;
    this.complete = head.complete;
    this.#border();
  }

  /** @param {Run} run */
  #run(run) {
    const last = this.runs.at(-1);
    if (!last || (last.bytes === null) !== (run.bytes === null)) this.runs.push(run);
    else if (last.bytes && run.bytes) last.bytes = joined(last.bytes, run.bytes);
    if (last && this.runs.at(-1) === last) last.end = run.end;
  }

  #border() {
    for (const [i, run] of this.runs.entries()) {
      run.opens = i > 0 || run.start === 0;
      run.closes = i < this.runs.length - 1 || run.end >= this.size;
    }
  }

  /** @param {number} from @param {number} to bytes @returns {boolean} */
  covers(from, to) {
    return this.start <= from && this.end >= Math.min(to, this.size);
  }

  /**
   * The run that holds a byte.
   * @param {number} at
   * @returns {Run | undefined}
   */
  runAt(at) {
    return this.runs.find((run) => run.start <= at && at < run.end);
  }

  /**
   * What is known of the parts of a range.
   * @param {number} from
   * @param {number} to
   * @returns {Mark[]} the first one may begin before the range
   */
  marksIn(from, to) {
    let low = 0;
    let high = this.marks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.marks[middle].start <= from) low = middle + 1;
      else high = middle;
    }
    let end = low;
    while (end < this.marks.length && this.marks[end].start < to) end += 1;
    return this.marks.slice(Math.max(0, low - 1), end);
  }
}

/**
 * Joins bytes; for free when they lie after each other already.
 * @param {Uint8Array} first
 * @param {Uint8Array} second
 */
function joined(first, second) {
  const adjacent = first.byteOffset + first.length === second.byteOffset;
  if (first.buffer === second.buffer && adjacent)
    return new Uint8Array(first.buffer, first.byteOffset, first.length + second.length);
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
