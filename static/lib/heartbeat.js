/**
 * Finds out that a connection is dead although nobody closed it.
 * Runs on: the page.
 */

const PING_EVERY_MS = 20_000;
const PONG_WITHIN_MS = 10_000;

export class Heartbeat {
  #ping;
  #onDead;
  #timer = 0;
  #deadline = 0;

  /**
   * @param {(onPong: () => void) => void} ping sends a ping and calls back at its pong
   * @param {() => void} onDead
   */
  constructor(ping, onDead) {
    this.#ping = ping;
    this.#onDead = onDead;
  }

  connect() {
    this.#timer = setInterval(() => this.#beat(), PING_EVERY_MS);
  }

  disconnect() {
    clearInterval(this.#timer);
    this.#heard();
  }

  #beat() {
    if (this.#deadline) return;
    this.#deadline = setTimeout(this.#onDead, PONG_WITHIN_MS);
    this.#ping(() => this.#heard());
  }

  #heard() {
    clearTimeout(this.#deadline);
    this.#deadline = 0;
  }
}
