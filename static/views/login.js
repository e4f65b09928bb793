/**
 * The way in.
 * Runs on: the page.
 */
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../components/icon.js";
import { KnownPasswordField } from "../components/known-password-field.js";
import { Countdown, useSecondsLeft } from "../components/lockout.js";
import { ThemeToggle } from "../components/theme-toggle.js";
import { html } from "../lib/html.js";
import { lockedName, lockedUntil, rememberLockout } from "../lib/lockouts.js";
import { login, lookAgain, notice } from "../lib/session.js";

const LOCKED = "Too many wrong passwords were given for this name.";

/** @param {{message: string, isError: boolean}} props */
function Trouble({ message, isError }) {
  return html`<div role="alert">
    ${
      message &&
      html`<div class="note" data-kind=${isError ? "error" : "info"}>
        <${Icon} name="alert" /><p>${message}</p>
      </div>`
    }
  </div>`;
}

/** @param {{value: string, onInput: (value: string) => void}} props */
function Username({ value, onInput }) {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  useEffect(() => input.current?.focus(), []);
  return html`<div class="field">
    <label for="username">User name</label>
    <input
      id="username"
      name="username"
      autocomplete="username"
      autocapitalize="none"
      spellcheck=${false}
      required
      ref=${input}
      value=${value}
      onInput=${(/** @type {Event} */ event) => onInput(/** @type {HTMLInputElement} */ (event.currentTarget).value)}
    />
  </div>`;
}

export function LoginView() {
  const [username, setUsername] = useState(lockedName);
  const [password, setPassword] = useState("");
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const passwordInput = useRef(/** @type {HTMLInputElement | null} */ (null));
  const left = useSecondsLeft(lockedUntil(username));
  useEffect(() => {
    document.addEventListener("visibilitychange", lookAgain);
    return () => document.removeEventListener("visibilitychange", lookAgain);
  }, []);
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    setBusy(true);
    const outcome = await login(username, password);
    if (!outcome.error) return;
    if (outcome.lockedSeconds > 0) rememberLockout(username, outcome.lockedSeconds);
    setError(outcome.lockedSeconds > 0 ? "" : outcome.error);
    setBusy(false);
    passwordInput.current?.select();
  };
  return html`<main class="login">
    <div class="login-theme"><${ThemeToggle} /></div>
    <form class="card login-card" onSubmit=${submit}>
      <h1 class="brand"><img src="/favicon.svg" alt="" width="32" height="32" />Toru</h1>
      <p class="muted">Log in to steer this machine.</p>
      <${Username} value=${username} onInput=${setUsername} />
      <${KnownPasswordField}
        label="Password"
        value=${password}
        onInput=${setPassword}
        inputRef=${passwordInput}
      />
      <${Trouble} message=${left > 0 ? LOCKED : error || notice.value} isError=${left > 0 || error !== ""} />
      <button class="button primary wide" disabled=${busy || left > 0}>
        ${busy ? "Logging in…" : "Log in"}
      </button>
      ${left > 0 && html`<${Countdown} seconds=${left} />`}
    </form>
  </main>`;
}
