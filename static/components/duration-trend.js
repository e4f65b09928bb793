/**
 * How long a script took in its last runs: a bar for each, coloured by how it ended, and the one
 * that is looked at marked. Arrow keys go from bar to bar.
 * Runs on: the page.
 */
import { useConnected } from "../lib/connect.js";
import { formatDuration, formatTime, stateWord } from "../lib/format.js";
import { html } from "../lib/html.js";
import { socket } from "../lib/hub.js";
import { navigate } from "../lib/router.js";
import { isAdmin } from "../lib/session.js";
import { isActive } from "../lib/task-list.js";
import { RUNS_SHOWN, trendOf } from "../lib/trend.js";
import { TrendStore } from "../lib/trend-store.js";
import { useNow } from "./time.js";

/** @import { Task } from "../lib/types.js" */
/** @typedef {ReturnType<typeof trendOf>} Trend */
/** @typedef {Trend["bars"][number]} Bar */

const STEP = 16;
const WIDTH = 10;
const HEIGHT = 56;
const BELOW = 6;
/** With fewer the bars would be planks. */
const FEWEST_STEPS = 24;
const SLOW = 1.5;
const QUICK = 0.67;

/** @param {Bar} bar */
function words({ task, seconds }) {
  const took = seconds === null ? "" : `, ${formatDuration(seconds)}`;
  return `${stateWord(task.state)}${took}, ${formatTime(task.started_at ?? task.created_at)}`;
}

/** @param {string} id */
const hrefOf = (id) => `/history/${encodeURIComponent(id)}`;

/** @param {{bar: Bar, x: number, isHere: boolean}} props */
function BarLink({ bar, x, isHere }) {
  const height = bar.height * HEIGHT;
  const open = (/** @type {MouseEvent} */ event) => {
    if (event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
    event.preventDefault();
    navigate(hrefOf(bar.task.id));
  };
  return html`<a
    class="trend-bar"
    href=${hrefOf(bar.task.id)}
    data-state=${bar.task.state}
    aria-label=${words(bar)}
    aria-current=${isHere ? "true" : undefined}
    tabindex=${isHere ? 0 : -1}
    onClick=${open}
  >
    <title>${words(bar)}</title>
    <rect class="trend-reach" x=${x - (STEP - WIDTH) / 2} y="0" width=${STEP} height=${HEIGHT + BELOW} />
    <rect class="trend-fill" x=${x} y=${HEIGHT - height} width=${WIDTH} height=${height} rx="2" />
    ${bar.isCut && html`<path class="trend-cut" d=${`M${x - 1} 7l${WIDTH + 2} -4`} />`}
    ${isHere && html`<rect class="trend-here" x=${x} y=${HEIGHT + 2} width=${WIDTH} height="3" rx="1.5" />`}
  </a>`;
}

/**
 * Moves the focus along the bars.
 * @param {KeyboardEvent} event
 */
function walk(event) {
  const moves = { ArrowLeft: -1, ArrowRight: 1, Home: -RUNS_SHOWN, End: RUNS_SHOWN };
  const move = moves[/** @type {keyof typeof moves} */ (event.key)];
  const chart = /** @type {Element} */ (event.currentTarget);
  const bars = /** @type {SVGAElement[]} */ ([...chart.querySelectorAll(".trend-bar")]);
  const at = bars.indexOf(/** @type {SVGAElement} */ (document.activeElement));
  if (!move || at < 0) return;
  event.preventDefault();
  bars[Math.max(0, Math.min(bars.length - 1, at + move))].focus();
}

/** @param {{trend: Trend, here: string}} props */
function Chart({ trend, here }) {
  const steps = Math.max(FEWEST_STEPS, trend.bars.length);
  const end = trend.bars.length * STEP;
  const middle = HEIGHT - trend.medianHeight * HEIGHT;
  return html`<svg
    class="trend-chart"
    viewBox=${`0 0 ${steps * STEP} ${HEIGHT + BELOW}`}
    preserveAspectRatio="none"
    role="group"
    aria-label="How long each run took"
    onKeyDown=${walk}
  >
    <line class="trend-ground" x1="0" x2=${end} y1=${HEIGHT} y2=${HEIGHT} />
    ${trend.bars.map(
      (bar, i) => html`<${BarLink}
        key=${bar.task.id}
        bar=${bar}
        x=${i * STEP + (STEP - WIDTH) / 2}
        isHere=${bar.task.id === here}
      />`,
    )}
    ${trend.median !== null && html`<line class="trend-median" x1="0" x2=${end} y1=${middle} y2=${middle} />`}
  </svg>`;
}

/** @param {Trend} trend @param {string} here */
function comparison(trend, here) {
  const bar = trend.bars.find(({ task }) => task.id === here);
  if (!trend.median || !bar?.seconds || isActive(bar.task)) return "";
  const ratio = bar.seconds / trend.median;
  if (ratio >= SLOW) return ` This one took ${ratio.toFixed(1)} times as long.`;
  return ratio <= QUICK ? " This one was quicker." : " This one too.";
}

/** @param {number} count @param {boolean} ofEverybody */
function countWords(count, ofEverybody) {
  if (count === RUNS_SHOWN) return `${ofEverybody ? "The" : "Your"} last ${count} runs`;
  return `${ofEverybody ? "All" : "Your"} ${count} runs`;
}

/** @param {{tasks: Task[], here: string}} props */
function Trend({ tasks, here }) {
  const now = useNow(tasks.some(isActive) ? 1_000 : 60_000);
  const trend = trendOf(tasks, now);
  const title = countWords(tasks.length, isAdmin.value);
  return html`<section class="trend" aria-label="Trend">
    <p class="trend-words">
      <strong>${title} of this script</strong>
      ${
        trend.median !== null &&
        html` <span class="muted">
          Usually ${formatDuration(trend.median)} (the median).${comparison(trend, here)}
        </span>`
      }
    </p>
    <${Chart} trend=${trend} here=${here} />
  </section>`;
}

/** @param {{task: Task}} props */
export function DurationTrend({ task }) {
  const store = useConnected(() => new TrendStore(socket, task), [task.id, task.script_name]);
  const tasks = store.tasks.value;
  if (!tasks || tasks.length < 2) return null;
  return html`<${Trend} tasks=${tasks} here=${task.id} />`;
}
