/**
 * The output of one run, by ranges of bytes; only the last few that were read are held.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { getBytes } from "./api.js";
import { parseAnswer, Stretch } from "./output-stretch.js";

/** What is fetched at once, at most. */
export const READ_BYTES = 64 * 1024;

const HELD = 8;

export class OutputSource {
  /** Bytes that the script has written so far. */
  size = signal(0);
  /** Whether the run has ended, so that nothing will be added. */
  complete = signal(false);

  #path;
  /** @type {Stretch[]} the newest last */
  #held = [];

  /** @param {string} taskId */
  constructor(taskId) {
    this.#path = `tasks/${encodeURIComponent(taskId)}/output/pieces`;
  }

  /**
   * A stretch that covers a range, or what there is of it.
   * @param {number} from bytes
   * @param {number} to bytes
   * @returns {Promise<Stretch>}
   */
  async stretch(from, to) {
    const start = Math.max(0, Math.floor(from));
    const held = this.#held.findLast((each) => each.covers(start, Math.min(to, this.size.value)));
    return held ?? this.#read(start, to);
  }

  /** Asks how much there is; what is held of the end is dropped when it grew. */
  async refresh() {
    const answer = await getBytes(`${this.#path}?limit=1&offset=${this.size.value}`);
    this.#learn(parseAnswer(answer).head);
  }

  /** @param {number} from @param {number} to */
  async #read(from, to) {
    const stretch = new Stretch(from);
    for (let reads = 0; stretch.end < to && reads < 16; reads += 1) {
      const limit = Math.max(1, Math.min(READ_BYTES * 2, Math.ceil(to - stretch.end)));
      const query = `offset=${stretch.end}&limit=${limit}`;
      const { head, bytes } = parseAnswer(await getBytes(`${this.#path}?${query}`));
      const before = stretch.end;
      stretch.add(head, bytes);
      this.#learn(head);
      if (stretch.end <= before || stretch.end >= head.size) break;
    }
    this.#held = [...this.#held.slice(1 - HELD), stretch];
    return stretch;
  }

  /** @param {import("./output-stretch.js").Head} head */
  #learn(head) {
    if (head.size > this.size.value) {
      this.#held = this.#held.filter((each) => each.end < each.size);
      this.size.value = head.size;
    }
    if (head.complete) this.complete.value = true;
  }
}
