/**
 * The terminal with its tools.
 * Runs on: the page.
 */
import { useEffect, useMemo, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { OutputView, startOffset } from "../lib/output-view.js";
import { isActive } from "../lib/task-list.js";
import { SCROLLBACK_LINES } from "../lib/terminal-writer.js";
import { showToast } from "../lib/toasts.js";
import { Button } from "./button.js";
import { Icon } from "./icon.js";

/** @import { Task } from "../lib/types.js" */

/** @param {OutputView} view */
async function copyOutput(view) {
  if (!navigator.clipboard) throw new Error("The browser allows copying only over HTTPS.");
  await navigator.clipboard.writeText(view.text());
  showToast("The output shown is copied.", "success");
}

/** @param {{view: OutputView, task: Task}} props */
function Tools({ view, task }) {
  const following = view.following.value;
  const raw = `/api/tasks/${encodeURIComponent(task.id)}/output?format=raw`;
  return html`<div class="terminal-tools" role="toolbar" aria-label="Output">
    ${
      (!following || !view.whole.value) &&
      html`<${Button}
        look="quiet"
        icon=${following ? "pause" : "follow"}
        onPress=${() => view.follow(!following)}
      >
        ${following ? "Pause" : "Follow"}
      <//>`
    }
    <${Button} look="quiet" icon="copy" onPress=${() => copyOutput(view)}>Copy<//>
    <a class="button quiet" href=${raw} download=${`${task.script_name}-${task.id}.log`}>
      <${Icon} name="download" /><span>Download</span>
    </a>
  </div>`;
}

/** @param {{view: OutputView}} props */
function Hints({ view }) {
  const silent = view.ended.value && !view.sawOutput.value;
  return html`<div class="terminal-hints">
    ${!view.ended.value && view.error.value && html`<p role="alert">${view.error.value}</p>`}
    ${!view.following.value && html`<p>Paused. New output waits until you follow again.</p>`}
    ${silent && html`<p>This run wrote nothing.</p>`}
    ${view.sawErrors.value && html`<p><em class="stderr">Red and slanted</em> is what the script wrote as errors (stderr).</p>`}
    ${
      view.partial.value &&
      html`<p>
      Only the last part is shown (up to ${SCROLLBACK_LINES.toLocaleString()} lines). The download
      has everything.
    </p>`
    }
  </div>`;
}

/** @param {{task: Task}} props */
export function OutputTerminal({ task }) {
  const host = useRef(/** @type {HTMLDivElement | null} */ (null));
  const view = useMemo(() => {
    const offset = startOffset(isActive(task), task.output_size ?? 0);
    return new OutputView(socket, task.id, { label: `Output of ${task.script_name}`, offset });
  }, [task.id]);
  useEffect(() => {
    if (host.current) view.connect(host.current);
    return () => view.disconnect();
  }, [view]);
  return html`<section class="terminal" aria-label=${`Output of ${task.script_name}`} aria-busy=${!view.whole.value}>
    <${Tools} view=${view} task=${task} />
    <div class="terminal-frame">
      <div class="terminal-host" ref=${host}></div>
      ${!view.ready.value && html`<p class="terminal-wait" role="status">Opening the output…</p>`}
    </div>
    <${Hints} view=${view} />
  </section>`;
}
