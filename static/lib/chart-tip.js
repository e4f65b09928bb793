/**
 * What stands beside the pointer in a chart: the moment, and the runs that were under way.
 * Runs on: the page.
 */
import { stateWord } from "./format.js";

/** @import { ShownRun } from "./time-chart.js" */

const MOST_RUNS = 4;
const APART_PX = 12;

export class ChartTip {
  element = document.createElement("div");
  #shown = "";

  constructor() {
    this.element.className = "chart-tip";
    this.element.hidden = true;
  }

  /**
   * @param {string} moment
   * @param {ShownRun[]} runs
   * @param {number} left where the pointer is
   * @param {number} width how wide the chart is
   */
  show(moment, runs, left, width) {
    const shown = [moment, ...runs.map(({ task }) => task.id + task.state)].join();
    if (shown !== this.#shown) this.#fill(moment, runs);
    this.#shown = shown;
    this.element.hidden = false;
    const isRight = left > width / 2;
    this.element.style.left = isRight ? "" : `${left + APART_PX}px`;
    this.element.style.right = isRight ? `${width - left + APART_PX}px` : "";
  }

  hide() {
    this.element.hidden = true;
    this.#shown = "";
  }

  /** @param {string} moment @param {ShownRun[]} runs */
  #fill(moment, runs) {
    const time = document.createElement("time");
    time.textContent = moment;
    const links = runs.slice(-MOST_RUNS).map(({ task }) => link(task));
    const more = document.createElement("span");
    if (runs.length > MOST_RUNS) more.textContent = `and ${runs.length - MOST_RUNS} more`;
    this.element.replaceChildren(time, ...links, more);
  }
}

/** Links are for fingers: a mouse goes to the run by a click anywhere on it.
 * @param {import("./types.js").Task} task */
function link(task) {
  const made = document.createElement("a");
  made.href = `/history/${encodeURIComponent(task.id)}`;
  made.textContent = `${task.script_name} · ${stateWord(task.state)}`;
  made.tabIndex = -1;
  return made;
}
