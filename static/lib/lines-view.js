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
import { gapRow, rowsFrom, startsOf, styleAt } from "./output-lines.js";
import { LOOK_BACK_BYTES, rowStart } from "./output-rows.js";
import { READ_BYTES } from "./output-source.js";
import { RowList } from "./row-list.js";

/** @import { Style } from "./ansi.js" */
/** @import { Look, Row } from "./output-lines.js" */
/** @import { Run } from "./output-rows.js" */
/** @import { OutputSource } from "./output-source.js" */
/** @import { Stretch } from "./output-stretch.js" */
/** @import { Shown } from "./row-list.js" */

const BATCH_ROWS = 120;
const BATCH_BYTES = 24 * 1024;
const NEAR_END_PX = 24;
/** How much is kept ready before and after what is seen, in heights of the box. */
const READY = 1.5;

/** @typedef {{offset: number, place: number}} Place a byte, and where in the box (0 top, 1 end) */

const nextFrame = () => new Promise((resolve) => requestAnimationFrame(resolve));

/**
 * The rows of the last batch of a run before `end`.
 * @param {Stretch} stretch
 * @param {Run} run
 * @param {number} end
 * @returns {{start: number, style: Style}} where they begin
 */
function lastBatch(stretch, run, end) {
  if (!run.bytes) return { start: run.start, style: PLAIN };
  const about = Math.max(run.start, end - BATCH_BYTES, stretch.start);
  const starts = startsOf(run, rowStart(run, about), end);
  const start = starts.at(-BATCH_ROWS) ?? starts[0];
  return { start, style: styleAt(run, start) };
}

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

  #source;
  #list;
  #box = document.createElement("div");
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
    this.#list = new RowList(look);
    this.changes = this.#list.changes;
    this.sawErrors = this.#list.sawErrors;
    this.moves = this.#list.moves;
  }

  /** @param {HTMLDivElement} box what scrolls @param {HTMLDivElement} host what holds the rows */
  connect(box, host) {
    this.#box = box;
    this.#list.connect(box, host);
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
    return this.#list.shown;
  }

  /**
   * Goes to a byte; of several wishes, the last one counts.
   * @param {number} offset
   * @param {number} [place] where in the box its row is to be: 0 at the top, 1 at the end
   */
  seek(offset, place = 0) {
    this.following.value = false;
    const shown = place > 0 ? this.#list.at(offset) : undefined;
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
    const box = this.#box;
    const anchor = this.rows[this.#list.indexAt(box.scrollTop)];
    const within = anchor ? box.scrollTop - anchor.element.offsetTop : 0;
    change?.();
    this.#list.redraw();
    if (this.following.value) box.scrollTop = box.scrollHeight;
    else if (anchor) box.scrollTop = anchor.element.offsetTop + within;
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
    const shown = this.#list.at(offset);
    if (shown) this.#reveal(shown, place, true);
  }

  async #showEnd() {
    const size = this.#source.size.value;
    const stretch = await this.#source.stretch(size - READ_BYTES, size);
    const run = stretch.runAt(stretch.end - 1);
    const from = run ? lastBatch(stretch, run, run.end) : { start: stretch.end, style: PLAIN };
    this.#replace(stretch, from.start, from.style);
    this.#box.scrollTop = this.#box.scrollHeight;
  }

  /** @param {Stretch} stretch @param {number} start @param {Style} style */
  #replace(stretch, start, style) {
    if (!this.#connected) return;
    this.#generation += 1;
    this.#list.clear(start, style);
    this.#append(stretch);
    this.#box.scrollTop = 0;
  }

  /** @param {Stretch} stretch @returns {boolean} whether there was something to append */
  #append(stretch) {
    const { to, style } = this.#list;
    const rows = rowsFrom(stretch, to, { style, rows: BATCH_ROWS, bytes: BATCH_BYTES });
    this.#list.append(rows);
    return rows.length > 0;
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
    const { scrollHeight, scrollTop, clientHeight } = this.#box;
    const ready = READY * clientHeight;
    const isShort = scrollHeight - scrollTop - clientHeight < ready || this.following.value;
    if (isShort && this.#list.to < this.#source.size.value && (await this.#fillBelow()))
      return true;
    if (this.#list.from === 0 || this.#box.scrollTop > ready) return false;
    await this.#fillAbove();
    return true;
  }

  /** @returns {Promise<boolean>} whether something has changed */
  async #fillBelow() {
    const generation = this.#generation;
    const { to } = this.#list;
    const stretch = await this.#source.stretch(to, to + READ_BYTES);
    if (generation !== this.#generation) return true;
    const added = this.#append(stretch);
    if (this.following.value) this.#box.scrollTop = this.#box.scrollHeight;
    this.#list.dropFar();
    return added;
  }

  async #fillAbove() {
    const generation = this.#generation;
    const { from } = this.#list;
    const stretch = await this.#source.stretch(from - READ_BYTES, from);
    if (generation !== this.#generation) return;
    const run = stretch.runAt(from - 1);
    if (run) this.#list.prepend(this.#rowsBefore(stretch, run, from));
    this.#list.dropFar();
  }

  /**
   * @param {Stretch} stretch
   * @param {Run} run
   * @param {number} end
   * @returns {Row[]}
   */
  #rowsBefore(stretch, run, end) {
    if (!run.bytes) return [gapRow({ ...run, end })];
    const { start, style } = lastBatch(stretch, run, end);
    return rowsFrom(stretch, start, { style, rows: BATCH_ROWS, bytes: 2 * BATCH_BYTES, end });
  }

  /** The end moved on: what was last may be longer now. */
  #grown() {
    const size = this.#source.size.peek();
    this.#list.dropOpen(size);
    if (this.following.peek() && size - this.#list.to > READ_BYTES) this.#want("end");
    else this.#fill();
  }

  #scrolled() {
    this.#frame = 0;
    if (this.#seeking || !this.#connected) return;
    const box = this.#box;
    const isNearEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END_PX;
    if (this.following.value && !isNearEnd) this.following.value = false;
    else if (isNearEnd && this.#list.to >= this.#source.size.value) this.following.value = true;
    this.#tell();
    this.#fill();
  }

  #resized() {
    const box = this.#box;
    box.style.setProperty("--bar-width", `${box.offsetWidth - box.clientWidth}px`);
    if (this.following.value) box.scrollTop = box.scrollHeight;
    this.#tell();
    this.#fill();
  }

  /** Says what the box shows. */
  #tell() {
    if (this.rows.length === 0) return;
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    const list = this.#list;
    this.top.value = this.rows[list.indexAt(scrollTop)].row.start;
    this.bottom.value = this.rows[list.indexAt(scrollTop + clientHeight - 1)].row.end;
    const isWhole = list.from === 0 && list.to >= this.#source.size.value;
    const at = scrollTop / Math.max(1, scrollHeight - clientHeight);
    this.whole.value = isWhole ? { at, share: clientHeight / scrollHeight } : null;
  }

  /** @param {Shown} shown @param {number} place @param {boolean} [always] */
  #reveal({ element }, place, always = false) {
    const box = this.#box;
    const from = element === this.rows[0].element ? 0 : element.offsetTop;
    const end = from + element.offsetHeight;
    const isSeen = from >= box.scrollTop && end <= box.scrollTop + box.clientHeight;
    if (isSeen && !always) return;
    box.scrollTop = from - place * box.clientHeight;
    this.#tell();
    this.#fill();
  }
}
