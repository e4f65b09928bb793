/**
 * The colours of terminals, from the design tokens.
 * Runs on: the page.
 */

const COLOURS = /** @type {const} */ ([
  "background",
  "foreground",
  "selectionBackground",
  "scrollbarSliderBackground",
  "scrollbarSliderHoverBackground",
  "scrollbarSliderActiveBackground",
  "black",
  "red",
  "green",
  "yellow",
  "blue",
  "magenta",
  "cyan",
  "white",
  "brightBlack",
  "brightRed",
  "brightGreen",
  "brightYellow",
  "brightBlue",
  "brightMagenta",
  "brightCyan",
  "brightWhite",
]);

/**
 * Reads the design tokens `--term-…`; a probe makes the browser resolve light or dark.
 * @param {Element} host
 * @returns {Record<string, string>} colours by name, such as `rgb(1, 2, 3)`
 */
export function readTheme(host) {
  const probe = document.createElement("span");
  host.append(probe);
  /** @type {Record<string, string>} */
  const theme = {};
  for (const name of COLOURS) {
    probe.style.color = `var(--term-${name})`;
    theme[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return { ...theme, cursor: theme.background, cursorAccent: theme.background };
}
