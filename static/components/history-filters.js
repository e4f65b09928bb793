/**
 * What the history is filtered by: a search, choices, and a chip for each that is in force.
 * Runs on: the page.
 */
import { useEffect, useState } from "preact/hooks";
import { get } from "../lib/api.js";
import { useConnected } from "../lib/connect.js";
import { stateWord } from "../lib/format.js";
import { chipsOf, EVERYTHING, isEverything, SPANS } from "../lib/history-filter.js";
import { html } from "../lib/html.js";
import { PolledQuery } from "../lib/polled-query.js";
import { isAdmin } from "../lib/session.js";
import { Icon } from "./icon.js";

/** @import { HistoryFilter } from "../lib/history-filter.js" */
/** @typedef {{scripts: string[], users: string[]}} Names */
/** @typedef {{filter: HistoryFilter, onChange: (filter: HistoryFilter) => void}} FilterProps */

const STATES = ["running", "queued", "finished", "failed", "cancelled", "interrupted"];
const TYPED_MS = 300;
const CUSTOM = "custom";

/** @param {Event} event */
const typed = (event) =>
  /** @type {HTMLInputElement | HTMLSelectElement} */ (event.currentTarget).value;

/**
 * Asks only when the typing rests, or Enter is pressed.
 * @param {FilterProps} props
 */
function Search({ filter, onChange }) {
  const [text, setText] = useState(filter.q);
  useEffect(() => setText(filter.q), [filter.q]);
  const ask = () => {
    if (text !== filter.q) onChange({ ...filter, q: text });
  };
  useEffect(() => {
    const timer = setTimeout(ask, TYPED_MS);
    return () => clearTimeout(timer);
  }, [text]);
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    ask();
  };
  return html`<form class="history-search" role="search" onSubmit=${submit}>
    <span class="search-label" aria-hidden="true">Search</span>
    <div class="search-field">
      <${Icon} name="search" />
      <input
        type="search"
        aria-label="Search"
        aria-describedby="searched"
        placeholder="Search names and outputs"
        maxlength="255"
        value=${text}
        onInput=${(/** @type {Event} */ event) => setText(typed(event))}
      />
    </div>
    <p class="field-hint" id="searched">
      Looks for the text in the scripts' names and in the last 64 KB of each output.
    </p>
  </form>`;
}

/**
 * @param {{label: string, value: string, all: string, options: [string, string][],
 *   onChange: (value: string) => void}} props
 */
function Choice({ label, value, all, options, onChange }) {
  const known = options.some(([key]) => key === value);
  return html`<label class="filter-choice">
    ${label}
    <select value=${value} onChange=${(/** @type {Event} */ event) => onChange(typed(event))}>
      <option value="">${all}</option>
      ${value && !known && html`<option value=${value}>${value}</option>`}
      ${options.map(([key, words]) => html`<option key=${key} value=${key}>${words}</option>`)}
    </select>
  </label>`;
}

/** @param {FilterProps} props */
function When({ filter, onChange }) {
  const isCustom = Boolean(filter.from || filter.to);
  const [isOpen, setOpen] = useState(isCustom);
  const spans = Object.entries(SPANS).map(([key, { words }]) => [key, words]);
  const choose = (/** @type {string} */ value) => {
    setOpen(value === CUSTOM);
    if (value === CUSTOM) onChange({ ...filter, within: "" });
    else onChange({ ...filter, within: value, from: "", to: "" });
  };
  const field = (/** @type {"from" | "to"} */ name, /** @type {string} */ label) =>
    html`<label class="filter-choice">
      ${label}
      <input
        type="datetime-local"
        value=${filter[name]}
        onChange=${(/** @type {Event} */ event) => onChange({ ...filter, within: "", [name]: typed(event) })}
      />
    </label>`;
  const isShown = isOpen || isCustom;
  return html`<${Choice}
      label="Time"
      value=${isShown ? CUSTOM : filter.within}
      all="Any time"
      options=${[...spans, [CUSTOM, "From … to …"]]}
      onChange=${choose}
    />
    ${isShown && field("from", "From")} ${isShown && field("to", "To")}`;
}

/** @param {FilterProps} props */
function Choices({ filter, onChange }) {
  const store = useConnected(
    () => new PolledQuery(/** @returns {Promise<Names>} */ () => get("history/names")),
    [],
  );
  const { scripts, users } = store.value.value ?? { scripts: [], users: [] };
  const set = (/** @type {Partial<HistoryFilter>} */ change) => onChange({ ...filter, ...change });
  const same = (/** @type {string[]} */ names) => names.map((name) => [name, name]);
  return html`<div class="filter-choices">
    <${Choice}
      label="State"
      value=${filter.state}
      all="All states"
      options=${STATES.map((state) => [state, stateWord(state)])}
      onChange=${(/** @type {string} */ state) => set({ state })}
    />
    <${Choice}
      label="Script"
      value=${filter.script}
      all="All scripts"
      options=${same(scripts)}
      onChange=${(/** @type {string} */ script) => set({ script })}
    />
    ${
      isAdmin.value &&
      html`<${Choice}
        label="User"
        value=${filter.user}
        all="Everybody"
        options=${same(users)}
        onChange=${(/** @type {string} */ user) => set({ user })}
      />`
    }
    <${When} filter=${filter} onChange=${onChange} />
  </div>`;
}

/** @param {FilterProps} props */
function Chips({ filter, onChange }) {
  const chips = chipsOf(filter);
  if (chips.length === 0) return null;
  return html`<ul class="chips" aria-label="Filters in force">
    ${chips.map(
      ({ words, without }) => html`<li key=${words}>
        <button type="button" class="chip" aria-label=${`${words}: take away`} onClick=${() => onChange(without)}>
          <span>${words}</span><${Icon} name="close" size=${14} />
        </button>
      </li>`,
    )}
    <li><button type="button" class="link" onClick=${() => onChange(EVERYTHING)}>Show all runs</button></li>
  </ul>`;
}

/** @param {FilterProps} props */
export function HistoryFilters({ filter, onChange }) {
  const [isOpen, setOpen] = useState(false);
  const count = chipsOf({ ...filter, q: "" }).length;
  return html`<section class="filters" aria-label="Filter" data-open=${isOpen} data-any=${!isEverything(filter)}>
    <div class="filters-row">
      <${Search} filter=${filter} onChange=${onChange} />
      <button
        type="button"
        class="button plain filters-toggle"
        aria-expanded=${isOpen}
        onClick=${() => setOpen(!isOpen)}
      >
        <${Icon} name="filter" /><span>Filters${count > 0 && ` (${count})`}</span>
      </button>
      <${Choices} filter=${filter} onChange=${onChange} />
    </div>
    <${Chips} filter=${filter} onChange=${onChange} />
  </section>`;
}
