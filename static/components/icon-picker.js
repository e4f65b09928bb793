/**
 * The choice of an icon: one of ours, or a sign of one's own such as an emoji.
 * Runs on: the page.
 */
import { useId } from "preact/hooks";
import { html } from "../lib/html.js";
import { ActionIcon, isIconName } from "./icon.js";

/** @import { IconName } from "./icon.js" */

/** Those that say something about what a script does.
 * @type {{name: IconName, words: string}[]} */
const CHOICES = [
  { name: "bolt", words: "Bolt" },
  { name: "play", words: "Play" },
  { name: "stop", words: "Stop" },
  { name: "again", words: "Again" },
  { name: "download", words: "Download" },
  { name: "storage", words: "Storage" },
  { name: "memory", words: "Memory" },
  { name: "cpu", words: "Processor" },
  { name: "system", words: "Screen" },
  { name: "home", words: "House" },
  { name: "plugin", words: "Plugin" },
  { name: "lock", words: "Lock" },
  { name: "key", words: "Key" },
  { name: "trash", words: "Bin" },
  { name: "wait", words: "Hourglass" },
  { name: "check", words: "Tick" },
  { name: "alert", words: "Warning" },
  { name: "moon", words: "Moon" },
  { name: "sun", words: "Sun" },
  { name: "list", words: "List" },
];
const LONGEST_SIGN = 8;

/** @param {{value: string, onChange: (value: string) => void}} props an empty value is the bolt */
export function IconPicker({ value, onChange }) {
  const id = useId();
  const chosen = value || "bolt";
  const sign = isIconName(chosen) ? "" : chosen;
  const typed = (/** @type {Event} */ event) =>
    onChange(/** @type {HTMLInputElement} */ (event.currentTarget).value.trim());
  return html`<fieldset class="icon-picker">
    <legend>Icon</legend>
    <div class="icon-choices">
      ${CHOICES.map(
        ({ name, words }) => html`<label key=${name} class="icon-choice" title=${words}>
          <input
            type="radio"
            class="visually-hidden"
            name=${id}
            value=${name}
            checked=${chosen === name}
            aria-label=${words}
            onChange=${() => onChange(name)}
          />
          <${ActionIcon} name=${name} />
        </label>`,
      )}
    </div>
    <label class="inline" for=${`${id}-sign`}>or an emoji</label>
    <input class="sign" id=${`${id}-sign`} maxlength=${LONGEST_SIGN} value=${sign} onInput=${typed} autocomplete="off" />
  </fieldset>`;
}
