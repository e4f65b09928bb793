/**
 * Figures of the charts as people read them, and the steps of their axes.
 * Runs on: anywhere; pure.
 */
import { formatBytes, formatPercent } from "./format.js";

/**
 * @typedef {object} Unit
 * @property {(value: number | null | undefined) => string} format
 * @property {(value: number) => string} label short, beside the axis
 * @property {number[]} [increments] steps that the axis may have
 */

/** Powers of two, so that an axis of bytes reads 256 KB, 512 KB, 1 MB. */
const BINARY = Array.from({ length: 51 }, (_, power) => 2 ** power);

/** @param {number} bytes */
function shortBytes(bytes) {
  return bytes === 0 ? "0" : formatBytes(bytes).replace(".0 ", " ").replace("bytes", "B");
}

/** @type {Unit} */
export const PERCENT = { format: formatPercent, label: (value) => `${value} %` };

/** @type {Unit} */
export const BYTES = { format: formatBytes, label: shortBytes, increments: BINARY };

/** @type {Unit} */
export const RATE = {
  format: (value) => (value == null ? "–" : `${formatBytes(value).replace("bytes", "B")}/s`),
  label: (value) => (value === 0 ? "0" : `${shortBytes(value)}/s`),
  increments: BINARY,
};

/** @type {Unit} */
export const COUNT = {
  format: (value) => (value == null ? "–" : value.toFixed(2)),
  label: (value) => String(Number(value.toFixed(2))),
};
