/**
 * How the charts look: colours from the design tokens, axes, lines, and runs as bands behind them.
 * Runs on: the page.
 */
import { axisLabel } from "./monitor-ranges.js";

/** @import uPlot from "uplot" */
/** @import { ChartData, ChartSpec, Line } from "./time-chart.js" */

const TOKENS = /** @type {const} */ ([
  "chart-1",
  "chart-2",
  "chart-3",
  "chart-4",
  "chart-grid",
  "chart-text",
  "chart-run",
  "chart-run-bad",
]);

/** @typedef {Record<string, string> & {font: string}} Palette */

/** Steps of the time axis that people count in, in seconds. */
const TIME_STEPS = [
  ...[1, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 14_400, 21_600],
  ...[43_200, 86_400, 172_800, 432_000, 604_800, 1_209_600],
];

const AXIS_WIDTH = 58;
const FONT_PX = 11;

/**
 * Reads the tokens as colours; a probe makes the browser resolve light or dark.
 * @param {Element} host
 * @returns {Palette}
 */
export function readPalette(host) {
  const probe = document.createElement("span");
  host.append(probe);
  /** @type {Record<string, string>} */
  const colours = {};
  for (const name of TOKENS) {
    probe.style.color = `var(--${name})`;
    colours[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return { ...colours, font: `${FONT_PX}px ${getComputedStyle(host).fontFamily}` };
}

/**
 * @param {string} colour as the browser gives it: `rgb(1, 2, 3)`
 * @param {number} alpha
 */
function faded(colour, alpha) {
  return colour.replace("rgb(", "rgba(").replace(")", `, ${alpha})`);
}

/**
 * @param {typeof uPlot} UPlot
 * @param {ChartSpec} spec
 * @param {Palette} palette
 * @param {() => ChartData} data what is shown now
 * @returns {Omit<uPlot.Options, "width" | "height">}
 */
export function chartOptions(UPlot, spec, palette, data) {
  return {
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false, setScale: false },
      bind: { dblclick: () => null },
      points: { size: spec.bare ? 4 : 6, width: 0, fill: (plot, i) => strokeOf(plot, i) },
    },
    padding: spec.bare ? [2, 0, 2, 0] : [8, 8, 0, 0],
    scales: {
      x: { time: true, auto: false },
      y: { range: (_plot, _low, high) => [0, spec.top(high ?? 0) || 1] },
    },
    axes: spec.bare ? [{ show: false }, { show: false }] : axes(spec, palette),
    series: [{}, ...spec.lines.map((line) => series(UPlot, line, palette))],
    bands: bands(spec.lines, palette),
    hooks: { drawClear: [(plot) => drawRuns(plot, data(), palette)] },
  };
}

/** @param {uPlot} plot @param {number} index */
function strokeOf(plot, index) {
  const { stroke } = plot.series[index];
  return String(typeof stroke === "function" ? stroke(plot, index) : stroke);
}

/**
 * @param {typeof uPlot} UPlot
 * @param {Line} line
 * @param {Palette} palette
 * @returns {uPlot.Series}
 */
function series(UPlot, line, palette) {
  const colour = palette[line.colour];
  return {
    label: line.label,
    stroke: line.quiet ? faded(colour, 0.45) : colour,
    width: line.quiet ? 1 : 1.5,
    fill: line.filled ? faded(colour, 0.14) : undefined,
    spanGaps: false,
    points: { show: lonely, size: 4, fill: colour },
    paths: UPlot.paths.linear?.(),
  };
}

/**
 * A value between two gaps has no line to stand on, so it is a point.
 * @type {uPlot.Series.Points["show"]}
 */
const lonely = (plot, index) => {
  const column = plot.data[index];
  return column.some((value, i) => value != null && column[i - 1] == null && column[i + 1] == null);
};

/**
 * Between a line and the peaks above it, which follow it.
 * @param {Line[]} lines
 * @param {Palette} palette
 * @returns {uPlot.Band[]}
 */
function bands(lines, palette) {
  return lines.flatMap((line, i) =>
    line.quiet ? [{ series: [i + 1, i], fill: faded(palette[line.colour], 0.08) }] : [],
  );
}

/**
 * @param {ChartSpec} spec
 * @param {Palette} palette
 * @returns {uPlot.Axis[]}
 */
function axes(spec, palette) {
  const common = {
    stroke: palette["chart-text"],
    font: palette.font,
    ticks: { show: false },
    grid: { stroke: palette["chart-grid"], width: 1 },
  };
  return [
    {
      ...common,
      grid: { show: false },
      size: 26,
      gap: 6,
      space: 56,
      incrs: TIME_STEPS,
      values: (_plot, splits, _axis, _space, step) => splits.map((split) => axisLabel(split, step)),
    },
    {
      ...common,
      size: AXIS_WIDTH,
      gap: 6,
      space: 30,
      incrs: spec.unit.increments,
      values: (_plot, splits) => splits.map(spec.unit.label),
    },
  ];
}

/**
 * Runs as bands from their start to their end, at least as wide as a line.
 * @param {uPlot} plot
 * @param {ChartData} data
 * @param {Palette} palette
 */
function drawRuns(plot, { runs, start, end }, palette) {
  const { ctx, bbox } = plot;
  const ratio = devicePixelRatio || 1;
  ctx.save();
  ctx.beginPath();
  ctx.rect(bbox.left, bbox.top, bbox.width, bbox.height);
  ctx.clip();
  for (const run of runs) {
    const left = plot.valToPos(Math.max(run.start, start), "x", true);
    const right = plot.valToPos(Math.min(run.end, end), "x", true);
    const colour = palette[run.task.state === "failed" ? "chart-run-bad" : "chart-run"];
    ctx.fillStyle = faded(colour, 0.13);
    ctx.fillRect(left, bbox.top, Math.max(right - left, ratio), bbox.height);
    ctx.fillStyle = faded(colour, 0.6);
    ctx.fillRect(left, bbox.top, ratio, bbox.height);
  }
  ctx.restore();
}
