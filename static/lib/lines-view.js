/**
 * A window on an output: some rows around what is looked at, more as one scrolls, old ones dropped.
 * Runs on: the page.
 *
 * The box scrolls as any other; its rows are a few screens of the whole. Where in the output that
 * is, is told in bytes: `top` and `bottom` are what the box shows.
 */
import { signal } from "@preact/signals";
import { PLAIN } from "./ansi.js";
import { sentence } from "./api.js";
import { Cleanups } from "./connect.js";
import { gapRow, rowElement, rowsFrom, startsOf, styleAt } from "./output-lines.js";
import { LOOK_BACK_BYTES, rowStart } from "./output-rows.js";
import { READ_BYTES } from "./output-source.js";

/** @import { Style } from "./ansi.js" */
/** @import { Look, Row } from "./output-lines.js" */
/** @import { OutputSource } from "./output-source.js" */
/** @import { Stretch } from "./output-stretch.js" */

const BATCH_ROWS = 120;
const BATCH_BYTES = 24 * 1024;
const NEAR_END_PX = 24;
/** In heights of the box: how much is kept ready, and beyond what rows are dropped, and to where. */
const READY = 1.5;
const TOO_MUCH = 6;
const ENOUGH = 3;
/** While text is selected, rows stay until there are so many. */
const MOST_ROWS = 4000;

/** @typedef {{row: Row, element: HTMLElement}} Shown */
/** @typedef {{offset: number, place: number}} Place a byte, and where in the box (0 top, 1 end) */

const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

export class LinesView {
  /** The first and the last byte that the box shows. */
  top = signal(0);
  bottom = signal(0);
  /** How far the box is scrolled, from 0 to 1, and the share that it shows, when its rows are all
   * that there is; else null.
   * @type {import("@preact/signals").Signal<{at: number, share: number} | null>} */
  whole = signal(null);
  following = signal(false);
  /** Whether what is looked at is on its way. */
  busy = signal(true);
  error = signal("");
  sawErrors = signal(false);
  /** Whether some of the output moves the cursor between lines. */
  moves = signal(false);
  /** Counts the changes of the rows. */
  changes = signal(0);

  #source;
  /** @type {() => Look} */
  #look;
  /** @type {HTMLElement} */
  #box = document.createElement("div");
  /** @type {HTMLElement} */
  #list = document.createElement("div");
  /** @type {Shown[]} */
  #rows = [];
  /** Where the rows end, and the style there. */
  #to = 0;
  /** @type {Style} */
  #style = PLAIN;
  /** Grows when all rows are replaced. */
  #generation = 0;
  /** @type {Place | "end" | null} */
  #wanted = null;
  /** @type {Place | "end" | null} */
  #failed = null;
  #seeking = false;
  /** @type {Promise<void> | null} */
  #filling = null;
  #frame = 0;
  #connected = false;
  #cleanups = new Cleanups();

  /**
   * @param {OutputSource} source
   * @param {() => Look} look asked for each row
   */
  constructor(source, look) {
    this.#source = source;
    this.#look = look;
  }

