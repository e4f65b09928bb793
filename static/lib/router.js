/**
 * Client-side routing over the History API; plain links are enough to navigate.
 * Runs on: the page.
 */
import { computed, signal } from "@preact/signals";

const here = () => new URL(window.location.href);

/** The address now shown. */
export const url = signal(here());
export const path = computed(() => url.value.pathname);

/**
 * Goes to an address of this dashboard.
 * @param {string} to a path, with a query if wanted
 * @param {{replace?: boolean}} [options] `replace` leaves no entry for the back button
 */
export function navigate(to, { replace = false } = {}) {
  const { pathname, search } = url.peek();
  if (replace) history.replaceState(history.state, "", to);
  else history.pushState({ from: pathname + search }, "", to);
  const leaves = here().pathname !== url.value.pathname;
  if (leaves && !replace) window.scrollTo(0, 0);
  url.value = here();
}

/**
 * Leaves what was opened over a page. Where the page itself was one step back, it is gone back to,
 * so that the back button does not open the thing again.
 * @param {string} to
 */
export function closeTo(to) {
  if (history.state?.from === to) history.back();
  else navigate(to, { replace: true });
}

/**
 * Matches a path against a pattern such as `/history/:id`. A pattern that ends in `/*` takes any
 * path below it too, and gives what follows, with its slash, as `rest`.
 * @param {string} pattern
 * @param {string} pathname
 * @returns {Record<string, string> | null} the named parts, or null when it does not match
 */
export function match(pattern, pathname) {
  const isOpen = pattern.endsWith("/*");
  const wanted = pattern.replace(/\/\*$/, "").split("/");
  const given = pathname.replace(/(.)\/$/, "$1").split("/");
  if (isOpen ? given.length < wanted.length : given.length !== wanted.length) return null;
  /** @type {Record<string, string>} */
  const params = {};
  for (const [i, part] of wanted.entries()) {
    if (part.startsWith(":") && given[i]) params[part.slice(1)] = given[i];
    else if (part !== given[i]) return null;
  }
  if (isOpen) params.rest = `/${given.slice(wanted.length).join("/")}`;
  return params;
}

/** @param {MouseEvent} event */
function isPlainClick(event) {
  const modified = event.metaKey || event.ctrlKey || event.shiftKey || event.altKey;
  return event.button === 0 && !modified && !event.defaultPrevented;
}

/** @param {MouseEvent} event */
function followLink(event) {
  const link = event.target instanceof Element ? event.target.closest("a") : null;
  if (!link || !isPlainClick(event)) return;
  const elsewhere = link.origin !== location.origin || link.pathname.startsWith("/api/");
  if (elsewhere || link.target || link.hasAttribute("download")) return;
  if (link.hash && link.pathname === location.pathname) return;
  event.preventDefault();
  navigate(link.pathname + link.search);
}

const followHistory = () => {
  url.value = here();
};

/** Starts to follow links and the back button. */
export function connect() {
  document.addEventListener("click", followLink);
  window.addEventListener("popstate", followHistory);
}

/** Stops what `connect` started. */
export function disconnect() {
  document.removeEventListener("click", followLink);
  window.removeEventListener("popstate", followHistory);
}
