/**
 * What an administrator does with users, and what of a refusal belongs to which field.
 * Runs on: the page.
 */
import { ApiError, del, post, put, sentence } from "./api.js";

/** @import { Account } from "./types.js" */
/** @typedef {{username: string, display_name: string, role: string, password: string}} NewUser */
/** @typedef {Partial<Record<"username" | "display_name" | "password", string>>} FieldErrors */

/** @param {number} id */
const pathOf = (id) => `users/${id}`;

/** @param {NewUser} user */
export function createUser({ username, display_name, role, password }) {
  const shown = display_name.trim() || username;
  return post("users", { username, display_name: shown, role, password });
}

/** @param {number} id @param {Partial<Account>} change */
export const changeUser = (id, change) => put(pathOf(id), change);
/** @param {number} id */
export const removeUser = (id) => del(pathOf(id));
/** @param {number} id @param {string} password */
export const resetPassword = (id, password) => put(`${pathOf(id)}/password`, { password });

/**
 * @param {unknown} error
 * @returns {FieldErrors} the sentence at the field it is about; empty when it is about none
 */
export function fieldErrors(error) {
  if (!(error instanceof ApiError)) return {};
  const words = sentence(error);
  if (error.body.code === "name_taken") {
    return { username: "This user name is taken; choose another one." };
  }
  if (/^(A|The|This) user name/.test(words)) return { username: words };
  if (/^A display name/.test(words)) return { display_name: words };
  if (/^(A|The) password/.test(words)) return { password: words };
  return {};
}
