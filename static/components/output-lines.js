/**
 * An output as lines: all of it can be scrolled to, searched and copied.
 * Runs on: the page.
 */
import { useEffect, useId, useMemo, useRef } from "preact/hooks";
import { copyText } from "../lib/clipboard.js";
import { formatBytes } from "../lib/format.js";
import { html } from "../lib/html.js";
import { LinesStore } from "../lib/lines-store.js";
import { times, wrap } from "../lib/output-settings.js";
import { isActive } from "../lib/task-list.js";
import { Button } from "./button.js";
import { ByteScrollbar } from "./byte-scrollbar.js";
import { FindBar } from "./find-bar.js";
import { Icon } from "./icon.js";
import { OutputFrame } from "./output-frame.js";

/** @import { Task } from "../lib/types.js" */
/** @import { Show } from "./output-frame.js" */

const SAID = {
  selection: "What is selected is copied.",
  all: "The whole output is copied.",
  shown: "The lines around here are copied. The download has everything.",
};

/** @param {LinesStore} store */
async function copy(store) {
  const { text, what } = await store.copied();
  await copyText(text, SAID[what]);
}

function TimesChoice() {
  const choose = (/** @type {Event} */ event) => {
    const { value } = /** @type {HTMLSelectElement} */ (event.target);
    times.value = /** @type {import("../lib/output-lines.js").Times} */ (value);
  };
  return html`<label class="button quiet times" data-on=${times.value !== "off"} title="Times of the lines">
    <${Icon} name="uptime" />
    <select aria-label="Times" value=${times.value} onChange=${choose}>
      <option value="off">No times</option>
      <option value="clock">Time of day</option>
      <option value="start">Since start</option>
    </select>
  </label>`;
}

/** @param {{store: LinesStore, isFinding: boolean, onFind: () => void}} props */
function Tools({ store, isFinding, onFind }) {
  const { view, source } = store;
  const following = view.following.value;
  return html`${
    !source.complete.value &&
    html`<${Button}
      look="quiet"
      icon=${following ? "pause" : "follow"}
      onPress=${() => (following ? view.pause() : view.follow())}
    >
      ${following ? "Pause" : "Follow"}
    <//>`
  }
  <${TimesChoice} />
  <${Button}
    look="quiet"
    icon="wrap"
    pressed=${wrap.value}
    onPress=${() => {
      wrap.value = !wrap.value;
    }}
  >
    Wrap
  <//>
  <${Button} look="quiet" icon="search" pressed=${isFinding} onPress=${onFind}>Find<//>
  <${Button} look="quiet" icon="copy" onPress=${() => copy(store)}>Copy<//>`;
}

/** @param {{store: LinesStore, task: Task, onTerminal: () => void}} props */
function Hints({ store, task, onTerminal }) {
  const { view, source } = store;
  const isLive = !source.complete.value;
  return html`${view.error.value && html`<p role="alert">${view.error.value}</p>`}
    ${isLive && !view.following.value && !view.busy.value && html`<p>Paused. New output is added below; follow to see it.</p>`}
    ${!isLive && source.size.value === 0 && html`<p>This run wrote nothing.</p>`}
    ${isLive && source.size.value === 0 && isActive(task) && html`<p>Nothing is written yet.</p>`}
    ${view.sawErrors.value && html`<p><em class="stderr">Red and slanted</em> is what the script wrote as errors (stderr).</p>`}
    ${
      view.moves.value &&
      html`<p>
        ${"This output moves over the screen, which lines cannot show. "}
        <button type="button" class="link" onClick=${onTerminal}>Show it as a terminal</button>
      </p>`
    }`;
}

/** @param {KeyboardEvent} event @param {LinesStore} store @param {() => void} find */
function pressed(event, { view }, find) {
  const isPlain = !event.ctrlKey && !event.metaKey && !event.altKey;
  if (event.key === "Home" && !event.altKey) view.seek(0);
  else if (event.key === "End" && !event.altKey) view.follow();
  else if (event.key === "/" && isPlain) find();
  else return;
  event.preventDefault();
}

/**
 * @param {{task: Task, finding: number, onShow: (show: Show) => void, onFind: () => void,
 *   onFound: () => void}} props `finding` is 0 while nothing is looked for, and grows with each ask
 */
export function OutputLines({ task, finding, onShow, onFind, onFound }) {
  const box = useRef(/** @type {HTMLDivElement | null} */ (null));
  const list = useRef(/** @type {HTMLDivElement | null} */ (null));
  const id = useId();
  const store = useMemo(() => new LinesStore(task), [task.id]);
  const { view, source } = store;
  useEffect(() => {
    if (box.current && list.current) store.connect(box.current, list.current);
    return () => store.disconnect();
  }, [store]);
  const close = () => {
    store.finder.clear();
    onFound();
    box.current?.focus();
  };
  const copied = (/** @type {ClipboardEvent} */ event) => {
    event.clipboardData?.setData("text/plain", store.selectedText());
    event.preventDefault();
  };
  const tools = html`<${Tools} store=${store} isFinding=${finding > 0} onFind=${finding ? close : onFind} />`;
  const hints = html`<${Hints} store=${store} task=${task} onTerminal=${() => onShow("terminal")} />`;
  const busy = view.busy.value || !source.complete.value;
  return html`<${OutputFrame} task=${task} show="lines" onShow=${onShow} busy=${busy} tools=${tools} hints=${hints}>
    ${finding > 0 && html`<${FindBar} finder=${store.finder} asked=${finding} place=${() => view.top.value} onClose=${close} />`}
    <div class="terminal-frame lines-frame">
      <div class="output-clip">
        <div
          ref=${box}
          id=${id}
          class="output-box"
          role="log"
          aria-live="off"
          aria-label=${`Lines, ${formatBytes(source.size.value)}`}
          tabindex="0"
          onKeyDown=${(/** @type {KeyboardEvent} */ event) => pressed(event, store, onFind)}
          onCopy=${copied}
        >
          <div ref=${list} class="output-rows"></div>
        </div>
      </div>
      <${ByteScrollbar} view=${view} size=${source.size.value} controls=${id} />
      ${view.busy.value && source.size.value === 0 && html`<p class="terminal-wait" role="status">Opening the output…</p>`}
    </div>
  <//>`;
}
