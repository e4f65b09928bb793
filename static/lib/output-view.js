/**
 * A run's output on a terminal: stream, writer and screen joined, and what the person sees of
 * their state.
 * Runs on: the page.
 */
import { computed, signal } from "@preact/signals";
import { Cleanups } from "./connect.js";
import { formatBytes } from "./format.js";
import { RunStream } from "./run-stream.js";
import { openScreen, screenText } from "./terminal-screen.js";
import { SCROLLBACK_LINES, TerminalWriter } from "./terminal-writer.js";

/** @import { Terminal } from "@xterm/xterm" */
/** @import { HubSocket } from "./socket.js" */

/** Larger outputs of ended runs are shown from here before their end. */
const SHOWN_OF_LARGE = 4 * 1024 * 1024;

/**
 * Where to begin to show an output: a run that goes on from its first byte, so that nothing is
 * missed; a long ended one near its end, which is all that the terminal would keep.
 * @param {boolean} active
 * @param {number} size bytes
 * @returns {number} bytes
 */
export function startOffset(active, size) {
  return active || size <= 2 * SHOWN_OF_LARGE ? 0 : size - SHOWN_OF_LARGE;
}

/**
 * What a script wrote to stderr, in red and slanted. A reset in it must not end the red.
 * @param {string} text
 * @returns {string}
 */
function asError(text) {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is the escape sequence that is meant
  return `\x1b[3;31m${text.replace(/\x1b\[0?m/g, "\x1b[0;3;31m")}\x1b[23;39m`;
}

/**
 * A line of ours between the script's, told apart by its colours.
 * @param {string} sentence
 */
function asNotice(sentence) {
  return `\r\n\x1b[0;30;43m ${sentence} \x1b[0m\r\n`;
}

export class OutputView {
  ready = signal(false);
  following = signal(true);
  ended = signal(false);
  #drained = signal(true);
  /** Whether the run has ended and all that it wrote is on the screen. */
  whole = computed(() => this.ended.value && this.#drained.value);
  sawOutput = signal(false);
  sawErrors = signal(false);
  /** Whether the terminal shows less than the whole output. */
  partial = signal(false);
  error = signal("");

  #socket;
  #taskId;
  #label;
  #offset;
  /** @type {Terminal | null} */
  #terminal = null;
  /** @type {TerminalWriter | null} */
  #writer = null;
  #cleanups = new Cleanups();

  /**
   * @param {HubSocket} socket
   * @param {string} taskId
   * @param {{label: string, offset: number}} options `offset` in bytes
   */
  constructor(socket, taskId, { label, offset }) {
    this.#socket = socket;
    this.#taskId = taskId;
    this.#label = label;
    this.#offset = offset;
  }

  /** @param {HTMLElement} host */
  async connect(host) {
    let wanted = true;
    this.#cleanups.add(() => {
      wanted = false;
    });
    const screen = await openScreen(host, this.#label);
    if (wanted) this.#wire(screen.terminal, screen.dispose, host);
    else screen.dispose();
  }

  disconnect() {
    this.#cleanups.run();
    this.#terminal = null;
    this.#writer = null;
  }

  /** @param {boolean} on */
  follow(on) {
    this.following.value = on;
    this.#writer?.setPaused(!on);
    if (on) this.#terminal?.scrollToBottom();
  }

  /** @returns {string} what the terminal holds */
  text() {
    return this.#terminal ? screenText(this.#terminal) : "";
  }

  /**
   * @param {Terminal} terminal
   * @param {() => void} dispose
   * @param {HTMLElement} host
   */
  #wire(terminal, dispose, host) {
    const writer = new TerminalWriter(terminal, {
      onSkip: () => {
        this.partial.value = true;
      },
      onIdle: () => {
        this.#drained.value = true;
        if (terminal.buffer.active.baseY >= SCROLLBACK_LINES) this.partial.value = true;
      },
    });
    const stream = new RunStream(this.#socket, this.#taskId, this.#sink(writer), this.#offset);
    this.#terminal = terminal;
    this.#writer = writer;
    terminal.write("\x1b[?25l");
    if (this.#offset > 0) this.#explainStart(writer);
    const noticeScroll = () => requestAnimationFrame(() => this.#followIfAtEnd());
    for (const kind of ["wheel", "keydown", "pointerup", "touchmove"]) {
      host.addEventListener(kind, noticeScroll, { passive: true });
      this.#cleanups.add(() => host.removeEventListener(kind, noticeScroll));
    }
    this.#cleanups.add(
      dispose,
      () => writer.dispose(),
      () => stream.disconnect(),
    );
    stream.connect();
    this.ready.value = true;
  }

  /** @param {TerminalWriter} writer */
  #explainStart(writer) {
    this.partial.value = true;
    writer.push(asNotice(`The first ${formatBytes(this.#offset)} are not shown here`));
  }

  /**
   * @param {TerminalWriter} writer
   * @returns {import("./run-stream.js").RunSink}
   */
  #sink(writer) {
    return {
      write: (text, isError) => {
        if (isError) this.sawErrors.value = true;
        this.sawOutput.value = true;
        this.#drained.value = false;
        writer.push(isError ? asError(text) : text);
      },
      gap: (bytes) => writer.push(asNotice(`${formatBytes(bytes)} of output are missing here`)),
      ended: () => {
        this.ended.value = true;
      },
      failed: (sentence) => {
        this.error.value = sentence;
      },
    };
  }

  #followIfAtEnd() {
    const buffer = this.#terminal?.buffer.active;
    if (!buffer) return;
    const atEnd = buffer.viewportY >= buffer.baseY;
    if (atEnd !== this.following.value) this.follow(atEnd);
  }
}
