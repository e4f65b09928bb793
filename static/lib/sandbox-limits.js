/**
 * How much a page in a sandbox may ask for in a time, so that none can keep the dashboard busy.
 * Runs on: anywhere; pure.
 */

/** Allows so much at once, and so much more each second. */
export class Meter {
  #perSecond;
  #burst;
  #now;
  #level;
  #at;

  /**
   * @param {number} perSecond
   * @param {number} burst
   * @param {() => number} [now] milliseconds
   */
  constructor(perSecond, burst, now = () => performance.now()) {
    this.#perSecond = perSecond;
    this.#burst = burst;
    this.#now = now;
    this.#level = burst;
    this.#at = now();
  }

  /** @returns {boolean} whether one more is allowed */
  take() {
    const now = this.#now();
    this.#level = Math.min(this.#burst, this.#level + ((now - this.#at) / 1000) * this.#perSecond);
    this.#at = now;
    if (this.#level < 1) return false;
    this.#level -= 1;
    return true;
  }
}

/** Lets so many work at a time; the others wait for their turn. */
export class Turns {
  #free;
  /** @type {(() => void)[]} */
  #waiting = [];

  /** @param {number} atOnce */
  constructor(atOnce) {
    this.#free = atOnce;
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  async in(work) {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise((resolve) => this.#waiting.push(() => resolve(undefined)));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next) next();
      else this.#free += 1;
    }
  }
}

/** What was sent and is not acknowledged: who does not read is sent no more. */
export class Unread {
  #most;
  #mostBytes;
  /** @type {number[]} */
  #sizes = [];
  #bytes = 0;

  /** @param {number} most @param {number} mostBytes */
  constructor(most, mostBytes) {
    this.#most = most;
    this.#mostBytes = mostBytes;
  }

  /**
   * @param {number} size
   * @returns {boolean} whether it may be sent
   */
  add(size) {
    if (this.#sizes.length >= this.#most || this.#bytes + size > this.#mostBytes) return false;
    this.#sizes.push(size);
    this.#bytes += size;
    return true;
  }

  /** @returns {boolean} whether there was anything to acknowledge */
  acknowledge() {
    const size = this.#sizes.shift();
    this.#bytes -= size ?? 0;
    return size !== undefined;
  }
}
