/**
 * A field for a new password: its rules checked while one types, and one made up on demand.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { copyText } from "../lib/clipboard.js";
import { html } from "../lib/html.js";
import { checkPassword, generatePassword } from "../lib/password-rules.js";
import { Button } from "./button.js";
import { Field } from "./field.js";
import { Icon } from "./icon.js";

/** @import { FieldTies } from "./field.js" */

/** @param {{password: string}} props */
export function PasswordRules({ password }) {
  return html`<ul class="rules" aria-label="A password needs">
    ${checkPassword(password).map(
      ({ words, met }) => html`<li key=${words} data-met=${met}>
        <${Icon} name=${met ? "check" : "gone"} size=${16} />${words}<span class="visually-hidden"
          >${met ? ", fits" : ", is missing"}</span
        >
      </li>`,
    )}
  </ul>`;
}

/**
 * @param {{label: string, value: string, error?: string, onInput: (value: string) => void}} props
 */
export function NewPasswordField({ label, value, error, onInput }) {
  const [isShown, setShown] = useState(false);
  const generate = () => {
    onInput(generatePassword());
    setShown(true);
  };
  return html`<div class="new-password">
    <${Field} label=${label} error=${error}>
      ${(/** @type {FieldTies} */ ties) => html`<div class="password-row">
        <input
          ...${ties}
          class=${isShown ? "mono" : ""}
          type=${isShown ? "text" : "password"}
          autocomplete="new-password"
          autocapitalize="none"
          spellcheck=${false}
          value=${value}
          onInput=${(/** @type {Event} */ event) =>
            onInput(/** @type {HTMLInputElement} */ (event.currentTarget).value)}
        />
        <${Button}
          look="quiet"
          icon=${isShown ? "eyeOff" : "eye"}
          label=${isShown ? "Hide the password" : "Show the password"}
          onPress=${() => setShown(!isShown)}
        />
      </div>`}
    <//>
    <div class="password-tools">
      <${Button} icon="key" onPress=${generate}>Make one up<//>
      <${Button} look="quiet" icon="copy" disabled=${!value} onPress=${() => copyText(value, "The password is copied.")}>Copy<//>
    </div>
    <${PasswordRules} password=${value} />
  </div>`;
}
