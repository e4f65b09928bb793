/**
 * What the last minute of an actor was like, worked out from the counts that come every second.
 * Runs on: anywhere.
 */

/** @import { ActorFigures } from "./types.js" */

/**
 * @typedef {object} ActorRow
 * @property {ActorFigures} now
 * @property {number} depth messages that wait
 * @property {number} depthPeak the most that waited in the last minute
 * @property {number} rate messages a second
 * @property {number} share percent of its time that it is busy
 * @property {number} sharePeak the most of the last minute
 * @property {number[]} depths oldest first
 * @property {number[]} shares oldest first
 * @property {number} troubles restarts, refusals and drops of the last minute
 */

export const SAMPLES_KEPT = 60;

/** Counts further apart than this say nothing about one second: nobody looked meanwhile. */
const LONGEST_GAP_MS = 3_000;

/** Figures of an actor that has just begun. */
const NOTHING = { handled: 0, busy_s: 0, restarts: 0, refused: 0, dropped: 0 };

/** @param {ActorFigures | typeof NOTHING} figures */
const troublesOf = ({ restarts, refused, dropped }) => restarts + refused + dropped;

/**
 * @template T
 * @param {T[]} list
 * @param {T} item
 */
const kept = (list, item) => [...list, item].slice(-SAMPLES_KEPT);

/** What is remembered of one name. */
class Trail {
  /** @type {number[]} */
  depths = [];
  /** @type {number[]} */
  shares = [];
  /** @type {number[]} */
  troubles = [];
  /** @type {ActorFigures | null} */
  #before = null;

  /**
   * @param {ActorFigures} now
   * @param {number} seconds since the figures before; 0 when these are the first to count
   * @returns {ActorRow}
   */
  take(now, seconds) {
    const isSame = this.#before !== null && now.handled >= this.#before.handled;
    const before = isSame && this.#before ? this.#before : NOTHING;
    const isKnown = seconds > 0 && this.#before !== null;
    const share = isKnown ? Math.min(100, ((now.busy_s - before.busy_s) / seconds) * 100) : 0;
    const rate = isKnown ? (now.handled - before.handled) / seconds : 0;
    const recent = seconds > 0 ? now.recent_peak : 0;
    this.depths = kept(this.depths, Math.max(now.mailbox_depth, recent));
    this.shares = kept(this.shares, Math.max(0, share));
    this.troubles = kept(this.troubles, isKnown ? troublesOf(now) - troublesOf(before) : 0);
    this.#before = now;
    return this.#row(now, rate);
  }

  /** @param {ActorFigures} now @param {number} rate @returns {ActorRow} */
  #row(now, rate) {
    return {
      now,
      depth: now.mailbox_depth,
      depthPeak: Math.max(...this.depths),
      rate,
      share: this.shares.at(-1) ?? 0,
      sharePeak: Math.max(...this.shares),
      depths: this.depths,
      shares: this.shares,
      troubles: this.troubles.reduce((sum, count) => sum + Math.max(0, count), 0),
    };
  }
}

export class ActorTrails {
  /** @type {Map<string, Trail>} */
  #trails = new Map();
  #takenAt = 0;

  /**
   * @param {ActorFigures[]} figures
   * @param {number} nowMs of a clock that only goes forward
   * @returns {ActorRow[]} in the same order
   */
  take(figures, nowMs) {
    const gap = nowMs - this.#takenAt;
    const seconds = this.#takenAt && gap <= LONGEST_GAP_MS ? Math.max(gap, 1) / 1000 : 0;
    this.#takenAt = nowMs;
    const before = this.#trails;
    this.#trails = new Map(figures.map(({ name }) => [name, before.get(name) ?? new Trail()]));
    return figures.map((now) =>
      /** @type {Trail} */ (this.#trails.get(now.name)).take(now, seconds),
    );
  }
}
