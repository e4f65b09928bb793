/**
 * One script: what it does, what it may be given, and the button that runs it.
 * Runs on: the page.
 */

import { useEffect, useRef } from "preact/hooks";
import { html } from "../lib/html.js";
import { url } from "../lib/router.js";
import { startRun } from "../lib/start-run.js";
import { Button } from "./button.js";

/** @import { Script, ScriptParameter } from "../lib/types.js" */

/**
 * What was filled in; an empty field is not given at all, so that the script's default holds.
 * @param {HTMLFormElement | null} form
 * @returns {Record<string, string>}
 */
function argsOf(form) {
  const entries = form ? [...new FormData(form)] : [];
  return Object.fromEntries(
    entries.flatMap(([name, value]) => (value === "" ? [] : [[name, String(value)]])),
  );
}

/** @param {ScriptParameter} props */
function Parameter({ name, description, default: preset }) {
  return html`<label>
    <span><code class="mono">${name}</code>${description && ` – ${description}`}</span>
    <input name=${name} placeholder=${preset ?? ""} />
  </label>`;
}

/**
 * An address that names a script puts the focus into its first field.
 * @param {{script: Script, onStarted: (taskId: string) => void}} props
 */
export function ScriptCard({ script, onStarted }) {
  const form = useRef(/** @type {HTMLFormElement | null} */ (null));
  const run = async () => onStarted(await startRun(script.name, argsOf(form.current)));
  const submit = (/** @type {SubmitEvent} */ event) => event.preventDefault();
  const isMeant = url.value.searchParams.get("script") === script.name;
  useEffect(() => {
    if (isMeant) form.current?.querySelector("input")?.focus();
  }, [isMeant]);
  return html`<li class="card script">
    <form ref=${form} onSubmit=${submit}>
      <div class="script-text">
        <h2 class="mono script-name">${script.name}</h2>
        <p class="muted">${script.description || "No description"}</p>
      </div>
      ${script.parameter_details?.map((parameter) => html`<${Parameter} key=${parameter.name} ...${parameter} />`)}
      <${Button} look="soft" icon="play" label=${`Run ${script.name}`} onPress=${run}>Run<//>
    </form>
  </li>`;
}
