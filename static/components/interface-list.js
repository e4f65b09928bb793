/**
 * The network interfaces and how fast each is now.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { RATE } from "../lib/monitor-units.js";
import { Icon } from "./icon.js";

/** @import { InterfaceRates } from "../lib/monitor-trail.js" */

/** So many fit; a machine with containers has dozens that are of little interest. */
const SHOWN = 6;

/** @param {{each: InterfaceRates}} props */
function Interface({ each: { name, received, transmitted, counted } }) {
  return html`<li>
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
  </li>`;
}

/** @param {{interfaces: InterfaceRates[]}} props */
function List({ interfaces }) {
  return html`<ul>
    ${interfaces.map((each) => html`<${Interface} key=${each.name} each=${each} />`)}
  </ul>`;
}

/** @param {{interfaces: InterfaceRates[]}} props */
export function InterfaceList({ interfaces }) {
  const sorted = interfaces.toSorted((a, b) => Number(b.counted) - Number(a.counted));
  const isLong = sorted.length > SHOWN;
  const counted = sorted.filter((each) => each.counted);
  const rest = sorted.filter((each) => !each.counted);
  return html`<section class="card interfaces" aria-labelledby="interfaces">
    <h2 id="interfaces">Network interfaces</h2>
    <${List} interfaces=${isLong ? counted : sorted} />
    ${
      isLong &&
      rest.length > 0 &&
      html`<details>
        <summary>${rest.length} inside this machine</summary>
        <${List} interfaces=${rest} />
      </details>`
    }
  </section>`;
}
