/**
 * An output shown as lines: where it comes from, the window on it, what is looked for in it.
 * Runs on: the page.
 */
import { PLAIN } from "./ansi.js";
import { parseRgb } from "./colours.js";
import { Cleanups } from "./connect.js";
import { socket } from "./hub.js";
import { LinesView } from "./lines-view.js";
import { OutputFinder } from "./output-finder.js";
import { rowsFrom, rowText } from "./output-lines.js";
import { mark, unmark } from "./output-marks.js";
import { times, wrap } from "./output-settings.js";
import { OutputSource, READ_BYTES } from "./output-source.js";
import { readTheme } from "./terminal-theme.js";
import { onColoursChange } from "./theme.js";

/** @import { Theme } from "./colours.js" */
/** @import { Task } from "./types.js" */

/** Larger outputs are not copied whole. */
export const COPY_BYTES = 4 * 1024 * 1024;

const SOONEST_MS = 250;
const LATEST_MS = 1500;
/** Where in the box a match is to be. */
const MATCH_PLACE = 0.35;
const PLACES = 50;

/** Where one was in an output, for when one comes back.
 * @type {Map<string, {top: number, following: boolean}>} */
const places = new Map();

/** @param {Element} host @returns {Theme} */
function themeOf(host) {
  const theme = readTheme(host);
  const names = ["black", "red", "green", "yellow", "blue", "magenta", "cyan", "white"];
  const bright = names.map((name) => `bright${name[0].toUpperCase()}${name.slice(1)}`);
  return {
    foreground: parseRgb(theme.foreground),
    background: parseRgb(theme.background),
    named: [...names, ...bright].map((name) => parseRgb(theme[name])),
  };
}

export class LinesStore {
  #taskId;
  #startedAt;
  #timer = 0;
  #delay = SOONEST_MS;
  #frame = 0;
  #connected = false;
  /** @type {Theme | null} */
  #theme = null;
  #box = document.createElement("div");
  #cleanups = new Cleanups();

  /** @param {Task} task */
  constructor(task) {
    this.#taskId = task.id;
    this.#startedAt = Date.parse(task.started_at ?? task.created_at ?? "") || 0;
    this.source = new OutputSource(task.id);
    this.finder = new OutputFinder(task.id);
    this.view = new LinesView(this.source, () => this.#look());
  }

  /** @param {HTMLDivElement} box what scrolls @param {HTMLDivElement} list what holds the rows */
  connect(box, list) {
    this.#connected = true;
    this.#box = box;
    this.#dress();
    this.view.connect(box, list);
    this.#cleanups.add(
      () => this.view.disconnect(),
      () => this.finder.disconnect(),
      () => clearTimeout(this.#timer),
      () => cancelAnimationFrame(this.#frame),
      () => unmark(this.view.rows),
      wrap.subscribe(() => this.view.redraw(() => this.#dress())),
      times.subscribe(() => this.view.redraw(() => this.#dress())),
      onColoursChange(() => this.#recolour()),
      this.view.changes.subscribe(() => this.#markSoon()),
      this.finder.current.subscribe((match) => {
        if (match) this.view.seek(match.offset, MATCH_PLACE);
        this.#markSoon();
      }),
      this.finder.query.subscribe(() => this.#markSoon()),
    );
    this.#open();
    this.#cleanups.add(socket.whenOpen(() => this.view.retry()));
  }

  disconnect() {
    const { top, following } = this.view;
    places.delete(this.#taskId);
    places.set(this.#taskId, { top: top.value, following: following.value });
    if (places.size > PLACES) places.delete(places.keys().next().value ?? "");
    this.#connected = false;
    this.#cleanups.run();
  }

  /**
   * The text to copy: what is selected, or all, or, of a large output, the lines that are there.
   * @returns {Promise<{text: string, what: "selection" | "all" | "shown"}>}
   */
  async copied() {
    const selection = this.selectedText();
    if (selection) return { text: selection, what: "selection" };
    if (this.source.size.value <= COPY_BYTES) return { text: await this.#allText(), what: "all" };
    const text = this.view.rows.map(({ row }) => rowText(row)).join("");
    return { text, what: "shown" };
  }

  /** What is selected of the rows, a line that was cut as one; empty when nothing is. */
  selectedText() {
    const selection = document.getSelection();
    if (!selection || selection.isCollapsed || selection.rangeCount === 0) return "";
    const chosen = selection.getRangeAt(0);
    let text = "";
    for (const { row, element } of this.view.rows) {
      if (!chosen.intersectsNode(element)) continue;
      const part = document.createRange();
      part.selectNodeContents(element);
      if (element.contains(chosen.startContainer))
        part.setStart(chosen.startContainer, chosen.startOffset);
      const isLast = element.contains(chosen.endContainer);
      if (isLast) part.setEnd(chosen.endContainer, chosen.endOffset);
      text += part.toString() + (isLast || row.isCut ? "" : "\n");
    }
    return text;
  }

  async #allText() {
    let text = "";
    let at = 0;
    let style = PLAIN;
    for (;;) {
      const stretch = await this.source.stretch(at, at + READ_BYTES);
      const limits = { style, rows: Number.POSITIVE_INFINITY, bytes: READ_BYTES };
      const rows = rowsFrom(stretch, at, limits);
      const last = rows.at(-1);
      if (!last) return text;
      text += rows.map(rowText).join("");
      at = last.end;
      style = last.after;
    }
  }

  async #open() {
    const before = places.get(this.#taskId);
    await this.#ask();
    if (!this.#connected) return;
    if (before && !before.following && before.top < this.source.size.value)
      this.view.seek(before.top);
    else this.view.follow();
  }

  /** Asks how much there is, again and again until the run has ended. */
  async #ask() {
    const before = this.source.size.value;
    try {
      await this.source.refresh();
      if (this.view.error.value) this.view.retry();
    } catch (error) {
      if (this.#connected) this.view.error.value = /** @type {Error} */ (error).message;
    }
    this.#plan(this.source.size.value > before);
  }

  /** @param {boolean} grew */
  #plan(grew) {
    if (!this.#connected || this.source.complete.value) return;
    this.#delay = grew ? SOONEST_MS : Math.min(LATEST_MS, this.#delay * 1.5);
    const delay = document.hidden ? LATEST_MS : this.#delay;
    this.#timer = window.setTimeout(() => this.#askAgain(), delay);
  }

  /** Asks once more, unless what was read meanwhile has shown that this is all. */
  #askAgain() {
    if (!this.source.complete.value) this.#ask();
  }

  #look() {
    this.#theme ??= themeOf(this.#box);
    return { times: times.value, startedAt: this.#startedAt, theme: this.#theme };
  }

  #recolour() {
    this.#theme = null;
    this.view.redraw();
  }

  #dress() {
    this.#box.classList.toggle("wrap", wrap.value);
    this.#box.dataset.times = times.value;
  }

  #markSoon() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const { query, matchCase, current } = this.finder;
      const sought = { query: query.value, matchCase: matchCase.value, current: current.value };
      mark(this.view.rows, sought);
    });
  }
}
