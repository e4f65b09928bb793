/**
 * One uPlot chart: made when it is shown, fed with columns, ended when it goes.
 * Runs on: the page.
 */
import { chartOptions, readPalette } from "./chart-options.js";
import { ChartTip } from "./chart-tip.js";
import { Cleanups } from "./connect.js";
import { momentLabel } from "./monitor-ranges.js";
import { runsAt } from "./monitor-runs.js";
import { loadStylesheet } from "./stylesheet.js";
import { onColoursChange } from "./theme.js";

/** @import uPlot from "uplot" */
/** @import { Task } from "./types.js" */
/** @import { Unit } from "./monitor-units.js" */

/** @typedef {{task: Task, start: number, end: number}} ShownRun */

/**
 * @typedef {object} Line
 * @property {string} key name of the column
 * @property {string} label
 * @property {string} colour name of a token
 * @property {boolean} [filled]
 * @property {boolean} [quiet] drawn thin and without a point: what belongs to another line
 */

/**
 * @typedef {object} ChartSpec
 * @property {string} label what it shows
 * @property {Line[]} lines
 * @property {Unit} unit
 * @property {(highest: number) => number} top where the axis ends
 * @property {boolean} [bare] without axes, for small multiples
 */

/**
 * @typedef {object} ChartData
 * @property {number[]} times
 * @property {(number | null)[][]} columns
 * @property {number} start where the axis begins
 * @property {number} end
 * @property {ShownRun[]} runs
 */

/**
 * @typedef {object} ChartEvents
 * @property {(moment: number | null) => void} onMoment the pointer is at a moment, or left
 * @property {(task: Task) => void} onRun a run was chosen
 */

const STYLES = new URL("../vendor/uplot.css", import.meta.url).href;

/** How near to a run's edge the pointer counts as on it. */
const NEAR_PX = 5;

/** @type {Promise<typeof uPlot> | null} */
let library = null;

/** Loads the chart library and its styles; once. */
export function loadCharts() {
  library ??= Promise.all([import("uplot"), loadStylesheet(STYLES)]).then(
    ([module]) => module.default,
  );
  library.catch(() => {
    library = null;
  });
  return library;
}

export class TimeChart {
  #UPlot;
  #spec;
  #events;
  /** @type {uPlot | null} */
  #plot = null;
  /** @type {ChartData} */
  #data;
  #cleanups = new Cleanups();
  #tip = new ChartTip();
  /** What a finger or the keys have chosen: it stays chosen while the chart moves on.
   * @type {number | null} */
  #chosen = null;

  /**
   * @param {typeof uPlot} UPlot
   * @param {ChartSpec} spec
   * @param {ChartData} data
   * @param {ChartEvents} events
   */
  constructor(UPlot, spec, data, events) {
    this.#UPlot = UPlot;
    this.#spec = spec;
    this.#data = data;
    this.#events = events;
  }

