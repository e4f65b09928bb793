/**
 * For how long which names may not log in from here: kept in this browser, so that a reload does
 * not forget it. The hub counts for itself; this only spares people attempts in vain.
 * Runs on: the page.
 */

/** When each name is free again, in milliseconds. @typedef {Record<string, number>} Lockouts */

const KEY = "toru.lockouts";

/**
 * Those that still hold; anything that is none is left out.
 * @param {string | null} text what was kept
 * @param {number} now milliseconds
 * @returns {Lockouts}
 */
export function readLockouts(text, now) {
  try {
    const entries = Object.entries(JSON.parse(text ?? "{}"));
    return Object.fromEntries(entries.filter(([, until]) => Number(until) > now));
  } catch {
    return {};
  }
}

/**
 * @param {string} username
 * @param {number} seconds
 */
export function rememberLockout(username, seconds) {
  const now = Date.now();
  const known = readLockouts(localStorage.getItem(KEY), now);
  const next = { ...known, [username]: now + seconds * 1000 };
  localStorage.setItem(KEY, JSON.stringify(next));
}

/**
 * @param {string} username
 * @returns {number} when that name is free again, in milliseconds; 0 when it is not locked out
 */
export function lockedUntil(username) {
  const known = readLockouts(localStorage.getItem(KEY), Date.now());
  return Object.hasOwn(known, username) ? known[username] : 0;
}

/** @returns {string} the name that is locked out the longest, for a page that knows none yet */
export function lockedName() {
  const known = readLockouts(localStorage.getItem(KEY), Date.now());
  const [first] = Object.entries(known).sort(([, a], [, b]) => b - a);
  return first?.[0] ?? "";
}
