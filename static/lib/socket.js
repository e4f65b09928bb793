/**
 * The one WebSocket to the hub: reconnects by itself, re-subscribes, hands messages out by type.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";
import { Heartbeat } from "./heartbeat.js";
import { Listeners, Topics } from "./listeners.js";

/** @import { Listener } from "./listeners.js" */

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;
const SESSION_ENDED = 4401;

/**
 * How long to wait before the next try: doubled each time, with a fifth of chance in it so
 * that many pages do not come back in step.
 * @param {number} failures how many tries failed in a row
 * @param {number} chance 0 to 1
 * @returns {number} milliseconds
 */
export function retryDelay(failures, chance) {
  const full = Math.min(LONGEST_RETRY_MS, FIRST_RETRY_MS * 2 ** failures);
  return full * (0.8 + 0.2 * chance);
}

export class HubSocket {
  /** @type {import("@preact/signals").Signal<"closed" | "connecting" | "open" | "waiting">} */
  status = signal("closed");

  /** @type {WebSocket | null} */
  #ws = null;
  #listeners = new Listeners();
  #topics = new Topics((type, topics) => this.send({ type, topics }));
  #heartbeat = new Heartbeat(
    (onPong) => this.afterRoundTrip(onPong),
    () => this.#lost(),
  );
  /** @type {Set<() => void>} */
  #whenOpen = new Set();
  /** @type {(() => void)[]} */
  #awaitingPong = [];
  #failures = 0;
  #retryTimer = 0;
  #url;
  #session;

  /**
   * @param {string} url
   * @param {object} session
   * @param {() => void} session.onEnd called when the hub ends the session
   * @param {() => Promise<boolean>} session.isAlive asked before a new try; the browser hides
   *   why a handshake failed
   */
  constructor(url, session) {
    this.#url = url;
    this.#session = session;
  }

  /** Opens the connection and keeps it open until `disconnect`. Safe to call twice. */
  connect() {
    if (this.status.peek() !== "closed") return;
    window.addEventListener("online", this.#retryNow);
    document.addEventListener("visibilitychange", this.#retryNow);
    this.#failures = 0;
    this.#open();
  }

  /** Closes the connection for good. Safe to call twice. */
  disconnect() {
    window.removeEventListener("online", this.#retryNow);
    document.removeEventListener("visibilitychange", this.#retryNow);
    clearTimeout(this.#retryTimer);
    this.#drop();
    this.status.value = "closed";
  }

  /**
   * Sends one message; nothing is queued.
   * @param {object} message
   * @returns {boolean} false when there is no open connection
   */
  send(message) {
    if (this.#ws?.readyState !== WebSocket.OPEN) return false;
    this.#ws.send(JSON.stringify(message));
    return true;
  }

  /**
   * @param {string} type
   * @param {Listener} listener
   * @returns {() => void} stops listening
   */
  on(type, listener) {
    return this.#listeners.add(type, listener);
  }

  /**
   * Calls back at every opening of the connection, and at once if it is open already.
   * @param {() => void} callback
   * @returns {() => void} stops it
   */
  whenOpen(callback) {
    this.#whenOpen.add(callback);
    if (this.status.peek() === "open") callback();
    return () => this.#whenOpen.delete(callback);
  }

  /**
   * Receives the events of a topic for as long as anybody wants them.
   * @param {string} topic
   * @param {(data: any) => void} listener
   * @returns {() => void} unsubscribes
   */
  subscribe(topic, listener) {
    this.#topics.want(topic);
    const off = this.on("event", (message) => {
      if (message.topic === topic) listener(message.data);
    });
    return () => {
      off();
      this.#topics.release(topic);
    };
  }

  /**
   * Calls back once everything that the hub sent before it read this is here. On a connection
   * that is lost meanwhile it never does.
   * @param {() => void} callback
   */
  afterRoundTrip(callback) {
    if (this.send({ type: "ping" })) this.#awaitingPong.push(callback);
  }

  #open() {
    this.status.value = "connecting";
    const ws = new WebSocket(this.#url);
    this.#ws = ws;
    ws.onopen = () => this.#opened();
    ws.onmessage = (event) => this.#received(event.data);
    ws.onclose = (event) => this.#closed(event.code);
  }

  #opened() {
    this.#failures = 0;
    this.status.value = "open";
    this.#heartbeat.connect();
    this.#topics.renew();
    for (const callback of [...this.#whenOpen]) callback();
  }

  /** @param {string} text */
  #received(text) {
    const message = JSON.parse(text);
    if (message.type === "pong") this.#awaitingPong.shift()?.();
    this.#listeners.tell(message);
  }

  /** @param {number} code */
  #closed(code) {
    if (code === SESSION_ENDED) this.#end();
    else this.#lost();
  }

  #end() {
    this.disconnect();
    this.#session.onEnd();
  }

  #lost() {
    this.#drop();
    this.status.value = "waiting";
    const delay = retryDelay(this.#failures, Math.random());
    this.#retryTimer = setTimeout(() => this.#retry(), delay);
    this.#failures += 1;
  }

  async #retry() {
    const alive = await this.#session.isAlive();
    if (this.status.peek() !== "waiting") return;
    if (alive) this.#open();
    else this.#end();
  }

  #retryNow = () => {
    if (this.status.peek() !== "waiting" || document.hidden) return;
    clearTimeout(this.#retryTimer);
    this.#retry();
  };

  #drop() {
    this.#heartbeat.disconnect();
    this.#awaitingPong = [];
    if (!this.#ws) return;
    this.#ws.onopen = this.#ws.onmessage = this.#ws.onclose = null;
    this.#ws.close();
    this.#ws = null;
  }
}
