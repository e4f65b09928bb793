/**
 * Finds what was meant by a few letters, and says which letters matched.
 * Runs on: anywhere.
 */

const AT_START = 12;
const AT_WORD = 8;
const NEXT_TO_LAST = 6;
const ANYWHERE = 1;
const PER_SKIPPED = 0.25;

/** @typedef {{score: number, at: number[]}} Match the indexes of the letters that matched */

/**
 * @param {string} text
 * @param {number} i
 */
function beginsWord(text, i) {
  if (i === 0) return true;
  const before = text[i - 1];
  return !/[\p{L}\p{N}]/u.test(before) || (/\p{Ll}/u.test(before) && /\p{Lu}/u.test(text[i]));
}

/**
 * What a letter at `i` is worth, when the one before it matched at `last`.
 * @param {string} text
 * @param {number} i
 * @param {number} last
 */
function worth(text, i, last) {
  if (i === 0) return AT_START;
  if (i === last + 1) return NEXT_TO_LAST;
  return (beginsWord(text, i) ? AT_WORD : ANYWHERE) - PER_SKIPPED * Math.min(12, i - last - 1);
}

/**
 * The best way to find one word in a text, by its letters in order.
 * @param {string} word lower case
 * @param {string} text
 * @returns {Match | null}
 */
function matchWord(word, text) {
  const lower = text.toLowerCase();
  if (lower.length !== text.length) return null;
  /** The best match that ends at each index, for the letters so far.
   * @type {(Match | undefined)[]} */
  let ending = [];
  for (const [n, letter] of [...word].entries()) {
    /** @type {typeof ending} */
    const next = [];
    for (let i = lower.indexOf(letter); i !== -1; i = lower.indexOf(letter, i + 1)) {
      if (n === 0) next[i] = { score: worth(text, i, -1), at: [i] };
      else next[i] = bestBefore(ending, text, i);
    }
    ending = next;
  }
  return best(ending);
}

/**
 * @param {(Match | undefined)[]} ending
 * @param {string} text
 * @param {number} i
 * @returns {Match | undefined}
 */
function bestBefore(ending, text, i) {
  /** @type {Match | undefined} */
  let found;
  for (let last = 0; last < i; last += 1) {
    const before = ending[last];
    if (!before) continue;
    const score = before.score + worth(text, i, last);
    if (!found || score > found.score) found = { score, at: [...before.at, i] };
  }
  return found;
}

/** @param {(Match | undefined)[]} matches */
function best(matches) {
  /** @type {Match | null} */
  let found = null;
  for (const match of matches) if (match && (!found || match.score > found.score)) found = match;
  return found;
}

/**
 * Whether every word of a query is in the text, and how well. A text that begins with it, or has
 * its letters at the beginnings of words, comes before one that has them scattered.
 * @param {string} query
 * @param {string} text
 * @returns {Match | null} null when it does not match; an empty query matches everything
 */
export function fuzzyMatch(query, text) {
  /** @type {Match} */
  const all = { score: 0, at: [] };
  for (const word of query.toLowerCase().split(/\s+/).filter(Boolean)) {
    const match = matchWord(word, text);
    if (!match || match.score < word.length * 2) return null;
    all.score += match.score;
    all.at.push(...match.at);
  }
  return { score: all.score - text.length * 0.01, at: [...new Set(all.at)].sort((a, b) => a - b) };
}