  /** @param {HTMLElement} host filled by the chart */
  connect(host) {
    this.#draw(host);
    const resizes = new ResizeObserver(() => this.#fit(host));
    resizes.observe(host);
    host.addEventListener("keydown", this.#keyed);
    host.addEventListener("blur", this.#blurred);
    this.#cleanups.add(
      () => host.removeEventListener("keydown", this.#keyed),
      () => host.removeEventListener("blur", this.#blurred),
      () => this.#end(),
      () => resizes.disconnect(),
      onColoursChange(() => this.#draw(host)),
    );
  }

  disconnect() {
    this.#cleanups.run();
  }

  /**
   * Shows other data; the columns are in the order of the lines.
   * @param {ChartData} data
   */
  update(data) {
    this.#data = data;
    const plot = this.#plot;
    if (!plot) return;
    plot.batch(() => {
      plot.setData(this.#aligned(), false);
      plot.setScale("x", { min: data.start, max: data.end });
    });
  }

  /**
   * Puts the cursor to a moment, or takes it away.
   * @param {number | null} moment seconds since the epoch
   */
  point(moment) {
    const plot = this.#plot;
    if (!plot || (this.#chosen === null && plot.over.matches(":hover"))) return;
    const shown = this.#chosen ?? moment;
    const left = shown === null ? -10 : plot.valToPos(shown, "x");
    plot.setCursor({ left, top: shown === null ? -10 : 0 });
  }

  /** @param {HTMLElement} host */
  #draw(host) {
    this.#end();
    const { clientWidth: width, clientHeight: height } = host;
    const options = chartOptions(this.#UPlot, this.#spec, readPalette(host), () => this.#data);
    const plot = new this.#UPlot(
      { ...options, width, height, hooks: { ...options.hooks, setCursor: [this.#moved] } },
      this.#aligned(),
      host,
    );
    plot.setScale("x", { min: this.#data.start, max: this.#data.end });
    plot.over.addEventListener("mouseleave", this.#left);
    document.addEventListener("pointerdown", this.#pressed);
    plot.over.addEventListener("pointerup", this.#released);
    if (!this.#spec.bare) plot.over.append(this.#tip.element);
    this.#plot = plot;
  }

  #end() {
    this.#tip.hide();
    this.#plot?.over.removeEventListener("mouseleave", this.#left);
    document.removeEventListener("pointerdown", this.#pressed);
    this.#plot?.over.removeEventListener("pointerup", this.#released);
    this.#plot?.destroy();
    this.#plot = null;
  }

  /** @param {HTMLElement} host */
  #fit(host) {
    const { clientWidth: width, clientHeight: height } = host;
    if (width && height) this.#plot?.setSize({ width, height });
  }

  /** @returns {uPlot.AlignedData} */
  #aligned() {
    return [this.#data.times, ...this.#data.columns];
  }

  /** @param {uPlot} plot */
  #moved = (plot) => {
    const { left } = plot.cursor;
    // Elsewhere the cursor is only shown where the pointer is in another chart.
    if (left === undefined || left < 0) return;
    if (this.#chosen === null && !plot.over.matches(":hover")) return;
    const moment = plot.posToVal(left, "x");
    const runs = this.#runsAt(moment);
    plot.over.classList.toggle("on-run", runs.length > 0);
    const { start, end } = this.#data;
    this.#tip.show(momentLabel(moment, end - start), runs, left, plot.over.clientWidth);
    this.#events.onMoment(moment);
  };

  /** A finger never leaves: what it chose stays until something else is touched. */
  #left = () => {
    if (this.#chosen !== null) return;
    this.#tip.hide();
    this.#events.onMoment(null);
  };

  #free = () => {
    if (this.#chosen === null) return;
    this.#chosen = null;
    this.#left();
  };

  /** A finger on a link beside the cursor takes the focus there, and still means this chart.
   * @param {FocusEvent} event */
  #blurred = (event) => {
    const isInside =
      event.relatedTarget instanceof Node && this.#plot?.over.contains(event.relatedTarget);
    if (!isInside) this.#free();
  };

  /** @param {PointerEvent} event anywhere on the page */
  #pressed = (event) => {
    const isHere = event.target instanceof Node && this.#plot?.over.contains(event.target);
    if (isHere && event.pointerType !== "mouse") this.#chosen = this.#momentAt(event);
    else this.#free();
  };

  /** @param {KeyboardEvent} event */
  #keyed = (event) => {
    const { start, end, runs } = this.#data;
    const step = (end - start) / (event.shiftKey ? 10 : 100);
    const from = this.#chosen ?? end;
    /** @type {Record<string, number>} */
    const moments = { ArrowLeft: from - step, ArrowRight: from + step, Home: start, End: end };
    if (event.key === "Escape") this.#free();
    if (event.key === "Enter" && this.#chosen !== null) {
      const run = runsAt(runs, this.#chosen, step / 2).at(-1);
      if (run) this.#events.onRun(run.task);
    }
    if (!(event.key in moments)) return;
    event.preventDefault();
    this.#chosen = Math.min(end, Math.max(start, moments[event.key]));
    this.point(this.#chosen);
  };

  /** @param {PointerEvent} event */
  #momentAt(event) {
    if (!this.#plot) return null;
    const left = event.clientX - this.#plot.over.getBoundingClientRect().left;
    return this.#plot.posToVal(left, "x");
  }

  /** A mouse goes to the run at once; a finger has first to see what it touches.
   * @param {PointerEvent} event */
  #released = (event) => {
    if (event.pointerType !== "mouse" || event.button !== 0) return;
    const moment = this.#momentAt(event);
    const run = moment === null ? undefined : this.#runsAt(moment).at(-1);
    if (run) this.#events.onRun(run.task);
  };

  /** @param {number} moment */
  #runsAt(moment) {
    const { start, end, runs } = this.#data;
    const width = this.#plot?.over.clientWidth || 1;
    return runsAt(runs, moment, ((end - start) / width) * NEAR_PX);
  }
}
