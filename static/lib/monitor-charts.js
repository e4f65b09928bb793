/**
 * Which charts the monitor has, and what each draws.
 * Runs on: anywhere; pure.
 */
import { BYTES, COUNT, PERCENT, RATE } from "./monitor-units.js";

/** @import { ChartSpec, Line } from "./time-chart.js" */
/** @import { Trail } from "./monitor-trail.js" */

/** A rate that is lower than this is drawn low, and not as if it were much. */
const LEAST_RATE = 16 * 1024;
const HEADROOM = 1.08;
const COLOURS = ["chart-1", "chart-2", "chart-3", "chart-4"];

const whole = () => 100;

/** @param {Line} line @param {boolean} [isThinned] */
const withPeak = (line, isThinned) =>
  isThinned ? [line, { ...line, key: `peak:${line.key}`, filled: false, quiet: true }] : [line];

/** @param {Trail} trail @returns {ChartSpec} */
export const cpuChart = (trail) => ({
  label: "CPU",
  unit: PERCENT,
  top: whole,
  lines: withPeak(
    { key: "cpu", label: "All cores", colour: "chart-1", filled: true },
    trail.step > 1,
  ),
});

/** @param {number} core @returns {ChartSpec} */
export const coreChart = (core) => ({
  label: `Core ${core + 1}`,
  unit: PERCENT,
  top: whole,
  bare: true,
  lines: [{ key: `core:${core}`, label: `Core ${core + 1}`, colour: "chart-1", filled: true }],
});

/** @param {number} total bytes @param {boolean} hasSwap @returns {ChartSpec} */
export const memoryChart = (total, hasSwap) => ({
  label: "Memory",
  unit: BYTES,
  top: (highest) => Math.max(total, highest),
  lines: [
    { key: "memory", label: "Used", colour: "chart-1", filled: true },
    ...(hasSwap ? [{ key: "swap", label: "Swap", colour: "chart-2" }] : []),
  ],
});

/** @param {number} cores @returns {ChartSpec} */
export const loadChart = (cores) => ({
  label: "Load",
  unit: COUNT,
  top: (highest) => Math.max(cores, highest * HEADROOM),
  lines: [{ key: "load", label: "Waiting or running", colour: "chart-1", filled: true }],
});

/** @param {number} highest */
const rateTop = (highest) => Math.max(LEAST_RATE, highest * HEADROOM);

/** @returns {ChartSpec} */
export const networkChart = () => ({
  label: "Network",
  unit: RATE,
  top: rateTop,
  lines: [
    { key: "received", label: "Received", colour: "chart-1", filled: true },
    { key: "transmitted", label: "Sent", colour: "chart-2" },
  ],
});

/** @returns {ChartSpec} */
export const diskChart = () => ({
  label: "Disk activity",
  unit: RATE,
  top: rateTop,
  lines: [
    { key: "disk_read", label: "Read", colour: "chart-1", filled: true },
    { key: "disk_write", label: "Written", colour: "chart-2" },
  ],
});

/** @param {Trail} trail @returns {ChartSpec} */
export const spaceChart = (trail) => ({
  label: "Disk space",
  unit: PERCENT,
  top: whole,
  lines: trail.mounts.slice(0, COLOURS.length).map((mount, i) => ({
    key: `disk:${mount}`,
    label: mount,
    colour: COLOURS[i],
    filled: i === 0,
  })),
});
