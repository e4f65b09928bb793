/**
 * The output of a run: live on a terminal, or all of it as lines.
 * Runs on: the page.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { liveView } from "../lib/output-settings.js";
import { isActive } from "../lib/task-list.js";
import { OutputLines } from "./output-lines.js";
import { OutputTerminal } from "./output-terminal.js";

/** @import { Task } from "../lib/types.js" */
/** @import { Show } from "./output-frame.js" */

/**
 * Makes the browser's own key for finding find in the output, of which the page holds only a part.
 * Pressed again in the box for it, it is the browser's.
 * @param {() => void} onFind
 * @param {{current: HTMLElement | null}} host
 */
function useFindKey(onFind, host) {
  const find = useRef(onFind);
  find.current = onFind;
  useEffect(() => {
    const press = (/** @type {KeyboardEvent} */ event) => {
      if (event.key !== "f" || !(event.ctrlKey || event.metaKey) || event.shiftKey || event.altKey)
        return;
      const target = /** @type {Element} */ (event.target);
      const dialog = document.querySelector("dialog[open]");
      if (target.matches("input, textarea, select") && !target.matches(".xterm-helper-textarea"))
        return;
      if (dialog && !dialog.contains(host.current)) return;
      event.preventDefault();
      find.current();
    };
    document.addEventListener("keydown", press, true);
    return () => document.removeEventListener("keydown", press, true);
  }, []);
}

/** @param {{task: Task}} props keyed by the run's id */
export function OutputPanel({ task }) {
  const host = useRef(/** @type {HTMLDivElement | null} */ (null));
  const [show, setShow] = useState(
    /** @type {Show} */ (isActive(task) && liveView.value === "terminal" ? "terminal" : "lines"),
  );
  const [finding, setFinding] = useState(0);
  const choose = (/** @type {Show} */ next) => {
    setShow(next);
    setFinding(0);
    if (isActive(task)) liveView.value = next;
  };
  const find = () => {
    setShow("lines");
    setFinding((asked) => asked + 1);
  };
  useFindKey(find, host);
  return html`<div class="output" ref=${host}>
    ${
      show === "terminal"
        ? html`<${OutputTerminal} task=${task} onShow=${choose} onFind=${find} />`
        : html`<${OutputLines}
            task=${task}
            finding=${finding}
            onShow=${choose}
            onFind=${find}
            onFound=${() => setFinding(0)}
          />`
    }
  </div>`;
}
