/**
 * How a person likes to see outputs; kept in this browser.
 * Runs on: the page.
 */
import { effect, signal } from "@preact/signals";

/** @import { Times } from "./output-lines.js" */

const KEY = "toru.output";

/** @type {Times[]} */
export const TIMES = ["off", "clock", "start"];

/** @returns {Record<string, unknown>} */
function stored() {
  try {
    return JSON.parse(localStorage.getItem(KEY) ?? "{}") ?? {};
  } catch {
    return {};
  }
}

const kept = stored();

export const wrap = signal(kept.wrap !== false);
export const times = signal(TIMES.find((each) => each === kept.times) ?? "off");
/** How runs that go on are shown first; ended ones are always shown as lines. */
export const liveView = signal(kept.liveView === "lines" ? "lines" : "terminal");

effect(() => {
  const settings = { wrap: wrap.value, times: times.value, liveView: liveView.value };
  try {
    localStorage.setItem(KEY, JSON.stringify(settings));
  } catch {
    // A browser that keeps nothing: the choice holds until the page is left.
  }
});
