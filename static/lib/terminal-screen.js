/**
 * Loads the terminal when one is first shown, and makes one in the colours of the page.
 * Runs on: the page.
 */

import { readTheme } from "./terminal-theme.js";
import { SCROLLBACK_LINES } from "./terminal-writer.js";
import { onColoursChange } from "./theme.js";

/** @import { Terminal } from "@xterm/xterm" */

/** Below this width the type is smaller, so that a line of 50 characters fits. */
const NARROW_PX = 480;

/** @returns {Promise<void>} once the terminal's own style sheet is in force */
function loadStyles() {
  if (document.querySelector("link[data-terminal]")) return Promise.resolve();
  const link = document.createElement("link");
  link.rel = "stylesheet";
  link.href = new URL("../vendor/xterm.css", import.meta.url).href;
  link.dataset.terminal = "";
  const loaded = new Promise((resolve) => {
    link.onload = link.onerror = resolve;
  });
  document.head.append(link);
  return loaded.then(() => undefined);
}

/**
 * @param {KeyboardEvent} event
 * @param {Terminal} terminal
 */
function scrollByKey(event, terminal) {
  if (event.type !== "keydown" || event.ctrlKey || event.metaKey || event.altKey) return;
  /** @type {Record<string, () => void>} */
  const moves = {
    PageUp: () => terminal.scrollPages(-1),
    PageDown: () => terminal.scrollPages(1),
    ArrowUp: () => terminal.scrollLines(-1),
    ArrowDown: () => terminal.scrollLines(1),
    Home: () => terminal.scrollToTop(),
    End: () => terminal.scrollToBottom(),
  };
  const move = moves[event.key];
  if (!move) return;
  move();
  event.preventDefault();
}

/**
 * Opens a read-only terminal that fills its host.
 * @param {HTMLElement} host
 * @param {string} label what a screen reader calls it
 * @returns {Promise<{terminal: Terminal, dispose: () => void}>}
 */
export async function openScreen(host, label) {
  const [{ Terminal }, { FitAddon }] = await Promise.all([
    import("@xterm/xterm"),
    import("@xterm/addon-fit"),
    loadStyles(),
  ]);
  const terminal = new Terminal({
    disableStdin: true,
    convertEol: true,
    scrollback: SCROLLBACK_LINES,
    fontFamily: getComputedStyle(host).getPropertyValue("--font-mono"),
    fontSize: host.clientWidth < NARROW_PX ? 11 : 13,
    lineHeight: 1.25,
    cursorInactiveStyle: "none",
    minimumContrastRatio: 4.5,
    theme: readTheme(host),
    linkHandler: { activate: () => undefined },
  });
  const fit = new FitAddon();
  terminal.loadAddon(fit);
  terminal.open(host);
  terminal.textarea?.setAttribute("aria-label", label);
  terminal.attachCustomKeyEventHandler((event) => {
    scrollByKey(event, terminal);
    return false;
  });
  fit.fit();
  const resizes = new ResizeObserver(() => fit.fit());
  resizes.observe(host);
  const stopColours = onColoursChange(() => {
    terminal.options.theme = readTheme(host);
  });
  const dispose = () => {
    stopColours();
    resizes.disconnect();
    terminal.dispose();
  };
  return { terminal, dispose };
}

/**
 * Everything that the terminal holds, as text; a line that was wrapped to fit is one line.
 * @param {Terminal} terminal
 * @returns {string}
 */
export function screenText(terminal) {
  const buffer = terminal.buffer.active;
  let text = "";
  for (let row = 0; row < buffer.length; row += 1) {
    const line = buffer.getLine(row);
    if (!line) continue;
    const continues = buffer.getLine(row + 1)?.isWrapped ?? false;
    text += line.translateToString(!continues) + (continues ? "" : "\n");
  }
  return `${text.trimEnd()}\n`;
}
