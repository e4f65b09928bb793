/**
 * How the connection to the hub stands: a dot all the time, a banner while it is lost.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { Icon } from "./icon.js";

export function Connection() {
  const status = socket.status.value;
  const words = status === "open" ? "Connected" : "Connecting…";
  return html`<p class="connection" data-status=${status} title=${words}>
    <span class="dot"></span><span>${words}</span>
  </p>`;
}

/** A lost connection is said where it cannot be missed; the first moments do not count. */
export function ConnectionBanner() {
  return html`<div role="status" class="banner-place">
    ${
      socket.status.value === "waiting" &&
      html`<p class="banner">
        <${Icon} name="alert" />The connection to the hub is lost. Trying again by itself…
      </p>`
    }
  </div>`;
}
