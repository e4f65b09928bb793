/**
 * The scripts, and beside them the runs that are watched, in tabs.
 * Runs on: the page.
 */
import { useEffect, useState } from "preact/hooks";
import { RunPanel } from "../components/run-panel.js";
import { PANEL_ID, RunTabsBar, tabId } from "../components/run-tabs.js";
import { ScriptCard } from "../components/script-card.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { useConnected } from "../lib/connect.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { navigate } from "../lib/router.js";
import { RunTabs } from "../lib/run-tabs.js";
import { ScriptStore, withWords } from "../lib/script-store.js";

/** From so many scripts on, there is a box to filter them. */
const MANY = 8;

/** @param {string} taskId */
const show = (taskId) => navigate(`/scripts/run/${encodeURIComponent(taskId)}`);

/** @param {{text: string, onText: (text: string) => void}} props */
function Filter({ text, onText }) {
  return html`<input
    class="script-filter"
    type="search"
    aria-label="Filter the scripts"
    placeholder="Filter the scripts"
    autocomplete="off"
    spellcheck=${false}
    value=${text}
    onInput=${(/** @type {Event} */ event) => onText(/** @type {HTMLInputElement} */ (event.target).value)}
  />`;
}

/** @param {{store: ScriptStore}} props */
function ScriptList({ store }) {
  const [filter, setFilter] = useState("");
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
  const wanted = withWords(scripts, filter);
  return html`${scripts.length >= MANY && html`<${Filter} text=${filter} onText=${setFilter} />`}
    <ul class="script-list">
      ${wanted.map((script) => html`<${ScriptCard} key=${script.name} script=${script} onStarted=${show} />`)}
    </ul>
    ${wanted.length === 0 && html`<${Empty} icon="search" title="No script is called or described so" />`}`;
}

/** @param {{taskId: string}} props */
function Shown({ taskId }) {
  return html`<div class="run-shown" role="tabpanel" id=${PANEL_ID} aria-labelledby=${tabId(taskId)}>
    <${RunPanel} key=${taskId} taskId=${taskId} onRunAgain=${show} />
  </div>`;
}

/** @param {{params: {id?: string}}} props */
export function ScriptsView({ params }) {
  const store = useConnected(() => new ScriptStore(), []);
  const open = useConnected(() => new RunTabs(socket), []);
  useEffect(() => {
    if (params.id) open.open(params.id);
  }, [open, params.id]);
  const close = (/** @type {string} */ id) => {
    const next = open.close(id);
    if (id === params.id) navigate(next ? `/scripts/run/${next}` : "/scripts", { replace: true });
  };
  const tabs = open.tabs.value;
  return html`<header class="page-head"><h1 tabindex="-1">Scripts</h1></header>
    <div class="split" data-detail=${Boolean(params.id)}>
      <section class="split-list" aria-label="Scripts"><${ScriptList} store=${store} /></section>
      <section class="split-detail card" aria-label="Run">
        ${params.id && html`<a class="back" href="/scripts">All scripts</a>`}
        <${RunTabsBar} tabs=${tabs} shown=${params.id} onShow=${show} onClose=${close} />
        ${
          params.id
            ? html`<${Shown} key=${params.id} taskId=${params.id} />`
            : html`<${Empty} icon="play" title=${tabs.length ? "No run is shown" : "Nothing chosen yet"}>
              ${tabs.length ? "Choose one above, or run a script." : "Run a script, and watch here what it writes."}
            <//>`
        }
      </section>
    </div>`;
}
