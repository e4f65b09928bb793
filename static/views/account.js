/**
 * One's own account: who one is here, colours, password.
 * Runs on: the page.
 */
import { useRef, useState } from "preact/hooks";
import { Icon } from "../components/icon.js";
import { KnownPasswordField } from "../components/known-password-field.js";
import { Countdown, useSecondsLeft } from "../components/lockout.js";
import { NewPasswordField } from "../components/password-field.js";
import { ThemeChoice } from "../components/theme-choice.js";
import { ApiError, put, sentence } from "../lib/api.js";
import { html } from "../lib/html.js";
import { lockedUntil, rememberLockout } from "../lib/lockouts.js";
import { isGoodPassword } from "../lib/password-rules.js";
import { isAdmin, user } from "../lib/session.js";
import { showToast } from "../lib/toasts.js";

/** @param {unknown} error */
const codeOf = (error) => (error instanceof ApiError ? error.body.code : "");

/** @param {{message: string}} props */
function Refusal({ message }) {
  return html`<div role="alert">
    ${message && html`<div class="note" data-kind="error"><${Icon} name="alert" /><p>${message}</p></div>`}
  </div>`;
}

function PasswordForm() {
  const [current, setCurrent] = useState("");
  const [next, setNext] = useState("");
  const [busy, setBusy] = useState(false);
  const [failure, setFailure] = useState({ code: "", message: "" });
  const currentInput = useRef(/** @type {HTMLInputElement | null} */ (null));
  const name = user.value?.username ?? "";
  const left = useSecondsLeft(lockedUntil(name));
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await put("me/password", { current_password: current, new_password: next });
      setCurrent("");
      setNext("");
      setFailure({ code: "", message: "" });
      showToast("Your password is changed. You are logged out everywhere else.", "success");
    } catch (error) {
      if (error instanceof ApiError && error.body.locked_until) {
        rememberLockout(name, Number(error.body.locked_until));
      }
      setFailure({ code: codeOf(error), message: sentence(error) });
      currentInput.current?.select();
    }
    setBusy(false);
  };
  const isWrong = failure.code === "wrong_password";
  return html`<form class="form" onSubmit=${submit}>
    <input type="text" name="username" autocomplete="username" value=${name} hidden readonly />
    <${KnownPasswordField}
      label="Current password"
      value=${current}
      onInput=${setCurrent}
      error=${isWrong ? failure.message : ""}
      inputRef=${currentInput}
    />
    <${NewPasswordField} label="New password" value=${next} onInput=${setNext} />
    <p class="muted">You stay logged in here. Everywhere else, you have to log in again.</p>
    <${Refusal} message=${isWrong ? "" : failure.message} />
    <div class="account-actions">
      <button class="button primary" disabled=${busy || left > 0 || !current || !isGoodPassword(next)}>
        ${busy ? "Changing…" : "Change the password"}
      </button>
      ${left > 0 && html`<${Countdown} seconds=${left} />`}
    </div>
  </form>`;
}

function AdminNote() {
  return html`<p>
    The administrator's name and password are set where Toru is started, by${" "}
    <code class="mono">ADMIN_USERNAME</code> and <code class="mono">ADMIN_PASSWORD</code>. To change
    them, change them there and start Toru again.
  </p>`;
}

export function AccountView() {
  const person = user.value;
  return html`<header class="page-head"><h1 tabindex="-1">Your account</h1></header>
    <div class="account">
      <section class="card" aria-labelledby="who">
        <h2 id="who">You</h2>
        <dl class="facts">
          <div><dt>Name</dt><dd>${person?.display_name || "–"}</dd></div>
          <div><dt>User name</dt><dd>${person?.username}</dd></div>
          <div><dt>Role</dt><dd>${isAdmin.value ? "Administrator" : "Client"}</dd></div>
        </dl>
      </section>
      <section class="card" aria-labelledby="colours">
        <h2 id="colours">Colours</h2>
        <${ThemeChoice} />
      </section>
      <section class="card" aria-labelledby="password">
        <h2 id="password">Password</h2>
        ${isAdmin.value && person?.id == null ? html`<${AdminNote} />` : html`<${PasswordForm} />`}
      </section>
    </div>`;
}
