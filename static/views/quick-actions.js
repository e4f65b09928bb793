/**
 * The buttons that everybody finds on the dashboard, and what they run.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { ActionDialog } from "../components/action-dialog.js";
import { ActionList } from "../components/action-list.js";
import { Button } from "../components/button.js";
import { RunSheet } from "../components/run-sheet.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { ActionStore } from "../lib/action-store.js";
import { useConnected } from "../lib/connect.js";
import { html } from "../lib/html.js";
import { closeTo, navigate, url } from "../lib/router.js";

/** @import { QuickAction } from "../lib/types.js" */
/** What is being edited; null is a new one. @typedef {{action: QuickAction | null}} Edited */

/** @param {string} taskId */
const show = (taskId) => navigate(`/quick-actions?task=${encodeURIComponent(taskId)}`);

/** @param {{store: ActionStore, onEdit: (action: QuickAction | null) => void}} props */
function Actions({ store, onEdit }) {
  const actions = store.actions.value;
  if (!actions && store.error.value) {
    return html`<${Failure} message=${store.error.value} onRetry=${store.refresh} />`;
  }
  if (!actions) return html`<${Loading} what="the quick actions" rows=${4} />`;
  if (actions.length === 0) {
    return html`<${Empty} icon="bolt" title="No quick actions yet">
      A quick action is a button on the dashboard that runs one of your scripts. Users may run
      nothing else.
      <span class="empty-action">
        <${Button} look="soft" icon="plus" onPress=${() => onEdit(null)}>New quick action<//>
      </span>
    <//>`;
  }
  return html`<${ActionList} store=${store} actions=${actions} onEdit=${onEdit} onShow=${show} />`;
}

export function QuickActionsView() {
  const store = useConnected(() => new ActionStore(), []);
  const [edited, setEdited] = useState(/** @type {Edited | null} */ (null));
  const edit = (/** @type {QuickAction | null} */ action) => setEdited({ action });
  const shown = url.value.searchParams.get("task");
  return html`<header class="page-head">
      <h1 tabindex="-1">Quick actions</h1>
      <${Button} look="primary" icon="plus" onPress=${() => edit(null)}>New quick action<//>
    </header>
    <p class="muted">The buttons on everybody's dashboard, in this order.</p>
    <section class="card flush" aria-label="Quick actions"><${Actions} store=${store} onEdit=${edit} /></section>
    ${
      edited &&
      html`<${ActionDialog} store=${store} action=${edited.action} onClose=${() => setEdited(null)} />`
    }
    ${shown && html`<${RunSheet} key=${shown} taskId=${shown} onShow=${show} onClose=${() => closeTo("/quick-actions")} />`}`;
}
