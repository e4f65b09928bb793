/**
 * The way in.
 * Runs on: the page.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../components/icon.js";
import { ThemeToggle } from "../components/theme-toggle.js";
import { formatClock } from "../lib/format.js";
import { html } from "../lib/html.js";
import { login, notice } from "../lib/session.js";

/**
 * Counts a lockout down to 0.
 * @returns {[number, (seconds: number) => void]} the seconds left, and how to begin
 */
function useCountdown() {
  const [until, setUntil] = useState(0);
  const [left, setLeft] = useState(0);
  useEffect(() => {
    const tick = () => setLeft(Math.max(0, Math.ceil((until - Date.now()) / 1000)));
    tick();
    const timer = setInterval(tick, 250);
    return () => clearInterval(timer);
  }, [until]);
  return [left, (seconds) => setUntil(Date.now() + seconds * 1000)];
}

/** @param {{error: string, lockedFor: number}} props */
function Trouble({ error, lockedFor }) {
  const message = error || notice.value;
  if (!message) return null;
  return html`<div class="note" data-kind=${error ? "error" : "info"} role="alert">
    <${Icon} name="alert" />
    <p>
      ${message}
      ${lockedFor > 0 && html` <span class="numeric" aria-live="off">Try again in ${formatClock(lockedFor)}.</span>`}
    </p>
  </div>`;
}

export function LoginView() {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const [lockedFor, lockFor] = useCountdown();
  const first = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => first.current?.focus(), []);
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = new FormData(/** @type {HTMLFormElement} */ (event.currentTarget));
    setBusy(true);
    const outcome = await login(String(form.get("username")), String(form.get("password")));
    setBusy(false);
    setError(outcome.error);
    lockFor(outcome.lockedSeconds);
  };
  return html`<main class="login">
    <div class="login-theme"><${ThemeToggle} /></div>
    <form class="card login-card" onSubmit=${submit}>
      <h1 class="brand"><img src="/favicon.svg" alt="" width="32" height="32" />Toru</h1>
      <p class="muted">Log in to steer this machine.</p>
      <label>
        User name
        <input name="username" autocomplete="username" autocapitalize="none" required ref=${first} />
      </label>
      <label>
        Password
        <input name="password" type="password" autocomplete="current-password" required />
      </label>
      <${Trouble} error=${error} lockedFor=${lockedFor} />
      <button class="button primary wide" disabled=${busy || lockedFor > 0}>
        ${busy ? "Logging in…" : "Log in"}
      </button>
    </form>
  </main>`;
}
