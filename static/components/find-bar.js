/**
 * The box to find a text in an output.
 * Runs on: the page.
 */
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { COUNTED } from "../lib/output-finder.js";
import { Button } from "./button.js";

/** @import { OutputFinder } from "../lib/output-finder.js" */

const TYPING_MS = 150;

/** @param {OutputFinder} finder @returns {string} */
function outcome(finder) {
  const state = finder.state.value;
  if (state === "searching") return "Searching…";
  if (state === "none") return "Nothing found";
  if (state === "failed") return finder.error.value;
  if (state !== "found") return "";
  const count = finder.count.value;
  const all = finder.counted.value
    ? `${count.toLocaleString()}`
    : `${Math.min(count, COUNTED).toLocaleString()}+`;
  const which = finder.ordinal.value
    ? `${finder.ordinal.value.toLocaleString()} of ${all}`
    : `${all} in all`;
  return finder.wrapped.value ? `${which}, from the other end` : which;
}

/**
 * @param {{finder: OutputFinder, place: () => number, onClose: () => void, asked: number}} props
 *   `place` tells where the person is, in bytes; `asked` grows when the box is asked for again
 */
export function FindBar({ finder, place, onClose, asked }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  const timer = useRef(0);
  useLayoutEffect(() => input.current?.select(), [asked]);
  useEffect(() => () => clearTimeout(timer.current), []);

  const start = (matchCase = finder.matchCase.value) => {
    clearTimeout(timer.current);
    const from = finder.current.value?.offset ?? place();
    return finder.start(input.current?.value ?? "", matchCase, from);
  };
  const typed = () => {
    clearTimeout(timer.current);
    timer.current = window.setTimeout(start, TYPING_MS);
  };
  const go = (/** @type {boolean} */ back) => {
    if (input.current?.value !== finder.query.value) return void start();
    return void (back ? finder.previous(place()) : finder.next(place()));
  };
  const press = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter") go(event.shiftKey);
    else if (event.key === "Escape") onClose();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };

  return html`<div class="find-bar" role="search" aria-label="Find in the output">
    <input
      ref=${input}
      type="text"
      maxlength="256"
      autocomplete="off"
      spellcheck=${false}
      aria-label="Find in the output"
      placeholder="Find in the output"
      defaultValue=${finder.query.value}
      onInput=${typed}
      onKeyDown=${press}
    />
    <${Button}
      look="quiet"
      label="Tell capitals and small letters apart"
      pressed=${finder.matchCase.value}
      onPress=${() => void start(!finder.matchCase.value)}
    >
      Aa
    <//>
    <${Button} look="quiet" icon="up" label="Previous match" onPress=${() => go(true)} />
    <${Button} look="quiet" icon="down" label="Next match" onPress=${() => go(false)} />
    <span class="find-outcome numeric" role="status">${outcome(finder)}</span>
    <${Button} look="quiet" icon="close" label="End the search" onPress=${onClose} />
  </div>`;
}
