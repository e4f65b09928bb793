/**
 * Asks the person before something is done that cannot be undone, or that others would notice.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";

/**
 * @typedef {object} Question
 * @property {string} title
 * @property {string} text
 * @property {string} action the word on the button that does it
 * @property {string} [cancel] the word on the other one
 * @property {boolean} [harmless] nothing is lost by it, so its button does not warn
 */

/** @type {import("@preact/signals").Signal<(Question & {answer: (yes: boolean) => void}) | null>} */
export const question = signal(null);

/**
 * @param {Question} asked
 * @returns {Promise<boolean>} whether the person agreed
 */
export function confirm(asked) {
  return new Promise((resolve) => {
    const answer = (/** @type {boolean} */ yes) => {
      question.value = null;
      resolve(yes);
    };
    question.value = { ...asked, answer };
  });
}
