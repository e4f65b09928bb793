/**
 * A field for a password that one has: it can be shown, and says when Caps Lock is on.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { Button } from "./button.js";
import { Field } from "./field.js";
import { Icon } from "./icon.js";

/** @import { Ref } from "preact" */
/** @import { FieldTies } from "./field.js" */

/**
 * @typedef {object} KnownPasswordProps
 * @property {string} label
 * @property {string} value
 * @property {(value: string) => void} onInput
 * @property {string} [error]
 * @property {Ref<HTMLInputElement>} [inputRef]
 */

/** @param {KnownPasswordProps} props */
export function KnownPasswordField({ label, value, onInput, error, inputRef }) {
  const [isShown, setShown] = useState(false);
  const [capsLock, setCapsLock] = useState(false);
  const look = (/** @type {KeyboardEvent} */ event) => {
    setCapsLock(event.getModifierState?.("CapsLock") ?? false);
  };
  return html`<${Field} label=${label} error=${error}>
    ${(/** @type {FieldTies} */ ties) => html`<div class="password-row">
        <input
          ...${ties}
          ref=${inputRef}
          name="password"
          type=${isShown ? "text" : "password"}
          autocomplete="current-password"
          autocapitalize="none"
          spellcheck=${false}
          required
          value=${value}
          onInput=${(/** @type {Event} */ event) =>
            onInput(/** @type {HTMLInputElement} */ (event.currentTarget).value)}
          onKeyDown=${look}
          onKeyUp=${look}
          onBlur=${() => setCapsLock(false)}
        />
        <${Button}
          look="quiet"
          icon=${isShown ? "eyeOff" : "eye"}
          label=${isShown ? "Hide what is typed" : "Show what is typed"}
          onPress=${() => setShown(!isShown)}
        />
      </div>
      <p class="caps-lock" role="status">
        ${capsLock && html`<${Icon} name="alert" size=${16} />Caps Lock is on.`}
      </p>`}
  <//>`;
}
