/**
 * Copies text for the person, also where the page came over plain HTTP.
 * Runs on: the page.
 */
import { showToast } from "./toasts.js";

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
 * @param {string} said once it is done
 * @throws {Error} with a sentence, when the browser does not allow it
 */
export async function copyText(text, said) {
  if (navigator.clipboard) await navigator.clipboard.writeText(text);
  else if (!copySelected(text)) throw new Error("The browser does not allow copying here.");
  showToast(said, "success");
}
