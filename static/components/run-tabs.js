/**
 * The open runs as tabs (WAI-ARIA's pattern: arrows go between them, Delete closes one).
 * Runs on: the page.
 */
import { useEffect, useRef } from "preact/hooks";
import { formatExactTime, stateWord } from "../lib/format.js";
import { html } from "../lib/html.js";
import { Icon } from "./icon.js";

/** @import { Task } from "../lib/types.js" */

export const PANEL_ID = "run-panel";

/** @param {string} id @returns {string} the id of a tab's element */
export const tabId = (id) => `run-tab-${id}`;

/** @param {Task} task @param {Task[]} tabs */
function nameOf(task, tabs) {
  const name = task.script_name ?? "Run";
  const isAlone = tabs.filter((each) => each.script_name === task.script_name).length < 2;
  const at = task.started_at ?? task.created_at;
  return { name, at: isAlone || !at ? "" : formatExactTime(at).slice(0, 8) };
}

/**
 * @typedef {object} TabsProps
 * @property {Task[]} tabs
 * @property {string | undefined} shown
 * @property {(id: string) => void} onShow
 * @property {(id: string) => void} onClose
 */

/** @param {TabsProps & {task: Task, isFirst: boolean, onMove: (key: string) => boolean}} props */
function Tab({ task, tabs, shown, isFirst, onShow, onClose, onMove }) {
  const { name, at } = nameOf(task, tabs);
  const isShown = task.id === shown;
  const press = (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Delete") onClose(task.id);
    else if (!onMove(event.key)) return;
    event.preventDefault();
  };
  const click = (/** @type {MouseEvent} */ event) => {
    const isClosing = event.target instanceof Element && event.target.closest(".run-tab-close");
    if (isClosing) onClose(task.id);
    else onShow(task.id);
  };
  const middle = (/** @type {MouseEvent} */ event) => {
    if (event.button === 1) onClose(task.id);
  };
  return html`<button
    type="button"
    role="tab"
    id=${tabId(task.id)}
    class="run-tab"
    aria-selected=${isShown}
    aria-controls=${isShown ? PANEL_ID : undefined}
    tabindex=${isShown || (!shown && isFirst) ? 0 : -1}
    aria-label=${`${`${name} ${at}`.trim()}, ${stateWord(task.state)}`}
    title=${`${name} ${at}`.trim()}
    onClick=${click}
    onAuxClick=${middle}
    onKeyDown=${press}
  >
    <span class="run-tab-dot" data-state=${task.state ?? "unknown"}></span>
    <span class="run-tab-name">${name}</span>
    ${at && html`<span class="muted numeric">${at}</span>`}
    <span class="run-tab-close" aria-hidden="true" title="Close; the run goes on"><${Icon} name="close" size=${14} /></span>
  </button>`;
}

/** @param {TabsProps} props */
export function RunTabsBar(props) {
  const { tabs, shown, onShow } = props;
  const bar = useRef(/** @type {HTMLDivElement | null} */ (null));
  const moved = useRef(false);
  useEffect(() => {
    const tab = shown ? document.getElementById(tabId(shown)) : null;
    tab?.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (moved.current) tab?.focus();
    moved.current = false;
  }, [shown, tabs.length]);
  const move = (/** @type {string} */ key) => {
    const at = tabs.findIndex((task) => task.id === shown);
    const count = tabs.length;
    /** @type {Record<string, number>} */
    const goals = { ArrowLeft: (at - 1 + count) % count, ArrowRight: (at + 1) % count };
    const to = { ...goals, Home: 0, End: count - 1 }[key];
    if (to === undefined) return false;
    moved.current = true;
    onShow(tabs[to].id);
    return true;
  };
  const close = (/** @type {string} */ id) => {
    moved.current = Boolean(bar.current?.contains(document.activeElement));
    props.onClose(id);
  };
  if (tabs.length === 0) return null;
  return html`<div ref=${bar} class="run-tabs" role="tablist" aria-label="Open runs">
    ${tabs.map((task, i) => html`<${Tab} ...${props} key=${task.id} task=${task} isFirst=${i === 0} onMove=${move} onClose=${close} />`)}
  </div>`;
}
