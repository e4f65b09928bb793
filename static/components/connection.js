/**
 * How the connection to the hub stands: a dot all the time, a banner while it is lost, another
 * when the hub has become a newer one.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { isOutdated } from "../lib/update-watch.js";
import { Icon } from "./icon.js";

export function Connection() {
  const status = socket.status.value;
  const words = status === "open" ? "Connected" : "Connecting…";
  return html`<p class="connection" data-status=${status} title=${words}>
    <span class="dot"></span><span>${words}</span>
  </p>`;
}

const Lost = () => html`<p class="banner">
  <${Icon} name="alert" />The connection to the hub is lost. Trying again by itself…
</p>`;

const Outdated = () => html`<p class="banner" data-kind="info">
  <${Icon} name="again" /><span>Toru was updated while this page was open.</span>
  <button type="button" class="button soft" onClick=${() => location.reload()}>Reload</button>
</p>`;

/** A lost connection is said where it cannot be missed; the first moments do not count. */
export function ConnectionBanner() {
  const isLost = socket.status.value === "waiting";
  return html`<div role="status" class="banner-place">
    ${isLost ? html`<${Lost} />` : isOutdated.value && html`<${Outdated} />`}
  </div>`;
}
