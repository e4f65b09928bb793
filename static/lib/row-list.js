/**
 * The rows of an output that are on the page: a few screens of it, in a box that scrolls.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { PLAIN } from "./ansi.js";
import { rowElement } from "./output-lines.js";

/** @import { Style } from "./ansi.js" */
/** @import { Look, Row } from "./output-lines.js" */

/** @typedef {{row: Row, element: HTMLElement}} Shown */

/** In heights of the box: beyond what rows are dropped, and to where. */
const TOO_MUCH = 6;
const ENOUGH = 3;
/** While text is selected, rows stay until there are so many. */
const MOST_ROWS = 4000;

export class RowList {
  /** Where the rows end, and the style there: the next row begins so. */
  to = 0;
  /** @type {Style} */
  style = PLAIN;
  /** Counts the changes of the rows. */
  changes = signal(0);
  /** Whether there was something from stderr. */
  sawErrors = signal(false);
  /** Whether there was something that moves the cursor between lines. */
  moves = signal(false);

  #look;
  /** @type {Shown[]} */
  #rows = [];
  #box = document.createElement("div");
  #host = document.createElement("div");

  /** @param {() => Look} look asked for each row */
  constructor(look) {
    this.#look = look;
  }

  /** @param {HTMLDivElement} box what scrolls @param {HTMLDivElement} host what holds the rows */
  connect(box, host) {
    this.#box = box;
    this.#host = host;
  }

  get shown() {
    return this.#rows;
  }

  /** Where the rows begin. */
  get from() {
    return this.#rows[0]?.row.start ?? 0;
  }

  /**
   * Takes all rows away; the next ones begin elsewhere.
   * @param {number} start
   * @param {Style} style
   */
  clear(start, style) {
    this.#rows = [];
    this.#host.replaceChildren();
    this.to = start;
    this.style = style;
  }

  /** @param {Row[]} rows that begin where these end */
  append(rows) {
    const last = rows.at(-1);
    if (!last) return;
    const shown = rows.map((row) => this.#draw(row));
    this.#host.append(...shown.map(({ element }) => element));
    this.#rows.push(...shown);
    this.#endAfter(last);
    this.changes.value += 1;
  }

  /** @param {Row[]} rows that end where these begin; what one looks at stays where it is */
  prepend(rows) {
    const shown = rows.map((row) => this.#draw(row));
    const before = this.#box.scrollHeight;
    const top = this.#box.scrollTop;
    this.#host.prepend(...shown.map(({ element }) => element));
    this.#rows.unshift(...shown);
    this.#box.scrollTop = top + this.#box.scrollHeight - before;
    this.changes.value += 1;
  }

  /**
   * Takes the last row away when there is more of it now.
   * @param {number} size of the output
   */
  dropOpen(size) {
    const last = this.#rows.at(-1);
    if (!last?.row.isOpen || last.row.end >= size) return;
    last.element.remove();
    this.#rows.pop();
    this.to = last.row.start;
    this.style = last.row.before;
  }

  /** Takes rows away that are far from what one looks at. */
  dropFar() {
    const { clientHeight, scrollTop, scrollHeight } = this.#box;
    if (this.#hasSelection() && this.#rows.length < MOST_ROWS) return;
    if (scrollHeight - scrollTop - clientHeight > TOO_MUCH * clientHeight) {
      const first = this.indexAt(scrollTop + (1 + ENOUGH) * clientHeight) + 1;
      for (const { element } of this.#rows.splice(first)) element.remove();
      this.#endAfter(this.#rows[this.#rows.length - 1].row);
    }
    if (scrollTop > TOO_MUCH * clientHeight) {
      const first = this.indexAt(scrollTop - ENOUGH * clientHeight);
      const height = this.#rows[first].element.offsetTop - this.#rows[0].element.offsetTop;
      for (const { element } of this.#rows.splice(0, first)) element.remove();
      this.#box.scrollTop = scrollTop - height;
    }
  }

  /** Draws all rows anew, as `look` is now. */
  redraw() {
    for (const shown of this.#rows) {
      const element = rowElement(shown.row, this.#look());
      shown.element.replaceWith(element);
      shown.element = element;
    }
    this.changes.value += 1;
  }

  /** @param {number} y pixels from the top of the rows @returns {number} the row that is there */
  indexAt(y) {
    let low = 0;
    let high = this.#rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#rows[middle].element.offsetTop <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** @param {number} offset bytes @returns {Shown | undefined} the row that it lies in */
  at(offset) {
    return this.#rows.find(({ row }) => row.start <= offset && offset < row.end);
  }

  /** @param {Row} row @returns {Shown} */
  #draw(row) {
    if (row.isError) this.sawErrors.value = true;
    if (row.line?.moves) this.moves.value = true;
    return { row, element: rowElement(row, this.#look()) };
  }

  /** @param {Row} last */
  #endAfter(last) {
    this.to = last.end;
    this.style = last.after;
  }

  #hasSelection() {
    const selection = document.getSelection();
    return Boolean(
      selection && !selection.isCollapsed && this.#host.contains(selection.anchorNode),
    );
  }
}
