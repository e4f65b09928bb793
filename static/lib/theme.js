/**
 * Light, dark or as the system says; the choice is kept in this browser.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";

/** @typedef {"system" | "light" | "dark"} Theme */

const KEY = "toru.theme";
/** @type {Theme[]} */
const ORDER = ["system", "light", "dark"];

/** What the browser's own bars take; they are those of `--surface`. */
const BAR_COLOURS = { light: "#ffffff", dark: "#161b23" };

/** @returns {Theme} */
function stored() {
  const value = localStorage.getItem(KEY);
  return ORDER.find((theme) => theme === value) ?? "system";
}

export const theme = signal(stored());

/**
 * Gives the browser's bars the chosen colours; its two tags follow the system by themselves.
 * @param {Theme} chosen
 */
function paintBars(chosen) {
  /** @type {NodeListOf<HTMLMetaElement>} */
  const tags = document.querySelectorAll("meta[name=theme-color]");
  for (const tag of tags) {
    const own = tag.media.includes("dark") ? "dark" : "light";
    tag.content = BAR_COLOURS[chosen === "system" ? own : chosen];
  }
}

/** @param {Theme} next */
export function setTheme(next) {
  localStorage.setItem(KEY, next);
  document.documentElement.dataset.theme = next;
  paintBars(next);
  theme.value = next;
}

paintBars(theme.peek());

/** Moves on to the next of system, light, dark. */
export function cycleTheme() {
  setTheme(ORDER[(ORDER.indexOf(theme.value) + 1) % ORDER.length]);
}

/** @returns {"light" | "dark"} what is shown at this moment */
export function colourScheme() {
  const system = matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
  return theme.peek() === "system" ? system : /** @type {"light" | "dark"} */ (theme.peek());
}

/**
 * Calls back whenever colours may have changed.
 * @param {() => void} callback
 * @returns {() => void} stops it
 */
export function onColoursChange(callback) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  system.addEventListener("change", callback);
  const stop = theme.subscribe(callback);
  return () => {
    system.removeEventListener("change", callback);
    stop();
  };
}
