/**
 * The command palette: one field that finds pages, actions, scripts, plugins and runs. A combobox
 * with a list, as the ARIA Authoring Practices describe it.
 * Runs on: the page.
 */
import { useEffect, useRef } from "preact/hooks";
import { useConnected } from "../lib/connect.js";
import { html } from "../lib/html.js";
import { isPaletteOpen, Palette } from "../lib/palette.js";
import { Dialog } from "./dialog.js";
import { ActionIcon, Icon } from "./icon.js";
import { PluginIcon } from "./plugin-icon.js";

/** @import { Found, Item } from "../lib/palette-items.js" */

const isMac = /mac|iphone|ipad/i.test(navigator.platform);
export const PALETTE_KEYS = isMac ? "⌘K" : "Ctrl K";

const close = () => {
  isPaletteOpen.value = false;
};

/**
 * Opens and closes the palette by Ctrl-K or ⌘-K, wherever the focus is.
 * @param {KeyboardEvent} event
 */
function toggleByKeys(event) {
  const wanted = (event.ctrlKey || event.metaKey) && !event.altKey && !event.shiftKey;
  if (!wanted || event.key.toLowerCase() !== "k") return;
  event.preventDefault();
  event.stopPropagation();
  if (!event.repeat) isPaletteOpen.value = !isPaletteOpen.value;
}

/** @param {{item: Item}} props */
function Sign({ item }) {
  if (item.plugin) return html`<${PluginIcon} plugin=${item.plugin} size="small" />`;
  if (item.action) return html`<${ActionIcon} name=${item.action.icon} />`;
  return item.icon ? html`<${Icon} name=${item.icon} />` : null;
}

/**
 * A name with the letters that matched set off.
 * @param {{text: string, at: number[]}} props
 */
function Marked({ text, at }) {
  const matched = new Set(at);
  /** @type {{text: string, isMatch: boolean}[]} */
  const parts = [];
  for (let i = 0; i < text.length; i += 1) {
    const isMatch = matched.has(i);
    const last = parts.at(-1);
    if (last?.isMatch === isMatch) last.text += text[i];
    else parts.push({ text: text[i], isMatch });
  }
  return html`${parts.map((part) => (part.isMatch ? html`<mark>${part.text}</mark>` : part.text))}`;
}

/** @param {{palette: Palette, found: Found, index: number}} props */
function Option({ palette, found: { item, at }, index }) {
  const isChosen = palette.chosen.value === index;
  const ref = useRef(/** @type {HTMLLIElement | null} */ (null));
  useEffect(() => {
    if (isChosen) ref.current?.scrollIntoView({ block: "nearest" });
  }, [isChosen]);
  return html`<li
    ref=${ref}
    id=${`palette-${index}`}
    role="option"
    aria-selected=${isChosen}
    onMouseMove=${() => {
      palette.chosen.value = index;
    }}
    onClick=${() => palette.take(item)}
  >
    <${Sign} item=${item} />
    <span class="option-name"><${Marked} text=${item.name} at=${at} /></span>
    ${item.hint && html`<span class="option-hint">${item.hint}</span>`}
  </li>`;
}

/** @param {{palette: Palette}} props */
function Results({ palette }) {
  let index = -1;
  return html`<div class="palette-list" role="listbox" id="palette-list" aria-label="Found">
    ${palette.groups.value.map(
      ({ group, found }) => html`<ul key=${group} role="group" aria-label=${group}>
        <li class="palette-group" role="presentation" aria-hidden="true">${group}</li>
        ${found.map((each) => {
          index += 1;
          return html`<${Option} key=${each.item.id} palette=${palette} found=${each} index=${index} />`;
        })}
      </ul>`,
    )}
  </div>`;
}

/** @param {{palette: Palette}} props */
function Field({ palette }) {
  const hasChoice = palette.found.value.length > 0;
  /** @type {Record<string, () => unknown>} */
  const keys = {
    ArrowDown: () => palette.move(1),
    ArrowUp: () => palette.move(-1),
    Enter: () => palette.takeChosen(),
  };
  const press = (/** @type {KeyboardEvent} */ event) => {
    if (event.isComposing || !Object.hasOwn(keys, event.key)) return;
    event.preventDefault();
    keys[event.key]();
  };
  return html`<div class="palette-field">
    <${Icon} name="search" />
    <input
      type="text"
      role="combobox"
      aria-label="Go to or run"
      aria-expanded=${hasChoice}
      aria-controls="palette-list"
      aria-autocomplete="list"
      aria-activedescendant=${hasChoice ? `palette-${palette.chosen.value}` : undefined}
      autocomplete="off"
      autocapitalize="none"
      spellcheck=${false}
      placeholder="Go to or run…"
      autofocus
      value=${palette.query.value}
      onInput=${(/** @type {Event} */ event) => palette.ask(/** @type {HTMLInputElement} */ (event.currentTarget).value)}
      onKeyDown=${press}
    />
    <button type="button" class="button quiet" onClick=${close}>
      <span class="visually-hidden">Close</span><kbd aria-hidden="true">Esc</kbd><${Icon} name="close" />
    </button>
  </div>`;
}

/** @param {{palette: Palette}} props */
function Foot({ palette }) {
  const count = palette.found.value.length;
  const words = palette.loading.value ? "Looking…" : "Nothing fits what you typed.";
  return html`<div class="palette-foot">
    <p role="status">
      ${palette.error.value || (count === 0 ? words : html`<span class="visually-hidden">${count} found</span>`)}
    </p>
    ${count > 0 && html`<p class="palette-keys" aria-hidden="true"><kbd>↑</kbd><kbd>↓</kbd> choose <kbd>↵</kbd> go</p>`}
  </div>`;
}

function OpenPalette() {
  const palette = useConnected(() => new Palette(), []);
  return html`<${Dialog} label="Go to or run" look="palette" onClose=${close}>
    <${Field} palette=${palette} />
    <${Results} palette=${palette} />
    <${Foot} palette=${palette} />
  <//>`;
}

/** Waits for its keys while it is closed. */
export function CommandPalette() {
  useEffect(() => {
    document.addEventListener("keydown", toggleByKeys, { capture: true });
    return () => {
      document.removeEventListener("keydown", toggleByKeys, { capture: true });
      close();
    };
  }, []);
  return isPaletteOpen.value ? html`<${OpenPalette} />` : null;
}

/** @param {{look: "wide" | "small"}} props */
export function PaletteButton({ look }) {
  const open = () => {
    isPaletteOpen.value = true;
  };
  return html`<button
    type="button"
    class="palette-button"
    data-look=${look}
    aria-label=${look === "small" ? "Search" : undefined}
    aria-haspopup="dialog"
    title=${`Search (${PALETTE_KEYS})`}
    onClick=${open}
  >
    <${Icon} name="search" />
    ${look === "wide" && html`<span>Search</span><kbd aria-hidden="true">${PALETTE_KEYS}</kbd>`}
  </button>`;
}
