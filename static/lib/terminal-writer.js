/**
 * Stands between a flood of output and the terminal: one write a frame, nothing written while
 * the person reads further up, and a bound on what waits.
 * Runs on: the page.
 */

/** What the terminal itself keeps; more than that need never be written at once. */
export const SCROLLBACK_LINES = 10_000;

const WRITE_AT_ONCE = 256 * 1024;
const MAY_WAIT = 4 * 1024 * 1024;
const MUST_NOT_WAIT = 16 * 1024 * 1024;

/** @typedef {{write: (text: string, done: () => void) => void}} Screen */
/** @typedef {{text: string, lines: number}} Chunk */

/** @param {string} text */
function countLines(text) {
  let lines = 0;
  for (let at = text.indexOf("\n"); at !== -1; at = text.indexOf("\n", at + 1)) lines += 1;
  return lines;
}

export class TerminalWriter {
  #screen;
  #onSkip;
  #onIdle;
  /** @type {Chunk[]} */
  #waiting = [];
  #waitingChars = 0;
  #waitingLines = 0;
  #frame = 0;
  #busy = false;
  #paused = false;
  #disposed = false;

  /**
   * @param {Screen} screen
   * @param {object} told
   * @param {() => void} told.onSkip output was left out that the screen could not keep anyway
   * @param {() => void} told.onIdle all that came is on the screen
   */
  constructor(screen, { onSkip, onIdle }) {
    this.#screen = screen;
    this.#onSkip = onSkip;
    this.#onIdle = onIdle;
  }

  /** @param {string} text */
  push(text) {
    const lines = countLines(text);
    this.#waiting.push({ text, lines });
    this.#waitingChars += text.length;
    this.#waitingLines += lines;
    this.#trim();
    this.#schedule();
  }

  /** @param {boolean} paused */
  setPaused(paused) {
    this.#paused = paused;
    this.#schedule();
  }

  /** Ends the writing. What the screen still has at work may finish; nobody is told of it. */
  dispose() {
    this.#disposed = true;
    cancelAnimationFrame(this.#frame);
    this.#waiting = [];
  }

  #trim() {
    while (this.#waitingChars > MAY_WAIT && this.#waiting.length > 1) {
      const oldest = this.#waiting[0];
      const enoughLeft = this.#waitingLines - oldest.lines >= SCROLLBACK_LINES;
      if (!enoughLeft && this.#waitingChars <= MUST_NOT_WAIT) return;
      this.#take();
      this.#onSkip();
    }
  }

  /** @returns {string} */
  #take() {
    const { text, lines } = /** @type {Chunk} */ (this.#waiting.shift());
    this.#waitingChars -= text.length;
    this.#waitingLines -= lines;
    return text;
  }

  #schedule() {
    if (this.#frame || this.#busy || this.#paused || this.#disposed) return;
    if (this.#waiting.length === 0) return;
    this.#frame = requestAnimationFrame(() => this.#flush());
  }

  #flush() {
    this.#frame = 0;
    if (this.#paused) return;
    let text = "";
    while (this.#waiting.length > 0 && text.length < WRITE_AT_ONCE) text += this.#take();
    this.#busy = true;
    this.#screen.write(text, () => {
      this.#busy = false;
      if (this.#disposed) return;
      this.#schedule();
      if (this.#waiting.length === 0) this.#onIdle();
    });
  }
}
