/**
 * Numbers and times as people read them.
 * Runs on: anywhere.
 */

/** @import { TaskState } from "./types.js" */

const UNITS = ["bytes", "KB", "MB", "GB", "TB", "PB"];

/**
 * @param {number | null | undefined} bytes
 * @returns {string} such as `1.4 GB`
 */
export function formatBytes(bytes) {
  if (bytes == null || !Number.isFinite(bytes)) return "–";
  const power = Math.min(UNITS.length - 1, Math.floor(Math.log2(Math.max(1, bytes)) / 10));
  const value = bytes / 1024 ** power;
  return `${value.toFixed(power === 0 || value >= 100 ? 0 : 1)} ${UNITS[power]}`;
}

/**
 * @param {number | null | undefined} percent
 * @returns {string} such as `7 %`
 */
export function formatPercent(percent) {
  return percent == null || !Number.isFinite(percent) ? "–" : `${Math.round(percent)} %`;
}

/**
 * The two largest parts of a duration.
 * @param {number | null | undefined} seconds
 * @returns {string} such as `4 min 12 s` or `3 d 5 h`
 */
export function formatDuration(seconds) {
  if (seconds == null || !Number.isFinite(seconds)) return "–";
  if (seconds < 0.05) return "< 0.1 s";
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const s = Math.floor(seconds);
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

/**
 * How long a machine has been up; nobody asks for its seconds.
 * @param {number | null | undefined} seconds
 * @returns {string} such as `46 min` or `3 d 5 h`
 */
export function formatUptime(seconds) {
  if (seconds == null || seconds >= 3600) return formatDuration(seconds);
  return `${Math.floor(seconds / 60)} min`;
}

/**
 * @param {number | null | undefined} ms
 * @returns {string} such as `3.2 ms` or `1.4 s`
 */
export function formatLatency(ms) {
  if (ms == null || !Number.isFinite(ms)) return "–";
  if (ms >= 1000) return `${(ms / 1000).toFixed(1)} s`;
  return `${ms.toFixed(ms < 10 ? 1 : 0)} ms`;
}

/**
 * A running clock such as `4:09` or `1:04:09`.
 * @param {number} seconds
 * @returns {string}
 */
export function formatClock(seconds) {
  const s = Math.max(0, Math.floor(seconds));
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  const minutes = Math.floor(s / 60);
  if (minutes < 60) return `${minutes}:${two(s % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(s % 60)}`;
}

const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const DAY_AND_YEAR = new Intl.DateTimeFormat(undefined, { dateStyle: "medium" });
const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "full", timeStyle: "medium" });

/**
 * A moment, as short as it can be told from `now`.
 * @param {string | null | undefined} iso
 * @param {Date} [now]
 * @returns {string} such as `14:03`, `Yesterday, 14:03` or `3 Nov, 14:03`
 */
export function formatTime(iso, now = new Date()) {
  if (!iso) return "–";
  const then = new Date(iso);
  const daysAgo = Math.round((midnight(now) - midnight(then)) / 86_400_000);
  const time = TIME.format(then);
  if (daysAgo === 0) return `Today, ${time}`;
  if (daysAgo === 1) return `Yesterday, ${time}`;
  const day = then.getFullYear() === now.getFullYear() ? DAY : DAY_AND_YEAR;
  return `${day.format(then)}, ${time}`;
}

/** @param {Date} date */
function midnight(date) {
  return new Date(date.getFullYear(), date.getMonth(), date.getDate()).getTime();
}

const EXACT_TIME = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  fractionalSecondDigits: 3,
});

/**
 * The time of day to the millisecond, for lines of a log.
 * @param {string} iso
 * @returns {string} such as `14:03:12.045`
 */
export function formatExactTime(iso) {
  const then = new Date(iso);
  return Number.isNaN(then.getTime()) ? "–" : EXACT_TIME.format(then);
}

/**
 * How long ago something was.
 * @param {string | null | undefined} iso
 * @param {number} now milliseconds
 * @returns {string} such as `just now` or `12 min ago`
 */
export function formatAgo(iso, now = Date.now()) {
  if (!iso) return "–";
  const seconds = (now - Date.parse(iso)) / 1000;
  if (seconds < 45) return "just now";
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  return formatTime(iso, new Date(now));
}

/**
 * The whole date and time, for a tooltip.
 * @param {string | null | undefined} iso
 * @returns {string}
 */
export function formatFullTime(iso) {
  return iso ? FULL.format(new Date(iso)) : "";
}

/**
 * @param {number | null | undefined} code negative: the signal that ended it
 * @returns {string | null} null when there is none
 */
export function formatExit(code) {
  if (code == null) return null;
  return code < 0 ? `signal ${-code}` : String(code);
}

/** @type {Record<TaskState, string>} */
const STATE_WORDS = {
  queued: "Waiting",
  running: "Running",
  finished: "Done",
  failed: "Failed",
  cancelled: "Cancelled",
  interrupted: "Interrupted",
};

/**
 * @param {string | undefined} state
 * @returns {string}
 */
export function stateWord(state) {
  return STATE_WORDS[/** @type {TaskState} */ (state)] ?? state ?? "Unknown";
}
