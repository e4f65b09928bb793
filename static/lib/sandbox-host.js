/**
 * The dashboard's side of a sandbox: does what a plugin's page asks for, within limits, and tells
 * it what happens. Whatever comes from there may be meant badly.
 * Runs on: the page.
 */
import { confirm, question } from "./dialogs.js";
import { SandboxFetch } from "./sandbox-fetch.js";
import { Meter, Unread } from "./sandbox-limits.js";

/** @import { PluginApi, PluginRun, ToastKind } from "../../sdk/js/toru-plugin" */

const OPEN_CALLS = 64;
const REFUSALS = 3;
const MESSAGE_CHARS = 300;
const QUESTION_CHARS = 1_000;
const UNREAD = 512;
const UNREAD_BYTES = 8 * 1024 * 1024;

const FLOODS = "The page sent more messages than a page may, and was ended.";

/** @type {ToastKind[]} */
const KINDS = ["success", "error", "info"];

/** @typedef {{name: string, message: string, status?: number}} Problem */

/** @param {unknown} error @returns {Problem} what the page is told of it */
function problemOf(error) {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const status = "status" in error && typeof error.status === "number" ? error.status : undefined;
  return { name: error.name, message: error.message, status };
}

/** @param {unknown} value @returns {Record<string, any>} */
const record = (value) => (value !== null && typeof value === "object" ? { ...value } : {});

/** @param {unknown} value @returns {Record<string, string>} */
const texts = (value) =>
  Object.fromEntries(Object.entries(record(value)).map(([name, text]) => [name, String(text)]));

export class SandboxHost {
  #api;
  #send;
  #end;
  #fetch;
  #unread = new Unread(UNREAD, UNREAD_BYTES);
  #messages = new Meter(400, 2_000);
  #toasts = new Meter(0.5, 4);
  #moves = new Meter(1, 10);
  #missedEvents = 0;
  #stopListening = () => {};
  /** Calls that are not answered, by their numbers.
   * @type {Map<number, AbortController>} */
  #open = new Map();
  /** @type {Map<string, PluginRun>} */
  #runs = new Map();
  /** What the person has said to each script with its arguments.
   * @type {Map<string, boolean>} */
  #answers = new Map();

  /**
   * @param {PluginApi} api the plugin's own
   * @param {(message: object, transfer?: Transferable[]) => void} send to the page
   * @param {(sentence: string) => void} end called when the page is to be ended, with the reason
   */
  constructor(api, send, end) {
    this.#api = api;
    this.#send = send;
    this.#end = end;
    this.#fetch = new SandboxFetch(api);
  }

