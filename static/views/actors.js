/**
 * The inside of Toru: its actors, and where work piles up.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { ActorTable } from "../components/actor-table.js";
import { Icon } from "../components/icon.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { ActorStore } from "../lib/actor-store.js";
import { linesOf, totals } from "../lib/actor-tree.js";
import { useConnected } from "../lib/connect.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";

/** @import { ActorRow } from "../lib/actor-trails.js" */
/** @import { Order } from "../lib/actor-tree.js" */

/** @type {Record<Order, string>} */
const ORDERS = {
  tree: "by supervisor",
  mailbox: "fullest first",
  busy: "busiest first",
  troubles: "troubled first",
};

/** @param {{name: string, value: string | number, detail: string, mood?: string}} props */
function Total({ name, value, detail, mood }) {
  return html`<div class="card tally" data-mood=${mood}>
    <dt>${name}</dt>
    <dd class="tally-value numeric">${value}</dd>
    <dd class="muted">${detail}</dd>
  </div>`;
}

/** @param {{rows: ActorRow[]}} props */
function Totals({ rows }) {
  const { actors, rate, waiting, peak, peakAt, troubles, hot } = totals(rows);
  return html`<dl class="tallies totals" aria-label="All actors together">
    <${Total} name="Actors" value=${actors} detail=${hot ? `${hot} in need of a look` : "All are well"} />
    <${Total} name="Messages a second" value=${Math.round(rate).toLocaleString("en")} detail="Handled by all of them" />
    <${Total} name="Waiting" value=${waiting} detail=${peak ? `Peak of the last minute: ${peak} at ${peakAt}` : "Nothing waited in the last minute"} />
    <${Total} name="Troubles" value=${troubles} detail="Crashes and refused messages of the last minute" mood=${troubles ? "bad" : undefined} />
  </dl>`;
}

/** @param {{search: string, order: Order, onSearch: (text: string) => void, onOrder: (order: Order) => void}} props */
function Tools({ search, order, onSearch, onOrder }) {
  const value = (/** @type {Event} */ event) =>
    /** @type {HTMLInputElement} */ (event.currentTarget).value;
  return html`<div class="actor-tools">
    <div class="search-field">
      <${Icon} name="search" />
      <input
        type="search"
        aria-label="Find an actor"
        placeholder="Find an actor"
        value=${search}
        onInput=${(/** @type {Event} */ event) => onSearch(value(event))}
      />
    </div>
    <label class="inline">
      Show
      <select value=${order} onChange=${(/** @type {Event} */ event) => onOrder(/** @type {Order} */ (value(event)))}>
        ${Object.entries(ORDERS).map(([key, words]) => html`<option key=${key} value=${key}>${words}</option>`)}
      </select>
    </label>
  </div>`;
}

/** @param {{rows: ActorRow[]}} props */
function Actors({ rows }) {
  const [search, setSearch] = useState("");
  const [order, setOrder] = useState(/** @type {Order} */ ("tree"));
  const [open, setOpen] = useState(/** @type {Set<string>} */ (new Set()));
  const toggle = (/** @type {string} */ key) => {
    const others = new Set(open);
    if (!others.delete(key)) others.add(key);
    setOpen(others);
  };
  const lines = linesOf(rows, { order, search, open });
  return html`<${Totals} rows=${rows} />
    <${Tools} search=${search} order=${order} onSearch=${setSearch} onOrder=${setOrder} />
    <section class="card flush" aria-label="Actors">
      ${
        lines.length
          ? html`<${ActorTable} lines=${lines} open=${open} onToggle=${toggle} />`
          : html`<${Empty} icon="search" title="No such actor">Nothing is called “${search}”.<//>`
      }
    </section>`;
}

export function ActorsView() {
  const store = useConnected(() => new ActorStore(socket), []);
  const rows = store.rows.value;
  return html`<header class="page-head"><h1 tabindex="-1">Actors</h1></header>
    <p class="muted actors-about">
      Inside Toru many small workers share the work, each with a mailbox of messages that wait for
      it. The marks show the peaks of the last minute.
    </p>
    ${!rows && store.error.value && html`<div class="card"><${Failure} message=${store.error.value} onRetry=${store.refresh} /></div>`}
    ${!rows && !store.error.value && html`<div class="card"><${Loading} what="the actors" rows=${8} /></div>`}
    ${rows && html`<${Actors} rows=${rows} />`}`;
}
