/**
 * A plugin's icon: one of ours by name, its own sign or picture, else its first letter. What a
 * plugin says is only ever text or the address of a picture.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { Icon, isIconName } from "./icon.js";

/** @import { Plugin } from "../lib/types.js" */

const LONGEST = 3;
const PICTURE = /^data:image\/(png|jpeg|gif|webp|svg\+xml)[;,]/;
const characters = new Intl.Segmenter();

/** @param {string} text */
const first = (text) => [...characters.segment(text.trim())].slice(0, 1).map((s) => s.segment);

/**
 * @param {string} text
 * @returns {boolean} whether it is so short that it can stand as a sign
 */
function isSign(text) {
  return text.trim() !== "" && text.length <= 40 && [...characters.segment(text)].length <= LONGEST;
}

/** @param {{plugin: Plugin}} props */
function Sign({ plugin }) {
  const icon = plugin.icon ?? "";
  if (PICTURE.test(icon)) return html`<img src=${icon} alt="" />`;
  if (isIconName(icon)) return html`<${Icon} name=${icon} />`;
  if (isSign(icon)) return html`<span>${icon}</span>`;
  return html`<span>${first(plugin.name).join("").toUpperCase() || "?"}</span>`;
}

/** @param {{plugin: Plugin, size?: "small" | "large"}} props */
export function PluginIcon({ plugin, size = "large" }) {
  return html`<span class="plugin-icon" data-size=${size} aria-hidden="true">
    <${Sign} plugin=${plugin} />
  </span>`;
}
