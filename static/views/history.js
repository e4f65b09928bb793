/**
 * All runs, newest first.
 * Runs on: the page.
 */

import { Button } from "../components/button.js";
import { HistoryTable } from "../components/history-table.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { useConnected } from "../lib/connect.js";
import { stateWord } from "../lib/format.js";
import { HistoryStore } from "../lib/history-store.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { navigate, url } from "../lib/router.js";

const STATES = ["running", "queued", "finished", "failed", "cancelled", "interrupted"];

/** @param {{state: string}} props */
function StateFilter({ state }) {
  const choose = (/** @type {Event} */ event) => {
    const { value } = /** @type {HTMLSelectElement} */ (event.currentTarget);
    navigate(value ? `/history?state=${value}` : "/history", { replace: true });
  };
  return html`<label class="inline">
    Show
    <select value=${state} onChange=${choose}>
      <option value="">all runs</option>
      ${STATES.map((name) => html`<option key=${name} value=${name}>${stateWord(name).toLowerCase()}</option>`)}
    </select>
  </label>`;
}

/** @param {{store: HistoryStore, state: string}} props */
function Runs({ store, state }) {
  const tasks = store.tasks.value;
  if (!tasks && store.error.value) {
    return html`<${Failure} message=${store.error.value} onRetry=${() => store.refresh()} />`;
  }
  if (!tasks) return html`<${Loading} what="the history" rows=${8} />`;
  if (tasks.length === 0) {
    return html`<${Empty} icon="history" title=${state ? "No such runs" : "Nothing has run yet"}>
      ${state ? "Choose another state above." : "Every run is kept here, with its output."}
    <//>`;
  }
  return html`<${HistoryTable} tasks=${tasks} />
    <div class="more">
      ${
        store.atEnd.value
          ? html`<p class="muted">That is all.</p>`
          : html`<${Button} disabled=${store.loadingMore.value} onPress=${() => store.more()}>Show older runs<//>`
      }
    </div>`;
}

export function HistoryView() {
  const state = url.value.searchParams.get("state") ?? "";
  const store = useConnected(() => new HistoryStore(socket, state), [state]);
  return html`<header class="page-head">
      <h1 tabindex="-1">History</h1>
      <${StateFilter} state=${state} />
    </header>
    <section class="card flush" aria-label="Runs"><${Runs} store=${store} state=${state} /></section>`;
}
