/**
 * The one WebSocket to the hub: reconnects by itself, re-subscribes, hands messages out by type.
 * Runs on: the page.
 */
import { signal } from "@preact/signals";

/** @import { HubMessage } from "./types.js" */
/** @typedef {(message: HubMessage) => void} Listener */

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 15_000;
const PING_EVERY_MS = 20_000;
const PONG_WITHIN_MS = 10_000;
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
  /** @type {Map<string, Set<Listener>>} */
  #listeners = new Map();
  /** @type {Map<string, number>} */
  #topics = new Map();
  /** @type {Set<() => void>} */
  #whenOpen = new Set();
  /** @type {(() => void)[]} */
  #awaitingPong = [];
  #failures = 0;
  #retryTimer = 0;
  #pingTimer = 0;
  #pongTimer = 0;
  #url;
  #onSessionEnd;
  #isSessionAlive;

  /**
   * @param {string} url
   * @param {object} session
   * @param {() => void} session.onEnd called when the hub ends the session
   * @param {() => Promise<boolean>} session.isAlive asked after a failed try; the browser hides
   *   why a handshake failed
   */
  constructor(url, session) {
    this.#url = url;
    this.#onSessionEnd = session.onEnd;
    this.#isSessionAlive = session.isAlive;
  }

  /** Opens the connection and keeps it open until `disconnect`. Safe to call twice. */
  connect() {
    if (this.status.value !== "closed") return;
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
    const listeners = this.#listeners.get(type) ?? new Set();
    this.#listeners.set(type, listeners.add(listener));
    return () => listeners.delete(listener);
  }

  /**
   * Calls back at every opening of the connection, and soon if it is open already.
   * @param {() => void} callback
   * @returns {() => void} stops it
   */
  whenOpen(callback) {
    this.#whenOpen.add(callback);
    if (this.status.value === "open") callback();
    return () => this.#whenOpen.delete(callback);
  }

  /**
   * Receives the events of a topic for as long as anybody wants them.
   * @param {string} topic
   * @param {(data: any) => void} listener
   * @returns {() => void} unsubscribes
   */
  subscribe(topic, listener) {
    const wanted = this.#topics.get(topic) ?? 0;
    this.#topics.set(topic, wanted + 1);
    if (wanted === 0) this.send({ type: "subscribe", topics: [topic] });
    const off = this.on("event", (message) => {
      if (message.topic === topic) listener(message.data);
    });
    return () => {
      off();
      this.#unsubscribe(topic);
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

  /** @param {string} topic */
  #unsubscribe(topic) {
    const left = (this.#topics.get(topic) ?? 1) - 1;
    if (left > 0) {
      this.#topics.set(topic, left);
      return;
    }
    this.#topics.delete(topic);
    this.send({ type: "unsubscribe", topics: [topic] });
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
    this.#pingTimer = setInterval(() => this.#checkAlive(), PING_EVERY_MS);
    if (this.#topics.size > 0) this.send({ type: "subscribe", topics: [...this.#topics.keys()] });
    for (const callback of [...this.#whenOpen]) callback();
  }

  /** @param {string} text */
  #received(text) {
    const message = JSON.parse(text);
    if (message.type === "pong") this.#awaitingPong.shift()?.();
    for (const listener of [...(this.#listeners.get(message.type) ?? [])]) listener(message);
  }

  #checkAlive() {
    if (this.#pongTimer) return;
    this.#pongTimer = setTimeout(() => this.#lost(), PONG_WITHIN_MS);
    this.afterRoundTrip(() => {
      clearTimeout(this.#pongTimer);
      this.#pongTimer = 0;
    });
  }

  /** @param {number} code */
  #closed(code) {
    if (code === SESSION_ENDED) {
      this.disconnect();
      this.#onSessionEnd();
    } else {
      this.#lost();
    }
  }

  #lost() {
    const wasOpen = this.status.value === "open";
    this.#drop();
    this.status.value = "waiting";
    this.#retryTimer = setTimeout(
      () => this.#retry(wasOpen),
      retryDelay(this.#failures, Math.random()),
    );
    this.#failures += 1;
  }

  /** @param {boolean} wasOpen */
  async #retry(wasOpen) {
    const alive = wasOpen || (await this.#isSessionAlive());
    if (this.status.value !== "waiting") return;
    if (alive) {
      this.#open();
    } else {
      this.disconnect();
      this.#onSessionEnd();
    }
  }

  #retryNow = () => {
    if (this.status.value !== "waiting" || document.hidden) return;
    clearTimeout(this.#retryTimer);
    this.#retry(false);
  };

  #drop() {
    clearInterval(this.#pingTimer);
    clearTimeout(this.#pongTimer);
    this.#pongTimer = 0;
    this.#awaitingPong = [];
    if (!this.#ws) return;
    this.#ws.onopen = this.#ws.onmessage = this.#ws.onclose = null;
    this.#ws.close();
    this.#ws = null;
  }
}
