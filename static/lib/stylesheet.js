/**
 * Style sheets that only some pages need, loaded when one of these is opened.
 * Runs on: the page.
 */

/** @type {Map<string, Promise<void>>} */
const loaded = new Map();

/**
 * Adds a style sheet of the dashboard to the page; once, however often it is asked for.
 * @param {string} href
 * @returns {Promise<void>} once it is in force; also when it cannot be had
 */
export function loadStylesheet(href) {
  const known = loaded.get(href);
  if (known) return known;
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = href;
  /** @type {Promise<void>} */
  const done = new Promise((resolve) => {
    link.onload = () => resolve();
    link.onerror = () => resolve();
  });
  loaded.set(href, done);
  document.head.append(link);
  return done;
}
