/**
 * Follows the output of one run over the WebSocket: every chunk once, in order, through
 * reconnects.
 * Runs on: the page.
 */
import { Cleanups } from "./connect.js";

/** @import { HubMessage } from "./types.js" */
/** @import { HubSocket } from "./socket.js" */

/**
 * @typedef {object} RunSink
 * @property {(text: string, isError: boolean) => void} write
 * @property {(bytes: number) => void} gap output that the hub no longer has, or left out
 * @property {(message: HubMessage) => void} ended
 * @property {(sentence: string) => void} failed
 */

export class RunStream {
  #socket;
  #taskId;
  #sink;
  #offset;
  #connected = false;
  #attached = false;
  #cleanups = new Cleanups();

  /**
   * @param {HubSocket} socket
   * @param {string} taskId
   * @param {RunSink} sink
   * @param {number} [offset] bytes; where to begin
   */
  constructor(socket, taskId, sink, offset = 0) {
    this.#socket = socket;
    this.#taskId = taskId;
    this.#sink = sink;
    this.#offset = offset;
  }

  connect() {
    this.#connected = true;
    const mine = (/** @type {(message: HubMessage) => void} */ handle) => {
      return (/** @type {HubMessage} */ message) => {
        if (this.#attached && message.task_id === this.#taskId) handle(message);
      };
    };
    this.#cleanups.add(
      this.#socket.on(
        "stdout",
        mine((message) => this.#chunk(message, false)),
      ),
      this.#socket.on(
        "stderr",
        mine((message) => this.#chunk(message, true)),
      ),
      this.#socket.on(
        "gap",
        mine((message) => this.#gap(message)),
      ),
      this.#socket.on(
        "exit",
        mine((message) => this.#sink.ended(message)),
      ),
      this.#socket.on(
        "cancelled",
        mine((message) => this.#sink.ended(message)),
      ),
      this.#socket.on(
        "error",
        mine((message) => this.#sink.failed(String(message.data))),
      ),
      this.#socket.whenOpen(() => this.#attach()),
    );
  }

  disconnect() {
    this.#cleanups.run();
    this.#connected = false;
    this.#attached = false;
    this.#socket.send({ type: "detach", task_id: this.#taskId });
  }

  /**
   * An earlier viewer on this connection (another page, or whoever started the run) may have
   * chunks on their way still. They are let pass before this one begins to listen.
   */
  #attach() {
    this.#attached = false;
    this.#socket.send({ type: "detach", task_id: this.#taskId });
    this.#socket.afterRoundTrip(() => {
      if (!this.#connected) return;
      this.#attached = true;
      this.#socket.send({ type: "attach", task_id: this.#taskId, offset: this.#offset });
    });
  }

  /** @param {HubMessage} message @param {boolean} isError */
  #chunk(message, isError) {
    const next = message.offset ?? 0;
    if (next <= this.#offset) return;
    this.#offset = next;
    this.#sink.write(String(message.data), isError);
  }

  /** @param {HubMessage} message */
  #gap(message) {
    const from = Math.max(this.#offset, message.from ?? 0);
    const to = message.to ?? from;
    if (to <= from) return;
    this.#offset = to;
    this.#sink.gap(to - from);
  }
}