  /**
   * @param {any} message from the page
   * @returns {boolean} whether it was for the host
   */
  take(message) {
    if (message?.type === "ack" && this.#unread.acknowledge()) return true;
    if (!this.#messages.take()) {
      this.#end(FLOODS);
      return true;
    }
    if (message?.type === "call" && Number.isSafeInteger(message.id)) this.#call(message);
    else if (message?.type === "abort") this.#open.get(message.id)?.abort();
    else return false;
    return true;
  }

  /** Gives up what is under way. */
  close() {
    this.#stopListening();
    for (const call of this.#open.values()) call.abort();
    this.#open.clear();
  }

  /** @param {{id: number, method: unknown, args: unknown}} call */
  async #call({ id, method, args }) {
    try {
      if (this.#open.size >= OPEN_CALLS || this.#open.has(id)) {
        throw new Error("The page asks for too much at once.");
      }
      const control = new AbortController();
      this.#open.set(id, control);
      const given = Array.isArray(args) ? args : [];
      const value = await this.#do(String(method), given, control.signal);
      if (this.#open.get(id) !== control) return; // it was closed meanwhile
      this.#open.delete(id);
      this.#send({ type: "result", id, value }, value?.body ? [value.body] : []);
    } catch (error) {
      this.#open.delete(id);
      this.#send({ type: "error", id, ...problemOf(error) });
    }
  }

  /**
   * @param {string} method
   * @param {any[]} args
   * @param {AbortSignal} signal
   * @returns {Promise<any>}
   */
  async #do(method, args, signal) {
    const { kv, events } = this.#api;
    switch (method) {
      case "fetch":
        return this.#fetch.ask(String(args[0]), record(args[1]), signal);
      case "kv.get":
        return kv.get(String(args[0]));
      case "kv.set":
        return kv.set(String(args[0]), String(args[1]));
      case "kv.delete":
        return kv.delete(String(args[0]));
      case "kv.list":
        return kv.list(record(args[0]));
      case "events.listen":
        return this.#listen(args[0] === true);
      case "events.ready":
        return events.ready();
      case "run":
        return this.#run(String(args[0]), texts(args[1]), signal);
      case "run.cancel":
        return this.#runs.get(String(args[0]))?.cancel();
      case "toast":
        return this.#toast(String(args[0]), args[1]);
      case "navigate":
        if (this.#moves.take()) this.#api.navigate(String(args[0]));
        return undefined;
      default:
        throw new TypeError(`There is no ${method.slice(0, 40)}.`);
    }
  }

  /** @param {boolean} on */
  #listen(on) {
    this.#stopListening();
    this.#stopListening = () => {};
    if (!on) return;
    this.#stopListening = this.#api.events.on("*", (data, event) => {
      const missed = event.missed + this.#missedEvents;
      const told = { type: "event", data, event: { ...event, missed } };
      const isSent = this.#push(told, JSON.stringify(data ?? null).length);
      this.#missedEvents = isSent ? 0 : missed + 1;
    });
  }

  /**
   * @param {string} script
   * @param {Record<string, string>} args
   * @param {AbortSignal} signal
   */
  async #run(script, args, signal) {
    await this.#ask(script, args);
    signal.throwIfAborted();
    const run = await this.#api.run(script, args);
    const { taskId } = run;
    this.#runs.set(taskId, run);
    let missing = 0;
    run.onOutput((text, piece) => {
      if (
        missing > 0 &&
        this.#push({ type: "output", taskId, text: "", piece: { ...piece, missing } }, 0)
      ) {
        missing = 0;
      }
      const isSent =
        missing === 0 && this.#push({ type: "output", taskId, text, piece }, text.length);
      if (!isSent) missing += piece.missing ?? new Blob([text]).size;
    });
    run.done.then(
      (end) => this.#send({ type: "ended", taskId, end }),
      (error) => this.#send({ type: "ended", taskId, problem: problemOf(error) }),
    );
    return taskId;
  }

  /**
   * Asks the person whether a script may be started. Each question is asked once; who has said no
   * to three is asked no more.
   * @param {string} script
   * @param {Record<string, string>} args
   */
  async #ask(script, args) {
    const key = JSON.stringify([script, args]);
    const refusals = [...this.#answers.values()].filter((yes) => !yes).length;
    if (!this.#answers.has(key)) {
      if (refusals >= REFUSALS || question.peek()) throw new Error("The person was not asked.");
      const given = Object.entries(args).map(([name, value]) => `${name}=${value}`);
      const shown = given.length > 0 ? ` With ${given.join(", ")}.` : "";
      if (script.length + shown.length > QUESTION_CHARS) {
        throw new Error("Who is asked could not read all of it; make the arguments shorter.");
      }
      const text = `The page of ${this.#api.plugin.name} wants to start it as you.${shown}`;
      const title = `Run ${script}?`;
      const words = { action: "Run", cancel: "Do not run", harmless: true };
      this.#answers.set(key, await confirm({ title, text, ...words }));
    }
    if (!this.#answers.get(key)) throw new Error(`You did not agree to run ${script}.`);
  }

  /** @param {string} message @param {unknown} kind */
  #toast(message, kind) {
    if (!this.#toasts.take()) return;
    const known = KINDS.find((each) => each === kind) ?? "info";
    this.#api.showToast(`${this.#api.plugin.name}: ${message.slice(0, MESSAGE_CHARS)}`, known);
  }

  /**
   * @param {object} message
   * @param {number} size
   * @returns {boolean} whether it was sent; not to a page that does not read
   */
  #push(message, size) {
    if (!this.#unread.add(size)) return false;
    this.#send(message);
    return true;
  }
}
