/**
 * How the dashboard looks, as plugins' pages are told it.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { colourScheme, onColoursChange } from "./theme.js";

/** @import { PluginTheme, Scheme } from "../../sdk/js/toru-plugin" */

/**
 * Chooses in each `light-dark(…)` of a value what one of the schemes has.
 * @param {string} value
 * @param {Scheme} scheme
 * @returns {string}
 */
export function inScheme(value, scheme) {
  const begin = value.indexOf("light-dark(");
  if (begin < 0) return value;
  const inside = begin + "light-dark(".length;
  let depth = 1;
  let comma = -1;
  let end = inside;
  for (; end < value.length && depth > 0; end += 1) {
    if (value[end] === "(") depth += 1;
    else if (value[end] === ")") depth -= 1;
    else if (value[end] === "," && depth === 1 && comma < 0) comma = end;
  }
  if (depth > 0 || comma < 0) return value;
  const [light, dark] = [value.slice(inside, comma), value.slice(comma + 1, end - 1)];
  const chosen = (scheme === "light" ? light : dark).trim();
  return value.slice(0, begin) + chosen + inScheme(value.slice(end), scheme);
}

/** @returns {CSSStyleSheet | undefined} the sheet that has the tokens */
const tokenSheet = () =>
  [...document.styleSheets].find((sheet) => sheet.href?.includes("/styles/tokens.css"));

/**
 * @param {Scheme} scheme
 * @returns {Readonly<Record<string, string>>} the design tokens by their names
 */
export function readTokens(scheme) {
  const inForce = getComputedStyle(document.documentElement);
  /** @type {Record<string, string>} */
  const tokens = {};
  for (const rule of tokenSheet()?.cssRules ?? []) {
    for (const name of rule instanceof CSSStyleRule ? rule.style : []) {
      if (!name.startsWith("--")) continue;
      const value = inForce.getPropertyValue(name).trim().replace(/\s+/g, " ");
      tokens[name] = inScheme(value, scheme);
    }
  }
  return Object.freeze(tokens);
}

/**
 * @param {AbortSignal} life aborted when the page that is told of it is left
 * @returns {PluginTheme}
 */
export function makeTheme(life) {
  const scheme = signal(colourScheme());
  const untilTheEnd = (/** @type {() => void} */ stop) => {
    if (life.aborted) stop();
    else life.addEventListener("abort", stop);
    return stop;
  };
  untilTheEnd(
    onColoursChange(() => {
      scheme.value = colourScheme();
    }),
  );
  /** @type {PluginTheme} */
  const theme = Object.freeze({
    get value() {
      return scheme.value;
    },
    get scheme() {
      return scheme.value;
    },
    get tokens() {
      return readTokens(scheme.peek());
    },
    peek: () => scheme.peek(),
    subscribe: (/** @type {(value: Scheme) => void} */ handler) =>
      untilTheEnd(scheme.subscribe(handler)),
    onChange: (/** @type {(theme: PluginTheme) => void} */ handler) => {
      let isFirst = true;
      const stop = scheme.subscribe(() => {
        if (!isFirst) handler(theme);
        isFirst = false;
      });
      return untilTheEnd(stop);
    },
  });
  return theme;
}
