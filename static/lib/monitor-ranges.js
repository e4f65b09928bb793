/**
 * The stretches of time that the monitor shows, and how their moments are written.
 * Runs on: anywhere; pure.
 */

/**
 * @typedef {object} Range
 * @property {string} id as the hub and the address know it
 * @property {string} short
 * @property {string} long
 * @property {number} seconds
 */

/** @type {Range[]} */
export const RANGES = [
  { id: "5m", short: "5 min", long: "Last 5 minutes", seconds: 300 },
  { id: "1h", short: "1 h", long: "Last hour", seconds: 3_600 },
  { id: "6h", short: "6 h", long: "Last 6 hours", seconds: 21_600 },
  { id: "24h", short: "24 h", long: "Last 24 hours", seconds: 86_400 },
  { id: "7d", short: "7 d", long: "Last 7 days", seconds: 604_800 },
  { id: "30d", short: "30 d", long: "Last 30 days", seconds: 2_592_000 },
];

const DEFAULT = RANGES[0];
const DAY_S = 86_400;

/**
 * @param {string | null} id
 * @returns {Range} the one of that name, or the shortest
 */
export function rangeOf(id) {
  return RANGES.find((range) => range.id === id) ?? DEFAULT;
}

const SECONDS = new Intl.DateTimeFormat(undefined, { timeStyle: "medium", hour12: false });
const MINUTES = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  hour12: false,
});
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });

/**
 * A moment as it stands below a chart: the time of day, or the day where one begins.
 * @param {number} seconds since the epoch
 * @param {number} step how far the labels are apart, in seconds
 * @returns {string}
 */
export function axisLabel(seconds, step) {
  const date = new Date(seconds * 1000);
  const isMidnight = date.getHours() === 0 && date.getMinutes() === 0 && date.getSeconds() === 0;
  if (step >= DAY_S || (isMidnight && step >= 3_600)) return DAY.format(date);
  return (step < 60 ? SECONDS : MINUTES).format(date);
}

/**
 * A moment as it is told at the cursor.
 * @param {number} seconds since the epoch
 * @param {number} rangeSeconds how much time is shown
 * @returns {string}
 */
export function momentLabel(seconds, rangeSeconds) {
  const date = new Date(seconds * 1000);
  if (rangeSeconds <= 3_600) return SECONDS.format(date);
  if (rangeSeconds < DAY_S) return MINUTES.format(date);
  return `${DAY.format(date)}, ${MINUTES.format(date)}`;
}
