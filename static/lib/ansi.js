/**
 * One line of output as a terminal would leave it: styled parts, without what steers terminals.
 * Runs on: anywhere; pure.
 *
 * Colours and styles (ECMA-48 SGR, with 256 and true colours) become part of a style; carriage
 * returns, backspaces and movements within the line overwrite, as progress bars want it; what
 * moves between lines cannot be shown here and is only told. Other control characters are shown
 * by their signs in Unicode.
 */

/** A colour: null is the page's own, a number one of the 256, a text `#rrggbb`.
 * @typedef {number | string | null} Colour */

/**
 * @typedef {object} Style
 * @property {Colour} fg
 * @property {Colour} bg
 * @property {boolean} bold
 * @property {boolean} dim
 * @property {boolean} italic
 * @property {boolean} underline
 * @property {boolean} inverse
 * @property {boolean} strike
 */

/** @typedef {{text: string, isError: boolean}} Section a part of a line, all from one stream */
/** @typedef {{text: string, style: Style, isError: boolean, isSign: boolean}} Part */

/**
 * @typedef {object} Line
 * @property {Part[]} parts
 * @property {Style} style in force after the line
 * @property {boolean} moves whether it moves the cursor to other lines
 */

/** @type {Style} */
export const PLAIN = Object.freeze({
  fg: null,
  bg: null,
  bold: false,
  dim: false,
  italic: false,
  underline: false,
  inverse: false,
  strike: false,
});

const WIDEST = 16_384;
const TAB = 8;
const TOKEN =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is sought
  /\x1b(?:\[([0-?]*)[ -/]*([@-~])|[\]P^_X][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]+[0-~]|[0-~])|[\x00-\x08\x0a-\x1f\x7f-\x9f]/g;
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is sought
const OVERWRITES = /[\r\b]|\x1b\[[0-?]*[ -/]*[@CDGKPX`a]/;
const MOVES = /^[ABEFHJLMSTdfrs]$/;

/** @type {Record<number, Partial<Style>>} */
const FLAGS = {
  1: { bold: true },
  2: { dim: true },
  3: { italic: true },
  4: { underline: true },
  7: { inverse: true },
  9: { strike: true },
  21: { underline: true },
  22: { bold: false, dim: false },
  23: { italic: false },
  24: { underline: false },
  27: { inverse: false },
  29: { strike: false },
  39: { fg: null },
  49: { bg: null },
};

/** @param {number} value */
const byteOf = (value) => Math.min(255, Math.max(0, value || 0));

/** @param {number[]} rgb */
function hex(rgb) {
  return `#${rgb.map((part) => byteOf(part).toString(16).padStart(2, "0")).join("")}`;
}

/**
 * The colour after a 38 or 48, and how many numbers it took.
 * @param {number[]} numbers what follows
 * @returns {{colour: Colour | undefined, used: number}}
 */
function extended(numbers) {
  if (numbers[0] === 5) return { colour: byteOf(numbers[1]), used: 2 };
  if (numbers[0] === 2) return { colour: hex([numbers[1], numbers[2], numbers[3]]), used: 4 };
  return { colour: undefined, used: 1 };
}

/**
 * @param {number} code
 * @returns {Partial<Style> | undefined}
 */
function basicColour(code) {
  if (code >= 30 && code <= 37) return { fg: code - 30 };
  if (code >= 40 && code <= 47) return { bg: code - 40 };
  if (code >= 90 && code <= 97) return { fg: code - 82 };
  if (code >= 100 && code <= 107) return { bg: code - 92 };
  return undefined;
}

/**
 * The style after a "select graphic rendition".
 * @param {Style} style
 * @param {string} given its parameters, such as `1;31`; colons separate as semicolons do
 * @returns {Style}
 */
export function applySgr(style, given) {
  if (/[<=>?]/.test(given)) return style;
  const codes = given.replace(/:2::/g, ":2:").split(/[;:]/).map(Number);
  let next = style;
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i];
    if (code === 0) next = PLAIN;
    else if (code === 38 || code === 48) {
      const { colour, used } = extended(codes.slice(i + 1));
      if (colour !== undefined) next = { ...next, [code === 38 ? "fg" : "bg"]: colour };
      i += used;
    } else next = { ...next, ...(FLAGS[code] ?? basicColour(code)) };
  }
  return next;
}

/** @param {string} char */
function signOf(char) {
  const code = char.charCodeAt(0);
  if (code === 7) return "";
  if (code < 32) return String.fromCharCode(0x2400 + code);
  return code === 127 ? "\u2421" : "\ufffd";
}

