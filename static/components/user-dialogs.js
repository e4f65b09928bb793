/**
 * The windows in which a user is made, changed, and given a new password.
 * Runs on: the page.
 */
import { useState } from "preact/hooks";
import { html } from "../lib/html.js";
import { isGoodPassword } from "../lib/password-rules.js";
import { showToast } from "../lib/toasts.js";
import { changeUser, createUser, fieldErrors, resetPassword } from "../lib/user-changes.js";
import { SelectField, TextField } from "./field.js";
import { FormDialog } from "./form-dialog.js";
import { NewPasswordField } from "./password-field.js";

/** @import { Account } from "../lib/types.js" */
/** @import { FieldErrors } from "../lib/user-changes.js" */
/** @typedef {{onDone: () => void, onClose: () => void}} Ends */

const ROLES = {
  client: "User: runs quick actions and sees own runs",
  admin: "Administrator: may do everything",
};

/** @param {Account} user */
const nameOf = (user) => user.display_name || user.username;

/**
 * The fields of a form with what is wrong with each; typing into one takes its error away.
 * @template {Record<string, string>} T
 * @param {T} initial
 */
function useFields(initial) {
  const [values, setValues] = useState(initial);
  const [errors, setErrors] = useState(/** @type {FieldErrors} */ ({}));
  /** @param {keyof T & string} name */
  const bind = (name) => ({
    value: values[name],
    error: /** @type {Record<string, string>} */ (errors)[name],
    onInput: (/** @type {string} */ value) => {
      setValues({ ...values, [name]: value });
      setErrors({ ...errors, [name]: undefined });
    },
  });
  /** @param {unknown} error */
  const refuse = (error) => {
    const found = fieldErrors(error);
    setErrors(found);
    return Object.keys(found).length > 0;
  };
  return { values, bind, refuse };
}

/** @param {Ends} props */
export function NewUserDialog({ onDone, onClose }) {
  const { values, bind, refuse } = useFields({
    username: "",
    display_name: "",
    role: "client",
    password: "",
  });
  const { onInput: onRole, value: role } = bind("role");
  const submit = async () => {
    await createUser(values);
    showToast(`${values.display_name || values.username} can log in now.`, "success");
    onDone();
  };
  const isReady = values.username !== "" && isGoodPassword(values.password);
  return html`<${FormDialog}
    title="New user"
    action="Create the user"
    busy="Creating…"
    disabled=${!isReady}
    onSubmit=${submit}
    onRefused=${refuse}
    onClose=${onClose}
  >
    <${TextField}
      ...${bind("username")}
      label="User name"
      hint="What is typed to log in."
      autocomplete="off"
      autocapitalize="none"
      spellcheck=${false}
      autofocus
    />
    <${TextField} ...${bind("display_name")} label="Display name" hint="What others see. Left empty, it is the user name." autocomplete="off" />
    <${SelectField} label="Role" value=${role} options=${ROLES} onChange=${onRole} />
    <${NewPasswordField} ...${bind("password")} label="Password" />
  <//>`;
}

/** @param {Ends & {user: Account}} props */
export function EditUserDialog({ user, onDone, onClose }) {
  const { values, bind, refuse } = useFields({
    username: user.username,
    display_name: user.display_name,
    role: user.role,
  });
  const { onInput: onRole, value: role } = bind("role");
  const submit = async () => {
    await changeUser(user.id, /** @type {Partial<Account>} */ (values));
    showToast(`${values.display_name} is saved.`, "success");
    onDone();
  };
  const endsSessions = values.role !== user.role;
  return html`<${FormDialog}
    title=${`Edit ${nameOf(user)}`}
    action="Save"
    onSubmit=${submit}
    onRefused=${refuse}
    onClose=${onClose}
  >
    <${TextField} ...${bind("display_name")} label="Display name" autocomplete="off" autofocus />
    <${TextField} ...${bind("username")} label="User name" hint="What is typed to log in." autocomplete="off" autocapitalize="none" />
    <${SelectField}
      label="Role"
      value=${role}
      options=${ROLES}
      hint=${endsSessions ? `With another role ${nameOf(user)} has to log in again.` : ""}
      onChange=${onRole}
    />
  <//>`;
}

/** @param {Ends & {user: Account}} props */
export function ResetPasswordDialog({ user, onDone, onClose }) {
  const { values, bind, refuse } = useFields({ password: "" });
  const submit = async () => {
    await resetPassword(user.id, values.password);
    showToast(`${nameOf(user)} has a new password, and is logged out everywhere.`, "success");
    onDone();
  };
  return html`<${FormDialog}
    title=${`New password for ${nameOf(user)}`}
    action="Set the password"
    disabled=${!isGoodPassword(values.password)}
    onSubmit=${submit}
    onRefused=${refuse}
    onClose=${onClose}
  >
    <p class="muted">
      ${nameOf(user)} is logged out at once everywhere, and logs in with the new password from then
      on. It is shown to nobody again: copy it before you save.
    </p>
    <${NewPasswordField} ...${bind("password")} label="New password" />
  <//>`;
}
