/**
 * Light, dark or as the system says, all three to choose from at once.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { setTheme, theme } from "../lib/theme.js";
import { Icon } from "./icon.js";

/** @import { Theme } from "../lib/theme.js" */
/** @import { IconName } from "./icon.js" */

/** @type {{value: Theme, icon: IconName, name: string}[]} */
const CHOICES = [
  { value: "system", icon: "system", name: "System" },
  { value: "light", icon: "sun", name: "Light" },
  { value: "dark", icon: "moon", name: "Dark" },
];

export function ThemeChoice() {
  return html`<fieldset class="theme-choice">
    <legend class="visually-hidden">Colours</legend>
    ${CHOICES.map(
      ({ value, icon, name }) => html`<label key=${value} class="theme-option">
        <input
          type="radio"
          name="theme"
          value=${value}
          checked=${theme.value === value}
          onChange=${() => setTheme(value)}
        />
        <${Icon} name=${icon} /><span>${name}</span>
      </label>`,
    )}
  </fieldset>`;
}