/** Collects parts; those that follow each other and look the same are one. */
class Straight {
  /** @type {Part[]} */
  parts = [];

  /** @param {string} text @param {Style} style @param {boolean} isError @param {boolean} isSign */
  write(text, style, isError, isSign) {
    const last = this.parts.at(-1);
    const same = last && last.style === style && last.isError === isError;
    if (same && last.isSign === isSign) last.text += text;
    else if (text) this.parts.push({ text, style, isError, isSign });
  }

  move() {}
}

/** Cells that can be written over; made only for lines that need it. */
class Cells {
  /** @type {(Part | undefined)[]} */
  #cells = [];
  #at = 0;

  /** @param {string} text @param {Style} style @param {boolean} isError @param {boolean} isSign */
  write(text, style, isError, isSign) {
    for (const char of text) {
      if (char === "\t") {
        this.#at = (Math.floor(this.#at / TAB) + 1) * TAB;
      } else if (this.#at < WIDEST) {
        this.#cells[this.#at] = { text: char, style, isError, isSign };
        this.#at += 1;
      }
    }
  }

  /** @param {string} kind the control character or the final of the sequence @param {number} n */
  move(kind, n) {
    const by = Math.max(1, n || 1);
    if (kind === "\r") this.#at = 0;
    else if (kind === "\b") this.#at = Math.max(0, this.#at - 1);
    else if (kind === "G" || kind === "`") this.#at = Math.min(WIDEST, by - 1);
    else if (kind === "C" || kind === "a") this.#at = Math.min(WIDEST, this.#at + by);
    else if (kind === "D") this.#at = Math.max(0, this.#at - by);
    else if (kind === "P") this.#cells.splice(this.#at, by);
    else if (kind === "X") this.#erase(this.#at, this.#at + by);
    else if (kind === "K") this.#eraseLine(n || 0);
  }

  /** @param {number} how 0 from here on, 1 up to here, 2 all */
  #eraseLine(how) {
    if (how === 0) this.#cells.length = Math.min(this.#cells.length, this.#at);
    else this.#erase(0, how === 1 ? this.#at + 1 : this.#cells.length);
  }

  /** @param {number} from @param {number} to */
  #erase(from, to) {
    this.#cells.fill(undefined, from, Math.min(to, this.#cells.length));
  }

  get parts() {
    const straight = new Straight();
    for (let i = 0; i < this.#cells.length; i += 1) {
      const cell = this.#cells[i];
      if (cell) straight.write(cell.text, cell.style, cell.isError, cell.isSign);
      else straight.write(" ", PLAIN, false, false);
    }
    return straight.parts;
  }
}

/**
 * @param {Section[]} sections the line without its newline
 * @param {Style} style in force before it
 * @returns {Line}
 */
export function parseLine(sections, style) {
  const overwrites = sections.some(({ text }) => OVERWRITES.test(text));
  const sink = overwrites ? new Cells() : new Straight();
  let moves = false;
  for (const { text, isError } of sections) {
    let end = 0;
    for (const found of text.matchAll(TOKEN)) {
      const [token, given, final] = found;
      if (found.index > end) sink.write(text.slice(end, found.index), style, isError, false);
      end = found.index + token.length;
      if (final === "m") style = applySgr(style, given);
      else if (final) {
        sink.move(final, Number.parseInt(given, 10));
        moves ||= MOVES.test(final) || (final === "h" && given === "?1049");
      } else if (token === "\r" || token === "\b") sink.move(token, 1);
      else if (token.length === 1) sink.write(signOf(token), style, isError, true);
    }
    if (end < text.length) sink.write(text.slice(end), style, isError, false);
  }
  return { parts: sink.parts, style, moves };
}

/**
 * The style that a text leaves behind; it is taken up at its last reset, if it has one.
 * @param {string} text
 * @returns {Style}
 */
export function styleAfter(text) {
  const reset = Math.max(text.lastIndexOf("\x1b[0m"), text.lastIndexOf("\x1b[m"));
  let style = PLAIN;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is the escape sequence that is meant
  for (const [, given] of text.slice(Math.max(0, reset)).matchAll(/\x1b\[([0-?]*)m/g))
    style = applySgr(style, given);
  return style;
}

/**
 * What is seen of a line, as text.
 * @param {Line} line
 * @returns {string}
 */
export function textOf(line) {
  return line.parts.map((part) => part.text).join("");
}
