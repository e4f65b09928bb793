/**
 * The machine's history as columns that grow: what the hub has stored, and each second since.
 * Runs on: anywhere; pure.
 */

/** @import { Resources } from "./types.js" */

/**
 * @typedef {object} InterfaceRates
 * @property {string} name
 * @property {number} received bytes a second
 * @property {number} transmitted bytes a second
 * @property {boolean} counted whether it is part of the totals
 */

/**
 * @typedef {object} Rates
 * @property {number} disk_read bytes a second
 * @property {number} disk_write bytes a second
 * @property {number} received bytes a second
 * @property {number} transmitted bytes a second
 * @property {InterfaceRates[]} interfaces
 */

/**
 * @typedef {Resources & {load_average: number[], rates: Rates, sampled_at: string,
 *   process_count: number}} Sample
 */

/** @typedef {(number | null)[]} Column */

/**
 * @typedef {object} History
 * @property {string} from
 * @property {string} to
 * @property {number} step seconds
 * @property {number} resolution seconds
 * @property {number} memory_total bytes
 * @property {number} swap_total bytes
 * @property {number[]} times
 * @property {Record<string, Column>} series
 * @property {Record<string, Column>} peaks
 * @property {Column[]} cores
 * @property {{mount_point: string, used_percent: Column}[]} disks
 */

/** Samples that lie further apart have a gap between them. */
const APART_S = 2.5;

/**
 * The figures of a sample by the names of the columns.
 * @param {Sample} sample
 * @returns {Record<string, number>}
 */
function figuresOf(sample) {
  const { rates } = sample;
  /** @type {Record<string, number>} */
  const figures = {
    cpu: sample.cpu_percent,
    memory: sample.memory_used,
    swap: sample.swap_used,
    load: sample.load_average[0],
    disk_read: rates.disk_read,
    disk_write: rates.disk_write,
    received: rates.received,
    transmitted: rates.transmitted,
  };
  for (const name of Object.keys(figures)) figures[`peak:${name}`] = figures[name];
  for (const [number, core] of sample.cpu_cores.entries()) figures[`core:${number}`] = core.usage;
  for (const disk of sample.disks) figures[`disk:${disk.mount_point}`] = disk.usage_percent;
  return figures;
}

/** Columns by name: `cpu`, `peak:cpu`, `core:0`, `disk:/`, and so on. All are as long as `times`. */
export class Trail {
  /** @type {number[]} */
  times;
  /** @type {Map<string, Column>} */
  columns = new Map();
  step;
  resolution;
  cores;
  /** @type {string[]} */
  mounts;

  #seconds;
  #newest;
  /** How many seconds the last step stands for so far. */
  #weight;

  /**
   * @param {History} history
   * @param {number} seconds how much time is shown
   */
  constructor(history, seconds) {
    this.#seconds = seconds;
    this.step = history.step;
    this.resolution = history.resolution;
    this.times = history.times;
    for (const [name, column] of Object.entries(history.series)) this.columns.set(name, column);
    for (const [name, column] of Object.entries(history.peaks))
      this.columns.set(`peak:${name}`, column);
    this.cores = history.cores.length;
    for (const [number, column] of history.cores.entries())
      this.columns.set(`core:${number}`, column);
    this.mounts = history.disks.map((disk) => disk.mount_point);
    for (const disk of history.disks)
      this.columns.set(`disk:${disk.mount_point}`, disk.used_percent);
    this.#dropUnmeasuredEnd();
    this.#newest = Math.min(Date.parse(history.to) / 1000, (this.times.at(-1) ?? 0) + this.step);
    this.#weight = Math.max(0, this.#newest - (this.times.at(-1) ?? 0));
  }

  /** @returns {number} where what is shown ends, in seconds since the epoch */
  get end() {
    return this.#newest;
  }

  /** @returns {number} where what is shown begins */
  get start() {
    return this.end - this.#seconds;
  }

  /** Whether anything was measured in the time that is shown. */
  get isEmpty() {
    return !this.columns.get("cpu")?.some((share) => share !== null);
  }

  /**
   * @param {string} name
   * @returns {Column} a column of nulls where there is none of that name
   */
  column(name) {
    return this.columns.get(name) ?? this.times.map(() => null);
  }

  /**
   * Takes in a sample; one that is older than the newest changes nothing.
   * @param {Sample} sample
   * @returns {boolean} whether anything has changed
   */
  append(sample) {
    const at = Date.parse(sample.sampled_at) / 1000;
    if (at <= this.#newest) return false;
    const figures = figuresOf(sample);
    const bucket = Math.floor(at / this.step) * this.step;
    const last = this.times.at(-1) ?? Number.NEGATIVE_INFINITY;
    const isConnected = at - this.#newest <= APART_S;
    if (bucket > last) this.#open(last, bucket, isConnected ? figures : null);
    this.#work(figures, isConnected ? at - this.#newest : 1);
    this.#newest = at;
    this.#forget(bucket);
    return true;
  }

  /**
   * Begins steps up to `bucket`; those that the sample covers wholly get its figures.
   * @param {number} last @param {number} bucket @param {Record<string, number> | null} figures
   */
  #open(last, bucket, figures) {
    const first = Number.isFinite(last) ? last + this.step : bucket;
    const count = Math.round((bucket - first) / this.step) + 1;
    if (count * this.step > this.#seconds) this.#clear();
    const from = count * this.step > this.#seconds ? bucket : first;
    for (let time = from; time <= bucket; time += this.step) {
      this.times.push(time);
      for (const [name, column] of this.columns)
        column.push(time < bucket && figures ? (figures[name] ?? null) : null);
    }
    this.#weight = 0;
  }

  /** @param {Record<string, number>} figures @param {number} seconds */
  #work(figures, seconds) {
    const index = this.times.length - 1;
    const weight = this.#weight;
    for (const [name, figure] of Object.entries(figures)) {
      const column = this.#columnOf(name);
      const before = column[index];
      if (before === null) column[index] = figure;
      else if (name.startsWith("peak:")) column[index] = Math.max(before, figure);
      else column[index] = (before * weight + figure * seconds) / (weight + seconds);
    }
    this.#weight = Math.min(this.step, weight + seconds);
  }

  /** @param {string} name */
  #columnOf(name) {
    let column = this.columns.get(name);
    if (!column) {
      column = this.times.map(() => null);
      this.columns.set(name, column);
      if (name.startsWith("core:")) this.cores += 1;
      if (name.startsWith("disk:")) this.mounts.push(name.slice("disk:".length));
    }
    return column;
  }

  /** @param {number} bucket */
  #forget(bucket) {
    let count = 0;
    while (this.times[count] < bucket - this.#seconds) count += 1;
    if (count === 0) return;
    this.times.splice(0, count);
    for (const column of this.columns.values()) column.splice(0, count);
  }

  #clear() {
    this.times.length = 0;
    for (const column of this.columns.values()) column.length = 0;
  }

  /** The last steps may not have been measured yet; they are no gap. */
  #dropUnmeasuredEnd() {
    const shares = this.columns.get("cpu") ?? [];
    let end = shares.length;
    while (end > 0 && shares[end - 1] === null) end -= 1;
    if (end === 0 || shares.length - end > 2) return;
    this.times.length = end;
    for (const column of this.columns.values()) column.length = end;
  }
}
