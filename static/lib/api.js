/**
 * One function for every request to the hub, and one error for every refusal.
 * Runs on: the page.
 */

/** A request that was refused or never arrived; `message` is a sentence to show. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {number} status the HTTP status; 0 when the hub was not reached
   * @param {Record<string, any>} body what the hub answered
   */
  constructor(message, status, body = {}) {
    super(message);
    this.status = status;
    this.body = body;
  }
}

/** @type {() => void} */
let onUnauthorized = () => {};

/**
 * Says what is to happen when the hub no longer knows this session.
 * @param {() => void} handler
 */
export function whenUnauthorized(handler) {
  onUnauthorized = handler;
}

/**
 * @param {Response} response
 * @returns {Promise<any>}
 */
async function readJson(response) {
  try {
    return await response.json();
  } catch {
    throw new ApiError("The hub gave an answer that could not be read.", response.status);
  }
}

/**
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<Response>}
 */
async function send(path, options) {
  try {
    return await fetch(`/api/${path}`, options);
  } catch {
    throw new ApiError("The hub cannot be reached. Is it running?", 0);
  }
}

/**
 * @param {string} path
 * @param {number} status
 * @param {any} answer
 * @returns {ApiError}
 */
function refusal(path, status, answer) {
  if (status === 401 && !path.startsWith("auth/")) onUnauthorized();
  return new ApiError(answer?.error || `The hub refused with status ${status}.`, status, answer);
}

/**
 * Sends one request below `/api/` and returns its JSON answer.
 * @param {string} method
 * @param {string} path without the leading `/api/`
 * @param {unknown} [body] sent as JSON
 * @returns {Promise<any>}
 * @throws {ApiError}
 */
export async function request(method, path, body) {
  const options =
    body === undefined
      ? { method }
      : { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const response = await send(path, options);
  const answer = await readJson(response);
  if (response.ok) return answer;
  throw refusal(path, response.status, answer ?? {});
}

/**
 * Fetches something that is text and no JSON.
 * @param {string} path without the leading `/api/`
 * @returns {Promise<string>}
 * @throws {ApiError}
 */
export async function getText(path) {
  const response = await send(path, {});
  if (response.ok) return response.text();
  throw refusal(path, response.status, await readJson(response));
}

/**
 * Fetches bytes.
 * @param {string} path without the leading `/api/`
 * @returns {Promise<ArrayBuffer>}
 * @throws {ApiError}
 */
export async function getBytes(path) {
  const response = await send(path, {});
  if (response.ok) return response.arrayBuffer();
  throw refusal(path, response.status, await readJson(response));
}

/** @param {string} path */
export const get = (path) => request("GET", path);
/** @param {string} path @param {unknown} [body] */
export const post = (path, body) => request("POST", path, body);
/** @param {string} path @param {unknown} body */
export const put = (path, body) => request("PUT", path, body);
/** @param {string} path */
export const del = (path) => request("DELETE", path);

/**
 * The sentence to show for anything that was thrown.
 * @param {unknown} error
 * @returns {string}
 */
export function sentence(error) {
  return error instanceof Error ? error.message : String(error);
}
