/**
 * One figure of the machine: a large value, what it means, and how full it is; it leads to more.
 * Runs on: the page.
 */
import { html } from "../lib/html.js";
import { Icon } from "./icon.js";
import { Sparkline } from "./sparkline.js";

/** @import { IconName } from "./icon.js" */

/** @param {number} percent */
function level(percent) {
  if (percent >= 95) return "critical";
  return percent >= 85 ? "high" : "normal";
}

/**
 * @param {{title: string, percent: number}} props
 */
export function Meter({ title, percent }) {
  const value = Math.round(percent);
  return html`<div
    class="meter"
    role="meter"
    aria-label=${title}
    aria-valuemin="0"
    aria-valuemax="100"
    aria-valuenow=${value}
    data-level=${level(percent)}
  >
    <div style=${{ inlineSize: `${Math.min(100, value)}%` }}></div>
  </div>`;
}

/**
 * @typedef {object} FigureProps
 * @property {IconName} icon
 * @property {string} title
 * @property {string | undefined} value undefined while it is not known yet
 * @property {string} detail
 * @property {string} [more] a second line of detail, where no share is to be drawn
 * @property {number} [percent]
 * @property {number[]} [trail]
 */

/** @param {FigureProps} props */
export function FigureCard({ icon, title, value, detail, more, percent, trail }) {
  return html`<article class="card figure">
    <h2 class="figure-title"><${Icon} name=${icon} /><a href="/monitor">${title}</a></h2>
    <div class="figure-row">
      <p class="figure-value numeric">${value ?? html`<span class="skeleton wide"></span>`}</p>
      ${trail && html`<${Sparkline} values=${trail} />`}
    </div>
    ${percent !== undefined && html`<${Meter} title=${title} percent=${percent} />`}
    ${more && html`<p class="figure-more">${more}</p>`}
    <p class="figure-detail" title=${detail}>${detail}</p>
  </article>`;
}
