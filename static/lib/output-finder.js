/**
 * Finds a text in an output: from one match to the next, and how many there are.
 * Runs on: the page; the hub does the searching, in short calls.
 */
import { computed, signal } from "@preact/signals";
import { get, sentence } from "./api.js";

/** @typedef {{offset: number, length: number, before: string, text: string, after: string}} Match */
/** @typedef {"" | "searching" | "found" | "none" | "failed"} FindState */

/** Further matches are not counted. */
export const COUNTED = 10_000;

const COUNT_AT_ONCE = 1000;

export class OutputFinder {
  query = signal("");
  matchCase = signal(false);
  /** @type {import("@preact/signals").Signal<Match | null>} */
  current = signal(null);
  /** @type {import("@preact/signals").Signal<FindState>} */
  state = signal("");
  error = signal("");
  /** Whether the search went over an end of the output to come to the match. */
  wrapped = signal(false);
  /** @type {import("@preact/signals").Signal<number[]>} the offsets that are known, in order */
  #offsets = signal([]);
  /** Whether that is all of them. */
  counted = signal(false);
  count = computed(() => this.#offsets.value.length);
  /** Which of the matches the current one is, from 1; 0 when that is not known. */
  ordinal = computed(() => {
    const { current } = this;
    return current.value ? this.#offsets.value.indexOf(current.value.offset) + 1 : 0;
  });

  #path;
  #search = 0;
  /** @type {Promise<unknown>} */
  #steps = Promise.resolve();

  /** @param {string} taskId */
  constructor(taskId) {
    this.#path = `tasks/${encodeURIComponent(taskId)}/output/search`;
  }

  /** Ends what is under way. */
  disconnect() {
    this.#search += 1;
  }

  /** Forgets the text. */
  clear() {
    this.#search += 1;
    this.query.value = "";
    this.current.value = null;
    this.state.value = "";
  }

  /**
   * Looks for another text, or for the same with other rules.
   * @param {string} query
   * @param {boolean} matchCase
   * @param {number} from where the person is, in bytes
   */
  async start(query, matchCase, from) {
    this.query.value = query;
    this.matchCase.value = matchCase;
    this.#offsets.value = [];
    this.counted.value = false;
    this.current.value = null;
    this.state.value = "";
    const search = ++this.#search;
    if (!query) return;
    const found = await this.#go(false, from);
    if (search !== this.#search) return;
    this.wrapped.value = false; // of a new text it does not matter where it was begun
    if (found) await this.#count(search);
  }

  /** @param {number} from where the person is, when there is no match yet */
  next(from) {
    const { current } = this;
    return this.#after(() =>
      this.#go(false, current.value ? current.value.offset + current.value.length : from),
    );
  }

  /** @param {number} from */
  previous(from) {
    return this.#after(() => this.#go(true, this.current.value?.offset ?? from));
  }

  /**
   * Does a step when those before are done, for each begins where the one before ends.
   * @param {() => Promise<boolean>} step
   */
  #after(step) {
    const search = this.#search;
    this.#steps = this.#steps.then(() => search === this.#search && step());
    return this.#steps;
  }

  /** @param {boolean} backward @param {number} from @returns {Promise<boolean>} */
  async #go(backward, from) {
    if (!this.query.value) return false;
    const search = this.#search;
    this.state.value = "searching";
    try {
      let match = await this.#first(search, backward, from);
      const over = !match;
      match ??= await this.#first(search, backward, null);
      if (search !== this.#search) return false;
      this.wrapped.value = over && match !== null;
      this.current.value = match;
      this.state.value = match ? "found" : "none";
      return match !== null;
    } catch (error) {
      if (search !== this.#search) return false;
      this.error.value = sentence(error);
      this.state.value = "failed";
      return false;
    }
  }

  /**
   * The first match from a place on, over as many calls as it takes.
   * @param {number} search
   * @param {boolean} backward
   * @param {number | null} from null is the one end or the other
   * @returns {Promise<Match | null>}
   */
  async #first(search, backward, from) {
    let at = from;
    while (search === this.#search) {
      const found = await this.#ask(backward, at, 1);
      if (found.matches.length > 0) return found.matches[0];
      if (found.next_offset === null) return null;
      at = found.next_offset;
    }
    return null;
  }

  /** @param {number} search */
  async #count(search) {
    /** @type {number | null} */
    let at = 0;
    try {
      while (at !== null && this.#offsets.value.length < COUNTED) {
        const found = await this.#ask(false, at, COUNT_AT_ONCE);
        if (search !== this.#search) return;
        const more = found.matches.map((/** @type {Match} */ match) => match.offset);
        this.#offsets.value = [...this.#offsets.value, ...more];
        at = found.next_offset;
      }
      this.counted.value = at === null;
    } catch {
      // How many there are is not worth a message; finding itself tells what is wrong.
    }
  }

  /** @param {boolean} backward @param {number | null} from @param {number} limit */
  #ask(backward, from, limit) {
    const query = new URLSearchParams({ q: this.query.value, limit: String(limit) });
    if (backward) query.set("direction", "backward");
    if (this.matchCase.value) query.set("case", "1");
    if (from !== null) query.set("from", String(from));
    return get(`${this.#path}?${query}`);
  }
}
