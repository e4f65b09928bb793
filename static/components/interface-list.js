/**
 * The network interfaces and how fast each is now.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { RATE } from "../lib/monitor-units.js";
import { Icon } from "./icon.js";

/** @import { InterfaceRates } from "../lib/monitor-trail.js" */

/** @param {{interfaces: InterfaceRates[]}} props */
export function InterfaceList({ interfaces }) {
  const listed = interfaces.toSorted((a, b) => Number(b.counted) - Number(a.counted));
  return html`<section class="card interfaces" aria-labelledby="interfaces">
    <h2 id="interfaces">Network interfaces</h2>
    <ul>
      ${listed.map(
        ({ name, received, transmitted, counted }) => html`<li key=${name}>
          <span class="interface-name">
            <strong class="mono">${name}</strong>
            ${!counted && html`<span class="muted">inside this machine</span>`}
          </span>
          <span class="numeric rate" title="Received">
            <${Icon} name="down" size=${14} /><span class="visually-hidden">Received</span>
            ${RATE.format(received)}
          </span>
          <span class="numeric rate" title="Sent">
            <${Icon} name="up" size=${14} /><span class="visually-hidden">Sent</span>
            ${RATE.format(transmitted)}
          </span>
        </li>`,
      )}
    </ul>
  </section>`;
}
