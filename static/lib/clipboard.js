/**
 * Puts text into the clipboard, also where the page came over plain HTTP.
 * Runs on: the page.
 */

/**
 * The way of older browsers, and of pages without HTTPS: what is selected is copied.
 * @param {string} text
 * @returns {boolean} whether it was copied
 */
function copySelected(text) {
  const before = document.activeElement;
  const host = before?.closest("dialog") ?? document.body;
  const area = document.createElement("textarea");
  area.value = text;
  area.className = "visually-hidden";
  area.setAttribute("aria-hidden", "true");
  host.append(area);
  area.select();
  const isCopied = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return isCopied;
}

/**
 * @param {string} text
 * @throws {Error} the browser does not allow it
 */
export async function copyText(text) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else if (!copySelected(text)) throw new Error("The browser does not allow copying here.");
}
