/**
 * The scripts, and beside them the run that is watched.
 * Runs on: the page.
 */
import { RunPanel } from "../components/run-panel.js";
import { ScriptCard } from "../components/script-card.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { useConnected } from "../lib/connect.js";
import { html } from "../lib/html.js";
import { navigate } from "../lib/router.js";
import { ScriptStore } from "../lib/script-store.js";

/** @param {string} taskId */
const show = (taskId) => navigate(`/scripts/run/${encodeURIComponent(taskId)}`);

/** @param {{store: ScriptStore}} props */
function ScriptList({ store }) {
  const scripts = store.scripts.value;
  if (!scripts && store.error.value) {
    return html`<${Failure} message=${store.error.value} onRetry=${store.refresh} />`;
  }
  if (!scripts) return html`<${Loading} what="the scripts" rows=${5} />`;
  if (scripts.length === 0) {
    return html`<${Empty} icon="scripts" title="No scripts yet">
      Put files that end in .sh or .bash into the scripts folder of this machine. They appear here.
    <//>`;
  }
  return html`<ul class="script-list">
    ${scripts.map((script) => html`<${ScriptCard} key=${script.name} script=${script} onStarted=${show} />`)}
  </ul>`;
}

/** @param {{params: {id?: string}}} props */
export function ScriptsView({ params }) {
  const store = useConnected(() => new ScriptStore(), []);
  return html`<header class="page-head"><h1 tabindex="-1">Scripts</h1></header>
    <div class="split" data-detail=${Boolean(params.id)}>
      <section class="split-list" aria-label="Scripts"><${ScriptList} store=${store} /></section>
      <section class="split-detail card" aria-label="Run">
        ${
          params.id
            ? html`<a class="back" href="/scripts">All scripts</a>
              <${RunPanel} key=${params.id} taskId=${params.id} onRunAgain=${show} />`
            : html`<${Empty} icon="play" title="Nothing chosen yet">
              Run a script, and watch here what it writes.
            <//>`
        }
      </section>
    </div>`;
}
