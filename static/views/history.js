/**
 * All runs, newest first.
 * Runs on: the page.
 */
import { useEffect } from "preact/hooks";
import { Button } from "../components/button.js";
import { HistoryFilters } from "../components/history-filters.js";
import { HistoryTable } from "../components/history-table.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { useConnected } from "../lib/connect.js";
import { addressOf, EVERYTHING, filterOf, isEverything } from "../lib/history-filter.js";
import { HistoryStore } from "../lib/history-store.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { navigate, url } from "../lib/router.js";

/** @import { HistoryFilter } from "../lib/history-filter.js" */

/** @param {HistoryFilter} filter */
const show = (filter) => navigate(addressOf(filter), { replace: true });

/** @param {{filter: HistoryFilter}} props */
function Nothing({ filter }) {
  if (isEverything(filter)) {
    return html`<${Empty} icon="history" title="Nothing has run yet">
      Every run is kept here, with its output.
    <//>`;
  }
  return html`<${Empty} icon="search" title="No such runs">
    No run fits all that is asked for above.
    <span class="empty-action">
      <${Button} onPress=${() => show(EVERYTHING)}>Show all runs<//>
    </span>
  <//>`;
}

/** @param {{store: HistoryStore, filter: HistoryFilter}} props */
function Runs({ store, filter }) {
  const tasks = store.tasks.value;
  if (store.error.value && (!tasks || store.filtering.value)) {
    return html`<${Failure} message=${store.error.value} onRetry=${() => store.refresh()} />`;
  }
  if (!tasks) return html`<${Loading} what="the history" rows=${8} />`;
  if (tasks.length === 0) return html`<${Nothing} filter=${filter} />`;
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
  const filter = filterOf(url.value.searchParams);
  const store = useConnected(() => new HistoryStore(socket, filter), []);
  useEffect(() => {
    store.filterBy(filter);
  }, [url.value.search]);
  const isBusy = store.filtering.value && !store.error.value;
  return html`<header class="page-head"><h1 tabindex="-1">History</h1></header>
    <${HistoryFilters} filter=${filter} onChange=${show} />
    <section class="card flush runs" aria-label="Runs" aria-busy=${isBusy}>
      <${Runs} store=${store} filter=${filter} />
    </section>`;
}
