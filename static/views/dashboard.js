/**
 * The first page: the machine's figures, quick actions, what runs, what failed.
 * Runs on: the page.
 */
import { QuickActions } from "../components/quick-actions.js";
import { ResourceFigures } from "../components/resource-figures.js";
import { preloadRun, RunSheet } from "../components/run-sheet.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { TaskLines } from "../components/task-lines.js";
import { ActivityStore } from "../lib/activity-store.js";
import { useConnected } from "../lib/connect.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { closeTo, navigate, url } from "../lib/router.js";
import { isAdmin } from "../lib/session.js";

/** @param {string} taskId */
const show = (taskId) => navigate(`/?task=${encodeURIComponent(taskId)}`);

/** @param {{activity: ActivityStore}} props */
function Activity({ activity }) {
  if (!activity.loaded.value && activity.error.value) {
    return html`<${Failure} message=${activity.error.value} onRetry=${() => activity.refresh()} />`;
  }
  if (!activity.loaded.value) return html`<${Loading} what="what is going on" />`;
  const running = activity.running.value;
  const failures = activity.failures.value;
  return html`<section
      aria-labelledby="quick"
      onPointerOver=${preloadRun}
      onFocusIn=${preloadRun}
    >
      <h2 id="quick">Quick actions</h2>
      <${QuickActions} activity=${activity} onShow=${show} />
    </section>
    <div class="columns">
      <section class="card" aria-labelledby="running">
        <h2 id="running">Running now${running.length > 1 && html` <span class="count">${running.length}</span>`}</h2>
        ${
          running.length
            ? html`<${TaskLines} tasks=${running} />`
            : html`<${Empty} icon="wait" title="Nothing is running" />`
        }
      </section>
      <section class="card" aria-labelledby="failures">
        <header class="card-head">
          <h2 id="failures">Last failures</h2>
          ${failures.length > 0 && html`<a href="/history?state=failed">All failed runs</a>`}
        </header>
        ${
          failures.length
            ? html`<${TaskLines} tasks=${failures} />`
            : html`<${Empty} icon="check" title="Nothing has failed" />`
        }
      </section>
    </div>`;
}

export function DashboardView() {
  const activity = useConnected(() => new ActivityStore(socket), []);
  const shown = url.value.searchParams.get("task");
  return html`<header class="page-head">
      <h1 tabindex="-1">Dashboard</h1>
      ${isAdmin.value && html`<a class="button plain" href="/scripts">Run a script</a>`}
    </header>
    <${ResourceFigures} />
    <${Activity} activity=${activity} />
    ${shown && html`<${RunSheet} key=${shown} taskId=${shown} onShow=${show} onClose=${() => closeTo("/")} />`}`;
}
