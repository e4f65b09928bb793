/**
 * A plugin's log: pages read from its end, and what is written meanwhile.
 * Runs on: the page.
 */
import { computed, signal } from "@preact/signals";
import { get, sentence } from "./api.js";
import { Cleanups } from "./connect.js";

/** @import { HubSocket } from "./socket.js" */
/** @import { LogLevel, LogLine } from "./types.js" */

/** Lines, and in the place of lines that were left out, how many.
 * @typedef {{key: number, line: LogLine} | {key: number, missing: number}} LogEntry */

/** @type {LogLevel[]} */
export const LEVELS = ["trace", "debug", "info", "warn", "error"];

const PAGE = 100;
const KEPT = 2_000;

let lastKey = 0;
/** @param {LogLine} line @returns {LogEntry} */
const entry = (line) => ({ key: ++lastKey, line });

/**
 * A line's fields besides those that every line has, as people see them.
 * @param {LogLine} line
 */
export function furtherFields({ timestamp, level, plugin, message, error, pid, ...fields }) {
  return Object.entries(fields).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
}

/**
 * Whether a line says something, in capitals or not: its message, its error or a further field.
 * The hub looks for the same in older lines.
 * @param {LogLine} line
 * @param {string} sought
 */
export function says(line, sought) {
  const texts = [line.message, line.error ?? "", ...furtherFields(line)];
  return texts.some((text) => text.toLowerCase().includes(sought.toLowerCase()));
}

export class PluginLog {
  /** Oldest first.
   * @type {import("@preact/signals").Signal<LogEntry[] | null>} */
  entries = signal(null);
  error = signal("");
  atEnd = signal(false);
  isEmpty = computed(() => this.entries.value?.length === 0);

  #socket;
  #id;
  #level;
  #sought;
  #cleanups = new Cleanups();
  /** Lines that were loaded; the tail tells the newest of them once more.
   * @type {Set<string>} */
  #loaded = new Set();
  /** Lines told since the newest loading began; null when nothing is being loaded.
   * @type {LogEntry[] | null} */
  #meanwhile = null;
  #isWhole = true;

  /**
   * @param {HubSocket} socket
   * @param {string} id the plugin's
   * @param {LogLevel} level this one and above
   * @param {string} sought only lines that say this; all when it is empty
   */
  constructor(socket, id, level, sought) {
    this.#socket = socket;
    this.#id = id;
    this.#level = level;
    this.#sought = sought;
  }

  connect() {
    this.#cleanups.add(
      this.#socket.subscribe("plugin-logs", (event) => this.#take(event)),
      this.#socket.whenOpen(() => this.#socket.afterRoundTrip(() => this.refresh())),
      this.#socket.on("missed", () => this.refresh()),
    );
  }

  disconnect() {
    this.#cleanups.run();
    this.#meanwhile = null;
  }

  /** Loads the newest page and forgets the older ones. */
  async refresh() {
    /** @type {LogEntry[]} */
    const meanwhile = [];
    this.#meanwhile = meanwhile;
    try {
      const lines = await this.#page(0);
      if (this.#meanwhile !== meanwhile) return;
      this.#loaded = new Set(lines.map((line) => JSON.stringify(line)));
      this.#isWhole = true;
      this.atEnd.value = lines.length < PAGE;
      this.entries.value = lines.map(entry).reverse();
      this.error.value = "";
      this.#meanwhile = null;
      for (const told of meanwhile) this.#append(told);
    } catch (error) {
      if (this.#meanwhile !== meanwhile) return;
      this.error.value = sentence(error);
      this.#meanwhile = null;
    }
  }

  /** Adds older lines. Pages are counted from the end, which may move on meanwhile. */
  async more() {
    if (!this.#isWhole) await this.refresh();
    const shown = this.entries.value ?? [];
    const lines = await this.#page(Math.floor(shown.length / PAGE));
    const oldest = JSON.stringify(shown[0] && "line" in shown[0] ? shown[0].line : null);
    const overlap = lines.findLastIndex((line) => JSON.stringify(line) === oldest);
    this.atEnd.value = lines.length < PAGE;
    const older = lines
      .slice(overlap + 1)
      .map(entry)
      .reverse();
    this.entries.value = [...older, ...(this.entries.value ?? [])];
  }

  /**
   * @param {number} page
   * @returns {Promise<LogLine[]>} newest first
   */
  async #page(page) {
    const query = new URLSearchParams({ level: this.#level, q: this.#sought });
    query.set("page", String(page));
    query.set("page_size", String(PAGE));
    return (await get(`plugins/${encodeURIComponent(this.#id)}/logs?${query}`)).logs;
  }

  /** @param {any} event */
  #take(event) {
    if (event.plugin !== this.#id) return;
    if (event.type === "log_gap") this.#told({ key: ++lastKey, missing: event.lines });
    else if (event.type === "log" && this.#isWanted(event.line)) this.#told(entry(event.line));
  }

  /** @param {LogLine} line */
  #isWanted(line) {
    const isOfLevel = LEVELS.indexOf(line.level) >= LEVELS.indexOf(this.#level);
    return isOfLevel && says(line, this.#sought);
  }

  /** @param {LogEntry} told */
  #told(told) {
    if (this.#meanwhile) this.#meanwhile.push(told);
    else this.#append(told);
  }

  /** @param {LogEntry} told */
  #append(told) {
    if ("missing" in told) this.#isWhole = false;
    else if (this.#loaded.delete(JSON.stringify(told.line))) return;
    const entries = [...(this.entries.value ?? []), told];
    if (entries.length > KEPT) this.atEnd.value = false;
    this.entries.value = entries.slice(-KEPT);
  }
}
