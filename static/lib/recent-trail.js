/**
 * The machine's last minute, second by second, from what is stored and what comes live.
 * Runs on: anywhere; pure.
 */

/** @typedef {{at: number, cpu: number, memory: number}} Point `at` in whole seconds, shares in percent */

/** How many seconds are kept. */
export const TRAIL_S = 60;

/**
 * Works points into a trail; of two of one second, the one that is there already stays.
 * @param {Point[]} trail oldest first
 * @param {Point[]} points
 * @returns {Point[]} oldest first, the last minute only
 */
export function withPoints(trail, points) {
  const bySecond = new Map([...points, ...trail].map((point) => [point.at, point]));
  const sorted = [...bySecond.values()].sort((a, b) => a.at - b.at);
  const newest = sorted.at(-1)?.at ?? 0;
  return sorted.filter((point) => point.at > newest - TRAIL_S);
}

/**
 * @param {{cpu_percent: number, memory_percent: number, sampled_at: string}} sample
 * @returns {Point}
 */
export function pointOf(sample) {
  const at = Math.floor(Date.parse(sample.sampled_at) / 1000);
  return { at, cpu: sample.cpu_percent, memory: sample.memory_percent };
}

/**
 * @param {object} history
 * @param {number[]} history.times seconds
 * @param {number} history.memory_total bytes
 * @param {Record<string, (number | null)[]>} history.series `memory` in bytes
 * @returns {Point[]} without the seconds of which nothing is known
 */
export function pointsOf({ times, memory_total, series }) {
  return times.flatMap((at, i) => {
    const cpu = series.cpu[i];
    const memory = series.memory[i];
    if (cpu == null || memory == null || !memory_total) return [];
    return [{ at: Math.floor(at), cpu, memory: (100 * memory) / memory_total }];
  });
}
