/**
 * The disks as bars: how full each is, and what is left.
 * Runs on: the page.
 */
import { formatBytes, formatPercent } from "../lib/format.js";
import { html } from "../lib/html.js";
import { Meter } from "./figure-card.js";

/** @import { Disk } from "../lib/types.js" */

/** @param {{disks: Disk[]}} props */
export function DiskBars({ disks }) {
  return html`<section class="card disk-bars" aria-labelledby="disks">
    <h2 id="disks">Disks</h2>
    <ul>
      ${disks.map(
        (disk) => html`<li key=${disk.name}>
          <p class="disk-line">
            <strong class="mono">${disk.mount_point}</strong>
            <span class="muted disk-device">${disk.name}</span>
            <span class="numeric">${formatPercent(disk.usage_percent)}</span>
          </p>
          <${Meter} title=${`Used of ${disk.mount_point}`} percent=${disk.usage_percent} />
          <p class="muted numeric">
            ${formatBytes(disk.available_space)} free of ${formatBytes(disk.total_space)}
          </p>
        </li>`,
      )}
    </ul>
  </section>`;
}