  /** @param {HTMLElement} box what scrolls @param {HTMLElement} list what holds the rows */
  connect(box, list) {
    this.#box = box;
    this.#list = list;
    this.#connected = true;
    const look = () => {
      this.#frame ||= requestAnimationFrame(() => this.#scrolled());
    };
    box.addEventListener("scroll", look, { passive: true });
    const resizes = new ResizeObserver(() => this.#resized());
    resizes.observe(box);
    this.#cleanups.add(
      () => box.removeEventListener("scroll", look),
      () => resizes.disconnect(),
      () => cancelAnimationFrame(this.#frame),
      this.#source.size.subscribe(() => this.#grown()),
    );
  }

  disconnect() {
    this.#connected = false;
    this.#generation += 1;
    this.#cleanups.run();
  }

  /** The rows that are held, with their elements. */
  get rows() {
    return this.#rows;
  }

  /**
   * Goes to a byte; of several wishes, the last one counts.
   * @param {number} offset
   * @param {number} [place] where in the box its row is to be: 0 at the top, 1 at the end
   */
  seek(offset, place = 0) {
    this.following.value = false;
    const shown = place > 0 ? this.#shownAt(offset) : undefined;
    if (shown && !this.#seeking) this.#reveal(shown, place);
    else this.#want({ offset: Math.max(0, Math.min(offset, this.#source.size.value - 1)), place });
  }

  /** Goes to the end and stays there while the output grows. */
  follow() {
    this.following.value = true;
    this.#want("end");
  }

  pause() {
    this.following.value = false;
  }

  /** Tries again what has failed. */
  retry() {
    const failed = this.#failed;
    this.#failed = null;
    if (failed) this.#want(failed);
    else this.#fill();
  }

  /** @param {number} share scrolls the box to this part of it, from 0 to 1 */
  scrollTo(share) {
    this.#box.scrollTop = share * (this.#box.scrollHeight - this.#box.clientHeight);
  }

  /**
   * Draws all rows anew, as `look` is now, and stays where it is.
   * @param {() => void} [change] what else changes their size
   */
  redraw(change) {
    const anchor = this.#atTop();
    const within = anchor ? this.#box.scrollTop - anchor.element.offsetTop : 0;
    change?.();
    for (const shown of this.#rows) {
      const element = rowElement(shown.row, this.#look());
      shown.element.replaceWith(element);
      shown.element = element;
    }
    if (this.following.value) this.#box.scrollTop = this.#box.scrollHeight;
    else if (anchor) this.#box.scrollTop = anchor.element.offsetTop + within;
    this.#changed();
    this.#fill();
  }

  /** @param {Place | "end"} wish */
  async #want(wish) {
    this.#wanted = wish;
    if (this.#seeking) return;
    this.#seeking = true;
    this.busy.value = true;
    while (this.#wanted && this.#connected) {
      const next = this.#wanted;
      this.#wanted = null;
      try {
        if (next === "end") await this.#showEnd();
        else await this.#show(next);
        this.error.value = "";
        this.#failed = null;
      } catch (error) {
        this.error.value = sentence(error);
        this.#failed = next;
      }
    }
    this.#seeking = false;
    this.busy.value = false;
    await this.#fill();
  }

  /** @param {Place} place */
  async #show({ offset, place }) {
    const stretch = await this.#source.stretch(offset - LOOK_BACK_BYTES, offset + READ_BYTES);
    const run = stretch.runAt(offset);
    if (!run) return this.#replace(stretch, offset, PLAIN);
    const start = run.bytes ? rowStart(run, offset) : run.start;
    this.#replace(stretch, start, run.bytes ? styleAt(run, start) : PLAIN);
    if (place > 0) await this.#fill();
    const shown = this.#shownAt(offset);
    if (shown) this.#reveal(shown, place, true);
  }

  async #showEnd() {
    const size = this.#source.size.value;
    const stretch = await this.#source.stretch(size - READ_BYTES, size);
    const end = stretch.end;
    const run = stretch.runAt(end - 1);
    if (!run) return this.#replace(stretch, end, PLAIN);
    if (!run.bytes) return this.#replace(stretch, run.start, PLAIN);
    const about = Math.max(run.start, end - BATCH_BYTES);
    const starts = startsOf(run, rowStart(run, about), run.end);
    const start = starts.at(-BATCH_ROWS) ?? starts[0];
    this.#replace(stretch, start, styleAt(run, start));
    this.#box.scrollTop = this.#box.scrollHeight;
  }

  /** @param {Stretch} stretch @param {number} start @param {Style} style */
  #replace(stretch, start, style) {
    if (!this.#connected) return;
    this.#generation += 1;
    this.#rows = [];
    this.#list.replaceChildren();
    this.#to = start;
    this.#style = style;
    this.#append(stretch);
    this.#box.scrollTop = 0;
  }

  /** @param {Stretch} stretch @returns {boolean} whether there was something to append */
  #append(stretch) {
    const limits = { style: this.#style, rows: BATCH_ROWS, bytes: BATCH_BYTES };
    const rows = rowsFrom(stretch, this.#to, limits);
    if (rows.length === 0) return false;
    const shown = rows.map((row) => this.#draw(row));
    this.#list.append(...shown.map(({ element }) => element));
    this.#rows.push(...shown);
    const last = rows[rows.length - 1];
    this.#to = last.end;
    this.#style = last.after;
    this.#changed();
    return true;
  }

  /** @param {Row} row @returns {Shown} */
  #draw(row) {
    if (row.isError) this.sawErrors.value = true;
    if (row.line?.moves) this.moves.value = true;
    return { row, element: rowElement(row, this.#look()) };
  }

  /** Adds rows before and after until enough is ready, a batch a frame. */
  #fill() {
    this.#filling ??= this.#fillAll().finally(() => {
      this.#filling = null;
    });
    return this.#filling;
  }

  async #fillAll() {
    try {
      while (this.#connected && (await this.#fillOnce())) await nextFrame();
      if (!this.#failed) this.error.value = "";
    } catch (error) {
      this.error.value = sentence(error);
    }
    if (this.#connected) this.#tell();
  }

  /** @returns {Promise<boolean>} whether there may be more to do */
  async #fillOnce() {
    const box = this.#box;
    const ready = READY * box.clientHeight;
    const generation = this.#generation;
    const below = box.scrollHeight - box.scrollTop - box.clientHeight;
    if (this.#to < this.#source.size.value && (below < ready || this.following.value)) {
      const stretch = await this.#source.stretch(this.#to, this.#to + READ_BYTES);
      if (generation !== this.#generation) return true;
      const added = this.#append(stretch);
      if (this.following.value) box.scrollTop = box.scrollHeight;
      this.#dropFarRows();
      if (added) return true;
    }
    const from = this.#rows[0]?.row.start ?? 0;
    if (from === 0 || box.scrollTop > ready) return false;
    const stretch = await this.#source.stretch(from - READ_BYTES, from);
    if (generation === this.#generation) this.#prepend(stretch, from);
    this.#dropFarRows();
    return true;
  }

  /** @param {Stretch} stretch @param {number} from where the first row begins */
  #prepend(stretch, from) {
    const run = stretch.runAt(from - 1);
    if (!run) return;
    const shown = this.#rowsBefore(stretch, run, from).map((row) => this.#draw(row));
    const before = this.#box.scrollHeight;
    const top = this.#box.scrollTop;
    this.#list.prepend(...shown.map(({ element }) => element));
    this.#rows.unshift(...shown);
    this.#box.scrollTop = top + this.#box.scrollHeight - before;
    this.#changed();
  }

  /**
   * @param {Stretch} stretch
   * @param {import("./output-rows.js").Run} run
   * @param {number} end
   * @returns {Row[]}
   */
  #rowsBefore(stretch, run, end) {
    if (!run.bytes) return [gapRow({ ...run, end })];
    const about = Math.max(run.start, end - BATCH_BYTES);
    const starts = startsOf(run, rowStart(run, about), end);
    const start = starts.at(-BATCH_ROWS) ?? starts[0];
    const style = styleAt(run, start);
    return rowsFrom(stretch, start, { style, rows: BATCH_ROWS, bytes: 2 * BATCH_BYTES, end });
  }

  #dropFarRows() {
    const box = this.#box;
    const keep = ENOUGH * box.clientHeight;
    if (this.#hasSelection() && this.#rows.length < MOST_ROWS) return;
    const top = box.scrollTop;
    const below = box.scrollHeight - top - box.clientHeight;
    if (below > TOO_MUCH * box.clientHeight) {
      const first = this.#indexAt(top + box.clientHeight + keep) + 1;
      for (const { element } of this.#rows.splice(first)) element.remove();
      const last = this.#rows[this.#rows.length - 1].row;
      this.#to = last.end;
      this.#style = last.after;
    }
    if (top > TOO_MUCH * box.clientHeight) {
      const first = this.#indexAt(top - keep);
      const height = this.#rows[first].element.offsetTop - this.#rows[0].element.offsetTop;
      for (const { element } of this.#rows.splice(0, first)) element.remove();
      box.scrollTop = top - height;
    }
  }

  #hasSelection() {
    const selection = document.getSelection();
    return Boolean(
      selection && !selection.isCollapsed && this.#list.contains(selection.anchorNode),
    );
  }

  /** The end moved on: what was last may be longer now. */
  #grown() {
    const last = this.#rows.at(-1);
    if (last?.row.isOpen && last.row.end < this.#source.size.peek()) {
      last.element.remove();
      this.#rows.pop();
      this.#to = last.row.start;
      this.#style = last.row.before;
    }
    const behind = this.#source.size.peek() - this.#to;
    if (this.following.peek() && behind > READ_BYTES) this.#want("end");
    else this.#fill();
  }

  #scrolled() {
    this.#frame = 0;
    if (this.#seeking || !this.#connected) return;
    const box = this.#box;
    const isNearEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END_PX;
    if (this.following.value && !isNearEnd) this.following.value = false;
    else if (isNearEnd && this.#to >= this.#source.size.value) this.following.value = true;
    this.#tell();
    this.#fill();
  }

  #resized() {
    const bar = this.#box.offsetWidth - this.#box.clientWidth;
    this.#box.style.setProperty("--bar-width", `${bar}px`);
    if (this.following.value) this.#box.scrollTop = this.#box.scrollHeight;
    this.#tell();
    this.#fill();
  }

  #changed() {
    this.changes.value += 1;
  }

  #tell() {
    const box = this.#box;
    if (this.#rows.length === 0) return;
    const { row } = this.#rows[this.#indexAt(box.scrollTop)];
    const last = this.#rows[this.#indexAt(box.scrollTop + box.clientHeight - 1)].row;
    this.top.value = row.start;
    this.bottom.value = last.end;
    const isWhole = this.#rows[0].row.start === 0 && this.#to >= this.#source.size.value;
    const room = box.scrollHeight - box.clientHeight;
    const at = room > 0 ? box.scrollTop / room : 0;
    this.whole.value = isWhole ? { at, share: box.clientHeight / box.scrollHeight } : null;
  }

  #atTop() {
    return this.#rows.length ? this.#rows[this.#indexAt(this.#box.scrollTop)] : undefined;
  }

  /** @param {number} y pixels from the top of the rows @returns {number} the row that is there */
  #indexAt(y) {
    let low = 0;
    let high = this.#rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#rows[middle].element.offsetTop <= y) low = middle;
      else high = middle - 1;
    }
    return low;
  }

  /** @param {number} offset @returns {Shown | undefined} */
  #shownAt(offset) {
    return this.#rows.find(({ row }) => row.start <= offset && offset < row.end);
  }

  /** @param {Shown} shown @param {number} place @param {boolean} [always] */
  #reveal({ element }, place, always = false) {
    const box = this.#box;
    const isFirst = element === this.#list.firstElementChild;
    const from = isFirst ? 0 : element.offsetTop;
    const isSeen =
      from >= box.scrollTop && from + element.offsetHeight <= box.scrollTop + box.clientHeight;
    if (isSeen && !always) return;
    box.scrollTop = from - place * box.clientHeight;
    this.#tell();
    this.#fill();
  }
}
