/**
 * Which Toru this is and where it keeps its things.
 * Runs on: the page.
 */
import { get } from "../lib/api.js";
import { copyText } from "../lib/clipboard.js";
import { useConnected } from "../lib/connect.js";
import { html } from "../lib/html.js";
import { PolledQuery } from "../lib/polled-query.js";
import { Button } from "./button.js";
import { Failure, Loading } from "./states.js";
import { Moment } from "./time.js";

/** @import { About, Setting } from "../lib/types.js" */

/** @param {{name: string, text: string}} props */
function Place({ name, text }) {
  const copy = () => copyText(text, `${name} is copied.`);
  return html`<div>
    <dt>${name}</dt>
    <dd class="about-place">
      <code class="mono">${text}</code>
      <${Button} look="quiet" icon="copy" label=${`Copy: ${name}`} onPress=${copy} />
    </dd>
  </div>`;
}

/** @param {{about: About, identity: string}} props */
function Facts({ about, identity }) {
  return html`<dl class="about">
    <div><dt>Version</dt><dd>Toru ${about.version}</dd></div>
    <div><dt>Started</dt><dd><${Moment} at=${about.started_at} /></dd></div>
    <div><dt>Runs on</dt><dd>Python ${about.python}, ${about.database}</dd></div>
    <${Place} name="Data folder" text=${about.data_dir} />
    <${Place} name="Plugins folder" text=${about.plugins_dir} />
    <${Place} name="Logs folder" text=${about.log_dir} />
    ${identity && html`<${Place} name="Identity of this installation" text=${identity} />`}
  </dl>`;
}

/** @param {{settings: Setting[]}} props */
export function AboutCard({ settings }) {
  const store = useConnected(
    () => new PolledQuery(/** @returns {Promise<About>} */ () => get("about")),
    [],
  );
  const about = store.value.value;
  const identity = settings.find(({ key }) => key === "instance_id")?.value ?? "";
  return html`<section class="card" aria-labelledby="about">
    <h2 id="about">About</h2>
    ${!about && !store.error.value && html`<${Loading} what="what this is" />`}
    ${!about && store.error.value && html`<${Failure} message=${store.error.value} onRetry=${store.refresh} />`}
    ${about && html`<${Facts} about=${about} identity=${identity} />`}
  </section>`;
}
