/**
 * The one button, with its looks, and the way it shows that something is under way.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { sentence } from "../lib/api.js";
import { html } from "../lib/html.js";
import { showToast } from "../lib/toasts.js";
import { Icon } from "./icon.js";

/** @import { ComponentChildren } from "preact" */
/** @import { IconName } from "./icon.js" */

/**
 * @typedef {object} ButtonProps
 * @property {() => unknown} onPress may return a promise: the button is busy until it settles,
 *   and a failure is shown
 * @property {IconName} [icon]
 * @property {"primary" | "soft" | "danger" | "plain" | "quiet"} [look]
 * @property {boolean} [disabled]
 * @property {boolean} [pressed] makes it a toggle
 * @property {string} [label] the name of a button that shows only an icon
 * @property {ComponentChildren} [children]
 */

/** @param {ButtonProps} props */
export function Button({ onPress, icon, look = "plain", disabled, pressed, label, children }) {
  const [busy, setBusy] = useState(false);
  const press = async () => {
    setBusy(true);
    try {
      await onPress();
    } catch (error) {
      showToast(sentence(error), "error");
    } finally {
      setBusy(false);
    }
  };
  return html`<button
    type="button"
    class=${`button ${look}`}
    disabled=${disabled || busy}
    aria-pressed=${pressed}
    aria-label=${label}
    title=${label}
    onClick=${press}
  >
    ${icon && html`<${Icon} name=${icon} />`}
    ${children && html`<span>${children}</span>`}
  </button>`;
}
