/**
 * Whether a plugin's page runs in a sandbox, and what that means.
 * Runs on: the page.
 */
import { useId, useState } from "preact/hooks";
import { put, sentence } from "../lib/api.js";
import { html } from "../lib/html.js";
import { plugins } from "../lib/plugins.js";
import { showToast } from "../lib/toasts.js";

/** @import { Plugin } from "../lib/types.js" */

const MEANS =
  "Shut off from the dashboard, it reaches its own plugin and nothing else: neither your session, " +
  "nor other pages, nor the internet. You are asked before it starts a script.";

/** @param {Plugin} plugin */
function words({ sandboxed, sandbox_forced }) {
  if (sandbox_forced) return `${MEANS} Pages that need more may not work.`;
  if (sandboxed) return `The plugin asks for this itself. ${MEANS}`;
  return `${MEANS} Choose it for plugins whose author you do not know.`;
}

/** @param {{plugin: Plugin}} props */
export function SandboxSwitch({ plugin }) {
  const id = useId();
  const [wanted, setWanted] = useState(/** @type {boolean | null} */ (null));
  const isOwnWish = plugin.sandboxed && !plugin.sandbox_forced;
  const isOn = wanted ?? plugin.sandboxed;
  const press = async () => {
    if (isOwnWish || wanted !== null) return;
    const forced = !plugin.sandbox_forced;
    setWanted(forced);
    try {
      await put(`plugins/${encodeURIComponent(plugin.id)}/sandbox`, { forced });
      await plugins.refresh();
    } catch (error) {
      showToast(sentence(error), "error");
    } finally {
      setWanted(null);
    }
  };
  return html`<section class="sandbox-choice">
    <h3 id=${`${id}-name`}>Run its page in a sandbox</h3>
    <button
      type="button"
      class="switch"
      role="switch"
      aria-checked=${isOn}
      aria-busy=${wanted !== null}
      aria-disabled=${isOwnWish || wanted !== null}
      aria-labelledby=${`${id}-name`}
      aria-describedby=${`${id}-means`}
      onClick=${press}
    >
      <span class="switch-track" aria-hidden="true"></span><span>${isOn ? "On" : "Off"}</span>
    </button>
    <p class="muted" id=${`${id}-means`}>${words(plugin)}</p>
  </section>`;
}
