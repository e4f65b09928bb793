/**
 * Requests to a plugin's routes for its page in a sandbox: whole bodies, and no way elsewhere.
 * Runs on: the page.
 */
import { Turns } from "./sandbox-limits.js";

/** @import { PluginApi } from "../../sdk/js/toru-plugin" */

/** @typedef {{method?: unknown, headers?: unknown, body?: unknown}} Wish */
/** @typedef {{status: number, statusText: string, headers: [string, string][],
 *   body: ArrayBuffer}} Answer */

export const BODY_LIMIT = 32 * 1024 * 1024;
const AT_ONCE = 8;

const tooLong = () => new TypeError("A body in a sandbox has at most 32 MiB.");

/**
 * @param {Response} response
 * @returns {Promise<ArrayBuffer>}
 * @throws {TypeError} it is too long
 */
async function wholeBody(response) {
  const reader = response.body?.getReader();
  if (!reader) return new ArrayBuffer(0);
  /** @type {BlobPart[]} */
  const pieces = [];
  let size = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return new Blob(pieces).arrayBuffer();
    size += value.byteLength;
    if (size > BODY_LIMIT) {
      await reader.cancel();
      throw tooLong();
    }
    pieces.push(value);
  }
}

/** @param {Wish} wish @returns {RequestInit} what of it is taken */
function options({ method, headers, body }) {
  if (body != null && !(body instanceof ArrayBuffer)) throw new TypeError("That is no body.");
  if (body && body.byteLength > BODY_LIMIT) throw tooLong();
  return {
    method: typeof method === "string" ? method : "GET",
    headers: Array.isArray(headers) ? headers.map(([n, v]) => [String(n), String(v)]) : [],
    body: body ?? undefined,
    redirect: "manual",
  };
}

export class SandboxFetch {
  #api;
  #turns = new Turns(AT_ONCE);

  /** @param {Pick<PluginApi, "fetch">} api */
  constructor(api) {
    this.#api = api;
  }

  /**
   * @param {string} path
   * @param {Wish} wish
   * @param {AbortSignal} signal
   * @returns {Promise<Answer>}
   * @throws {TypeError} the path is not the plugin's, or a body is too long
   */
  async ask(path, wish, signal) {
    const taken = { ...options(wish), signal };
    return this.#turns.in(async () => {
      signal.throwIfAborted();
      const response = await this.#api.fetch(path, taken);
      if (response.type === "opaqueredirect") {
        throw new TypeError("The answer leads elsewhere, which is not followed in a sandbox.");
      }
      const { status, statusText } = response;
      return {
        status,
        statusText,
        headers: [...response.headers],
        body: await wholeBody(response),
      };
    });
  }
}
