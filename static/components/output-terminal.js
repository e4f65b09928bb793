/**
 * The live end of an output on a terminal.
 * Runs on: the page.
 */
import { useEffect, useMemo, useRef } from "preact/hooks";
import { copyText } from "../lib/clipboard.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { OutputView, startOffset } from "../lib/output-view.js";
import { isActive } from "../lib/task-list.js";
import { SCROLLBACK_LINES } from "../lib/terminal-writer.js";
import { Button } from "./button.js";
import { OutputFrame } from "./output-frame.js";

/** @import { Task } from "../lib/types.js" */
/** @import { Show } from "./output-frame.js" */

/** @param {OutputView} view */
async function copy(view) {
  await copyText(view.text(), "The output shown is copied.");
}

/** @param {{view: OutputView, onFind: () => void}} props */
function Tools({ view, onFind }) {
  const following = view.following.value;
  return html`${
    (!following || !view.whole.value) &&
    html`<${Button}
      look="quiet"
      icon=${following ? "pause" : "follow"}
      onPress=${() => view.follow(!following)}
    >
      ${following ? "Pause" : "Follow"}
    <//>`
  }
  <${Button} look="quiet" icon="search" onPress=${onFind}>Find<//>
  <${Button} look="quiet" icon="copy" onPress=${() => copy(view)}>Copy<//>`;
}

/** @param {{view: OutputView, onLines: () => void}} props */
function Hints({ view, onLines }) {
  const silent = view.ended.value && !view.sawOutput.value;
  return html`${!view.ended.value && view.error.value && html`<p role="alert">${view.error.value}</p>`}
    ${!view.following.value && html`<p>Paused. New output waits until you follow again.</p>`}
    ${silent && html`<p>This run wrote nothing.</p>`}
    ${view.sawErrors.value && html`<p><em class="stderr">Red and slanted</em> is what the script wrote as errors (stderr).</p>`}
    ${
      view.partial.value &&
      html`<p>
        ${`Only the last part is shown (up to ${SCROLLBACK_LINES.toLocaleString()} lines). `}
        <button type="button" class="link" onClick=${onLines}>Show all as lines</button>
      </p>`
    }`;
}

/**
 * @param {{task: Task, onShow: (show: Show) => void, onFind: () => void}} props
 */
export function OutputTerminal({ task, onShow, onFind }) {
  const host = useRef(/** @type {HTMLDivElement | null} */ (null));
  const view = useMemo(() => {
    const offset = startOffset(isActive(task), task.output_size ?? 0);
    return new OutputView(socket, task.id, { label: `Output of ${task.script_name}`, offset });
  }, [task.id]);
  useEffect(() => {
    if (host.current) view.connect(host.current);
    return () => view.disconnect();
  }, [view]);
  const tools = html`<${Tools} view=${view} onFind=${onFind} />`;
  const hints = html`<${Hints} view=${view} onLines=${() => onShow("lines")} />`;
  const frame = { task, show: "terminal", onShow, busy: !view.whole.value, tools, hints };
  return html`<${OutputFrame} ...${frame}>
    <div class="terminal-frame">
      <div class="terminal-host" ref=${host}></div>
      ${!view.ready.value && html`<p class="terminal-wait" role="status">Opening the output…</p>`}
    </div>
  <//>`;
}
