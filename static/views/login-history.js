/**
 * Who has logged in, and who tried to.
 * Runs on: the page.
 */
import { Icon } from "../components/icon.js";
import { LoginTable } from "../components/login-table.js";
import { Empty, Failure, Loading } from "../components/states.js";
import { get } from "../lib/api.js";
import { useConnected } from "../lib/connect.js";
import { html } from "../lib/html.js";
import { PolledQuery } from "../lib/polled-query.js";
import { navigate, url } from "../lib/router.js";

/** @import { IconName } from "../components/icon.js" */
/** @import { LoginAttempt, LoginSummary } from "../lib/types.js" */

const EVERY_MS = 5_000;
const PAGE = 100;

/** @typedef {{attempts: LoginAttempt[], summary: LoginSummary}} Logins */

/** @param {boolean} failedOnly @returns {Promise<Logins>} */
async function load(failedOnly) {
  const [attempts, summary] = await Promise.all([
    get(`auth/login-history${failedOnly ? "?failed=1" : ""}`),
    get("auth/login-history/summary"),
  ]);
  return { attempts, summary };
}

/** @param {{icon: IconName, name: string, count: number | undefined, detail: string, mood?: string}} props */
function Count({ icon, name, count, detail, mood }) {
  return html`<div class="card tally" data-mood=${count ? mood : undefined}>
    <dt><${Icon} name=${icon} />${name}</dt>
    <dd class="tally-value numeric">${count ?? html`<span class="skeleton wide"></span>`}</dd>
    <dd class="muted">${detail}</dd>
  </div>`;
}

/** @param {number} addresses */
function fromAddresses(addresses) {
  if (addresses === 0) return "Nobody";
  return addresses === 1 ? "All from one address" : `From ${addresses} addresses`;
}

/** @param {{summary: LoginSummary | undefined}} props */
function Counts({ summary }) {
  return html`<section class="day" aria-labelledby="day">
    <h2 id="day">The last 24 hours</h2>
    <dl class="tallies">
      <${Count} icon="check" name="Logged in" count=${summary?.successes} detail="With the right password" />
      <${Count}
        icon="close"
        name="Refused"
        count=${summary?.failures}
        detail=${summary ? fromAddresses(summary.addresses) : ""}
        mood="bad"
      />
      <${Count}
        icon="lock"
        name="Locked out"
        count=${summary?.locked}
        detail="After three wrong passwords Toru stops looking for a while"
        mood="warn"
      />
    </dl>
  </section>`;
}

/** @param {{attempts: LoginAttempt[] | undefined, failedOnly: boolean, store: PolledQuery<Logins>}} props */
function Attempts({ attempts, failedOnly, store }) {
  if (!attempts && store.error.value) {
    return html`<${Failure} message=${store.error.value} onRetry=${store.refresh} />`;
  }
  if (!attempts) return html`<${Loading} what="the logins" rows=${8} />`;
  if (attempts.length === 0) {
    return failedOnly
      ? html`<${Empty} icon="check" title="Nobody was refused">Failed attempts appear here.<//>`
      : html`<${Empty} icon="logins" title="Nobody has logged in yet" />`;
  }
  return html`<${LoginTable} attempts=${attempts} />
    ${attempts.length === PAGE && html`<p class="more muted">These are the newest ${PAGE}.</p>`}`;
}

export function LoginHistoryView() {
  const failedOnly = url.value.searchParams.get("failed") === "1";
  const store = useConnected(() => new PolledQuery(() => load(failedOnly), EVERY_MS), [failedOnly]);
  const logins = store.value.value;
  const toggle = () =>
    navigate(failedOnly ? "/login-history" : "/login-history?failed=1", { replace: true });
  return html`<header class="page-head">
      <h1 tabindex="-1">Login history</h1>
      <button type="button" class="button plain" aria-pressed=${failedOnly} onClick=${toggle}>
        <${Icon} name="filter" /><span>Failed only</span>
      </button>
    </header>
    <${Counts} summary=${logins?.summary} />
    <section class="card flush" aria-label="Attempts to log in">
      <${Attempts} attempts=${logins?.attempts} failedOnly=${failedOnly} store=${store} />
    </section>`;
}
